"""GPG: the plain policy gradient on rewards less their group's mean, corrected for groups that say nothing.

Source:
    GPG (2504.02546): alpha (r - mean) with alpha = B / (B - M), M of the B responses being in groups whose rewards are
    all equal; mean over tokens, no ratio. Left out: sampling again until a share of the groups says something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Scale

if TYPE_CHECKING:
    import torch


class GPG(Algorithm):
    """The policy gradient on centred rewards, as large as if constant groups had not been sampled."""

    type: Literal["gpg"] = "gpg"
    """Name of the algorithm."""

    @property
    def loss_rule(self) -> LossRule:
        """Mean over all tokens; no ratio."""
        return LossRule("token_mean", None)

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return alpha (r - mean), of the batch at hand: the sampled groups online, the file offline. Shape (N,)."""
        from sgpo.rewards import compute_advantages, group_std  # need torch

        centred_N = compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale="none")
        alive_N = group_std(rewards_N, group_ids_N=batch.group_ids_N) > 0
        return centred_N * len(rewards_N) / max(int(alive_N.sum()), 1)
