"""Pure metrics of judges: ProcessBench localization, step-level calibration, threshold search and bootstrap.

numpy only. First errors are 0-based and `None` means "no error"; whether a judge gave a verdict at all stands beside it
as `judged_N`, so "no error" and "no verdict" never share a spelling. Rates lie in [0, 1] and nothing is rounded;
ProcessBench is published times 100, which is done where results are written. Axis suffixes: `_N` solutions, `_S` steps
of one solution, `_K` steps of all solutions in one row, `_C` clusters, `_R` resamples, `_M` statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judgekit.errors import DataError

Floats = NDArray[np.float64]

DRAWS_PER_BLOCK = 4_000_000
"""Cluster draws held in memory at a time by the bootstrap: 32 MB an array."""


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
    _check_lengths(gold_N, predicted_N, judged_N)
    rows = []
    for gold, predicted, judged in zip(gold_N, predicted_N, judged_N, strict=True):
        error, hit = gold is not None, judged and gold == predicted
        rows.append((error, not error, error and judged, not error and judged, error and hit, not error and hit))
    return np.array(rows, dtype=np.int64)


@dataclass(frozen=True)
class Localization:
    """ProcessBench figures of one set of solutions. A rate is `None` where its class is empty.

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
    """Harmonic mean of the two, 0 where both are 0."""
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
    error_accuracy, correct_accuracy, f1, f1_scored = (
        None if np.isnan(value) else float(value) for value in localization_rates(sums[None, :])[0]
    )
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
        Shape (R, 4); NaN where a class is empty, for internal arithmetic only.
    """
    n_error, n_correct, n_error_judged, n_correct_judged, error_hit, correct_hit = np.asarray(counts_R, dtype=float).T
    error_accuracy, correct_accuracy = _ratio(error_hit, n_error), _ratio(correct_hit, n_correct)
    f1 = harmonic_mean(error_accuracy, correct_accuracy)
    f1_scored = harmonic_mean(_ratio(error_hit, n_error_judged), _ratio(correct_hit, n_correct_judged))
    return np.stack([error_accuracy, correct_accuracy, f1, f1_scored], axis=1)


def harmonic_mean(a: Floats, b: Floats) -> Floats:
    """Return 2ab / (a + b) elementwise, 0 where both are 0, NaN where either is NaN."""
    total = a + b
    return np.divide(2 * a * b, total, out=np.where(np.isnan(total), np.nan, 0.0), where=total > 0)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


@dataclass(frozen=True)
class OffsetRates:
    """Where predictions fall relative to the true first error. Shares of their class, `None` where it is empty.

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


def compute_offset_rates(
    gold_N: Sequence[int | None], predicted_N: Sequence[int | None], *, judged_N: Sequence[bool]
) -> OffsetRates:
    """Compute the shares of exact, early, late and missed first errors, and of false alarms.

    Raises:
        DataError: no solutions, or lengths differ.
    """
    _check_lengths(gold_N, predicted_N, judged_N)
    in_error: list[Outcome] = []
    in_correct: list[Outcome] = []
    for gold, predicted, judged in zip(gold_N, predicted_N, judged_N, strict=True):
        outcome = classify_outcome(gold, predicted, judged=judged)
        (in_correct if gold is None else in_error).append(outcome)
    return OffsetRates(
        exact=_share(in_error, Outcome.RIGHT),
        early=_share(in_error, Outcome.EARLY),
        late=_share(in_error, Outcome.LATE),
        missed=_share(in_error, Outcome.MISSED),
        no_verdict_error=_share(in_error, Outcome.NO_VERDICT),
        clear=_share(in_correct, Outcome.RIGHT),
        false_alarm=_share(in_correct, Outcome.FALSE_ALARM),
        no_verdict_correct=_share(in_correct, Outcome.NO_VERDICT),
    )


def _share(outcomes: Sequence[Outcome], wanted: Outcome) -> float | None:
    return outcomes.count(wanted) / len(outcomes) if outcomes else None


