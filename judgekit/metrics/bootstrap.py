"""Intervals and comparisons: bootstrap over problems, percentile and score intervals, paired differences, Holm."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import stdev
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from judgekit.metrics.checks import Floats, check_lengths
from judgekit.ties import TIE

DRAWS_PER_BLOCK = 1_000_000
"""Weights of clusters or units held in memory at a time by the bootstrap: 8 MB an array, near what caches hold."""
MAX_KEPT_DRAWS = 2**25
"""Resamples times clusters up to which draws are kept for the next figure, a byte each or two: 1,000 resamples of
33,000 problems. Larger sets are drawn again for every figure, a block at a time, so memory stays bounded."""
KEPT_SETS = 2
"""Sets of draws that are kept: of the subset that is measured, and of the one around it."""


class Interval(NamedTuple):
    """A value with its interval; all `None` if the value is undefined."""

    value: float | None
    """The statistic on the data itself."""
    lo: float | None
    """Lower end of the interval."""
    hi: float | None
    """Upper end of the interval."""


@dataclass(frozen=True)
class Resamples:
    """Resamples of whole clusters with replacement: one set of draws for everything computed on the same units.

    Solutions of one problem rise and fall together, so it is problems that are drawn, as many as there are, each with
    all its rows. Draws depend on seed and number of clusters alone, so figures of two judges on the same solutions are
    paired resample by resample. One cluster shows nothing of the spread between clusters: every resample is NaN if
    all units are of one.
    """

    cluster_N: NDArray[np.int64]
    """Cluster of each unit, 0..n_clusters-1. Shape (N,)."""
    n_clusters: int
    """Clusters that are drawn from; some may have no unit here."""
    n_resamples: int
    """Number of resamples, at least 1."""
    seed: int
    """Of the draws; the same seed gives the same resamples."""

    @classmethod
    def of(cls, cluster_N: Sequence[Hashable], *, n_resamples: int, seed: int) -> Self:
        """Number the clusters in the order in which they occur.

        Raises:
            DataError: no units.
        """
        check_lengths(cluster_N)
        index: dict[Hashable, int] = {}
        cluster_index_N = [index.setdefault(cluster, len(index)) for cluster in cluster_N]
        return cls(np.array(cluster_index_N, dtype=np.int64), len(index), n_resamples, seed)

    def of_parts(self, unit_K: NDArray[np.int64]) -> Self:
        """Return the same draws for parts of the units, such as steps of solutions.

        Args:
            unit_K: The unit each part belongs to, 0..N-1; a unit may have none. Shape (K,).
        """
        return replace(self, cluster_N=self.cluster_N[unit_K])

    def of_sums(self, sums_N: NDArray[np.int64] | Floats, statistic: Callable[[Floats], Floats]) -> Floats:
        """Compute a statistic of summed rows on each resample: fast, for whatever is made of sums.

        Args:
            sums_N: What the statistic needs summed, one row a unit. Shape (N, K).
            statistic: Maps summed rows, shape (R, K), to statistics, shape (R, M), NaN if undefined.

        Returns:
            Shape (R, M). NaN if a resample happened to hold no unit of a class that the statistic needs.

        Raises:
            DataError: lengths differ, or no units.
        """
        check_lengths(sums_N, self.cluster_N)
        totals_C = np.zeros((self.n_clusters, sums_N.shape[1]))
        np.add.at(totals_C, self.cluster_N, sums_N)
        summed = [weights_C @ totals_C for weights_C in self._cluster_weights(row_length=self.n_clusters)]
        return self._with_spread(statistic(np.concatenate(summed)))

    def of_weights(self, statistic: Callable[[Floats], Floats]) -> Floats:
        """Compute a statistic of weighted units on each resample, for what is not a function of sums, such as ranks.

        Args:
            statistic: Maps how often each unit was drawn, integers of shape (R, N), to statistics, shape (R,) or
                (R, M), NaN if undefined. Called for a block of resamples at a time.
        """
        row_length = max(self.n_clusters, len(self.cluster_N))
        blocks = self._cluster_weights(row_length=row_length)
        return self._with_spread(np.concatenate([statistic(block[:, self.cluster_N]) for block in blocks]))

    def _cluster_weights(self, *, row_length: int) -> Iterator[Floats]:
        """Yield how often each cluster is drawn, a block of resamples at a time. Shape (R, C)."""
        block = max(1, DRAWS_PER_BLOCK // row_length)
        if self.n_resamples * self.n_clusters > MAX_KEPT_DRAWS:
            yield from _draw(self.n_clusters, self.n_resamples, seed=self.seed, block=block)
            return
        kept = _kept_draws(self.n_clusters, self.n_resamples, self.seed)
        for start in range(0, self.n_resamples, block):
            yield kept[start : start + block].astype(float)

    def count_clusters(self, counted_N: NDArray[np.bool_]) -> int:
        """Return the number of clusters among the units that count. Shape (N,)."""
        return len(np.unique(self.cluster_N[counted_N]))

    def _with_spread(self, resampled_R: Floats) -> Floats:
        several = self.n_clusters > 1 and (self.cluster_N != self.cluster_N[0]).any()
        return resampled_R if several else np.full_like(resampled_R, np.nan)


def _draw(n_clusters: int, n_resamples: int, *, seed: int, block: int) -> Iterator[Floats]:
    """Draw clusters and yield how often each one comes, `block` resamples at a time, which changes no draw."""
    rng = np.random.default_rng(seed)
    for start in range(0, n_resamples, block):
        n_rows = min(block, n_resamples - start)
        draws = rng.integers(n_clusters, size=(n_rows, n_clusters)) + n_clusters * np.arange(n_rows)[:, None]
        weights = np.bincount(draws.ravel(), minlength=n_rows * n_clusters).reshape(n_rows, n_clusters)
        yield weights.astype(float)


@lru_cache(maxsize=KEPT_SETS)
def _kept_draws(n_clusters: int, n_resamples: int, seed: int) -> NDArray[np.unsignedinteger]:
    """Return all draws of `_draw`, in the smallest integers that hold them. Shape (R, C).

    The dozens of figures of a subset share their draws; drawing again for each took up to a fifth of its time.
    """
    blocks = _draw(n_clusters, n_resamples, seed=seed, block=max(1, DRAWS_PER_BLOCK // n_clusters))
    narrow = [weights.astype(np.min_scalar_type(int(weights.max()))) for weights in blocks]
    kept = np.concatenate(narrow)
    kept.flags.writeable = False
    return kept


def cluster_bootstrap(
    sums_N: NDArray[np.int64] | Floats,
    *,
    cluster_N: Sequence[Hashable],
    statistic: Callable[[Floats], Floats],
    n_resamples: int,
    seed: int,
) -> Floats:
    """Resample whole clusters and compute a statistic of the summed rows: `Resamples.of_sums` in one call.

    Args:
        sums_N: What the statistic needs summed, one row a unit. Shape (N, K).
        cluster_N: The problem each unit belongs to.
        statistic: Maps summed rows, shape (R, K), to statistics, shape (R, M), NaN if undefined.
        n_resamples: Number of resamples, at least 1.
        seed: Of the draws; the same seed gives the same resamples.

    Returns:
        Shape (R, M). NaN if undefined: a class was not drawn, or there is but one cluster.

    Raises:
        DataError: no units, or lengths differ.
    """
    return Resamples.of(cluster_N, n_resamples=n_resamples, seed=seed).of_sums(sums_N, statistic)


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


class PairedDifference(NamedTuple):
    """By how much one figure exceeds another on the same solutions or seeds; all `None` if undefined."""

    difference: float | None
    """Figure of the first less figure of the second."""
    lo: float | None
    """Lower end of the interval."""
    hi: float | None
    """Upper end of the interval."""
    p_value: float | None
    """Two-sided, of the hypothesis that the difference is 0, in (0, 1]."""


def paired_bootstrap(
    value_a: float | None, value_b: float | None, *, a_R: Floats, b_R: Floats, level: float = 0.95
) -> PairedDifference:
    """Compare a figure of two judges, given its resamples for both with the same draws (`Resamples`).

    The p-value is the level at which the percentile interval of the difference begins to leave out 0: twice the smaller
    share of resamples on either side of 0, those at 0 (but for rounding, `judgekit.ties`) counted to both, 1 added
    above and below, so it is never 0 and identical judges have 1. Resamples in which either figure is undefined are
    left out.

    Args:
        value_a: Figure of the first judge, `None` if undefined.
        value_b: Figure of the second judge.
        a_R: Resamples of the first figure, NaN if undefined. Shape (R,).
        b_R: Resamples of the second, with the same draws: same solutions in the same order, same seed.
        level: Of the interval.

    Raises:
        DataError: unequal numbers of resamples.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 15.4 (percentile interval turned into a
        test); the added 1: Davison and Hinkley, Bootstrap Methods and their Application (1997), section 4.2.
    """
    check_lengths(a_R, b_R)
    difference = None if value_a is None or value_b is None else value_a - value_b
    difference_R = np.where(np.isclose(a_R, b_R, rtol=TIE, atol=0.0), 0.0, a_R - b_R)
    defined = difference_R[~np.isnan(difference_R)]
    interval = percentile_interval(difference, difference_R, level=level)
    if difference is None or not len(defined):
        return PairedDifference(*interval, p_value=None)
    n_fewest = min(int(np.sum(defined <= 0)), int(np.sum(defined >= 0)))
    return PairedDifference(*interval, p_value=min(1.0, 2 * (n_fewest + 1) / (len(defined) + 1)))


def t_interval(values_N: Sequence[float], *, level: float = 0.95) -> Interval:
    """Return the mean of a few independent runs with Student's interval; no ends for one run, all `None` for none.

    For seeds of a training run: the spread between them is all there is to go by, and two of them say next to nothing.
    Runs that end alike show no spread to go by, so they have no ends either, rather than an interval of no width.
    Their values should not be far from normal; of paired runs give the differences.

    Args:
        values_N: One value a run.
        level: Of the interval.

    Source:
        Student, The probable error of a mean (1908).

    Example:
        >>> [round(float(value), 3) for value in t_interval([0.2, 0.4, 0.3])]
        [0.3, 0.052, 0.548]
    """
    n = len(values_N)
    if not n:
        return Interval(None, None, None)
    mean = math.fsum(values_N) / n
    if max(values_N) - min(values_N) <= TIE * max(map(abs, values_N)):  # one run is alike to itself
        return Interval(mean, None, None)
    std_error = math.sqrt(math.fsum((value - mean) ** 2 for value in values_N) / (n - 1) / n)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * std_error
    return Interval(mean, mean - half, mean + half)


def paired_t(a_N: Sequence[float], b_N: Sequence[float]) -> PairedDifference:
    """Compare two ways of training by the difference between them at each seed: Student's interval and paired t test.

    For a few seeds; the differences should not be far from normal. `lo`, `hi` and `p_value` are `None` if there is
    no spread to go by: one seed, or differences that are all equal.

    Args:
        a_N: One value a seed.
        b_N: Those of the other, seed by seed. Shape (N,).

    Raises:
        DataError: lengths differ, or no values.

    Source:
        Student, The probable error of a mean (1908).

    Example:
        >>> difference, lo, hi, p_value = paired_t([0.4, 0.5, 0.7], [0.3, 0.3, 0.4])
        >>> round(difference, 3), round(lo, 3), round(hi, 3), round(p_value, 3)
        (0.2, -0.048, 0.448, 0.074)
    """
    check_lengths(a_N, b_N)
    # Differences alike except for the rounding of the values themselves have no spread, however small they are.
    size = max(map(abs, [*a_N, *b_N]))
    gaps_N = [a - b for a, b in zip(a_N, b_N, strict=True)]
    if max(gaps_N) - min(gaps_N) <= TIE * size:
        return PairedDifference(math.fsum(gaps_N) / len(gaps_N), None, None, None)
    t = math.fsum(gaps_N) / (stdev(gaps_N) * math.sqrt(len(gaps_N)))
    return PairedDifference(*t_interval(gaps_N), p_value=2 * float(stdtr(len(gaps_N) - 1, -abs(t))))


def holm_adjust(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many comparisons were made, in the order given.

    Reject what is at most alpha, and the chance of any false rejection is at most alpha, however the comparisons depend
    on each other. The i-th smallest of m (from 0) is multiplied by m - i, never below a smaller one, at most 1.

    Source:
        Holm, A simple sequentially rejective multiple test procedure (1979).

    Example:
        >>> holm_adjust([0.03, 0.01, 0.5])
        [0.06, 0.03, 0.5]
    """
    adjusted, lowest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        lowest = max(lowest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = lowest
    return adjusted


def wilson_interval(hits: int, n: int, *, z: float = 1.959964) -> Interval:
    """Return hits / n with its score interval, which stays within [0, 1] and is honest for few units and at both ends.

    Units must be independent; for several solutions per problem use `cluster_bootstrap`.

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
    # With no hit, and with nothing else, one end is the share itself, which rounding must not put outside the interval.
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))
