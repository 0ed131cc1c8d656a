"""Exact numbers, formulas and what the stories draw from."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from judgekit_datasets.procedural.families.task import (
    Draw,
    Level,
    Line,
    Number,
    Step,
    Style,
    Symbol,
    Task,
    compute,
    fits,
    format_number,
    parse_formula,
    work_out,
)


@pytest.mark.parametrize(
    ("operands", "symbols", "result"),
    [
        ((2, 3, 4), ("+", "*"), 14),
        ((20, 6, 4), ("-", "-"), 10),
        ((350, 20, 100), ("*", "/"), 70),
        ((7, 2), ("/",), Fraction(7, 2)),
        ((Fraction(1, 4), Fraction(3, 4)), ("+",), 1),
        ((12, Fraction(2, 3)), ("*",), 8),
    ],
)
def test_chains_follow_precedence(operands: tuple[Number, ...], symbols: tuple[Symbol, ...], result: Number) -> None:
    assert compute(operands, symbols) == result
    assert isinstance(compute(operands, symbols), int) is (result.denominator == 1)


def test_division_by_zero_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        compute((4, 0), ("/",))


@pytest.mark.parametrize("formula", ["a *", "a b", "a ^ 2"])
def test_a_formula_is_a_chain(formula: str) -> None:
    with pytest.raises(AssertionError):
        parse_formula(formula)


def test_steps_build_on_each_other() -> None:
    steps = (Step("sum", "a + 2", ""), Step("result", "sum * b", ""))
    task = Task("", {"a": 3, "b": 4}, steps, 20)
    assert work_out(task, dict(task.given)) == [Line((3, 2), ("+",), 5), Line((5, 4), ("*",), 20)]
    assert work_out(task, {"a": 3, "b": 4, "sum": 6}, start=1) == [Line((6, 4), ("*",), 24)]


@pytest.mark.parametrize(
    ("number", "style", "text"),
    [
        (5, Style.WHOLE, "5"),
        (-5, Style.DECIMAL, "-5"),
        (Fraction(5, 2), Style.DECIMAL, "2.5"),
        (Fraction(1, 20), Style.DECIMAL, "0.05"),
        (Fraction(-1, 4), Style.DECIMAL, "-0.25"),
        (Fraction(1234, 100), Style.DECIMAL, "12.34"),
        (Fraction(5, 12), Style.FRACTION, "5/12"),
    ],
)
def test_numbers_are_written_in_their_style(number: Number, style: Style, text: str) -> None:
    assert format_number(number, style) == text


@pytest.mark.parametrize(
    ("number", "style", "signed", "expected"),
    [
        (7, Style.WHOLE, False, True),
        (0, Style.WHOLE, False, False),
        (-7, Style.WHOLE, False, False),
        (-7, Style.WHOLE, True, True),
        (Fraction(7, 2), Style.WHOLE, False, False),
        (Fraction(7, 20), Style.DECIMAL, False, True),
        (Fraction(7, 8), Style.DECIMAL, False, False),
        (Fraction(7, 8), Style.FRACTION, False, True),
        (Fraction(7, 1000), Style.FRACTION, False, False),
    ],
)
def test_numbers_that_may_occur(number: Number, style: Style, signed: bool, expected: bool) -> None:
    assert fits(number, Task("", {}, (), 0, style=style, signed=signed)) is expected


def test_draws_stay_in_range_and_levels_differ() -> None:
    draws = {level: Draw(random.Random(0), level) for level in Level}
    largest = {level: max(draw.whole(2) for _ in range(500)) for level, draw in draws.items()}
    assert largest == {Level.EASY: 12, Level.MEDIUM: 25, Level.HARD: 50}
    draw = draws[Level.EASY]
    assert {draw.other_than(3, 1, 4) for _ in range(50)} == {1, 2, 4}
    assert all(len(set(draw.things(3))) == 3 and len(set(draw.people().values())) == 2 for _ in range(50))


def test_fewer_phrasings_are_the_first_ones() -> None:
    every, two = Draw(random.Random(0), Level.EASY), Draw(random.Random(0), Level.EASY, n_phrasings=2)
    assert {every.phrase("a", "b", "c") for _ in range(50)} == {"a", "b", "c"}
    assert {two.phrase("a", "b", "c") for _ in range(50)} == {"a", "b"}
