"""First-error localization by the ProcessBench protocol, on any labelled solutions.

Writes `results.json`, `predictions.parquet` and `report.html`. Accuracies and F1 are in percent there, as ProcessBench
publishes them; calibration figures are not. Metric: ProcessBench (2412.06559), section 3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import polars as pl
from pydantic import Field, model_validator

from eval.intervals import LOCALIZATION_RATES, Estimate, average, estimate_calibration, estimate_localization
from eval.processbench_report import write_report
from eval.scoring import JudgedSolution, decide
from judgekit.config import BaseConfig
from judgekit.errors import ConfigError, DataError
from judgekit.io import atomic_path, write_json
from judgekit.judging import judge_in_chunks
from judgekit.metrics import choose_threshold, compute_offset_rates
from judgekit.run import Run
from judgekit.types import ArgmaxRule, Judge, Judgement, LabelledSolution, Precision, ThresholdRule

RESULTS = "results.json"
PREDICTIONS = "predictions.parquet"
REPORT = "report.html"
JUDGEMENT_DIR = "judgements"
PUBLISHED_SUBSETS = frozenset({"gsm8k", "math", "olympiadbench", "omnimath"})
"""The subsets behind the published average."""
COUNTS = ("n", "n_error", "n_correct", "n_no_verdict")
"""Names of the counts of solutions."""
PREDICTION_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "problem_id": pl.String(),
    "subset": pl.String(),
    "gold": pl.Int64(),
    "predicted": pl.Int64(),
    "no_verdict": pl.String(),
    "outcome": pl.String(),
    "posterior": pl.List(pl.Float64()),
    "p_ok": pl.List(pl.Float64()),
}
"""Columns of `predictions.parquet`. `gold` and `predicted` are 0-based with null = no error; `no_verdict` is null where
there is a verdict, so "no error" is `predicted` and `no_verdict` both null."""


class ProcessBenchConfig(BaseConfig):
    """How a judge is benchmarked."""

    benchmark: str = "processbench"
    """Name in results and report."""
    dtype: Precision = "float32"
    """Precision in which the judge runs."""
    chunk_size: int = Field(default=64, ge=1)
    """Solutions handed to the judge, and stored, at a time."""
    n_resamples: int = Field(default=2000, ge=100)
    """Bootstrap resamples behind the intervals."""
    seed: int = 0
    """Seed of the bootstrap."""
    n_bins: int = Field(default=10, ge=1)
    """Equal-width bins of the reliability diagram and the expected calibration error."""
    threshold: float | None = Field(default=None, gt=0, le=1)
    """Threshold on P(step ok); `null` = the judge's own decision rule."""
    tune_threshold_on: str | None = None
    """Subset to choose the threshold on, as published for scalar judges with `gsm8k`; `null` = nothing is tuned."""
    show_reference: bool = False
    """Whether the judge may see the reference; figures are then not comparable with published ones."""
    n_browsed: int = Field(default=2000, ge=0)
    """Solutions in the report's browser at most; of more, evenly spaced ones are shown."""

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if self.threshold is not None and self.tune_threshold_on is not None:
            raise ValueError("threshold and tune_threshold_on exclude each other: set one of them to null")
        return self


def evaluate(
    judge: Judge,
    solutions: Iterable[LabelledSolution],
    *,
    output: Path,
    config: ProcessBenchConfig,
    inputs: Sequence[Path] = (),
    resume: bool = False,
) -> dict[str, Any]:
    """Judge all solutions and write results, predictions and report.

    Args:
        judge: The judge; it sees problem and steps, never the labels.
        solutions: Labelled solutions of one or more subsets, in the same order whenever the run is resumed.
        output: Folder of the run.
        config: How.
        inputs: Files the solutions come from; their hashes go into the manifest.
        resume: Continue a run that was cut off: stored judgements are read, not made again.

    Returns:
        What `results.json` holds.

    Raises:
        DataError: no solutions, two of one id, or a resumed run's inputs or chunks do not fit.
        ConfigError: the folder is in use, or the resumed run has another configuration or judge.
        JudgeError: the judge failed.
    """
    rows = list(solutions)
    _check_solutions(rows)
    run = Run(output, config, inputs=inputs, resume=resume)
    judgements = judge_in_chunks(
        judge,
        rows,
        folder=output / JUDGEMENT_DIR,
        chunk_size=config.chunk_size,
        show_reference=config.show_reference,
    )
    rule = _decision_rule(judge, rows, judgements, config)
    judged = [decide(solution, judgement, rule) for solution, judgement in zip(rows, judgements, strict=True)]
    dtype = getattr(judge, "dtype", None)
    results = compute_results(judged, judge_id=judge.judge_id, dtype=dtype, rule=rule, config=config)
    write_predictions(output / PREDICTIONS, judged)
    write_report(output / REPORT, results, judged, n_browsed=config.n_browsed)
    write_json(output / RESULTS, results)
    if not run.finished:
        _log(run, results)
    return results


