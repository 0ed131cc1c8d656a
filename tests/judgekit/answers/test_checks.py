"""Outcome checks on the answers that models write, and on those written to break a checker."""

import time
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction

import pytest

from judgekit.answers import (
    LastNumberCheck,
    LastNumberConfig,
    MathVerifyCheck,
    OutcomeConfig,
    Unchecked,
    build_outcome,
    compare_plainly,
    extract_answer,
    find_numbers,
    parse_number,
    readable,
)
from judgekit.config import BaseConfig, load_config
from judgekit.errors import DataError


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
        ("3\\frac{2}{7}", Fraction(23, 7)),
        ("-2 1/2", Fraction(-5, 2)),
        ("5\u00bd", Fraction(11, 2)),
        ("\uff11\uff18", 18),
    ],
)
def test_plain_numbers_are_exact(text: str, value: Fraction | int) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text", ["", "-", "2x", "3\\frac{7}{2}", "1 2", "1e9", "18%", "1/0", "1.2.3", "18 dollars", "9" * 101, "x"]
)
def test_everything_else_is_no_plain_number(text: str) -> None:
    assert parse_number(text) is None


def test_minus_is_a_sign_only_where_nothing_is_subtracted_from() -> None:
    assert find_numbers("12-5=7, (3)-4, x=-2, -$6") == [12, 5, 7, 3, 4, -2, -6]
    assert find_numbers("v2 and step3") == []


def test_answer_is_taken_from_box_phrase_then_last_number() -> None:
    assert extract_answer("4 so \\boxed{\\frac{1}{2}}. Now \\boxed{x^{2}}. The answer is 9") == "x^{2}"
    assert extract_answer("2 + 2 = 4\n#### 4\n") == "4"
    assert extract_answer("The answer is 3. No, the answer is: $5.50 per day. 8 left") == "$5.50 per day"
    assert extract_answer("we get 7 and then 8") == "8"
    assert extract_answer("I do not know") is None
    assert extract_answer("\\boxed{4") == "4"


@pytest.mark.parametrize(
    ("response", "stated"),
    [
        ("**Answer**: 73\n\n(I checked it in 2 ways.)", "73"),
        ("**Answer:** 73", "73"),
        ("## Answer\n73", "73"),
        ("**Final Answer:**\n$$\n73\n$$\n", "73"),
        ("The final answer is:\n\n\\[ 73 \\]", "73"),
        ("The answer is: \n\n- 73\n", "73"),
        ("ANSWER = -73", "-73"),
        ("The correct answer is therefore 73", "73"),
        ("The answer to the second part is 73.", "73"),
        ("The answer is 73 (70 + 3).", "73"),
        ("The answer is (3, 4).", "(3, 4)"),
        ("The answer is 73, which is 70 + 3.", "73"),
        ("The answer is 73. Let me verify the answer: 70 + 3. OK in 2 ways", "73"),
        ("The answer is 72. Wait, no. The answer is 73.", "73"),
        ("The answer is 73. The answer is not 5.", "73"),
        ("<answer>\n73\n</answer> after 3 checks", "73"),
        ("<answer>So \\boxed{73}.</answer>", "73"),
        ("\\boxed{72} <answer>73</answer>", "73"),
        ("<answer>72</answer> \\boxed{73}", "73"),
        ("<think>\\boxed{72}</think>The answer is 73.", "73"),
        ("\\boxed{72}</think>\n73", "73"),
        ("<think>\\boxed{72}</think>", None),
        ("<think>\\boxed{72}", None),
        ("The answer is 73<|im_end|>", "73"),
        ("The answer is 73</s>", "73"),
        ("\\boxed 73", "73"),
        ("\\fbox{73}", "73"),
        ("\\boxed{\\left\\{x=1\\right.} in 7 steps", "\\left\\{x=1\\right."),
        ("\\boxed{5} or \\boxed{6}", "5, 6"),
        ("x = \\boxed{5} and y = \\boxed{6}", "5, 6"),
        ("\\boxed{5}.\n\nIn the end \\boxed{6}", "6"),
        ("\\boxed{6}. So it is \\boxed{6}", "6"),
        ("\u7b54\u6848\u662f73\u3002", "73"),
        ("La r\u00e9ponse est 73.", "73"),
        ("La respuesta es 73.", "73"),
        ("Die Antwort ist 73.", "73"),
        ("So it is 5 or 6", "5 or 6"),
        ("It takes 3 hours 20 minutes", "3 hours 20 minutes"),
        ("It is \\(x = 73\\).", "x = 73"),
        ("So it costs $1,234.50.", "$1,234.50"),
        ("We get 5\u00bd", "5\u00bd"),
        ("So we have **64**", "64"),
        ("Hence 64 is the final answer (in 2 steps).", "64"),
        ("Therefore x > 5", None),
        ("So x - 5", None),
        ("We get 5\u221a2", None),
        ("In all 12 - 5", None),
    ],
)
def test_where_the_answer_stands(response: str, stated: str | None) -> None:
    assert extract_answer(response) == stated


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


