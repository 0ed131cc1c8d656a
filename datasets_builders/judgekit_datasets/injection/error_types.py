"""Typed errors that are injected into correct solutions. Each is constructed so that only its own step is an error.

A type is a function of (generator, correct solution) that returns the wrong solution, or `None` if there is no place
for it. Everything that depends on the error is recomputed by `WorkedSolution.carry_on`, so later steps are correct
given the wrong value. Types whose stated arithmetic becomes false are in `FALSE_ARITHMETIC`; in all others every
equation holds.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from fractions import Fraction
from itertools import islice
from typing import NamedTuple, TypeAlias

from judgekit.text.arithmetic.calculations import (
    Equation,
    Step,
    Value,
    compute_result,
    compute_value,
    exact,
    parse_step,
)
from judgekit_datasets.injection.worked_solution import CONSTANTS, Change, NotCarried, Place, WorkedSolution

_TRIES = 4
_MIN_WORDS = 3
_GIVES_REASON = re.compile(r"\b(?:because|since|as|performing)\W*$", re.IGNORECASE)
"""Ends of a text behind which a calculation must stand: a result alone would give no reason."""
_PLAIN_OPERATORS = frozenset("+-*/xX\u00d7")


class ErrorType(StrEnum):
    """What goes wrong."""

    NUMBER_SLIP = "number_slip"
    """The right expression with a wrong result."""
    SIGN = "sign"
    """The right expression, computed as if one of its terms had the other sign."""
    WRONG_OPERAND = "wrong_operand"
    """Another quantity of the problem or another result than the one that belongs there."""
    OPERATOR_SWAP = "operator_swap"
    """Another operation, for example plus for minus."""
    OFF_BY_ONE = "off_by_one"
    """A quantity is counted one too high or too low."""
    MISREAD_QUANTITY = "misread_quantity"
    """A quantity of the problem is read wrongly, here and wherever it is used later."""
    CONTRADICTION = "contradiction"
    """An earlier result is quoted with another value than was found for it."""
    DROPPED_CONDITION = "dropped_condition"
    """A quantity is left out of an expression, or a whole step is skipped and its input used instead of its result."""
    DOUBLE_COUNT = "double_count"
    """A term is counted twice."""
    UNIT = "unit"
    """A wrong conversion factor, or a result in a wrong unit."""
    UNJUSTIFIED_LEAP = "unjustified_leap"
    """A wrong value is asserted without any calculation."""
    PREMATURE_END = "premature_end"
    """The solution stops at an intermediate result and gives it as the answer."""
    WRONG_TARGET = "wrong_target"
    """Every step is correct, and the answer given is another of their values than was asked for."""


FALSE_ARITHMETIC = frozenset({ErrorType.NUMBER_SLIP, ErrorType.SIGN})
"""Types whose step states an equation that does not hold."""
COMPUTATIONAL = frozenset(ErrorType) - {ErrorType.PREMATURE_END, ErrorType.WRONG_TARGET, ErrorType.UNIT}
"""Types whose step states a wrong value that a recomputation of the solution can find."""


class Wrong(NamedTuple):
    """A solution with one error."""

    steps: tuple[str, ...]
    """The steps' texts, without the line that states the answer."""
    first_error: int
    """0-based place of the error; the number of steps where the line that states the answer is wrong."""
    answer: Value
    """The answer that it comes to."""


