"""Figures made of sums in bins: calibration error, its debiased form, the parts of the Brier score, sharpness.

Bins are those of equal mass. `sum_in_bins` gives the sums of each unit, which can be added up over units or resamples
of them; everything else works on many rows of added sums at once. Bins stay where the data put them: resamples do not
move their edges. Axis `_B`: bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judgekit.errors import DataError
from judgekit.metrics.checks import Floats, checked_steps, defined, ratio
from judgekit.metrics.steps import bin_index, equal_mass_edges

N_SUMS = 5
"""Sums in each bin: steps, p, right steps, p^2, p of the right steps."""


def sum_in_bins(p_ok_K: Floats, ok_K: Floats, *, edges: Floats, unit_K: NDArray[np.int64], n_units: int) -> Floats:
    """Return the sums that the functions below need, of each unit in each bin.

    Args:
        p_ok_K: P(step ok | earlier steps ok), in [0, 1]. Shape (K,).
        ok_K: 1 where the step is right, else 0. Shape (K,).
        edges: Of the bins, as `equal_mass_edges` and `equal_width_edges` give them. Shape (B + 1,).
        unit_K: The unit (solution) each step belongs to, 0..n_units-1. Shape (K,).
        n_units: Number of units; some may have no steps.

    Returns:
        Shape (n_units, B, 5).
    """
    n_bins = len(edges) - 1
    place_K = unit_K * n_bins + bin_index(p_ok_K, edges=edges)
    columns = [np.ones_like(p_ok_K), p_ok_K, ok_K, p_ok_K**2, p_ok_K * ok_K]
    sums = [np.bincount(place_K, weights=column, minlength=n_units * n_bins) for column in columns]
    return np.stack(sums, axis=-1).astype(float).reshape(n_units, n_bins, N_SUMS)


def binned_ece(sums_R_B: Floats) -> Floats:
    """Return the expected calibration error of added sums, see `compute_ece`. Shape (R, B, 5) to (R,), NaN if empty."""
    n, prob, ok = np.moveaxis(sums_R_B, -1, 0)[:3]
    return ratio(np.abs(prob - ok).sum(axis=1), n.sum(axis=1))


def binned_squared_error_debiased(sums_R_B: Floats) -> Floats:
    """Return the debiased squared calibration error of added sums: mean over the steps, see `compute_ece_debiased`.

    May be below 0. Shape (R, B, 5) to (R,), NaN where no bin holds two steps.
    """
    n, prob, ok = np.moveaxis(sums_R_B, -1, 0)[:3]
    counted = n > 1
    gap, frac_ok = ratio(prob - ok, n, undefined=0.0), ratio(ok, n, undefined=0.0)
    noise = ratio(frac_ok * (1 - frac_ok), n - 1, undefined=0.0)
    return ratio(np.sum(n * (gap**2 - noise), axis=1, where=counted), np.sum(n, axis=1, where=counted))


def binned_ece_debiased(sums_R_B: Floats) -> Floats:
    """Return the root of the debiased squared calibration error, 0 where that is below 0. Shape (R, B, 5) to (R,)."""
    return np.sqrt(np.maximum(binned_squared_error_debiased(sums_R_B), 0.0))


class BrierParts(NamedTuple):
    """The Brier score in parts: brier = reliability - resolution + uncertainty + within."""

    brier: float
    """Mean of (p - ok)^2."""
    reliability: float
    """Mean squared distance of mean probability and share right in the bins; 0 is best."""
    resolution: float
    """Mean squared distance of the bins' share right and the overall one; higher is better."""
    uncertainty: float
    """Overall share right times share wrong: what a constant forecast of that share would score."""
    within: float
    """Spread of p inside the bins less twice its covariance with ok: what the bins do not see. Of either sign."""


