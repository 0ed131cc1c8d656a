"""Trains on the labels as they come in: the head of a probe judge on features that need no model.

It is fitted in a moment, so a learning curve costs seconds. It is the part of a probe judge to which `judgekit train
kind=probe` adds a language model: as long as it gains from labels, so does the probe judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from judgekit.errors import DataError, boundary
from judgekit.judges.base import Judge, JudgeInfo
from judgekit.judges.probe.features import GROUPS
from judgekit.metrics.checks import Floats
from judgekit.text.identity import group_problems
from judgekit.training.floors import LENGTH, fit_floor
from judgekit.types import Judgement, LabelledSolution, Solution, Verdict


class TextProbe:
    """Fits itself to labels, and keeps the features of every solution that it has seen."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[str, ...]], Floats] = {}

    def _features(self, solution: Solution) -> Floats:
        """Return what can be seen of a solution's steps. Shape (S, F)."""
        key = (solution.problem, solution.steps)
        if key not in self._known:
            columns = [values for group in GROUPS.values() for values in group(*key).values()]
            self._known[key] = np.stack(columns, axis=1)
        return self._known[key]

    def fit(self, solutions: Sequence[LabelledSolution]) -> Judge:
        """Fit a head and its threshold.

        Raises:
            DataError: too few labels, or too few of one kind.
        """
        # Imports torch, which takes seconds, and nothing is fitted before there are some labels.
        from judgekit.training.probe.heads import Labelled, fit_probe, verdicts_of

        problems = group_problems(solutions)
        numbers = {problem: number for number, problem in enumerate(sorted(set(problems)))}
        features_N = [self._features(solution) for solution in solutions]
        data = Labelled(
            features_N,
            [solution.first_error for solution in solutions],
            [numbers[problem] for problem in problems],
            signs_F=[0] * features_N[0].shape[1],
        )
        # scikit-learn refuses steps that are all correct or all wrong, as those of a few labels can be.
        with boundary(DataError, f"{len(solutions)} labels do not make a probe"):
            fitted = fit_probe(data, kinds=("linear",), origin="labels, cross-fitted")

        def verdicts(asked: Sequence[Solution]) -> list[Verdict]:
            return verdicts_of(fitted.head, [self._features(solution) for solution in asked])

        return FittedProbe(JudgeInfo("probe without a model", fitted.rule, deterministic=True), verdicts)


def fit_lengths(solutions: Sequence[LabelledSolution]) -> Judge:
    """Fit the judge that knows of a solution how long its steps are and nothing else, see `judgekit.training.floors`.

    Raises:
        DataError: all solutions are correct, or all are wrong.
    """
    verdicts, rule = fit_floor(LENGTH, solutions)
    return FittedProbe(JudgeInfo(LENGTH, rule, deterministic=True), verdicts)


class FittedProbe:
    """A probe, or a floor, that is fitted."""

    def __init__(self, info: JudgeInfo, verdicts: Callable[[Sequence[Solution]], list[Verdict]]) -> None:
        self.info = info
        self._verdicts = verdicts

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge solutions that have steps."""
        pairs = zip(solutions, self._verdicts(solutions), strict=True)
        return [Judgement(solution_id=s.id, judge_id=self.info.judge_id, verdict=verdict) for s, verdict in pairs]
