"""Figures made of sums in bins: calibration error, its debiased form, the parts of the Brier score, sharpness.

Bins are those of equal mass. `sum_in_bins` gives the sums of each unit, which can be added up over units or resamples
of them; everything else works on many rows of added sums at once. Bins stay where the data put them: resamples do not
move their edges. Axis `_B`: bins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judgekit.metrics.checks import Floats, ratio
from judgekit.metrics.steps import bin_index

N_SUMS = 5
"""Sums in each bin: steps, p, correct steps, p^2, p of the correct steps."""


def sum_in_bins(p_ok_K: Floats, ok_K: Floats, *, edges: Floats, unit_K: NDArray[np.int64], n_units: int) -> Floats:
    """Return the sums that the functions below need, of each unit in each bin.

    Args:
        p_ok_K: P(step ok | earlier steps ok), in [0, 1]. Shape (K,).
        ok_K: 1 where the step is correct, else 0. Shape (K,).
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
    """Return the mean squared calibration error of added sums without what noise within the bins adds to it.

    sum_b n_b ((mean p - share right)^2 - share right (1 - share right) / (n_b - 1)) / sum_b n_b over the bins b of
    n_b >= 2 steps. The subtracted term is unbiased for independent steps, so the whole may be below 0.
    Shape (R, B, 5) to (R,), NaN if no bin holds two steps.

    Source:
        Kumar, Liang and Ma, Verified uncertainty calibration (1909.10155), section 5, debiased estimator. Differs in:
        bins of one step are left out of the sum of weights, too.
    """
    n, prob, ok = np.moveaxis(sums_R_B, -1, 0)[:3]
    counted = n > 1
    gap, frac_ok = ratio(prob - ok, n, undefined=0.0), ratio(ok, n, undefined=0.0)
    noise = ratio(frac_ok * (1 - frac_ok), n - 1, undefined=0.0)
    return ratio(np.sum(n * (gap**2 - noise), axis=1, where=counted), np.sum(n, axis=1, where=counted))


def binned_ece_debiased(sums_R_B: Floats) -> Floats:
    """Return the root of the debiased squared calibration error, in [0, 1]. Shape (R, B, 5) to (R,).

    In the unit of the probability, like the expected calibration error, but a root of squares instead of a mean of
    distances: without noise at least as large. 0 = what distance there is, noise explains.
    """
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
    """Return the columns of `BrierParts` for added sums. Shape (R, B, 5) to (R, 5), NaN if there are no steps.

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
    """Return the variance of the probabilities, in [0, 0.25]. Shape (R, B, 5) to (R,).

    0 for a judge that always says the same. A property of the judge alone: sharp is good only where it is calibrated.

    Source:
        Gneiting, Balabdaoui and Raftery, Probabilistic forecasts, calibration and sharpness (2007), for the notion.
    """
    n, prob, _, square, _ = np.moveaxis(sums_R_B.sum(axis=1), -1, 0)
    return np.maximum(ratio(square, n) - ratio(prob, n) ** 2, 0.0)
