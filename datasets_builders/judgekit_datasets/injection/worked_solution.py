"""A solution as a flow of values: which number comes from which calculation, and what changes if one changes.

A number in a step comes from an earlier result or from the problem if its value is stated there. If a changed value
could have come from two places of which only one changed, nothing is guessed: `NotCarried` is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from judgekit.text.arithmetic.calculations import Step, Value, compute_result, parse_step, replace_numbers

CONSTANTS = frozenset(map(int, (1, 2, 7, 10, 12, 24, 30, 52, 60, 100, 365, 1000)))
"""Values that everybody knows: a step may use one without having it from anywhere."""
_LARGEST = 10_000_000
_MAX_GROWTH = 100

Place = tuple[int, int]
"""(step, number) or (step, equation), both 0-based."""


class NotCarried(Exception):  # noqa: N818 (says what did not happen)
    """A change whose consequences cannot be told, or are not plausible numbers. Never leaves this package."""


class Result(NamedTuple):
    """The result of an equation."""

    place: Place
    """(step, equation)."""
    value: Value
    """What the correct solution states."""


@dataclass(frozen=True)
class Change:
    """What is to be different; everything else follows."""

    numbers: Mapping[Place, Value] = field(default_factory=dict)
    """(step, number) -> what stands there instead."""
    quantities: Mapping[Value, Value] = field(default_factory=dict)
    """Quantity of the problem -> what the solution takes it for."""
    results: Mapping[Place, Value] = field(default_factory=dict)
    """(step, equation) -> what later steps take the result for."""
    rewritten: Place | None = None
    """(step, equation) of which the expression was changed in the text, so that its result has to be computed."""


class Carried(NamedTuple):
    """The solution with everything that follows from a change."""

    steps: tuple[str, ...]
    """The steps' texts."""
    answer: Value
    """The final answer."""


@dataclass(frozen=True)
class WorkedSolution:
    """The steps of a correct solution, without the line that states the answer."""

    steps: tuple[Step, ...]
    """The steps in order."""
    given: frozenset[Value]
    """Quantities that the problem states."""

    @cached_property
    def results(self) -> tuple[Result, ...]:
        """Results of all equations in order."""
        return tuple(
            Result((i, j), step.values[equation.result])
            for i, step in enumerate(self.steps)
            for j, equation in enumerate(step.equations)
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """The steps' texts."""
        return tuple(step.text for step in self.steps)

    @property
    def answer(self) -> Value:
        """The last result."""
        return self.results[-1].value

    @property
    def is_money(self) -> bool:
        """Whether the last result has a currency sign."""
        i, j = self.results[-1].place
        return self.steps[i].text[self.steps[i].equations[j].result_start] == "$"

    @cached_property
    def n_decimals(self) -> int:
        """Most decimals of a number in the solution; numbers with more would be odd in it."""
        values = [value for step in self.steps for value in step.values]
        return max(0 if value.denominator == 1 else 1 if (value * 10).denominator == 1 else 2 for value in values)

    def earlier_results(self, place: Place) -> list[Result]:
        """Return the results before an equation."""
        return [result for result in self.results if result.place < place]

    def comes_from(self, value: Value, *, before: Place) -> list[Result]:
        """Return the earlier results that a number of this value may come from."""
        return [result for result in self.earlier_results(before) if result.value == value]

    def is_plausible(self, value: Value | None, old: Value) -> bool:
        """Tell whether a value fits in where another stood: positive, no more decimals, not far larger."""
        return (
            value is not None
            and 0 < value <= min(_LARGEST, _MAX_GROWTH * max(old, 10))
            and (value > 1 or old <= 1)
            and (value * 10**self.n_decimals).denominator == 1
        )

    def with_step(self, place: int, text: str) -> WorkedSolution:
        """Return the solution with another text in one step."""
        return WorkedSolution((*self.steps[:place], parse_step(text), *self.steps[place + 1 :]), self.given)

    def carry_on(self, change: Change, *, start: int) -> Carried:
        """Work out all that follows from a change, from step `start` on.

        Raises:
            NotCarried: a number may or may not come from the changed one, a step that depends on it is not understood,
                or a result would be no plausible number.
        """
        flow = _Flow(self, change)
        texts = [step.text if i < start else flow.rewrite(i) for i, step in enumerate(self.steps)]
        last = self.results[-1].place
        return Carried(tuple(texts), flow.changed.get(last, self.answer))


class _Flow:
    """One pass through the steps; `changed` grows on the way."""

    def __init__(self, solution: WorkedSolution, change: Change) -> None:
        self.solution = solution
        self.change = change
        self.changed: dict[Place, Value] = dict(change.results)

    def rewrite(self, i: int) -> str:
        """Return step i with the values that it now has."""
        step = self.solution.steps[i]
        values = list(step.values)
        is_result = {equation.result for equation in step.equations}
        is_operand = {place for equation in step.equations for place in equation.operands}
        for j, equation in enumerate(step.equations):
            for place in equation.operands:
                values[place] = self._value(i, place, before=(i, j))
            old, stated = step.numbers[equation.result].value, self.change.numbers.get((i, equation.result))
            is_same = all(values[operand] == step.numbers[operand].value for operand in equation.operands)
            if stated is None and is_same and self.change.rewritten != (i, j):
                continue
            new_result = compute_result(equation, values) if stated is None else stated
            if new_result is None or not self.solution.is_plausible(new_result, old):
                raise NotCarried
            values[equation.result] = new_result
            if new_result != old:
                self.changed[i, j] = new_result
        # Numbers outside of equations may quote any result up to the end of their own step.
        loose = set(range(len(values))) - is_result - is_operand
        for place in loose:
            values[place] = self._value(i, place, before=(i, len(step.equations)))
        new = {place: value for place, value in enumerate(values) if value != step.numbers[place].value}
        # A step in which something depends on the change in a way that is not understood is refused.
        results = {result.value for result in self.solution.results if result.place in self.changed}
        if step.word_values & (results | set(self.change.quantities)):  # `three` cannot be rewritten as a digit could
            raise NotCarried
        if new:
            known = {result.value for result in self.solution.results if result.place[0] <= i} | self.solution.given
            underived = any(step.values[place] not in known for place in loose)
            if not step.is_clean or (underived and new.keys() & loose):
                raise NotCarried
        return replace_numbers(step, new)

    def _value(self, i: int, number: int, *, before: Place) -> Value:
        """Return what a number that is not result becomes."""
        old = self.solution.steps[i].numbers[number].value
        if (i, number) in self.change.numbers:
            return self.change.numbers[i, number]
        options = {self.changed.get(result.place, old) for result in self.solution.comes_from(old, before=before)}
        if old in self.solution.given or (old in CONSTANTS and options):
            options.add(self.change.quantities.get(old, old))
        if len(options) > 1:  # from the changed place or from another of the same value: nothing is guessed
            raise NotCarried
        return options.pop() if options else old
