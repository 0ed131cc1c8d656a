"""VPPO: wrong responses keep credit for the part before their first error, except for a buffer at its end.

Source:
    VPPO (2601.18984), equations 6 to 8, read second-hand (we did not have the paper's text): tokens of correct
    responses earn 1, those of the rewarded prefix of a wrong one alpha, all others 0; from each the group's mean of 1
    or alpha |prefix| / |response| is subtracted, and nothing is divided by a standard deviation. The rewarded prefix
    ends before the first error, by as many tokens as the prompt has, so that splitting steps does not pay. Differs in:
    a wrong response without a located error follows `rts.no_error`, one without a verdict stays out (`on_unscored`),
    and truncated ones are not judged (`truncated`), as in SGPO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import GroupBatch, Need, Scale, Scored, Shaped
from sgpo.algorithms.judged import Judged
from sgpo.algorithms.prefix import Buffer, prefix_shares, rewarded_tokens, spread_over_prefix

if TYPE_CHECKING:
    import torch


class VPPO(Judged):
    """Credit per token: 1 in correct responses, alpha in the valid prefix of wrong ones, minus the group's mean."""

    type: Literal["vppo"] = "vppo"
    """Name of the algorithm."""
    alpha: float = Field(default=0.5, ge=0, le=1)
    """Credit of a valid prefix. The paper found 0.3 to 0.7 equally good and 0.9 worse."""
    buffer: Buffer = "prompt"
    """Tokens at the end of a valid prefix that earn nothing: as many as the prompt has, or a fixed number."""
    relu: bool = False
    """Never push a rewarded prefix down, even if alpha is below the group's mean; for instruction-tuned policies."""

    needs: ClassVar[frozenset[Need]] = frozenset({"judge", "spans"})

    def transform(self, batch: GroupBatch, rows_M: torch.Tensor, scored_M: Sequence[Scored]) -> Shaped:
        """Replace the outcome of scored rows by alpha times the fraction of the rewarded prefix."""
        prefixes = self.read_prefixes(batch)
        rewards_N = prefixes.baseline_N.where(~prefixes.scored_N, self.alpha * prefix_shares(batch, buffer=self.buffer))
        return Shaped(rewards_N, rewards_N.new_zeros(len(rewards_N)))

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> list[torch.Tensor]:
        """Return each token's credit minus the group's mean, 0 for responses outside it. Shapes (T,)."""
        from sgpo.rewards import compute_advantages  # needs torch

        assert batch.rts_N is not None
        bonus_N = self.alpha * (~batch.rts_N.isnan() & ~rewards_N.isnan()).to(rewards_N)
        advantages_N = compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale="none")
        advantages = spread_over_prefix(advantages_N, bonus_N=bonus_N, batch=batch, buffer=self.buffer)
        if self.relu:
            for row, n_rewarded in enumerate(rewarded_tokens(batch, buffer=self.buffer).tolist()):
                advantages[row][:n_rewarded].clamp_(min=0)
        return advantages
