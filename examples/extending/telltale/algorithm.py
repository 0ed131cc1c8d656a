"""An algorithm: partial marks for wrong answers, as a teacher gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sgpo.algorithms.base import GroupBatch, Scored, Shaped
from sgpo.algorithms.judged import Judged

if TYPE_CHECKING:
    import torch


class PartialMarks(Judged):
    """GRPO on rewards in which a wrong response earns a share of what comes before its first error."""

    type: Literal["partial_marks"] = "partial_marks"
    """Name of the algorithm."""
    most: float = Field(default=0.5, ge=0, le=1)
    """Reward of a wrong response whose every step is right; a right response earns 1."""

    def transform(self, batch: GroupBatch, rows_M: torch.Tensor, scored_M: Sequence[Scored]) -> Shaped:
        """Put the share of the valid prefix, times `most`, in place of the outcome of every judged response."""
        prefixes = self.read_prefixes(batch)
        rewards_N = prefixes.baseline_N.where(~prefixes.scored_N, self.most * prefixes.rts_N)
        return Shaped(rewards_N, rewards_N.new_zeros(len(rewards_N)))
