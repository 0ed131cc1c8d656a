"""The card of a curated data set: `README.md` with the YAML head that `datasets` and the Hub read.

Source:
    Dataset cards and `configs: data_files` of the Hugging Face Hub.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

from judgekit_datasets.curation.config import CurationConfig
from judgekit_datasets.curation.report import UNKNOWN, CurationReport, Share

CARD = "README.md"
"""Name of the card."""
_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_SIZE_NAMES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M")
_LIMITS = {
    "human": "Human labels: what comes after the first error is usually unlabelled, and annotators err.",
    "monte_carlo": "Monte-Carlo labels: a step counts as correct if some completion from it reached the answer. Steps "
    "that are wrong but harmless, or repaired later, pass; hard problems make correct steps look wrong.",
    "llm": "Labels by a language model: they carry its errors and preferences.",
    "consensus": "Consensus labels: only solutions on which several methods agree are left, so hard cases are rarer.",
    "injected": "Injected errors: the error's step is known, but its kind and wording are artificial.",
    "procedural": "Procedural solutions: labels are exact, language and reasoning are those of templates.",
    UNKNOWN: "Some sources do not say how their labels were made.",
}


def render_card(config: CurationConfig, report: CurationReport) -> str:
    """Return the text of the card."""
    prefixes = {name: f"{name}/" for name in config.splits} if config.splits else {"train": ""}
    files = [{"split": name, "path": f"{prefix}data/part-*.parquet"} for name, prefix in prefixes.items()]
    configs: list[dict[str, object]] = [{"config_name": "default", "data_files": files}]
    if report.rows_removed:
        removed = [{"split": "train", "path": "removed/part-*.parquet"}]
        configs.append({"config_name": "removed", "data_files": removed})
    licences = sorted({origin.licence for origin in report.origins})
    head = {
        "pretty_name": report.name,
        "license": ["other" if licence == UNKNOWN else licence.lower() for licence in licences],
        "task_categories": ["text-classification"],
        "tags": ["step-labels", "process-supervision", "error-localization", "judgekit"],
        "size_categories": [_SIZE_NAMES[sum(report.rows_kept >= size for size in _SIZES)]],
        "configs": configs,
    }
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n".join(_body(config, report))


def _body(config: CurationConfig, report: CurationReport) -> Iterator[str]:
    errors = report.labels.get("error", Share(read=0, kept=0)).kept
    yield f"# {report.name}\n"
    yield (
        f"{report.rows_kept:,} solutions in steps, {errors:,} of them with an error. A row has a problem, the steps of "
        "a solution and one label per step: `ok`, `neutral` (neither correct nor wrong, counts as no error), `error`, "
        "or `unlabelled` (only after the first error). Indices of steps are 0-based.\n"
    )
    yield "## Counts\n"
    sides = [(name, f"{s.rows:,}", f"{s.problems:,}", f"{s.errors:,}") for name, s in report.splits.items()]
    yield _table(("split", "rows", "problems", "with an error"), sides)
    if config.splits:
        similar = "" if config.duplicates.near is None else ", nor were near-duplicates of one found in another"
        yield f"No problem is in two splits{similar}.\n"
    yield "## Sources, label methods and licences\n"
    origins = [(origin.source, origin.label_method, origin.licence, f"{origin.rows:,}") for origin in report.origins]
    yield _table(("source", "label method", "licence", "rows"), origins)
    yield "Every row has its own `source`, `label_method` and `licence`; each source's licence holds for its rows.\n"
    yield "## How it was made\n"
    yield (
        f"With `judgekit curate` from {report.rows_read:,} rows. Rows removed are in the configuration `removed`, each "
        "with its reason.\n"
    )
    stages = [(stage.name, f"{sum(stage.reasons.values()):,}", f"{stage.left:,}") for stage in report.funnel]
    yield _table(("stage", "removed", "left"), stages)
    if report.contamination:
        yield "Overlap with benchmarks found, and removed, by words: whole texts and n-grams.\n"
        overlaps = [
            (o.benchmark, o.part, f"{o.texts:,}", f"{o.texts_found:,}", f"{sum(o.rows.values()):,}")
            for o in report.contamination
        ]
        yield _table(("benchmark", "part", "texts", "found in the data", "rows that match"), overlaps)
    yield "## Known limits\n"
    yield "\n".join(f"- {line}" for line in _limits(config, report)) + "\n"
    yield "## Reading it\n"
    yield (
        '```python\nfrom datasets import load_dataset\n\nload_dataset("PATH_OR_ID")             # the rows\n'
        + ('load_dataset("PATH_OR_ID", "removed")  # what was removed\n' if report.rows_removed else "")
        + "```"
    )
    yield ""


def _limits(config: CurationConfig, report: CurationReport) -> Iterator[str]:
    methods = {origin.label_method for origin in report.origins}
    yield from (text for method, text in _LIMITS.items() if method in methods)
    if not report.contamination:
        yield "It was not compared with any benchmark: decontaminate it before you report results."
    else:
        names = ", ".join(config.contamination.benchmarks)
        yield f"Decontaminated against {names} only; shared words do not reveal translations and paraphrases."
    if config.splits:
        yield "Short problems that differ in a name or an object count as different problems, and may be in two splits."
    if config.duplicates.near is None:
        yield "Near-duplicates were not looked for."
    elif methods & set(config.duplicates.near_spares):
        spared = ", ".join(config.duplicates.near_spares)
        yield f"Near-duplicates were not removed among rows with the label method {spared}."
    for name, auroc in report.leakage_auroc.items():
        yield f"Shortcut leakage of {name}: a bag of words has AUROC {auroc:.3f} (0.5 is chance)."
    for source, files in report.prm800k_files.items():
        n_train = sum(share.kept for name, share in files.items() if name.endswith("train"))
        if source == "prmbench" and n_train:
            yield f"{n_train:,} rows of {source} come from PRM800K train files: judges trained on PRM800K know them."


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # Names come from data and options: none may end its cell or act as markup.
    marks = {ord("&"): "&amp;", ord("<"): "&lt;", ord("|"): "\\|", ord("["): "\\["}
    lines = [
        [" ".join(cell.split()).translate(marks) for cell in row] for row in (header, ["---"] * len(header), *rows)
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
