"""A policy's answers to problems: sampled, and checked against the right answer. Imports no torch.

What becomes of an answer that was cut off, is empty or could not be checked is for the caller to decide: everything
that is needed for that is returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from judgekit.answers import OutcomeCheck
from judgekit.engines.generation.base import Completion, Generator
from judgekit.engines.generation.config import SamplingConfig
from judgekit.text.prompts import ChatPrompt, RawPrompt


class Asked(NamedTuple):
    """A problem to be solved."""

    problem: str
    """Text shown to the policy."""
    answer: str
    """The right final answer, as text."""


class CheckedSample(NamedTuple):
    """One answer of a policy."""

    completion: Completion
    """What the engine gave."""
    outcome: float | None
    """1.0 for right, 0.0 for wrong, `None` where it could not be checked or the engine gave none."""


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
    """Sample n answers to each problem and check them, all at once; cut-off ones are checked as they stand.

    Args:
        problems: What to ask.
        generator: The policy.
        check: Compares answers.
        prompt: How a problem becomes a prompt.
        sampling: How answers are sampled.
        n: Answers a problem.
        seed: Another seed gives other answers; an answer does not depend on what else is asked.

    Returns:
        n answers a problem, in the order of the problems.

    Raises:
        JudgeError: the engine or server failed, or the check does not come up.
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
