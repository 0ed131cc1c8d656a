"""Options of the commands that label: `rollouts`, `monte-carlo`, `judge-labels` and `consensus`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from judgekit.answers import MathVerifyConfig, OutcomeConfig
from judgekit.config import BaseConfig
from judgekit.engines.generation.config import GenerationConfig, SamplingConfig
from judgekit.engines.precision import AUTO, ChosenPrecision
from judgekit.text.prompts import ChatPrompt, PromptConfig
from judgekit.text.segmentation import SegmentationConfig


class RolloutsConfig(BaseConfig):
    """Options of `judgekit rollouts`."""

    problems: Path
    """Problem data set with answers, a folder, a parquet or a JSON-lines file."""
    n_problems: int | None = Field(default=None, ge=1)
    """How many problems to use, starting with the first; `null` uses all."""
    generation: GenerationConfig
    """The policy and the engine that runs it."""
    prompt: PromptConfig = ChatPrompt()
    """How a problem becomes a prompt."""
    n_samples: int = Field(default=8, ge=1)
    """Responses per problem; `sgpo` needs at least 2."""
    sampling: SamplingConfig = SamplingConfig()
    """How responses are sampled."""
    outcome: OutcomeConfig = MathVerifyConfig()
    """How final answers are checked."""
    segmentation: SegmentationConfig = SegmentationConfig()
    """How a response is split into steps."""
    seed: int = 0
    """Seed of the sampling."""
    chunk_size: int = Field(default=16, ge=1)
    """Problems sampled, and stored, at once."""

    @model_validator(mode="after")
    def _samples_differ(self) -> RolloutsConfig:
        if self.n_samples > 1 and self.sampling.temperature is None:
            raise ValueError(
                f"n_samples={self.n_samples} greedy samples are all the same: set a temperature, or n_samples=1"
            )
        return self


class MonteCarloConfig(BaseConfig):
    """Options of `judgekit monte-carlo`."""

    data: Path
    """Rollouts or solutions: a data set folder, a parquet or a JSON-lines file; existing labels are ignored."""
    problems: Path | None = None
    """Problem data set with the correct answers, matched by problem id or text; `null` uses the answer of a rollout, or
    the reference of a solution."""
    reference: Literal["answer", "solution"] = "answer"
    """What a solution's reference is: the bare answer, or a text that states it."""
    n_solutions: int | None = Field(default=None, ge=1)
    """How many solutions to use, starting with the first; `null` uses all."""
    max_steps: int | None = Field(default=None, ge=1)
    """Reject solutions with more steps, because the cost grows with the steps; `null` accepts all."""
    method: Literal["exhaustive", "binary_search"] = "exhaustive"
    """Sample from every prefix, or search for the first error."""
    generation: GenerationConfig
    """The policy that completes solutions, and the engine that runs it."""
    prompt: PromptConfig = ChatPrompt()
    """How a problem becomes a prompt."""
    step_separator: str = Field(default="\n", min_length=1)
    """Text between two steps of a solution; a rollout has its own."""
    n_completions: int = Field(default=8, ge=1)
    """Completions sampled per prefix."""
    sampling: SamplingConfig = SamplingConfig()
    """How completions are sampled."""
    outcome: OutcomeConfig = MathVerifyConfig()
    """How final answers are checked."""
    threshold: float = Field(default=0.0, ge=0, lt=1)
    """A step is an error if at most this fraction of the checked completions succeeds."""
    check_problem: bool = False
    """First complete the problem itself, and reject solutions to problems that the policy then does not solve: a weak
    policy's failures make every step look wrong. Costs the completions of one more prefix."""
    truncated: Literal["unscored", "wrong"] = "unscored"
    """Whether a completion truncated at the length limit is left out of the counts or counts as wrong."""
    seed: int = 0
    """Seed of the sampling."""
    chunk_size: int = Field(default=16, ge=1)
    """Solutions labelled, and stored, at once."""


class JudgeLabelsConfig(BaseConfig):
    """Options of `judgekit judge-labels`."""

    data: Path
    """Solutions to label: a data set folder, a parquet or a JSON-lines file; existing labels are ignored."""
    judge: str
    """Judge directory, Hub id, URL of a service or builtin judge."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the judge runs; `auto`: bfloat16 if the hardware supports it, else float32."""
    votes: int = Field(default=1, ge=1)
    """How often each solution is judged; more than 1 is refused for a deterministic judge."""
    show_reference: bool = False
    """Whether the judge may see the reference."""
    chunk_size: int = Field(default=64, ge=1)
    """Solutions that are judged, and stored, at once."""


class ConsensusConfig(BaseConfig):
    """Options of `judgekit consensus`. Solutions are matched by problem and steps."""

    monte_carlo: Path
    """Data set labelled by Monte-Carlo rollouts; kept solutions keep its labels and counts."""
    judge: Path
    """Data set of the same solutions labelled by a judge."""
    gold: Path | None = None
    """Data set of the same solutions with true labels, to measure both and the filter against; `null` for none."""


class PairsConfig(BaseConfig):
    """Which groups preference pairs are made from, and how pairs are chosen."""

    groups: Path | None = None
    """Groups data set: folder, parquet or JSON-lines file of `Rollout` rows; required."""
    judge: str | None = None
    """Judge directory, Hub id, URL of a service or `builtin:NAME`, for groups that are all wrong; `null` leaves these
    out."""
    max_pairs: int = Field(default=1, ge=1)
    """Maximum pairs per group: the best with the worst, the second best with the second worst, and so on."""
    min_margin: float = Field(default=0.25, gt=0, le=1)
    """Smallest difference between two wrong responses, in the fraction of their steps before the first error."""
    shared_steps: Literal["response", "prompt"] = "response"
    """Where to put steps that both responses share at the start."""
