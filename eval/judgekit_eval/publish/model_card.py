"""The model card of a pushed judge: `README.md`, and `.eval_results/*.yaml`, from which the Hub makes leaderboards.

Source:
    Model cards and `.eval_results` of the Hugging Face Hub (hub-docs, `modelcard.md` and `eval_results.yaml`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from judgekit.calibration.card import describe_after, describe_calibrator
from judgekit.judges.card import JudgeCard
from judgekit.report.markdown import markdown_table
from judgekit_eval.judges.benchmarks import find_benchmark
from judgekit_eval.judges.schema import EvalResults
from judgekit_eval.report.leaderboard import threshold_origin
from judgekit_eval.report.markdown_leaderboard import cell

TAGS = ("process-reward-model", "prm", "reward-model", "verifier", "error-localization", "math", "judgekit", "sgpo")
"""What people look for on the Hub; the judge's kind comes behind."""


class Measured(NamedTuple):
    """Results of the judge on one benchmark."""

    results: EvalResults
    """What `results.json` holds."""
    date: str
    """When the evaluation ended, ISO 8601."""


def render_model_card(
    card: JudgeCard, measured: Sequence[Measured], *, repo_id: str, licence: str, base_model: str | None
) -> str:
    """Return the text of `README.md`.

    Args:
        card: The judge's card.
        measured: What was measured of it.
        repo_id: `OWNER/NAME` on the Hub.
        licence: Name of the licence as the Hub spells it.
        base_model: Hub id of what it was trained from; `None` if that is not on the Hub.
    """
    head = {
        "license": licence,
        "library_name": "sgpo",
        "pipeline_tag": "text-classification",
        "tags": [*TAGS, card.kind],
        **({"base_model": base_model} if base_model else {}),
    }
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n".join(_body(card, measured, repo_id=repo_id, base_model=base_model))


def _body(card: JudgeCard, measured: Sequence[Measured], *, repo_id: str, base_model: str | None) -> Iterator[str]:
    yield f"# {card.judge_id}\n"
    yield (
        f"A step-wise judge (`{card.kind}`): it reads a problem and a solution in steps and gives the probability that "
        f"the first error is in each step, or that there is none. Decision rule: {card.decision}.\n"
    )
    yield "## Use\n"
    yield (
        "```\npip install sgpo\n```\n\n```python\nfrom judgekit import Solution, load_judge\n\n"
        f'judge = load_judge("{repo_id}")\n'
        '[judgement] = judge.judge([Solution(problem="2+3-1?", steps=("2+3=6", "6-1=5"))])\n'
        "judgement.verdict.posterior                      # P(first error in step 0, 1, ...), P(no error) last\n"
        "judgement.verdict.decide(judge.info.decision)    # 0-based step, None: no error\n```\n"
    )
    yield "## Figures\n"
    if measured:
        yield "In percent, with 95 % bootstrap intervals over problems; a solution without a verdict counts as wrong.\n"
        rows = [row for item in measured for row in _rows(item.results)]
        yield markdown_table(("benchmark", "subset", "figure", "value", "solutions", "no verdict", "decided by"), rows)
        yield ""
        notes = [f"- {item.results.benchmark}: {text}" for item in measured for text in notes_of(item.results)]
        yield "\n".join(notes) + "\n"
    else:
        yield "None were measured: run `judgekit eval`.\n"
    yield "## Training data\n"
    yield "\n".join(f"- {line}" for line in _data_lines(card, base_model)) + "\n"
    yield "## Calibration\n"
    if card.calibrator is None or card.calibration is None:
        yield "Not calibrated: treat its probabilities as scores.\n"
    else:
        fitted, report = card.calibrator.fingerprint, card.calibration
        after = describe_after(report, card.calibrator.kind)
        yield (
            f"Calibrator: {describe_calibrator(card.calibrator)}, fitted on {fitted.n_solutions:,} solutions to "
            f"{fitted.n_problems:,} problems ({', '.join(fitted.sources)}). On other data its probabilities are not "
            "guaranteed to be calibrated.\n"
        )
        figures = [(name, f"{report.before[name]:.4f}", f"{report.after[name]:.4f}") for name in report.before]
        yield markdown_table(("figure", "before", after), figures) + "\n"
    if card.conformal is not None:
        yield (
            f"Conformal thresholds at error probability {card.conformal.alpha:g}, from "
            f"{card.conformal.n_problems:,} problems.\n"
        )
    yield "## Limits\n"
    if card.reading is None:
        yield "- Not measured: whether it reads the problem (`judgekit attack --store`).\n"
    else:
        yield f"- Reading score {card.reading.auc:.2f}; 0.5 means a judge that goes by style alone.\n"


def _rows(results: EvalResults) -> Iterator[tuple[str, ...]]:
    """Yield the headline, and the same score on each subset where there are several."""
    benchmark = find_benchmark(results.benchmark)
    decided, overall = threshold_origin(results.decision), results.overall
    n, unjudged = f"{overall.n:,}", f"{overall.n_no_verdict:,}"
    yield benchmark.title, "all", results.headline.name, cell(results.headline), n, unjudged, decided
    for name, part in results.subsets.items() if len(results.subsets) > 1 else ():
        score = part.scores.get(benchmark.headline_score)
        if score is not None:
            n, unjudged = f"{part.n:,}", f"{part.n_no_verdict:,}"
            yield benchmark.title, name, benchmark.headline_score, cell(score), n, unjudged, decided


def notes_of(results: EvalResults) -> list[str]:
    """Return what a reader of the figures has to know, in whole sentences."""
    return [*results.comparability, results.protocol.contamination.note, *results.undefined]


def _data_lines(card: JudgeCard, base_model: str | None) -> Iterator[str]:
    made_from = base_model or (f"`{card.base_model}`, which is not on the Hub" if card.base_model else "unknown")
    yield f"Base model: {made_from}."
    counts = card.training.get("counts", {})
    if counts:
        yield ", ".join(f"{name.replace('_', ' ')}: {value:,}" for name, value in counts.items()) + "."
    config = card.training.get("config", {})
    data = config.get("data", ()) if isinstance(config, dict) else ()
    if data:
        yield f"Data sets: {', '.join([data] if isinstance(data, str) else map(str, data))}."
    yield (
        "Hashes of the problems that it was trained and calibrated on are in `train_problem_ids.txt` and "
        "`calibration_problem_ids.txt`: `judgekit eval` reports overlap with a benchmark."
    )


def hub_results(measured: Sequence[Measured]) -> dict[str, str]:
    """Return the files of `.eval_results` by name, one per benchmark whose data are on the Hub.

    Figures over another part of a benchmark than the published one are left out: they are none of that benchmark.
    """
    files = {}
    for results, date in measured:
        benchmark = find_benchmark(results.benchmark)
        if (
            benchmark.hub_id is None
            or results.headline.value is None
            or not benchmark.is_whole({name: part.n for name, part in results.subsets.items()})
        ):
            continue
        interval = f"95 % interval {cell(results.headline)}"
        notes = "; ".join([results.headline.name, interval, f"decided by {threshold_origin(results.decision)}"])
        entry = EvalResultEntry(
            dataset_id=benchmark.hub_id,
            task_id="default",
            value=round(results.headline.value, 2),
            date=date,
            notes=f"{notes}; {' '.join(notes_of(results))}",
        )
        text = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True, width=100)
        files[f".eval_results/{benchmark.name}.yaml"] = text
    return files
