"""DISCO scaling: rare domains and rarely solved problems weigh more.

Source:
    DISCO (2505.15074): rewards times log(1 + 1/p), with p the domain's fraction of the data, and times 1/(c + eps),
    with c the fraction of correct responses in the group; with a baseline that is not divided by the standard
    deviation, which would cancel both factors. As in its code (Tonyzhou98/disco_grpo); eps is 0.01 in the paper and
    1e-5 in the code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, GroupBatch, Need, Scale

if TYPE_CHECKING:
    import torch


class DISCOScaling(Algorithm):
    """Rewards minus their group's mean, times a weight for the domain and one for the difficulty."""

    type: Literal["disco_scaling"] = "disco_scaling"
    """Name of the algorithm."""
    eps: float = Field(default=0.01, gt=0)
    """Bounds the weight of the difficulty at 1/eps."""

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
