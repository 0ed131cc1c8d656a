"""VPPO: wrong responses keep credit for what comes before their first error, less a stretch at its end.

Source:
    VPPO (2601.18984), equations 6 to 8, read second-hand (the paper's text was not at hand): tokens of right responses
    earn 1, those of the rewarded prefix of a wrong one alpha, all others 0; from each the group's mean of 1 or
    alpha |prefix| / |response| is taken, and nothing is divided by a standard deviation. The rewarded prefix ends as
    many tokens before the first error as the prompt is long, so that splitting steps does not pay. Differs in: a wrong
    response without a located error follows `rts.no_error`, one without a verdict stays out (`on_unscored`), and
    cut-off ones are not judged (`truncated`), as for SGPO.
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
    """Credit by token: 1 in right responses, alpha in the valid prefix of wrong ones, less the group's mean."""

    type: Literal["vppo"] = "vppo"
    """Name of the algorithm."""
    alpha: float = Field(default=0.5, ge=0, le=1)
    """Credit of a valid prefix; the paper found 0.3 to 0.7 alike and 0.9 worse."""
    buffer: Buffer = "prompt"
    """Tokens at the end of a valid prefix that earn nothing: as many as the prompt has, or a number."""
    relu: bool = False
    """Never push a rewarded prefix down, also where alpha lies below the group's mean; for policies that are tuned to
    follow instructions."""

    needs: ClassVar[frozenset[Need]] = frozenset({"judge", "spans"})

    def transform(self, batch: GroupBatch, rows_M: torch.Tensor, scored_M: Sequence[Scored]) -> Shaped:
        """Put the share of the rewarded prefix, times alpha, in place of the outcome of scored rows."""
        prefixes = self.read_prefixes(batch)
        rewards_N = prefixes.baseline_N.where(~prefixes.scored_N, self.alpha * prefix_shares(batch, buffer=self.buffer))
        return Shaped(rewards_N, rewards_N.new_zeros(len(rewards_N)))

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> list[torch.Tensor]:
        """Return each token's credit less the group's mean, 0 for responses outside it. Shapes (T,)."""
        from sgpo.rewards import compute_advantages  # needs torch

        assert batch.rts_N is not None
        bonus_N = self.alpha * (~batch.rts_N.isnan() & ~rewards_N.isnan()).to(rewards_N)
        advantages_N = compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale="none")
        advantages = spread_over_prefix(advantages_N, bonus_N=bonus_N, batch=batch, buffer=self.buffer)
        if self.relu:
            for row, n_rewarded in enumerate(rewarded_tokens(batch, buffer=self.buffer).tolist()):
                advantages[row][:n_rewarded].clamp_(min=0)
        return advantages
