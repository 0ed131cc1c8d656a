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
"""Options of TRL's GRPOConfig that follow from ours and cannot be given in `trl`."""


class OnlineConfig(PolicyTrainingConfig):
    """Online training on TRL's GRPOTrainer: SGPO where a judge is given, or plain GRPO, unless told otherwise."""

    problems: Path
    """Problem data set to sample from."""
    n_problems: int | None = Field(default=None, ge=1)
    """How many problems to use, from the first on; `null` uses all."""
    prompt: PromptConfig = RawPrompt()
    """How a problem becomes a prompt."""
    outcome: OutcomeConfig = LastNumberConfig()
    """How a final answer is checked."""
    segmentation: SegmentationConfig = PARAGRAPHS
    """What a step of a response is."""
    eval: PeriodicEvalConfig | None = None
    """Held-out evaluation; `null` does none."""

    judge_model: Literal["own", "reference", "policy"] = "own"
    """What a probe judge runs that was fitted on this policy. `own`: a copy in its directory, in `judge_dtype`. Without
    a copy, in the policy's precision: `reference`, the model behind `beta_kl` or under the adapters of `lora`, which
    stays as it was; `policy`, as it trains: the features that the head was fitted on drift, and
    `guards.judge_drift` stops that."""

    judge_ahead: bool = False
    """Ask a judge behind a service as soon as responses are there, while policy and reference model still run over
    them; the verdicts are the same. It pays where there are such passes: with `beta_kl`, with vLLM, or with
    `trl.num_iterations` above 1. `judge_seconds` is then what the trainer waits."""

    group_size: int = Field(default=8, ge=2)
    """Responses sampled a prompt."""
    prompts_per_step: int = Field(default=8, ge=1)
    """Prompts an optimiser step, over all processes."""
    max_steps: int = Field(default=100, ge=1)
    """Optimiser steps; each samples anew, so training is on-policy."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Responses in one forward and backward pass of one process; `null` takes all of a step at once."""
    lr: float = Field(default=1e-6, gt=0)
    """Peak learning rate of AdamW."""
    beta_kl: float = Field(default=0.0, ge=0)
    """Weight of the KL term against the initial policy; 0 keeps no reference model."""
    loss: Literal["grpo", "dapo", "dr_grpo", "bnpo"] = "grpo"
    """How the tokens of responses add up, as TRL's `loss_type`."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """Advantages are divided by the standard deviation of the group, of the batch, or by nothing."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature in training."""
    max_completion_length: int = Field(default=256, ge=1)
    """Longest response, in tokens."""
    trl: dict[str, Any] = Field(default_factory=dict)
    """Further options of TRL's GRPOConfig, passed as they are, for example `use_vllm`."""

    samples_per_log: int = Field(default=2, ge=0)
    """Responses written to `samples.jsonl` with each row of `metrics.jsonl`."""

    @model_validator(mode="after")
    def _trl_is_free(self) -> OnlineConfig:
        reserved = sorted(self.trl.keys() & RESERVED_TRL_KEYS)
        if reserved:
            raise ValueError(f"trl.{reserved[0]} follows from group_size, prompts_per_step, micro_batch and max_steps")
        return self

    @model_validator(mode="after")
    def _judge_has_its_model(self) -> OnlineConfig:
        if self.judge_ahead and not (self.judge or "").startswith(("http://", "https://")):
            raise ValueError(
                f"judge_ahead is for a judge behind a service, and judge={self.judge} would run in this process, on "
                "the device that is then at work: judgekit serve it, and give judge=http://HOST:PORT"
            )
        if self.judge_model != "own" and self.judge is None:
            raise ValueError(f"judge_model={self.judge_model} is for a judge, and there is none: give judge=...")
        if self.judge_model == "reference" and not self.beta_kl and self.lora is None:
            raise ValueError(
                "judge_model=reference needs beta_kl above 0, or lora: there is no reference model without"
            )
        return self

    def _gives(self) -> frozenset[Need]:
        return super()._gives() | ONLINE_ALONE.keys()

    @property
    def n_responses(self) -> int:
        """Responses an optimiser step, over all processes."""
        return self.group_size * self.prompts_per_step