def _check_solutions(rows: Sequence[LabelledSolution]) -> None:
    if not rows:
        raise DataError("no solutions to evaluate: the input gave none")
    double = [id_ for id_, count in Counter(row.id for row in rows).items() if count > 1]
    if double:
        raise DataError(f"{len(double)} ids occur more than once, the first is {double[0]}: remove the duplicates")


def _decision_rule(
    judge: Judge, rows: Sequence[LabelledSolution], judgements: Sequence[Judgement], config: ProcessBenchConfig
) -> ThresholdRule | ArgmaxRule:
    if config.threshold is not None:
        return ThresholdRule(threshold=config.threshold, origin="given in the configuration")
    if config.tune_threshold_on is None:
        return judge.decision
    judged = [decide(row, judgement, judge.decision) for row, judgement in zip(rows, judgements, strict=True)]
    chosen_on = by_subset(judged).get(config.tune_threshold_on)
    if chosen_on is None:
        raise ConfigError(
            f"tune_threshold_on={config.tune_threshold_on!r} is no subset of the input: "
            f"it has {', '.join(by_subset(judged))}"
        )
    choice = choose_threshold([row.p_ok_S for row in chosen_on], gold_N=[row.gold for row in chosen_on])
    return ThresholdRule(threshold=choice.threshold, origin=f"best F1 on {config.tune_threshold_on} in this evaluation")


def by_subset(rows: Sequence[JudgedSolution]) -> dict[str, list[JudgedSolution]]:
    """Group rows by subset, in the order in which the subsets occur."""
    groups: dict[str, list[JudgedSolution]] = {}
    for row in rows:
        groups.setdefault(row.subset, []).append(row)
    return groups


def compute_results(
    rows: Sequence[JudgedSolution],
    *,
    judge_id: str,
    dtype: str | None = None,
    rule: ThresholdRule | ArgmaxRule,
    config: ProcessBenchConfig,
) -> dict[str, Any]:
    """Compute everything that `results.json` holds.

    `subsets` has the figures of each subset and `average` their unweighted mean, each value with the ends of its 95 %
    interval (`null` where a class is empty, so the figure does not exist). `best_threshold` is the upper bound that a
    threshold tuned on the very subset would reach: never a result. `dtype` is the precision in which the judge ran,
    `null` where it has no weights here.
    """
    subsets, estimates = {}, []
    for index, (name, group) in enumerate(by_subset(rows).items()):
        subsets[name], estimate = _subset_results(group, config, seed=config.seed + index)
        subsets[name]["threshold_tuned_here"] = name == config.tune_threshold_on
        estimates.append(estimate)
    return {
        "benchmark": config.benchmark,
        "judge_id": judge_id,
        "dtype": dtype,
        "unit": "error_accuracy, correct_accuracy, f1, f1_scored: percent; ece, brier: 0 to 1; nll: nats",
        "decision": rule.model_dump(),
        "comparability": _comparability(subsets, config),
        "subsets": subsets,
        "average": {
            "subsets": list(subsets),
            **{name: sum(values[name] for values in subsets.values()) for name in COUNTS},
            "threshold_tuned_here": config.tune_threshold_on is not None,
            **{name: _percent(average([estimate[name] for estimate in estimates])) for name in LOCALIZATION_RATES},
        },
        "cost": _cost(rows),
        "bootstrap": {
            "clustered_by": "problem_id",
            "level": 0.95,
            "n_resamples": config.n_resamples,
            "seed": config.seed,
        },
    }


