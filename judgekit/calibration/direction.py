"""Direction of a judge: whether it trusts correct steps more than wrong ones, or the reverse.

No calibrator may reverse a judge: the labels of a reversed judge are read the wrong way round, and must be fixed where
they are read. Steps are compared only at the same position, step k of n with step k of n of other solutions, as in
`compute_auroc_within_position`: a judge that only knows the position of a step, or the number of steps, has no
direction at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from judgekit.calibration.split import CalibrationSplit
from judgekit.metrics.ranking import placements_within_position, step_places

Z_LEVEL = 1.96
"""Standard errors that an AUROC must lie below one half for a judge to be called reversed: 2.5 % on this side."""


class Direction(NamedTuple):
    """How a judge ranks correct and wrong steps at one place."""

    auroc: float
    """Share of pairs in which the correct step is trusted more, equal ones count half; in [0, 1]. The same as
    `compute_auroc_within_position`."""
    std_error: float
    """Its standard error, clustered by problem, and no less than that of a judge that knows nothing."""
    n_pairs: int
    """Pairs of a right and a wrong step at one place."""

    @property
    def is_upside_down(self) -> bool:
        """Whether wrong steps are trusted more than correct ones, beyond chance."""
        return self.auroc + Z_LEVEL * self.std_error < 0.5

    def describe(self) -> str:
        """Say in a sentence what this is worth to somebody who reads the judge's figures."""
        return (
            f"the judge is reversed on these data: of {self.n_pairs} pairs of a correct and a wrong step at the same "
            f"position (step k of n) it trusts the correct one more in {self.auroc:.0%} (+- {self.std_error:.0%}), and "
            "chance is 50%"
        )


def compute_direction(
    scores_K: ArrayLike, *, ok_K: ArrayLike, place_K: ArrayLike, problem_K: Sequence[object] | np.ndarray
) -> Direction | None:
    """Compare right with wrong steps at the same place; `None` if no place has both.

    Args:
        scores_K: What the judge says of each step, more for steps that it trusts more. Shape (K,).
        ok_K: 1 where the step is correct, else 0. Shape (K,).
        place_K: Steps are compared where these are equal, see `step_places`. Shape (K,).
        problem_K: Problem of each step; steps of one problem are not independent. Shape (K,).

    Source:
        DeLong, DeLong and Clarke-Pearson 1988, whose placement values are summed by problem here; Mann and Whitney 1947
        for the variance of a judge that knows nothing.
    """
    ok_K, place_K = (np.asarray(ok_K) > 0).astype(float), np.asarray(place_K)
    won_K, met_K = placements_within_position(np.asarray(scores_K, dtype=np.float64), ok_K, place_K=place_K)
    n_pairs = met_K.sum() / 2
    if not n_pairs:
        return None
    _, index_K = np.unique(place_K, return_inverse=True)
    n_right_V, n_all_V = np.bincount(index_K, weights=ok_K), np.bincount(index_K)
    null_variance = sum((n_right_V * (n_all_V - n_right_V) * (n_all_V + 1) / 12).tolist())
    auroc = float(won_K.sum() / 2 / n_pairs)
    _, problem = np.unique(np.asarray(problem_K, dtype=str), return_inverse=True)
    sums = np.bincount(problem, weights=won_K - auroc * met_K) / n_pairs
    n_problems = len(sums)
    variance = n_problems / max(n_problems - 1, 1) * float(np.sum(sums**2))
    return Direction(auroc, float(np.sqrt(max(variance, null_variance / n_pairs**2))), int(n_pairs))


def direction_of(split: CalibrationSplit) -> Direction | None:
    """Return how a judge ranks the reached steps of a split; `None` if no place has correct and wrong ones."""
    return compute_direction(
        split.steps.probs_K,
        ok_K=split.ok_K,
        place_K=step_places(split.solution_K, n_steps_N=split.n_steps_N.tolist()),
        problem_K=split.problem_N[split.solution_K],
    )
