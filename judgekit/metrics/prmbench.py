"""PRMBench: every step is called correct or wrong, also behind the first error, and PRMScore weighs both F1 equally.

The positive class is the correct step. PRMScore = 0.5 * F1 + 0.5 * F1 of the wrong steps, micro over the steps of a set
of solutions: of one class, or of all nine for the overall figure. Class `multi_solutions` holds no wrong step, so
there the second F1 does not exist and the score is F1 alone. A dimension is the unweighted mean of its classes'
scores.

A verdict gives P(step ok | earlier steps ok), which is also what a step after the first error is called by, while the
labels are about each step by itself: a judge that says where the first error is, and nothing about later steps, loses
there. That is a property of the benchmark, not of this module.

Source:
    Song et al., PRMBench (2501.03124), section 4; `mr_eval/tasks/prmtest_classified/task.py` and `mr_visualize` of
    ssmisya/PRMBench for what the paper leaves open. Differs from it in: (1) there, a solution whose reply cannot be
    read is left out (and a validity rate reported), which is `prm_score_scored` here; `prm_score` counts all its steps
    as called wrongly. (2) There, a step is correct above the threshold, here from the threshold on, as everywhere in
    this library. (3) There, judges that also score redundancy (prompted critics, ReasonEval) are read by "not
    redundant" in the classes `redundency` and `circular`; all others by validity in every class, as is done here for
    every judge. Labels are inverted for nobody: the needless step is the wrong one. (4) An F1 without a true positive
    is 0 here, and may be -1 there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judgekit.errors import DataError
from judgekit.metrics.checks import Floats, check_lengths, ratio
from judgekit.ties import is_below

PRMBENCH_DIMENSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "simplicity": ("redundency", "circular"),
        "soundness": ("counterfactual", "step_contradiction", "domain_inconsistency", "confidence"),
        "sensitivity": ("missing_condition", "deception", "multi_solutions"),
    }
)
"""Classes of each dimension, spelled as in the data."""
PRMBENCH_CLASSES = tuple(name for classes in PRMBENCH_DIMENSIONS.values() for name in classes)
"""The nine classes."""
STEP_RATES = (
    "f1_positive", "f1_negative", "prm_score",
    "f1_positive_scored", "f1_negative_scored", "prm_score_scored",
)  # fmt: skip
"""Names of the columns of `step_rates`."""
PRMBENCH_RATES = (*STEP_RATES, *PRMBENCH_DIMENSIONS)
"""Names of the columns of `prmbench_rates`."""
EVEN = 0.5
"""Threshold on P(step ok | earlier ok) where the decision rule has none."""


class StepCounts(NamedTuple):
    """Steps by their label and by what the judge called them: sums of these give every figure."""

    ok_passed: int
    """Right steps called right: the true positives."""
    ok_flagged: int
    """Right steps called wrong."""
    error_passed: int
    """Wrong steps called right."""
    error_flagged: int
    """Wrong steps called wrong."""
    ok_unjudged: int
    """Right steps of solutions without a verdict."""
    error_unjudged: int
    """Wrong steps of solutions without a verdict."""


def call_steps(p_ok_S: Sequence[float], *, predicted: int | None, threshold: float | None) -> tuple[bool, ...]:
    """Call every step of a judged solution correct or wrong, in agreement with its predicted first error.

    Under a threshold a step is wrong where P(step ok | earlier ok) lies below it; the first such step is the predicted
    one. A rule without a threshold takes the most probable outcome of the first-error posterior: that step is wrong,
    and so is every step to which the posterior gives more than half of what it has left there, P(step ok | earlier ok)
    below 0.5. No step before the most probable outcome, and none if that is "no error", can be such a step.

    Args:
        p_ok_S: P(step ok | earlier steps ok). Shape (S,).
        predicted: Predicted first error, 0-based, `None` = no error.
        threshold: Lowest probability that passes as right; `None` = the most probable outcome was taken.

    Returns:
        Shape (S,), true where the step is called right.

    Example:
        >>> call_steps([0.9, 0.6, 0.3, 0.8], predicted=1, threshold=None)
        (True, False, False, True)
    """
    lowest = EVEN if threshold is None else threshold
    return tuple(not is_below(p_ok, lowest) and k != predicted for k, p_ok in enumerate(p_ok_S))


def count_steps(ok_N: Sequence[Sequence[bool]], *, called_ok_N: Sequence[Sequence[bool] | None]) -> NDArray[np.int64]:
    """Return one row of `StepCounts` a solution, to be summed over solutions or resampled problems. Shape (N, 6).

    Args:
        ok_N: For each solution, whether each step is correct.
        called_ok_N: For each solution, whether each step was called right; `None` if the judge gave no verdict.

    Raises:
        DataError: no solutions, or lengths differ.
    """
    check_lengths(ok_N, called_ok_N)
    return np.array(
        [_count(ok_S, called_S, where=i) for i, (ok_S, called_S) in enumerate(zip(ok_N, called_ok_N, strict=True))],
        dtype=np.int64,
    )


def _count(ok_S: Sequence[bool], called_S: Sequence[bool] | None, *, where: int) -> StepCounts:
    n_ok = sum(map(bool, ok_S))
    if called_S is None:
        return StepCounts(0, 0, 0, 0, n_ok, len(ok_S) - n_ok)
    if len(ok_S) != len(called_S):
        raise DataError(f"solution {where}: {len(ok_S)} labels but {len(called_S)} calls: give one per step in each")
    ok_passed = sum(ok and called for ok, called in zip(ok_S, called_S, strict=True))
    error_passed = sum(map(bool, called_S)) - ok_passed
    return StepCounts(ok_passed, n_ok - ok_passed, error_passed, len(ok_S) - n_ok - error_passed, 0, 0)


def step_rates(counts_R: NDArray[np.int64] | Floats) -> Floats:
    """Turn summed `StepCounts` into F1 of the correct steps, F1 of the wrong steps and PRMScore.

    Args:
        counts_R: Sums of `count_steps` rows. Shape (R, 6).

    Returns:
        Shape (R, 6), in [0, 1]: the three with all steps of unjudged solutions called wrongly, then the three over the
        judged solutions alone. NaN, for internal arithmetic only, where there is no step of that label; PRMScore is the
        first F1 alone where no step is wrong.
    """
    ok_passed, ok_flagged, error_passed, error_flagged, ok_unjudged, error_unjudged = np.asarray(counts_R, float).T
    all_wrong = (ok_passed, ok_flagged + ok_unjudged, error_passed + error_unjudged, error_flagged)
    judged = (ok_passed, ok_flagged, error_passed, error_flagged)
    return np.concatenate([_f1_pair(*all_wrong), _f1_pair(*judged)], axis=1)


def _f1_pair(ok_passed: Floats, ok_flagged: Floats, error_passed: Floats, error_flagged: Floats) -> Floats:
    """Return both F1 and PRMScore. Shape (R, 3)."""
    wrong_calls = ok_flagged + error_passed
    positive = np.where(ok_passed + ok_flagged > 0, ratio(2 * ok_passed, 2 * ok_passed + wrong_calls), np.nan)
    negative = np.where(
        error_passed + error_flagged > 0, ratio(2 * error_flagged, 2 * error_flagged + wrong_calls), np.nan
    )
    score = np.where(np.isnan(negative), positive, (positive + negative) / 2)
    return np.stack([positive, negative, score], axis=1)


def place_by_class(counts_N: NDArray[np.int64], *, class_N: Sequence[str]) -> NDArray[np.int64]:
    """Put each solution's counts into the columns of its class, so that sums keep the classes apart.

    Args:
        counts_N: Rows of `count_steps`. Shape (N, 6).
        class_N: Class of each solution, one of `PRMBENCH_CLASSES`.

    Returns:
        Shape (N, 54): six columns per class, in the order of `PRMBENCH_CLASSES`.

    Raises:
        DataError: lengths differ, or a class is unknown.
    """
    check_lengths(counts_N, class_N)
    unknown = sorted(set(class_N) - set(PRMBENCH_CLASSES))
    if unknown:
        raise DataError(f"{', '.join(unknown)}: not a class of PRMBench, which has {', '.join(PRMBENCH_CLASSES)}")
    placed = np.zeros((len(counts_N), len(PRMBENCH_CLASSES), counts_N.shape[1]), dtype=np.int64)
    placed[np.arange(len(counts_N)), [PRMBENCH_CLASSES.index(name) for name in class_N]] = counts_N
    return placed.reshape(len(counts_N), -1)


def prmbench_rates(sums_R: NDArray[np.int64] | Floats) -> Floats:
    """Turn summed rows of `place_by_class` into the overall figures and the three dimensions.

    Args:
        sums_R: Sums of `place_by_class` rows. Shape (R, 54).

    Returns:
        Shape (R, 9): `step_rates` over the steps of all classes, then the dimensions, each the mean of its classes'
        PRMScore with no verdict counted as wrong. NaN if a class of the dimension has no solution.
    """
    by_class = np.asarray(sums_R, dtype=float).reshape(len(sums_R), len(PRMBENCH_CLASSES), -1)
    score_of = STEP_RATES.index("prm_score")
    scores = {name: step_rates(by_class[:, place])[:, score_of] for place, name in enumerate(PRMBENCH_CLASSES)}
    dimensions = [np.mean([scores[name] for name in names], axis=0) for names in PRMBENCH_DIMENSIONS.values()]
    return np.column_stack([step_rates(by_class.sum(axis=1)), *dimensions])
