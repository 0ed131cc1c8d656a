"""Golden scores: a judge's answers to a few solutions, stored in its card, so that a change of convention is noticed.

A judge that is read with another separator, tokenizer, revision or precision answers without an error and is wrong.
Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.judges.base import Judge
from judgekit.judges.card import Golden
from judgekit.types import Solution

EXAMPLES = (
    Solution(
        problem="A farm sells 16 eggs a day at $2 each, less 3 eaten and 4 baked. What does it earn a day?",
        steps=("3 + 4 = 7 eggs are used.", "16 - 7 = 9 eggs are left.", "9 * 2 = 18, so it earns $18."),
    ),
    Solution(
        problem="Solve $2x + 3 = 7$ for $x$.",
        steps=("Subtract 3:\n$2x = 4$.", "Divide by 2: $x = \\frac{4}{2} = 3$.", "The answer is \\boxed{3}."),
    ),
    Solution(problem="What is 7 + 5?", steps=("7 + 5 = 12",)),
)
"""Short solutions, correct and wrong, with what conventions stumble over: inner line breaks, LaTeX, a single step."""
TOLERANCE = 1e-3
"""Largest difference of a probability between machines in float32 that is not a change of the judge."""


def measure_golden(judge: Judge, examples: Sequence[Solution] = EXAMPLES) -> tuple[Golden, ...]:
    """Judge the examples, one by one; those without a verdict are left out.

    Args:
        judge: A judge in float32, without its calibrator, that always answers the same.
        examples: What to judge.
    """
    found = []
    for solution in examples:
        [judgement] = judge.judge([solution])
        if judgement.verdict is not None:
            found.append(Golden(problem=solution.problem, steps=solution.steps, p_ok_S=judgement.verdict.p_ok_S))
    return tuple(found)


def golden_difference(judge: Judge, golden: Sequence[Golden]) -> float:
    """Return the largest absolute difference of a P(step ok) from its golden score; 1 where there is no verdict now."""
    # One by one, as they were measured: padding moves a score by a little.
    now = [judge.judge([Solution(problem=item.problem, steps=item.steps)])[0].verdict for item in golden]
    return largest_difference(
        [item.p_ok_S for item in golden], [None if verdict is None else verdict.p_ok_S for verdict in now]
    )


def largest_difference(one_N_S: Sequence[Sequence[float] | None], other_N_S: Sequence[Sequence[float] | None]) -> float:
    """Return the largest absolute difference of a P(step ok); 1 where only one of two has a verdict.

    Example:
        >>> largest_difference([(0.5, 0.25), None], [(0.5, 0.75), None]), largest_difference([(0.5,)], [None])
        (0.5, 1.0)
    """
    largest = 0.0
    for one_S, other_S in zip(one_N_S, other_N_S, strict=True):
        if (one_S is None) != (other_S is None):
            return 1.0
        if one_S is not None and other_S is not None:
            largest = max(largest, *(abs(p - q) for p, q in zip(one_S, other_S, strict=True)))
    return largest
