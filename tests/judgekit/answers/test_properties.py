"""One digit, sign, unit or operator changed never leaves an answer right; written otherwise it stays right."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgekit.answers import MathVerifyCheck, compare_plainly
from judgekit.reading.rows import read_jsonl
from judgekit_datasets.importers.policy_benchmarks import PolicyBenchmarksConfig, convert
from judgekit_datasets.source import RowRejected
from tests.judgekit.answers.changes import changes, rewritings

OWN_ANSWERS = (
    "18", "-7", "2.50", "1,234", "\\frac{3}{4}", "3\\frac{2}{7}", "2\\sqrt{3}", "\\frac{\\pi}{6}", "x^2 + 3x - 4",
    "y = 2x + 3", "[-3,5)", "(2, \\infty)", "\\{1, 4, 9\\}", "(3, -1)", "1, 5, 7", "12 \\text{ cm}", "\\$18.90", 
    "40\\%",
    "9:45 am", "132_5", "1 \\pm \\sqrt{7}", "\\binom{8}{3}", "\\frac{1}{20!}",
    "\\frac{1}{3} A_{1} + \\frac{2}{3} A_{2}",
    "\\begin{pmatrix} 1 \\\\ -2 \\end{pmatrix}", "5 \\text{ hours } 12 \\text{ minutes}", "6.1e5", 
    "-2 < x \\le 9", "3:4",
    "(-\\infty, 1) \\cup (4, \\infty)", "x = 3 \\text{ or } x = 8", "45^\\circ", "2 \\cos (3 t)", 
    "\\ln 5 + 2 i", "7 \\text{ feet}",
)  # fmt: skip


def accepted_changes(answers: Sequence[str], check: MathVerifyCheck) -> list[tuple[str, str, str]]:
    """Changed answers that count as right, with the kind of change."""
    made = [(kind, answer, changed) for answer in answers for kind, changed in changes(answer)]
    assert len(made) > 5 * len(answers)
    outcomes = check.check_many([(f"\\boxed{{{changed}}}", answer) for _, answer, changed in made])
    return [entry for entry, outcome in zip(made, outcomes, strict=True) if outcome == 1.0]


def refused_rewritings(answers: Sequence[str], check: MathVerifyCheck) -> list[tuple[str, str, str]]:
    """Answers written otherwise that do not count as right, with the kind of rewriting."""
    made = [(kind, answer, written) for answer in answers for kind, written in rewritings(answer)]
    outcomes = check.check_many([(f"\\boxed{{{written}}}", answer) for _, answer, written in made])
    return [entry for entry, outcome in zip(made, outcomes, strict=True) if outcome != 1.0]


def test_answers_of_our_own() -> None:
    with closing(MathVerifyCheck(timeout_s=60.0)) as check:
        assert accepted_changes(OWN_ANSWERS, check) == []
        assert refused_rewritings(OWN_ANSWERS, check) == []


@given(st.integers(1, 99), st.integers(1, 40), st.integers(2, 41))
@settings(max_examples=150, deadline=None)
def test_mixed_numbers_are_the_sum_of_their_parts(whole: int, above: int, below: int) -> None:
    mixed, improper = f"{whole}\\frac{{{above}}}{{{below}}}", f"\\frac{{{whole * below + above}}}{{{below}}}"
    if above < below:
        assert compare_plainly(mixed, answer=improper) == 1.0
        assert compare_plainly(f"{whole} {above}/{below}", answer=improper) == 1.0
        assert compare_plainly(f"-{mixed}", answer=f"-{improper}") == 1.0
    else:
        assert compare_plainly(mixed, answer=improper) != 1.0
    if above != whole * (below - 1):  # or the product would be the sum
        assert compare_plainly(mixed, answer=f"\\frac{{{whole * above}}}{{{below}}}") != 1.0


@given(st.integers(-500, 500), st.lists(st.integers(-500, 500), min_size=1, max_size=5, unique=True))
@settings(max_examples=150, deadline=None)
def test_a_list_of_candidates_never_passes_for_one_of_them(answer: int, others: list[int]) -> None:
    candidates = [answer, *(other for other in others if other != answer)]
    if len(candidates) > 1:
        for joined in (mark.join(map(str, candidates)) for mark in (", ", " or ", " and ")):
            assert compare_plainly(joined, answer=str(answer)) == 0.0
            assert compare_plainly(joined, answer=", ".join(map(str, reversed(candidates)))) == 1.0


@given(st.fractions(-50, 50, max_denominator=30), st.sampled_from(["x", "n", "\\pi", "y", "\\sqrt{2}"]))
@settings(max_examples=100, deadline=None)
def test_a_number_is_no_part_of_a_formula(number: object, factor: str) -> None:
    for formula in (f"({number}){factor}", f"{factor} + {number}", f"{factor} > {number}"):
        outcome = compare_plainly(formula, answer=str(number))
        assert outcome != 1.0 or number == 0


def published(folder: Path) -> Iterator[str]:
    """Every published right answer once."""
    for path in sorted((folder / "policy_benchmarks").glob("*.jsonl")):
        for _, row in read_jsonl(path):
            try:
                yield from (problem.answer for problem in convert(row, PolicyBenchmarksConfig(), path.stem))
            except RowRejected:
                continue
    for line in (folder / "gsm8k" / "test.jsonl").read_text("utf-8").splitlines():
        yield str(json.loads(line)["answer"]).rpartition("####")[2].strip()


def test_a_sample_of_published_answers(real_data: Path) -> None:
    answers = sorted({*published(real_data)})[::40]
    assert len(answers) > 30
    with closing(MathVerifyCheck(timeout_s=60.0, budget_s=None)) as check:
        assert accepted_changes(answers, check) == []
        assert refused_rewritings(answers, check) == []


@pytest.mark.slow
def test_all_published_answers(real_data: Path) -> None:
    answers = sorted({*published(real_data)})
    assert len(answers) > 1400
    with closing(MathVerifyCheck(timeout_s=60.0, budget_s=None, workers=2)) as check:
        assert accepted_changes(answers, check) == []
        assert refused_rewritings(answers, check) == []
