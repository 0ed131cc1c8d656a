"""Objectives besides the outcome: rewards that are functions of a response's text, each with a name and a weight.

`objectives: {short: {type: length, max_chars: 400, weight: 0.2}}`. Online, each is a TRL reward function, logged as
`train/rewards/NAME/mean` and `/std`; offline, they are computed from the stored text. Imports no torch.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from judgekit.config import BaseConfig


class PatternObjective(BaseConfig):
    """1 if a pattern is found in the response, else 0."""

    type: Literal["pattern"] = "pattern"
    """Selects this kind."""
    pattern: str = Field(min_length=1)
    """Regular expression for Python's `re.search`; `.` does not match line breaks."""
    weight: float = 1.0
    """Weight in the sum of rewards; the outcome's is 1."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"pattern {value!r} is not a regular expression: {error}") from error
        return value

    def reward(self, text: str) -> float:
        """Return the reward of a response, before weighting."""
        return float(re.search(self.pattern, text) is not None)


class LengthObjective(BaseConfig):
    """1 for responses up to a length, falling linearly to 0 at twice that length."""

    type: Literal["length"] = "length"
    """Selects this kind."""
    max_chars: int = Field(ge=1)
    """Longest response that earns 1, in characters."""
    weight: float = 1.0
    """Weight in the sum of rewards; the outcome's is 1."""

    def reward(self, text: str) -> float:
        """Return the reward of a response, before weighting.

        Example:
            >>> [LengthObjective(max_chars=4).reward("x" * n) for n in (4, 6, 9)]
            [1.0, 0.5, 0.0]
        """
        return min(max(2 - len(text) / self.max_chars, 0.0), 1.0)


Objective = Annotated[PatternObjective | LengthObjective, Field(discriminator="type")]
"""One objective, selected by `type`."""
