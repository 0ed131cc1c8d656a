"""Reading the equation that a step states."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgekit.errors import DataError
from judgekit_datasets.procedural.families.evaluation import read_equation

TIMES, OVER = "\N{MULTIPLICATION SIGN}", "\N{DIVISION SIGN}"


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("So 3x = 20 - 5 = 15.", 15, 15),
        ("Solving 3x = 15: x = 15 / 3 = 5.", 5, 5),
        ("3/4 of 24: 24 * 3 / 4 = 18.", 18, 18),
        ("20% of it: 350*20/100=71 dollars.", 70, 71),
        (f"In minutes: 7{TIMES}24=168{OVER}2.", 168, 84),
        ("As a fraction, both are 1/4 + 1/6 = 5/12.", Fraction(5, 12), Fraction(5, 12)),
        ("That is (5/12) * 48 = 20.", 20, 20),
        ("On average: 165 / 50 = 3.3.", Fraction(33, 10), Fraction(33, 10)),
        ("The difference is -5 - (-3) = -2.", -2, -2),
        ("Round two: 2 + 3 * 4 = 14.", 14, 14),
        ("It is 8 - 4 - 2 = 2 and 16 more.", 2, 2),
        ("It is 16 / 4 / 2 = 2.", 2, 2),
    ],
)
def test_both_sides_are_worked_out(text: str, left: Fraction, right: Fraction) -> None:
    equation = read_equation(text)
    assert (equation.left, equation.right) == (left, right)
    assert equation.holds is (left == right)


@pytest.mark.parametrize(
    "text",
    [
        "There is nothing to see.", "x = 5.", "1 + 1 = 2 and 2 + 2 = 4.", "1 + 1 = 2 = 3.", "4 / 0 = 4.", "(3 + 4 = 7.",
        "3 + * 4 = 7.", "1.2.3 + 4 = 7.", "3 4 + 1 = 5.", f"{'(' * 30}1{')' * 30} + 1 = 2.", "5 + = 5 + 0.",
    ],
)  # fmt: skip
def test_what_states_no_single_equation_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        read_equation(text)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, Fraction]:
    """A text and its value, made the other way round than it is read: brackets around every operation."""
    if not depth or draw(st.booleans()):
        number = draw(st.integers(0, 999))
        return str(number), Fraction(number)
    (left, left_value), (right, right_value) = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    symbol = draw(st.sampled_from("+-*/" if right_value else "+-*"))
    value = {
        "+": left_value + right_value,
        "-": left_value - right_value,
        "*": left_value * right_value,
        "/": left_value / (right_value or 1),
    }[symbol]
    space = draw(st.sampled_from(["", " "]))
    return f"({left}{space}{symbol}{space}{right})", value


@settings(max_examples=50, deadline=None)
@given(expressions(), st.integers(0, 5))
def test_expressions_with_brackets_have_their_value(made: tuple[str, Fraction], off: int) -> None:
    text, value = made
    wrong = value + off
    equation = read_equation(f"Therefore {text} = {wrong.numerator}/{wrong.denominator}.")
    assert equation.left == value
    assert equation.holds is (off == 0)
