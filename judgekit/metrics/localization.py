"""Where the first error is: outcomes, both ProcessBench accuracies, F1, and where predictions fall instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judgekit.metrics.checks import Floats, check_lengths, defined, ratio


class Outcome(StrEnum):
    """How a predicted first error relates to the true one."""

    RIGHT = "right"
    """The exact step, or rightly none."""
    EARLY = "early"
    """A step before the first error."""
    LATE = "late"
    """A step after the first error."""
    MISSED = "missed"
    """There is an error and none was predicted."""
    FALSE_ALARM = "false_alarm"
    """There is no error and one was predicted."""
    NO_VERDICT = "no_verdict"
    """The judge gave no verdict."""


def classify_outcome(gold: int | None, predicted: int | None, *, judged: bool) -> Outcome:
    """Compare one prediction with its label.

    Args:
        gold: True first error, 0-based, `None` = no error.
        predicted: Predicted first error in the same terms; ignored where the judge gave no verdict.
        judged: Whether the judge gave a verdict.

    Example:
        >>> str(classify_outcome(3, 1, judged=True))
        'early'
    """
    if not judged:
        return Outcome.NO_VERDICT
    if gold == predicted:
        return Outcome.RIGHT
    if gold is None:
        return Outcome.FALSE_ALARM
    if predicted is None:
        return Outcome.MISSED
    return Outcome.EARLY if predicted < gold else Outcome.LATE


class Counts(NamedTuple):
    """Solutions by class, and how many of each were judged and hit: sums of these give every localization rate."""

    n_error: int
    """Solutions with an error."""
    n_correct: int
    """Solutions without one."""
    n_error_judged: int
    """Erroneous solutions with a verdict."""
    n_correct_judged: int
    """Correct solutions with a verdict."""
    n_error_hit: int
    """Erroneous solutions whose first error was predicted exactly."""
    n_correct_hit: int
    """Correct solutions for which no error was predicted."""


def count_hits(
    gold_N: Sequence[int | None], predicted_N: Sequence[int | None], *, judged_N: Sequence[bool]
) -> NDArray[np.int64]:
    """Return one row of `Counts` a solution, to be summed over solutions or resampled problems. Shape (N, 6).

    Raises:
        DataError: no solutions, or lengths differ.
    """
    check_lengths(gold_N, predicted_N, judged_N)
    rows = []
    for gold, predicted, judged in zip(gold_N, predicted_N, judged_N, strict=True):
        error, hit = gold is not None, judged and gold == predicted
        rows.append((error, not error, error and judged, not error and judged, error and hit, not error and hit))
    return np.array(rows, dtype=np.int64)


@dataclass(frozen=True)
class Localization:
    """ProcessBench figures of one set of solutions. A rate is `None` if its class is empty.

    Source:
        ProcessBench (2412.06559), section 3: accuracies on the erroneous and on the correct solutions, and their
        harmonic mean. Given here in [0, 1]; published times 100.
    """

    n: int
    """All solutions."""
    n_error: int
    """Solutions with an error."""
    n_correct: int
    """Solutions without one."""
    n_no_verdict: int
    """Solutions without a verdict, in either class."""
    error_accuracy: float | None
    """Share of erroneous solutions whose first error was predicted exactly; no verdict counts as wrong."""
    correct_accuracy: float | None
    """Share of correct solutions for which no error was predicted; no verdict counts as wrong."""
    f1: float | None
    """Harmonic mean of the two, 0 if both are 0."""
    f1_scored: float | None
    """The same over the solutions with a verdict alone. Not the published convention."""


def compute_localization(
    gold_N: Sequence[int | None], predicted_N: Sequence[int | None], *, judged_N: Sequence[bool]
) -> Localization:
    """Compute both ProcessBench accuracies and F1.

    Args:
        gold_N: True first errors, 0-based, `None` = no error.
        predicted_N: Predicted first errors in the same terms; ignored where the judge gave no verdict.
        judged_N: Whether the judge gave a verdict.

    Raises:
        DataError: no solutions, or lengths differ.

    Example:
        >>> compute_localization([0, 2, None, None], [0, 1, None, None], judged_N=[True] * 4).f1
        0.6666666666666666
    """
    sums = count_hits(gold_N, predicted_N, judged_N=judged_N).sum(axis=0)
    counts = Counts(*(int(total) for total in sums))
    error_accuracy, correct_accuracy, f1, f1_scored = (defined(value) for value in localization_rates(sums[None, :])[0])
    n = counts.n_error + counts.n_correct
    return Localization(
        n=n,
        n_error=counts.n_error,
        n_correct=counts.n_correct,
        n_no_verdict=n - counts.n_error_judged - counts.n_correct_judged,
        error_accuracy=error_accuracy,
        correct_accuracy=correct_accuracy,
        f1=f1,
        f1_scored=f1_scored,
    )


def localization_rates(counts_R: NDArray[np.int64] | Floats) -> Floats:
    """Turn summed `Counts` into error accuracy, correct accuracy, F1 and F1 over the judged.

    Args:
        counts_R: Sums of `count_hits` rows. Shape (R, 6).

    Returns:
        Shape (R, 4); NaN if a class is empty, for internal arithmetic only.
    """
    n_error, n_correct, n_error_judged, n_correct_judged, error_hit, correct_hit = np.asarray(counts_R, dtype=float).T
    error_accuracy, correct_accuracy = ratio(error_hit, n_error), ratio(correct_hit, n_correct)
    f1 = harmonic_mean(error_accuracy, correct_accuracy)
    f1_scored = harmonic_mean(ratio(error_hit, n_error_judged), ratio(correct_hit, n_correct_judged))
    return np.stack([error_accuracy, correct_accuracy, f1, f1_scored], axis=1)


def harmonic_mean(a: Floats, b: Floats) -> Floats:
    """Return 2ab / (a + b) elementwise, 0 if both are 0, NaN if either is NaN."""
    total = a + b
    return np.divide(2 * a * b, total, out=np.where(np.isnan(total), np.nan, 0.0), where=total > 0)


@dataclass(frozen=True)
class OffsetRates:
    """Where predictions fall relative to the true first error. Shares of their class, `None` if it is empty.

    The first five are shares of the erroneous solutions and sum to 1; the last three are shares of the correct ones and
    sum to 1.
    """

    exact: float | None
    """Predicted the very step; equals the error accuracy."""
    early: float | None
    """Predicted a step before it."""
    late: float | None
    """Predicted a step after it."""
    missed: float | None
    """Predicted no error."""
    no_verdict_error: float | None
    """Gave no verdict on an erroneous solution."""
    clear: float | None
    """Rightly predicted no error; equals the correct accuracy."""
    false_alarm: float | None
    """Predicted an error in a correct solution."""
    no_verdict_correct: float | None
    """Gave no verdict on a correct solution."""


_OFFSETS = (
    (True, Outcome.RIGHT), (True, Outcome.EARLY), (True, Outcome.LATE), (True, Outcome.MISSED),
    (True, Outcome.NO_VERDICT), (False, Outcome.RIGHT), (False, Outcome.FALSE_ALARM), (False, Outcome.NO_VERDICT),
)  # fmt: skip
"""Whether there is an error, and the outcome, of each field of `OffsetRates`."""


def count_offsets(
    gold_N: Sequence[int | None], predicted_N: Sequence[int | None], *, judged_N: Sequence[bool]
) -> NDArray[np.int64]:
    """Return one row a solution with a 1 in the column of its field of `OffsetRates`, to be summed. Shape (N, 8).

    Raises:
        DataError: no solutions, or lengths differ.
    """
    check_lengths(gold_N, predicted_N, judged_N)
    counts = np.zeros((len(gold_N), len(_OFFSETS)), dtype=np.int64)
    for index, (gold, predicted, judged) in enumerate(zip(gold_N, predicted_N, judged_N, strict=True)):
        outcome = classify_outcome(gold, predicted, judged=judged)
        counts[index, _OFFSETS.index((gold is not None, outcome))] = 1
    return counts


def offset_rates(counts_R: NDArray[np.int64] | Floats) -> Floats:
    """Turn summed `count_offsets` into the fields of `OffsetRates`. Shape (R, 8), NaN if a class is empty."""
    counts = np.asarray(counts_R, dtype=float)
    in_error, in_correct = counts[:, :5], counts[:, 5:]
    shares = [
        ratio(part, np.broadcast_to(part.sum(axis=1, keepdims=True), part.shape)) for part in (in_error, in_correct)
    ]
    return np.concatenate(shares, axis=1)
