"""Assigns encoded solutions to forward passes under a token budget. Imports no torch.

Packs concatenate solutions, and each token prefix that solutions share is stored once. In the order of their token ids,
a solution shares no more with any earlier solution than with the one just before it. So solutions are packed in that
order, and each adds only the tokens after the prefix that it shares with its predecessor: the problem of a group is
stored once, and so is a first step that several responses have in common. Padded batches are for models that cannot run
on packs. Axes: `_N` solutions of a call, `_T` tokens of one solution, `_P` positions of a pack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

MIN_SHARED_TOKENS = 32
"""Shortest prefix that is worth sharing: attention to tokens elsewhere in the pack costs more than to a plain row."""


@dataclass
class Pack:
    """Some solutions laid end to end for one forward pass."""

    rows: list[int] = field(default_factory=list)
    """Which solutions of the call, in the order of the pack."""
    input_ids_P: list[int] = field(default_factory=list)
    """Token ids, without padding."""
    position_ids_P: list[int] = field(default_factory=list)
    """Position of each token in its own solution."""
    index_T: list[np.ndarray] = field(default_factory=list)
    """For each solution, where in the pack each of its tokens lies. Shape (n_tokens,) each."""
    n_shared: list[int] = field(default_factory=list)
    """For each solution, how many of its first tokens are those of the solution before it in the pack."""

    def __len__(self) -> int:
        """Tokens of the forward pass."""
        return len(self.input_ids_P)

    def add(self, row: int, input_ids: list[int], *, n_shared: int) -> None:
        """Lay down a solution whose first `n_shared` tokens are those of the solution before it."""
        start = len(self)
        own = np.arange(start, start + len(input_ids) - n_shared)
        self.rows.append(row)
        self.index_T.append(np.concatenate([self.index_T[-1][:n_shared], own]) if n_shared else own)
        self.n_shared.append(n_shared)
        self.input_ids_P += input_ids[n_shared:]
        self.position_ids_P += range(n_shared, len(input_ids))


@dataclass(frozen=True)
class PaddedBatch:
    """Some solutions below each other, padded at the end to one length."""

    rows: list[int]
    """Which solutions of the call."""
    input_ids: list[list[int]]
    """Their token ids, without padding."""

    @property
    def width(self) -> int:
        """Tokens of the longest."""
        return max(len(ids) for ids in self.input_ids)

    @property
    def index_T(self) -> list[np.ndarray]:
        """For each solution, where its tokens lie in the flattened batch. Shape (n_tokens,) each."""
        return [np.arange(len(ids)) + line * self.width for line, ids in enumerate(self.input_ids)]

    def __len__(self) -> int:
        """Tokens of the forward pass, padding included."""
        return len(self.rows) * self.width


def plan_packs(input_ids_N: Sequence[list[int]], *, token_budget: int, share: bool = True) -> list[Pack]:
    """Deal solutions out to packs.

    Args:
        input_ids_N: Token ids of each solution, at least one.
        token_budget: Most tokens of a pack, shared ones counted once; a longer solution is a pack of its own.
        share: Whether a prefix that solutions have in common is laid down once.

    Returns:
        Packs that hold every solution once, the fullest first, so that a budget beyond the memory shows at once.

    Example:
        >>> [pack.rows for pack in plan_packs([[1, 2], [3], [1, 2, 4]], token_budget=5)]
        [[0, 2], [1]]
    """
    packs: list[Pack] = []
    before: list[int] = []
    for row in sorted(range(len(input_ids_N)), key=lambda row: input_ids_N[row]):
        ids = input_ids_N[row]
        n_shared = count_shared(before, ids) if share else 0
        n_shared = n_shared if n_shared >= MIN_SHARED_TOKENS else 0
        if not packs or len(packs[-1]) + len(ids) - n_shared > token_budget:
            packs.append(Pack())
            n_shared = 0
        packs[-1].add(row, ids, n_shared=n_shared)
        before = ids
    return sorted(packs, key=lambda pack: -len(pack))


def plan_padded(input_ids_N: Sequence[list[int]], *, token_budget: int) -> list[PaddedBatch]:
    """Deal solutions out to padded batches, the longest first, each at most `token_budget` tokens with its padding.

    Example:
        >>> [batch.rows for batch in plan_padded([[1, 2], [1, 2, 3, 4, 5], [1, 2, 3]], token_budget=6)]
        [[1], [2, 0]]
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(input_ids_N)), key=lambda row: -len(input_ids_N[row])):
        if not batches or len(input_ids_N[batches[-1][0]]) * (len(batches[-1]) + 1) > token_budget:
            batches.append([])
        batches[-1].append(row)
    return [PaddedBatch(rows, [input_ids_N[row] for row in rows]) for rows in batches]


def count_shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the length of the longest common prefix.

    Example:
        >>> count_shared([1, 2, 3], [1, 2, 4, 5])
        2
    """
    n = min(len(first), len(second))
    differ = np.flatnonzero(np.asarray(first[:n]) != np.asarray(second[:n]))
    return int(differ[0]) if len(differ) else n
