"""Options of `sgpo compare`: the arms, and what they share."""

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
    """Arms to run again with their judge erring on purpose: see `judgekit.judges.mistaken` for what each error is."""

    arms: tuple[str, ...] = Field(min_length=1)
    """Arms that ask a judge."""
    kinds: tuple[Literal["early", "late", "random"], ...] = Field(default=("early", "late", "random"), min_length=1)
    """Which way the judge errs."""
    rates: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(default=(0.15, 0.3, 0.45, 0.6), min_length=1)
    """Shares of responses on which it errs. The arm itself is the judge without errors. An erring judge decides for
    its most probable outcome, so that it errs as often as it should; where the judge decides by a threshold, a rate of
    0 shows what that alone changes."""
    seed: int = 0
    """Decides, with a response's text, whether and to what the judge errs; the same for all seeds of training."""


class ErringArm(NamedTuple):
    """An arm whose judge errs on purpose."""

    arm: str
    """The arm that it is otherwise."""
    kind: str
    """Which way the judge errs."""
    rate: float
    """Share of responses on which it errs."""

    @property
    def error(self) -> str:
        """Kind and rate in percent as a name."""
        return f"{self.kind}{100 * self.rate:g}".replace(".", "p")

    @property
    def name(self) -> str:
        """Name of the arm."""
        return f"{self.arm}_{self.error}"


class CompareConfig(BaseConfig):
    """Which arms to train, with which seeds."""

    base: OnlineConfig | None = None
    """What all arms of `sgpo online` share; needs `eval`. Its `seed` and `threads` give way to those here."""
    base_offline: OfflineConfig | None = None
    """What all arms of `sgpo offline` share; needs `eval`, of the same problems as that of `base`. They ask each judge
    once, whatever their seed and algorithm."""
    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    """Name of an arm -> what it changes in `base`, for example `{algorithm: {type: random_rts}}`, or, with `command:
    offline`, in `base_offline`; without `base` every arm is offline. An algorithm of another type takes the place of
    the base's; one of the same type, or without `type`, changes options of it."""
    judge_errors: JudgeErrorsConfig | None = None
    """Arms that are run again with judges that err, named for example `sgpo_late30`; `null` runs none."""
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
        if self.base is None and self.base_offline is None:
            raise ValueError(
                "there is nothing that arms share: give base for online arms, base_offline for offline ones"
            )
        for name, base in (("base", self.base), ("base_offline", self.base_offline)):
            if base is not None and base.eval is None:
                raise ValueError(f"{name}.eval is null: without held-out evaluations there is nothing to compare")
        if self.reference not in self.arms:
            raise ValueError(f"reference {self.reference!r} is none of the arms {', '.join(self.arms)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)} name one twice: equal seeds are the same run")
        for arm in self.arms:
            if not arm.replace("_", "").isalnum():
                raise ValueError(f"arm {arm!r} names a folder: use letters, digits and underscores")
            self.arm_config(arm, seed=self.seeds[0])
        for arm in self.judge_errors.arms if self.judge_errors else ():
            if arm not in self.arms:
                raise ValueError(f"judge_errors.arms: {arm!r} is none of the arms {', '.join(self.arms)}")
            if "judge" not in self.arm_config(arm, seed=self.seeds[0]).resolved_algorithm.needs:
                raise ValueError(f"judge_errors.arms: {arm!r} asks no judge that could err")
        names = [*self.arms, *(erring.name for erring in self.erring_arms)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two arms are called {twice[0]!r}: rename one, or give a kind and a rate once")
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
        """Every arm that is trained, by name, and the arm of `arms` that it is but for its judge."""
        return {arm: arm for arm in self.arms} | {erring.name: erring.arm for erring in self.erring_arms}

    def command(self, arm: str) -> Command:
        """Return the command that an arm of `arms` is a run of."""
        command: Command = self.arms[arm].get("command", "offline" if self.base is None else "online")
        return command

    def arm_config(self, arm: str, *, seed: int) -> OnlineConfig | OfflineConfig:
        """Return the configuration of one run of an arm of `arms`.

        Raises:
            ConfigError: the arm changes something that does not exist, or to a value that is refused, or is a run of a
                command that there is no base for.
        """
        command = self.command(arm)
        if command not in get_args(Command):
            raise ConfigError(f"arm {arm}: command is online or offline, not {command!r}")
        base, name = (self.base, "base") if command == "online" else (self.base_offline, "base_offline")
        if base is None:
            raise ConfigError(f"arm {arm} is a run of sgpo {command}, and there is no {name}: give one")
        changes = {key: value for key, value in self.arms[arm].items() if key != "command"}
        values = merge_settings(base.model_dump(mode="json"), changes | {"seed": seed, "threads": self.threads})
        return parse_config(type(base), values, where=f"arm {arm}")


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
