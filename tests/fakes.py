"""Scripted stand-ins for the slow parts: judges that answer by heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from judgekit.calibration.card import ConformalCard
from judgekit.judges.base import JudgeInfo
from judgekit.types import ArgmaxRule, Judgement, NoVerdictReason, Solution, ThresholdRule, Verdict


class FakeJudge:
    """Answers with scripted posteriors, or with a scripted reason for giving none.

    Args:
        posteriors: First-error posterior of each solution, by its id.
        no_verdict: Reason of each solution that gets no verdict, by its id; wins over `posteriors`.
        judge_id: Name in results.
        decision: How its posterior becomes one index.
        conformal: Its conformal thresholds.
    """

    def __init__(
        self,
        posteriors: Mapping[str, Sequence[float]],
        *,
        no_verdict: Mapping[str, NoVerdictReason] | None = None,
        judge_id: str = "fake",
        decision: ThresholdRule | ArgmaxRule | None = None,
        conformal: ConformalCard | None = None,
    ) -> None:
        self.posteriors = dict(posteriors)
        self.no_verdict = dict(no_verdict or {})
        self.info = JudgeInfo(judge_id, decision or ThresholdRule(), conformal=conformal)
        self.judged: list[str] = []
        """Ids of the solutions judged so far, in order."""
        self.seen: list[Solution] = []
        """The solutions as they came in."""

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        return [self._judge_one(solution) for solution in solutions]

    def _judge_one(self, solution: Solution) -> Judgement:
        self.judged.append(solution.id)
        self.seen.append(solution)
        reason = self.no_verdict.get(solution.id)
        verdict = None if reason else Verdict(posterior=tuple(self.posteriors[solution.id]))
        return Judgement(
            solution_id=solution.id,
            judge_id=self.info.judge_id,
            verdict=verdict,
            no_verdict=reason,
            n_tokens=10 * len(solution.steps),
            seconds=0.5,
        )


class PhraseJudge:
    """Says the same of every solution, P(no error) 0.2, unless one phrase in a step fools it: then 0.9.

    Args:
        phrase: What it falls for.
        n_calls: Calls after which it fails as a killed process does; `None` for never.
    """

    info = JudgeInfo("phrase", ArgmaxRule())

    def __init__(self, phrase: str, *, n_calls: int | None = None) -> None:
        self.phrase = phrase
        self.n_calls = n_calls
        self.judged: list[str] = []
        """Ids of the solutions judged so far, in order."""

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        if self.n_calls == 0:
            raise KeyboardInterrupt
        self.n_calls = None if self.n_calls is None else self.n_calls - 1
        return [self._judge_one(solution) for solution in solutions]

    def _judge_one(self, solution: Solution) -> Judgement:
        self.judged.append(solution.id)
        n_steps = len(solution.steps)
        if not n_steps:
            reason = NoVerdictReason.EMPTY
            return Judgement(solution_id=solution.id, judge_id=self.info.judge_id, no_verdict=reason)
        p_none = 0.9 if any(self.phrase in step for step in solution.steps) else 0.2
        # all the rest on the first step, so that the most probable outcome does not depend on the number of steps
        verdict = Verdict(posterior=(1 - p_none, *[0.0] * (n_steps - 1), p_none))
        return Judgement(solution_id=solution.id, judge_id=self.info.judge_id, verdict=verdict)