@pytest.mark.parametrize(
    "hostile", ["9^{9^{9^9}}", "7^{100000000}", "100000000!", "(9!)!", "2^{3^{40}}", "1/10^{10^{10}}"]
)
def test_huge_answers_are_unknown_without_being_worked_out(hostile: str) -> None:
    with closing(MathVerifyCheck()) as check:
        start = time.process_time()
        assert check.compare_many([(f"\\boxed{{{hostile}}}", "5")]) == [(None, Unchecked.HUGE)]
        assert check.compare_many([(f"\\boxed{{\\int {hostile}}}", "5")]) == [(None, Unchecked.HUGE)]
        assert time.process_time() - start < 1
        assert not check.pool._workers, "nobody was asked"


def test_reasons_are_counted() -> None:
    huge, too_long = ("\\boxed{9^{9^{9^9}}}", "5"), ("\\boxed{" + "x+" * 1000 + "x}", "x")
    with closing(MathVerifyCheck(timeout_s=60.0)) as check:
        outcomes = check.check_many([huge, too_long, ("none", "x"), ("#### 5", "5"), huge, ("\\boxed{6}", "6m")])
        assert outcomes == [None, None, 0.0, 1.0, None, None]
        assert check.unchecked == {Unchecked.HUGE: 2, Unchecked.TOO_LONG: 1, Unchecked.AMBIGUOUS: 1}


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
        ("18.0000001", "18", 1.0),
        ("12 and 13", "12", 0.0),
        ("52_8", "52", None),
        ("18 days", "18", 1.0),
        ("x = \\frac{\\sqrt{17}}{17}", "\\frac{\\pi}{3}", 0.0),
        ("\\sqrt{8}", "2\\sqrt{2}", 1.0),
        ("x+2", "x+1", 0.0),
        ("x+1", "1+x", 1.0),
        ("5 m", "6", 0.0),
        ("6 m + 1", "7", 0.0),
        ("50\\%", "60", 0.0),
        ("9^{9^{9^9}}", "5", None),
    ],
)
def test_comparison_without_math_verify(stated: str | None, answer: str, outcome: float | None) -> None:
    assert compare_plainly(stated, answer=answer) == outcome