def draw_error(
    rng: random.Random, solution: WorkedSolution, kind: ErrorType, *, original: WorkedSolution
) -> Wrong | None:
    """Put one error of this type into a correct solution; `None` if no place for it was found.

    What is returned has been checked: the answer differs unless only a unit is wrong, a wrong answer after correct
    steps is not the correct one in percent or as a share, the wrong step states something that the original does not
    state elsewhere, and all equations hold but that of a step that is to be false.

    Args:
        rng: Where chance comes from.
        solution: The correct solution, perhaps with harmless edits.
        kind: What is to go wrong.
        original: The correct solution without harmless edits.
    """
    wrong = _ERRORS[kind](rng, solution)
    if wrong is None:
        return None
    if wrong.answer == solution.answer:
        if kind is not ErrorType.UNIT:
            return None
    else:
        # A wrong answer after correct steps may be the correct one all the same, as a share or in percent.
        if wrong.first_error == len(wrong.steps) and wrong.answer in (
            solution.answer * 100,
            Fraction(solution.answer) / 100,
        ):
            return None
        # A step that states only what the correct solution states somewhere, too, is too close to being right.
        if wrong.first_error < len(wrong.steps):
            own = _equations([parse_step(wrong.steps[wrong.first_error])])
            if own and own <= _equations((*original.steps, *solution.steps)):
                return None
    holding = [all(map(step.holds, step.equations)) for step in map(parse_step, wrong.steps)]
    is_as_meant = kind not in FALSE_ARITHMETIC or not holding.pop(wrong.first_error)
    return wrong if is_as_meant and all(holding) else None


def _equations(steps: Sequence[Step]) -> set[tuple[Value, ...]]:
    """Return operands in ascending order and result of each equation."""
    return {
        (*sorted(step.values[place] for place in equation.operands), step.values[equation.result])
        for step in steps
        for equation in step.equations
    }


def elide(text: str) -> str | None:
    """Leave out a step's calculation so that its result is only asserted.

    `None` if little else is said, or where the calculation is a reason: `because 24`.

    Example:
        >>> elide("Ada sold 48 / 2 = 24 clips in May.")
        'Ada sold 24 clips in May.'
    """
    step = parse_step(text)
    if not step.is_clean or len(step.equations) != 1:
        return None
    (equation,) = step.equations
    if _GIVES_REASON.search(text[max(0, equation.start - 20) : equation.start]):
        return None
    bare = text[: equation.start] + text[equation.result_start :]
    return bare if len(re.findall(r"[^\W\d]{2,}", bare)) >= _MIN_WORDS else None


def slip(rng: random.Random, value: Value) -> Value:
    """Return a value that somebody might get who is careless: a digit off, swapped or carried wrongly.

    Closing zeros and decimals are kept, so that a wrong value looks no rounder and no less round than the correct one.
    """
    scale: Value = 1
    while (value / Fraction(scale)).denominator != 1:
        scale = Fraction(scale) / 10
    digits = int(value / Fraction(scale))
    while digits > 9 and digits % 10 == 0:
        digits //= 10
        scale *= 10
    text = str(digits)
    options = {digits - 1, digits + 1, digits + 2, digits - 2, digits + 10}
    if len(text) > 1:
        options |= {digits - 10, int(text[:-2] + text[-1] + text[-2])}
    if len(text) > 2:
        options |= {digits - 100, digits + 100, int(text[1] + text[0] + text[2:])}
    return exact(scale * rng.choice(sorted(option for option in options - {digits} if option > 0)))


# Places


Tries: TypeAlias = Iterator[tuple[WorkedSolution, Change, int]]
"""Changes that may be carried on, the first that can be counts: (solution, change, wrong step)."""
Maker: TypeAlias = Callable[[random.Random, WorkedSolution], Wrong | None]
"""Puts an error of one type into a solution."""


def _carried(tries: Callable[[random.Random, WorkedSolution], Tries]) -> Maker:
    def make(rng: random.Random, solution: WorkedSolution) -> Wrong | None:
        for changed, change, i in islice(tries(rng, solution), _TRIES):
            try:
                steps, answer = changed.carry_on(change, start=i)
            except NotCarried:
                continue
            return Wrong(steps, i, answer)
        return None

    return make