def binned_brier_parts(sums_R_B: Floats) -> Floats:
    """Return the columns of `BrierParts` for added sums. Shape (R, B, 5) to (R, 5), NaN where there are no steps.

    Source:
        Murphy, A new vector partition of the probability score (1973); the terms within bins, which make the sum exact:
        Stephenson, Coelho and Jolliffe, Two extra components in the Brier score decomposition (2008), added into one.
    """
    n, prob, ok, square, prob_ok = np.moveaxis(sums_R_B, -1, 0)
    total = n.sum(axis=1)
    mean_prob, frac_ok = ratio(prob, n, undefined=0.0), ratio(ok, n, undefined=0.0)
    base = ratio(ok.sum(axis=1), total)
    brier = ratio((square - 2 * prob_ok + ok).sum(axis=1), total)
    reliability = ratio((n * (mean_prob - frac_ok) ** 2).sum(axis=1), total)
    resolution = ratio((n * (frac_ok - base[:, None]) ** 2).sum(axis=1), total)
    within = ratio((square - prob * mean_prob - 2 * (prob_ok - prob * frac_ok)).sum(axis=1), total)
    return np.stack([brier, reliability, resolution, base * (1 - base), within], axis=1)


def binned_sharpness(sums_R_B: Floats) -> Floats:
    """Return the variance of the probabilities, see `compute_sharpness`. Shape (R, B, 5) to (R,)."""
    n, prob, _, square, _ = np.moveaxis(sums_R_B.sum(axis=1), -1, 0)
    return np.maximum(ratio(square, n) - ratio(prob, n) ** 2, 0.0)


def compute_ece_debiased(
    p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats, *, n_bins: int
) -> float | None:
    """Return the root mean squared calibration error without what noise within the bins adds to it, in [0, 1].

    sqrt(max(0, sum_b n_b ((mean p - share right)^2 - share right (1 - share right) / (n_b - 1)) / sum_b n_b)) over
    equal-mass bins b of n_b >= 2 steps. In the unit of the probability, like the expected calibration error, but a root
    of squares instead of a mean of distances: without noise at least as large. The subtracted term is unbiased for
    independent steps. 0 = what distance there is, noise explains. `None` where no bin has two steps.

    Args:
        p_ok_K: P(step ok | earlier steps ok) of reached steps, in [0, 1].
        ok_K: 1 where the step is right, else 0.
        n_bins: Equal-mass bins at most, at least 1.

    Raises:
        DataError: no steps, lengths differ, or a value lies outside its range.

    Source:
        Kumar, Liang and Ma, Verified uncertainty calibration (1909.10155), section 5, debiased estimator. Differs in:
        bins of one step are left out of the sum of weights, too.
    """
    (value,) = binned_ece_debiased(_sums_of_all(p_ok_K, ok_K, n_bins=n_bins))
    return defined(value)


def compute_brier_parts(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats, *, n_bins: int) -> BrierParts:
    """Split the Brier score over equal-mass bins.

    Raises:
        DataError: no steps, lengths differ, or a value lies outside its range.

    Example:
        >>> compute_brier_parts([0.25, 0.25, 0.75, 0.75], [0, 0, 1, 1], n_bins=2)
        BrierParts(brier=0.0625, reliability=0.0625, resolution=0.25, uncertainty=0.25, within=0.0)
    """
    (parts,) = binned_brier_parts(_sums_of_all(p_ok_K, ok_K, n_bins=n_bins))
    return BrierParts(*parts.tolist())


def compute_sharpness(p_ok_K: Sequence[float] | Floats) -> float:
    """Return the variance of the probabilities, in [0, 0.25]: 0 for a judge that always says the same.

    A property of the judge alone: sharp is good only where it is calibrated, too.

    Raises:
        DataError: no steps, or a value lies outside [0, 1].

    Source:
        Gneiting, Balabdaoui and Raftery, Probabilistic forecasts, calibration and sharpness (2007), for the notion.

    Example:
        >>> compute_sharpness([0.0, 1.0])
        0.25
    """
    p_ok, _ = checked_steps(p_ok_K, np.zeros(len(p_ok_K)))
    return float(np.var(p_ok))


def _sums_of_all(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats, *, n_bins: int) -> Floats:
    if n_bins < 1:
        raise DataError(f"n_bins={n_bins}: at least one bin is needed")
    p_ok, ok = checked_steps(p_ok_K, ok_K)
    edges = equal_mass_edges(p_ok, n_bins=n_bins)
    return sum_in_bins(p_ok, ok, edges=edges, unit_K=np.zeros(len(p_ok), dtype=np.int64), n_units=1)
