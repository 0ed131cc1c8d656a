"""Configuration of `sgpo theory`: the model of reasoning and what is varied in it. Imports no numpy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from judgekit.config import BaseConfig, merge_settings, parse_config

ErrorKind = Literal["early", "late", "random", "reversed"]
"""Which way a judge errs. `early`: it names an earlier step than the first wrong one; `late`: a later one; `random`:
any step; `reversed`: the step as far from the end as the first wrong one is from the start: the worst looks best."""
Division = Literal["population", "sample", "none"]
"""What advantages are divided by: the standard deviation over G, over G - 1 (as TRL and this package), or nothing."""


class NoisyJudge(BaseConfig):
    """A judge that names the first wrong step, or errs."""

    kind: ErrorKind = "random"
    """Which way it errs: to an earlier step, a later one, any one, or the mirrored one. Where no step is earlier or
    later, it cannot err."""
    error: float = Field(default=0.0, ge=0, le=1)
    """How often it errs, in [0, 1]."""


class DynamicsConfig(BaseConfig):
    """A policy that takes steps, each right or wrong by one logit, and is updated by the expected policy gradient.

    Source:
        SGPO (2505.11595), the stylised model: 2 steps, groups of 2, a perfect judge, both steps right half of the time
        at the start, step size 1. These are the defaults.
    """

    n_steps: int = Field(default=2, ge=1, le=12)
    """Steps of a response; it is right where all of them are."""
    start: tuple[float, ...] | float = 0.5
    """Chance that a step is right at the start, in (0, 1): one for all, or one a step."""
    start_success: float | None = Field(default=None, gt=0, lt=1)
    """Chance that a whole response is right at the start, spread evenly over its steps in place of `start`; `null`
    reads `start`."""
    group_size: int = Field(default=2, ge=2, le=64)
    """Responses of a group."""
    judge: NoisyJudge | None = NoisyJudge()
    """Judge of the all-negative groups; `null` is GRPO."""
    guided_updates: int | None = Field(default=None, ge=1)
    """Updates from the start on in which the judge is asked; `null` asks it in all."""
    beta: float = Field(default=10.0, gt=0)
    """Steepness of a wrong response's reward in RTS."""
    gamma: float = Field(default=0.5, ge=0, le=1)
    """RTS at which a wrong response earns 0.5."""
    division: Division = "population"
    """What advantages are divided by: the group's standard deviation over G, over G - 1, or nothing."""
    std_floor: float = Field(default=0.0, ge=0)
    """Lowest standard deviation by which an all-negative group is divided."""
    step_size: float = Field(default=1.0, gt=0)
    """By how much an update moves logits along the expected gradient."""
    n_updates: int = Field(default=200, ge=1)
    """Batches of rollouts."""
    updates_per_batch: int = Field(default=1, ge=1)
    """Updates on one batch; above 1 the later ones are off-policy, and only they are clipped."""
    clip_low: float | None = Field(default=None, ge=0, lt=1)
    """How far below 1 a step's ratio to the old policy may fall; `null` does not clip there."""
    clip_high: float | None = Field(default=None, ge=0)
    """How far above 1 a step's ratio to the old policy may rise; `null` does not clip there."""

    @model_validator(mode="after")
    def _one_start_a_step(self) -> Self:
        starts = self.start if isinstance(self.start, tuple) else (self.start,)
        if isinstance(self.start, tuple) and len(starts) != self.n_steps:
            raise ValueError(
                f"start has {len(starts)} chances for {self.n_steps} steps: give one a step, or one number"
            )
        if not all(0 < chance < 1 for chance in starts):
            raise ValueError(f"start {self.start} is not inside (0, 1): a step of no doubt learns nothing")
        return self

    @property
    def start_S(self) -> tuple[float, ...]:
        """Chance that each step is right at the start. Shape (n_steps,)."""
        if self.start_success is not None:
            return (self.start_success ** (1 / self.n_steps),) * self.n_steps
        return self.start if isinstance(self.start, tuple) else (self.start,) * self.n_steps


