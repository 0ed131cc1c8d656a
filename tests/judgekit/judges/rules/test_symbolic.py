import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from judgekit.judges import load_judge
from judgekit.judges.rules.statements import Rule
from judgekit.judges.rules.symbolic import BASE_RATE, P_WRONG, SymbolicJudge, check_solution
from judgekit.types import NoVerdictReason, Solution

RIGHT = [
    "In all, 4 houses * 3 gnomes = $12.",
    r"So \(\frac{1}{2} \times 48 = 24\) are left.",
    r"\[ 3 \times \$4 = \$12 \]",
    r"$\frac{3}{4} \cdot 20 = \boxed{15}$",
    r"\( 0.20 \times 50 = 10 \text{ dollars} \)",
    r"$2^{10} = 1024$ and $7 \div 2 = 3.5$",
    r"$\sqrt{27} = \sqrt{9 \cdot 3} = 3\sqrt{3}$",
    "half of 48 is 24",
    "20% of 50 = 10",
    "10/50 = 20%",
    "100 - 20% = 80",
    "3 x 4 = 12 and $5 x 3 = $15",
    "1,200 + 300 = 1,500",
    "100/3 = 33.33",
    "2 hours * 60 minutes/hour = 120 minutes = 2 hours",
    "3 * 50 cents = $1.50",
    "- 5 + 3 = 8",
    "Day 2 = 3 * 4 = 12",
    "5 times 3 is 15",
    "3(4) + 2 = 14",
    "1 1/2 * 4 = 6",
    r"\sin 30 + 2 = 2.5",
    "f(2) + 3 = 10",
    "17 / 5 = 3 remainder 2",
    "90 + 30 = 2 hours",
    "3:5 + 1 = 9",
    "3x + 2x = 5x",
    "48/2 = <<48/2=24>>24",
    "4! / 2 = 12",
    "2000/75 = 26.666666666666668",
    "32 quarters * $0.25/quarter = $8.00",
    "8 packs of 5 bags * $4/pack = $160",
    "We have 1 + 2 = 3 and 3 * 4 = 12",
    "4 * 5, which is 20",
    "Total cost = 4 * 5.\nTotal cost = $20.",
    r"\[ \text{Money lost} = 124 - 100 \] \[ \text{Money lost} = 24 \]",
    "Cost = 4 * 5. Tax = 3. Cost = 23.",
    "3 weeks * 7 = 21 days",
    "14 days + 7 days = 3 weeks",
    "The budget is 16 + 12 = $28 million.",
    "Since 4/7 is equal to $24, 1/7 is $6.",
    r"$10! / 9! = 10$ and $3! = 1, 2, 6$",
    r"\sqrt[3]{64} = 4",
    r"$279/99999 = 0.\overline{00279}$ and $5/9 = 0.55...$",
    r"$1,\!000 + 1 = 1,\!001$",
    r"$\frac{1}{3}Bh = 65$",
    r"$\frac{3 \times 10^{8}}{530 \times 10^{3}} = 566$",
    "4 * 60 = 240 sets of 30 minutes",
]
WRONG = [
    ("In all, 4 houses * 3 gnomes = $13.", Rule.ARITHMETIC),
    (r"So \(\frac{1}{2} \times 48 = 26\) are left.", Rule.ARITHMETIC),
    (r"\[ 3 \times \$4 = \$15 \]", Rule.ARITHMETIC),
    (r"$2^{10} = 1000$", Rule.ARITHMETIC),
    ("half of 48 is 26", Rule.ARITHMETIC),
    ("3 x 4 = 11", Rule.ARITHMETIC),
    ("1,200 + 300 = 1,400", Rule.ARITHMETIC),
    ("2 + 3 = 5 + 2 = 8", Rule.ARITHMETIC),
    ("x = 2 + 3 = 6", Rule.ARITHMETIC),
    ("100/3 = 32.33", Rule.DECIMAL),
    ("Total cost = 4 * 5.\nTotal cost = $21.", Rule.ARITHMETIC),
    ("25 / 2 = 12", Rule.DECIMAL),
    ("We have 1 + 2 = 3 and 3 * 4 = 11", Rule.ARITHMETIC),
    ("20% of 51 = 12", Rule.DECIMAL),
    ("2(x + 3) = 2x + 3", Rule.IDENTITY),
    ("3x + 2x = 6x", Rule.IDENTITY),
    ("1 + X * 0.05 + 2 + 40 = 43 + X", Rule.IDENTITY),
    ("2x + 3 = 15, so x = 5", Rule.SOLUTION),
    ("4 * 5, which is 21", Rule.ARITHMETIC),
    ("This is a total of 31+31+28 = 70 days", Rule.ARITHMETIC),
    ("Phil won 16 games, so Perry won 16-12=28 more games.", Rule.ARITHMETIC),
    ("She has 60 - 45 = 105 cookies left.", Rule.ARITHMETIC),
    ("He jumps 10 sessions * 40 times/session = 1400 times.", Rule.ARITHMETIC),
    ("12 tubes of lip gloss * 3 people per tube of lip gloss = 35 people", Rule.ARITHMETIC),
    ("It rose by (600 - 400)*$3 = $3000", Rule.ARITHMETIC),
    ("She exercises 5*8 = 50 hours in 8 weeks", Rule.ARITHMETIC),
    ("She makes (30 + 10) * $5 = $100/day", Rule.ARITHMETIC),
    ("Ann has two more (4 + 2 = 7 pens)", Rule.ARITHMETIC),
]


