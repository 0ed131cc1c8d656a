"""Unlikeliness reward: of the correct responses of a group, the likely ones earn less.

Source:
    Rewarding the Unlikely (2506.02355): r = o (1 - beta (G - rank) / G), where rank 1 is the likeliest response of the
    group under the policy that sampled them, and rank G the least likely; beta 0.25 and two updates per batch in its
    scripts (AndreHe02/rewarding-unlikely-release). Then GRPO. Differs in: equally likely responses share the lower
    penalty, so that their order does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, GroupBatch, Need, Scored, Shaped

if TYPE_CHECKING:
    import torch


class Unlikeliness(Algorithm):
    """GRPO on outcomes that decrease with the likelihood of the response."""

    type: Literal["unlikeliness"] = "unlikeliness"
    """Name of the algorithm."""
    beta: float = Field(default=0.25, ge=0, lt=1)
    """How much less the likeliest response earns."""

    needs: ClassVar[frozenset[Need]] = frozenset({"old_logprobs"})

    def transform(self, batch: GroupBatch, rows_M: torch.Tensor, scored_M: Sequence[Scored]) -> Shaped:
        """Return the outcomes minus the penalty for their rank; a response that is not trained keeps its outcome."""
        from sgpo.rewards import group_rows  # needs torch

        assert batch.old_seq_logprobs_N is not None
        rewards_N = batch.outcomes_N.clone()
        for rows in group_rows(batch.group_ids_N):
            logprobs = batch.old_seq_logprobs_N[rows]
            n_less_likely = (logprobs[:, None] > logprobs).sum(dim=1)  # comparisons with NaN are false
            rewards_N[rows] *= 1 - self.beta * n_less_likely / len(rows)
        return Shaped(rewards_N, rewards_N.new_zeros(len(rewards_N)))
