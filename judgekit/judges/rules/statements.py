"""Faults in what a step states: false equalities, and solutions that contradict their equation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

from judgekit.text.arithmetic.chains import Equality
from judgekit.text.arithmetic.values import Side


class Rule(StrEnum):
    """A kind of fault."""

    ARITHMETIC = "arithmetic"
    """Two sides of a stated equality differ, all numbers being whole."""
    DECIMAL = "decimal"
    """Two sides differ by more than rounding."""
    IDENTITY = "identity"
    """Two sides in letters differ, although they were to be the same: `2(x + 3) = 2x + 3`, `3x + 2x = 6x`."""
    SOLUTION = "solution"
    """An equation in one letter has another solution than the one it was derived from."""
    FRACTION = "fraction"
    """A number of what the problem wants counted comes out as a fraction."""
    NEGATIVE = "negative"
    """A quantity comes out below zero, in a story without negative numbers."""
    UNSOURCED = "unsourced"
    """An operand in a story that neither it nor an earlier line states, nor two of their numbers combined give."""
    UNUSED = "unused"
    """The last calculation of a story is done, and no step ever mentioned a number of the problem."""
    DANGLING = "dangling"
    """The last calculation of a story is done, and an earlier result has gone into nothing."""


Finding: TypeAlias = tuple[Rule, str]
"""A fault in a step, and what was found, for people."""

CONVERSIONS = {
    7: "week day", 24: "day hour", 30: "month day", 52: "year week", 365: "year day", 60: "hour minute second",
    1440: "day minute", 3600: "hour second", 168: "week hour", 12: "foot feet inch inches dozen year month",
    3: "yard feet foot", 36: "yard inch inches", 144: "gross square", 5280: "mile feet foot", 1760: "mile yard",
    16: "pound ounce lb oz", 32: "quart ounce", 2000: "ton pound", 2: "pint cup quart", 4: "gallon quart quarter cup",
    8: "gallon pint ounce cup", 128: "gallon ounce",
    100: "cent dollar meter metre cm m percent penny pennies century square",
    1000: "thousand km kilometer kilometre kg kilogram liter litre ml milliliter millilitre gram g m meter metre "
    "millimeter mm ton tonne",
    10**6: "million square", 10**9: "billion", 10: "mm cm millimeter centimeter dime",
    5: "nickel", 25: "quarter", 20: "score", 50: "half",
}  # fmt: skip
"""Words of units, in the singular, by the factor between two of them."""
_MAX_DECIMALS = 6
_ABOUT_TOLERANCE = Fraction(1, 20)
_ROOT_TOLERANCE = Fraction(1, 10**6)
_MAX_SHOWN = 80


def is_computed(equality: Equality) -> bool:
    """Tell whether an equality states the result of a calculation."""
    return any(side.operations for side in equality.sides[:-1])


def compared_sides(equality: Equality) -> Iterator[tuple[Side, Side, bool]]:
    """Yield neighbouring sides that can be compared, and whether they are only about equal."""
    sides = equality.sides
    for (left, right), is_approximate in zip(pairwise(sides), equality.is_approximate, strict=True):
        is_label = left is sides[0] and not left.operations  # a label rather than a side: `Day 2 = 3 * 4`
        has_values = left.value is not None and right.value is not None
        if has_values and not is_label and (left.operations or right.operations):
            yield left, right, is_approximate


def false_statements(equalities: Sequence[Equality]) -> Iterator[Finding]:
    """Yield a fault for each two neighbouring sides that differ."""
    for equality in equalities:
        for left, right, is_approximate in compared_sides(equality):
            if left.number is None or right.number is None:
                if _differ_always(left, right):
                    yield Rule.IDENTITY, f"{statement(left, right)}, which is not the same"
            elif not _agree(left, right, is_approximate=is_approximate):
                assert left.number is not None and right.number is not None
                has_parts = (
                    left.has_decimals
                    or right.has_decimals
                    or left.number.denominator != 1
                    or right.number.denominator != 1
                )
                rule = Rule.DECIMAL if has_parts else Rule.ARITHMETIC
                worked = left if left.operations else right
                value = f"{_shortened(worked.text)} is {show_number(worked.number or Fraction(0))}"
                yield rule, f"{statement(left, right)}, but {value}"


def statement(left: Side, right: Side) -> str:
    """Return an equality as people write it, shortened."""
    return f"{_shortened(left.text)} = {_shortened(right.text)}"


def show_number(value: Fraction) -> str:
    """Return a number in digits: whole, with at most four decimals, or as a fraction."""
    decimal = f"{float(value):.4f}".rstrip("0").rstrip(".")
    return decimal if Fraction(decimal) == value or value.denominator > 1000 else str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _agree(left: Side, right: Side, *, is_approximate: bool) -> bool:
    """Tell whether two sides may stand for one value: rounded, as a percentage, in another unit."""
    a, b = left.number, right.number
    assert a is not None and b is not None
    if a == b or left.is_doubtful or right.is_doubtful or a == 100 * b or b == 100 * a:
        return True
    if _is_rounded(a, right, is_approximate=is_approximate) or _is_rounded(b, left, is_approximate=is_approximate):
        return True
    if a * b == 0:
        return False
    # `3 hours = 180`: a factor that lies between two units is not a fault where one of them is named.
    factor = max(a / b, b / a)
    words = CONVERSIONS.get(int(factor), "").split() if factor.denominator == 1 else []
    return any(unit in words or unit.rstrip("s") in words for unit in left.units | right.units)


def _is_rounded(exact: Fraction, side: Side, *, is_approximate: bool) -> bool:
    stated = side.number or Fraction(0)
    gap, scale = abs(exact - stated), max(abs(exact), abs(stated))
    if side.decimals and side.operations <= 1 and gap < Fraction(1, 10 ** min(side.decimals, _MAX_DECIMALS)):
        return True
    if is_approximate or side.has_power_of_ten:
        return gap <= scale * _ABOUT_TOLERANCE
    return gap <= scale * (_ROOT_TOLERANCE if side.is_irrational else 0)


def _difference(left: Side, right: Side) -> dict[str, Fraction]:
    """Return left minus right by letter, without zeros; empty if a side has no value."""
    if left.value is None or right.value is None:
        return {}
    keys = {**left.value, **right.value}
    values = {key: left.value.get(key, Fraction(0)) - right.value.get(key, Fraction(0)) for key in keys}
    return {key: value for key, value in values.items() if value}


def _differ_always(left: Side, right: Side) -> bool:
    """Tell whether no value of the letters makes the sides equal, or for like terms with one constant only zero."""
    difference = _difference(left, right)
    if not difference or left.is_doubtful or right.is_doubtful or left.value is None or right.value is None:
        return False
    has_like_terms = len(left.value) > 0 and set(left.value) == set(right.value) and left.operations > 0
    return set(difference) == {""} or (has_like_terms and "" not in difference and len(difference) == 1)


def contradictions(
    equalities: Sequence[Equality], solved: dict[str, Fraction], *, has_cases: bool
) -> Iterator[Finding]:
    """Yield a fault for each equation in one letter that contradicts the one before it.

    Args:
        equalities: Those of one step.
        solved: What the last equation says about each letter; updated.
        has_cases: Whether the step speaks of cases or assumptions, which may contradict each other.
    """
    for equality in equalities:
        for left, right in pairwise(equality.sides):
            if (found := _solution(left, right)) is None:
                continue
            letter, solution = found
            before = solved.get(letter, solution)
            # Rounded solutions of one equation lie within 2 % of each other.
            if not has_cases and abs(solution - before) > max(abs(solution), abs(before)) / 50:
                detail = f"{letter} is {show_number(solution)} there and {show_number(before)} before"
                yield Rule.SOLUTION, f"{statement(left, right)}, but {detail}"
            if left.operations + right.operations and not (left.letter or right.letter):
                solved[letter] = solution
            else:
                solved.pop(letter, None)


def _solution(left: Side, right: Side) -> tuple[str, Fraction] | None:
    """Return the letter of an equation in one letter and its solution."""
    difference = _difference(left, right)
    letters = [key for key in difference if key]
    if len(letters) != 1 or letters == ["\u03c0"] or left.is_doubtful or right.is_doubtful:
        return None
    return letters[0], -difference.get("", Fraction(0)) / difference[letters[0]]
