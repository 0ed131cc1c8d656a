"""A judge kind: words that give a wrong step away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, Self

from pydantic import Field

from judgekit.judges.base import Judge, JudgeInfo
from judgekit.judges.card import JudgeSpec, Opening
from judgekit.types import Judgement, NoVerdictReason, Precision, Solution, Verdict


class TelltaleSpec(JudgeSpec):
    """What stands in the card: words, and how far they can be believed."""

    kind: Literal["telltale"] = "telltale"
    words: tuple[str, ...]
    p_ok_with: float = Field(ge=0, le=1)
    p_ok_without: float = Field(ge=0, le=1)

    def open(self, opening: Opening) -> Judge:
        """Open the judge; a kind with weights would load them here, from `opening.directory`."""
        return TelltaleJudge(opening.card.declare(dtype=opening.dtype), self)

    def with_places(self, place: Callable[[str, str], str]) -> Self:
        """Return it as it is: it names no file and no model."""
        return self

    def declare(self, info: JudgeInfo, *, dtype: Precision, members: Sequence[JudgeInfo]) -> JudgeInfo:
        """Say that the same solution always gets the same verdict."""
        return replace(info, deterministic=True)


class TelltaleJudge:
    """Doubts every step that holds one of the words."""

    def __init__(self, info: JudgeInfo, spec: TelltaleSpec) -> None:
        self.info = info
        self.spec = spec

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Return one judgement a solution, in order: a verdict over its steps, or the reason why there is none."""
        return [self._judge_one(solution) for solution in solutions]

    def _judge_one(self, solution: Solution) -> Judgement:
        about = {"solution_id": solution.id, "judge_id": self.info.judge_id}
        if solution.is_blank:
            return Judgement(**about, no_verdict=NoVerdictReason.EMPTY)
        found_S = [any(word in step.lower() for word in self.spec.words) for step in solution.steps]
        p_ok_S = [self.spec.p_ok_with if found else self.spec.p_ok_without for found in found_S]
        return Judgement(**about, verdict=Verdict.from_step_probs(p_ok_S))
