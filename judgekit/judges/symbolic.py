"""A judge that recomputes what the steps state; it needs no weights and says nothing where there is nothing to check.

Each rule looks for one kind of fault. A step in which a rule fires is wrong with the probability that the rule was
measured to have; any other step with the base rate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from judgekit.equalities import Equality, Side, find_equalities, find_numbers
from judgekit.types import Judgement, NoVerdictReason, Solution, ThresholdRule, Verdict

BASE_RATE = 0.1
"""P(step wrong | earlier steps right) where nothing was found."""


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


P_WRONG = {
    Rule.ARITHMETIC: 0.97,
    Rule.DECIMAL: 0.85,
    Rule.IDENTITY: 0.85,
    Rule.SOLUTION: 0.85,
    Rule.FRACTION: 0.8,
    Rule.NEGATIVE: 0.85,
    Rule.UNSOURCED: 0.6,
}
"""P(step wrong | the rule fires in it, earlier steps right).

Rounded shares of true alarms: at the first error in GSM8K training solutions with injected errors, PRMBench and
MR-GSM8K; and, where these hardly fire, among solutions of GSM8K's example models by whether the answer is wrong. The
latter says nothing about the place. No figure comes from ProcessBench.
"""

_CONVERSIONS = {
    7: "week day", 24: "day hour", 30: "month day", 52: "year week", 365: "year day", 60: "hour minute second",
    1440: "day minute", 3600: "hour second", 168: "week hour", 12: "foot feet inch inches dozen year month",
    3: "yard feet foot", 36: "yard inch inches", 144: "gross square", 5280: "mile feet foot", 1760: "mile yard",
    16: "pound ounce lb oz", 2000: "ton pound", 2: "pint cup quart", 4: "gallon quart quarter cup",
    8: "gallon pint ounce cup", 128: "gallon ounce",
    100: "cent dollar meter metre cm m percent penny pennies century square",
    1000: "thousand km kilometer kilometre kg kilogram liter litre ml milliliter millilitre gram g m meter metre "
    "millimeter mm ton tonne",
    10**6: "million square", 10**9: "billion", 10: "mm cm millimeter centimeter dime",
    5: "nickel", 25: "quarter", 20: "score", 50: "half",
}  # fmt: skip
"""Words of units, in the singular, by the factor between two of them."""
_COMMON = frozenset(
    Fraction(n) for n in (3, 4, 5, 7, 8, 10, 12, 16, 20, 24, 25, 30, 31, 36, 50, 52, 60, 100, 365, 1000)
)
_MAX_COMBINED = 60
_MAX_DECIMALS = 6
_ABOUT_TOLERANCE = Fraction(1, 20)
_ROOT_TOLERANCE = Fraction(1, 10**6)
_CASES = re.compile(r"\b(?:or|if|case|when|try|suppose|assume|let|for)\b", re.IGNORECASE)
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


class Fault(NamedTuple):
    """Something wrong that was found in a step."""

    step: int
    """The step, 0-based."""
    rule: Rule
    """What is wrong with it."""


class SymbolicJudge:
    """Recomputes stated arithmetic and simple algebra; see `Rule` for what it looks for."""

    deterministic = True
    """The same solution always gets the same verdict."""
    judge_id = "builtin:symbolic"
    """Name in results."""
    decision = ThresholdRule(threshold=0.5)
    """The first step in which a rule fires that is more often right than wrong."""

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch; solutions without steps get no verdict."""
        return [self._judgement(solution) for solution in solutions]

    def _judgement(self, solution: Solution) -> Judgement:
        if not solution.steps:
            return Judgement(solution_id=solution.id, judge_id=self.judge_id, no_verdict=NoVerdictReason.EMPTY)
        p_ok_S = [1 - BASE_RATE] * len(solution.steps)
        for step, rule in find_faults(solution.problem, solution.steps):
            p_ok_S[step] = min(p_ok_S[step], 1 - P_WRONG[rule])
        return Judgement(solution_id=solution.id, judge_id=self.judge_id, verdict=Verdict.from_step_probs(p_ok_S))


def find_faults(problem: str, steps: Sequence[str]) -> Iterator[Fault]:
    """Yield what is wrong with the steps of a solution, step by step.

    Example:
        >>> [(fault.step, fault.rule.value) for fault in find_faults("2 bags of 3?", ["2 * 3 = 6", "6 + 1 = 8"])]
        [(1, 'arithmetic')]
    """
    known, found_S = find_numbers(problem), [find_equalities(step) for step in steps]
    counted, has_negative = _counted_nouns(problem), _NEGATIVE.search(problem) is not None
    is_story = _FORMULA.search(problem) is None
    last_result = max((i for i, found in enumerate(found_S) if any(map(_is_computed, found))), default=None)
    solved: dict[str, Fraction] = {}
    for i, step in enumerate(steps):
        equalities = found_S[i]
        results = [equality.sides[-1].number for equality in equalities if _is_computed(equality)]
        rules = [rule for equality in equalities for rule in _false_rules(equality)]
        if _contradicts(equalities, solved, has_cases=_CASES.search(step) is not None):
            rules.append(Rule.SOLUTION)
        if counted and _has_fraction(equalities, counted, is_last=i == last_result):
            rules.append(Rule.FRACTION)
        if is_story and not has_negative and any(value is not None and value < 0 for value in results):
            rules.append(Rule.NEGATIVE)
        if is_story and any(not _has_source(value, known) for value in _operands(equalities)):
            rules.append(Rule.UNSOURCED)
        yield from (Fault(i, rule) for rule in dict.fromkeys(rules))
        known |= find_numbers(step) | {s.number for e in equalities for s in e.sides if s.number is not None}


