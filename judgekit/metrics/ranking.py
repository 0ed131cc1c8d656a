"""How well step probabilities tell right steps from wrong ones, whatever their scale: AUROC and average precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from judgekit.metrics.checks import Floats, checked_steps, defined, ratio


def compute_auroc(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats) -> float | None:
    """Return the chance that a right step has a higher probability than a wrong one; equal ones count half.

    In [0, 1], 0.5 for a judge that knows nothing; `None` where steps of one class are missing.

    Raises:
        DataError: no steps, lengths differ, or a value lies outside its range.

    Source:
        Hanley and McNeil, The meaning and use of the area under a ROC curve (1982).

    Example:
        >>> compute_auroc([0.9, 0.4, 0.6], [1, 0, 0])
        1.0
    """
    p_ok, ok = checked_steps(p_ok_K, ok_K)
    return defined(weighted_auroc(p_ok, ok, np.ones((1, len(p_ok))))[0])


def compute_auprc_error(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats) -> float | None:
    """Return the average precision of finding wrong steps, the most suspicious (lowest probability) first.

    Sum over distinct probabilities of the recall gained there times the precision reached there; steps of equal
    probability are found together, so their order does not matter. In (0, 1]; a judge that knows nothing has the share
    of wrong steps. `None` where no step is wrong.

    Raises:
        DataError: no steps, lengths differ, or a value lies outside its range.

    Source:
        Davis and Goadrich, The relationship between precision-recall and ROC curves (2006), without interpolation.

    Example:
        >>> compute_auprc_error([0.9, 0.4, 0.2], [0, 1, 0])
        0.8333333333333333
    """
    p_ok, ok = checked_steps(p_ok_K, ok_K)
    return defined(weighted_auprc_error(p_ok, ok, np.ones((1, len(p_ok))))[0])


def weighted_auroc(p_ok_K: Floats, ok_K: Floats, weights_R_K: Floats) -> Floats:
    """Compute `compute_auroc` with each step counted as often as its weight says, for many weightings at once.

    Args:
        p_ok_K: P(step ok | earlier steps ok), in [0, 1]. Shape (K,).
        ok_K: 1 where the step is right, else 0. Shape (K,).
        weights_R_K: Not negative. Shape (R, K).

    Returns:
        Shape (R,), NaN where the weights of one class sum to 0.
    """
    wrong_R_V, right_R_V = _class_weights(p_ok_K, ok_K, weights_R_K)
    n_pairs = wrong_R_V.sum(axis=1) * right_R_V.sum(axis=1)
    wrong_below = np.cumsum(wrong_R_V, axis=1) - wrong_R_V / 2
    return ratio(np.einsum("rv,rv->r", right_R_V, wrong_below), n_pairs)


def weighted_auprc_error(p_ok_K: Floats, ok_K: Floats, weights_R_K: Floats) -> Floats:
    """Compute `compute_auprc_error` with weights, see `weighted_auroc`. Shape (R,), NaN where no wrong step counts."""
    wrong_R_V, right_R_V = _class_weights(p_ok_K, ok_K, weights_R_K)
    found = np.cumsum(wrong_R_V, axis=1)
    precision = ratio(found, found + np.cumsum(right_R_V, axis=1), undefined=0.0)
    return ratio(np.einsum("rv,rv->r", wrong_R_V, precision), found[:, -1])


def _class_weights(p_ok_K: Floats, ok_K: Floats, weights_R_K: Floats) -> tuple[Floats, Floats]:
    """Return the weight of wrong and of right steps at each distinct probability (V of them), ascending."""
    order = np.argsort(p_ok_K, kind="stable")
    p_sorted, ok_sorted, weights = p_ok_K[order], ok_K[order], weights_R_K[:, order]
    starts = _starts_of_ties(p_sorted)
    total = np.add.reduceat(weights, starts, axis=1)
    weights *= ok_sorted
    right = np.add.reduceat(weights, starts, axis=1)
    return total - right, right


def _starts_of_ties(sorted_K: Floats) -> NDArray[np.int64]:
    return np.flatnonzero(np.concatenate([[True], sorted_K[1:] != sorted_K[:-1]]))


__all__ = ["compute_auprc_error", "compute_auroc", "weighted_auprc_error", "weighted_auroc"]
