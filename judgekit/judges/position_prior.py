"""A judge that only knows where first errors usually are: a baseline that every judge that reads must beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field

from judgekit.calibration.card import Fingerprint
from judgekit.judges.base import Judge, JudgeInfo
from judgekit.judges.card import JudgeCard, JudgeSpec, Opening
from judgekit.ties import rounded
from judgekit.types import Judgement, NoVerdictReason, Precision, Solution, Verdict


class PositionPriorSpec(JudgeSpec):
    """Where first errors usually are."""

    kind: Literal["position_prior"] = "position_prior"
    by: Literal["position", "relative"]
    """`position`: a place is the step's index, the last one all later steps; `relative`: equal parts of a solution."""
    hazards: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(min_length=1)
    """P(step wrong | earlier steps right) by place."""
    fingerprint: Fingerprint
    """What it was counted on."""

    def open(self, opening: Opening) -> Judge:
        """Open the judge, which reads nothing but the card."""
        return PositionPriorJudge(opening.card)

    def with_places(self, place: Callable[[str, str], str]) -> Self:
        """Return it as it is: it names no place."""
        return self

    def declare(self, info: JudgeInfo, *, dtype: Precision, members: Sequence[JudgeInfo]) -> JudgeInfo:
        """The same solution always gets the same verdict, by what was counted."""
        return replace(info, deterministic=True, fingerprint=self.fingerprint)


class PositionPriorJudge:
    """Gives each step the share of wrong steps at its place, among labelled solutions that were right until there.

    Args:
        card: The judge's description.
    """

    def __init__(self, card: JudgeCard) -> None:
        self.card = card
        self.spec = card.spec_as(PositionPriorSpec)
        self.info = card.declare(dtype="float32")

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch; solutions without steps, or of blank ones alone, get no verdict."""
        return [self._judgement(solution) for solution in solutions]

    def _judgement(self, solution: Solution) -> Judgement:
        if solution.is_blank:
            return Judgement(solution_id=solution.id, judge_id=self.info.judge_id, no_verdict=NoVerdictReason.EMPTY)
        verdict = prior_verdict(self.spec.hazards, by=self.spec.by, n_steps=len(solution.steps))
        return Judgement(solution_id=solution.id, judge_id=self.info.judge_id, verdict=verdict)


def prior_verdict(hazards: Sequence[float], *, by: str, n_steps: int) -> Verdict:
    """Return the posterior of a solution of which only the number of steps is known.

    Args:
        hazards: P(step wrong | earlier steps right) by place. Shape (n_bins,).
        by: What a place is, see `place_of_step`.
        n_steps: Steps of the solution, at least 1.

    Example:
        >>> prior_verdict([0.5, 0.25], by="position", n_steps=3).posterior
        (0.5, 0.125, 0.09375, 0.28125)
    """
    places_S = [place_of_step(step, by=by, n_steps=n_steps, n_bins=len(hazards)) for step in range(n_steps)]
    return Verdict.from_step_probs([rounded(1 - hazards[place]) for place in places_S])


def place_of_step(step: int, *, by: str, n_steps: int, n_bins: int) -> int:
    """Return the bin of a step: its index (`position`; the last bin has all later ones), or its share of the way.

    Args:
        step: 0-based index.
        by: `position`, or `relative`: n_bins equal parts of the solution.
        n_steps: Steps of the solution.
        n_bins: Bins.

    Example:
        >>> place_of_step(7, by="position", n_steps=8, n_bins=4), place_of_step(5, by="relative", n_steps=8, n_bins=4)
        (3, 2)
    """
    return min(step, n_bins - 1) if by == "position" else step * n_bins // n_steps
