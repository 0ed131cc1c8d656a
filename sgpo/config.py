"""Configuration of the guidance that SGPO adds to a group-relative trainer, and what its trainers share. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.engines.precision import AUTO, ChosenPrecision
from judgekit.training.optim import OptimConfig


class WindowConfig(BaseConfig):
    """When the judge is asked; outside the window training is plain GRPO.

    Source:
        SGPO (2505.11595) guides the first 3 of 12 epochs: `unit: fraction, stop: 0.25`.
    """

    unit: Literal["fraction", "steps", "epochs"] = "fraction"
    """What `start` and `stop` count: share of the run's optimiser steps, optimiser steps, or epochs."""
    start: float = Field(default=0.0, ge=0)
    """The judge is on from here, inclusive."""
    stop: float | None = Field(default=None, gt=0)
    """The judge is off from here; `null` keeps it on to the end."""

    @model_validator(mode="after")
    def _ordered(self) -> WindowConfig:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"the window stops at {self.stop}, not after its start {self.start}")
        return self

    def is_open(self, *, step: int, n_steps: int, epoch: float) -> bool:
        """Whether the judge is on at this optimiser step (0-based) of `n_steps`, in this epoch."""
        now = {"fraction": step / max(n_steps, 1), "steps": float(step), "epochs": epoch}[self.unit]
        return now >= self.start and (self.stop is None or now < self.stop)


class GuidanceConfig(BaseConfig):
    """How judgements become rewards.

    Source:
        SGPO (2505.11595), sections on the reward and on RTS. Additions of ours, because the paper is silent: `unit`,
        `no_error`, `on_unscored`, `truncated`, `std_floor`, `min_spread`, `max_unscored_frac` and the alarms.
    """

    beta: float = Field(default=10.0, gt=0)
    """Steepness of the reward in RTS."""
    gamma: float = Field(default=0.5, ge=0, le=1)
    """RTS at which a wrong response earns 0.5."""
    scope: Literal["all_negative", "every_wrong"] = "all_negative"
    """Which wrong responses the judge sees: those of all-negative groups (the paper), or every wrong one."""
    unit: Literal["step", "char", "token"] = "step"
    """Unit in which the valid prefix and the whole response are measured."""
    rts: Literal["hard", "expected", "certified"] = "hard"
    """`hard`: valid prefix up to the decided first error; `expected`: its mean under the posterior; `certified`: the
    longest prefix that holds an error with probability at most the alpha of the judge's card, given that the response
    is wrong. The promise is about problems and policies like those the judge was calibrated on. The card needs a
    `conformal` section, which `judgekit calibrate` writes."""
    no_error: Literal["locate", "full", "unscored"] = "locate"
    """A wrong response in which the judge sees no error, or that is certified to its end. `locate`: the answer is
    known to be wrong, so condition the posterior on an error; `full`: RTS 1 (the paper's reading); `unscored`: no
    verdict."""
    on_unscored: Literal["drop", "outcome"] = "drop"
    """A response without verdict. `drop`: no advantage and outside the group's baseline; `outcome`: keeps its outcome
    reward. It is counted either way."""
    truncated: Literal["outcome", "judge", "drop"] = "outcome"
    """A response cut off by its length limit. `outcome`: keeps its outcome reward, since a cut-off yet right prefix
    would earn RTS near 1; `judge`: like any other; `drop`: no advantage and outside the baseline."""
    std_floor: float | None = Field(default=0.05, ge=0)
    """Lowest standard deviation by which a guided group is divided, so that a hair's breadth of RTS is no full-size
    advantage; `null` divides by the group's own (the paper)."""
    min_spread: float = Field(default=0.0, ge=0, le=1)
    """A guided group whose RTS values lie within this range counts as constant: no advantage."""
    max_unscored_frac: float = Field(default=0.5, ge=0, le=1)
    """The run stops with an error when more than this share of judged responses had no verdict."""
    alarm_rows: int = Field(default=10, ge=1)
    """Rows of `metrics.jsonl` that an alarm averages over. Alarms are for online training and only warn."""
    max_step_factor: float | None = Field(default=2.0, gt=1)
    """Alarm when responses have more than this many times the steps of the run's first rows; `null` switches it off."""
    max_rts_rise: float | None = Field(default=0.1, gt=0)
    """Alarm when the mean RTS of judged responses rose by more than this over the rows before while accuracy stood
    still; `null` switches it off."""
    window: WindowConfig = WindowConfig()
    """When the judge is asked."""


class PolicyTrainingConfig(OptimConfig):
    """What online and offline training of a policy share."""

    policy: str = Field(min_length=1)
    """Checkpoint directory or Hub id of the policy: safetensors, no remote code."""
    judge: str | None = None
    """Judge directory, Hub id, address of a service or `builtin:NAME`; `null` trains plain GRPO."""
    judge_dtype: ChosenPrecision = AUTO
    """Precision in which the judge runs; `auto`: bfloat16 where the hardware computes in it, else float32."""
    guidance: GuidanceConfig = GuidanceConfig()
    """How judgements become rewards, and when the judge is asked."""


__all__ = ["GuidanceConfig", "PolicyTrainingConfig", "WindowConfig"]
