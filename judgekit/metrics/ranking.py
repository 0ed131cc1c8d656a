"""How well step probabilities tell right steps from wrong ones, whatever their scale: AUROC and average precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from judgekit.metrics.checks import Floats, checked_steps, defined, group_ends, ratio


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
    return defined(weighted_ranking(p_ok, ok, np.ones((1, len(p_ok))))[0, 0])


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
    return defined(weighted_ranking(p_ok, ok, np.ones((1, len(p_ok))))[0, 1])


def weighted_ranking(p_ok_K: Floats, ok_K: Floats, weights_R_K: Floats) -> Floats:
    """Compute `compute_auroc` and `compute_auprc_error` with each step counted as often as its weight says.

    Args:
        p_ok_K: P(step ok | earlier steps ok), in [0, 1]. Shape (K,).
        ok_K: 1 where the step is right, else 0. Shape (K,).
        weights_R_K: Not negative, many weightings at once. Shape (R, K).

    Returns:
        Shape (R, 2). NaN where no step counts of a class that the figure needs.
    """
    order = np.argsort(p_ok_K, kind="stable")
    ends = group_ends(p_ok_K[order])
    weights = weights_R_K[:, order]
    below = np.cumsum(weights, axis=1)[:, ends]
    weights *= 1 - ok_K[order]
    wrong_below = np.cumsum(weights, axis=1)[:, ends]
    right_below = below - wrong_below
    wrong, right = (np.diff(total, axis=1, prepend=0.0) for total in (wrong_below, right_below))
    pairs_in_order = np.einsum("rv,rv->r", right, wrong_below - wrong / 2)
    precisions = np.einsum("rv,rv->r", wrong, ratio(wrong_below, below, undefined=0.0))
    n_wrong, n_right = wrong_below[:, -1], right_below[:, -1]
    return np.stack([ratio(pairs_in_order, n_wrong * n_right), ratio(precisions, n_wrong)], axis=1)


__all__ = ["compute_auprc_error", "compute_auroc", "weighted_ranking"]
