"""Isotonic regression of step probabilities."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from judgekit.calibration.by_step import StepCalibrator, checked_labels
from judgekit.metrics.checks import Floats, merge_ties


class IsotonicCalibrator(StepCalibrator):
    """The rising curve with the lowest squared error, as straight lines between knots.

    Two pseudo-steps are fitted along, a correct one at the lowest probability and a wrong one at the highest. Without
    them the ends of the curve are usually exactly 0 and 1, and one surprise would have infinite log loss. With them,
    where the last m steps are all correct the curve ends at m / (m + 1), as close to 1 as m steps can tell, and the
    same for 0 at the other end.

    Source:
        Zadrozny and Elkan 2002, Transforming classifier scores into accurate multiclass probability estimates.
    """

    kind = "isotonic"
    inputs = ("probs_K",)
    knot_probs_: tuple[float, ...]
    """Probabilities of the judge at the knots, ascending."""
    knot_values_: tuple[float, ...]
    """Calibrated probabilities at the knots, never falling, inside (0, 1)."""

    def learn(self, probs_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Find the curve without asking whether the judge says anything."""
        from sklearn.isotonic import IsotonicRegression

        probs, y = merge_ties(np.asarray(probs_K, dtype=np.float64)), checked_labels(y_K)
        fitted = IsotonicRegression().fit([*probs, probs.min(), probs.max()], [*y, 1.0, 0.0])
        self.knot_probs_ = tuple(float(prob) for prob in fitted.X_thresholds_)
        self.knot_values_ = tuple(float(value) for value in fitted.y_thresholds_)
        return self

    def predict_proba(self, probs_K: ArrayLike) -> Floats:
        """Return calibrated P(step ok); beyond the outer knots the curve is flat. Shape (K,)."""
        return np.interp(np.asarray(probs_K, dtype=np.float64), self.knot_probs_, self.knot_values_)
