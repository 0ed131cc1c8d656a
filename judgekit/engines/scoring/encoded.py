"""What an engine is given to score: token ids and where they are read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Encoded:
    """Token ids of one solution and where its steps are read."""

    input_ids: list[int]
    """Shape (n_tokens,)."""
    positions_S: list[int]
    """Index into `input_ids` of each step's score position, rising. Shape (n_steps,)."""
    n_problem_tokens: int = 0
    """Tokens before the first step; 0 where there is no problem."""
