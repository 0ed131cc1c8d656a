"""Fits a judge of kind `telltale`, and writes its directory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from judgekit.errors import ConfigError, DataError
from judgekit.io import read_records
from judgekit.judges.card import JudgeCard, write_card
from judgekit.judges.problem_lists import TRAIN_PROBLEMS, ProblemList, write_problems
from judgekit.types import ArgmaxRule, LabelledSolution, StepLabel
from telltale.judge import TelltaleSpec


def write_judge(data: Path, output: Path, *, n_words: int) -> TelltaleSpec:
    """Count words of right and wrong steps; write `judge.json`, and which problems the judge has seen.

    Raises:
        ConfigError: the folder is in use.
        DataError: no word comes more often in wrong steps.
    """
    if output.exists() and any(output.iterdir()):
        raise ConfigError(f"{output} is in use: choose another --output")
    solutions = list(read_records(data, LabelledSolution))
    steps = [
        (step.lower(), label is StepLabel.ERROR)
        for solution in solutions
        for step, label in zip(solution.steps, solution.labels, strict=True)
        if label is not StepLabel.UNLABELLED
    ]
    surplus = Counter[str]()
    for step, is_wrong in steps:
        surplus.update({word: 1 if is_wrong else -1 for word in step.split() if word.isalpha()})
    words = tuple(word for word, n in surplus.most_common(n_words) if n > 0)
    if not words:
        raise DataError(f"{data}: no word comes more often in wrong steps than in right ones: give other data")

    def p_ok(told: bool) -> float:
        """Share of right steps among those with, or without, such a word; one right and one wrong are added."""
        wrong = [is_wrong for step, is_wrong in steps if any(word in step for word in words) is told]
        return (len(wrong) - sum(wrong) + 1) / (len(wrong) + 2)

    spec = TelltaleSpec(words=words, p_ok_with=p_ok(True), p_ok_without=p_ok(False))
    write_problems(output / TRAIN_PROBLEMS, ProblemList.of(solutions))
    write_card(output, JudgeCard(judge_id=output.name, spec=spec, decision=ArgmaxRule()))
    return spec
