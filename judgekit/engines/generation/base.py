"""One door to text generation: a configuration, a protocol, and three engines behind them. Imports no torch.

Engines: `transformers` in this process, `vllm` in this process, and any `openai`-compatible server. They differ in
speed and in their random numbers, not in what they are asked: prompts in, n completions each out, in the same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.engines.http.limits import HttpLimits
from judgekit.engines.precision import AUTO, ChosenPrecision
from judgekit.errors import ConfigError
from judgekit.text.prompts import CHAT_DATE, Prompt
from judgekit.types import NoVerdictReason

FinishReason = Literal["stop", "length", "failed"]
"""The model ended by itself, was cut off by `max_tokens`, or the engine gave no completion at all."""


@dataclass(frozen=True)
class Completion:
    """One sampled continuation of a prompt, or the reason why there is none."""

    text: str
    """The continuation without special tokens; empty where the engine failed."""
    finish_reason: FinishReason
    """How it ended."""
    n_tokens: int = 0
    """Tokens sampled, the end-of-text token included."""
    n_prompt_tokens: int = 0
    """Tokens of the prompt; 0 where the server does not tell."""
    failure: str | None = None
    """Why there is no completion; `None` unless it failed."""
    failure_reason: NoVerdictReason | None = None
    """What a judge says of a failure: too long, refused or timed out; `None` unless it failed."""
    cost_usd: float | None = None
    """Price of the completion, US dollars; `None` where the engine knows none."""


@dataclass(frozen=True)
class ChoiceScores:
    """How probable each of some continuations of a prompt is, or the reason why that is not known."""

    logprobs: tuple[float, ...] | None
    """Log-probability of the first token of each choice, nats, over the whole vocabulary; `None` where it failed."""
    failure: str | None = None
    """Why there are none; `None` unless it failed."""
    failure_reason: NoVerdictReason | None = None
    """What a judge says of a failure; `None` unless it failed."""
    n_prompt_tokens: int = 0
    """Tokens of the prompt; 0 where the server does not tell."""
    cost_usd: float | None = None
    """Price of the request, US dollars; `None` where the engine knows none."""


class Generator(Protocol):
    """Anything that completes prompts."""

    @property
    def generator_id(self) -> str:
        """Name of the model, as records state it."""

    def render(self, prompt: Prompt) -> str | None:
        """Return the text that the model reads for a prompt, `None` where a server renders it."""

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        n: int = 1,
        max_tokens: int,
        temperature: float | None = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
        choices_P: Sequence[Sequence[str]] | None = None,
    ) -> list[list[Completion]]:
        """Sample completions.

        Args:
            prompts: Texts or conversations; one that ends with the assistant's message is continued there.
            n: Completions a prompt.
            max_tokens: Longest completion, in tokens.
            temperature: Sampling temperature; `None` decodes greedily.
            top_p: Share of the probability that is sampled from, in (0, 1].
            seed: With the prompt's text and the sample's index it fixes the random numbers of a completion.
            choices_P: Texts of which a prompt's completion must be one, at least one for each prompt; `None` leaves
                completions free.

        Returns:
            n completions a prompt, in the order of the prompts.

        Raises:
            ConfigError: choices are given and the engine cannot hold a completion to them, or a prompt has none.
            JudgeError: the engine is out of memory, or the server is not there or refuses every request.
        """

    def choice_logprobs(self, prompts: Sequence[Prompt], *, choices: Sequence[str]) -> list[ChoiceScores]:
        """Read how probable each choice is as the continuation of a prompt: one forward pass, nothing is sampled.

        Args:
            prompts: See `generate`.
            choices: Texts with different first tokens, each encoded by itself; white space in front counts.

        Returns:
            One answer a prompt, in the order of the prompts. A choice that a server does not list is a failure.

        Raises:
            ConfigError: two choices begin with the same token, or the engine does not tell probabilities.
            JudgeError: see `generate`.
        """


class SamplingConfig(BaseConfig):
    """How completions are sampled."""

    max_tokens: int = Field(default=512, ge=1)
    """Longest completion, in tokens."""
    temperature: float | None = Field(default=0.7, gt=0)
    """Sampling temperature; `null` decodes greedily."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Share of the probability that is sampled from."""


class TransformersGeneration(BaseConfig):
    """A model run by transformers in this process."""

    type: Literal["transformers"] = "transformers"
    """Tells the engines apart."""
    model: str = Field(min_length=1)
    """Checkpoint directory or Hub id: safetensors, no remote code."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the model runs; `auto`: bfloat16 where the hardware computes in it, else float32."""
    batch_size: int = Field(default=16, ge=1)
    """Completions sampled at once."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; `null` leaves torch's choice."""


