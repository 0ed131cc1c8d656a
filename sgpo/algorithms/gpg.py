"""GPG: the plain policy gradient on centred rewards, corrected for constant groups.

Source:
    GPG (2504.02546): alpha (r - mean) with alpha = B / (B - M), where M of the B responses are in groups with equal
    rewards; mean over tokens, no ratio. Left out: resampling until a fraction of the groups has a signal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Scale

if TYPE_CHECKING:
    import torch


class GPG(Algorithm):
    """The policy gradient on centred rewards, scaled up as if constant groups had not been sampled."""

    type: Literal["gpg"] = "gpg"
    """Name of the algorithm."""

    @property
    def loss_rule(self) -> LossRule:
        """Mean over all tokens; no ratio."""
        return LossRule("token_mean", None)

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return alpha (r - mean) over the current batch: the sampled groups online, the file offline. Shape (N,)."""
        from sgpo.rewards import compute_advantages, group_std  # need torch

        centred_N = compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale="none")
        alive_N = group_std(rewards_N, group_ids_N=batch.group_ids_N) > 0
        return centred_N * len(rewards_N) / max(int(alive_N.sum()), 1)
