"""Step probabilities against step labels: which steps count, calibration error, Brier score, log-likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judgekit.metrics.checks import Floats, check_gold, check_lengths, checked_steps, merge_ties
from judgekit.ties import TIE


class StepProbs(NamedTuple):
    """The reached steps of many solutions in one row each. Shape (K,) all three."""

    p_ok_K: Floats
    """P(step ok | earlier steps ok), in [0, 1]."""
    ok_K: Floats
    """1.0 where the step is correct or neutral, 0.0 where it is the first error."""
    solution_K: NDArray[np.int64]
    """Index of the solution each step belongs to, to cluster by."""


def collect_reached_steps(p_ok_N_S: Sequence[Sequence[float] | None], *, gold_N: Sequence[int | None]) -> StepProbs:
    """Keep the steps that P(step ok | earlier steps ok) speaks of: up to and including the true first error.

    Later steps are outside the condition "earlier steps ok". Neutral steps count as right, as in the labels.

    Args:
        p_ok_N_S: Probabilities of each solution, ragged; `None` if the judge gave no verdict (left out).
        gold_N: True first errors, 0-based, `None` = no error.

    Raises:
        DataError: no solutions, lengths differ, or a first error is beyond the steps.
    """
    check_lengths(p_ok_N_S, gold_N)
    probs: list[float] = []
    oks: list[bool] = []
    owners: list[int] = []
    for index, (p_ok_S, gold) in enumerate(zip(p_ok_N_S, gold_N, strict=True)):
        if p_ok_S is None:
            continue
        check_gold(gold, n_steps=len(p_ok_S), where=index)
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
    """Lower edge; probabilities equal to it, or below it by rounding alone, belong to this bin."""
    hi: float
    """Upper edge; belongs to the next bin, except 1.0, which belongs to the last."""
    count: int
    """Steps in the bin."""
    mean_prob: float | None
    """Mean probability of the steps; `None` in an empty bin."""
    frac_ok: float | None
    """Share of the steps that are correct; `None` in an empty bin."""


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
        ok_K: 1 where the step is correct, else 0.
        n_bins: Equal-width bins on [0, 1], at least 1.

    Raises:
        DataError: no steps, lengths differ, or a value is outside its range.
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
        DataError: no steps, lengths differ, or a value is outside its range.
    """
    return _fill_bins(*checked_steps(p_ok_K, ok_K), edges=equal_width_edges(n_bins))


def compute_equal_mass_bins(
    p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats, *, n_bins: int
) -> tuple[Bin, ...]:
    """Sort step probabilities into bins of about equally many steps, see `equal_mass_edges`.

    Raises:
        DataError: no steps, lengths differ, or a value is outside its range.
    """
    p_ok, ok = checked_steps(p_ok_K, ok_K)
    return _fill_bins(p_ok, ok, edges=equal_mass_edges(p_ok, n_bins=n_bins))


def _fill_bins(p_ok_K: Floats, ok_K: Floats, *, edges: Floats) -> tuple[Bin, ...]:
    n_bins = len(edges) - 1
    index_K = bin_index(p_ok_K, edges=edges)
    counts = np.bincount(index_K, minlength=n_bins)
    prob_sums = np.bincount(index_K, weights=p_ok_K, minlength=n_bins)
    ok_sums = np.bincount(index_K, weights=ok_K, minlength=n_bins)
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


def equal_width_edges(n_bins: int) -> Floats:
    """Return the edges of equal-width bins on [0, 1]. Shape (n_bins + 1,)."""
    return np.arange(n_bins + 1) / n_bins


def equal_mass_edges(p_ok_K: Floats, *, n_bins: int) -> Floats:
    """Return edges from 0 to 1 between which about equally many of the probabilities lie.

    Tied probabilities (`judgekit.ties`) share a bin, so bins are fewer and less equal where many are tied, and there
    are never so many that two steps per bin would not go round.

    Args:
        p_ok_K: In [0, 1], at least one.
        n_bins: Bins at most, at least 1.

    Returns:
        Not falling, first 0, last 1. Shape (2..n_bins + 1,).
    """
    ascending = np.sort(merge_ties(p_ok_K))
    n_bins = max(1, min(n_bins, len(ascending) // 2))
    inner = ascending[np.arange(1, n_bins) * len(ascending) // n_bins]
    return np.concatenate([[0.0], np.unique(inner[inner > ascending[0]]), [1.0]])


def bin_index(p_ok_K: Floats, *, edges: Floats) -> NDArray[np.int64]:
    """Return the bin of each probability, 0-based; an inner edge belongs to the bin above it. Shape (K,).

    So does what lies below the edge by rounding alone (`judgekit.ties`): 0.7 - 0.4, 0.29999999999999993, means 0.3.
    """
    return np.searchsorted(edges[1:-1] * (1 - TIE), p_ok_K, side="right")


def compute_ece(bins: Sequence[Bin]) -> float:
    """Return the count-weighted mean distance between mean probability and share of correct steps, in [0, 1].

    Of equal-width or equal-mass bins, whichever are given. Noise within the bins raises it; see `binned_ece_debiased`.

    Source:
        Guo et al. 2017 (1706.04599), eq. 3, on P(step ok) instead of the top class's confidence.
    """
    n_steps = sum(bin_.count for bin_ in bins)
    gaps = [b.count * abs(b.mean_prob - b.frac_ok) for b in bins if b.mean_prob is not None and b.frac_ok is not None]
    return float(sum(gaps) / n_steps)


def compute_brier(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats) -> float:
    """Return the mean of (p - ok)^2.

    Raises:
        DataError: no steps, lengths differ, or a value is outside its range.

    Example:
        >>> compute_brier([0.5, 1.0], [1, 1])
        0.125
    """
    p_ok, ok = checked_steps(p_ok_K, ok_K)
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
        DataError: no steps, lengths differ, or a value is outside its range.
    """
    return float(np.mean(step_nll(*checked_steps(p_ok_K, ok_K))))