def _places(rng: random.Random, solution: WorkedSolution) -> Iterator[tuple[Place, Step, Equation]]:
    """Yield the equations in which an error may be put, in random order."""
    places = [
        (i, j) for i, step in enumerate(solution.steps) if step.is_clean for j in range(len(step.equations))
    ]  # fmt: skip
    for i, j in rng.sample(places, len(places)):
        yield (i, j), solution.steps[i], solution.steps[i].equations[j]


# Wrong results


@_carried
def _number_slip(rng: random.Random, solution: WorkedSolution) -> Tries:
    for (i, _), step, equation in _places(rng, solution):
        yield solution, Change(numbers={(i, equation.result): slip(rng, step.values[equation.result])}), i


@_carried
def _sign(rng: random.Random, solution: WorkedSolution) -> Tries:
    for (i, _), step, equation in _places(rng, solution):
        for swapped in _swapped(rng, equation, {"+": "-", "-": "+"}):
            new = compute_result(swapped, step.values)
            if new is not None:
                yield solution, Change(numbers={(i, equation.result): new}), i


def _swapped(rng: random.Random, equation: Equation, pairs: dict[str, str]) -> Iterator[Equation]:
    """Yield the equation with one operation exchanged for another."""
    expression = equation.expression
    for i in rng.sample(range(len(expression)), len(expression)):
        if expression[i] in pairs:
            changed = (*expression[:i], pairs[str(expression[i])], *expression[i + 1 :])
            yield Equation(**{**vars(equation), "expression": changed})


# Wrong expressions


def _other_operand(options: Callable[[random.Random, WorkedSolution, Place, Value], Sequence[Value]]) -> Maker:
    """Exchange one operand for one of the values that `options` gives for (equation, value)."""

    @_carried
    def tries(rng: random.Random, solution: WorkedSolution) -> Tries:
        for place, step, equation in _places(rng, solution):
            for number in rng.sample(equation.operands, len(equation.operands)):
                old = step.values[number]
                found = options(rng, solution, place, old)
                values = [value for value in found if value != old and solution.is_plausible(value, old)]
                if values:
                    yield solution, Change(numbers={(place[0], number): rng.choice(values)}), place[0]

    return tries


@_other_operand
def _wrong_operand(rng: random.Random, solution: WorkedSolution, place: Place, old: Value) -> Sequence[Value]:
    step = solution.steps[place[0]]
    there = {step.values[number] for number in step.equations[place[1]].operands}
    earlier = {result.value for result in solution.earlier_results(place)}
    return sorted((earlier | {value for value in solution.given if value > 1}) - there)


@_other_operand
def _off_by_one(rng: random.Random, solution: WorkedSolution, place: Place, old: Value) -> Sequence[Value]:
    is_count = old.denominator == 1 and old > 1 and not solution.comes_from(old, before=place)
    return (old - 1, old + 1) if is_count else ()


@_other_operand
def _misquoted(rng: random.Random, solution: WorkedSolution, place: Place, old: Value) -> Sequence[Value]:
    is_quoted = solution.comes_from(old, before=place) and old not in solution.given | CONSTANTS
    return (slip(rng, old),) if is_quoted else ()


def _contradiction(rng: random.Random, solution: WorkedSolution) -> Wrong | None:
    # The line that states the answer quotes a result, too, and has its turn like any other.
    if rng.random() < 1 / len(solution.results):
        return Wrong(solution.texts, len(solution.steps), slip(rng, solution.answer))
    return _misquoted(rng, solution)


@_carried
def _operator_swap(rng: random.Random, solution: WorkedSolution) -> Tries:
    for place, step, equation in _places(rng, solution):
        for operator in rng.sample(equation.operators[:-1], len(equation.operators) - 1):
            old = step.text[operator.start : operator.end]
            if old not in _PLAIN_OPERATORS:
                continue  # next to other spellings a plain sign would be odd
            new = rng.choice([symbol for symbol in ("+", "-", "*", "/") if symbol != operator.symbol])
            yield from _rewritten(solution, place, step.text[: operator.start] + new + step.text[operator.end :])


