"""The decision threshold, or the weight of "no error", with the best ProcessBench F1, found exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from judgekit.errors import DataError
from judgekit.metrics.checks import Floats, check_gold, check_lengths, merge_ties
from judgekit.metrics.localization import harmonic_mean
from judgekit.ties import TIE, first_largest


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
    single probabilities. Probabilities that differ by rounding alone (`judgekit.ties`) are one end: no threshold is put
    between them.

    Args:
        p_ok_N_S: P(step ok | earlier steps ok) of each solution, ragged; `None` = no verdict, wrong at every threshold.
        gold_N: True first errors, 0-based, `None` = no error.

    Raises:
        DataError: no solutions, lengths differ, a first error is beyond the steps, or one of the classes is empty.
    """
    check_lengths(p_ok_N_S, gold_N)
    return _best_stretch(*_hit_intervals(_merged(p_ok_N_S), gold_N), gold_N=gold_N)


def choose_no_error_weight(posterior_N_O: Sequence[Sequence[float] | None], *, gold_N: Sequence[int | None]) -> float:
    """Find the `ArgmaxRule.no_error_weight` with the best ProcessBench F1, exactly.

    "No error" is decided for weights w above max_k P(first error = k) / P(none). In terms of t = w / (1 + w) in (0, 1]
    that is an interval whose end is max_k / (max_k + none), as in `choose_threshold`, whose choice among equals it is.

    Args:
        posterior_N_O: First-error posterior of each solution, ragged, the last outcome is "no error"; `None` = no
            verdict, wrong at every weight.
        gold_N: True first errors, 0-based, `None` = no error.

    Raises:
        DataError: no solutions, lengths differ, a first error is beyond the steps, or one of the classes is empty.
    """
    check_lengths(posterior_N_O, gold_N)
    hits_error, hits_correct = [], []
    for index, (posterior_O, gold) in enumerate(zip(posterior_N_O, gold_N, strict=True)):
        if posterior_O is None:
            continue
        check_gold(gold, n_steps=len(posterior_O) - 1, where=index)
        located = first_largest(posterior_O[:-1])
        end = posterior_O[located] / (posterior_O[located] + posterior_O[-1])
        if gold is None:
            hits_correct.append((end, 1.0))
        elif gold == located:
            hits_error.append((0.0, end))
    columns = [np.array(hits, dtype=float).reshape(-1, 2) for hits in (hits_error, hits_correct)]
    merged = merge_ties(np.concatenate([[0.0, 1.0], *map(np.ravel, columns)]))[2:]
    hits = np.split(merged, [columns[0].size])
    t = min(_best_stretch(hits[0].reshape(-1, 2), hits[1].reshape(-1, 2), gold_N=gold_N).threshold, 1 - TIE)
    return t / (1 - t)


def _best_stretch(hits_error: Floats, hits_correct: Floats, *, gold_N: Sequence[int | None]) -> ThresholdChoice:
    """Return the widest stretch of thresholds with the best F1, given the half-open (lo, hi] in which each hits."""
    n_error = sum(gold is not None for gold in gold_N)
    n_correct = len(gold_N) - n_error
    if not n_error or not n_correct:
        raise DataError(
            f"a threshold needs solutions with and without an error, but {n_error} have one and {n_correct} have none: "
            "choose it on a split that has both"
        )
    ends = np.unique(np.concatenate([[0.0, 1.0], hits_error.ravel(), hits_correct.ravel()]))
    tried = ends[1:]
    f1 = harmonic_mean(_n_inside(hits_error, tried) / n_error, _n_inside(hits_correct, tried) / n_correct)
    # Neighbouring stretches ends[i]..ends[i+1] of the best value are one; of several such, the widest is taken.
    is_best = np.concatenate([[False], f1 >= f1.max() * (1 - TIE), [False]])
    starts, stops = np.flatnonzero(~is_best[:-1] & is_best[1:]), np.flatnonzero(is_best[:-1] & ~is_best[1:])
    widest = first_largest((ends[stops] - ends[starts]).tolist())
    lo, hi = float(ends[starts[widest]]), float(ends[stops[widest]])
    middle = (lo + hi) / 2
    return ThresholdChoice(threshold=middle if middle > lo else hi, f1=float(f1.max()), lo=lo, hi=hi)


def _merged(p_ok_N_S: Sequence[Sequence[float] | None]) -> list[list[float] | None]:
    """Return the probabilities with those that are tied made equal, over all solutions and with the bounds 0 and 1."""
    flat = [0.0, 1.0, *(p_ok for p_ok_S in p_ok_N_S if p_ok_S is not None for p_ok in p_ok_S)]
    merged = iter(merge_ties(np.array(flat)).tolist()[2:])
    return [None if p_ok_S is None else [next(merged) for _ in p_ok_S] for p_ok_S in p_ok_N_S]


def _hit_intervals(p_ok_N_S: Sequence[Sequence[float] | None], gold_N: Sequence[int | None]) -> tuple[Floats, Floats]:
    """Return the half-open (lo, hi] of thresholds that hit, for erroneous and correct solutions. Shape (., 2) each."""
    hits_error, hits_correct = [], []
    for index, (p_ok_S, gold) in enumerate(zip(p_ok_N_S, gold_N, strict=True)):
        if p_ok_S is None:
            continue
        check_gold(gold, n_steps=len(p_ok_S), where=index)
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
