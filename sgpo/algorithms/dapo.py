"""DAPO: groups without a learning signal are left out, and others are sampled in their place.

Source:
    DAPO (2503.14476): GRPO on groups with both correct and wrong responses, sampled until a batch is full of them; mean
    over all tokens, clipping at 0.2 below and 0.28 above. Differs in: resampling is bounded, and remaining places are
    filled with constant groups; overlong responses are not penalised (`objectives` can do that).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, LossRule


class DAPO(Algorithm):
    """GRPO on batches whose constant groups are replaced; offline, they are left out."""

    type: Literal["dapo"] = "dapo"
    """Name of the algorithm."""
    max_refills: int = Field(default=3, ge=0)
    """How many more batches are sampled, each as large as the first, to replace constant groups; online only."""

    @property
    def loss_rule(self) -> LossRule:
        """Mean over all tokens; wider clipping above."""
        return LossRule("token_mean", (0.2, 0.28))

    @property
    def n_refills(self) -> int:
        """As configured."""
        return self.max_refills