def _rewritten(solution: WorkedSolution, place: Place, text: str) -> Tries:
    """Yield the solution with another text of one step, where that still states as many equations."""
    changed = solution.with_step(place[0], text)
    if len(changed.steps[place[0]].equations) == len(solution.steps[place[0]].equations):
        yield changed, Change(rewritten=place), place[0]


@_carried
def _misread_quantity(rng: random.Random, solution: WorkedSolution) -> Tries:
    for value in rng.sample(sorted(solution.given), len(solution.given)):
        i = next((i for i, step in enumerate(solution.steps) if value in step.values), None)
        if i is None or value <= 1 or solution.comes_from(value, before=(len(solution.steps), 0)):
            continue
        step = solution.steps[i]
        if any(step.values[number] == value for equation in step.equations for number in equation.operands):
            yield solution, Change(quantities={value: slip(rng, value)}), i


# Something missing, something twice


@_carried
def _dropped_term(rng: random.Random, solution: WorkedSolution) -> Tries:
    for place, step, equation in _places(rng, solution):
        terms = _terms(equation)
        if len(terms) >= 2:
            i = rng.choice(terms)
            start, end = equation.operators[i].start, equation.operators[i + 1].start
            yield from _rewritten(solution, place, step.text[:start] + step.text[end:])


@_carried
def _double_count(rng: random.Random, solution: WorkedSolution) -> Tries:
    for place, step, equation in _places(rng, solution):
        terms = [i for i in _terms(equation) if equation.operators[i].symbol in ("+", "-")]
        if terms:
            i = rng.choice(terms)
            start, end = equation.operators[i].start, equation.operators[i + 1].start
            yield from _rewritten(solution, place, step.text[:end] + step.text[start:end] + step.text[end:])


def _terms(equation: Equation) -> list[int]:
    """Return the operations that take one more operand each: a plain sum or product, without brackets."""
    symbols = {item for item in equation.expression if isinstance(item, str)}
    if not symbols <= {"+", "-"} and symbols != {"*"}:
        return []
    return list(range(len(equation.operators) - 1))


def _skipped_step(rng: random.Random, solution: WorkedSolution) -> Wrong | None:
    """Leave out a step and use one of its operands where its result was used."""
    for (i, j), step, equation in islice(_places(rng, solution), _TRIES):
        if i + 1 >= len(solution.steps) or len(step.equations) > 1:
            continue
        kept = [step.values[n] for n in equation.operands if step.values[n] > 1 or solution.n_decimals]
        if not kept:
            continue
        value = rng.choice(kept)
        try:
            texts, answer = solution.carry_on(Change(results={(i, j): value}), start=i + 1)
        except NotCarried:
            continue
        changed = next((k for k, right in enumerate(solution.steps) if k > i and texts[k] != right.text), None)
        if changed is not None:
            return Wrong((*texts[:i], *texts[i + 1 :]), changed - 1, answer)
    return None


# Units


_UNITS = (
    ("seconds", "minutes"), ("minutes", "hours"), ("hours", "days"), ("days", "weeks"), ("inches", "feet"),
    ("feet", "yards"), ("meters", "kilometers"), ("ounces", "pounds"), ("grams", "kilograms"), ("cups", "gallons"),
    ("liters", "milliliters"), ("dollars", "cents"),
)  # fmt: skip
_FACTORS: dict[int, tuple[int, ...]] = {
    7: (5, 6), 10: (100,), 12: (10, 24), 16: (12, 10), 24: (12, 20), 30: (28, 20), 36: (12, 30), 52: (50, 48),
    60: (100, 24, 30), 100: (10, 1000), 365: (360, 300), 1000: (100, 10),
}  # fmt: skip


