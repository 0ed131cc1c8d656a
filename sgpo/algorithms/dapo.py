"""DAPO: groups that say nothing are left out, and others are sampled in their place.

Source:
    DAPO (2503.14476): GRPO on groups with right and wrong responses, sampled until a batch is full of them; mean over
    all tokens, clipping at 0.2 below and 0.28 above. Differs in: sampling again is bounded, and what is lacking then is
    filled with the groups that say nothing; overlong responses are not penalised, which `objectives` can do.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, LossRule


class DAPO(Algorithm):
    """GRPO on batches whose constant groups are replaced; stored groups are only left out."""

    type: Literal["dapo"] = "dapo"
    """Name of the algorithm."""
    max_refills: int = Field(default=3, ge=0)
    """How often a batch is sampled again, as large as the first time, for groups that say something; online alone."""

    @property
    def loss_rule(self) -> LossRule:
        """Mean over all tokens; clipped wider above."""
        return LossRule("token_mean", (0.2, 0.28))

    @property
    def n_refills(self) -> int:
        """As configured."""
        return self.max_refills
