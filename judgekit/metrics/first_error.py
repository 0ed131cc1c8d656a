"""The first-error posterior against the true outcome: log loss, rank, distance in steps, valid prefix (RTS).

Outcomes are the n steps in order and then "none". Wherever a distance or a prefix needs a place for it, "none" stands
at n, one past the last step: the valid prefix is then the whole solution, as in RTS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from judgekit.errors import DataError
from judgekit.metrics.checks import Floats, check_gold, check_lengths, merge_ties
from judgekit.metrics.steps import NLL_CLIP


@dataclass(frozen=True)
class FirstErrorScores:
    """Scores of the posterior, one per solution. Shape (N,) all."""

    log_loss_N: Floats
    """-log of the probability given to the true outcome, nats; clipped, see `NLL_CLIP`."""
    n_above_N: Floats
    """Outcomes with a higher probability than the true one, 0..n."""
    n_tied_N: Floats
    """Outcomes with the same probability as the true one but for rounding, itself included, 1..n+1."""
    distance_N: Floats
    """Expected |place - true place| under the posterior, steps, in [0, n]; "none" stands at n."""
    rts_N: Floats
    """Expected share of steps before the first error, in [0, 1]; 1 for "none"."""
    true_rts_N: Floats
    """True share of steps before the first error, in [0, 1]; 1 where there is none."""

    @property
    def rank_N(self) -> Floats:
        """Rank of the true outcome, 1 = most probable; the mean rank among equally probable ones. Shape (N,)."""
        return self.n_above_N + (self.n_tied_N + 1) / 2

    def top_k_N(self, k: int) -> Floats:
        """Chance that the true outcome is among the k most probable, ties broken at random, in [0, 1]. Shape (N,)."""
        return np.clip((k - self.n_above_N) / self.n_tied_N, 0.0, 1.0)

    @property
    def rts_error_N(self) -> Floats:
        """Expected RTS less true RTS: above 0 where wrong steps are paid for. In [-1, 1]. Shape (N,).

        Source:
            SGPO (2505.11595), RTS (valid prefix by whole length, unit: steps), as the mean over the posterior.
        """
        return self.rts_N - self.true_rts_N


def score_first_errors(posterior_N_S: Sequence[Sequence[float]], *, gold_N: Sequence[int | None]) -> FirstErrorScores:
    """Score each first-error posterior at the true outcome.

    Args:
        posterior_N_S: P(first error = 0), ..., P(first error = n-1), P(none) of each judged solution, ragged.
        gold_N: True first errors, 0-based, `None` = no error.

    Raises:
        DataError: no solutions, lengths differ, or a first error is beyond the steps.

    Example:
        >>> scores = score_first_errors([[0.25, 0.5, 0.25]], gold_N=[0])
        >>> scores.rank_N.tolist(), scores.distance_N.tolist(), scores.rts_N.tolist()
        ([2.5], [1.0], [0.5])
    """
    check_lengths(posterior_N_S, gold_N)
    rows = []
    for where, (posterior, gold) in enumerate(zip(posterior_N_S, gold_N, strict=True)):
        prob_S, n_steps = np.asarray(posterior, dtype=float), len(posterior) - 1
        if n_steps < 1:
            raise DataError(f"solution {where}: a posterior of {len(posterior)} outcomes, fewer than one step and none")
        check_gold(gold, n_steps=n_steps, where=where)
        true = n_steps if gold is None else gold
        place_S, ranked_S = np.arange(n_steps + 1), merge_ties(prob_S)
        rows.append(
            (
                -np.log(np.clip(prob_S[true], NLL_CLIP, 1 - NLL_CLIP)),
                np.count_nonzero(ranked_S > ranked_S[true]),
                np.count_nonzero(ranked_S == ranked_S[true]),
                prob_S @ np.abs(place_S - true),
                prob_S @ place_S / n_steps,
                true / n_steps,
            )
        )
    return FirstErrorScores(*np.array(rows, dtype=float).T)
