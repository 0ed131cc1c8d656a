"""RL-ZVP: groups that are all correct or all wrong get credit per token, in proportion to the policy's entropy there.

Source:
    RL-ZVP (2509.21880), equation 5: in a constant group, alpha H_t for correct and -alpha (max H - H_t) for wrong
    responses, with H_t the entropy of the policy at token t; elsewhere GRPO. alpha is 0.1. Mean over all tokens and
    clipping at 0.2 and 0.28 are DAPO's, on which the paper builds; second-hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Need, Scale

if TYPE_CHECKING:
    import torch


class RLZVP(Algorithm):
    """GRPO, plus credit by the entropy of each token in constant groups."""

    type: Literal["rl_zvp"] = "rl_zvp"
    """Name of the algorithm."""
    alpha: float = Field(default=0.1, gt=0)
    """Advantage per nat of entropy."""

    needs: ClassVar[frozenset[Need]] = frozenset({"entropy"})

    @property
    def loss_rule(self) -> LossRule:
        """Mean over all tokens; wider clipping above."""
        return LossRule("token_mean", (0.2, 0.28))

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> list[torch.Tensor]:
        """Return one advantage per token; 0 if the outcome is unknown. Shapes (T,)."""
        from sgpo.rewards import compute_advantages  # needs torch

        assert batch.entropies_N is not None
        plain_N = compute_advantages(rewards_N, group_ids_N=batch.group_ids_N)
        masks = batch.classify()
        constant_N = (masks.all_negative_N | masks.all_positive_N) & ~batch.outcomes_N.isnan()
        advantages = []
        for row, entropies_T in enumerate(batch.entropies_N):
            entropies_T = entropies_T.to(rewards_N)
            if not constant_N[row] or not len(entropies_T):
                given_T = plain_N[row].expand(len(entropies_T))
            elif batch.right_N[row]:
                given_T = self.alpha * entropies_T
            else:
                given_T = self.alpha * (entropies_T - entropies_T.max())
            advantages.append(given_T)
        return advantages
