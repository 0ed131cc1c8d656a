"""The section of a judge card that makes it a critic: which prompt, how many votes, and which engine writes them."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from judgekit.engines.generation.config import GenerationConfig, SamplingConfig


class CriticCard(BaseModel):
    """How a generative critic is asked and how its answers become a posterior."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(min_length=1)
    """Name of a prompt that comes with judgekit (`generic-1`), or a prompt file: a path relative to the card, or an
    absolute one."""
    prompt_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Hash of the prompt file's text; a file with another one is refused. `null` takes the file as it is."""
    votes: int = Field(default=1, ge=1)
    """Answers sampled a solution, or a step where the prompt asks about single steps."""
    early_stop: bool = False
    """Ask for votes in rounds, and for no more once the remaining ones could not change the answer with the most
    votes. The posterior is that of the votes made. Holds for the argmax rule, without a calibrator."""
    sampling: SamplingConfig = SamplingConfig(max_tokens=4096)
    """How answers are sampled; `temperature: null` decodes greedily."""
    seed: int = Field(default=0, ge=0)
    """With the prompt it fixes the votes; a solution that is judged again by the same judge gets fresh ones."""
    smoothing: float = Field(default=0.5, gt=0)
    """Pseudo-votes for each of the n + 1 outcomes, where the votes name a step."""
    force_answer: bool = False
    """Continue an answer that was cut off by `max_tokens` with the beginning of the verdict, and let the critic choose
    among the possible ones. Needs an engine that continues a partial answer and holds it to choices."""
    max_chars: int = Field(default=4_000_000, ge=1)
    """Longest text of all prompts that a solution needs, in characters; a longer one is not judged (`too_long`)."""
    engine: GenerationConfig | None = None
    """Which engine writes the answers; `null` runs the card's `model` by transformers in this process."""

    @property
    def deterministic(self) -> bool:
        """Whether the same solution always gets the same verdict: greedy decoding, one vote."""
        return self.sampling.temperature is None and self.votes == 1

    @model_validator(mode="after")
    def _votes_can_differ(self) -> Self:
        if self.votes > 1 and self.sampling.temperature is None:
            raise ValueError(
                f"{self.votes} greedy votes are one: give critic.sampling.temperature, or set critic.votes to 1"
            )
        return self


__all__ = ["CriticCard"]
