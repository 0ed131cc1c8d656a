"""Configuration of `sgpo theory`: the model of reasoning, and what is varied. Imports no numpy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from judgekit.config import BaseConfig, merge_settings, parse_config

ErrorKind = Literal["early", "late", "random", "reversed"]
"""Kind of a judge's errors. `early`: it names a step before the first wrong one; `late`: a later one; `random`: any
step; `reversed`: the step as far from the end as the first wrong one is from the start, so the worst looks best."""
Division = Literal["population", "sample", "none"]
"""What advantages are divided by: the standard deviation with divisor G, with G - 1 (as in TRL and here), or
nothing."""


class NoisyJudge(BaseConfig):
    """A judge that names the first wrong step, or errs."""

    kind: ErrorKind = "random"
    """Kind of error: an earlier step, a later one, any one, or the mirrored one. If no step is earlier or later, it
    cannot err."""
    error: float = Field(default=0.0, ge=0, le=1)
    """How often it errs, in [0, 1]."""


class DynamicsConfig(BaseConfig):
    """A policy that takes steps, each correct with a probability of one logit, updated by the expected policy gradient.

    Source:
        SGPO (2505.11595), the stylised model: 2 steps, groups of 2, a perfect judge, each step correct with probability
        one half at the start, step size 1. These are the defaults.
    """

    n_steps: int = Field(default=2, ge=1, le=12)
    """Steps per response; it is correct if all of them are."""
    start: tuple[float, ...] | float = 0.5
    """Probability that a step is correct at the start, in (0, 1): one for all, or one per step."""
    start_success: float | None = Field(default=None, gt=0, lt=1)
    """Probability that a whole response is correct at the start, spread evenly over its steps, instead of `start`;
    `null` uses `start`."""
    group_size: int = Field(default=2, ge=2, le=64)
    """Responses per group."""
    judge: NoisyJudge | None = NoisyJudge()
    """Judge of the all-negative groups; `null` is GRPO."""
    guided_updates: int | None = Field(default=None, ge=1)
    """Updates, from the start, in which the judge is used; `null` uses it in all."""
    beta: float = Field(default=10.0, gt=0)
    """Steepness of a wrong response's reward as a function of RTS."""
    gamma: float = Field(default=0.5, ge=0, le=1)
    """RTS at which a wrong response earns 0.5."""
    division: Division = "population"
    """What advantages are divided by: the group's standard deviation with divisor G, with G - 1, or nothing."""
    std_floor: float = Field(default=0.0, ge=0)
    """Lowest standard deviation that an all-negative group is divided by."""
    step_size: float = Field(default=1.0, gt=0)
    """Step size of an update of the logits along the expected gradient."""
    n_updates: int = Field(default=200, ge=1)
    """Number of batches of rollouts."""
    updates_per_batch: int = Field(default=1, ge=1)
    """Updates per batch; above 1 the later ones are off-policy, and only they are clipped."""
    clip_low: float | None = Field(default=None, ge=0, lt=1)
    """How far below 1 a step's ratio to the old policy may fall; `null` does not clip it."""
    clip_high: float | None = Field(default=None, ge=0)
    """How far above 1 a step's ratio to the old policy may rise; `null` does not clip it."""

    @model_validator(mode="after")
    def _one_start_a_step(self) -> Self:
        starts = self.start if isinstance(self.start, tuple) else (self.start,)
        if isinstance(self.start, tuple) and len(starts) != self.n_steps:
            raise ValueError(
                f"start has {len(starts)} values for {self.n_steps} steps: give one per step, or one number"
            )
        if not all(0 < chance < 1 for chance in starts):
            raise ValueError(f"start {self.start} is not inside (0, 1): a step that is certain learns nothing")
        return self

    @property
    def start_S(self) -> tuple[float, ...]:
        """Probability that each step is correct at the start. Shape (n_steps,)."""
        if self.start_success is not None:
            return (self.start_success ** (1 / self.n_steps),) * self.n_steps
        return self.start if isinstance(self.start, tuple) else (self.start,) * self.n_steps


class _Study(BaseConfig):
    """Options that all studies have in common."""

    title: str = Field(min_length=1)
    """Title above its figure and its table."""
    base: DynamicsConfig = DynamicsConfig()
    """The model; a study overrides the options that it varies."""

    def changed(self, changes: dict[str, Any]) -> DynamicsConfig:
        """Return the base with changes applied.

        Raises:
            ConfigError: they name an unknown option, or a value is refused.
        """
        values = merge_settings(self.base.model_dump(mode="json"), changes)
        return parse_config(DynamicsConfig, values, where=f"study {self.title!r}")


class CasesStudy(_Study):
    """SGPO against GRPO from one start, for every combination of some options."""

    type: Literal["cases"] = "cases"
    """Selects this kind."""
    vary: dict[str, tuple[Any, ...]] = Field(default_factory=dict, max_length=2)
    """Option of the model (`judge.error` for a nested one) -> its values. With two options, the second is the axis of
    the figure and the first distinguishes the lines; without options there is one case."""
    level: float = Field(default=0.9, gt=0, lt=1)
    """Probability of a correct response to reach."""

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
    """SGPO against GRPO from every pair of probabilities of two steps."""

    type: Literal["starts"] = "starts"
    """Selects this kind."""
    chances: tuple[float, ...] = Field(min_length=2)
    """Probabilities at the start of either step, ascending."""

    @model_validator(mode="after")
    def _two_steps(self) -> Self:
        if self.base.n_steps != 2 or self.base.judge is None:
            raise ValueError(
                f"a map of starts needs n_steps=2 and a judge, not n_steps={self.base.n_steps} and "
                f"judge={self.base.judge}"
            )
        return self


class BatchesStudy(_Study):
    """Training runs on sampled batches, of few groups and many, with several judges."""

    type: Literal["batches"] = "batches"
    """Selects this kind."""
    judges: dict[str, NoisyJudge | None] = Field(min_length=1)
    """Name -> judge; `null` is GRPO."""
    n_groups: tuple[int, ...] = Field(min_length=1)
    """Groups per batch."""
    n_runs: int = Field(default=200, ge=2)
    """Training runs of each kind."""
    level: float = Field(default=0.9, gt=0, lt=1)
    """Probability of a correct response to reach."""

    @model_validator(mode="after")
    def _on_policy(self) -> Self:
        if self.base.updates_per_batch > 1:
            raise ValueError("sampled batches allow one update each: set base.updates_per_batch=1")
        return self


Study = Annotated[CasesStudy | StartsStudy | BatchesStudy, Field(discriminator="type")]
"""One of the studies, selected by `type`."""


class TheoryConfig(BaseConfig):
    """What `sgpo theory` computes."""

    studies: dict[str, Study] = Field(min_length=1)
    """Name of a study, which its figure is named after -> what it computes."""
    seed: int = 0
    """Seed of sampled batches; everything else is exact."""

    @model_validator(mode="after")
    def _names_are_files(self) -> Self:
        for name in self.studies:
            if not name.replace("_", "").isalnum():
                raise ValueError(f"study {name!r} names a file, so use letters, digits and underscores")
        return self
