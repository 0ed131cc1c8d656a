"""Cheap judges first: a costly judge is called only if the cheaper ones before it are unsure.

**Who answers.** Every member but the last has two thresholds. It answers if P(none) is at least `hi`: no error; or if
the most probable first error has at least the probability 1 - `lo`, so that P(none) and all other steps together have
at most `lo`: an error at that step. Otherwise, and if it gives no verdict, the next member is called.

**Why it must be sure of the location.** P(none) <= lo alone would say that there is an error, not where, but verdicts
are used for the location: the valid prefix, the decision, the index set. A judge that is sure of an error but not of
its location is therefore unsure. One number bounds both, because P(none) is part of what the most probable step leaves
over.

**What it decides.** The verdict is that of the member that answered, unchanged, so members should be calibrated: one
decision rule is applied to all verdicts. With a guaranteed error, `judgekit cascade` keeps the rule consistent with
what a sure member claims. A threshold is, if lo < threshold <= min(hi, 1 - lo): with P(none) >= hi each P(step ok) is
at least hi; with P(first error = k) >= 1 - lo that of step k is at most lo, and that of each earlier step at least 1 -
lo. A weight of "no error" is, between (1 - hi) / hi and (1 - lo) / lo.

The last member answers everything that is left, with or without a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from judgekit.judges.base import Judge, JudgeInfo
from judgekit.judges.card import JudgeCard, Opening
from judgekit.judges.members import MembersSpec, member_line, what_it_took
from judgekit.judges.stored import judge_batch
from judgekit.types import Asked, Judgement, Precision, Solution, Verdict

Prob = Annotated[float, Field(ge=0, le=1)]


class Stage(BaseModel):
    """When a member answers by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hi: Prob | None
    """Least P(none) with which it answers "no error"; `null`: it never does."""
    lo: Prob | None
    """Highest probability of everything else at which it answers its most probable first error; `null`: it never
    does."""

    def answers(self, verdict: Verdict | None) -> bool:
        """Return whether a member with this verdict is sure enough.

        Example:
            >>> stage = Stage(hi=0.9, lo=0.25)
            >>> [stage.answers(Verdict(posterior=p)) for p in ((0.05, 0.95), (0.8, 0.2), (0.5, 0.4, 0.1))]
            [True, True, False]
        """
        if verdict is None:
            return False
        is_right = self.hi is not None and verdict.p_none >= self.hi
        return is_right or (self.lo is not None and 1 - max(verdict.posterior[:-1]) <= self.lo)


class Promise(BaseModel):
    """What was promised when the thresholds were chosen, and on what grounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: Literal["error", "cost"]
    """`error`: the share of wrong decisions among solutions that a member before the last answers; `cost`: the mean
    cost of a solution, each member at its mean cost, as a share of asking the last one about all."""
    at_most: float = Field(gt=0)
    """The bound that was asked for."""
    delta: float = Field(gt=0, lt=1)
    """Probability, over the draw of the tested problems, with which the promise may be broken."""
    shown: float | None
    """Upper bound that the tested problems show with probability 1 - `delta`; `null` if no thresholds kept the
    bound, so that every solution goes on to the last member."""
    n_tested: int = Field(ge=0)
    """Problems that it was tested on, one solution of each."""
    n_sure: int = Field(ge=0)
    """Of these, problems whose solution a member before the last answers."""
    n_wrong: int | None = Field(default=None, ge=0)
    """Of these, problems whose solution it decides wrongly; `null` if a cost is promised."""


class CascadeSpec(MembersSpec):
    """Which judges are asked one after another, and when one is sure enough to answer."""

    kind: Literal["cascade"] = "cascade"
    stages: tuple[Stage, ...] = Field(min_length=1)
    """Thresholds of each member but the last."""
    promise: Promise | None = None
    """What the thresholds were chosen for; `null` if they were set by hand. A promised error is about this card's
    own decision rule: it ends where a calibrator or another threshold is put around the cascade."""
    relative_cost: float | None = Field(default=None, ge=0)
    """Mean cost of a solution as a share of asking the last member about all, in calibration; `null` if unknown."""

    asks_all = False

    def open(self, opening: Opening) -> Judge:
        """Open the first member, and each other one when it is first asked."""
        first, *others = self.members
        return CascadeJudge(opening.card, [opening.open_member(first), *map(opening.lazy_member, others)])

    def declare(self, info: JudgeInfo, *, dtype: Precision, members: Sequence[JudgeInfo]) -> JudgeInfo:
        """As for all judges with members, and what it costs."""
        return replace(super().declare(info, dtype=dtype, members=members), relative_cost=self.relative_cost)

    @model_validator(mode="after")
    def _one_stage_a_cheap_member(self) -> Self:
        if len(self.stages) != len(self.members) - 1:
            raise ValueError(
                f"{len(self.stages)} stages for {len(self.members)} members: give one to each member but the last"
            )
        return self


class CascadeJudge:
    """Asks members in turn until one is sure.

    Args:
        card: The cascade's description.
        members: The judges, in the order of the card.
    """

    def __init__(self, card: JudgeCard, members: Sequence[Judge]) -> None:
        self.card = card
        self.spec = card.spec_as(CascadeSpec)
        self.members = tuple(members)

    @property
    def info(self) -> JudgeInfo:
        """What it says of itself; members that are opened late may know more then, such as what they reserve."""
        return self.card.declare(dtype="float32", members=[member.info for member in self.members])

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch: all that a member leaves open goes to the next one at once.

        Raises:
            JudgeError: a member failed; says which one.
        """
        said_N: list[list[Judgement]] = [[] for _ in solutions]
        waiting = list(range(len(solutions)))
        for member, stage in zip(self.members, (*self.spec.stages, None), strict=True):
            if not waiting:
                break
            for row, judgement in zip(waiting, judge_batch(member, [solutions[i] for i in waiting]), strict=True):
                said_N[row].append(judgement)
            if stage is not None:
                waiting = [row for row in waiting if not stage.answers(said_N[row][-1].verdict)]
        return [self._answer(solution, said) for solution, said in zip(solutions, said_N, strict=True)]

    def _answer(self, solution: Solution, said: Sequence[Judgement]) -> Judgement:
        """Return what the last one asked has said, with all that it took."""
        asked = [member.info for member in self.members[: len(said)]]
        return Judgement(
            solution_id=solution.id,
            judge_id=self.card.judge_id,
            verdict=said[-1].verdict,
            no_verdict=said[-1].no_verdict,
            raw="\n".join(
                member_line(member.judge_id, member, judgement) for member, judgement in zip(asked, said, strict=True)
            ),
            asked=tuple(Asked(judge_id=judgement.judge_id, **what_it_took([judgement])) for judgement in said),
            **what_it_took(said),
        )
