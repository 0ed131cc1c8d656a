"""Options of `judgekit best-of-n`."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.engines.precision import AUTO, ChosenPrecision


class BestOfNConfig(BaseConfig):
    """How groups are reranked."""

    judges: tuple[str, ...] = Field(min_length=1)
    """The judges as `--judge` names them on the command line, so that a resumed run has the same."""
    n_groups: int | None = Field(default=None, ge=1)
    """Maximum groups to use; if there are more, evenly spaced ones are used. `null` = all."""
    sizes: tuple[int, ...] = Field(default=(1, 2, 4, 8), min_length=1)
    """The values of N on the curve, ascending; groups with fewer responses are left out at that N, and counted."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the judges run; `auto`: bfloat16 if the hardware supports it, else float32."""
    chunk_size: int = Field(default=64, ge=1)
    """Responses that are judged, and stored, at once; also groups whose answers are compared at once."""
    show_reference: bool = False
    """Whether the judges may see the correct answer; reranking then does not test them."""
    max_subsets: int = Field(default=5000, ge=1)
    """Maximum subsets of a group for exact vote counts; if there are more, this many random ones are used."""
    timeout_s: float = Field(default=30.0, gt=0)
    """Longest time for comparing two answers symbolically, seconds; beyond it they count as different."""
    workers: int = Field(default=1, ge=1)
    """Processes that compare answers."""
    n_resamples: int = Field(default=2000, ge=100)
    """Bootstrap resamples for the intervals."""
    seed: int = 0
    """Seed of the bootstrap and of random subsets."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.sizes[0] < 1 or any(later <= earlier for earlier, later in pairwise(self.sizes)):
            raise ValueError(f"sizes {self.sizes} must be ascending and at least 1")
        return self