STORY_RULES = {Rule.UNSOURCED, Rule.UNUSED, Rule.DANGLING}


def rules(*steps, problem=""):
    faults = check_solution(problem, steps).faults
    return [(fault.step, fault.rule) for fault in faults if fault.rule not in STORY_RULES]


def story_rules(*steps, problem):
    faults = check_solution(problem, steps).faults
    return [(fault.step, fault.rule) for fault in faults if fault.rule in STORY_RULES]


@pytest.mark.parametrize("step", RIGHT)
def test_right_steps_pass(step):
    assert rules(step) == []


@pytest.mark.parametrize(("step", "rule"), WRONG)
def test_wrong_steps_are_found(step, rule):
    assert (0, rule) in rules(step)


def test_a_solution_in_a_later_step_must_satisfy_the_equation():
    assert rules("So 2x + 3 = 15.", "Then 2x = 12.", "Hence x = 6.") == []
    assert rules("So 2x + 3 = 15.", "Then 2x = 12.", "Hence x = 5.") == [(2, Rule.SOLUTION)]


def test_cases_are_no_contradiction():
    assert rules("So 2x + 3 = 15.", "If x = 1, all is well.") == []


def test_counts_are_whole_and_quantities_not_negative():
    frogs = "How many frogs are left?"
    assert rules("7 / 2 = 3.5 frogs", "3.5 * 2 = 7", problem=frogs) == [(0, Rule.FRACTION)]
    assert rules("7 / 2 = 3.5 ponds", "3.5 * 2 = 7", problem=frogs) == []
    assert rules("7 / 2 = 3.5", problem=frogs) == [(0, Rule.FRACTION)]
    assert rules("7 / 2 = 3.5", problem="How many hours?") == []
    assert rules("7 - 9 = -2", problem="What is left?") == [(0, Rule.NEGATIVE)]
    assert rules("7 - 9 = -2", problem="What is 7 + -9?") == []


def test_operands_come_from_somewhere():
    problem = "Ann has 17 pens and buys 23 more at $40 in all."
    steps = ["She has 17 + 23 = 40.", "Then 40 + 471 = 511."]
    assert (1, Rule.UNSOURCED) in story_rules(*steps, problem=problem)
    assert (0, Rule.UNSOURCED) not in story_rules(*steps, problem=problem)


@pytest.mark.parametrize("operand", ["28", "11", "6", "0.17", "83", "92"])
def test_numbers_that_follow_from_a_story_have_a_source(operand):
    problem = (
        "In 4 weeks Ann, 17, read books in the ratio 11:3, a sixth of them on one of 6 days, 23 at 40 % off. Total?"
    )
    assert story_rules(f"So 17 + 23 + 4 + {operand} = 0.", problem=problem).count((0, Rule.UNSOURCED)) == 0


