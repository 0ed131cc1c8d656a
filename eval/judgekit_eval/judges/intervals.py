"""Metrics of judged solutions with bootstrap intervals clustered by problem.

The resamples of each metric are kept with its interval, so that averages over subsets get their own intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judgekit.metrics.bootstrap import Interval, PairedDifference, Resamples, paired_bootstrap, percentile_interval
from judgekit.metrics.checks import Floats, defined, ratio
from judgekit_eval.results import Metric

LOCALIZATION_RATES = ("error_accuracy", "correct_accuracy", "f1", "f1_scored")
"""Names of the columns of `localization_rates`."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its resamples."""

    value: float | None
    """On the data itself; `None` if undefined."""
    resampled_R: Floats
    """On each resample, NaN if undefined there. Shape (R,)."""

    @property
    def interval(self) -> Interval:
        """The central 95 % percentile interval."""
        return percentile_interval(self.value, self.resampled_R)

    def metric(self, *, scale: float = 1.0) -> Metric:
        """Return a value and its interval as in results, times a scale: 100 for percent."""
        return metric_of(self.interval, scale=scale)


def metric_of(interval: Interval, *, scale: float = 1.0) -> Metric:
    """Return an interval as in results, times a scale."""
    value, lo, hi = (None if end is None else scale * end for end in interval)
    return Metric(value=value, lo=lo, hi=hi)


def metrics(estimates: Mapping[str, Estimate], *, scale: float = 1.0) -> dict[str, Metric]:
    """Return the metric of each estimate by its name, see `Estimate.metric`."""
    return {name: estimate.metric(scale=scale) for name, estimate in estimates.items()}


def estimate_sums(
    sums_N: NDArray[np.int64] | Floats,
    statistic: Callable[[Floats], Floats],
    names: Sequence[str],
    resamples: Resamples,
) -> dict[str, Estimate]:
    """Estimate statistics of summed rows.

    Args:
        sums_N: What the statistic needs summed, one row a unit. Shape (N, K).
        statistic: Maps summed rows, shape (R, K), to statistics, shape (R, M), NaN if undefined.
        names: Of the statistics. Length M.
        resamples: Of the units.
    """
    values_M = statistic(np.asarray(sums_N, dtype=float).sum(axis=0, keepdims=True))[0]
    return _named(names, values_M, resamples.of_sums(sums_N, statistic))


def estimate_weighted(
    statistic: Callable[[Floats], Floats], names: Sequence[str], resamples: Resamples
) -> dict[str, Estimate]:
    """Estimate statistics of weighted units, for what is not a function of sums.

    Args:
        statistic: Maps how often each unit counts, shape (R, N), to statistics, shape (R, M), NaN if undefined.
        names: Of the statistics. Length M.
        resamples: Of the units.
    """
    values_M = statistic(np.ones((1, len(resamples.cluster_N))))[0]
    return _named(names, values_M, resamples.of_weights(statistic))


def estimate_means(
    columns_N: Mapping[str, Floats], resamples: Resamples, *, counted_N: NDArray[np.bool_] | None = None
) -> dict[str, Estimate]:
    """Estimate the mean of each column over the units that count, by default all; undefined where none does.

    No interval where the units that count are all of one cluster.
    """
    counted = np.ones(len(resamples.cluster_N), dtype=bool) if counted_N is None else counted_N
    if not counted.any():
        return {name: Estimate(None, np.full(resamples.n_resamples, np.nan)) for name in columns_N}
    kept = resamples.of_parts(np.flatnonzero(counted))
    # The first column counts units: a resample divides by as many as it drew.
    sums_N = np.column_stack([np.ones(counted.sum()), *(column[counted] for column in columns_N.values())])
    return estimate_sums(
        sums_N,
        lambda sums_R: ratio(sums_R[:, 1:], np.broadcast_to(sums_R[:, :1], sums_R[:, 1:].shape)),
        tuple(columns_N),
        kept,
    )


def _named(names: Sequence[str], values_M: Floats, resampled_R_M: Floats) -> dict[str, Estimate]:
    columns = zip(names, values_M, resampled_R_M.T, strict=True)
    return {name: Estimate(defined(value), resampled_R) for name, value, resampled_R in columns}


def paired_difference(a: Estimate, b: Estimate) -> PairedDifference:
    """Compare two judges by estimates with the same draws: same solutions in the same order, same seed."""
    return paired_bootstrap(a.value, b.value, a_R=a.resampled_R, b_R=b.resampled_R)


def average(estimates: Sequence[Estimate]) -> Estimate:
    """Return the unweighted mean, with resamples averaged one by one: subsets are independent of each other.

    Undefined where one of the estimates is, so that an average never leaves a subset out unseen.
    """
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    value = sum(values) / len(values) if len(values) == len(estimates) else None
    return Estimate(value, np.mean([estimate.resampled_R for estimate in estimates], axis=0))
