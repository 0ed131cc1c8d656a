"""Credit per token: the part before the first error of a wrong response earns a reward, except for a buffer at its end.

Source:
    VPPO (2601.18984), equations 6 to 8: the rewarded prefix ends before the first error, by as many tokens as the
    prompt has, so that splitting steps does not pay; one baseline is subtracted from every token. Shared by VPPO and by
    SGPO with `credited=prefix`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sgpo.algorithms.base import GroupBatch

if TYPE_CHECKING:
    import torch

Buffer = Literal["prompt"] | Annotated[int, Field(ge=0)]
"""Tokens at the end of a valid prefix that earn nothing: as many as the prompt has, or a fixed number."""


def rewarded_tokens(batch: GroupBatch, *, buffer: Buffer) -> torch.Tensor:
    """Return how many tokens of each response are in complete valid steps, minus the buffer. Shape (N,), int64.

    0 for responses that were not scored or are not trained. The end token belongs to no step; it counts only for a
    response that is valid throughout.
    """
    assert batch.spans_N is not None and batch.n_prompt_tokens_N is not None and batch.valid_steps_N is not None
    rewarded_N = batch.n_tokens_N.new_zeros(len(batch.n_tokens_N))
    for row, (spans_S, valid) in enumerate(zip(batch.spans_N, batch.valid_steps_N.tolist(), strict=True)):
        n_valid = 0 if math.isnan(valid) else math.floor(valid + 1e-6)  # k/n of n steps may fall short by its rounding
        if not n_valid or not spans_S:
            continue
        end = int(batch.n_tokens_N[row]) if n_valid == len(spans_S) else spans_S[n_valid - 1][1]
        rewarded_N[row] = max(0, end - (int(batch.n_prompt_tokens_N[row]) if buffer == "prompt" else buffer))
    return rewarded_N


def prefix_shares(batch: GroupBatch, *, buffer: Buffer) -> torch.Tensor:
    """Return the fraction of each response's tokens that is rewarded, in [0, 1]. Shape (N,)."""
    return rewarded_tokens(batch, buffer=buffer).to(batch.outcomes_N) / batch.n_tokens_N.clamp(min=1)


def spread_over_prefix(
    advantages_N: torch.Tensor, *, bonus_N: torch.Tensor, batch: GroupBatch, buffer: Buffer
) -> list[torch.Tensor]:
    """Return advantages per token: rewarded tokens lie `bonus` above the others, and their mean is the response's.

    With advantage r * fraction - mean and bonus r, that is r - mean for rewarded tokens and -mean for all others.

    Args:
        advantages_N: Advantage of each response. Shape (N,).
        bonus_N: What a rewarded token earns; 0 for responses whose tokens all earn the same. Shape (N,).
        batch: The groups.
        buffer: See `Buffer`.

    Returns:
        Shapes (T,).
    """
    rests_N, given = advantages_N - bonus_N * prefix_shares(batch, buffer=buffer).to(bonus_N), []
    n_rewarded_N = rewarded_tokens(batch, buffer=buffer).tolist()
    for row, (n_tokens, n_rewarded) in enumerate(zip(batch.n_tokens_N.tolist(), n_rewarded_N, strict=True)):
        given.append(rests_N[row].repeat(n_tokens))
        given[-1][:n_rewarded] += bonus_N[row]
    return given
