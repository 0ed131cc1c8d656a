"""Outcome checks on the answers that models write, and on those written to break a checker."""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from judgekit.answer_pool import AnswerPool, Unchecked
from judgekit.answers import (
    LastNumberCheck,
    LastNumberConfig,
    MathVerifyCheck,
    OutcomeConfig,
    build_outcome,
    compare_plainly,
    extract_answer,
    find_numbers,
    parse_number,
    readable,
)
from judgekit.config import BaseConfig, load_config
from judgekit.errors import DataError
from judgekit.io import read_jsonl

TIMEOUT_S = 1.0


@pytest.fixture(scope="module")
def checker() -> Iterator[MathVerifyCheck]:
    with closing(MathVerifyCheck(timeout_s=60.0)) as check:
        yield check


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18),
        (" -18. ", -18),
        ("\u22125", -5),
        ("\\$1,234.50", Fraction(2469, 2)),
        ("1{,}000", 1000),
        (".5", Fraction(1, 2)),
        ("-\\frac{3}{4}", Fraction(-3, 4)),
        ("3/4", Fraction(3, 4)),
        ("**7**", 7),
    ],
)
def test_plain_numbers_are_exact(text: str, value: Fraction | int) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "-", "2x", "1e9", "18%", "1/0", "1.2.3", "18 dollars", "9" * 101, "x"])
def test_everything_else_is_no_plain_number(text: str) -> None:
    assert parse_number(text) is None


def test_minus_is_a_sign_only_where_nothing_is_subtracted_from() -> None:
    assert find_numbers("12-5=7, (3)-4, x=-2, -$6") == [12, 5, 7, 3, 4, -2, -6]
    assert find_numbers("v2 and step3") == []


def test_answer_is_taken_from_box_phrase_then_last_number() -> None:
    assert extract_answer("4 so \\boxed{\\frac{1}{2}} and \\boxed{x^{2}}. The answer is 9") == "x^{2}"
    assert extract_answer("2 + 2 = 4\n#### 4\n") == "4"
    assert extract_answer("The answer is 3. No, the answer is: $5.50 per day. 8 left") == "5.50 per day"
    assert extract_answer("we get 7 and 8") == "8"
    assert extract_answer("I do not know") is None
    assert extract_answer("\\boxed{4") == "4"


@pytest.mark.parametrize(
    ("response", "answer", "outcome"),
    [
        ("She pays 3 * 6 = 18.\n#### 18", "18", 1.0),
        ("The answer is \\$18.", "18", 1.0),
        ("The answer is $1,234.00", "1234", 1.0),
        ("The final answer is 3 * 6 = 18 dollars.", "18", 1.0),
        ("So x = 18", "18", 1.0),
        ("The answer is 19, not 18 ", "18", 0.0),
        ("the answer is 18.01", "18", 0.0),
        ("The answer is 18 million.", "18", 0.0),
        ("I do not know", "18", 0.0),
        ("", "18", 0.0),
        ("\\boxed{18\\text{ dollars}}", "18", 1.0),
        ("\\boxed{50\\%}", "50", 1.0),
        ("\\boxed{0.5}", "\\frac{1}{2}", 1.0),
        ("\\boxed{1+x}", "x+1", 1.0),
        ("\\boxed{2\\sqrt{2}}", "\\sqrt{8}", 1.0),
        ("\\boxed{x+2}", "x+1", 0.0),
        ("The answer is Monday.", "Monday", 1.0),
    ],
)
def test_right_and_wrong(checker: MathVerifyCheck, response: str, answer: str, outcome: float) -> None:
    assert checker.check(response, answer=answer) == outcome


@pytest.mark.parametrize("hostile", ["9^{9^{9^9}}", "7^{100000000}", "100000000!"])
def test_hostile_answers_are_unknown_in_bounded_time(hostile: str) -> None:
    with closing(MathVerifyCheck(timeout_s=TIMEOUT_S)) as check:
        start = time.monotonic()
        assert check.compare_many([(f"\\boxed{{{hostile}}}", "5")]) == [(None, Unchecked.TIMEOUT)]
        assert time.monotonic() - start < TIMEOUT_S + 20  # the process needs time to come up


def test_reasons_are_counted() -> None:
    endless, too_long = ("\\boxed{9^{9^{9^9}}}", "5"), ("\\boxed{" + "x+" * 1000 + "x}", "x")
    with closing(MathVerifyCheck(timeout_s=0.5)) as check:
        outcomes = check.check_many([endless, too_long, ("none", "x"), ("#### 5", "5"), endless])
        assert outcomes == [None, None, 0.0, 1.0, None]
        assert check.unchecked == {Unchecked.TIMEOUT: 2, Unchecked.TOO_LONG: 1}


