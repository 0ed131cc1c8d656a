"""Samples a policy's answers to problems and checks them against the correct answers. Imports no torch.

The caller decides what to do with an answer that was truncated, is empty or could not be checked; everything needed for
that is returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from judgekit.answers import OutcomeCheck
from judgekit.engines.generation.base import Completion, Generator
from judgekit.engines.generation.config import SamplingConfig
from judgekit.text.prompts import ChatPrompt, RawPrompt


class Asked(NamedTuple):
    """A problem to solve."""

    problem: str
    """Text shown to the policy."""
    answer: str
    """The correct final answer, as text."""


class CheckedSample(NamedTuple):
    """One answer of a policy."""

    completion: Completion
    """The engine's output."""
    outcome: float | None
    """1.0 for correct, 0.0 for wrong, `None` if it could not be checked or the engine returned none."""


def sample_and_check(
    problems: Sequence[Asked],
    *,
    generator: Generator,
    check: OutcomeCheck,
    prompt: RawPrompt | ChatPrompt,
    sampling: SamplingConfig,
    n: int,
    seed: int,
) -> list[list[CheckedSample]]:
    """Sample n answers to each problem and check them all at once; truncated ones are checked as they are.

    Args:
        problems: The problems.
        generator: The policy.
        check: Compares answers.
        prompt: How a problem becomes a prompt.
        sampling: How answers are sampled.
        n: Answers per problem.
        seed: Seed of the sampling; an answer does not depend on the other problems.

    Returns:
        n answers per problem, in the order of the problems.

    Raises:
        JudgeError: the engine or server failed, or the check does not start.
    """
    found = generator.generate([prompt.build(asked.problem) for asked in problems], sampling, n=n, seed=seed)
    given = [
        (completion.text, asked.answer)
        for asked, completions in zip(problems, found, strict=True)
        for completion in completions
        if completion.finish_reason != "failed"
    ]
    outcomes = iter(check.check_many(given))
    return [
        [CheckedSample(item, None if item.finish_reason == "failed" else next(outcomes)) for item in completions]
        for completions in found
    ]
