"""A task and its solution: quantities by name, steps that compute one quantity each, exact numbers throughout.

Numbers are `int` or `fractions.Fraction`, never floating point.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias, TypeVar, cast

Number: TypeAlias = int | Fraction
Symbol = Literal["+", "-", "*", "/"]
OptionT = TypeVar("OptionT")


class Level(StrEnum):
    """How hard a problem is: the number of steps and the range of its numbers."""

    EASY = "easy"
    """Two or three steps, small numbers."""
    MEDIUM = "medium"
    """Three to five steps, numbers of two digits."""
    HARD = "hard"
    """Five to seven steps, the largest numbers."""


class Style(StrEnum):
    """Which numbers a task has, from its text to its answer, correct or wrong."""

    WHOLE = "whole"
    """Whole numbers."""
    DECIMAL = "decimal"
    """At most two decimal places."""
    FRACTION = "fraction"
    """Fractions in lowest terms, written `3/4`, with a denominator of at most 144."""


_LARGEST_DENOMINATOR = 144  # 12 * 12: what two fractions with denominators up to 12 can make together
_TOP = {Level.EASY: 12, Level.MEDIUM: 25, Level.HARD: 50}


class Expression(NamedTuple):
    """A chain of operations, computed with the usual precedence."""

    operands: tuple[str, ...]
    """Names of quantities, or integers in digits."""
    symbols: tuple[Symbol, ...]
    """Between the operands: one fewer."""


@dataclass(frozen=True)
class Step:
    """One step of the correct solution."""

    name: str
    """The quantity that it computes."""
    formula: str
    """How, in names and digits with spaces between them: `total * percent / 100`."""
    text: str
    """Its sentence. `{eq}` is the stated equation, `{NAME}` a quantity, `{WORD}` one of the task's words."""

    @property
    def expression(self) -> Expression:
        """The formula, taken apart."""
        return parse_formula(self.formula)


@dataclass(frozen=True)
class Task:
    """A problem with the right way to solve it."""

    problem: str
    """Its text, with `{NAME}` for quantities and `{WORD}` for words."""
    given: Mapping[str, Number]
    """The quantities that the problem states."""
    steps: tuple[Step, ...]
    """At least one; the last computes the answer."""
    answer: Number
    """The answer, found in another way than by the steps."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Names and things to put into the texts."""
    style: Style = Style.WHOLE
    """Which numbers may occur."""
    signed: bool = False
    """Whether numbers may be zero or negative."""


class Line(NamedTuple):
    """One step as it is written down."""

    operands: tuple[Number, ...]
    """The numbers of the expression."""
    symbols: tuple[Symbol, ...]
    """The operations between them."""
    result: Number
    """What the line says comes out."""


@lru_cache(maxsize=4096)
def parse_formula(formula: str) -> Expression:
    """Take a formula apart.

    Example:
        >>> parse_formula("a * 2")
        Expression(operands=('a', '2'), symbols=('*',))
    """
    tokens = formula.split()
    assert len(tokens) % 2 and set(tokens[1::2]) <= set("+-*/"), f"{formula!r} is no chain of operations"
    return Expression(tuple(tokens[::2]), cast("tuple[Symbol, ...]", tuple(tokens[1::2])))


def divide(dividend: Number, divisor: Number) -> Number:
    """Divide exactly; a whole result is an `int`."""
    if isinstance(dividend, int) and isinstance(divisor, int) and divisor and dividend % divisor == 0:
        return dividend // divisor
    return exact(Fraction(dividend) / divisor)


def exact(value: Number) -> Number:
    """Return an equal number, an `int` where it is whole."""
    return value.numerator if value.denominator == 1 else value


def compute(operands: tuple[Number, ...], symbols: tuple[Symbol, ...]) -> Number:
    """Work a chain of operations out, multiplication and division first.

    Raises:
        ZeroDivisionError: a divisor is 0.

    Example:
        >>> compute((2, 3, 4), ("+", "*"))
        14
    """
    terms = [operands[0]]
    for symbol, operand in zip(symbols, operands[1:], strict=True):
        if symbol == "*":
            terms[-1] = terms[-1] * operand
        elif symbol == "/":
            terms[-1] = divide(terms[-1], operand)
        else:
            terms.append(operand if symbol == "+" else -operand)
    return exact(sum(terms[1:], terms[0]))


