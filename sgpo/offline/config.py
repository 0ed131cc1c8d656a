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
"""What a plain row may hold."""
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
"""Names under which it is looked for, the first that a row has."""


class StoredPrompt(BaseConfig):
    """The prompt is the stored text, as the policy saw it when it answered.

    Text without special tokens is read as the policy reads plain text, with the token that begins a text where its
    tokenizer adds one; text that has some, a rendered conversation, is read as it stands.
    """

    type: Literal["stored"] = "stored"
    """Tells the kinds apart."""


class HeldOutConfig(PeriodicEvalConfig):
    """Held-out evaluation of a policy that trains on stored responses, which say nothing of how to ask and check."""

    prompt: PromptConfig = RawPrompt()
    """How a problem becomes a prompt."""
    outcome: OutcomeConfig = LastNumberConfig()
    """How a final answer is checked."""
    max_completion_length: int = Field(default=256, ge=1)
    """Longest response, in tokens."""


class OfflineConfig(PolicyTrainingConfig):
    """Offline training by any algorithm: SGPO where a judge is given, or plain GRPO, unless told otherwise.

    The unit of time is the epoch: an epoch that begins within `algorithm.window` trains on the algorithm's advantages,
    any other on plain outcome advantages. `fraction` counts the share of `epochs`, `steps` the optimiser steps before
    the epoch.
    """

    groups: Path
    """Groups data set: folder, parquet or JSON-lines file of `Rollout` rows, or of plain ones with prompt, response and
    reward, a response or a list of them a row. Rows without `group_id` are grouped by their prompt; responses without
    outcome and groups of one are counted and left out."""
    columns: dict[Column, str] = Field(default_factory=dict)
    """Columns of plain rows, where they are called otherwise than TRL, verl and vLLM call them."""
    segmentation: SegmentationConfig = PARAGRAPHS
    """What a step of a response is, in plain rows; `Rollout` rows have their steps."""
    judgements: Path | None = None
    """Folder in which runs share judgements: what a judge said of a response is not asked again by a run with another
    algorithm, or other options of it. `null` keeps them in the run's own folder."""
    judge_chunk: int = Field(default=64, ge=1)
    """Responses judged between two writes to disk; a killed run loses at most that many judgements."""

    eval: HeldOutConfig | None = None
    """Held-out evaluation; `null` does none."""

    prompt: Annotated[ChatPrompt | RawPrompt | StoredPrompt, Field(discriminator="type")] = StoredPrompt()
    """What the responses follow on: the prompt that is stored with them, or the problem rendered anew."""
    on_other_prompt: Literal["error", "train"] = "error"
    """A problem rendered anew gives another prompt than the stored one, so the responses were answers to something
    else. `error`: the run stops; `train`: on purpose, as with responses of another model. A stored prompt that is the
    bare problem says nothing of how it was rendered and is never held against a prompt."""
    append_eos: bool = True
    """End responses that are not known to be truncated with the tokenizer's end token."""
    max_tokens: int = Field(default=2048, ge=2)
    """Longest row, prompt and response together, in the policy's tokens; also the fixed length of `dr_grpo`."""
    on_overlong: Literal["drop", "error"] = "drop"
    """A longer row. `drop`: it counts in its group's baseline and is not trained on; `error`: the run stops."""

    token_budget: int = Field(default=4096, ge=2)
    """Tokens of one packed forward pass."""
    bins_per_step: int = Field(default=4, ge=1)
    """Packed forward passes of one optimiser step, over all processes and accumulation steps together. A step takes
    whole groups as long as they fit; a group that needs more passes by itself gets them."""
    groups_per_step: int | None = Field(default=None, ge=1)
    """Groups of one optimiser step, those without any advantage included, however many passes they need; `null`: as
    many as `bins_per_step` holds."""
    epochs: int = Field(default=3, ge=1)
    """Passes over the groups."""
    train_on: Literal["all", "positive", "negative"] = "all"
    """Responses that are trained on: all that have an advantage, or of these the right or the wrong ones alone.
    Baselines are of the whole group either way."""
    lr: float = Field(default=2e-6, gt=0)
    """Peak learning rate of AdamW."""

    scale_rewards: Literal["group", "batch", "none"] = "group"
    """Advantages are divided by the standard deviation of the group, of all rewards in the file, or by nothing."""
    loss: Literal["grpo", "dapo", "dr_grpo"] = "grpo"
    """How tokens add up. `grpo`: mean over responses of each one's token mean; `dapo`: mean over tokens; `dr_grpo`: as
    `grpo`, with `max_tokens` in place of each response's own length. An algorithm that has a rule of its own takes
    precedence, for `clip_low` and `clip_high` too."""
    divisor: Literal["all", "with_advantage"] = "all"
    """Responses, or tokens, that these means are over. `all`: of every response in the step's groups, as in TRL, so
    that a step in which few have an advantage is a small one; `with_advantage`: of those that train."""
    ratio: Literal["initial", "behaviour", "none"] = "initial"
    """Old policy of the clipped ratio. `initial`: the policy before training, computed once; `behaviour`: the recorded
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
                f"algorithm.window opens in none of the {self.epochs} epochs: set algorithm.type=grpo, or move it"
            )
        if self.ratio == "none" and self.rule_of(guided=True).clip is not None:
            raise ValueError(
                f"the algorithm {algorithm.type} clips the ratio to an old policy, and ratio=none has none: set "
                "ratio=initial or ratio=behaviour"
            )
        return self

    def _gives(self) -> frozenset[Need]:
        return super()._gives() - ({"old_logprobs"} if self.ratio == "none" else set())

    def rule_of(self, *, guided: bool) -> LossRule:
        """Return how the tokens of a step add up and clip: as the algorithm says where it is in force, or as set."""
        own = LossRule(_TOKENS[self.loss], None if self.ratio == "none" else (self.clip_low, self.clip_high))
        return (self.resolved_algorithm.loss_rule if guided else None) or own

    def weight(self, *, epoch: int, steps_before: int) -> float:
        """How much the algorithm counts in an epoch (0-based) that begins after `steps_before` steps, in [0, 1]."""
        algorithm = self.resolved_algorithm
        if algorithm.type == "grpo":
            return 0.0
        in_steps = algorithm.window.unit == "steps"
        step, n_steps = (steps_before, 1) if in_steps else (epoch, self.epochs)
        return algorithm.window.weight(step=step, n_steps=n_steps, epoch=epoch)

    def is_guided(self, *, epoch: int, steps_before: int) -> bool:
        """Whether an epoch (0-based) that begins after `steps_before` optimiser steps trains by the algorithm."""
        return self.weight(epoch=epoch, steps_before=steps_before) > 0
