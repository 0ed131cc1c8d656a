"""A labelled solution with a judge's verdict on it: what every benchmark counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from judgekit.metrics.localization import Outcome, classify_outcome
from judgekit.types import ArgmaxRule, Judgement, LabelledSolution, ThresholdRule
from judgekit_eval.judges.schema import EvalResults


@dataclass(frozen=True)
class JudgedSolution:
    """A labelled solution, what a judge said about it, and the decision that follows."""

    solution: LabelledSolution
    """The solution with its labels."""
    judgement: Judgement
    """What the judge said."""
    predicted: int | None
    """Predicted first error, 0-based; `None` = no error, and also where there is no verdict, so ask `judged` first."""
    threshold: float | None = None
    """Lowest P(step ok | earlier steps ok) that passed as right in this decision; `None` = most probable outcome.
    Thresholds that are cross-fitted differ from solution to solution."""

    @property
    def subset(self) -> str:
        """The part of the benchmark this solution is counted in; the source's name where it has no parts."""
        return subset_of(self.solution)

    @property
    def gold(self) -> int | None:
        """True first error, 0-based; `None` = no error."""
        return self.solution.first_error

    @property
    def judged(self) -> bool:
        """Whether the judge gave a verdict."""
        return self.judgement.verdict is not None

    @property
    def p_ok_S(self) -> tuple[float, ...] | None:
        """P(step ok | earlier steps ok); `None` if there is no verdict."""
        return self.judgement.verdict.p_ok_S if self.judgement.verdict else None

    @property
    def outcome(self) -> Outcome:
        """How the prediction relates to the truth."""
        return classify_outcome(self.gold, self.predicted, judged=self.judged)


def subset_of(solution: LabelledSolution) -> str:
    """Return the part of a benchmark that a solution is counted in; the source's name where it has no parts."""
    return solution.subset or solution.source


def decide(solution: LabelledSolution, judgement: Judgement, rule: ThresholdRule | ArgmaxRule) -> JudgedSolution:
    """Join a solution with its judgement under a decision rule."""
    predicted = judgement.verdict.decide(rule) if judgement.verdict else None
    threshold = rule.threshold if isinstance(rule, ThresholdRule) else None
    return JudgedSolution(solution, judgement, predicted, threshold)


class BenchmarkRun(NamedTuple):
    """One judge on one benchmark: its figures and the solutions behind them."""

    results: EvalResults
    """What its `results.json` holds."""
    rows: Sequence[JudgedSolution]
    """All solutions, in the benchmark's order."""
