"""Options of `sgpo compare`: the arms, and what they have in common."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import Field, model_validator

from judgekit.config import BaseConfig, merge_settings, parse_config
from judgekit.errors import ConfigError
from sgpo.config import upgrade_guidance
from sgpo.offline.config import OfflineConfig
from sgpo.online.config import OnlineConfig

Command = Literal["online", "offline"]


class JudgeErrorsConfig(BaseConfig):
    """Arms to run again with a judge that makes simulated errors; `judgekit.judges.mistaken` defines each kind."""

    arms: tuple[str, ...] = Field(min_length=1)
    """Arms that use a judge."""
    kinds: tuple[Literal["early", "late", "random"], ...] = Field(default=("early", "late", "random"), min_length=1)
    """Kind of error."""
    rates: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(default=(0.15, 0.3, 0.45, 0.6), min_length=1)
    """Fraction of responses on which the judge errs. The arm itself is the judge without simulated errors. An erring
    judge decides for its most probable outcome, so that it errs at the given rate; if the judge decides by a threshold,
    a rate of 0 shows the effect of that change alone."""
    seed: int = 0
    """Determines, with a response's text, whether and how the judge errs; the same for all training seeds."""


class ErringArm(NamedTuple):
    """An arm whose judge makes simulated errors."""

    arm: str
    """The arm without simulated errors."""
    kind: str
    """Kind of error."""
    rate: float
    """Fraction of responses on which the judge errs."""

    @property
    def error(self) -> str:
        """Name of the kind and the rate in percent."""
        return f"{self.kind}{100 * self.rate:g}".replace(".", "p")

    @property
    def name(self) -> str:
        """Name of the arm."""
        return f"{self.arm}_{self.error}"


class CompareConfig(BaseConfig):
    """Which arms to train, with which seeds."""

    base: OnlineConfig | None = None
    """Shared by all arms of `sgpo online`; needs `eval`. The `seeds` and `threads` here override its `seed` and
    `threads`."""
    base_offline: OfflineConfig | None = None
    """Shared by all arms of `sgpo offline`; needs `eval`, on the same problems as that of `base`. Offline arms judge
    each response once, whatever their seed and algorithm."""
    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    """Name of an arm -> its changes to `base`, for example `{algorithm: {type: random_rts}}`, or, with `command:
    offline`, to `base_offline`; without `base` every arm is offline. An algorithm of another type replaces the base's;
    one of the same type, or without `type`, changes its options."""
    judge_errors: JudgeErrorsConfig | None = None
    """Arms to run again with judges that err, named for example `sgpo_late30`; `null` runs none."""
    reference: str
    """The arm that the others are compared with; its final accuracy is the level to reach."""
    seeds: tuple[int, ...] = Field(default=(0, 1), min_length=1)
    """Seeds, all different; each arm runs with each seed. Differences between arms are paired by seed, with Student's
    interval: with two seeds it is so wide that hardly any difference is significant; use five or more."""
    workers: int = Field(default=1, ge=1)
    """Runs at the same time."""
    threads: int = Field(default=1, ge=1)
    """CPU threads per run."""

    @model_validator(mode="before")
    @classmethod
    def _read_guidance(cls, data: Any) -> Any:
        """Move what `guidance` in `base` said in earlier releases to the arms that have a judge."""
        base, arms = (data.get("base"), data.get("arms")) if isinstance(data, dict) else (None, None)
        if not isinstance(base, dict) or not isinstance(arms, dict):
            return data
        arms = {name: _upgrade_arm(arm, base) for name, arm in arms.items()}
        return data | {"base": {key: value for key, value in base.items() if key != "guidance"}, "arms": arms}

    @model_validator(mode="after")
    def _arms_are_runs(self) -> CompareConfig:
        if self.base is None and self.base_offline is None:
            raise ValueError(
                "neither base nor base_offline is given: give base for online arms, base_offline for offline ones"
            )
        for name, base in (("base", self.base), ("base_offline", self.base_offline)):
            if base is not None and base.eval is None:
                raise ValueError(f"{name}.eval is null: a comparison needs held-out evaluations, so set {name}.eval")
        if self.reference not in self.arms:
            raise ValueError(f"reference {self.reference!r} is not one of the arms: {', '.join(self.arms)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(
                f"seeds {list(self.seeds)} contain one twice: equal seeds give the same run, so give different ones"
            )
        for arm in self.arms:
            if not arm.replace("_", "").isalnum():
                raise ValueError(f"arm {arm!r} names a folder, so use letters, digits and underscores")
            self.arm_config(arm, seed=self.seeds[0])
        for arm in self.judge_errors.arms if self.judge_errors else ():
            if arm not in self.arms:
                raise ValueError(f"judge_errors.arms: {arm!r} is not one of the arms: {', '.join(self.arms)}")
            if "judge" not in self.arm_config(arm, seed=self.seeds[0]).resolved_algorithm.needs:
                raise ValueError(f"judge_errors.arms: {arm!r} uses no judge, so none can err: leave it out")
        names = [*self.arms, *(erring.name for erring in self.erring_arms)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two arms are called {twice[0]!r}: rename one, or give each kind and rate once")
        return self

    @property
    def erring_arms(self) -> list[ErringArm]:
        """Arms that `judge_errors` adds."""
        errors = self.judge_errors
        if errors is None:
            return []
        return [ErringArm(*item) for item in product(errors.arms, errors.kinds, errors.rates)]

    @property
    def trained_arms(self) -> dict[str, str]:
        """Every arm that is trained, by name -> the arm of `arms` that it is or that it adds errors to."""
        return {arm: arm for arm in self.arms} | {erring.name: erring.arm for erring in self.erring_arms}

    def command(self, arm: str) -> Command:
        """Return the command that runs an arm of `arms`."""
        command: Command = self.arms[arm].get("command", "offline" if self.base is None else "online")
        return command

    def arm_config(self, arm: str, *, seed: int) -> OnlineConfig | OfflineConfig:
        """Return the configuration of one run of an arm of `arms`.

        Raises:
            ConfigError: the arm changes something that does not exist, or to a value that is refused, or uses a command
                that has no base.
        """
        command = self.command(arm)
        if command not in get_args(Command):
            raise ConfigError(f"arm {arm}: command must be online or offline, not {command!r}")
        base, name = (self.base, "base") if command == "online" else (self.base_offline, "base_offline")
        if base is None:
            raise ConfigError(f"arm {arm} is run by sgpo {command}, but {name} is missing: give one")
        changes = {key: value for key, value in self.arms[arm].items() if key != "command"}
        values = merge_settings(base.model_dump(mode="json"), changes | {"seed": seed, "threads": self.threads})
        return parse_config(type(base), values, where=f"arm {arm}")


def _upgrade_arm(arm: Any, base: Mapping[str, Any]) -> Any:
    """Return an arm with the guidance of its base and its own as `guards` and, if it has a judge, `algorithm`."""
    if not isinstance(arm, dict) or "algorithm" in arm:
        return arm  # not written for an earlier release
    guidance = dict(base.get("guidance") or {}) | dict(arm.get("guidance") or {})
    if not guidance:
        return arm
    algorithm, guards = upgrade_guidance(guidance)
    upgraded = {key: value for key, value in arm.items() if key != "guidance"}
    if guards:
        upgraded["guards"] = guards | dict(arm.get("guards") or {})
    # `type` alone says only that there is a judge.
    if len(algorithm) > 1 and (dict(base) | arm).get("judge") is not None:
        upgraded["algorithm"] = algorithm
    return upgraded
