"""Faults in how a story's numbers are used: where they come from, where they go, and what a count may be.

These rules do not understand the text. They apply only if the problem is a story rather than a formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from judgekit.judges.rules.statements import CONVERSIONS, Finding, Rule, is_computed, show_number
from judgekit.text.arithmetic.chains import Equality

_COMMON = frozenset(
    Fraction(n) for n in (3, 4, 5, 7, 8, 10, 12, 16, 20, 24, 25, 30, 31, 36, 50, 52, 60, 100, 365, 1000)
)
_MAX_COMBINED = 60
_COUNTED = re.compile(r"\bhow many ((?:[a-z]++[ ,?]?){1,4})", re.IGNORECASE)
_MEASURES = frozenset((
    "hours", "miles", "pounds", "gallons", "dollars", "minutes", "feet", "inches", "ounces", "cups", "liters",
    "grams", "kilograms", "percent", "meters", "tons", "cents", "times", "kilometers", "days", "weeks", "years",
    "months", "seconds", "quarts", "pints", "yards", "acres", "calories",
))  # fmt: skip
_NOT_COUNTED = frozenset((
    "more", "fewer", "less", "total", "additional", "are", "did", "does", "do", "will", "can", "were", "has",
    "have", "she", "they", "there", "and", "the", "of",
))  # fmt: skip
_MIN_NOUN = 3
_STEM = 6
_NEGATIVE = re.compile(r"-\s?[0-9]|negative|below")
_FORMULA = re.compile(
    r"[\\^=]|\$[a-zA-Z(]|\b(?:integer|digit|triangle|circle|function|polynomial|probability|divis|ways\b|pentagon"
    r"|polygon|angle|committee|ordered|prime|coordinates|sequence)",
    re.IGNORECASE,
)


_GIVEN = re.compile(
    r"(?<![\w.:,/-])([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,12})(\.[0-9]{1,6})?(?![\w:/]|[.,][0-9]|-?\s?(?:[ap]\.?m\b|x\b|year-old))",
    re.IGNORECASE,
)
_MAX_GIVEN = 30
_YEARS = range(1900, 2101)


class Story(NamedTuple):
    """What the rules need to know about a problem."""

    is_story: bool
    """Whether it is told in words rather than formulas."""
    counted: frozenset[str]
    """Stems of the nouns that it asks to count; none if it asks for a measure."""
    has_negative: bool
    """Whether numbers below zero belong to it."""
    given: frozenset[Fraction]
    """Numbers that it states in digits, beyond those too small to tell."""

    @classmethod
    def of(cls, problem: str) -> Story:
        """Read a problem."""
        given = {Fraction(match[1].replace(",", "") + (match[2] or "")) for match in _GIVEN.finditer(problem)}
        words = {word for match in _COUNTED.finditer(problem) for word in re.findall("[a-z]+", match[1].lower())}
        return cls(
            is_story=_FORMULA.search(problem) is None,
            counted=frozenset(
                # Who asks for hours or miles may well get a fraction.
                () if words & _MEASURES else (_stem(word) for word in words - _NOT_COUNTED if len(word) >= _MIN_NOUN)
            ),
            has_negative=_NEGATIVE.search(problem) is not None,
            given=frozenset(value for value in given if value > 2 and value not in _YEARS),
        )


def story_faults(
    equalities: Sequence[Equality], story: Story, known: set[Fraction], *, is_last: bool
) -> Iterator[Finding]:
    """Yield what is wrong with the numbers of one step.

    Args:
        equalities: Those of the step.
        story: The problem.
        known: Numbers that the problem and earlier steps state or compute.
        is_last: Whether no later step calculates.
    """
    if story.counted and (count := _fraction(equalities, story.counted, is_last=is_last)) is not None:
        yield Rule.FRACTION, f"{show_number(count)} is not an integer"
    if not story.is_story:
        return
    results = [equality.sides[-1].number for equality in equalities if is_computed(equality)]
    below = [value for value in results if value is not None and value < 0]
    if below and not story.has_negative:
        yield Rule.NEGATIVE, f"{show_number(below[0])} is below zero"
    unsourced = [value for value in _operands(equalities) if not _has_source(value, known)]
    if unsourced:
        yield Rule.UNSOURCED, f"{show_number(unsourced[0])} comes from nowhere"


def left_over(story: Story, numbers_S: Sequence[set[Fraction]], found_S: Sequence[list[Equality]]) -> Iterator[Finding]:
    """Yield what a whole solution has not used.

    Args:
        story: The problem.
        numbers_S: Numbers that each step mentions. Shape (n_steps,).
        found_S: Equalities of each step. Shape (n_steps,).
    """
    mentioned = set[Fraction]().union(*numbers_S)
    mentioned |= {100 / value for value in mentioned if value}  # 20 % is a fifth
    unused = sorted(value for value in story.given if not _is_among(value, mentioned))
    if unused and len(story.given) <= _MAX_GIVEN:
        yield Rule.UNUSED, f"no step uses {show_number(unused[0])} of the problem"
    if (result := _dangling(numbers_S, found_S)) is not None:
        yield Rule.DANGLING, f"{show_number(result)} is computed and never used"


def _dangling(numbers_S: Sequence[set[Fraction]], found_S: Sequence[list[Equality]]) -> Fraction | None:
    """Return the first result, other than the last, that no later calculation takes up and no later step mentions."""
    later, answer, dangling = set[Fraction](), None, None
    for numbers, found in zip(reversed(numbers_S), reversed(found_S), strict=True):
        for equality in reversed(found):
            result = equality.sides[-1]
            is_result = is_computed(equality) and all(side.number is not None for side in equality.sides)
            if is_result and result.number is not None and not result.is_doubtful:
                answer = result.number if answer is None else answer
                is_used = _is_among(result.number, later) or Fraction(result.number.denominator) in later
                dangling = dangling if result.number == answer or is_used else result.number
            later |= {value for side in equality.sides for value in side.operands}
        later |= numbers
    return dangling


def _is_among(value: Fraction, numbers: set[Fraction]) -> bool:
    """Tell whether a number or what may stand for it, as a percentage or what remains of a whole, is there."""
    forms = (value, value * 100, value / 100, 1 - value, 100 - value, 1 + value, 1 - value / 100, 1 + value / 100)
    return any(form in numbers for form in forms)


def _stem(word: str) -> str:
    return word.rstrip("s")[:_STEM]


def _fraction(equalities: Sequence[Equality], counted: frozenset[str], *, is_last: bool) -> Fraction | None:
    """Return a computed number of what is counted, or the last computed number of all, that is not an integer."""
    computed = [equality for equality in equalities if is_computed(equality)]
    for equality in computed:
        number, names = equality.sides[-1].number, equality.words_behind | equality.sides[-1].units
        is_answer = is_last and equality is computed[-1]
        if number is not None and number.denominator != 1 and (is_answer or counted & set(map(_stem, names))):
            return number
    return None


def _operands(equalities: Sequence[Equality]) -> list[Fraction]:
    """Return the operands of a step's numeric sides that no earlier equality of the step states."""
    operands, stated = [], set[Fraction]()
    for equality in equalities:
        sides = [side for side in equality.sides if side.number is not None]
        operands += [value for side in sides if side.operations for value in side.operands if value not in stated]
        stated |= {side.number for side in sides if side.number is not None}
    return operands


def _has_source(value: Fraction, known: set[Fraction]) -> bool:
    if abs(value) <= 2 or value in _COMMON or value in known or len(known) > _MAX_COMBINED:
        return True
    if any(other in known for other in (-value, value / 100, value * 100, 100 - value, 1 - value, 1 + value)):
        return True
    if any(value / factor in known or value * factor in known for factor in CONVERSIONS):
        return True
    return any(
        a + value in known or value - a in known or (a and (value / a in known or value * a in known)) for a in known
    )
