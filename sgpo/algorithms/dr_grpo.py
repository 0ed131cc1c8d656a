"""Dr. GRPO: rewards minus their group's mean, divided by nothing, and one length for all responses.

Source:
    Dr. GRPO (2503.20783): both divisions of GRPO are removed. The length is chosen beforehand, as in TRL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Scale

if TYPE_CHECKING:
    import torch


class DrGRPO(Algorithm):
    """GRPO without division by the standard deviation or by the length of each response."""

    type: Literal["dr_grpo"] = "dr_grpo"
    """Name of the algorithm."""

    @property
    def loss_rule(self) -> LossRule:
        """A fixed length; clipped as in GRPO."""
        return LossRule("fixed", (0.2, 0.2))

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return rewards minus the mean of their group, whatever the trainer divides by. Shape (N,)."""
        from sgpo.rewards import compute_advantages  # needs torch

        return compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale="none")
