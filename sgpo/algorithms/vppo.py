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

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import GroupBatch, Need, Scale, Scored, Shaped
from sgpo.algorithms.judged import Judged

if TYPE_CHECKING:
    import torch


class VPPO(Judged):
    """Credit by token: 1 in right responses, alpha in the valid prefix of wrong ones, less the group's mean."""

    type: Literal["vppo"] = "vppo"
    """Name of the algorithm."""
    alpha: float = Field(default=0.5, ge=0, le=1)
    """Credit of a valid prefix; the paper found 0.3 to 0.7 alike and 0.9 worse."""
    buffer: Literal["prompt"] | int = "prompt"
    """Tokens at the end of a valid prefix that earn nothing: as many as the prompt has, or a number."""
    relu: bool = False
    """Never push a rewarded prefix down, also where alpha lies below the group's mean; for policies that are tuned to
    follow instructions."""

    needs: ClassVar[frozenset[Need]] = frozenset({"judge", "spans"})

    def transform(self, batch: GroupBatch, rows_M: torch.Tensor, scored_M: Sequence[Scored]) -> Shaped:
        """Put the share of the rewarded prefix, times alpha, in place of the outcome of scored rows."""
        prefixes = self.read_prefixes(batch, rows_M, scored_M)
        rewards_N = prefixes.baseline_N.clone()
        for row in prefixes.scored_N.nonzero().flatten().tolist():
            n_tokens = max(int(batch.n_tokens_N[row]), 1)
            rewards_N[row] = self.alpha * self._n_rewarded(batch, row, float(prefixes.rts_N[row])) / n_tokens
        return Shaped(rewards_N, rewards_N.new_zeros(len(rewards_N)))

    def _n_rewarded(self, batch: GroupBatch, row: int, rts: float) -> int:
        """Return the tokens of a wrong response that earn alpha: whole valid steps, less the buffer."""
        assert batch.spans_N is not None and batch.n_prompt_tokens_N is not None
        spans_S = batch.spans_N[row]
        n_valid = math.floor(rts * len(spans_S) + 1e-6)  # whole steps; a share of k/n may fall short by its rounding
        if n_valid == 0:
            return 0
        n_buffer = int(batch.n_prompt_tokens_N[row]) if self.buffer == "prompt" else self.buffer
        # What ends a response belongs to no step; a response that is valid throughout has it too.
        end = int(batch.n_tokens_N[row]) if n_valid == len(spans_S) else spans_S[n_valid - 1][1]
        return max(0, end - n_buffer)

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> list[torch.Tensor]:
        """Return each token's credit less the group's mean, 0 for responses outside it. Shapes (T,)."""
        from sgpo.rewards import group_moments  # needs torch

        assert batch.rts_N is not None
        mean_N, _ = group_moments(rewards_N, batch.group_ids_N)
        advantages = []
        for row, (reward, mean) in enumerate(zip(rewards_N.tolist(), mean_N.tolist(), strict=True)):
            n_tokens, rts = int(batch.n_tokens_N[row]), float(batch.rts_N[row])
            if math.isnan(reward):
                advantages.append(rewards_N.new_zeros(n_tokens))
            elif math.isnan(rts):
                advantages.append(rewards_N.new_full((n_tokens,), reward - mean))
            else:
                n_rewarded = self._n_rewarded(batch, row, rts)
                given_T = rewards_N.new_full((n_tokens,), reward - self.alpha * n_rewarded / max(n_tokens, 1) - mean)
                given_T[:n_rewarded] += self.alpha
                if self.relu:
                    given_T[:n_rewarded].clamp_(min=0)
                advantages.append(given_T)
        return advantages
