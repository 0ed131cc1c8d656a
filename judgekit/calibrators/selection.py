"""Which calibrator: the simplest whose cross-validated log loss is not clearly above the best.

Log loss is the mean of -log P(true first error) over solutions, under the calibrated posterior. Folds keep the
solutions of a problem together. "Not clearly": by no more than one standard error of the paired difference to the best
candidate, clustered by problem. No calibration at all is the simplest candidate. What a chosen calibrator reaches on
new data is measured by choosing and fitting again without each fold (`cross_fit`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold

from judgekit.calibrators import CALIBRATORS, CalibrationSplit, Calibrator
from judgekit.calibrators.split import PROB_CLIP, Ints
from judgekit.errors import DataError
from judgekit.judges.calibrator_card import CandidateCard
from judgekit.metrics import Floats

KINDS = tuple(CALIBRATORS)
"""All candidates, the simplest first."""


class Selection(NamedTuple):
    """A chosen calibrator and what it was chosen from."""

    calibrator: Calibrator
    """Fitted on the whole split."""
    candidates: tuple[CandidateCard, ...]
    """All candidates, the simplest first; empty where there was one only."""


class CrossFitted(NamedTuple):
    """A calibrator that was chosen and fitted without a fold, and the solutions of this fold."""

    calibrator: Calibrator
    """Knows nothing of the fold."""
    fold: Ints
    """Indices of the fold's solutions."""


def select_calibrator(split: CalibrationSplit, *, kinds: Sequence[str] = KINDS, n_folds: int) -> Selection:
    """Choose a calibrator and fit it on the whole split; a single kind is only fitted.

    Args:
        split: Verdicts with their true first errors.
        kinds: Candidates, the simplest first.
        n_folds: Folds over problems, at most; fewer where there are fewer problems.

    Raises:
        DataError: no candidate can be fitted, or there is one problem only.
    """
    if len(kinds) == 1:
        return Selection(CALIBRATORS[kinds[0]]().fit_split(split), ())
    folds = [_Fold(split.take(rest), split.take(fold), fold) for rest, fold in problem_folds(split, n_folds=n_folds)]
    losses = {kind: _held_out_losses(kind, folds) for kind in kinds}
    fitted = {kind: loss_N for kind, loss_N in losses.items() if not isinstance(loss_N, str)}
    if not fitted:
        raise DataError(f"no calibrator can be fitted: {'; '.join(f'{k}: {reason}' for k, reason in losses.items())}")
    best_N = min(fitted.values(), key=lambda loss_N: float(loss_N.mean()))
    candidates = tuple(_candidate(kind, loss, best_N, split) for kind, loss in losses.items())
    chosen = next(item.kind for item in candidates if _is_as_good(item))
    return Selection(CALIBRATORS[chosen]().fit_split(split), candidates)


def cross_fit(split: CalibrationSplit, *, kinds: Sequence[str] = KINDS, n_folds: int) -> Iterator[CrossFitted]:
    """Choose and fit without each fold in turn, the choice by folds of the rest.

    Raises:
        DataError: see `select_calibrator`.
    """
    for rest, fold in problem_folds(split, n_folds=n_folds):
        yield CrossFitted(select_calibrator(split.take(rest), kinds=kinds, n_folds=n_folds).calibrator, fold)


def problem_folds(split: CalibrationSplit, *, n_folds: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield the rest and the fold, as indices of solutions; the same ones every time.

    Raises:
        DataError: all solutions belong to one problem.
    """
    n_problems = len(set(split.problem_N))
    if n_problems < 2:
        raise DataError(f"folds keep problems together, and there is only {n_problems}: add data of other problems")
    yield from GroupKFold(min(n_folds, n_problems)).split(split.problem_N, groups=split.problem_N)


class _Fold(NamedTuple):
    rest: CalibrationSplit
    held_out: CalibrationSplit
    place_N: Ints
    """Where the solutions that are held out stand in the whole split."""


def _held_out_losses(kind: str, folds: Sequence[_Fold]) -> Floats | str:
    """Return -log P(true first error) of each solution under a fit without its fold, or why there is none. Nats."""
    loss_N = np.empty(sum(len(fold.place_N) for fold in folds))
    try:
        for rest, held_out, place_N in folds:
            logprobs_N = CALIBRATORS[kind]().fit_split(rest).logprobs_N(held_out)
            loss_N[place_N] = -np.maximum(logprobs_N, math.log(PROB_CLIP))
    except DataError as error:
        return str(error)
    return loss_N


def _candidate(kind: str, loss_N: Floats | str, best_N: Floats, split: CalibrationSplit) -> CandidateCard:
    if isinstance(loss_N, str):
        return CandidateCard(kind=kind, log_loss=None, std_error=None, gap=None, gap_std_error=None, reason=loss_N)
    gap_N = loss_N - best_N
    return CandidateCard(
        kind=kind,
        log_loss=float(loss_N.mean()),
        std_error=clustered_std_error(loss_N, split.problem_N),
        gap=float(gap_N.mean()),
        gap_std_error=clustered_std_error(gap_N, split.problem_N),
    )


def _is_as_good(candidate: CandidateCard) -> bool:
    if candidate.gap is None or candidate.gap_std_error is None:
        return False
    return candidate.gap <= candidate.gap_std_error


def clustered_std_error(values_N: Floats, clusters_N: Sequence[object] | np.ndarray) -> float:
    """Return the standard error of a mean whose values come in clusters of any size.

    With s_c the sum over cluster c of (value - mean), of C clusters and N values: sqrt(C / (C - 1) * sum s_c^2) / N.
    With clusters of one value this is the usual standard error.

    Args:
        values_N: The values. Shape (N,).
        clusters_N: Cluster of each; at least two different ones.

    Source:
        Cameron and Miller 2015, A practitioner's guide to cluster-robust inference, section II, for a mean.
    """
    _, cluster_N = np.unique(np.asarray(clusters_N, dtype=str), return_inverse=True)
    sums_C = np.bincount(cluster_N, weights=values_N - values_N.mean())
    n_clusters = len(sums_C)
    return float(np.sqrt(n_clusters / (n_clusters - 1) * np.sum(sums_C**2)) / len(values_N))


__all__ = [
    "CrossFitted", "KINDS", "Selection", "clustered_std_error", "cross_fit", "problem_folds", "select_calibrator",
]  # fmt: skip