@pytest.mark.parametrize(
    ("stated", "answer", "outcome"),
    [
        (None, "18", 0.0),
        ("\\dfrac{a}{b} $", "\\frac{a}{b}", 1.0),
        ("1 2", "12", None),
        ("1, 234", "1,234", None),
        ("", "", None),
        ("\\left(1,2\\right)", "(1, 2)", 1.0),
        ("19", "18", 0.0),
        ("18.0000001", "18", None),
        ("12 and 13", "12", None),
        ("52_8", "52", None),
        ("18 days", "18", 1.0),
        ("x = \\frac{\\sqrt{17}}{17}", "\\frac{\\pi}{3}", 0.0),
        ("\\sqrt{8}", "2\\sqrt{2}", None),
        ("x+2", "x+1", 0.0),
        ("x+1", "1+x", None),
        ("5 m", "6", 0.0),
        ("6 m + 1", "7", None),
        ("50\\%", "60", None),
        ("9^{9^{9^9}}", "5", None),
    ],
)
def test_plain_comparison_decides_only_the_plain(stated: str | None, answer: str, outcome: float | None) -> None:
    assert compare_plainly(stated, answer=answer) == outcome


def test_last_number_is_exact() -> None:
    check = LastNumberCheck()
    assert check.check("3 * 4 = 12\n\n12 - 5 = 7", answer="7") == 1.0
    assert check.check("7, then 8", answer="7") == 0.0
    assert check.check("x = -7", answer="7") == 0.0
    assert check.check("no number", answer="7") == 0.0
    assert check.check("9" * 5000, answer="7") == 0.0
    with pytest.raises(DataError, match="'seven' is no number"):
        check.check("7", answer="seven")


def test_check_is_chosen_by_type() -> None:
    class Holder(BaseConfig):
        outcome: OutcomeConfig = LastNumberConfig()

    assert isinstance(build_outcome(load_config(Holder).outcome), LastNumberCheck)
    chosen = load_config(
        Holder, overrides=["outcome.type=math_verify", "outcome.timeout_s=1.5", "outcome.workers=3"]
    ).outcome
    check = build_outcome(chosen)
    assert isinstance(check, MathVerifyCheck)
    assert (check.pool.timeout_s, check.pool.n_workers) == (1.5, 3)


def test_plain_verdicts_on_published_answers_are_those_of_math_verify() -> None:
    folder = os.environ.get("JUDGEKIT_REAL_DATA")
    if not folder:
        pytest.skip("needs the real data sets: set JUDGEKIT_REAL_DATA to their folder")
    rows = read_jsonl(Path(folder) / "policy_benchmarks" / "math500.jsonl")
    answers = [row["answer"] for _, row in rows][:60]
    pairs = [(answer, other) for answer in answers for other in (answer, answers[0], answers[-1])]
    plain = {pair: compare_plainly(pair[1], answer=pair[0]) for pair in pairs}
    decided = [pair for pair, outcome in plain.items() if outcome is not None]
    assert len(decided) > len(plain) / 2
    with closing(AnswerPool(workers=2, timeout_s=60.0)) as pool:  # a busy machine is no reason to fail
        assert [plain[pair] for pair in decided] == [result.outcome for result in pool.compare_many(decided)]


@pytest.mark.parametrize(
    ("response", "answer", "outcome"),
    [
        (r"\boxed{4.5 \times 10^{33}}", "4.5e33", 1.0),
        ("The answer is 4.5e33.", r"4.5 \times 10^{33}", 1.0),
        (r"\boxed{4.6 \times 10^{33}}", "4.5e33", 0.0),
        (r"\boxed{2e-6}", "1e-6", 0.0),
        (r"\boxed{3e8}", "300000000", 1.0),
        (r"\boxed{0.00000002}", "0.00000001", 0.0),
        (r"\boxed{0.000000010}", "0.00000001", 1.0),
        (r"\boxed{0.333333}", r"\frac13", 1.0),
        (r"\boxed{[-2,1)}", r"$\{x|-2\leq x < 1\}$", 1.0),
        (r"\boxed{\{x \mid -2 \le x < 1\}}", r"$\{x|-2\leq x < 1\}$", 1.0),
        (r"\boxed{[-2,1]}", r"$\{x|-2\leq x < 1\}$", 0.0),
        (r"\boxed{1}", r"$\{x|-2\leq x < 1\}$", 0.0),
        (r"\boxed{\{x|x=3k, k\in\mathbb{Z}\}}", r"$\{x|x=3k,k\in \mathbb{Z}\}$", 1.0),
        (r"\boxed{3}", r"$\{x|x=3k,k\in \mathbb{Z}\}$", None),
        (r"The answer is 11,\! 111. Done", r"11,\! 111", 1.0),
    ],
)
def test_what_computer_algebra_would_misread(response: str, answer: str, outcome: float | None) -> None:
    with closing(MathVerifyCheck(timeout_s=60.0)) as check:
        assert check.check(response, answer=answer) == outcome


def test_readable_leaves_other_answers_alone() -> None:
    for text in ("2e", "e^{2}", "x2e3", "1.5e3.2", "1e9999", r"\{1,2\}", r"\{x|x=3k\}", "12:30", "", "abc"):
        assert readable(text) == text
