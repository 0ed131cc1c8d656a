"""BIG-Bench-Mistake: fraction of solutions whose first mistake is located exactly; "no mistake" is a location, too.

Classes are unbalanced (most traces of some tasks hold a mistake), so the accuracies on erroneous and on correct
solutions stand next to it: they are those of `localization_rates`, and all come from the same counts.

Source:
    Tyen et al., LLMs cannot find reasoning errors, but can correct them! (2311.08516), section 3: an answer is correct
    only where the location matches exactly, or where it rightly says that there is no mistake; the first step called
    wrong is the answer of a judge that judges step by step. No evaluation code was published, and the paper does not
    say what happens to a reply that cannot be read: here it is wrong, and left out of the metric ending in `_scored`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from judgekit.metrics.checks import Floats, ratio

ACCURACY_RATES = ("accuracy", "accuracy_scored")
"""Names of the columns of `accuracy_rates`."""


def accuracy_rates(counts_R: NDArray[np.int64] | Floats) -> Floats:
    """Turn summed `Counts` into the share of all solutions correctly decided, and the same over the judged alone.

    Args:
        counts_R: Sums of `count_hits` rows. Shape (R, 6).

    Returns:
        Shape (R, 2), in [0, 1]; NaN if nothing was judged, for internal arithmetic only.

    Example:
        >>> from judgekit.metrics.localization import count_hits
        >>> counts = count_hits([0, 2, None, None], [0, 1, None, None], judged_N=[True, True, True, False])
        >>> accuracy_rates(counts.sum(axis=0, keepdims=True)).tolist()
        [[0.5, 0.6666666666666666]]
    """
    n_error, n_correct, n_error_judged, n_correct_judged, error_hit, correct_hit = np.asarray(counts_R, dtype=float).T
    hits = error_hit + correct_hit
    return np.stack([ratio(hits, n_error + n_correct), ratio(hits, n_error_judged + n_correct_judged)], axis=1)
