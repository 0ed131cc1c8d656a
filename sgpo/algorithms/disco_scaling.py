"""DISCO scaling: rare domains and problems that are seldom solved weigh more.

Source:
    DISCO (2505.15074): rewards times log(1 + 1/p), p the domain's share of the data, and times 1/(c + eps), c the share
    of the group's responses that are right; on the baseline without division by the standard deviation, which would
    take both factors out again. As in its code (Tonyzhou98/disco_grpo); eps 0.01 as in the paper, 1e-5 in the code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, GroupBatch, Need, Scale

if TYPE_CHECKING:
    import torch


class DISCOScaling(Algorithm):
    """Rewards less their group's mean, times a weight of the domain and one of the difficulty."""

    type: Literal["disco_scaling"] = "disco_scaling"
    """Name of the algorithm."""
    eps: float = Field(default=0.01, gt=0)
    """What bounds the weight of difficulty, at 1/eps."""

    needs: ClassVar[frozenset[Need]] = frozenset({"domain"})

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return the weighted advantages. Shape (N,)."""
        from sgpo.rewards import compute_advantages, group_moments  # need torch

        assert batch.domain_shares_N is not None
        right_N = batch.right_N.to(rewards_N).masked_fill(batch.outcomes_N.isnan(), float("nan"))
        solved_N, _ = group_moments(right_N, batch.group_ids_N)
        weights_N = (1 + 1 / batch.domain_shares_N).log() / (solved_N + self.eps)
        return weights_N.to(rewards_N) * compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale="none")
