"""RAFT and Reinforce-Rej: outcomes as advantages, without a baseline, with some responses left out.

Source:
    A Minimalist Approach to LLM Reasoning (2504.11343): RAFT++ trains on correct responses only; Reinforce-Rej uses
    rewards +1 and -1 and drops groups that are all correct or all wrong. Both use the clipped ratio and average over
    tokens, then over responses. Differs in: the mean is over the responses that the trainer's divisor counts, so a step
    with few of them is small, while the paper's batches hold only those that remain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Scale

if TYPE_CHECKING:
    import torch


class RAFT(Algorithm):
    """Correct responses have advantage 1, all others 0."""

    type: Literal["raft"] = "raft"
    """Name of the algorithm."""
    ratio: Literal["clipped", "none"] = "clipped"
    """`clipped`: RAFT++; `none`: RAFT, maximum likelihood of correct responses."""

    @property
    def loss_rule(self) -> LossRule:
        """Mean over tokens, then over responses; clipped as in GRPO, or not at all."""
        return LossRule("seq_token_mean", (0.2, 0.2) if self.ratio == "clipped" else None)

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return 1 for correct responses, else 0. Shape (N,)."""
        return batch.right_N.to(rewards_N.dtype)


class ReinforceRej(Algorithm):
    """+1 for correct and -1 for wrong responses, in groups that have both."""

    type: Literal["reinforce_rej"] = "reinforce_rej"
    """Name of the algorithm."""

    @property
    def loss_rule(self) -> LossRule:
        """Mean over tokens, then over responses; clipped as in GRPO."""
        return LossRule("seq_token_mean", (0.2, 0.2))

    def keep(self, batch: GroupBatch, rewards_N: torch.Tensor) -> torch.Tensor:
        """Return the responses of groups with both correct and wrong ones. Shape (N,), bool."""
        masks = batch.classify()
        return ~(masks.all_negative_N | masks.all_positive_N)

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return +1 and -1, 0 if the outcome is unknown. Shape (N,)."""
        signs_N = 2 * batch.right_N.to(rewards_N.dtype) - 1
        return signs_N * ~batch.outcomes_N.isnan()
