"""The equalities that a text claims: their sides by hand, spellings of numbers, and hostile texts."""

from __future__ import annotations

import sys
from fractions import Fraction

import pytest

from judgekit.text.arithmetic.chains import find_equalities
from judgekit.text.arithmetic.tokens import MAX_CHARS, find_numbers


def test_the_sides_of_a_chain_are_worked_out() -> None:
    (equality,) = find_equalities(r"Total: \$3 + 2 = 5 apples \approx 5.01")
    assert [side.number for side in equality.sides] == [5, 5, Fraction(501, 100)]
    assert equality.is_approximate == (False, True)


def test_numbers_in_words_count() -> None:
    assert find_numbers("twenty-five boxes, 1,000 pens, half of them") == {25, 1000, Fraction(1, 2)}


@pytest.mark.parametrize("text", [r"\text{5", "f(x", r"5 = \foo(", r"3 + \sin(2"])
def test_a_group_that_never_ends_is_no_crash(text: str) -> None:
    assert find_equalities(text) == [] or all(len(found.sides) > 1 for found in find_equalities(text))


def test_work_grows_linearly_up_to_the_limit() -> None:
    def n_calls(n: int) -> int:
        text, calls = ("(1 + " * 30 + "x ")[:150] * (n // 150), 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count)
        try:
            find_equalities(text)
        finally:
            sys.setprofile(None)
        return calls

    assert 1000 < n_calls(MAX_CHARS - 500) < 12 * n_calls(MAX_CHARS // 10)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("5\u00bd + 1 = 6.5", [Fraction(13, 2)] * 2),
        ("1/2 = \u00bd", [Fraction(1, 2)] * 2),
        ("2\u2074 = 16", [16, 16]),
        ("2\u00b9\u2070 = 1024", [1024, 1024]),
        ("\uff11\uff12 + \uff13 = 15", [15, 15]),
        ("5! = 120", [120, 120]),
        ("5!=120", [120, 120]),
    ],
)
def test_numbers_in_unicode_are_numbers(text: str, numbers: list[Fraction]) -> None:
    (equality,) = find_equalities(text)
    assert [side.number for side in equality.sides] == numbers


def test_not_equal_states_no_equality() -> None:
    assert find_equalities("So 5 != 6 and x \u2260 7") == []


def test_a_box_without_brackets_is_no_side() -> None:
    assert [len(found.sides) for found in find_equalities(r"2 + 3 = 5 = \boxed-5}")] == [2]
