"""Options of the optimiser and its loop, named alike wherever weights are trained. Imports no torch."""

from __future__ import annotations

import importlib.util
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from judgekit.config import BaseConfig
from judgekit.engines.precision import AUTO, ChosenBf16


def _installed(tracker: str) -> str:
    if importlib.util.find_spec(tracker) is None:
        raise ValueError(f"{tracker} is not installed: pip install {tracker}, or leave it out of report_to")
    return tracker


Tracker = Annotated[Literal["tensorboard", "trackio", "wandb"], AfterValidator(_installed)]
"""A package that shows the rows of `metrics.jsonl` while they are written."""


class OptimConfig(BaseConfig):
    """Options of every training: AdamW, its learning rate, checkpoints and rows of metrics.

    The number of rows per optimiser step is an option of each training, because they count different things: solutions,
    prompts or packed passes.
    """

    lr: float = Field(default=2e-5, gt=0)
    """Peak learning rate of AdamW."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Shape of the learning rate after the warm-up."""
    warmup: float = Field(default=0.0, ge=0)
    """Optimiser steps over which the learning rate rises from 0; below 1, a fraction of all steps."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    max_steps: int | None = Field(default=None, ge=1)
    """Maximum optimiser steps; `null` leaves it to `epochs`."""
    bf16: ChosenBf16 = AUTO
    """Compute in bfloat16 by autocast; the weights stay float32, because AdamW steps are lost in bfloat16 weights.
    `auto`: if the hardware supports it."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    device: Literal["auto", "cpu"] = "auto"
    """`auto` uses a GPU if there is one."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads per process; `null` leaves the choice to torch."""
    log_every: int = Field(default=1, ge=1)
    """Optimiser steps between rows of `metrics.jsonl`; one is also written before every checkpoint and at the end."""
    report_to: tuple[Tracker, ...] = ()
    """Where the rows of `metrics.jsonl` are shown during the run, under the same names: `tensorboard`, `trackio` or
    `wandb`. You have to install these packages yourself."""
    save_every: int | None = Field(default=50, ge=1)
    """Optimiser steps between checkpoints, of which the last two are kept; with `null` a killed run starts over."""
    seed: int = 0
    """Seed of data order, sampling, dropout and new weights."""

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, data: Any) -> Any:
        """Take the names of earlier releases, in which configurations and run folders are still written."""
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for old in ("warmup_frac", "warmup_steps"):
            if old in data and "warmup" in data:
                raise ValueError(f"{old} is now called warmup, but both are given: keep warmup")
            if old in data:
                data["warmup"] = data.pop(old)
        if data.get("schedule") == "constant_with_warmup":
            data["schedule"] = "constant"
        return data

    @field_validator("warmup")
    @classmethod
    def _whole_steps(cls, warmup: float) -> float:
        if warmup >= 1 and not warmup.is_integer():
            raise ValueError("warmup must be a fraction of the steps below 1, or a whole number of steps")
        return warmup
