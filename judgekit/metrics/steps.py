"""Step probabilities against step labels: which steps count, calibration error, Brier score, log-likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judgekit.metrics.checks import Floats, check_gold, check_lengths, checked_steps


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
    p_ok, ok = checked_steps(p_ok_K, ok_K)
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
        DataError: no steps, lengths differ, or a value lies outside its range.
    """
    return float(np.mean(step_nll(*checked_steps(p_ok_K, ok_K))))


__all__ = [
    "Bin", "Calibration", "NLL_CLIP", "StepProbs", "bin_index", "collect_reached_steps", "compute_bins",
    "compute_brier", "compute_calibration", "compute_ece", "compute_nll", "step_nll",
]  # fmt: skip