@_other_operand
def _wrong_factor(rng: random.Random, solution: WorkedSolution, place: Place, old: Value) -> Sequence[Value]:
    is_known = old in solution.given or solution.comes_from(old, before=place)
    is_product = not {"*", "/"}.isdisjoint(solution.steps[place[0]].equations[place[1]].expression)
    return _FACTORS.get(int(old), ()) if is_product and not is_known and old.denominator == 1 else ()


def _wrong_unit(rng: random.Random, solution: WorkedSolution) -> Wrong | None:
    for (i, _), step, equation in _places(rng, solution):
        end = step.numbers[equation.result].end
        found = re.compile(r"\s+([a-z]+)\b").match(step.text, end)
        others = [b if found[1] == a else a for a, b in _UNITS if found[1] in (a, b)] if found else []
        if found and others:
            text = step.text[: found.start(1)] + rng.choice(others) + step.text[found.end(1) :]
            return Wrong(tuple(text if k == i else t for k, t in enumerate(solution.texts)), i, solution.answer)
    return None


# Leaps and ends


@_carried
def _unsaid(rng: random.Random, solution: WorkedSolution) -> Tries:
    for (i, _), step, equation in _places(rng, solution):
        if elide(step.text) is None:
            continue
        right = step.values[equation.result]
        symbols = {"+": "-", "-": "+", "*": "+", "/": "-"}
        values = [compute_value(other.expression, step.values) for other in _swapped(rng, equation, symbols)]
        likely = [value for value in values if value is not None and solution.is_plausible(value, right)]
        yield solution, Change(numbers={(i, equation.result): rng.choice([slip(rng, right), *likely])}), i


def _unjustified_leap(rng: random.Random, solution: WorkedSolution) -> Wrong | None:
    """Assert what another operation on the same numbers would give, or a slip of the right value, without saying so."""
    wrong = _unsaid(rng, solution)
    bare = elide(wrong.steps[wrong.first_error]) if wrong else None
    if wrong is None or bare is None:
        return None
    return wrong._replace(steps=tuple(bare if i == wrong.first_error else t for i, t in enumerate(wrong.steps)))


def _premature_end(rng: random.Random, solution: WorkedSolution) -> Wrong | None:
    ends = sorted({result.place[0] + 1 for result in solution.results} - {len(solution.steps)})
    if not ends:
        return None
    end = ends[-1] if rng.random() < 0.7 else rng.choice(ends)
    answer = solution.earlier_results((end, 0))[-1].value
    return Wrong(solution.texts[:end], end, answer)


def _wrong_target(rng: random.Random, solution: WorkedSolution) -> Wrong | None:
    others = sorted({result.value for result in solution.results} - {solution.answer})
    return Wrong(solution.texts, len(solution.steps), rng.choice(others)) if others else None


def _either(*makers: Maker) -> Maker:
    """Try two ways in which one thing goes wrong, in random order."""

    def make(rng: random.Random, solution: WorkedSolution) -> Wrong | None:
        attempts = [*makers]
        rng.shuffle(attempts)
        return attempts[0](rng, solution) or attempts[1](rng, solution)

    return make


_ERRORS: dict[ErrorType, Maker] = {
    ErrorType.NUMBER_SLIP: _number_slip,
    ErrorType.SIGN: _sign,
    ErrorType.WRONG_OPERAND: _wrong_operand,
    ErrorType.OPERATOR_SWAP: _operator_swap,
    ErrorType.OFF_BY_ONE: _off_by_one,
    ErrorType.MISREAD_QUANTITY: _misread_quantity,
    ErrorType.CONTRADICTION: _contradiction,
    ErrorType.DROPPED_CONDITION: _either(_dropped_term, _skipped_step),
    ErrorType.DOUBLE_COUNT: _double_count,
    ErrorType.UNIT: _either(_wrong_factor, _wrong_unit),
    ErrorType.UNJUSTIFIED_LEAP: _unjustified_leap,
    ErrorType.PREMATURE_END: _premature_end,
    ErrorType.WRONG_TARGET: _wrong_target,
}