class VllmGeneration(BaseConfig):
    """A model run by vLLM in this process; needs the extra `judgekit[vllm]`."""

    type: Literal["vllm"] = "vllm"
    """Tells the engines apart."""
    model: str = Field(min_length=1)
    """Checkpoint directory or Hub id: no remote code."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision in which the model runs; `auto` takes that of the checkpoint."""
    max_model_len: int | None = Field(default=None, ge=1)
    """Longest prompt and completion together, in tokens; `null` takes the model's own limit."""
    gpu_memory_frac: float = Field(default=0.9, gt=0, le=1)
    """Share of the GPU's memory that vLLM may take."""
    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs that share the model."""


class OpenAIGeneration(HttpLimits):
    """A model behind an OpenAI-compatible server.

    With a tokenizer, prompts are rendered here and sent to `/completions`, which partial solutions need. Without one,
    conversations go to `/chat/completions`, and plain text to `/completions` as it is.
    """

    type: Literal["openai"] = "openai"
    """Tells the engines apart."""
    base_url: str = Field(pattern=r"^https?://\S+$")
    """Address up to the version, for example `http://localhost:8000/v1`."""
    model: str = Field(min_length=1)
    """Name of the model on the server."""
    tokenizer: str | None = None
    """Checkpoint directory or Hub id of the model's tokenizer; `null` leaves rendering to the server."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable that holds the key; `null` sends none."""
    dialect: Literal["openai", "vllm"] = "openai"
    """What the server understands beyond the common routes. `vllm`: completions held to given choices, and tokens named
    by their ids."""
    check_model: bool = True
    """Whether an answer that names another model is a failure. `false` for servers that answer to an alias (`gpt-4o`
    answers as `gpt-4o-2024-08-06`)."""
    top_logprobs: int = Field(default=20, ge=1)
    """Most probable tokens to ask for where the probability of a choice is read. vLLM lists 20 unless it is started
    with `--max-logprobs`; some servers list 5."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Tokens a minute, read and sampled, spread evenly; `null` sets no rate. Before an answer counts them, a prompt is
    taken to have a token every 4 characters and the completion to be as long as it may be."""
    prompt_usd_per_mtok: float | None = Field(default=None, ge=0)
    """Price of a million prompt tokens, US dollars; `null` where unknown."""
    completion_usd_per_mtok: float | None = Field(default=None, ge=0)
    """Price of a million sampled tokens, US dollars; `null` where unknown."""
    cost_log: Path | None = None
    """File to which every call appends a JSON line: requests, tries, failures, trouble by kind, tokens, cost; `null`
    keeps none."""


GenerationConfig = Annotated[TransformersGeneration | VllmGeneration | OpenAIGeneration, Field(discriminator="type")]
"""Which engine completes prompts."""


def build_generator(
    config: TransformersGeneration | VllmGeneration | OpenAIGeneration, *, chat_date: date = CHAT_DATE
) -> Generator:
    """Open the configured engine.

    Args:
        config: Which engine.
        chat_date: The day that a chat template is told where it asks for today's; a server that renders prompts by
            itself goes by its own clock.

    Raises:
        CheckpointError: model or tokenizer cannot be opened.
        ConfigError: vLLM is not installed, or the environment variable of the key is not set.
    """
    if isinstance(config, VllmGeneration):
        from judgekit.engines.generation.vllm import VllmGenerator

        return VllmGenerator(config, chat_date=chat_date)
    if isinstance(config, OpenAIGeneration):
        from judgekit.engines.generation.openai import HttpGenerator

        return HttpGenerator(config, chat_date=chat_date)
    from judgekit.engines.generation.transformers import TransformersGenerator

    return TransformersGenerator(config, chat_date=chat_date)


def prompt_seed(text: str, *, seed: int) -> int:
    """Return the seed of a prompt: the same in every process, whatever else is asked for. In [0, 2**63).

    Example:
        >>> prompt_seed("2+2?", seed=0) == prompt_seed("2+2?", seed=0) != prompt_seed("2+2?", seed=1)
        True
    """
    digest = hashlib.sha256(f"{seed}:{text}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def first_token_ids(tokenizer: Any, choices: Sequence[str]) -> list[int]:
    """Return the first token of each choice, encoded by itself.

    Raises:
        ConfigError: a choice has no token, or two begin with the same one.
    """
    ids = [tokenizer(choice, add_special_tokens=False, split_special_tokens=True).input_ids for choice in choices]
    if not all(ids) or len({tokens[0] for tokens in ids}) < len(ids):
        raise ConfigError(
            f"the choices {list(choices)} cannot be told apart by their first tokens with this tokenizer: choose others"
        )
    return [tokens[0] for tokens in ids]


__all__ = [
    "ChoiceScores", "Completion", "FinishReason", "GenerationConfig", "Generator", "OpenAIGeneration", "SamplingConfig",
    "TransformersGeneration", "VllmGeneration", "build_generator", "first_token_ids", "prompt_seed",
]  # fmt: skip
