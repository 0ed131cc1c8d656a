# ruff: noqa: RUF001 (characters that look alike are what this is about)
"""What makes two problems one: harmless rewritings keep the id, and nothing that a formula says is ever lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgekit.text.identity import (
    ProblemGroups,
    current_problem_id,
    exact_problem_id,
    group_problems,
    problem_id,
    problem_words,
    split_words,
)
from judgekit.types import Solution

SAME = [
    ("Find $x^2$.", "find x^2"),
    ("Find $x$, where $y$ is 5; give z?", "find x, where y is 5; give z"),
    (r"\(x+1\)", "$x + 1$"),
    (r"\[x+1\]", "$$x+1$$"),
    ("$ x + 1 $", "x+1"),
    (r"\begin{align*}x\end{align*}", "x"),
    (r"\left(x\right)^{2}", "(x)^2"),
    (r"\dfrac{1}{2}", r"\frac{1}{2}"),
    (r"x \le 5", "x ≤ 5"),
    ("x²", "x^2"),
    ("10¹²", "10^{12}"),
    ("x⁻¹", "x^{-1}"),
    ("x₁", "x_1"),
    ("x\u2212\uff15", "x-5"),
    ("ﬁnd", "find"),
    ("1⁄2", "1/2"),
    ("f′(x)", "f'(x)"),
    ("don’t", "don't"),
    ("a\u00a0b\u200b c", "a b c"),
    ("e\u0301", "é"),
    ("STRASSE", "straße"),
    ("٣+٥", "3 + 5"),
    ("求x的值。", "求 x 的值"),
    ("已知,求x", "已知求x"),
    ("ค่า x เท่าใด", "ค่าx เท่าใด"),
    ("कि  ता।", "कि ता"),
    ("Hence, we do: it!", "hence we do it"),
    ("What is 2+3?", "What is 2+3"),
    ("It is $5$ cm.", "it is 5 cm"),
    (r"costs \$5", "costs $5"),
    (r"If \[x=5.\]find y", "if $x=5$ find y"),
    (r"the following:$$x$$", "the following x"),
    (r"It is 5.\n\nFind y", "It is 5. Find y"),
    (r"an angle of $90^\circ$", "an angle of 90°"),
    (r"$90^{\circ}$", r"90^\circ"),
    (r"$1{,}000$ apples", "1,000 apples"),
    ("Δx", r"$\Delta x$"),
    (r"Evaluate $\log_264$.", r"evaluate \log_2 64"),
    (r"\begin{array}{c}x>3.\end{array}", r"\begin{array}{c} x > 3. \end{array}"),
    (r"If xy,\text{ find}", r"If xy, \text{ find}"),
    ("Count: the apples!", "count the apples"),
]
"""Spellings of one problem."""


@pytest.mark.parametrize(("one", "other"), SAME)
def test_other_spellings_of_one_problem(one: str, other: str) -> None:
    assert problem_id(one) == problem_id(other), f"{problem_words(one)!r} is not {problem_words(other)!r}"


@pytest.mark.parametrize(
    "texts",
    [
        ("x<5", "x>5", "x≤5", "x≥5", "x=5", "x≠5", "x 5", "x<=5"),
        ("2-3", "2+3", "2*3", "2/3", "2 3", "23", "2:3", "2,3", "2.3", "2;3", "2^3", "2_3", "2!3", "2?3"),
        ("x^2", "x2", "x_2", "x'2", "x²2", "x"),
        ("$ab!$", "$ab$"),
        (r"0.\overline{3}", r"0 \overline{3}"),
        ("x_264", "x_2 64"),
        (r"$n\log ab!$", r"$n\log ab$"),
        ("find $AB : CD$", "find $AB CD$"),
        ("Δx is small", "δx is small"),
        ("Σx", "σx"),
        ("½", "12", "1 2", "1", "2", "1½"),
        ("⑤", "5", "⑥"),
        ("⒈5", "1.5", "15"),
        ("1,000", "1 000", "1.000"),
        ("5!", "5", "5%", "5°", "5'", "$5", "-5", "±5", "√5", "|5|", "(5)", "5̅"),
        ("n! = 5", "n != 5", "n = 5"),
        ("{1,2}", "(1,2)", "[1,2]", "[1,2)", "1,2"),
        ("(a+b)c", "a+bc", "a+(bc)"),
        ("f(x)", "f'(x)", "f''(x)", "fx"),
        ("5 m", "5 cm", "5 mm", "5 m^2", "5 m³"),
        ("5 mW", "5 MW"),
        ("㎡", "m2"),
        ("Σ i", "σ i", "∑ i"),
        (r"\Gamma(3)", r"\gamma(3)"),
        ("x∈R", "x∉R"),
        ("pay $5 and $6", "pay 5 and 6", "pay $5 and 6"),
        ("$ 5 + $ 6", "5+6"),
        ("1. 5", "1 5", "1.5"),
        ("12? is odd", "12 is odd"),
        ("求5！", "求5"),
        ("٣٫٥", "٣٥", "٣٤"),
        ("x⁻¹", "x1", "x-1"),
        ("0.3̅", "0.3"),
        (r"5\,000", r"5000"),
        ("…", "!", ".", "", "  a"),
    ],
)
def test_what_a_formula_says_stays(texts: tuple[str, ...]) -> None:
    for one, other in itertools.combinations(texts, 2):
        assert problem_id(one) != problem_id(other), f"{one!r} and {other!r} are both {problem_words(one)!r}"


WORDS = ["Find", "the", "value", "of", "Straße", "if", "求", "значение", "μήκος", "값", "ค่า", "कितना"]
VALUES = [
    "x",
    "y_1",
    "12",
    "2.5",
    "0.05",
    "(a+b)",
    "x^2",
    r"\frac{1}{2}",
    "7",
    "5!",
    "|z|",
    "3:4",
    r"\pi",
    "30%",
    "1,2",
]
OPERATORS = ["+", "-", "*", "/", "=", "<", ">", "≤", r"\geq", "!=", "^"]


@st.composite
def problems(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Return the pieces of a problem and what each is: words, a value, an operator or a full stop."""
    pieces: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(1, 4))):
        pieces += [(draw(st.sampled_from(WORDS)), "word") for _ in range(draw(st.integers(1, 3)))]
        pieces.append((draw(st.sampled_from(VALUES)), "value"))
        for _ in range(draw(st.integers(0, 2))):
            pieces.append((draw(st.sampled_from(OPERATORS)), "operator"))
            pieces.append((draw(st.sampled_from(VALUES)), "value"))
    return pieces


