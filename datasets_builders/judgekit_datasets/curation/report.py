"""The report of a curation: the counts, and a page that shows them.

Every histogram shows rows read and rows kept. The page is one file that opens from disk without a network.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from judgekit.io import write_text
from judgekit.report.page import Section, bar_plot, collapsed, escape, figures, paragraph, render_page, table
from judgekit_datasets.build_report import NO_ERROR
from judgekit_datasets.curation.config import CurationConfig
from judgekit_datasets.curation.decontamination import PARTS, RULES

UNKNOWN = "unknown"
"""Name of what a row does not say."""
_STAGES = ("quality", "contamination", "exact duplicates", "near-duplicates", "balance")
_N_BARS = 25
_EXAMPLE_CHARS = 1500


class _Counted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Share(_Counted):
    """Rows read and rows kept of them."""

    read: int
    """Rows read."""
    kept: int
    """Rows kept."""


class Stage(_Counted):
    """One step of the funnel."""

    name: str
    """What was looked at."""
    reasons: dict[str, int]
    """Rows removed by reason, the commonest first."""
    left: int
    """Rows left after it."""


class Overlap(_Counted):
    """What the data have in common with one benchmark, whatever else is wrong with the rows."""

    benchmark: str
    """Name of the benchmark."""
    part: str
    """`problem` or `solution`."""
    texts: int
    """Texts of the benchmark."""
    texts_found: int
    """Texts of it that a matching row named; one per row, so at least so many stand in the data."""
    rows: dict[str, int]
    """Matching rows by their strongest rule: `exact`, `contained`, `ngram`."""
    problems: int
    """Distinct problems of the matching rows."""


class Origin(_Counted):
    """Kept rows of one source, label method and licence."""

    source: str
    """Data set."""
    label_method: str
    """How the labels came about."""
    licence: str
    """Licence of the source."""
    rows: int
    """Rows kept."""


class Side(_Counted):
    """One split, or the whole set."""

    rows: int
    """Rows."""
    problems: int
    """Distinct problem ids."""
    errors: int
    """Rows with an error."""


class Example(_Counted):
    """A row that was removed."""

    stage: str
    """Step of the funnel."""
    reason: str
    """Why."""
    detail: str | None
    """The value that shows it."""
    kept_id: str | None
    """Id of the row kept in its place."""
    benchmark: str | None
    """Benchmark it was found in."""
    benchmark_row: str | None
    """File and row there."""
    id: str | None
    """Id of the row."""
    problem: str | None
    """Its problem."""
    steps: list[str | None] | None
    """Its steps."""
    kept_problem: str | None
    """Problem of the row kept in its place."""
    kept_steps: list[str] | None
    """Steps of it."""


class CurationReport(_Counted):
    """The counts of one curation; `curation.json`."""

    name: str
    """Name of the data set."""
    rows_read: int
    """Rows read: always kept plus removed."""
    rows_kept: int
    """Rows kept."""
    funnel: list[Stage]
    """The stages in order; each row is removed by one."""
    splits: dict[str, Side]
    """Split -> counts; the whole set is `train`, as `datasets.load_dataset` calls it."""
    labels: dict[str, Share]
    """Rows with an error and without."""
    first_errors: dict[str, Share]
    """Rows by the 0-based index of their first error, `none` first."""
    n_steps: dict[str, Share]
    """Rows by number of steps."""
    sources: dict[str, Share]
    """Rows by source."""
    generators: dict[str, Share]
    """Rows by who wrote the solution."""
    origins: list[Origin]
    """Kept rows by source, label method and licence."""
    contamination: list[Overlap]
    """What the rows read have in common with each benchmark."""
    prm800k_files: dict[str, dict[str, Share]]
    """Rows by the file of PRM800K they were made from, for sources that come from it (PRMBench says so in its ids)."""
    leakage_auroc: dict[str, float]
    """Leakage that the builds of the data measured, by folder; 0.5 is chance."""
    examples: list[Example]
    """Some removed rows of every reason."""

    @property
    def rows_removed(self) -> int:
        """Rows removed."""
        return self.rows_read - self.rows_kept


def count_curation(
    config: CurationConfig,
    facts: pl.DataFrame,
    kept: pl.DataFrame,
    removed: pl.DataFrame,
    matches: pl.DataFrame,
    n_texts: Sequence[Sequence[int]],
    *,
    examples: Sequence[Example],
    leakage_auroc: Mapping[str, float],
) -> CurationReport:
    """Return the counts.

    Args:
        config: The options.
        facts: Facts of all rows read.
        kept: Those of the rows kept, with their `side`.
        removed: `row`, `stage` and `reason` of the others.
        matches: All matches with benchmarks.
        n_texts: Texts of each benchmark, by part.
        examples: Removed rows to show.
        leakage_auroc: Figures of the builds.
    """
    error = pl.when(pl.col("first_error").is_null()).then(pl.lit("no error")).otherwise(pl.lit("error"))
    stages, n_left = [], len(facts)
    for name in _STAGES:
        counts = removed.filter(pl.col("stage") == name)["reason"].value_counts(sort=True)
        reasons = dict(sorted(counts.iter_rows(), key=lambda item: (-item[1], item[0])))
        n_left -= sum(reasons.values())
        stages.append(Stage(name=name, reasons=reasons, left=n_left))
    keys = ("source", "label_method", "licence")
    origins = kept.group_by(*(pl.col(key).fill_null(UNKNOWN) for key in keys)).len("rows")
    origins = origins.sort("rows", *keys, descending=[True] + [False] * 3)
    matches = matches.with_columns(problem_id=facts["problem_id"].gather(matches["row"]))
    overlaps = []
    for number, name in enumerate(config.contamination.benchmarks):
        for kind, part in enumerate(PARTS):
            found = matches.filter((pl.col("benchmark") == number) & (pl.col("part") == kind))
            overlap = Overlap(
                benchmark=name,
                part=part,
                texts=n_texts[number][kind],
                texts_found=found["benchmark_row"].n_unique(),
                rows={rule: (found["rule"] == i).sum() for i, rule in enumerate(RULES)},
                problems=found["problem_id"].n_unique(),
            )
            overlaps.append(overlap)
    sides = {name: name for name in config.splits} if config.splits else {"train": ""}

    splits = {}
    for name, side in sides.items():
        rows = kept.filter(pl.col("side") == side)
        n_errors = len(rows) - rows["first_error"].null_count()
        splits[name] = Side(rows=len(rows), problems=rows["problem_id"].n_unique(), errors=n_errors)
    shares = functools.partial(_shares, facts, kept)
    return CurationReport(
        name=config.name,
        rows_read=len(facts),
        rows_kept=len(kept),
        funnel=stages,
        splits=splits,
        labels=shares(error),
        first_errors=_by_number(shares(pl.col("first_error").cast(pl.String).fill_null(NO_ERROR))),
        n_steps=_by_number(shares(pl.col("n_steps").cast(pl.String).fill_null(UNKNOWN))),
        sources=shares(pl.col("source").fill_null(UNKNOWN)),
        generators=shares(pl.col("generator").fill_null(UNKNOWN)),
        origins=[Origin(**row) for row in origins.iter_rows(named=True)],
        contamination=overlaps,
        prm800k_files={
            source: _shares(rows, kept.filter(pl.col("source") == source), pl.col("prm800k_file"))
            for (source,), rows in facts.filter(pl.col("prm800k_file").is_not_null()).group_by("source")
        },
        leakage_auroc=dict(leakage_auroc),
        examples=list(examples),
    )


def _shares(read: pl.DataFrame, kept: pl.DataFrame, key: pl.Expr) -> dict[str, Share]:
    """Count rows read and kept by a key, the commonest first."""
    n_read, n_kept = (frame.select(key=key)["key"].value_counts(name="n") for frame in (read, kept))
    counts = (
        n_read.join(n_kept, on="key", how="left", suffix="_kept")
        .fill_null(0)
        .sort("n", "key", descending=[True, False])
    )
    return {name: Share(read=n, kept=n_left) for name, n, n_left in counts.iter_rows()}


def _by_number(counts: dict[str, Share]) -> dict[str, Share]:
    """Put the keys in the order of the numbers they spell, words first."""
    return dict(sorted(counts.items(), key=lambda item: int(item[0]) if item[0].isdigit() else -1))


def render_curation(report: CurationReport) -> Group:
    """Return the funnel and the contamination as tables for the terminal."""
    funnel = Table("rows", Column("removed", justify="right"), Column("left", justify="right"))
    for name, n_removed, n_left in _funnel_rows(report):
        funnel.add_row(Text(name), n_removed, n_left)
    parts: list[Any] = [Text(f"{report.name}: {report.rows_kept:,} of {report.rows_read:,} rows kept"), funnel]
    if report.contamination:
        overlap = Table(*(Column(name, justify="right" if i else "left") for i, name in enumerate(_OVERLAP_HEADER)))
        for row in _overlap_rows(report):
            overlap.add_row(*map(Text, row))
        parts.append(overlap)
    return Group(*parts)


def write_page(report: CurationReport, path: Path) -> None:
    """Write the report as one HTML file."""
    names = ["read", *(stage.name for stage in report.funnel)]
    left = [report.rows_read, *(stage.left for stage in report.funnel)]
    bars = bar_plot(names, {"rows left": left}, title="Rows left after each stage", x_label="", y_label="rows")
    note = "Every removed row is in the folder `removed`, with the first reason that applies to it."
    funnel_html = table(("stage", "removed", "left"), _funnel_rows(report), caption=note) + figures(bars)
    plots = [
        _histogram(report.first_errors, title="First error", x_label="0-based step"),
        _histogram(report.n_steps, title="Length", x_label="steps"),
    ]
    tables = [
        _share_table("labels", report.labels),
        _share_table("source", report.sources),
        _share_table("generator", report.generators),
    ]
    origins = [(origin.source, origin.label_method, origin.licence, f"{origin.rows:,}") for origin in report.origins]
    sides = [(name, f"{s.rows:,}", f"{s.problems:,}", f"{s.errors / s.rows:.1%}") for name, s in report.splits.items()]
    leakage = [(name, f"{auroc:.3f}") for name, auroc in report.leakage_auroc.items()]
    html = table(("split", "rows", "problems", "with an error"), sides, caption="Splits")
    html += figures(*plots) + "".join(tables)
    html += table(("source", "label method", "licence", "rows kept"), origins, caption="Where the kept rows come from")
    if leakage:
        note = (
            "How well a bag of words separates erroneous from correct solutions, as measured by the builds; 0.5 is "
            "chance"
        )
        html += table(("data", "AUROC"), leakage, caption=note)
    sections = [
        Section("Funnel", funnel_html),
        Section("Contents", html),
        Section("Overlap with benchmarks", _contamination_html(report)),
        Section("Removed rows", "".join(map(_example_html, report.examples)) or paragraph("No row was removed.")),
    ]
    share = report.rows_kept / report.rows_read
    lead = paragraph(f"{report.rows_kept:,} of {report.rows_read:,} rows kept ({share:.1%}).")
    write_text(path, render_page(f"Curation of {report.name}", sections, lead=lead))


def _funnel_rows(report: CurationReport) -> list[tuple[str, str, str]]:
    rows = [("read", "", f"{report.rows_read:,}")]
    for stage in report.funnel:
        rows.append((stage.name, f"{sum(stage.reasons.values()):,}", f"{stage.left:,}"))
        rows += [(f"\u2003{reason}", f"{count:,}", "") for reason, count in stage.reasons.items()]
    return rows


def _histogram(counts: Mapping[str, Share], *, title: str, x_label: str) -> str:
    items = list(counts.items())
    if len(items) > _N_BARS:  # what does not fit is pooled into the last bar
        tail = items[_N_BARS - 1 :]
        rest = Share(read=sum(s.read for _, s in tail), kept=sum(s.kept for _, s in tail))
        items[_N_BARS - 1 :] = [(f"{tail[0][0]}+", rest)]
    shown = dict(items)
    series = {
        "kept": [share.kept for share in shown.values()],
        "removed": [share.read - share.kept for share in shown.values()],
    }
    return bar_plot(list(shown), series, title=title, x_label=x_label, y_label="rows")


def _share_table(name: str, counts: Mapping[str, Share]) -> str:
    rows = [(key, f"{s.read:,}", f"{s.kept:,}", f"{s.kept / s.read:.1%}") for key, s in counts.items()]
    shown = table((name, "read", "kept", "share kept"), rows[:_N_BARS])
    rest = rows[_N_BARS:]
    return shown + (collapsed(f"{len(rest)} more", table((name, "read", "kept", "share kept"), rest)) if rest else "")


_OVERLAP_HEADER = ("benchmark", "part", "texts", "found", "rows", *RULES, "problems")


def _overlap_rows(report: CurationReport) -> list[tuple[str, ...]]:
    return [
        (
            overlap.benchmark,
            overlap.part,
            *(f"{n:,}" for n in (overlap.texts, overlap.texts_found, sum(overlap.rows.values()))),
            *(f"{overlap.rows[rule]:,}" for rule in RULES),
            f"{overlap.problems:,}",
        )
        for overlap in report.contamination
    ]


def _contamination_html(report: CurationReport) -> str:
    if not report.contamination:
        html = paragraph("No benchmark was given (contamination.benchmarks), so nothing was compared.")
    else:
        note = (
            "Texts of the benchmark, how many of them were found in the data, and the rows of the data that match, by "
            "their strongest rule: the same words; all of a text that is shorter than an n-gram; n-grams."
        )
        html = table(_OVERLAP_HEADER, _overlap_rows(report), caption=note)
    for source, files in report.prm800k_files.items():
        rows = [(name, f"{share.read:,}", f"{share.kept:,}") for name, share in files.items()]
        n_train = sum(share.read for name, share in files.items() if name.endswith("train"))
        note = f"Rows of {source} by the file of PRM800K they were made from; {n_train:,} come from its train files"
        html += table(("file", "read", "kept"), rows, caption=note)
    return html


def _example_html(example: Example) -> str:
    where = f", {example.benchmark}: {example.benchmark_row}" if example.benchmark else ""
    detail = f" ({example.detail})" if example.detail else ""
    texts = _solution_html(f"removed, id {example.id}", example.problem, example.steps)
    if example.kept_problem is not None:
        texts += _solution_html(f"kept, id {example.kept_id}", example.kept_problem, example.kept_steps)
    return collapsed(f"{example.reason}{detail}{where}", f'<div class="figures">{texts}</div>')


def _solution_html(title: str, problem: str | None, steps: Sequence[str | None] | None) -> str:
    texts = [text or "" for text in (problem, *(steps or ()))]
    shown, *rest = [text if len(text) <= _EXAMPLE_CHARS else f"{text[:_EXAMPLE_CHARS]} …" for text in texts]
    items = "".join(f'<li class="step text">{escape(step)}</li>' for step in rest)
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><div class="problem text">{escape(shown)}</div>'
        f'<ol class="steps">{items}</ol></figure>'
    )
