"""NGRPO: each group is compared with one more, virtual response that has the highest reward.

Source:
    NGRPO (2509.18851): mean and standard deviation over the G rewards and one virtual reward of 1, and clipping that is
    tighter below (0.16) than above (0.24). Mean over all tokens, as in its code (nangongrui-ngr/NGRPO). Differs in:
    1e-4 instead of 1e-6 in the divisor, as everywhere here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Scale

if TYPE_CHECKING:
    import torch


class NGRPO(Algorithm):
    """GRPO with a virtual correct response in every group: if all responses are wrong, all are pushed down equally."""

    type: Literal["ngrpo"] = "ngrpo"
    """Name of the algorithm."""
    max_reward: float = 1.0
    """Reward of the virtual response: the highest possible one. With objectives, that is the weighted sum of their
    maxima."""

    @property
    def loss_rule(self) -> LossRule:
        """Mean over all tokens; asymmetric clipping."""
        return LossRule("token_mean", (0.16, 0.24))

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return (r - mean) / std of the group with its virtual response. Shape (N,)."""
        import torch  # lazily, as this is a configuration too

        from sgpo.rewards import compute_advantages

        ids = batch.group_ids_N.unique()
        with_virtual = torch.cat([rewards_N, rewards_N.new_full((len(ids),), self.max_reward)])
        return compute_advantages(with_virtual, group_ids_N=torch.cat([batch.group_ids_N, ids]))[: len(rewards_N)]
