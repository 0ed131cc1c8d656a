"""Options of `judgekit policy`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from judgekit.answers import MathVerifyConfig, OutcomeConfig
from judgekit.config import BaseConfig
from judgekit.engines.generation.config import GenerationConfig, SamplingConfig
from judgekit.text.prompts import PLACEHOLDER, ChatPrompt, PromptConfig


class PolicyConfig(BaseConfig):
    """How a policy is evaluated."""

    generation: GenerationConfig
    """The policy and the engine that runs it."""
    prompt: PromptConfig = ChatPrompt(
        template=PLACEHOLDER + "\n\nPlease reason step by step, and put your final answer within \\boxed{}."
    )
    """How a problem becomes a prompt."""
    n_samples: int = Field(default=4, ge=1)
    """Answers sampled per problem."""
    k: tuple[int, ...] | None = None
    """The values of k in pass@k, ascending; `null` uses the powers of 2 up to `n_samples`."""
    n_problems: int | None = Field(default=None, ge=1)
    """Maximum problems of each benchmark; if there are more, evenly spaced ones are used. `null` = all."""
    sampling: SamplingConfig = SamplingConfig(max_tokens=2048)
    """How answers are sampled."""
    outcome: OutcomeConfig = MathVerifyConfig()
    """How final answers are checked."""
    seed: int = 0
    """Seed of sampling and of the bootstrap."""
    chunk_size: int = Field(default=16, ge=1)
    """Problems whose answers are sampled, and stored, at once."""
    n_resamples: int = Field(default=2000, ge=100)
    """Bootstrap resamples for the intervals."""

    @model_validator(mode="after")
    def _samples_suffice(self) -> Self:
        if self.n_samples > 1 and self.sampling.temperature is None:
            raise ValueError(
                f"n_samples={self.n_samples} greedy samples are all the same: set a temperature, or n_samples=1"
            )
        wrong = [k for k in self.k or () if not 1 <= k <= self.n_samples]
        if wrong:
            raise ValueError(f"pass@{wrong[0]} needs 1 <= k <= n_samples = {self.n_samples}")
        return self

    @property
    def k_values(self) -> tuple[int, ...]:
        """The k of pass@k."""
        return self.k or tuple(2**power for power in range(self.n_samples.bit_length()))
