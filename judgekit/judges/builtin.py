"""Judges that need no files: floors that every trained judge must beat."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from judgekit.judges.base import JudgeInfo
from judgekit.text.identity import content_id
from judgekit.types import ArgmaxRule, Judgement, NoVerdictReason, Solution, Verdict

BUILTIN_VERSION = 1
"""Raised with every change of what a builtin judge answers, `builtin:symbolic` included: its name alone does not tell
that judgements on disk are those of an earlier release."""
CONFIDENCE = 0.99
"""Posterior mass that a builtin judge puts on its answer; the rest is spread evenly."""


class BuiltinJudge:
    """Answers by a rule that does not read the text.

    Args:
        name: Name without the `builtin:` prefix.
        answer: From a solution to its first error, 0-based, or `None`.
    """

    def __init__(self, name: str, answer: Callable[[Solution], int | None]) -> None:
        self.info = JudgeInfo(f"builtin:{name}", ArgmaxRule(), deterministic=True)
        self._answer = answer

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch; solutions without steps get no verdict."""
        return [self._judgement(solution) for solution in solutions]

    def _judgement(self, solution: Solution) -> Judgement:
        if not solution.steps:
            return Judgement(solution_id=solution.id, judge_id=self.info.judge_id, no_verdict=NoVerdictReason.EMPTY)
        answer, n_steps = self._answer(solution), len(solution.steps)
        posterior = [(1 - CONFIDENCE) / n_steps] * (n_steps + 1)
        posterior[n_steps if answer is None else answer] = CONFIDENCE
        return Judgement(
            solution_id=solution.id, judge_id=self.info.judge_id, verdict=Verdict(posterior=tuple(posterior))
        )


def _random_answer(solution: Solution) -> int | None:
    """Draw evenly from the n + 1 outcomes; the same text always gets the same answer."""
    seed = content_id(problem=solution.problem, steps=list(solution.steps))
    answer = random.Random(seed).randrange(len(solution.steps) + 1)
    return None if answer == len(solution.steps) else answer


BUILTIN: dict[str, Callable[[Solution], int | None]] = {
    "random": _random_answer,
    "no-error": lambda _: None,
    "first-step": lambda _: 0,
}
"""Rules by name; each is opened as `builtin:NAME`."""
BUILTIN_NAMES = {
    "symbolic": "recomputes what the steps state: arithmetic, linear algebra, units, percentages",
    "random": "draws one of all outcomes evenly; the same text always gets the same answer",
    "no-error": "says that every solution is right",
    "first-step": "says that the first step of every solution is wrong",
}
"""Every judge that is opened as `builtin:NAME`, with what it does: the rules above, and the one that reads."""
