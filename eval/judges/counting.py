"""What a benchmark counts of each judged solution, and the figures that sums of these counts give.

A protocol is a pair of pure functions from `judgekit.metrics` joined to `JudgedSolution`. Since every figure is a
function of sums over solutions, one bootstrap over problems gives it its resamples. Figures are in [0, 1] here (MCC in
[-1, 1]); they become percent where results are written (`Estimate.as_dict`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.judges.intervals import LOCALIZATION_RATES, Estimate
from eval.judges.judged_solution import JudgedSolution
from judgekit.errors import DataError
from judgekit.metrics.bigbench_mistake import ACCURACY_RATES, accuracy_rates
from judgekit.metrics.bootstrap import cluster_bootstrap
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


@dataclass(frozen=True)
class Protocol:
    """How judged solutions are counted, and what the counts add up to."""

    names: tuple[str, ...]
    """The figures, in the order of the statistic's columns."""
    count: Callable[[Sequence[JudgedSolution]], NDArray[np.int64]]
    """One row of counts a solution. Shape (N, K)."""
    statistic: Callable[[Floats], Floats]
    """From summed rows, shape (R, K), to the figures, shape (R, M), NaN where undefined."""


def estimate(
    protocol: Protocol,
    rows: Sequence[JudgedSolution],
    *,
    cluster_N: Sequence[Hashable],
    n_resamples: int,
    seed: int,
) -> dict[str, Estimate]:
    """Compute a protocol's figures and their resamples.

    The same seed on the same solutions in the same order draws the same problems, whatever the judge and the protocol:
    the difference of two judges' resamples is a paired bootstrap.

    Args:
        protocol: What to count.
        rows: Judged solutions; at least one.
        cluster_N: What is resampled as a whole: the problem of each solution.
        n_resamples: Number of resamples.
        seed: Of the draws.

    Raises:
        DataError: no rows, or rows that the protocol cannot count.
    """
    counts_N = protocol.count(rows)
    values = protocol.statistic(counts_N.sum(axis=0, keepdims=True))[0]
    resampled_R = cluster_bootstrap(
        counts_N, cluster_N=cluster_N, statistic=protocol.statistic, n_resamples=n_resamples, seed=seed
    )
    return {
        name: Estimate(None if np.isnan(value) else float(value), resampled_R[:, column])
        for column, (name, value) in enumerate(zip(protocol.names, values, strict=True))
    }


def called_ok(row: JudgedSolution) -> tuple[bool, ...] | None:
    """Return which steps the decision calls right; `None` where there is no verdict. Shape (S,)."""
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
            f"{solution.id}: step {solution.labels.index(StepLabel.UNLABELLED)} is unlabelled, and this benchmark "
            "counts every step: use it on data whose steps are all labelled"
        )
    return tuple(label is not StepLabel.ERROR for label in solution.labels)


def _count_hits(rows: Sequence[JudgedSolution]) -> NDArray[np.int64]:
    return count_hits(*_decisions(rows), judged_N=[row.judged for row in rows])


def _count_calls(rows: Sequence[JudgedSolution]) -> NDArray[np.int64]:
    return count_calls(*_decisions(rows), judged_N=[row.judged for row in rows])


def _decisions(rows: Sequence[JudgedSolution]) -> tuple[list[int | None], list[int | None]]:
    return [row.gold for row in rows], [row.predicted for row in rows]


def _count_steps(rows: Sequence[JudgedSolution]) -> NDArray[np.int64]:
    return count_steps([labelled_ok(row.solution) for row in rows], called_ok_N=[called_ok(row) for row in rows])


def _count_steps_by_class(rows: Sequence[JudgedSolution]) -> NDArray[np.int64]:
    return place_by_class(_count_steps(rows), class_N=[row.subset for row in rows])


def _first_error_rates(counts_R: Floats) -> Floats:
    return np.concatenate([localization_rates(counts_R), accuracy_rates(counts_R)], axis=1)


FIRST_ERROR = Protocol((*LOCALIZATION_RATES, *ACCURACY_RATES), _count_hits, _first_error_rates)
"""First-error localization: both accuracies, F1, and the share of all solutions rightly decided."""
MR_GSM8K = Protocol(MR_GSM8K_RATES, _count_calls, mr_gsm8k_rates)
"""Correctness of the solution and first error, without the reason."""
STEPS = Protocol(STEP_RATES, _count_steps, step_rates)
"""PRMScore over all steps of the given solutions."""
PRMBENCH = Protocol(PRMBENCH_RATES, _count_steps_by_class, prmbench_rates)
"""PRMScore over the steps of all classes, and the dimensions, from one bootstrap."""