def quantity(name: str, values: Mapping[str, Number]) -> Number:
    """Return a quantity by its name, or the number that the name spells."""
    return int(name) if name.isdigit() else values[name]


def work_out(task: Task, values: dict[str, Number], *, start: int = 0) -> list[Line]:
    """Carry out the steps from `start` on with the values as they are; adds each result to `values`.

    Raises:
        ZeroDivisionError: a divisor is 0.
    """
    lines = []
    for step in task.steps[start:]:
        names, symbols = step.expression
        operands = tuple(quantity(name, values) for name in names)
        values[step.name] = result = compute(operands, symbols)
        lines.append(Line(operands, symbols, result))
    return lines


def fits(number: Number, task: Task) -> bool:
    """Tell whether a number may occur in a solution of the task, correct or wrong, by its style and sign."""
    if number <= 0 and not task.signed:
        return False
    if task.style is Style.WHOLE:
        return number.denominator == 1
    return 100 % number.denominator == 0 if task.style is Style.DECIMAL else number.denominator <= _LARGEST_DENOMINATOR


def format_number(number: Number, style: Style) -> str:
    """Write a number as its style wants it.

    Example:
        >>> format_number(Fraction(5, 2), Style.DECIMAL), format_number(Fraction(5, 2), Style.FRACTION)
        ('2.5', '5/2')
    """
    if number.denominator == 1 or style is not Style.DECIMAL:
        return str(number)
    hundredths = number * 100
    sign, digits = "-" * (hundredths < 0), f"{abs(hundredths.numerator):03d}"
    return f"{sign}{digits[:-2]}.{digits[-2:]}".rstrip("0")


NAMES = (
    "Mia", "Ada", "Zoe", "Eva", "Tom", "Ben", "Leo", "Max", "Nina", "Omar", "Ravi", "Yuki", "Lena", "Hugo", "Ines",
    "Amir", "Sofia", "Jonas", "Clara", "Diego",
)  # fmt: skip
THINGS = (
    "pencils", "notebooks", "apples", "stickers", "postcards", "marbles", "candles", "oranges", "mugs", "buttons",
    "books", "tickets", "lamps", "plates", "chairs", "batteries",
)  # fmt: skip


class Draw:
    """Draws the numbers and words of one task.

    Args:
        rng: Source of randomness.
        level: Sets the range of the numbers.
        n_phrasings: How many of the phrasings of each text are used; `None` for all.
    """

    def __init__(self, rng: random.Random, level: Level, n_phrasings: int | None = None) -> None:
        self.rng = rng
        self.level = level
        self.top = _TOP[level]
        """Largest of the numbers that are drawn freely."""
        self._n_phrasings = n_phrasings

    def whole(self, low: int, high: int | None = None) -> int:
        """Draw an integer from `low` to `high`, both included; without `high` to the level's top."""
        return self.rng.randint(low, self.top if high is None else high)

    def other_than(self, taken: int, low: int, high: int) -> int:
        """Draw an integer from `low` to `high` that is not `taken`."""
        return self.rng.choice([number for number in range(low, high + 1) if number != taken])

    def choose(self, *options: OptionT) -> OptionT:
        """Draw one of several."""
        return self.rng.choice(options)

    def phrase(self, *texts: str) -> str:
        """Draw one of several phrasings."""
        return self.rng.choice(texts[: self._n_phrasings])

    def people(self) -> dict[str, str]:
        """Draw two names, as the words `who` and `other`."""
        who, other = self.rng.sample(NAMES, 2)
        return {"who": who, "other": other}

    def things(self, n: int) -> tuple[str, ...]:
        """Draw n different things, in the plural."""
        return tuple(self.rng.sample(THINGS, n))


Story: TypeAlias = Callable[[Draw], Task]
