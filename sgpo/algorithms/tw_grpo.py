"""TW-GRPO: tokens at which the responses of a group differ most weigh more.

Source:
    TW-GRPO (2505.24718): GRPO times 1 + (alpha - 1) minmax(D_t), with D_t the distance of the group's distributions at
    position t from their mean, where ended responses count as uniform; mean over all tokens. Differs in: D_t is the
    mean KL divergence to the arithmetic mean, while its code (longmalongma/TW-GRPO) sums a clamped estimate of it over
    the vocabulary, with the mean of log-probabilities. Its soft reward for several correct choices is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Need, Scale

if TYPE_CHECKING:
    import torch


class TWGRPO(Algorithm):
    """GRPO with a weight for each position of a group."""

    type: Literal["tw_grpo"] = "tw_grpo"
    """Name of the algorithm."""
    alpha: float = Field(default=1.5, ge=1)
    """Weight of the position at which responses differ most; the other weights lie between it and 1."""

    needs: ClassVar[frozenset[Need]] = frozenset({"divergence"})

    @property
    def loss_rule(self) -> LossRule:
        """Mean over all tokens; clipped as in GRPO."""
        return LossRule("token_mean", (0.2, 0.2))

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> list[torch.Tensor]:
        """Return one advantage per token. Shapes (T,)."""
        from sgpo.rewards import compute_advantages  # needs torch

        assert batch.divergences_N is not None
        plain_N = compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale=scale)
        advantages = []
        for plain, n_tokens, divergence_T in zip(plain_N, batch.n_tokens_N.tolist(), batch.divergences_N, strict=True):
            divergence_T = divergence_T.to(plain_N)
            if not len(divergence_T):
                advantages.append(plain.expand(0))
                continue
            lowest, highest = divergence_T.min(), divergence_T.max()
            share_T = (divergence_T - lowest) / (highest - lowest).clamp(min=1e-8)
            advantages.append(plain * (1 + (self.alpha - 1) * share_T[:n_tokens]))
        return advantages
