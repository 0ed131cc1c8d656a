"""How much the policy's distributions differ, position by position, within a group of responses.

Axes: `_G` responses of one group, `_T` positions up to the end of the longest, `_V` vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

POSITIONS = 64
"""Positions whose distributions are compared at once."""


def mean_divergence(logits_GTV: torch.Tensor, *, n_tokens_G: torch.Tensor) -> torch.Tensor:
    """Return the mean KL divergence of a group's distributions from their mean, nats. Shape (T,).

    Args:
        logits_GTV: Logits at every position. Shape (G, T, V).
        n_tokens_G: Tokens of each response; past its end the distribution counts as uniform. Shape (G,).
    """
    n_vocabulary, found = logits_GTV.size(-1), []
    for start in range(0, logits_GTV.size(1), POSITIONS):
        logprobs = logits_GTV[:, start : start + POSITIONS].float().log_softmax(-1)
        positions = torch.arange(start, start + logprobs.size(1), device=logprobs.device)
        is_over = positions >= n_tokens_G[:, None]
        logprobs = logprobs.masked_fill(is_over[..., None], -math.log(n_vocabulary))
        mean = logprobs.logsumexp(0) - math.log(len(logprobs))
        found.append((logprobs.exp() * (logprobs - mean)).sum(-1).mean(0))
    return torch.cat(found)


@torch.no_grad()
def group_divergence(
    model: Any, *, prompt_ids: Sequence[int], completions_G: Sequence[Sequence[int]], temperature: float = 1.0
) -> torch.Tensor:
    """Run a policy on the responses of one group and return their divergence. Shape (T,), on the CPU.

    Holds the logits of the whole group in memory.

    Args:
        model: A causal language model.
        prompt_ids: Tokens of the shared prompt.
        completions_G: Tokens of each response.
        temperature: Divides the logits, as in sampling.
    """
    rows = [torch.tensor([*prompt_ids, *ids], device=model.device) for ids in completions_G]
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    longest = max(map(len, completions_G))
    logits = model(
        input_ids=pad_sequence(rows, batch_first=True), attention_mask=mask, logits_to_keep=longest + 1
    ).logits
    n_tokens_G = torch.tensor([len(ids) for ids in completions_G], device=model.device)
    return mean_divergence(logits[:, :-1] / temperature, n_tokens_G=n_tokens_G).cpu()
