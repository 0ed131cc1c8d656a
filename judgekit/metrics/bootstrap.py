"""Intervals: bootstrap over problems, percentile and score intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judgekit.metrics.checks import Floats, check_lengths

DRAWS_PER_BLOCK = 4_000_000
"""Cluster draws held in memory at a time by the bootstrap: 32 MB an array."""


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
    check_lengths(sums_N, cluster_N)
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


__all__ = ["DRAWS_PER_BLOCK", "Interval", "cluster_bootstrap", "percentile_interval", "wilson_interval"]
