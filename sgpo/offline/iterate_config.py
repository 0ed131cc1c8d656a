"""Configuration of iterated offline training. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from judgekit.config import BaseConfig


class IterateConfig(BaseConfig):
    """Sample, judge, train, and again with the policy that came out; each round is `judgekit rollouts`, `sgpo offline`.

    Both read their own configuration. What a round sets in them: policy, groups, seed, and one folder of judgements.
    """

    policy: str = Field(min_length=1)
    """The policy of the first round: a directory or Hub id."""
    rollouts: Path
    """Configuration of `judgekit rollouts`; `generation.model` and `seed` are set by the round."""
    offline: Path
    """Configuration of `sgpo offline`; `policy`, `groups`, `judgements` and `seed` are set by the round."""
    rounds: int = Field(default=3, ge=1)
    """How often to sample and train."""
    seed: int = 0
    """Seed of the first round; each further one adds 1."""