def _subset_results(
    rows: Sequence[JudgedSolution], config: ProcessBenchConfig, *, seed: int
) -> tuple[dict[str, Any], Mapping[str, Estimate]]:
    counts, estimates = estimate_localization(rows, n_resamples=config.n_resamples, seed=seed)
    reasons = Counter(str(row.judgement.no_verdict) for row in rows if row.judgement.no_verdict)
    gold_N, predicted_N = [row.gold for row in rows], [row.predicted for row in rows]
    results = {
        **{name: getattr(counts, name) for name in COUNTS},
        "n_problems": len({row.solution.problem_id for row in rows}),
        "no_verdict": dict(sorted(reasons.items())),
        **{name: _percent(estimate) for name, estimate in estimates.items()},
        "offsets": asdict(compute_offset_rates(gold_N, predicted_N, judged_N=[row.judged for row in rows])),
        "calibration": _calibration_results(rows, config, seed=seed),
        "best_threshold": _best_threshold(rows),
        "cost": _cost(rows),
    }
    return results, estimates


def _calibration_results(
    rows: Sequence[JudgedSolution], config: ProcessBenchConfig, *, seed: int
) -> dict[str, Any] | None:
    computed = estimate_calibration(rows, n_bins=config.n_bins, n_resamples=config.n_resamples, seed=seed)
    if computed is None:
        return None
    calibration, estimates = computed
    return {
        "n_steps": calibration.n_steps,
        **{name: estimate.interval._asdict() for name, estimate in estimates.items()},
        "bins": [asdict(bin_) for bin_ in calibration.bins],
    }


def _best_threshold(rows: Sequence[JudgedSolution]) -> dict[str, float] | None:
    gold_N = [row.gold for row in rows]
    if all(gold is None for gold in gold_N) or None not in gold_N or not any(row.judged for row in rows):
        return None
    choice = choose_threshold([row.p_ok_S for row in rows], gold_N=gold_N)
    return {"threshold": choice.threshold, "f1": 100 * choice.f1}


def _percent(estimate: Estimate) -> dict[str, float | None]:
    ends = estimate.interval._asdict()
    return {name: None if end is None else 100 * end for name, end in ends.items()}


def _cost(rows: Sequence[JudgedSolution]) -> dict[str, float]:
    return {
        "n_tokens": sum(row.judgement.n_tokens for row in rows),
        "seconds": sum(row.judgement.seconds for row in rows),
    }


def _comparability(subsets: Mapping[str, Any], config: ProcessBenchConfig) -> list[str]:
    """Say, in words, what keeps the figures from standing beside published ones."""
    notes = []
    if config.tune_threshold_on is not None:
        notes.append(
            f"The threshold was chosen on {config.tune_threshold_on}, which is reported here: its figures are an upper "
            "bound, and the average contains them."
        )
    if config.show_reference:
        notes.append("The judge could see the reference: not comparable with published figures.")
    if set(subsets) != PUBLISHED_SUBSETS:
        notes.append(
            f"The average is over {', '.join(subsets)}; published ProcessBench averages are over "
            f"{', '.join(sorted(PUBLISHED_SUBSETS))}."
        )
    one_class = [name for name, values in subsets.items() if values["f1"]["value"] is None]
    if one_class:
        notes.append(
            f"No F1 for {', '.join(one_class)}, which lacks erroneous or correct solutions, and so no average."
        )
    return notes


def write_predictions(path: Path, rows: Sequence[JudgedSolution]) -> None:
    """Write one row a solution, columns as in `PREDICTION_SCHEMA`."""
    values = [
        {
            "id": row.solution.id,
            "problem_id": row.solution.problem_id,
            "subset": row.subset,
            "gold": row.gold,
            "predicted": row.predicted,
            "no_verdict": row.judgement.no_verdict,
            "outcome": row.outcome,
            "posterior": row.judgement.verdict.posterior if row.judgement.verdict else None,
            "p_ok": row.p_ok_S,
        }
        for row in rows
    ]
    with atomic_path(path) as partial:
        pl.DataFrame(values, schema=PREDICTION_SCHEMA).write_parquet(partial)


def _log(run: Run, results: Mapping[str, Any]) -> None:
    """Log `eval/<rate>` in percent for every subset and the average, and close the run."""
    parts = {**results["subsets"], "average": results["average"]}
    for name, values in parts.items():
        run.log({"subset": name} | {f"eval/{rate}": values[rate]["value"] for rate in LOCALIZATION_RATES})
    run.finish({f"eval/{rate}": results["average"][rate] for rate in LOCALIZATION_RATES})


__all__ = [
    "PREDICTIONS", "PREDICTION_SCHEMA", "ProcessBenchConfig", "REPORT", "RESULTS", "by_subset", "compute_results",
    "evaluate", "write_predictions",
]  # fmt: skip