NOT_FIVE = (
    "x-5", "5x", "5 n", "5\\pi", "5\u03c0", "\u221a5", "\\sqrt{5}", "\u22125", "\u20145", "\u20135", "x>5", "x<5",
    "x \\le 5", "x\u22645", "x\u22655", "x\\neq5", "x\u22605", "x != 5", "x >= 5", "x=>5", "not 5", "half of 5",
    "5^2", "5\u00b2", "5!", "5_8", "5/x", "-5", "minus 5", "negative 5", "5 squared", "5 cubed", "more than 5",
    "less than 5", "at least 5", "at most 5", "5 or 6", "x=5 or x=6", "either 5 or 6", "5, 6", "5 and 6",
    "\\{5,6\\}", "(5,6)", "[5,6]", "5\\%6", "\\frac{5}{2}", "5 million", "5k", "5e3", "f(5)", "P(X=5)", "\\log 5",
    "|\u22125|+1", "5i", "5\\sqrt{2}", "5:6", "5 am", "5 feet 6 inches", "5\\text{ hours }5\\text{ minutes}",
    "5 dozen", "5 hundred", "twice 5", "5 times 2", "between 5 and 6", "5 to 6", "5-6", "5\u20136", "5 \u00b1 1",
    "\\pm 5", "five or six", "5 < x < 6", "y = x + 5", "a+b=5", "5th", "5\\choose 2", "\\binom{5}{2}", "5 mod 7",
    "\\sin 5", "\\approx 5.2", "5.0001", "5\\frac{1}{2}", "5 1/2", "5\u00bd", "cube root of 5", "square root of 5",
    "no 5", "neither 5", "5 per 2", "under 5", "over 5", "5 or more", "5 or less", "5+", ">5", "<5", "\u22655",
    "\\ge 5", "5\\ldots", "5,\\ldots", "x^5", "x_5", "\\overline{5}", "\\bar{5}1", "0.\\overline{5}", "5\\bmod 7",
    "5 \\cup 6", "\\neg 5", "!5", "1/5", "\\frac15", "5:00 pm", "5 more", "5 fewer than", "any number but 5",
    "all except 5", "5 is wrong", "anything other than 5", "1-5", "2*5", "5*2", "5/2", "5+x",
)  # fmt: skip
"""What has a 5 in it and does not say that the answer is 5."""
FIVE = (
    "5", "5.0", "$5$", "\\$5", "5 \\text{ dollars}", "5 dollars", "5\\%", "x=5", "x = 5", "+5", "5.", "05",
    "\\text{5}", "\\mathbf{5}", "{5}", "5 cm", "5\\,\\text{cm}", "5 \\mathrm{~m}", "\uff15", "\u0665", "5\u00b0",
    "5^\\circ", "\\frac{10}{2}", "\\sqrt{25}", "2+3=5", "f(2)=5", "AB = 5", "5 apples", "5 people", "\u20ac5",
    "5 km/h", "5 m/s", "5\\text{ square units}", "5 cm\u00b2", "5\\text{ cm}^2", "\\approx 5", "\\text{Answer: }5",
    "n=5", "x_1=5", "\\angle ABC = 5^\\circ", "\\text{The answer is } 5", "|AB|=5", "five", "5 \\text{ (units)}",
    "\\overline{AB}=5", "5 miles per hour", "x \\approx 5", "$5.00",
)  # fmt: skip
"""What a box may hold for 5."""
FIVE_IN_A_SENTENCE = (
    "5 dollars", "$5", "**5**", "$5.00", "5 apples", "exactly 5", "about 5", "x = 5", "$x = 5$", "\\(5\\)",
    "5 (2+3)", "5, since 2+3=5", "5 because it is prime", "5 cups of tea", "5 dollars per day", "a total of 5",
    "5 days", "5%", "five", "5 students", "5.", "5", "5 minutes", "five dollars", "5.0", "$\\boxed{5}$", "2 + 3 = 5",
    "5 eggs in the basket", "5 degrees", "5 square meters", "\u20b95", "5 units",
)  # fmt: skip
"""What may follow "the answer is" for 5."""
SAME = (
    ("12", "12\\text{ cm}"), ("60\\text{ minutes}", "1\\text{ hour}"), ("90 minutes", "1.5 hours"),
    ("120 cm", "1.2 m"), ("15 \\text{ cm}^2", "15\\mbox{ cm}^2"), ("864", "864 \\mbox{ inches}^2"),
    ("864\\text{ square inches}", "864 \\mbox{ inches}^2"), ("5.4", "5.4 \\text{ cents}"),
    ("\\$0.054", "5.4 \\text{ cents}"), ("50", "50\\%"), ("0.5", "50\\%"), ("50\\%", "0.5"), ("\\frac12", "50\\%"),
    ("2:41 a.m.", "2:41 am"), ("2:41 AM", "2:41 am"), ("\\text{2:41 am}", "2:41 am"), ("14:41", "2:41 pm"),
    ("2013_{5}", "2013_5"), ("2013", "2013_5"), ("2013_{\\text{five}}", "2013_5"),
    ("3\\text{ hours }40\\text{ minutes}", "3\\text{ hours }40\\text{ minutes}"),
    ("220\\text{ minutes}", "3\\text{ hours }40\\text{ minutes}"),
    ("3 hours and 40 minutes", "3\\text{ hours }40\\text{ minutes}"),
    ("3 h 40 min", "3\\text{ hours }40\\text{ minutes}"), ("x \\in [-3,5]", "[-3,5]"),
    ("[-3,5]", "-3 \\le x \\le 5"), ("-3 < x \\le 5", "(-3,5]"), ("x \\geq 2", "[2,\\infty)"),
    ("x \\geq 2", "[2,+\\infty)"), ("(-\\infty,2)\\cup(3,\\infty)", "x<2 \\text{ or } x>3"),
    ("x<2 or x>3", "(-\\infty, 2) \\cup (3, \\infty)"),
    ("(3,\\infty)\\cup(-\\infty,2)", "(-\\infty, 2) \\cup (3, \\infty)"), ("2, 1", "1,2"), ("\\{2,1\\}", "1,2"),
    ("x=1,y=2", "x=1, y=2"), ("y=2, x=1", "x=1, y=2"), ("1 \\text{ and } 2", "1,2"), ("x=1 or x=2", "1,2"),
    ("x=1,2", "1,2"), ("1 \\pm \\sqrt{19}", "1+\\sqrt{19}, 1-\\sqrt{19}"),
    ("\\frac{\\sqrt{2}}{2}", "\\frac{1}{\\sqrt{2}}"), ("0.7071067", "\\frac{1}{\\sqrt{2}}"), ("(x+1)^2", "x^2+2x+1"),
    ("y=2x+3", "2x+3"), ("2x+3=y", "y=2x+3"), ("x+y=4", "y=4-x"), ("2x+2y=8", "x+y=4"),
    ("C_{400}^{40} C_{200}^{20}", "\\binom{400}{40}\\binom{200}{20}"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{bmatrix}1\\\\2\\end{bmatrix}"), ("yes", "\\text{Yes}"),
    ("Monday", "\\text{Monday}"), ("the ellipse", "\\text{ellipse}"), ("3:2", "3:2"), ("6:4", "3:2"),
    ("1\\,000", "1000"), ("1,000", "1000"), ("10^3", "1000"), ("1e3", "1000"), ("3 \\times 10^{8}", "3e8"),
    ("3*10^8", "300000000"), ("\\infty", "+\\infty"), ("E_2", "E_{2}"), ("\\sum_{i=1}^{3} i", "6"),
    ("\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}", "-2"), ("\\cos(x)", "\\cos x"),
    ("\\sin x \\cos x", "\\cos x\\sin x"), ("\\log_2 8", "3"), ("\\ln e", "1"), ("\\$18", "\\$18.00"),
    ("\\frac{x}{2}", "0.5x"), ("2k+2", "2(k+1)"), ("0", "-0"), ("0.1 + 0.2", "0.3"), ("0.30000000000000004", "0.3"),
    ("\\emptyset", "\\{\\}"), ("4^{504}\\cdot 2", "2^{1009}"), ("25\\text{ mph}", "25 \\text{ miles per hour}"),
    ("90^\\circ", "90"), ("11,111", "11111"), ("100,200", "100, 200"), ("(1,234)", "(1, 234)"), ("2,3,4", "(2,3,4)"),
    ("16,3,1,1", "16,3,1,1"),
)  # fmt: skip
"""A stated answer and the right one, which it is."""
DIFFERENT = (
    ("12 cm", "12 m"), ("12 \\text{ cm}", "12\\text{ m}"), ("15 \\text{ cm}^3", "15\\mbox{ cm}^2"),
    ("5.4 \\text{ dollars}", "5.4 \\text{ cents}"), ("\u20ac5", "\\$5"), ("5\\%", "50\\%"), ("0.05", "50\\%"),
    ("2:41 pm", "2:41 am"), ("2:41", "2:41 am"), ("2013_5", "2013_9"), ("2014_5", "2013_5"),
    ("3", "3\\text{ hours }40\\text{ minutes}"), ("(-3,5)", "[-3,5]"), ("x > 2", "[2,+\\infty)"),
    ("(-\\infty,2)\\cap(3,\\infty)", "(-\\infty, 2) \\cup (3, \\infty)"), ("(2,1)", "(1,2)"), ("1,2,3", "1,2"),
    ("1", "1,2"), ("x=1, y=2", "(1,2)"), ("x=2,y=1", "x=1, y=2"), ("1 + \\sqrt{19}", "1 \\pm \\sqrt{19}"),
    ("0.7071", "\\frac{1}{\\sqrt{2}}"), ("x+y=5", "x+y=4"), ("4", "x+y=4"),
    ("\\begin{pmatrix}1\\\\3\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"), ("no", "yes"),
    ("\\text{not even}", "\\text{even}"), ("2:3", "3:2"), ("2.1e8", "2e8"), ("\\infty", "-\\infty"), ("x^2", "x^3"),
    ("\\frac{1}{2031!}", "\\frac{1}{2030!}"), ("3E_{1}", "3E_{2}"), ("\\frac{dx}{dt}", "\\frac{x}{t}"),
    ("e^{2x}", "e^{3x}"), ("\\sum_{i=1}^{4} i", "6"), ("\\text{red or blue}", "\\text{red}"), ("A, B", "A"),
    ("A or B", "A"), ("AB", "A"), ("(A) and (B)", "A"), ("A", "B"), ("6m", "6"), ("6", "6m"), ("2k+2", "2n+2"),
    ("x=5", "y=5"), ("2^{1010}", "2^{1009}"), ("\\text{east}", "\\text{west}"), ("\\frac{\\pi}{2}", "90^\\circ"),
    ("20^\\circ C", "20^\\circ F"), ("12 apples", "12 oranges"), ("1234", "(1,234)"),
)  # fmt: skip
"""A stated answer and the right one, which it is not."""


def test_a_number_counts_only_where_nothing_around_it_has_a_meaning(checker: MathVerifyCheck) -> None:
    pairs = [(f"\\boxed{{{text}}}", "5") for text in NOT_FIVE]
    pairs += [(f"The answer is {text}.", "5") for text in NOT_FIVE if "\\" not in text]
    accepted = [pair for pair, outcome in zip(pairs, checker.check_many(pairs), strict=True) if outcome == 1.0]
    assert accepted == []


def test_units_currency_and_filler_around_a_number(checker: MathVerifyCheck) -> None:
    pairs = [(f"\\boxed{{{text}}}", "5") for text in FIVE]
    pairs += [(f"The answer is {text}.", "5") for text in FIVE_IN_A_SENTENCE]
    refused = [pair for pair, outcome in zip(pairs, checker.check_many(pairs), strict=True) if outcome != 1.0]
    assert refused == []


def test_answers_of_every_kind(checker: MathVerifyCheck) -> None:
    outcomes = checker.check_many([(f"\\boxed{{{stated}}}", answer) for stated, answer in SAME])
    assert [pair for pair, outcome in zip(SAME, outcomes, strict=True) if outcome != 1.0] == []
    outcomes = checker.check_many([(f"\\boxed{{{stated}}}", answer) for stated, answer in DIFFERENT])
    assert [pair for pair, outcome in zip(DIFFERENT, outcomes, strict=True) if outcome == 1.0] == []


@pytest.mark.parametrize("stated", ["5 [approx]", "\\neg 5", "5 Note: in 3 steps", "5\\ldots"])
def test_what_is_read_in_part_is_no_match_and_no_mismatch(checker: MathVerifyCheck, stated: str) -> None:
    assert checker.compare_many([(f"\\boxed{{{stated}}}", "5")]) == [(None, Unchecked.NOT_COVERED)]


def test_last_number_is_exact() -> None:
    check = LastNumberCheck()
    assert check.check("3 * 4 = 12\n\n12 - 5 = 7", answer="7") == 1.0
    assert check.check("7, then 8", answer="7") == 0.0
    assert check.check("x = -7", answer="7") == 0.0
    assert check.check("no number", answer="7") == 0.0
    assert check.check("9" * 5000, answer="7") == 0.0
    with pytest.raises(DataError, match="'seven' is not a number"):
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
    assert readable("4.5e33") == r"4.5 \times 10^{33}"
    for text in ("2e", "e^{2}", "x2e3", "1.5e3.2", "1e9999", r"\{1,2\}", r"\{x|-2<x<1\}", "12:30", "", "abc"):
        assert readable(text) == text
