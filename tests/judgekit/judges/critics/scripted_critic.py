"""A generator that answers by heart: the part of a critic that thinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from judgekit.engines.generation.base import ChoiceScores, Completion
from judgekit.engines.generation.config import SamplingConfig
from judgekit.text.prompts import Message, Prompt


class ScriptedCritic:
    """Answers what a function of the conversation's last message says; further samples go on in its list.

    Args:
        reply: Text of the last message -> completions in the order in which samples are asked for.
        logprobs: The same -> log-probabilities of the choices.
    """

    generator_id = "scripted"
    tokenizer = revision = device = None

    def __init__(
        self,
        reply: Callable[[str], Sequence[Completion]],
        logprobs: Callable[[str], ChoiceScores] | None = None,
    ) -> None:
        self.reply = reply
        self.logprobs = logprobs
        self.asked: list[tuple[str, int]] = []
        """Last message and number of samples of each request."""
        self.prompts: list[list[Message]] = []
        self.options: list[dict[str, Any]] = []
        self._n_given: dict[str, int] = {}

    def render(self, prompt: Prompt) -> str | None:
        return None

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingConfig, *, n: int = 1, **options: Any
    ) -> list[list[Completion]]:
        self.options.append(options | sampling.model_dump())
        found = []
        for prompt in prompts:
            assert isinstance(prompt, list)
            text = prompt[-1]["content"]
            self.asked.append((text, n))
            self.prompts.append(prompt)
            start = self._n_given.get(text, 0)
            found.append(list(self.reply(text))[start : start + n])
            assert len(found[-1]) == n
            self._n_given[text] = start + n
        return found

    def choice_logprobs(self, prompts: Sequence[Prompt], *, choices: Sequence[str]) -> list[ChoiceScores]:
        assert self.logprobs is not None
        self.prompts += [prompt for prompt in prompts if isinstance(prompt, list)]
        return [self.logprobs(prompt[-1]["content"]) for prompt in prompts if isinstance(prompt, list)]


def said(*texts: str) -> list[Completion]:
    """Answers that end by themselves, ten tokens each."""
    return [Completion(text, "stop", n_tokens=10, n_prompt_tokens=100) for text in texts]


def box(*indices: int) -> list[Completion]:
    """Answers that box an index."""
    return said(*(f"So \\boxed{{{index}}}." for index in indices))
