"""Options of `sgpo compare`: the arms, and what they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from judgekit.config import BaseConfig, merge_settings, parse_config
from sgpo.config import upgrade_guidance
from sgpo.online.config import OnlineConfig


class CompareConfig(BaseConfig):
    """Which arms to train, with which seeds."""

    base: OnlineConfig
    """What all arms share; needs `eval`. Its `seed` and `threads` give way to those here."""
    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    """Name of an arm -> what it changes in `base`, for example `{algorithm: {type: random_rts}}`. An algorithm of
    another type takes the place of the base's; one of the same type, or without `type`, changes options of it."""
    reference: str
    """The arm whose final accuracy the others are to reach."""
    seeds: tuple[int, ...] = Field(default=(0, 1), min_length=1)
    """Seeds, all different; each arm runs with each. Differences between arms are taken seed by seed, with Student's
    interval: of two seeds it is so wide that hardly any difference stands out, five or more say something."""
    workers: int = Field(default=1, ge=1)
    """Runs at a time."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of one run."""

    @model_validator(mode="before")
    @classmethod
    def _read_guidance(cls, data: Any) -> Any:
        """Give the arms that have a judge what `guidance` of the base said in earlier releases."""
        base, arms = (data.get("base"), data.get("arms")) if isinstance(data, dict) else (None, None)
        if not isinstance(base, dict) or not isinstance(arms, dict):
            return data
        arms = {name: _upgrade_arm(arm, base) for name, arm in arms.items()}
        return data | {"base": {key: value for key, value in base.items() if key != "guidance"}, "arms": arms}

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
        base = self.base.model_dump(mode="json")
        values = merge_settings(base, self.arms[arm] | {"seed": seed, "threads": self.threads})
        return parse_config(OnlineConfig, values, where=f"arm {arm}")


def _upgrade_arm(arm: Any, base: Mapping[str, Any]) -> Any:
    """Return an arm with the guidance of its base and its own as `guards` and, where it has a judge, `algorithm`."""
    if not isinstance(arm, dict) or "algorithm" in arm:
        return arm  # not written for an earlier release
    guidance = dict(base.get("guidance") or {}) | dict(arm.get("guidance") or {})
    if not guidance:
        return arm
    algorithm, guards = upgrade_guidance(guidance)
    upgraded = {key: value for key, value in arm.items() if key != "guidance"}
    if guards:
        upgraded["guards"] = guards | dict(arm.get("guards") or {})
    # `type` alone says no more than that there is a judge.
    if len(algorithm) > 1 and (dict(base) | arm).get("judge") is not None:
        upgraded["algorithm"] = algorithm
    return upgraded
