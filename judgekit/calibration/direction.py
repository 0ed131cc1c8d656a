"""Which way round a judge is: whether it trusts right steps more than wrong ones, or the other way about.

No calibrator may turn a judge: a judge that is upside down has its labels read the wrong way round, and that is mended
where they are read. Steps are compared at the same place only, step k of n with step k of n of other solutions, as in
`compute_auroc_within_position`: a judge that merely knows where a step stands, or how many steps there
are, is no way round at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from judgekit.calibration.split import CalibrationSplit
from judgekit.metrics.checks import Floats, merge_ties
from judgekit.metrics.ranking import step_places

Z_LEVEL = 1.96
"""Standard errors that an AUROC must lie below one half for a judge to be called upside down: 2.5 % on this side."""


class Direction(NamedTuple):
    """How a judge ranks right and wrong steps at one place."""

    auroc: float
    """Share of pairs in which the right step is trusted more, equal ones count half; in [0, 1]. The same as
    `compute_auroc_within_position`."""
    std_error: float
    """Its standard error, clustered by problem, and no less than that of a judge that knows nothing."""
    n_pairs: int
    """Pairs of a right and a wrong step at one place."""

    @property
    def is_upside_down(self) -> bool:
        """Whether wrong steps are trusted more than right ones, beyond chance."""
        return self.auroc + Z_LEVEL * self.std_error < 0.5

    def describe(self) -> str:
        """Say in a sentence what this is worth to somebody who reads the judge's figures."""
        return (
            f"the judge is upside down on these data: of {self.n_pairs} pairs of a right and a wrong step at one place "
            f"(step k of n) it trusts the right one more in {self.auroc:.0%} (+- {self.std_error:.0%}), and "
            "chance is 50%"
        )


def compute_direction(
    scores_K: ArrayLike, *, ok_K: ArrayLike, place_K: ArrayLike, problem_K: Sequence[object] | np.ndarray
) -> Direction | None:
    """Compare right with wrong steps at the same place; `None` where no place has both.

    Args:
        scores_K: What the judge says of each step, more for steps that it trusts more. Shape (K,).
        ok_K: 1 where the step is right, else 0. Shape (K,).
        place_K: Steps are compared where these are equal, see `step_places`. Shape (K,).
        problem_K: Problem of each step; steps of one problem are not independent. Shape (K,).

    Source:
        DeLong, DeLong and Clarke-Pearson 1988, whose placement values are summed by problem here; Mann and Whitney 1947
        for the variance of a judge that knows nothing.
    """
    scores, ok = merge_ties(np.asarray(scores_K, dtype=np.float64)), np.asarray(ok_K) > 0
    place_K = np.asarray(place_K)
    won_K, met_K = np.zeros(len(scores)), np.zeros(len(scores))
    null_variance = 0.0
    for place in np.unique(place_K):
        here = np.flatnonzero(place_K == place)
        right, wrong = here[ok[here]], here[~ok[here]]
        if not len(right) or not len(wrong):
            continue
        ranks = rankdata(scores[here])
        own = np.empty(len(here))
        for rows in (ok[here], ~ok[here]):
            own[rows] = rankdata(scores[here][rows])
        beaten = ranks - own  # steps of the other kind below this one, equal ones count half
        won_K[right] = beaten[ok[here]]
        won_K[wrong] = len(right) - beaten[~ok[here]]
        met_K[right], met_K[wrong] = len(wrong), len(right)
        null_variance += len(right) * len(wrong) * (len(here) + 1) / 12
    n_pairs = met_K.sum() / 2
    if not n_pairs:
        return None
    auroc = float(won_K.sum() / 2 / n_pairs)
    _, problem = np.unique(np.asarray(problem_K, dtype=str), return_inverse=True)
    sums = np.bincount(problem, weights=won_K - auroc * met_K) / n_pairs
    n_problems = len(sums)
    variance = n_problems / max(n_problems - 1, 1) * float(np.sum(sums**2))
    return Direction(auroc, float(np.sqrt(max(variance, null_variance / n_pairs**2))), int(n_pairs))


def direction_of(split: CalibrationSplit) -> Direction | None:
    """Return how a judge ranks the reached steps of a split; `None` where no place has right and wrong ones."""
    scores_K: Floats = split.steps.probs_K
    return compute_direction(
        scores_K,
        ok_K=split.ok_K,
        place_K=step_places(split.solution_K, n_steps_N=split.n_steps_N.tolist()),
        problem_K=split.problem_N[split.solution_K],
    )
