"""Attention for packs of solutions, and the models that support it: every solution sees only its own and shared tokens.

Registered with transformers under the name `PACKED`. All other layers of a model work on single tokens, so a model
whose attention uses transformers' interface runs on a pack as on one long row, without padding and without a cache;
only here the solutions are separated. Axes: P positions of a pack, n queries and m keys of one solution, H heads, D
head size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface

from judgekit.engines.scoring.packing import Pack

PACKED = "judgekit_packed"
"""Name of the attention in transformers' interface."""
PACKABLE = frozenset(
    {"cohere", "cohere2", "gemma", "glm", "granite", "llama", "mistral", "mixtral", "olmo2", "phi", "phi3", "qwen2"}
    | {"qwen3", "smollm3", "starcoder2"}
)
"""Model types that are run on packs: causal, positions by rotation, full or sliding-window attention without soft caps.
Any other type is run on padded batches, and shares nothing."""
QUERY_BLOCK = 512
"""Queries that attend at a time where a mask is needed: bounds the mask, and saves keys that all of them may not see.
"""


class _Row(NamedTuple):
    """One solution of a pack that has tokens of its own."""

    start: int
    """First of its own tokens in the pack."""
    stop: int
    """Behind the last of them."""
    keys: torch.Tensor | None
    """Where all its tokens lie in the pack, shape (m,); `None` if it shares none."""


class PackLayout:
    """What the attention must know of a pack.

    Args:
        pack: The pack.
        device: Where the model is.
    """

    def __init__(self, pack: Pack, device: torch.device) -> None:
        self.rows: list[_Row] = []
        stop = 0
        for index_T, n_shared in zip(pack.index_T, pack.n_shared, strict=True):
            start, stop = stop, stop + len(index_T) - n_shared
            if stop > start:  # else it equals the solution before it
                self.rows.append(_Row(start, stop, torch.from_numpy(index_T).to(device) if n_shared else None))
        self.n_block = min(QUERY_BLOCK, max(row.stop - row.start for row in self.rows))
        self._longest = max(len(index_T) for index_T in pack.index_T)
        self._longest_sharing = max((len(row.keys) for row in self.rows if row.keys is not None), default=0)
        self._patterns: dict[int | None, torch.Tensor] = {}

    def mask(self, n: int, *, n_before: int, window: int | None, like: torch.Tensor) -> torch.Tensor:
        """Return what is added to the attention logits of n queries over the n_before keys before them and their own.

        0 where query i may see key j, minus infinity elsewhere: j is not behind i, and less than `window` before it.
        This depends on the distance alone, so one pattern serves all solutions and layers of the pack.

        Returns:
            Shape (n, n_before + n), dtype and device of `like`.
        """
        if window not in self._patterns:
            self._patterns[window] = self._pattern(window).to(dtype=like.dtype, device=like.device)
        pattern = self._patterns[window]
        left = pattern.shape[1] - self.n_block - n_before
        return pattern[:n, left : left + n_before + n]

    def _pattern(self, window: int | None) -> torch.Tensor:
        """The mask of a whole block over as many keys before it as any block has. Shape (n_block, all these keys)."""
        n_before = self._longest_sharing if window is None else min(self._longest, window)
        distance = torch.arange(self.n_block)[:, None] - torch.arange(-n_before, self.n_block)[None, :]
        seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
        return torch.where(seen, 0.0, float("-inf"))


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    layout: PackLayout,
    scaling: float | None = None,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each solution of a pack, by transformers' `sdpa` attention.

    Args:
        module: The attention layer.
        query: Shape (1, H, P, D).
        key: Shape (1, H or fewer, P, D).
        value: Like `key`.
        attention_mask: Always `None`: transformers makes no mask for an attention that it does not know.
        layout: The pack.
        scaling: Factor of the logits; `None` is D ** -0.5.
        sliding_window: How many tokens back, itself included, a token sees; `None` is all.
        dropout: Share of attention weights set to 0, in training.

    Returns:
        Shape (1, P, H, D), and no weights.
    """
    assert attention_mask is None and query.shape[0] == 1
    found: list[torch.Tensor] = []
    for row in layout.rows:
        own = query[:, :, row.start : row.stop]
        if row.keys is None:
            keys, values = key[:, :, row.start : row.stop], value[:, :, row.start : row.stop]
        else:
            keys, values = key[:, :, row.keys], value[:, :, row.keys]
        found += _attend(module, own, keys, values, layout, scaling=scaling, window=sliding_window, dropout=dropout)
    return torch.cat(found, dim=1), None


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    layout: PackLayout,
    *,
    scaling: float | None,
    window: int | None,
    dropout: float,
) -> Iterator[torch.Tensor]:
    """Yield the outputs of one solution's queries, which are the last of its tokens. Shape (1, n, H, D) each."""
    n, m = query.shape[2], key.shape[2]
    if n == m and (window is None or m <= window):
        yield _sdpa(module, query, key, value, None, scaling=scaling, dropout=dropout, is_causal=True)[0]
        return
    for start in range(0, n, layout.n_block):
        stop = min(start + layout.n_block, n)
        first = 0 if window is None else max(0, m - n + start - window + 1)
        keys, values = (tensor[:, :, first : m - n + stop] for tensor in (key, value))
        mask = layout.mask(stop - start, n_before=m - n + start - first, window=window, like=query)[None, None]
        block = query[:, :, start:stop]
        yield _sdpa(module, block, keys, values, mask, scaling=scaling, dropout=dropout, is_causal=False)[0]


_sdpa = AttentionInterface()["sdpa"]
AttentionInterface.register(PACKED, packed_attention)
