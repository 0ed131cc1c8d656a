"""Options of `sgpo compare`: the arms, and what they share."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from judgekit.config import BaseConfig, parse_config
from sgpo.online.config import OnlineConfig


class CompareConfig(BaseConfig):
    """Which arms to train, with which seeds."""

    base: OnlineConfig
    """What all arms share; needs `eval`. Its `seed` and `threads` give way to those here."""
    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    """Name of an arm -> what it changes in `base`, for example `{judge: runs/judge/judge}`."""
    reference: str
    """The arm whose final accuracy the others are to reach."""
    seeds: tuple[int, ...] = Field(default=(0, 1), min_length=1)
    """Seeds, all different; each arm runs with each. Differences between arms are taken seed by seed, with Student's
    interval: of two seeds it is so wide that hardly any difference stands out, five or more say something."""
    workers: int = Field(default=1, ge=1)
    """Runs at a time."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of one run."""

    @model_validator(mode="after")
    def _arms_are_runs(self) -> CompareConfig:
        if self.base.eval is None:
            raise ValueError("base.eval is null: without held-out evaluations there is nothing to compare")
        if self.reference not in self.arms:
            raise ValueError(f"reference {self.reference!r} is none of the arms {', '.join(self.arms)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)} name one twice: equal seeds are the same run")
        for arm in self.arms:
            if not arm.replace("_", "").isalnum():
                raise ValueError(f"arm {arm!r} names a folder: use letters, digits and underscores")
            self.arm_config(arm, seed=self.seeds[0])
        return self

    def arm_config(self, arm: str, *, seed: int) -> OnlineConfig:
        """Return the configuration of one run.

        Raises:
            ConfigError: the arm changes something that does not exist, or to a value that is refused.
        """
        from omegaconf import OmegaConf  # as long to import as pydantic, and help needs none

        base = OmegaConf.create(self.base.model_dump(mode="json"))
        merged = OmegaConf.merge(base, self.arms[arm], {"seed": seed, "threads": self.threads})
        values = OmegaConf.to_container(merged)
        assert isinstance(values, dict)
        return parse_config(OnlineConfig, values, where=f"arm {arm}")


__all__ = ["CompareConfig"]
