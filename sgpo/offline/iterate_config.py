"""Configuration of iterated offline training. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from judgekit.config import BaseConfig


class IterateConfig(BaseConfig):
    """Sample, judge, train, and repeat with the trained policy; each round runs `judgekit rollouts` and `sgpo offline`.

    Both read their own configuration. A round sets: policy, groups, seed, and one shared folder of judgements.
    """

    policy: str = Field(min_length=1)
    """The policy of the first round: a directory or Hub id."""
    rollouts: Path
    """Configuration of `judgekit rollouts`; `generation.model` and `seed` are set by the round."""
    offline: Path
    """Configuration of `sgpo offline`; `policy`, `groups`, `judgements` and `seed` are set by the round."""
    rounds: int = Field(default=3, ge=1)
    """Number of rounds."""
    seed: int = 0
    """Seed of the first round; each further round adds 1."""
