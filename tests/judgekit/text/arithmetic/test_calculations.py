"""Finding stated arithmetic: by hand, and against expressions whose values are known from how they were made."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judgekit.text.arithmetic.calculations import (
    Value,
    compute_result,
    parse_number,
    parse_step,
    quantities,
    render_number,
    replace_numbers,
)


@pytest.mark.parametrize(
    ("text", "operands", "result"),
    [
        ("Natalia sold 48/2 = 24 clips in May.", [48, 2], 24),
        ("First: 4 houses * 3 gnomes/house = 12 gnomes", [4, 3], 12),
        ("It costs $1,200.50 + $.50=$1,201", [Fraction(2401, 2), Fraction(1, 2)], 1201),
        ("That is 2 x 4 x 50% = 4 pieces.", [2, 4, 50], 4),
        ("So 40% of 60 = 24 pass.", [40, 60], 24),
        ("There are (3 cats + 4 dogs) * 2 = 14 animals", [3, 4, 2], 14),
        ("100% - 40% = 60% are left", [100, 40], 60),
        ("He has 5 apples and 3 \u2212 2 = 1 pear", [3, 2], 1),
        ("12 - 4 - 3 = 5", [12, 4, 3], 5),
        ("5x3=15", [5, 3], 15),
        ("He spent 17 + 11 = \u20ac28.", [17, 11], 28),
        ("She earns $5 a day * 3 days = $15", [5, 3], 15),
        ("That is 50/2= 25-foot pieces", [50, 2], 25),
        ("It takes 60/5 = 12 5-minute turns", [60, 5], 12),
    ],
)
def test_an_equation_is_found_and_holds(text: str, operands: list[Value], result: int) -> None:
    step = parse_step(text)
    (equation,) = step.equations
    assert [step.values[place] for place in equation.operands] == operands
    assert step.values[equation.result] == result
    assert step.holds(equation) and step.is_clean and not step.has_algebra


@pytest.mark.parametrize(
    "text",
    [
        "He is 5 years old.",
        "See page 3 = 4.",
        "The 20th of 8-ounce cups",
        "3 + 4 = x",
        "Buy 12 boxes for a total of $9",
        "It takes 3 / 2 = 1 1/2 hours",
        "8 * 45 = 360 divided by 5",
        "250(2/5)=100=x",
        "at 7:50 + 30 minutes = 8:20",
        "(x + 3) * 2 = 6",
        "2\u00b2 + 1 = 5",
    ],
)
def test_what_is_no_equation(text: str) -> None:
    assert not parse_step(text).equations


def test_a_false_equation_is_found_and_does_not_hold() -> None:
    step = parse_step("He has 7 + 5 = 13 coins.")
    (equation,) = step.equations
    assert not step.holds(equation)
    assert compute_result(equation, step.values) == 12


def test_precedence_and_division_by_zero() -> None:
    step = parse_step("2 + 3 * 4 - 8 / 2 / 2 = 12")
    assert step.holds(step.equations[0])
    step = parse_step("8 / 0 = 4")
    assert compute_result(step.equations[0], step.values) is None and not step.holds(step.equations[0])


def test_a_chain_gives_its_last_equation_and_counts_as_not_understood() -> None:
    step = parse_step("So 3 * 5 = 5 * 3 = 15.")
    assert [step.values[equation.result] for equation in step.equations] == [15]
    assert not step.is_clean


def test_two_equations_in_one_step() -> None:
    step = parse_step("He pays 3 * 4 = 12 dollars, then 12 / 2 = 6 more.")
    assert [step.values[equation.result] for equation in step.equations] == [12, 6]


@pytest.mark.parametrize("text", ["2S = 18", "It costs 2x.", "S = 20 - 2 = 18", "S + 30 + 46 = S + 76"])
def test_letters_that_stand_for_numbers(text: str) -> None:
    assert parse_step(text).has_algebra


def test_numbers_in_words_and_digits() -> None:
    assert quantities("Twice 1,300.5 of three dozen") == {2, Fraction(2601, 2), 3, 12}


@pytest.mark.parametrize(
    ("value", "like", "text"),
    [(1234, "1,000", "1,234"), (1234, "999", "1234"), (5, "45.00", "5.00"), (Fraction(1, 4), "3", "0.25"),
     (Fraction(5, 2), "1.50", "2.50"), (0, "", "0")],
)  # fmt: skip
def test_a_number_is_written_like_the_one_before(value: Value, like: str, text: str) -> None:
    assert render_number(value, like=like) == text


def test_numbers_are_replaced_in_place() -> None:
    step = parse_step("It costs $1,000 / 4 = $250.00 each.")
    assert replace_numbers(step, {0: 2000, 2: 500}) == "It costs $2,000 / 4 = $500.00 each."


@pytest.mark.parametrize(("text", "value"), [(" 1,234", 1234), ("$5", 5), ("0.5", Fraction(1, 2)), ("5 or 6", None),
                                             ("five", None), ("12 km", None)])  # fmt: skip
def test_a_text_that_is_one_number(text: str, value: Value | None) -> None:
    assert parse_number(text) == value


SYMBOLS = st.sampled_from("+-*/")
UNITS = st.sampled_from(["", " apples", " red apples", " miles/hour"])


@given(st.lists(st.tuples(SYMBOLS, st.integers(1, 999), UNITS), min_size=1, max_size=5), st.integers(1, 999))
def test_results_follow_from_the_expression(terms: list[tuple[str, int, str]], first: int) -> None:
    # Worked out term by term: products are closed before sums.
    total, product = Fraction(0), Fraction(first)
    for symbol, number, _ in terms:
        if symbol in "+-":
            total, product = total + product, Fraction(number if symbol == "+" else -number)
        else:
            product = product * number if symbol == "*" else product / number
    text = f"We get {first}" + "".join(f" {symbol} {number}{unit}" for symbol, number, unit in terms) + " = 1 in all."
    step = parse_step(text)
    (equation,) = step.equations
    assert compute_result(equation, step.values) == total + product


@given(st.text(alphabet="0123456789.,()$%=+-*/xX of\u2212a\n", max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    step = parse_step(text)
    for number in step.numbers:
        assert text[number.start : number.end].strip() == text[number.start : number.end] != ""
    assert replace_numbers(step, dict(enumerate(step.values))) == text


@pytest.mark.parametrize("text", ["1" * 2000, "(" * 2000 + "1", "1+" * 1000, "1," * 1000, "1 a " * 500, "9.9" * 600])
def test_hostile_texts_are_read_quickly(text: str) -> None:
    begun = time.process_time()
    parse_step(text)
    assert time.process_time() - begun < 2
