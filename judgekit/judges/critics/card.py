"""The section of a judge card for critics: the prompt, the number of votes, and the engine that writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from judgekit.engines.generation.config import GenerationConfig, OpenAIGeneration, SamplingConfig
from judgekit.errors import ConfigError, shorten
from judgekit.judges.base import JudgeInfo
from judgekit.judges.card import JudgeSpec
from judgekit.judges.critics.prompt import load_prompt
from judgekit.text.prompts import CHAT_DATE
from judgekit.types import Precision


class CriticSpec(JudgeSpec):
    """How a generative critic is asked and how its answers become a posterior."""

    opened_by = "judgekit.judges.critics.critic:CriticJudge"
    kind: Literal["critic"] = "critic"
    model: str = "."
    """The language model, where no engine is stated: a path relative to this file, an absolute path, or a Hub id."""
    revision: str | None = None
    """Hub revision of the model, where it is a Hub id; `null` for the latest."""
    chat_date: date = CHAT_DATE
    """The day that a chat template is told where it asks for today's, so that a judge reads the same on every day."""
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

    def with_places(self, place: Callable[[str, str], str]) -> Self:
        """Return the spec with prompt and models elsewhere; a server is no place on this disk, see `powers`."""
        engine = self.engine
        if engine is not None and not isinstance(engine, OpenAIGeneration):
            engine = engine.model_copy(update={"model": place("engine", engine.model)})
        moved = {"model": place("model", self.model), "prompt": place("prompt", self.prompt), "engine": engine}
        return self.model_copy(update=moved)

    def powers(self) -> Iterator[str]:
        """Say which server, environment variable and file to write the engine names."""
        if isinstance(self.engine, OpenAIGeneration):
            yield f"the server {shorten(self.engine.base_url)}"
            if self.engine.api_key_env is not None:
                yield f"the environment variable {shorten(self.engine.api_key_env)}"
            if self.engine.cost_log is not None:
                yield f"the file {shorten(str(self.engine.cost_log))} to write"

    def declare(self, info: JudgeInfo, *, dtype: Precision, members: Sequence[JudgeInfo]) -> JudgeInfo:
        """Only a greedy critic of one vote repeats itself; the prompt knows what is reserved."""
        price = None
        if isinstance(self.engine, OpenAIGeneration):
            prompt, completion = self.engine.prompt_usd_per_mtok, self.engine.completion_usd_per_mtok
            price = None if prompt is None or completion is None else (prompt, completion)
        return replace(info, deterministic=self.deterministic, reserved=None, usd_per_mtok=price)

    def checkpoint(self) -> tuple[str, str | None] | None:
        """Return place and revision of the model, where no engine is stated."""
        return (self.model, self.revision) if self.engine is None else None

    def pinned(self, model: str, revision: str | None) -> Self:
        """Return it with a model on the Hub."""
        return self.model_copy(update={"model": model, "revision": revision})

    def n_votes(self) -> int:
        """Return the votes."""
        return self.votes

    def with_votes(self, votes: int) -> Self:
        """Return it with so many votes; greedy ones are all the same."""
        if votes > 1 and self.sampling.temperature is None:
            raise ConfigError(
                f"{votes} votes of a critic that decodes greedily are identical: set sampling.temperature in its card, "
                "or leave votes out"
            )
        return self.model_copy(update={"votes": votes})

    def prompt_sha256_of(self, directory: Path) -> str:
        """Return the hash of the prompt file."""
        return load_prompt(self.prompt, directory=directory, sha256=self.prompt_sha256)[1]

    @model_validator(mode="after")
    def _votes_can_differ(self) -> Self:
        if self.votes > 1 and self.sampling.temperature is None:
            raise ValueError(
                f"{self.votes} greedy votes are identical: give critic.sampling.temperature, or set critic.votes to 1"
            )
        return self
