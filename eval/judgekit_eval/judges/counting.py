"""What a benchmark counts for each judged solution, and the metrics computed from sums of these counts.

A `MetricSet` connects two pure functions of `judgekit.metrics` to `JudgedSolution`. Since every metric is a function of
sums over solutions, one bootstrap over problems gives its resamples. Metrics are in [0, 1] here (MCC in [-1, 1]); they
become percent where results are written (`Estimate.metric`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judgekit.errors import DataError
from judgekit.metrics.bigbench_mistake import ACCURACY_RATES, accuracy_rates
from judgekit.metrics.bootstrap import Resamples
from judgekit.metrics.checks import Floats
from judgekit.metrics.localization import count_hits, localization_rates
from judgekit.metrics.mr_gsm8k import MR_GSM8K_RATES, count_calls, mr_gsm8k_rates
from judgekit.metrics.prmbench import (
    PRMBENCH_RATES,
    STEP_RATES,
    call_steps,
    count_steps,
    place_by_class,
    prmbench_rates,
    step_rates,
)
from judgekit.types import LabelledSolution, StepLabel
from judgekit_eval.judges.intervals import LOCALIZATION_RATES, Estimate, estimate_sums
from judgekit_eval.judges.judged_solution import JudgedSolution


@dataclass(frozen=True)
class MetricSet:
    """How judged solutions are counted, and which metrics the counts add up to."""

    names: tuple[str, ...]
    """The metrics, in the order of the statistic's columns."""
    count: Callable[[Sequence[JudgedSolution]], NDArray[np.int64]]
    """One row of counts a solution. Shape (N, K). `DataError` where rows cannot be counted."""
    statistic: Callable[[Floats], Floats]
    """From summed rows, shape (R, K), to the metrics, shape (R, M), NaN if undefined."""

    def estimate(self, rows: Sequence[JudgedSolution], resamples: Resamples) -> dict[str, Estimate]:
        """Compute the metrics of judged solutions and their resamples."""
        return estimate_sums(self.count(rows), self.statistic, self.names, resamples)


def called_ok(row: JudgedSolution) -> tuple[bool, ...] | None:
    """Return which steps the decision calls right; `None` if there is no verdict. Shape (S,)."""
    if row.p_ok_S is None:
        return None
    return call_steps(row.p_ok_S, predicted=row.predicted, threshold=row.threshold)


def labelled_ok(solution: LabelledSolution) -> tuple[bool, ...]:
    """Return which steps are labelled right, where every step has a label. Shape (S,).

    Raises:
        DataError: a step is unlabelled.
    """
    if StepLabel.UNLABELLED in solution.labels:
        raise DataError(
            f"{solution.id}: step {solution.labels.index(StepLabel.UNLABELLED)} is unlabelled, but this benchmark "
            "counts every step: use it on data whose steps are all labelled"
        )
    return tuple(label is not StepLabel.ERROR for label in solution.labels)


def _decisions(rows: Sequence[JudgedSolution]) -> tuple[list[int | None], list[int | None]]:
    return [row.gold for row in rows], [row.predicted for row in rows]


def _count_steps(rows: Sequence[JudgedSolution]) -> NDArray[np.int64]:
    return count_steps([labelled_ok(row.solution) for row in rows], called_ok_N=[called_ok(row) for row in rows])


FIRST_ERROR = MetricSet(
    names=(*LOCALIZATION_RATES, *ACCURACY_RATES),
    count=lambda rows: count_hits(*_decisions(rows), judged_N=[row.judged for row in rows]),
    statistic=lambda counts_R: np.concatenate([localization_rates(counts_R), accuracy_rates(counts_R)], axis=1),
)
"""First-error localization: both ProcessBench accuracies and F1, in which no verdict is wrong; `f1_scored` over the
judged alone; `accuracy`, the share of all solutions decided correctly, and `accuracy_scored`, over the judged alone."""
MR_GSM8K = MetricSet(
    names=MR_GSM8K_RATES,
    count=lambda rows: count_calls(*_decisions(rows), judged_N=[row.judged for row in rows]),
    statistic=mr_gsm8k_rates,
)
"""Correctness of the solution and first error, without the reason."""
STEPS = MetricSet(names=STEP_RATES, count=_count_steps, statistic=step_rates)
"""PRMScore over all steps of the given solutions."""
PRMBENCH = MetricSet(
    names=PRMBENCH_RATES,
    count=lambda rows: place_by_class(_count_steps(rows), class_N=[row.subset for row in rows]),
    statistic=prmbench_rates,
)
"""PRMScore over the steps of all classes, and the dimensions, from one bootstrap."""
