"""A policy that completes by heart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from judgekit.engines.generation.base import Completion
from judgekit.engines.generation.config import SamplingConfig
from judgekit.text.prompts import Prompt


class ScriptedGenerator:
    """Answers what a function of the prompt says.

    Args:
        reply: Prompt -> completions, of which the first n are taken.
    """

    generator_id = "scripted"
    tokenizer = revision = device = None

    def __init__(self, reply: Callable[[str], Sequence[Completion]]) -> None:
        self.reply = reply
        self.calls: list[list[str]] = []
        """The prompts of each call."""

    def render(self, prompt: Prompt) -> str | None:
        return prompt if isinstance(prompt, str) else None

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: SamplingConfig,
        *,
        n: int = 1,
        seed: int = 0,
    ) -> list[list[Completion]]:
        texts = [prompt if isinstance(prompt, str) else prompt[-1]["content"] for prompt in prompts]
        self.calls.append(texts)
        found = [list(self.reply(text))[:n] for text in texts]
        assert all(len(completions) == n for completions in found)
        return found


def stop(*texts: str) -> list[Completion]:
    """Completions that end by themselves, one token each."""
    return [Completion(text, "stop", n_tokens=1) for text in texts]


CUT = Completion("and 5 and", "length", n_tokens=7)
FAILED = Completion("", "failed", failure="no answer within 3 s (2 tries)")
