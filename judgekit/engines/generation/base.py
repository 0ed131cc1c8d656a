"""The interface of engines for text generation. Imports no torch.

Engines: `transformers` in this process, `vllm` in this process, and any `openai`-compatible server. They differ in
speed and in their random numbers, not in their interface: prompts in, n completions each out, in the same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Protocol

from judgekit.engines.generation.config import SamplingConfig
from judgekit.errors import ConfigError
from judgekit.text.prompts import Prompt, encode_prompt, render_text
from judgekit.types import NoVerdictReason

FinishReason = Literal["stop", "length", "failed"]
"""The model ended by itself, was cut off by `max_tokens`, or the engine gave no completion at all."""


@dataclass(frozen=True)
class Completion:
    """One sampled continuation of a prompt, or the reason why there is none."""

    text: str
    """The continuation without special tokens; empty if the engine failed."""
    finish_reason: FinishReason
    """How it ended."""
    n_tokens: int = 0
    """Tokens sampled, the end-of-text token included."""
    n_prompt_tokens: int = 0
    """Tokens of the prompt; 0 if the server does not tell."""
    failure: str | None = None
    """Why there is no completion; `None` unless it failed."""
    failure_reason: NoVerdictReason | None = None
    """What a judge says of a failure: too long, refused or timed out; `None` unless it failed."""
    cost_usd: float | None = None
    """Price of the completion, US dollars; `None` if the engine knows none."""
    token_ids: tuple[int, ...] | None = None
    """The tokens sampled, that of the end included; `None` if the engine does not tell."""
    logprobs: tuple[float, ...] | None = None
    """Their log-probabilities under the model itself, whatever temperature and `top_p` were, nats."""


@dataclass(frozen=True)
class ChoiceScores:
    """How probable each of some continuations of a prompt is, or the reason why that is not known."""

    logprobs: tuple[float, ...] | None
    """Log-probability of the first token of each choice, nats, over the whole vocabulary; `None` if it failed."""
    failure: str | None = None
    """Why there are none; `None` unless it failed."""
    failure_reason: NoVerdictReason | None = None
    """What a judge says of a failure; `None` unless it failed."""
    n_prompt_tokens: int = 0
    """Tokens of the prompt; 0 if the server does not tell."""
    cost_usd: float | None = None
    """Price of the request, US dollars; `None` if the engine knows none."""


class Generator(Protocol):
    """Anything that completes prompts."""

    @property
    def generator_id(self) -> str:
        """Name of the model, as records state it."""

    @property
    def tokenizer(self) -> Any:
        """Tokenizer that renders the prompts; `None` if a server does."""

    @property
    def revision(self) -> str | None:
        """Commit of a model from the Hub; `None` for a directory and where the engine does not tell."""

    @property
    def device(self) -> str | None:
        """Where the model runs; `None` if the engine does not tell."""

    def render(self, prompt: Prompt) -> str | None:
        """Return the text that the model reads for a prompt, `None` if a server renders it."""

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: SamplingConfig,
        *,
        n: int = 1,
        seed: int = 0,
        choices_P: Sequence[Sequence[str]] | None = None,
    ) -> list[list[Completion]]:
        """Sample completions.

        Args:
            prompts: Texts or conversations; one that ends with the assistant's message is continued there.
            sampling: Longest completion, temperature (`None` decodes greedily) and share of the probability.
            n: Completions a prompt.
            seed: With the prompt's text and the sample's index it fixes the random numbers of a completion.
            choices_P: Texts of which a prompt's completion must be one, at least one for each prompt; `None` leaves
                completions free.

        Returns:
            n completions per prompt, in the order of the prompts.

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


class LocalGenerator:
    """What the engines in this process share: they render and encode prompts by themselves.

    Args:
        tokenizer: The model's tokenizer.
        generator_id: Name of the model.
        n_context: Longest prompt and completion together, in tokens.
        chat_date: The day that a chat template is told where it asks for today's.
    """

    revision: str | None = None
    device: str | None = None

    def __init__(self, tokenizer: Any, *, generator_id: str, n_context: int, chat_date: date) -> None:
        self.tokenizer = tokenizer
        self.generator_id = generator_id
        self.n_context = n_context
        self.chat_date = chat_date
        no_room = f"the prompt leaves no room in the model's context of {n_context} tokens"
        self.no_room = Completion("", "failed", failure=no_room, failure_reason=NoVerdictReason.TOO_LONG)
        """What stands for a completion of a prompt that fills the context."""
        self.no_room_scores = ChoiceScores(None, failure=no_room, failure_reason=NoVerdictReason.TOO_LONG)
        """What stands for the scores behind a prompt that fills the context."""

    def render(self, prompt: Prompt) -> str:
        """Return the text that the model reads."""
        return render_text(self.tokenizer, prompt, chat_date=self.chat_date)

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Return the tokens that the model reads, prompt by prompt."""
        return [encode_prompt(self.tokenizer, prompt, chat_date=self.chat_date) for prompt in prompts]


def completion_of(tokenizer: Any, prompt_ids: list[int], tokens: list[int], *, end_ids: set[int]) -> Completion:
    """Return tokens as a completion, decoded behind the prompt: some tokenizers drop a text's first white space."""
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    before = tokenizer.decode(prompt_ids, **options)
    return Completion(
        text=tokenizer.decode([*prompt_ids, *tokens], **options)[len(before) :],
        finish_reason="stop" if tokens[-1] in end_ids else "length",
        n_tokens=len(tokens),
        n_prompt_tokens=len(prompt_ids),
    )


def prompt_seed(text: str, *, seed: int) -> int:
    """Return the seed of a prompt: the same in every process, whatever else is requested. In [0, 2**63).

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
            f"the choices {list(choices)} cannot be distinguished by their first tokens with this tokenizer: choose "
            "others"
        )
    return [tokens[0] for tokens in ids]