@st.composite
def rewritings(draw: st.DrawFn) -> tuple[str, str]:
    """Return a problem, and the same with other white space, case, delimiters, punctuation and minus signs."""
    pieces = draw(problems())
    plain = " ".join(text for text, _ in pieces)
    blanks = st.sampled_from([" ", "  ", "\n", "\t", "\u00a0", " \u3000"])
    out, place = [], 0
    while place < len(pieces):
        text, kind = pieces[place]
        if kind == "word":
            stop = draw(st.sampled_from(["", "", ",", ".", ";", "!"])) if len(text) > 1 else ""
            out.append(draw(st.sampled_from([str.lower, str.upper, str.title, str]))(text) + stop)
            place += 1
            continue
        formula = []
        while place < len(pieces) and pieces[place][1] != "word":
            formula.append(pieces[place][0].replace("-", draw(st.sampled_from("-\u2212\u2013"))))
            place += 1
        opening, closing = draw(st.sampled_from([("", ""), ("$", "$"), ("$$", "$$"), (r"\(", r"\)"), (r"\[", r"\]")]))
        out.append(opening + draw(blanks).join(formula) + closing)
    return plain, draw(blanks).join(["", *out, ""]) + draw(st.sampled_from(["", "."]))


@settings(max_examples=300, deadline=None)
@given(rewritings())
def test_harmless_rewritings_keep_the_id(pair: tuple[str, str]) -> None:
    plain, rewritten = pair
    assert problem_words(rewritten) == problem_words(plain)


@settings(max_examples=300, deadline=None)
@given(problems(), st.data())
def test_another_digit_sign_operator_or_comparison_is_another_problem(
    pieces: list[tuple[str, str]], data: st.DataObject
) -> None:
    places = [i for i, (_, kind) in enumerate(pieces) if kind != "word"]
    place = data.draw(st.sampled_from(places))
    text, kind = pieces[place]
    if kind == "operator":
        changed = data.draw(st.sampled_from([other for other in OPERATORS if other != text] + [""]))
    elif digits := [i for i, c in enumerate(text) if c.isdigit()]:
        at = data.draw(st.sampled_from(digits))
        changed = text[:at] + str((int(text[at]) + data.draw(st.integers(1, 9))) % 10) + text[at + 1 :]
    else:
        changed = "-" + text
    others = [*pieces[:place], (changed, kind), *pieces[place + 1 :]]
    one, other = (" ".join(text for text, _ in some) for some in (pieces, others))
    assert problem_id(one) != problem_id(other)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_has_words_and_these_are_their_own(text: str) -> None:
    words = problem_words(text)
    assert problem_words(text) == words and words == words.strip()
    assert problem_words(f"  {text}\n") == words
    digits = [c for c in text if c.isdecimal()]
    assert len([c for c in words if c.isdecimal()]) >= len(digits), "a digit is never lost"


def test_ids_of_earlier_releases_are_replaced_and_chosen_ones_stay() -> None:
    text = "Find  $x$."
    assert current_problem_id(exact_problem_id(text), text) == problem_id("find x")
    assert current_problem_id("p17", text) == "p17"
    old = Solution(problem_id=exact_problem_id(text), problem=text, steps=("x = 1",))
    assert old.problem_id == Solution(problem="find x", steps=()).problem_id
    assert old.problem == text, "the exact text stays"


def test_problems_are_joined_by_text_or_by_chosen_id() -> None:
    rows = [
        ("p1", "Find x."),
        ("p2", "find  x"),
        ("p2", "Find the value of x"),
        ("", "find the value of $x$"),
        ("p3", "y"),
    ]
    solutions = [Solution(problem_id=name, problem=text, steps=("s",)) for name, text in rows]
    assert group_problems(solutions) == ["p1", "p1", "p1", "p1", "p3"]
    assert group_problems(solutions[::-1]) == ["p3", "p1", "p1", "p1", "p1"]
    assert group_problems(solutions[:2] + solutions[4:]) == ["p1", "p1", "p3"]


def test_groups_need_no_memory_for_problems_without_another_name() -> None:
    groups = ProblemGroups()
    groups.add("a", "a")
    assert groups.name("a") == "a" and not groups._parent


def test_words_are_split_where_a_script_has_spaces_and_else_into_characters() -> None:
    assert split_words(" one  two\n3 ") == ["one", " two", " 3"]
    assert split_words("设x=5 则y") == ["设", "x=5", " 则", "y"]
    assert split_words("") == split_words(" \n") == []
