"""Packs responses end to end into bins, and assigns bins to optimiser steps.

One bin is one forward pass without padding: position ids restart at every response, and the engine's packed attention
separates the responses. Axes: `_P` positions of a bin, `_T` its trained tokens, which are the tokens of the
completions.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import NamedTuple, Self

import torch

from sgpo.algorithms.base import LossRule, TokenSum
from sgpo.offline.losses import token_weight


@dataclass(frozen=True)
class OfflineRow:
    """One response as training uses it."""

    key: tuple[str, int]
    """Group id and index of the response within its group."""
    prompt_ids: tuple[int, ...]
    """Tokens before the completion; at least one."""
    completion_ids: tuple[int, ...]
    """Tokens that are trained; at least one."""
    advantage: float | tuple[float, ...] = 0.0
    """Advantage of the response, or of each token of the completion."""
    old_logprobs_T: tuple[float, ...] | None = None
    """Log-probabilities of the completion under the old policy, nats; `None` if the loss does not need them."""
    batch_row: int | None = None
    """Its row among all responses of the file, if credit is computed at every step; `None` if `advantage` is used."""

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass(frozen=True)
class StepSize:
    """What the divisor of an optimiser step counts."""

    n_responses: int = 0
    """Responses."""
    n_tokens: int = 0
    """Their trained tokens."""

    @classmethod
    def of(cls, rows: Iterable[OfflineRow]) -> Self:
        """Return the size of these rows."""
        lengths = [len(row.completion_ids) for row in rows]
        return cls(len(lengths), sum(lengths))

    def __add__(self, other: StepSize) -> StepSize:
        return StepSize(self.n_responses + other.n_responses, self.n_tokens + other.n_tokens)


Bin = tuple[OfflineRow, ...]
"""Responses that share a forward pass; empty in a bin that only pads a step."""


@dataclass(frozen=True)
class PackedBin:
    """The tensors of a bin: its responses concatenated."""

    input_ids_P: torch.Tensor
    """Tokens. Shape (P,), int64."""
    position_ids_P: torch.Tensor
    """Position of each token in its own response. Shape (P,), int64."""
    source_T: torch.Tensor
    """Position in the bin whose logits predict the trained token. Shape (T,), int64."""
    target_T: torch.Tensor
    """The trained token. Shape (T,), int64."""
    advantages_T: torch.Tensor
    """Advantage of each trained token. Shape (T,)."""
    weights_T: torch.Tensor
    """Weight in the sum of losses, see `sgpo.offline.losses.token_weight`. Shape (T,)."""
    old_logprobs_T: torch.Tensor | None = None
    """Log-probability under the old policy, nats. Shape (T,)."""
    batch_row_T: torch.Tensor | None = None
    """Row of the token's response, see `OfflineRow.batch_row`. Shape (T,), int64."""

    def inputs(self) -> dict[str, torch.Tensor]:
        """Return the tensors by name, without those that are `None`."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}


def assign_bins(lengths_N: Sequence[int], *, capacity: int, alone: bool = False) -> list[list[int]]:
    """Assign items to bins by best fit, longest first. Items keep their order within a bin.

    Args:
        lengths_N: Length of each item, 1..capacity. Shape (N,).
        capacity: Largest sum of lengths in a bin.
        alone: Give every item its own bin, in order: for models that cannot separate the items of a bin.

    Returns:
        Item indices of each bin.

    Raises:
        ValueError: an item is longer than a bin.

    Example:
        >>> assign_bins([2, 5, 3, 4], capacity=7)
        [[0, 1], [2, 3]]
    """
    if lengths_N and max(lengths_N) > capacity:
        raise ValueError(f"an item of length {max(lengths_N)} does not fit a bin of {capacity}")
    if alone:
        return [[item] for item in range(len(lengths_N))]
    bins: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (free space, bin), sorted
    for item in sorted(range(len(lengths_N)), key=lambda i: -lengths_N[i]):
        at = bisect.bisect_left(free, (lengths_N[item], -1))
        if at == len(free):
            bins.append([])
            free.append((capacity, len(bins) - 1))
            at = len(free) - 1
        room, index = free.pop(at)
        bins[index].append(item)
        bisect.insort(free, (room - lengths_N[item], index))
    return [sorted(items) for items in bins]


def build_bin(rows: Bin, *, tokens: TokenSum, max_tokens: int) -> PackedBin:
    """Concatenate rows. Either all of them have old log-probabilities or none has.

    Args:
        rows: The responses of the bin; without any, the bin is empty.
        tokens: How the losses of tokens are averaged.
        max_tokens: The length that `fixed` divides by.
    """
    if not rows:
        return empty_bin()
    starts = accumulate((len(row) for row in rows[:-1]), initial=0)
    source_T: list[int] = []
    weights_T: list[float] = []
    advantages_T: list[float] = []
    for start, row in zip(starts, rows, strict=True):
        n_tokens = len(row.completion_ids)
        first = start + len(row.prompt_ids) - 1
        source_T += range(first, first + n_tokens)
        weights_T += [token_weight(n_tokens, tokens=tokens, max_tokens=max_tokens)] * n_tokens
        advantages_T += row.advantage if isinstance(row.advantage, tuple) else [row.advantage] * n_tokens
    old_T = [logprob for row in rows if row.old_logprobs_T is not None for logprob in row.old_logprobs_T]
    batch_row_T = [row.batch_row for row in rows if row.batch_row is not None for _ in row.completion_ids]
    return PackedBin(
        input_ids_P=torch.tensor([token for row in rows for token in (*row.prompt_ids, *row.completion_ids)]),
        position_ids_P=torch.cat([torch.arange(len(row)) for row in rows]),
        source_T=torch.tensor(source_T),
        target_T=torch.tensor([token for row in rows for token in row.completion_ids]),
        advantages_T=torch.tensor(advantages_T, dtype=torch.float32),
        weights_T=torch.tensor(weights_T, dtype=torch.float32),
        old_logprobs_T=torch.tensor(old_T, dtype=torch.float32) if old_T else None,
        batch_row_T=torch.tensor(batch_row_T) if batch_row_T else None,
    )


def empty_bin() -> PackedBin:
    """Return a bin that trains nothing."""
    nothing, no_tokens = torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    one = torch.zeros(1, dtype=torch.int64)
    return PackedBin(one, one, no_tokens, no_tokens, nothing, nothing)


def pack_rows(rows: Sequence[OfflineRow], *, token_budget: int, alone: bool = False) -> list[Bin]:
    """Assign rows to bins of at most `token_budget` tokens, prompts included; `alone` as for `assign_bins`."""
    plan = assign_bins([len(row) for row in rows], capacity=token_budget, alone=alone)
    return [tuple(rows[i] for i in items) for items in plan]


class GroupRows(NamedTuple):
    """What an optimiser step takes from one group."""

    rows: tuple[OfflineRow, ...]
    """Responses that train; empty for a group that only counts in the divisor."""
    size: StepSize
    """What the group adds to the divisor."""


def deal_steps(
    groups: Sequence[GroupRows],
    *,
    bins_per_step: int,
    groups_per_step: int | None = None,
    token_budget: int,
    seed: int,
    alone: bool = False,
) -> list[tuple[list[Bin], StepSize]]:
    """Shuffle one epoch's groups and assign them to optimiser steps, whole groups at a time.

    A group's advantages only sum to zero together: a step with half of the group pushes all it sees in one direction.

    Args:
        groups: All groups of the epoch.
        bins_per_step: A step takes groups as long as their rows fit that many bins; the first may need more.
        groups_per_step: Take exactly that many instead; the last step may have fewer.
        token_budget: See `pack_rows`.
        seed: Seed of the order.
        alone: See `assign_bins`.

    Returns:
        The bins of each step and what its divisor counts. Steps in which nothing trains are left out.
    """
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed)).tolist()
    steps: list[tuple[list[Bin], StepSize]] = []
    taken: list[OfflineRow] = []
    n_taken = 0
    for group in (groups[index] for index in order):
        together = pack_rows([*taken, *group.rows], token_budget=token_budget, alone=alone)
        fits = n_taken < groups_per_step if groups_per_step else not taken or len(together) <= bins_per_step
        if steps and fits:
            taken, n_taken, size = [*taken, *group.rows], n_taken + 1, steps.pop()[1] + group.size
        else:
            together = pack_rows(group.rows, token_budget=token_budget, alone=alone)
            taken, n_taken, size = list(group.rows), 1, group.size
        steps.append((together, size))
    return [step for step in steps if step[0]]


def fill_old_logprobs(
    steps: Sequence[Sequence[Bin]], logprobs: Mapping[tuple[str, int], Sequence[float]]
) -> list[list[Bin]]:
    """Return the same steps with the old log-probabilities of each row, by its key."""
    return [
        [tuple(replace(row, old_logprobs_T=tuple(logprobs[row.key])) for row in packed) for packed in step]
        for step in steps
    ]


class PackedSteps(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Bins in the order of training; every `n_bins per step` consecutive bins form one optimiser step.

    Processes that each take every n-th bin, with n dividing the bins of a step, work on the same steps. Items are the
    tensors of `PackedBin` and `scale`, which is 1 divided by the units of the whole step.

    Args:
        steps: The bins of each optimiser step, the same number in each.
        sizes: What the divisor of each step counts.
        rules: How the losses of each step are averaged and clipped.
        max_tokens: The length that `fixed` divides by.
    """

    def __init__(
        self,
        steps: Sequence[Sequence[Bin]],
        *,
        sizes: Sequence[StepSize],
        rules: Sequence[LossRule],
        max_tokens: int,
    ) -> None:
        self.rules = rules
        self.max_tokens = max_tokens
        self._bins: list[tuple[Bin, TokenSum, int]] = []
        for step, size, rule in zip(steps, sizes, rules, strict=True):
            units = size.n_tokens if rule.tokens == "token_mean" else size.n_responses
            self._bins += [(packed, rule.tokens, units) for packed in step]

    def __len__(self) -> int:
        return len(self._bins)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rows, tokens, units = self._bins[index]
        packed = build_bin(rows, tokens=tokens, max_tokens=self.max_tokens)
        return packed.inputs() | {"scale": torch.tensor(1 / units)}