def test_a_number_of_the_story_that_no_step_uses():
    problem = "Jill earns $20 an hour for teaching and works 50 weeks a year, 35 hours a week. What is her salary?"
    assert story_rules("She earns 20 * 35 = $700 a week.", problem=problem) == [(0, Rule.UNUSED)]
    assert story_rules("She earns 20 * 35 = $700.", "That is 700 * 50 = $35000.", problem=problem) == []


@pytest.mark.parametrize(
    "problem",
    ["Born in 1984, she has 20 pens.", "On her 35th birthday she has 20.", "At 3 pm she has 20.", "1/7 of 20?"],
)
def test_not_every_number_is_a_quantity(problem):
    assert story_rules("She has 20 + 20 = 40.", problem=problem) == []


def test_a_share_may_be_used_in_another_form():
    problem = "20% of 500 clovers have four leaves. How many?"
    assert story_rules("There are 500 / 5 = 100.", problem=problem) == []
    assert story_rules("There are 500 * 0.8 = 400 others.", problem=problem) == []


def test_a_result_that_goes_into_nothing():
    problem = "Ann buys 3 pens at $4 and 5 books at $6. What does she pay?"
    pens, books = "Pens: 3 * 4 = $12.", "Books: 5 * 6 = $30."
    assert story_rules(pens, books, problem=problem) == [(1, Rule.DANGLING)]
    assert story_rules(pens, books, "Together 12 + 30 = $42.", problem=problem) == []
    assert story_rules(pens, books, "She pays $12 and $30.", problem=problem) == []


def test_formulas_may_bring_in_any_number():
    steps = ["She has 17 + 23 = 40.", "Then 40 + 471 = 511."]
    assert check_solution("Find $x$ where $x + 17 = 23$.", steps).faults == ()


def test_without_anything_to_compare_there_is_no_verdict():
    for steps in (("It may be.", "It is."), ("x",), ("Solution",), ("So x = 5 and 7 apples.",), (" ",)):
        judgement = SymbolicJudge().judge([Solution(problem="Is it so?", steps=steps)])[0]
        assert (judgement.verdict, judgement.no_verdict) == (None, NoVerdictReason.NOTHING_TO_CHECK)


def test_steps_without_a_statement_are_left_at_the_base_rate():
    solution = Solution(problem="$x$?", steps=("It may be.", "1 + 1 = 2", "It is."))
    verdict = SymbolicJudge().judge([solution])[0].verdict
    assert verdict.p_ok_S == pytest.approx([1 - BASE_RATE] * 3)
    assert verdict.decide(SymbolicJudge.info.decision) is None


def test_a_long_right_solution_has_no_error():
    solution = Solution(problem="$x$?", steps=("1 + 1 = 2",) * 50)
    assert SymbolicJudge().judge([solution])[0].verdict.decide(SymbolicJudge.info.decision) is None


def test_raw_says_what_was_checked_and_what_is_wrong():
    solution = Solution(problem="$x$?", steps=("First 2 + 3 = 5.", "Then 12*4 = 46 and $x = 1/3 = 0.44$."))
    raw = SymbolicJudge().judge([solution])[0].raw
    assert raw.splitlines() == [
        "step 1: arithmetic: 12*4 = 46, but 12*4 is 48",
        "step 1: decimal: 1/3 = 0.44, but 1/3 is 1/3",
        "checked:",
        "step 0: 2 + 3 = 5",
        "step 1: 12*4 = 46",
        "step 1: 1/3 = 0.44",
    ]
    right = SymbolicJudge().judge([Solution(problem="$x$?", steps=("1 + 1 = 2",))])[0].raw
    assert right.splitlines() == ["no fault", "checked:", "step 0: 1 + 1 = 2"]


def test_raw_is_short_however_long_the_solution():
    solution = Solution(problem="$x$?", steps=(" + ".join(["1"] * 50) + " = 49",) * 300)
    raw = SymbolicJudge().judge([solution])[0].raw
    assert len(raw) < 70_000
    assert raw.endswith("and 200 more")