class Interval(NamedTuple):
    """A value with its interval; all `None` where the value is undefined."""

    value: float | None
    """The statistic on the data itself."""
    lo: float | None
    """Lower end of the interval."""
    hi: float | None
    """Upper end of the interval."""


def cluster_bootstrap(
    sums_N: NDArray[np.int64] | Floats,
    *,
    cluster_N: Sequence[Hashable],
    statistic: Callable[[Floats], Floats],
    n_resamples: int,
    seed: int,
) -> Floats:
    """Resample whole clusters with replacement and compute a statistic of the summed rows for each resample.

    Solutions of one problem rise and fall together, so it is problems that are drawn, as many as there are, each with
    all its rows.

    Args:
        sums_N: What the statistic needs summed, one row a unit. Shape (N, K).
        cluster_N: The problem each unit belongs to.
        statistic: Maps summed rows, shape (R, K), to statistics, shape (R, M), NaN where undefined.
        n_resamples: Number of resamples, at least 1.
        seed: Of the draws; the same seed gives the same resamples.

    Returns:
        Shape (R, M). NaN where a resample happened to hold no unit of a class that the statistic needs.

    Raises:
        DataError: no units, or lengths differ.
    """
    _check_lengths(sums_N, cluster_N)
    totals_C = _sum_by_cluster(np.asarray(sums_N, dtype=float), cluster_N)
    n_clusters = len(totals_C)
    rng = np.random.default_rng(seed)
    block = max(1, DRAWS_PER_BLOCK // n_clusters)
    summed = []
    for start in range(0, n_resamples, block):
        n_rows = min(block, n_resamples - start)
        draws = rng.integers(n_clusters, size=(n_rows, n_clusters)) + n_clusters * np.arange(n_rows)[:, None]
        weights = np.bincount(draws.ravel(), minlength=n_rows * n_clusters).reshape(n_rows, n_clusters)
        summed.append(weights.astype(float) @ totals_C)
    return statistic(np.concatenate(summed))


def _sum_by_cluster(sums_N: Floats, cluster_N: Sequence[Hashable]) -> Floats:
    index: dict[Hashable, int] = {}
    cluster_index_N = [index.setdefault(cluster, len(index)) for cluster in cluster_N]
    totals_C = np.zeros((len(index), sums_N.shape[1]))
    np.add.at(totals_C, cluster_index_N, sums_N)
    return totals_C


def percentile_interval(value: float | None, resampled_R: Floats, *, level: float = 0.95) -> Interval:
    """Return a value with the central percentile interval of its resamples.

    Resamples in which the statistic is undefined (NaN: a class was not drawn) are left out. Lower and upper end are
    order statistics that were really drawn, taken outwards, so a small number of resamples never narrows the interval.
    """
    defined = resampled_R[~np.isnan(resampled_R)]
    if value is None or not len(defined):
        return Interval(value, None, None)
    tail = (1 - level) / 2
    lo = np.quantile(defined, tail, method="lower")
    hi = np.quantile(defined, 1 - tail, method="higher")
    return Interval(value, float(lo), float(hi))


def wilson_interval(hits: int, n: int, *, z: float = 1.959964) -> Interval:
    """Return hits / n with its score interval, which stays within [0, 1] and is honest for few units and at both ends.

    Units must be independent; for several solutions a problem use `cluster_bootstrap`.

    Args:
        hits: Units for which something holds, 0..n.
        n: All units; 0 gives an undefined value.
        z: Half-width in standard deviations; the default is that of 95 %.

    Source:
        Wilson, Probable inference, the law of succession, and statistical inference (1927).

    Example:
        >>> [round(float(bound), 3) for bound in wilson_interval(8, 10)]
        [0.8, 0.49, 0.943]
    """
    if not n:
        return Interval(None, None, None)
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


class StepProbs(NamedTuple):
    """The reached steps of many solutions in one row each. Shape (K,) all three."""

    p_ok_K: Floats
    """P(step ok | earlier steps ok), in [0, 1]."""
    ok_K: Floats
    """1.0 where the step is right or neutral, 0.0 where it is the first error."""
    solution_K: NDArray[np.int64]
    """Index of the solution each step belongs to, to cluster by."""


def collect_reached_steps(p_ok_N_S: Sequence[Sequence[float] | None], *, gold_N: Sequence[int | None]) -> StepProbs:
    """Keep the steps that P(step ok | earlier steps ok) speaks of: up to and including the true first error.

    Later steps lie outside the condition "earlier steps ok". Neutral steps count as right, as in the labels.

    Args:
        p_ok_N_S: Probabilities of each solution, ragged; `None` where the judge gave no verdict (left out).
        gold_N: True first errors, 0-based, `None` = no error.

    Raises:
        DataError: no solutions, lengths differ, or a first error lies beyond the steps.
    """
    _check_lengths(p_ok_N_S, gold_N)
    probs: list[float] = []
    oks: list[bool] = []
    owners: list[int] = []
    for index, (p_ok_S, gold) in enumerate(zip(p_ok_N_S, gold_N, strict=True)):
        if p_ok_S is None:
            continue
        _check_gold(gold, n_steps=len(p_ok_S), where=index)
        reached = p_ok_S if gold is None else p_ok_S[: gold + 1]
        probs += reached
        oks += [step != gold for step in range(len(reached))]
        owners += [index] * len(reached)
    return StepProbs(
        np.array(probs, dtype=np.float64), np.array(oks, dtype=np.float64), np.array(owners, dtype=np.int64)
    )


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram."""

    lo: float
    """Lower edge; probabilities equal to it belong to this bin."""
    hi: float
    """Upper edge; belongs to the next bin, except 1.0, which belongs to the last."""
    count: int
    """Steps in the bin."""
    mean_prob: float | None
    """Mean probability of the steps; `None` in an empty bin."""
    frac_ok: float | None
    """Share of the steps that are right; `None` in an empty bin."""


@dataclass(frozen=True)
class Calibration:
    """Step-level calibration of a judge."""

    n_steps: int
    """Steps that went into it."""
    ece: float
    """Expected calibration error, in [0, 1]."""
    brier: float
    """Mean squared error of the probability, in [0, 1]."""
    nll: float
    """Mean negative log-likelihood, nats."""
    bins: tuple[Bin, ...]
    """Equal-width bins behind the expected calibration error."""


def compute_calibration(
    p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats, *, n_bins: int
) -> Calibration:
    """Compute expected calibration error, Brier score and negative log-likelihood of step probabilities.

    Args:
        p_ok_K: P(step ok | earlier steps ok) of reached steps, in [0, 1].
        ok_K: 1 where the step is right, else 0.
        n_bins: Equal-width bins on [0, 1], at least 1.

    Raises:
        DataError: no steps, lengths differ, or a value lies outside its range.
    """
    bins = compute_bins(p_ok_K, ok_K, n_bins=n_bins)
    return Calibration(
        n_steps=len(p_ok_K),
        ece=compute_ece(bins),
        brier=compute_brier(p_ok_K, ok_K),
        nll=compute_nll(p_ok_K, ok_K),
        bins=bins,
    )


def compute_bins(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats, *, n_bins: int) -> tuple[Bin, ...]:
    """Sort step probabilities into equal-width bins on [0, 1], each closed below and open above (the last one closed).

    Raises:
        DataError: no steps, lengths differ, or a value lies outside its range.
    """
    p_ok, ok = _checked_steps(p_ok_K, ok_K)
    edges = np.arange(n_bins + 1) / n_bins
    index_K = bin_index(p_ok, n_bins=n_bins)
    counts = np.bincount(index_K, minlength=n_bins)
    prob_sums = np.bincount(index_K, weights=p_ok, minlength=n_bins)
    ok_sums = np.bincount(index_K, weights=ok, minlength=n_bins)
    return tuple(
        Bin(
            lo=float(edges[b]),
            hi=float(edges[b + 1]),
            count=int(count),
            mean_prob=float(prob_sums[b] / count) if count else None,
            frac_ok=float(ok_sums[b] / count) if count else None,
        )
        for b, count in enumerate(counts)
    )


def bin_index(p_ok_K: Floats, *, n_bins: int) -> NDArray[np.int64]:
    """Return the equal-width bin of each probability, 0-based; 1.0 falls into the last one. Shape (K,)."""
    edges = np.arange(n_bins + 1) / n_bins
    return np.minimum(np.searchsorted(edges, p_ok_K, side="right") - 1, n_bins - 1)


def compute_ece(bins: Sequence[Bin]) -> float:
    """Return the count-weighted mean distance between mean probability and share of right steps.

    Source:
        Guo et al. 2017 (1706.04599), eq. 3, on P(step ok) instead of the top class's confidence.
    """
    n_steps = sum(bin_.count for bin_ in bins)
    gaps = [b.count * abs(b.mean_prob - b.frac_ok) for b in bins if b.mean_prob is not None and b.frac_ok is not None]
    return float(sum(gaps) / n_steps)


def compute_brier(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats) -> float:
    """Return the mean of (p - ok)^2.

    Raises:
        DataError: no steps, lengths differ, or a value lies outside its range.

    Example:
        >>> compute_brier([0.5, 1.0], [1, 1])
        0.125
    """
    p_ok, ok = _checked_steps(p_ok_K, ok_K)
    return float(np.mean((p_ok - ok) ** 2))


NLL_CLIP = 1e-7
"""Probabilities are moved into [NLL_CLIP, 1 - NLL_CLIP] before the logarithm: one sure mistake costs at most 16.1 nats.
About the resolution of a float32 probability below 1, so a judge is not punished for its arithmetic."""


def step_nll(p_ok_K: Floats, ok_K: Floats) -> Floats:
    """Return -log of the probability given to what is true, nats, clipped by `NLL_CLIP`. Shape (K,)."""
    p_true = np.where(ok_K > 0, p_ok_K, 1 - p_ok_K)
    return -np.log(np.clip(p_true, NLL_CLIP, 1 - NLL_CLIP))


def compute_nll(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats) -> float:
    """Return the mean negative log-likelihood of step labels, nats; clipped, see `NLL_CLIP`.

    Raises:
        DataError: no steps, lengths differ, or a value lies outside its range.
    """
    return float(np.mean(step_nll(*_checked_steps(p_ok_K, ok_K))))


class ThresholdChoice(NamedTuple):
    """A decision threshold with the figure it was chosen for."""

    threshold: float
    """Middle of [lo, hi]."""
    f1: float
    """ProcessBench F1 in [0, 1] at the threshold, on the solutions it was chosen on: an upper bound there."""
    lo: float
    """Lower end of the thresholds that reach this F1, exclusive."""
    hi: float
    """Upper end of the thresholds that reach this F1, inclusive."""


def choose_threshold(p_ok_N_S: Sequence[Sequence[float] | None], *, gold_N: Sequence[int | None]) -> ThresholdChoice:
    """Find the threshold on P(step ok) with the best ProcessBench F1; the prediction is the first step below it.

    Exact: a solution with true first error g is hit for p_g < t <= min(p_0..p_{g-1}), a correct one for t <= min(p), so
    F1 only changes where such an interval ends, and every stretch between two ends is tried. Of several best stretches
    the widest is taken (the lowest of equally wide ones), and of it the middle, so that the choice depends little on
    single probabilities.

    Args:
        p_ok_N_S: P(step ok | earlier steps ok) of each solution, ragged; `None` = no verdict, wrong at every threshold.
        gold_N: True first errors, 0-based, `None` = no error.

    Raises:
        DataError: no solutions, lengths differ, a first error lies beyond the steps, or one of the classes is empty.
    """
    _check_lengths(p_ok_N_S, gold_N)
    n_error = sum(gold is not None for gold in gold_N)
    n_correct = len(gold_N) - n_error
    if not n_error or not n_correct:
        raise DataError(
            f"a threshold needs solutions with and without an error, not {n_error} with and {n_correct} without: "
            "choose it on a split that has both"
        )
    hits_error, hits_correct = _hit_intervals(p_ok_N_S, gold_N)
    ends = np.unique(np.concatenate([[0.0, 1.0], hits_error.ravel(), hits_correct.ravel()]))
    tried = ends[1:]
    f1 = harmonic_mean(_n_inside(hits_error, tried) / n_error, _n_inside(hits_correct, tried) / n_correct)
    lo, hi = _widest_best_stretch(ends, f1)
    middle = (lo + hi) / 2
    return ThresholdChoice(threshold=middle if middle > lo else hi, f1=float(f1.max()), lo=lo, hi=hi)


def _hit_intervals(p_ok_N_S: Sequence[Sequence[float] | None], gold_N: Sequence[int | None]) -> tuple[Floats, Floats]:
    """Return the half-open (lo, hi] of thresholds that hit, for erroneous and correct solutions. Shape (., 2) each."""
    hits_error, hits_correct = [], []
    for index, (p_ok_S, gold) in enumerate(zip(p_ok_N_S, gold_N, strict=True)):
        if p_ok_S is None:
            continue
        _check_gold(gold, n_steps=len(p_ok_S), where=index)
        if gold is None:
            hits_correct.append((0.0, min(p_ok_S)))
            continue
        before = min(p_ok_S[:gold], default=1.0)
        if p_ok_S[gold] < before:
            hits_error.append((p_ok_S[gold], before))
    return np.array(hits_error, dtype=float).reshape(-1, 2), np.array(hits_correct, dtype=float).reshape(-1, 2)


def _n_inside(intervals: Floats, points: Floats) -> Floats:
    """Count the half-open intervals (lo, hi] that hold each point."""
    opened = np.searchsorted(np.sort(intervals[:, 0]), points, side="left")
    closed = np.searchsorted(np.sort(intervals[:, 1]), points, side="left")
    return (opened - closed).astype(float)


def _widest_best_stretch(ends: Floats, values: Floats) -> tuple[float, float]:
    """Join neighbouring stretches ends[i]..ends[i+1] of the best value and return the widest."""
    best = np.concatenate([[False], values == values.max(), [False]])
    starts, stops = np.flatnonzero(~best[:-1] & best[1:]), np.flatnonzero(best[:-1] & ~best[1:])
    widest = int(np.argmax(ends[stops] - ends[starts]))
    return float(ends[starts[widest]]), float(ends[stops[widest]])


def _check_lengths(*columns: Sequence[object] | NDArray[np.generic]) -> None:
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise DataError(f"columns of one table have lengths {lengths}: give one value a solution in each")
    if not lengths[0]:
        raise DataError("nothing to measure: a metric of no solutions does not exist")


def _check_gold(gold: int | None, *, n_steps: int, where: int) -> None:
    if gold is not None and not 0 <= gold < n_steps:
        raise DataError(f"solution {where}: first error {gold} lies outside 0..{n_steps - 1}")


def _checked_steps(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats) -> tuple[Floats, Floats]:
    p_ok, ok = np.asarray(p_ok_K, dtype=float), np.asarray(ok_K, dtype=float)
    _check_lengths(p_ok, ok)
    outside = ~((p_ok >= 0) & (p_ok <= 1))
    if outside.any():
        raise DataError(f"step {int(outside.argmax())}: probability {p_ok[outside][0]} lies outside [0, 1]")
    if not np.isin(ok, (0.0, 1.0)).all():
        raise DataError("a step is right (1) or wrong (0), nothing else")
    return p_ok, ok


__all__ = [
    "Bin", "Calibration", "Counts", "Interval", "Localization", "NLL_CLIP", "OffsetRates", "Outcome", "StepProbs",
    "ThresholdChoice", "bin_index", "choose_threshold", "classify_outcome", "cluster_bootstrap",
    "collect_reached_steps", "compute_bins", "compute_brier", "compute_calibration", "compute_ece",
    "compute_localization", "compute_nll", "compute_offset_rates", "count_hits", "harmonic_mean", "localization_rates",
    "percentile_interval", "step_nll", "wilson_interval",
]  # fmt: skip
