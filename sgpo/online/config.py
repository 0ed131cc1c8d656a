"""Configuration of online training and of the comparison of its arms. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from judgekit.answers import LastNumberConfig, OutcomeConfig
from judgekit.text.prompts import PromptConfig, RawPrompt
from judgekit.text.segmentation import PARAGRAPHS, SegmentationConfig
from sgpo.algorithms.base import Need
from sgpo.config import ONLINE_ALONE, PeriodicEvalConfig, PolicyTrainingConfig

RESERVED_TRL_KEYS = frozenset(
    {"output_dir", "num_generations", "per_device_train_batch_size", "gradient_accumulation_steps", "max_steps"}
    | {"steps_per_generation", "generation_batch_size", "shuffle_dataset", "num_train_epochs", "resume_from_checkpoint"}
)
"""Options of TRL's GRPOConfig that are derived from ours and cannot be set in `trl`."""


class OnlineConfig(PolicyTrainingConfig):
    """Online training on TRL's GRPOTrainer; by default SGPO with a judge and plain GRPO without."""

    problems: Path
    """Problem data set to sample prompts from."""
    n_problems: int | None = Field(default=None, ge=1)
    """How many problems to use, starting with the first; `null` uses all."""
    prompt: PromptConfig = RawPrompt()
    """How a problem becomes a prompt."""
    outcome: OutcomeConfig = LastNumberConfig()
    """How a final answer is checked."""
    segmentation: SegmentationConfig = PARAGRAPHS
    """How a response is split into steps."""
    eval: PeriodicEvalConfig | None = None
    """Held-out evaluation; `null` does none."""

    judge_model: Literal["own", "reference", "policy"] = "own"
    """Model of a probe judge that was fitted on this policy. `own`: a copy in the judge's directory, in `judge_dtype`.
    Without a copy, in the policy's precision: `reference`, the model behind `beta_kl` or under the adapters of `lora`,
    which does not change; `policy`, the model in training: the features that the head was fitted on drift, and
    `guards.judge_drift` stops the run if they drift too far."""

    judge_ahead: bool = False
    """Ask a remote judge as soon as responses are there, while policy and reference model still run over them; the
    verdicts are the same. It saves time if there are such passes: with `beta_kl`, with vLLM, or with
    `trl.num_iterations` above 1. `judge_seconds` is then the time that the trainer waits."""

    group_size: int = Field(default=8, ge=2)
    """Responses sampled per prompt."""
    prompts_per_step: int = Field(default=8, ge=1)
    """Prompts per optimiser step, over all processes."""
    max_steps: int = Field(default=100, ge=1)
    """Optimiser steps; each samples new responses, so training is on-policy."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Responses per forward and backward pass of one process; `null` takes all of a step at once."""
    lr: float = Field(default=1e-6, gt=0)
    """Peak learning rate of AdamW."""
    beta_kl: float = Field(default=0.0, ge=0)
    """Weight of the KL term against the initial policy; 0 needs no reference model."""
    loss: Literal["grpo", "dapo", "dr_grpo", "bnpo"] = "grpo"
    """How the losses of tokens are averaged: TRL's `loss_type`."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """What advantages are divided by: the standard deviation of the group, of the batch, or nothing."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature in training."""
    max_completion_length: int = Field(default=256, ge=1)
    """Longest response, tokens."""
    trl: dict[str, Any] = Field(default_factory=dict)
    """Further options of TRL's GRPOConfig, passed on unchanged, for example `use_vllm`."""

    samples_per_log: int = Field(default=2, ge=0)
    """Responses written to `samples.jsonl` with each row of `metrics.jsonl`."""

    @model_validator(mode="after")
    def _trl_is_free(self) -> OnlineConfig:
        reserved = sorted(self.trl.keys() & RESERVED_TRL_KEYS)
        if reserved:
            raise ValueError(
                f"trl.{reserved[0]} is set by group_size, prompts_per_step, micro_batch and max_steps: set these "
                "instead"
            )
        return self

    @model_validator(mode="after")
    def _judge_has_its_model(self) -> OnlineConfig:
        if self.judge_ahead and not (self.judge or "").startswith(("http://", "https://")):
            raise ValueError(
                f"judge_ahead needs a judge behind a service, but judge={self.judge} would run in this process, on the "
                "device that is busy then: start it with judgekit serve, and give judge=http://HOST:PORT"
            )
        if self.judge_model != "own" and self.judge is None:
            raise ValueError(f"judge_model={self.judge_model} needs a judge, and there is none: give judge=...")
        if self.judge_model == "reference" and not self.beta_kl and self.lora is None:
            raise ValueError(
                "judge_model=reference needs beta_kl above 0, or lora: otherwise there is no reference model"
            )
        return self

    def _gives(self) -> frozenset[Need]:
        return super()._gives() | ONLINE_ALONE.keys()

    @property
    def n_responses(self) -> int:
        """Responses per optimiser step, over all processes."""
        return self.group_size * self.prompts_per_step