class _Study(BaseConfig):
    """What all studies have."""

    title: str = Field(min_length=1)
    """What is shown, above its figure and its table."""
    base: DynamicsConfig = DynamicsConfig()
    """The model; what a study varies takes the place of what stands here."""

    def changed(self, changes: dict[str, Any]) -> DynamicsConfig:
        """Return the base with changes.

        Raises:
            ConfigError: they name what does not exist, or a value is refused.
        """
        values = merge_settings(self.base.model_dump(mode="json"), changes)
        return parse_config(DynamicsConfig, values, where=f"study {self.title!r}")


class CasesStudy(_Study):
    """SGPO against GRPO from one start, with every combination of some options."""

    type: Literal["cases"] = "cases"
    """Tells the kinds apart."""
    vary: dict[str, tuple[Any, ...]] = Field(default_factory=dict, max_length=2)
    """Option of the model, `judge.error` for one within another -> its values. Of two options the second goes along the
    axis of the figure and the first tells the lines apart; of none there is one case."""
    level: float = Field(default=0.9, gt=0, lt=1)
    """Chance of a right response that is to be reached."""

    @model_validator(mode="after")
    def _cases_exist(self) -> Self:
        if self.base.judge is None:
            raise ValueError("base.judge is null: every case is computed with a judge and without one")
        list(self.cases())
        return self

    def cases(self) -> Iterator[tuple[dict[str, Any], DynamicsConfig]]:
        """Yield what a case changes, by option, and its configuration."""
        for values in product(*self.vary.values()):
            changes: dict[str, Any] = {}
            for option, value in zip(self.vary, values, strict=True):
                *outer, last = option.split(".")
                nested = {last: value}
                for key in reversed(outer):
                    nested = {key: nested}
                changes = merge_settings(changes, nested)
            yield dict(zip(self.vary, values, strict=True)), self.changed(changes)


class StartsStudy(_Study):
    """SGPO against GRPO from every pair of chances of two steps."""

    type: Literal["starts"] = "starts"
    """Tells the kinds apart."""
    chances: tuple[float, ...] = Field(min_length=2)
    """Chances at the start of either step, rising."""

    @model_validator(mode="after")
    def _two_steps(self) -> Self:
        if self.base.n_steps != 2 or self.base.judge is None:
            raise ValueError(
                f"a map of starts is of 2 steps and a judge, not of {self.base.n_steps} and {self.base.judge}"
            )
        return self


class BatchesStudy(_Study):
    """Trainings on sampled batches, of few groups and many, with several judges."""

    type: Literal["batches"] = "batches"
    """Tells the kinds apart."""
    judges: dict[str, NoisyJudge | None] = Field(min_length=1)
    """Name -> judge; `null` is GRPO."""
    n_groups: tuple[int, ...] = Field(min_length=1)
    """Groups of a batch."""
    n_runs: int = Field(default=200, ge=2)
    """Trainings of each kind."""
    level: float = Field(default=0.9, gt=0, lt=1)
    """Chance of a right response that is to be reached."""

    @model_validator(mode="after")
    def _on_policy(self) -> Self:
        if self.base.updates_per_batch > 1:
            raise ValueError("sampled batches take one update each: set base.updates_per_batch to 1")
        return self


Study = Annotated[CasesStudy | StartsStudy | BatchesStudy, Field(discriminator="type")]
"""One of the studies, by `type`."""


class TheoryConfig(BaseConfig):
    """What `sgpo theory` computes."""

    studies: dict[str, Study] = Field(min_length=1)
    """Name of a study, which its figure is called by -> what it computes."""
    seed: int = 0
    """Seed of sampled batches; all else is exact."""

    @model_validator(mode="after")
    def _names_are_files(self) -> Self:
        for name in self.studies:
            if not name.replace("_", "").isalnum():
                raise ValueError(f"study {name!r} names a file: use letters, digits and underscores")
        return self
