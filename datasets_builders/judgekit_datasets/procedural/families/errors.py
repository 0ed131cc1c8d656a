"""Errors in one step of a solution, and their consequences for the steps after it.

Later steps are recomputed from the wrong value. An error is used only if every number that follows could occur in a
correct solution: an integer if the correct one is, positive if the family has positive numbers, and within a factor of
ten of the correct result of its step. So no number gives a wrong solution away.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from judgekit_datasets.procedural.families.task import (
    Line,
    Number,
    Step,
    Style,
    Symbol,
    Task,
    compute,
    divide,
    fits,
    work_out,
)

_LARGEST_RATIO = 10
_DELTAS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 20, 30, 60, 100)
_SYMBOLS: tuple[Symbol, ...] = ("+", "-", "*", "/")
_CONSTANTS = (2, 3, 4, 7, 10, 12, 16, 24, 60, 100, 1000)


class WordErrorKind(StrEnum):
    """What goes wrong in a step."""

    SLIP = "slip"
    """The right expression with a wrong result."""
    OPERATION = "operation"
    """Another operation than the correct one."""
    QUANTITY = "quantity"
    """Another quantity of the problem, or another earlier result, than the one that is needed."""
    MISREAD = "misread"
    """A number of the problem is copied wrongly."""
    CARRY = "carry"
    """The result of an earlier step is copied wrongly."""
    CONSTANT = "constant"
    """A wrong number that the problem does not state: a factor of conversion, a number of a formula other than 1."""


class WrongSolution(NamedTuple):
    """A solution with one error."""

    kind: WordErrorKind
    """What went wrong."""
    first_error: int
    """0-based index of the wrong step."""
    lines: list[Line]
    """All steps."""


class _Place(NamedTuple):
    task: Task
    step: Step
    right: Line
    values: Mapping[str, Number]
    """Quantities known before the step."""

    def with_operand(self, position: int, operand: Number) -> Line | None:
        """Return the line with another number; `None` if the number cannot stand there."""
        # Numbers of problems are at least 2.
        if operand in (0, 1) or not fits(operand, self.task):
            return None
        operands = (*self.right.operands[:position], operand, *self.right.operands[position + 1 :])
        return Line(operands, self.right.symbols, compute(operands, self.right.symbols))


def draw_wrong_solution(
    rng: random.Random, task: Task, right: Sequence[Line], kinds: Sequence[WordErrorKind]
) -> WrongSolution:
    """Put one error into a correct solution.

    Step and kind are drawn evenly; where a kind cannot happen at a step another is tried, then another step. A slip in
    the last step always can.

    Args:
        rng: Source of randomness.
        task: The task.
        right: Its correct solution.
        kinds: Kinds to draw from.
    """
    for index in rng.sample(range(len(right)), len(right)):
        for kind in rng.sample(kinds, len(kinds)):
            lines = _go_wrong(rng, task, right, index, kind)
            if lines is not None:
                return WrongSolution(kind, index, lines)
    last = len(right) - 1
    lines = _go_wrong(rng, task, right, last, WordErrorKind.SLIP)
    assert lines is not None, f"no slip is possible in {right[last]}"
    return WrongSolution(WordErrorKind.SLIP, last, lines)


def _go_wrong(
    rng: random.Random, task: Task, right: Sequence[Line], index: int, kind: WordErrorKind
) -> list[Line] | None:
    """Return the solution with an error of the kind at the step, `None` if none leads to fitting numbers."""
    names = [step.name for step in task.steps]
    values = dict(task.given) | dict(zip(names, (line.result for line in right[:index]), strict=False))
    place = _Place(task, task.steps[index], right[index], values)
    for wrong in _draw_lines(kind, place, rng):
        if wrong is None or wrong.result == place.right.result or not _is_plausible(wrong, place.right, task):
            continue
        # `values` ends before this step, so that no correct result is carried on next to the wrong one.
        try:
            later = work_out(task, values | {place.step.name: wrong.result}, start=index + 1)
        except ZeroDivisionError:
            continue
        if all(_is_plausible(line, like, task) for line, like in zip(later, right[index + 1 :], strict=True)):
            return [*right[:index], wrong, *later]
    return None


def _is_plausible(line: Line, right: Line, task: Task) -> bool:
    """Tell whether a result could be the one wanted: whole where that is whole, of its style, sign and rough size.

    Numbers of problems are at least 2, so that a 1 would stand out.
    """
    result, wanted = line.result, right.result
    stands_out = (result.denominator == 1) is not (wanted.denominator == 1) or (result == 1 and wanted != 1)
    if stands_out or not fits(result, task):
        return False
    if task.signed:
        return -_LARGEST_RATIO * max(wanted, -wanted, 1) <= result <= _LARGEST_RATIO * max(wanted, -wanted, 1)
    return wanted <= _LARGEST_RATIO * result and result <= _LARGEST_RATIO * wanted


def _draw_lines(kind: WordErrorKind, place: _Place, rng: random.Random) -> Iterator[Line | None]:
    """Yield what the step may say with an error of that kind, in random order; `None` if a number cannot stand."""
    operands, symbols, result = place.right
    if kind is WordErrorKind.SLIP:
        for wrong in _near(result, place.task.style, rng):
            yield place.right._replace(result=wrong)
        return
    if kind is WordErrorKind.OPERATION:
        for position in rng.sample(range(len(symbols)), len(symbols)):
            for symbol in rng.sample(_SYMBOLS, len(_SYMBOLS)):
                if symbol != "/" or operands[position + 1]:
                    changed = (*symbols[:position], symbol, *symbols[position + 1 :])
                    yield Line(operands, changed, compute(operands, changed))
        return
    # All other kinds exchange an operand of some sort.
    quantities = rng.sample(list(place.values.values()), len(place.values)) if kind is WordErrorKind.QUANTITY else []
    positions = []
    for position, name in enumerate(place.step.expression.operands):
        is_concerned = {
            WordErrorKind.QUANTITY: not name.isdigit(),
            WordErrorKind.MISREAD: name in place.task.given,
            WordErrorKind.CARRY: not name.isdigit() and name not in place.task.given,
            WordErrorKind.CONSTANT: name.isdigit() and name != "1",
        }
        if is_concerned[kind]:
            positions.append(position)
    for position in rng.sample(positions, len(positions)):
        right = operands[position]
        others: Iterable[Number] = quantities
        if kind is WordErrorKind.CONSTANT:
            near = [number for number in _CONSTANTS if right / 10 <= number <= right * 10]
            others = rng.sample(near, len(near))
        elif kind is not WordErrorKind.QUANTITY:
            others = _near(right, place.task.style, rng)
        for other in others:
            yield place.with_operand(position, other)


def _near(number: Number, style: Style, rng: random.Random) -> Iterator[Number]:
    """Yield numbers by which a number may be mistaken, in random order."""
    if number.denominator > 1 and style is Style.FRACTION:
        top, bottom = number.numerator, number.denominator
        pairs = [(top + 1, bottom), (top - 1, bottom), (top, bottom + 1), (top, bottom - 1), (bottom, top)]
        yield from (divide(a, b) for a, b in rng.sample(pairs, len(pairs)) if b)
        return
    unit = Fraction(1, 10) if number.denominator > 1 else 1
    deltas = [delta for delta in _DELTAS if delta * unit <= max(3, number, -number)]
    for delta in rng.sample(deltas, len(deltas)):
        sign = rng.choice((-1, 1))  # too high as often as too low
        yield number + sign * delta * unit
        yield number - sign * delta * unit