def _is_computed(equality: Equality) -> bool:
    return any(side.operations for side in equality.sides[:-1])


def _counted_nouns(problem: str) -> frozenset[str]:
    """Return the stems of the nouns that the problem asks to count; none where it asks for a measure."""
    words = {word for match in _COUNTED.finditer(problem) for word in re.findall("[a-z]+", match[1].lower())}
    if words & _MEASURES:
        return frozenset()
    return frozenset(_stem(word) for word in words - _NOT_COUNTED if len(word) >= _MIN_NOUN)


def _stem(word: str) -> str:
    return word.rstrip("s")[:_STEM]


def _has_fraction(equalities: Sequence[Equality], counted: frozenset[str], *, is_last: bool) -> bool:
    """Tell whether a computed number of what is counted, or the last computed number of all, is no whole number."""
    computed = [equality for equality in equalities if _is_computed(equality)]
    for equality in computed:
        number, names = equality.sides[-1].number, equality.words_behind | equality.sides[-1].units
        is_answer = is_last and equality is computed[-1]
        if number is not None and number.denominator != 1 and (is_answer or counted & set(map(_stem, names))):
            return True
    return False


def _false_rules(equality: Equality) -> Iterator[Rule]:
    """Yield a rule for each two neighbouring sides that differ."""
    sides = equality.sides
    for (left, right), is_approximate in zip(pairwise(sides), equality.is_approximate, strict=True):
        if left is sides[0] and not left.operations:
            continue  # a label rather than a side: `Day 2 = 3 * 4`
        if left.number is None or right.number is None:
            if _differ_always(left, right):
                yield Rule.IDENTITY
        elif (left.operations or right.operations) and not _agree(left, right, is_approximate=is_approximate):
            is_whole = not (left.has_decimals or right.has_decimals)
            yield (
                Rule.ARITHMETIC
                if is_whole and left.number.denominator == right.number.denominator == 1
                else Rule.DECIMAL
            )


def _agree(left: Side, right: Side, *, is_approximate: bool) -> bool:
    """Tell whether two sides may stand for one value: rounded, as a percentage, in another unit."""
    a, b = left.number, right.number
    assert a is not None and b is not None
    if a == b or left.is_doubtful or right.is_doubtful or a == 100 * b or b == 100 * a:
        return True
    if _is_rounded(a, right, is_approximate=is_approximate) or _is_rounded(b, left, is_approximate=is_approximate):
        return True
    return a * b != 0 and _is_conversion(max(a / b, b / a), left.units | right.units)


def _is_conversion(factor: Fraction, units: frozenset[str]) -> bool:
    """Tell whether a factor lies between units of which one is named."""
    words = _CONVERSIONS.get(int(factor), "").split() if factor.denominator == 1 else []
    return any(unit in words or unit.rstrip("s") in words for unit in units)


def _is_rounded(exact: Fraction, side: Side, *, is_approximate: bool) -> bool:
    stated = side.number or Fraction(0)
    gap, scale = abs(exact - stated), max(abs(exact), abs(stated))
    if side.decimals and side.operations <= 1 and gap < Fraction(1, 10 ** min(side.decimals, _MAX_DECIMALS)):
        return True
    if is_approximate or side.has_power_of_ten:
        return gap <= scale * _ABOUT_TOLERANCE
    return gap <= scale * (_ROOT_TOLERANCE if side.is_irrational else 0)


def _difference(left: Side, right: Side) -> dict[str, Fraction]:
    """Return left minus right by letter, without zeros; empty where a side has no value."""
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


def _contradicts(equalities: Sequence[Equality], solved: dict[str, Fraction], *, has_cases: bool) -> bool:
    """Tell whether an equation in one letter contradicts the one before it; takes down what each one says."""
    found = False
    for equality in equalities:
        for left, right in pairwise(equality.sides):
            difference = _difference(left, right)
            letters = [key for key in difference if key]
            if len(letters) != 1 or letters == ["\u03c0"] or left.is_doubtful or right.is_doubtful:
                continue
            letter, solution = letters[0], -difference.get("", Fraction(0)) / difference[letters[0]]
            if letter in solved and not has_cases and not _close(solution, solved[letter]):
                found = True
            if left.operations + right.operations and not (left.letter or right.letter):
                solved[letter] = solution
            else:
                solved.pop(letter, None)
    return found


def _close(a: Fraction, b: Fraction) -> bool:
    return abs(a - b) <= max(abs(a), abs(b)) / 50


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
    return any(
        a + value in known or value - a in known or (a and (value / a in known or value * a in known)) for a in known
    )


__all__ = ["BASE_RATE", "P_WRONG", "Fault", "Rule", "SymbolicJudge", "find_faults"]