def test_posterior_points_at_the_fault():
    judge = load_judge("builtin:symbolic")
    solution = Solution(problem="2, 3?", steps=("First, 2 + 2 = 4.", "So 2 + 3 = 6.", "Done."))
    verdict = judge.judge([solution])[0].verdict
    assert verdict.decide(judge.info.decision) == 1
    assert verdict.p_ok_S == pytest.approx((1 - BASE_RATE, 1 - P_WRONG[Rule.ARITHMETIC], 1 - BASE_RATE))


def test_empty_solutions_get_a_reason():
    judgement = SymbolicJudge().judge([Solution(problem="?", steps=())])[0]
    assert judgement.verdict is None


@pytest.mark.parametrize(
    "text",
    [
        "9" * 1_000_000 + " = 1",
        "(" * 500_000 + "1",
        "1 + " * 200_000 + "1 = 2",
        "2^2^2^2^2^2^2^2 = 4",
        "9^" * 100_000 + "9 = 1",
        "(((" * 50 + "9^30" + ")^30)^30" * 50 + " = 1",
        "1" + "/3" * 100_000 + " = 1",
        "\\frac{" * 100_000,
        "\\text{" * 100_000,
        "<<" * 300_000,
        "1,234" * 100_000 + " = 2",
        "a-" * 300_000,
        "x_{" * 100_000,
        "1 = " * 200_000,
        "\u202e5 + 3 = 9\x00\ufffd\u0665 = \u00b2",
        "1/0 = 0/0 = 5",
        "0^{-1} = 1",
        "$" * 500_000 + "5",
        "- " * 300_000 + "5 = 4",
        "1 a " * 200_000,
        "__import__('os').system('true') = 1",
    ],
    ids=lambda text: text[:12].encode("unicode_escape").decode(),
)
def test_hostile_text_is_safe_and_quick(text):
    started = time.process_time()
    judgement = SymbolicJudge().judge([Solution(problem=text, steps=(text, text))])[0]
    assert len(judgement.raw) < 100_000
    assert time.process_time() - started < 5


def test_a_hundred_thousand_steps_are_judged():
    steps = ("x", "", "\u202e", "\x00") * 25_000
    judgement = SymbolicJudge().judge([Solution(problem="Ann has 3 pens.", steps=(*steps, "1 + 1 = 3"))])[0]
    assert judgement.raw.startswith("step 100000: arithmetic: 1 + 1 = 3, but 1 + 1 is 2")
    assert judgement.verdict.n_steps == 100_001


def test_importing_needs_no_torch():
    code = (
        "import sys, judgekit.judges.rules.symbolic; assert not {'torch', 'sympy', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def real_rows(*path):
    if not (folder := os.environ.get("JUDGEKIT_REAL_DATA")):
        pytest.skip("needs the real data sets: set JUDGEKIT_REAL_DATA to their folder")
    return [json.loads(line) for line in Path(folder, *path).read_text(encoding="utf-8").splitlines()]


def first_error(problem, steps):
    """Return the decision, or the reason for having none."""
    judgement = SymbolicJudge().judge([Solution(problem=problem, steps=tuple(steps))])[0]
    return judgement.verdict.decide(SymbolicJudge.info.decision) if judgement.verdict else judgement.no_verdict


def test_finds_nearly_all_errors_of_multistep_arithmetic():
    rows = [
        row for row in real_rows("bigbench_mistake", "multistep_arithmetic.jsonl") if row["mistake_index"] is not None
    ]
    hits = [first_error(row["input"], row["steps"]) == row["mistake_index"] for row in rows]
    assert len(hits) == 238
    assert sum(hits) / len(hits) > 0.9


def test_finds_more_than_arithmetic_on_processbench_with_few_false_alarms():
    rows = real_rows("processbench", "gsm8k.jsonl")
    answers = [(row["label"], first_error(row["problem"], row["steps"])) for row in rows]
    right = [answer is None for label, answer in answers if label == -1]
    wrong = [answer == label for label, answer in answers if label != -1]
    assert sum(right) / len(right) >= 0.94
    assert sum(wrong) / len(wrong) >= 0.13
