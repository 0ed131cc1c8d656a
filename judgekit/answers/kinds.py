"""The kinds of answers: typed values that cover the whole of a text; `grammar` reads them."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias

from judgekit.answers.formulas import Formula
from judgekit.answers.units import Unit
from judgekit.answers.wording import Date


class Scalar(NamedTuple):
    """A number or formula, with what it is a number of."""

    formula: Formula
    """The number or formula."""
    exact: Fraction | None = None
    """Its value where that is a rational number."""
    decimals: int | None = None
    """Digits after the point where it is written as one decimal number (`2.50e3` has -1)."""
    unit: Unit | None = None
    """Its unit or currency."""
    is_percent: bool = False
    """Whether it is written in percent; `exact` then is the number in front of the sign."""
    unit_letter: str = ""
    """A last letter that may also be a unit: `6m`."""
    n_units: int = 1
    """Units in it: two in `5 feet 6 inches`, which is not a number of either."""


class Interval(NamedTuple):
    """All numbers between two ends; `x <= 5` has an infinite one."""

    low: Scalar
    """Lower end."""
    high: Scalar
    """Upper end."""
    low_closed: bool
    """Whether the lower end belongs to it."""
    high_closed: bool
    """Whether the upper end belongs to it."""
    name: str = ""
    """The variable where it is given by an inequality."""


class Union(NamedTuple):
    """Several intervals and finite sets as one set of numbers."""

    parts: tuple[Answer, ...]
    """Intervals and sets."""


class Several(NamedTuple):
    r"""A set, or several answers, in no order. `2 or 3` and `\\pm 1` are such."""

    items: tuple[Answer, ...]
    """The answers, as often as they are stated."""
    in_braces: bool = False
    """Whether it is written as a set."""
    has_gap: bool = False
    """Whether dots stand for some of them."""


class Ordered(NamedTuple):
    """A point, tuple or matrix. `(1, 3)` may also be an open interval."""

    items: tuple[Answer, ...]
    """Its parts."""
    kind: Literal["tuple", "matrix"] = "tuple"
    """How it is written."""


class Named(NamedTuple):
    """`x = 5`, `f(x) = 2x`, `total = 18`."""

    name: str
    """What is on the left; `""` where that is an expression that was computed."""
    value: Answer
    """What it is."""
    left: Formula | None = None
    """The left side as a formula, for comparison with equations."""


class Equation(NamedTuple):
    """An equation whose left side is not a name."""

    left: Formula
    """Left side."""
    right: Formula
    """Right side."""


class Ordering(NamedTuple):
    """An inequality between formulas, turned so that it rises: `c < a < b`."""

    sides: tuple[Formula, ...]
    """From the smallest on."""
    signs: tuple[str, ...]
    """`<`, `\\le` or `\\ne` between them."""


class Clock(NamedTuple):
    """A time of day, or `2:41`, which may also be a ratio."""

    hour: int
    """As it is written."""
    minute: int
    """As it is written."""
    half: str
    """`am`, `pm` or `""`."""


class Ratio(NamedTuple):
    """`2:3:4`."""

    parts: tuple[Fraction, ...]
    """Its terms."""


class Based(NamedTuple):
    """A number in a base that is written next to it."""

    digits: str
    """As it is written, without leading zeros."""
    base: int
    """The base."""


class Choice(NamedTuple):
    """The letter of a choice."""

    letter: str
    """A capital letter."""


class Words(NamedTuple):
    """A name or a phrase."""

    words: tuple[str, ...]
    """In small letters, without articles."""


class Condition(NamedTuple):
    """A set that is given by a condition other than an inequality; known by its spelling alone."""

    spelling: str
    """Without white space."""


class Denial(NamedTuple):
    """`not 5`: says what the answer is not."""


Answer: TypeAlias = (
    Scalar | Interval | Union | Several | Ordered | Named | Equation | Ordering | Clock | Date | Ratio | Based | Choice
    | Words | Condition | Denial
)  # fmt: skip
"""What an answer says."""
