"""A judge with simulated errors: it calls another judge, and gives a different answer on a fixed share of solutions.

The effect of a judge's errors on a method can then be measured by their kind and rate alone. Which solutions are
answered wrongly, and how, is decided by the text of problem and steps and a seed: the same text always gets the same
answer, whatever else is in the batch. At a higher rate the same solutions are answered wrongly, and some more.

**Which error.** The member's answer is its most probable outcome: the first error is step 0, 1, ..., n-1, or there is
none, which counts as after all steps. `early` names a step before the answer, `late` one after it, `random` any step,
each uniformly. A member's "no error" is therefore replaced by any step under `early` and `random`, and unchanged under
`late`, as is an error at the last step; one at the first step is unchanged under `early`. `random` may hit the member's
answer. These are the judges of `sgpo theory`, which only has wrong responses. Without a verdict, nothing is changed.

**How sure it is.** As sure as the member: the probabilities of its answer and of the false one are swapped, all others
are unchanged. With `decision: {kind: argmax}` the false outcome is then always what this judge decides; with a
threshold t, if the member gives its answer more than max(t, 1 - t). The answer is the most probable outcome, not the
result of a decision rule, because rules are chosen after verdicts are known.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from judgekit.judges.base import Judge
from judgekit.judges.card import JudgeCard, Opening
from judgekit.judges.members import MembersSpec, member_line, what_it_took
from judgekit.text.identity import content_id
from judgekit.types import ArgmaxRule, Judgement, Solution, Verdict


class MistakenSpec(MembersSpec):
    """Which judge is asked, and how often and which way its answers are made wrong."""

    kind: Literal["mistaken"] = "mistaken"
    members: tuple[str]
    """The judge that is asked, as `load_judge` opens it."""
    errors: Literal["early", "late", "random"]
    """Which way it errs: to a step before the member's answer, to one behind it, or to any one. Where there is none,
    the answer stays."""
    rate: float = Field(ge=0, le=1)
    """Share of solutions on which it errs, in [0, 1]."""
    seed: int = 0
    """Decides, together with a solution's text, whether and to what it errs."""

    def open(self, opening: Opening) -> Judge:
        """Open the member with its own calibrator and no more trust than this card has."""
        return MistakenJudge(opening.card, opening.open_member(self.members[0]))


class MistakenJudge:
    """Answers as its member does, but for a share of wrong answers.

    Args:
        card: What it is mistaken about.
        member: The judge that is asked.
    """

    def __init__(self, card: JudgeCard, member: Judge) -> None:
        self.card = card
        self.spec = card.spec_as(MistakenSpec)
        self.member = member
        self.info = card.declare(dtype="float32", members=[member.info])

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch with the member and put wrong answers in; `raw` says what the member found."""
        return [
            Judgement(
                solution_id=judgement.solution_id,
                judge_id=self.info.judge_id,
                verdict=self._verdict(solution, judgement.verdict),
                no_verdict=judgement.no_verdict,
                raw=member_line(self.member.info.judge_id, self.member.info, judgement),
                **what_it_took([judgement]),
            )
            for solution, judgement in zip(solutions, self.member.judge(solutions), strict=True)
        ]

    def _verdict(self, solution: Solution, verdict: Verdict | None) -> Verdict | None:
        """Return the member's verdict, with two outcomes exchanged where this solution is one to err on."""
        if verdict is None:
            return None
        draw = random.Random(content_id(problem=solution.problem, steps=list(solution.steps), seed=self.spec.seed))
        decided = verdict.decide(ArgmaxRule())
        right = verdict.n_steps if decided is None else decided
        to = mistaken_steps(self.spec.errors, right, n_steps=verdict.n_steps)
        if draw.random() >= self.spec.rate or not to:
            return verdict
        false = to[draw.randrange(len(to))]
        posterior = list(verdict.posterior)
        posterior[right], posterior[false] = posterior[false], posterior[right]
        return verdict if false == right else Verdict(posterior=tuple(posterior))


def mistaken_steps(errors: Literal["early", "late", "random"], answer: int, *, n_steps: int) -> range:
    """Return the steps that an answer may be mistaken for; none if it cannot err that way.

    Args:
        errors: Which way it errs.
        answer: The right first error, 0-based; `n_steps` for "no error".
        n_steps: Steps of the solution.

    Example:
        >>> [list(mistaken_steps(errors, 2, n_steps=5)) for errors in ("early", "late", "random")]
        [[0, 1], [3, 4], [0, 1, 2, 3, 4]]
    """
    return {"early": range(answer), "late": range(answer + 1, n_steps), "random": range(n_steps)}[errors]
