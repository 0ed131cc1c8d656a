"""Configuration of offline training on a stored groups file. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from judgekit.answers import LastNumberConfig, OutcomeConfig
from judgekit.config import BaseConfig
from judgekit.text.prompts import ChatPrompt, PromptConfig, RawPrompt
from judgekit.text.segmentation import PARAGRAPHS, SegmentationConfig
from sgpo.algorithms.base import LossRule, Need, TokenSum
from sgpo.config import PeriodicEvalConfig, PolicyTrainingConfig

_TOKENS: dict[str, TokenSum] = {"grpo": "seq_token_mean", "dapo": "token_mean", "dr_grpo": "fixed"}


Column = Literal[
    "prompt", "response", "reward", "problem", "answer", "group", "truncated", "token_ids", "logprobs", "source"
]
"""What a plain row may contain."""
COLUMNS: Mapping[Column, tuple[str, ...]] = {
    "prompt": ("prompt",),
    "response": ("response", "responses", "completion", "completions", "output", "outputs"),
    "reward": ("reward", "rewards", "outcome", "score", "scores"),
    "problem": ("problem", "question"),
    "answer": ("answer", "ground_truth"),
    "group": ("group_id", "uid", "problem_id"),
    "truncated": ("truncated", "finish_reason"),
    "token_ids": ("behaviour_token_ids", "token_ids", "completion_ids"),
    "logprobs": ("behaviour_logprobs", "logprobs"),
    "source": ("source", "data_source"),
}
"""Column names to look for; the first one in a row is used."""


class StoredPrompt(BaseConfig):
    """The prompt is the stored text, as the policy saw it.

    Text without special tokens is read like plain text, with the begin-of-text token if the tokenizer adds one. Text
    that contains special tokens, such as a rendered conversation, is used as it is.
    """

    type: Literal["stored"] = "stored"
    """Selects this kind."""


class HeldOutConfig(PeriodicEvalConfig):
    """Held-out evaluation of a policy that trains on stored responses; they do not say how to prompt and check."""

    prompt: PromptConfig = RawPrompt()
    """How a problem becomes a prompt."""
    outcome: OutcomeConfig = LastNumberConfig()
    """How a final answer is checked."""
    max_completion_length: int = Field(default=256, ge=1)
    """Longest response, tokens."""


class OfflineConfig(PolicyTrainingConfig):
    """Offline training with any algorithm; by default SGPO with a judge and plain GRPO without.

    The unit of time is the epoch: an epoch that starts within `algorithm.window` trains on the algorithm's advantages,
    any other on plain outcome advantages. `fraction` counts the fraction of `epochs`, `steps` the optimiser steps
    before the epoch.
    """

    groups: Path
    """Groups data set: folder, parquet or JSON-lines file of `Rollout` rows, or of plain rows with prompt, response and
    reward, with one response or a list per row. Rows without `group_id` are grouped by their prompt; responses without
    outcome and groups of one are counted and left out."""
    columns: dict[Column, str] = Field(default_factory=dict)
    """Column names of plain rows, if they differ from those of TRL, verl and vLLM."""
    segmentation: SegmentationConfig = PARAGRAPHS
    """How a plain row's response is split into steps; `Rollout` rows already have steps."""
    judgements: Path | None = None
    """Folder of judgements that runs share: a response is not judged again by a run with another algorithm or other
    options. `null` keeps judgements in the run's own folder."""
    judge_chunk: int = Field(default=64, ge=1)
    """Responses judged between two writes to disk; a killed run loses at most that many judgements."""

    eval: HeldOutConfig | None = None
    """Held-out evaluation; `null` does none."""

    prompt: Annotated[ChatPrompt | RawPrompt | StoredPrompt, Field(discriminator="type")] = StoredPrompt()
    """The prompt of the responses: the stored one, or the problem rendered again."""
    on_other_prompt: Literal["error", "train"] = "error"
    """What to do if a rendered problem differs from the stored prompt, so that the responses answered something else.
    `error`: the run stops; `train`: train anyway, for example on responses of another model. A stored prompt that is
    the bare problem says nothing about how it was rendered and is not compared."""
    append_eos: bool = True
    """End responses that are not known to be truncated with the tokenizer's end token."""
    max_tokens: int = Field(default=2048, ge=2)
    """Longest row (prompt and response), in the policy's tokens; also the fixed length of `dr_grpo`."""
    on_overlong: Literal["drop", "error"] = "drop"
    """What to do with a longer row. `drop`: it counts in its group's baseline but is not trained on; `error`: the run
    stops."""

    token_budget: int = Field(default=4096, ge=2)
    """Tokens per packed forward pass."""
    bins_per_step: int = Field(default=4, ge=1)
    """Packed forward passes per optimiser step, over all processes and accumulation steps. A step takes whole groups as
    long as they fit; a group that needs more passes by itself gets them."""
    groups_per_step: int | None = Field(default=None, ge=1)
    """Groups per optimiser step, including those without any advantage, however many passes they need; `null`: as many
    as fit `bins_per_step`."""
    epochs: int = Field(default=3, ge=1)
    """Passes over the groups."""
    train_on: Literal["all", "positive", "negative"] = "all"
    """Responses to train on: all that have an advantage, or only the correct or only the wrong ones of these. Baselines
    are over the whole group in any case."""
    lr: float = Field(default=2e-6, gt=0)
    """Peak learning rate of AdamW."""

    scale_rewards: Literal["group", "batch", "none"] = "group"
    """What advantages are divided by: the standard deviation of the group, that of all rewards in the file, or
    nothing."""
    loss: Literal["grpo", "dapo", "dr_grpo"] = "grpo"
    """How the losses of tokens are averaged. `grpo`: mean over responses of each response's token mean; `dapo`: mean
    over tokens; `dr_grpo`: as `grpo`, with `max_tokens` instead of each response's own length. An algorithm's own rule
    takes precedence, also over `clip_low` and `clip_high`."""
    divisor: Literal["all", "with_advantage"] = "all"
    """Responses, or tokens, that these means are over. `all`: every response in the step's groups, as in TRL, so that a
    step in which few have an advantage is small; `with_advantage`: only those that train."""
    ratio: Literal["initial", "behaviour", "none"] = "initial"
    """Old policy in the clipped ratio. `initial`: the policy before training, computed once; `behaviour`: the recorded
    log-probabilities, on the recorded token ids; `none`: plain policy gradient."""
    clip_low: float = Field(default=0.2, ge=0, lt=1)
    """How far the ratio may fall below 1."""
    clip_high: float = Field(default=0.2, ge=0)
    """How far the ratio may rise above 1."""

    @model_validator(mode="after")
    def _consistent(self) -> OfflineConfig:
        if self.max_tokens > self.token_budget:
            raise ValueError(
                f"token_budget {self.token_budget} is below max_tokens {self.max_tokens}: the longest rows fit no bin"
            )
        algorithm = self.resolved_algorithm
        opens = algorithm.window.unit == "steps" or any(
            self.weight(epoch=epoch, steps_before=0) for epoch in range(self.epochs)
        )
        if algorithm.type != "grpo" and not opens:
            raise ValueError(
                f"algorithm.window is not active in any of the {self.epochs} epochs: set algorithm.type=grpo, or move "
                "the window"
            )
        if self.ratio == "none" and self.rule_of(guided=True).clip is not None:
            raise ValueError(
                f"the algorithm {algorithm.type} clips the ratio to an old policy, but ratio=none has none: set "
                "ratio=initial or ratio=behaviour"
            )
        return self

    def _gives(self) -> frozenset[Need]:
        return super()._gives() - ({"old_logprobs"} if self.ratio == "none" else set())

    def rule_of(self, *, guided: bool) -> LossRule:
        """Return how the losses of a step's tokens are averaged and clipped: by the active algorithm, or as set."""
        own = LossRule(_TOKENS[self.loss], None if self.ratio == "none" else (self.clip_low, self.clip_high))
        return (self.resolved_algorithm.loss_rule if guided else None) or own

    def weight(self, *, epoch: int, steps_before: int) -> float:
        """Return the weight in [0, 1] of the algorithm in an epoch (0-based) that starts after `steps_before` steps."""
        algorithm = self.resolved_algorithm
        if algorithm.type == "grpo":
            return 0.0
        in_steps = algorithm.window.unit == "steps"
        step, n_steps = (steps_before, 1) if in_steps else (epoch, self.epochs)
        return algorithm.window.weight(step=step, n_steps=n_steps, epoch=epoch)

    def is_guided(self, *, epoch: int, steps_before: int) -> bool:
        """Return whether an epoch (0-based) that starts after `steps_before` optimiser steps uses the algorithm."""
        return self.weight(epoch=epoch, steps_before=steps_before) > 0
