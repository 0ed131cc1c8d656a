"""A judge that recomputes what the steps state; it needs no weights, and gives no verdict if there is nothing to check.

Each rule looks for one kind of fault. A step in which a rule fires is wrong with the probability that was measured for
the rule; any other step with the base rate. A solution in which nothing could be compared gets no verdict: a judge that
saw nothing has not found it correct.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from judgekit.judges.base import JudgeInfo
from judgekit.judges.rules.statements import (
    Rule,
    compared_sides,
    contradictions,
    false_statements,
    is_computed,
    statement,
)
from judgekit.judges.rules.stories import Story, left_over, story_faults
from judgekit.text.arithmetic.chains import Equality, find_equalities
from judgekit.text.arithmetic.tokens import find_numbers
from judgekit.ties import rounded
from judgekit.types import Judgement, NoVerdictReason, Solution, ThresholdRule, Verdict

BASE_RATE = 0.1
"""P(step wrong | earlier steps right) where nothing was found."""
P_WRONG = {
    Rule.ARITHMETIC: 0.97,
    Rule.DECIMAL: 0.85,
    Rule.IDENTITY: 0.85,
    Rule.SOLUTION: 0.85,
    Rule.FRACTION: 0.8,
    Rule.NEGATIVE: 0.85,
    Rule.UNSOURCED: 0.8,
    Rule.UNUSED: 0.55,
    Rule.DANGLING: 0.55,
}
"""P(step wrong | the rule fires in it, earlier steps right).

Rounded shares of true alarms: at the first error in GSM8K training solutions with injected errors, PRMBench and
MR-GSM8K; and, where these hardly fire, among solutions of GSM8K's example models by whether the answer is wrong. The
latter says nothing about the place. Of the example models' solutions (problems of ProcessBench left out) 300 of 329
with something unused and 167 of 185 with something dangling have a wrong answer; the place is correct in about half of
the injected errors where these two fire at all. No figure comes from ProcessBench.
"""

_CASES = re.compile(r"\b(?:or|if|case|when|try|suppose|assume|let|for)\b", re.IGNORECASE)
_MAX_RAW_LINES = 200


class Fault(NamedTuple):
    """Something wrong that was found in a step."""

    step: int
    """The step, 0-based."""
    rule: Rule
    """What is wrong with it."""
    detail: str
    """What was found, for people: `12*4 = 46, but 12*4 is 48`."""


class Findings(NamedTuple):
    """What was checked in a solution, and what was wrong."""

    checked_S: tuple[tuple[str, ...], ...]
    """Statements whose two sides were compared, by step, as they stand. Shape (n_steps,)."""
    faults: tuple[Fault, ...]
    """What is wrong, step by step, one of a rule in a step."""

    @property
    def report(self) -> str:
        """What was checked and found, a line a statement or fault, steps counted from 0 as everywhere."""
        lines = [f"step {i}: {text}" for i, checked in enumerate(self.checked_S) for text in checked]
        wrong = [f"step {step}: {rule}: {detail}" for step, rule, detail in self.faults]
        shown = [*(wrong or ["no fault"])[:_MAX_RAW_LINES], "checked:", *lines[:_MAX_RAW_LINES]]
        n_left_out = max(len(lines) - _MAX_RAW_LINES, 0) + max(len(wrong) - _MAX_RAW_LINES, 0)
        return "\n".join([*shown, *([f"and {n_left_out} more"] if n_left_out else [])])


def check_solution(problem: str, steps: Sequence[str]) -> Findings:
    """Check the statements of a solution.

    Example:
        >>> check_solution("2 bags of 3?", ["2 * 3 = 6", "6 + 1 = 8"]).faults[0].detail
        '6 + 1 = 8, but 6 + 1 is 7'
    """
    found_S = [find_equalities(step) for step in steps]
    faults = tuple(_faults(Story.of(problem), find_numbers(problem), steps, found_S))
    checked_S = tuple(
        tuple(statement(left, right) for equality in found for left, right, _ in compared_sides(equality))
        for found in found_S
    )
    return Findings(checked_S, faults)


def _faults(
    story: Story, known: set[Fraction], steps: Sequence[str], found_S: Sequence[list[Equality]]
) -> Iterator[Fault]:
    solved, numbers_S = dict[str, Fraction](), [find_numbers(step) for step in steps]
    last = max((i for i, found in enumerate(found_S) if any(map(is_computed, found))), default=None)
    for i, (step, equalities) in enumerate(zip(steps, found_S, strict=True)):
        findings = [*false_statements(equalities)]
        findings += contradictions(equalities, solved, has_cases=_CASES.search(step) is not None)
        findings += story_faults(equalities, story, known, is_last=i == last)
        if story.is_story and i == last:
            findings += left_over(story, numbers_S, found_S)
        first_of_rule = dict(reversed(findings))
        yield from (Fault(i, rule, first_of_rule[rule]) for rule in dict.fromkeys(rule for rule, _ in findings))
        known |= numbers_S[i] | {s.number for e in equalities for s in e.sides if s.number is not None}


class SymbolicJudge:
    """Recomputes stated arithmetic and simple algebra; see `Rule` for what it looks for."""

    info = JudgeInfo("builtin:symbolic", ThresholdRule(threshold=0.5), deterministic=True)
    """Decides for the first step in which a rule fires that is more often right than wrong."""

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch; `raw` says what was checked and what is wrong.

        No verdict: a solution without steps, and one without anything to compare.
        """
        return [self._judgement(solution) for solution in solutions]

    def _judgement(self, solution: Solution) -> Judgement:
        if not solution.steps:
            return Judgement(solution_id=solution.id, judge_id=self.info.judge_id, no_verdict=NoVerdictReason.EMPTY)
        findings = check_solution(solution.problem, solution.steps)
        has_checked = any(findings.checked_S) or bool(findings.faults)
        # Where several rules fire in a step, the surest alone counts: they mostly see the same fault.
        p_ok_S = [rounded(1 - BASE_RATE)] * len(findings.checked_S)
        for step, rule, _ in findings.faults:
            p_ok_S[step] = min(p_ok_S[step], rounded(1 - P_WRONG[rule]))
        return Judgement(
            solution_id=solution.id,
            judge_id=self.info.judge_id,
            verdict=Verdict.from_step_probs(p_ok_S) if has_checked else None,
            no_verdict=None if has_checked else NoVerdictReason.NOTHING_TO_CHECK,
            raw=findings.report if has_checked else "no statement whose two sides could be compared",
        )
