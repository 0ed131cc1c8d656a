"""The input of a scoring engine: token ids, and the positions to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired, TypedDict


@dataclass(frozen=True)
class Encoded:
    """Token ids of one solution and where its steps are read."""

    input_ids: list[int]
    """Shape (n_tokens,)."""
    positions_S: list[int]
    """Index into `input_ids` of each step's score position, ascending. Shape (n_steps,)."""
    n_problem_tokens: int = 0
    """Tokens before the first step; 0 if there is no problem."""


class PassOptions(TypedDict):
    """How encoded solutions are assigned to forward passes."""

    token_budget: int
    """Most tokens of one forward pass, padding included; a longer solution has one for itself."""
    pad_id: int
    """Token id to pad with."""
    share: NotRequired[bool]
    """Compute a prefix that solutions have in common once, as by default; off only to measure what that saves."""
    progress: NotRequired[bool]
    """Show a progress bar; off by default."""
