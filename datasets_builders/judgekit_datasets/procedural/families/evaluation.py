"""Reads the equation that a step states, and computes both sides exactly, from the text alone.

It shares no code with what writes the steps, so that a step that passes here has been checked, not trusted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from judgekit.errors import DataError

_TIMES, _OVER = "*\N{MULTIPLICATION SIGN}", "/\N{DIVISION SIGN}"
_CANDIDATE = re.compile(rf"[0-9.+\-{_TIMES}{_OVER}()= ]+")
_TOKEN = re.compile(rf"\d+(?:\.\d+)?|[-+{_TIMES}{_OVER}()]")
_DEEPEST = 20
"""Brackets and signs in one another; deeper ones would end at Python's limit of recursion."""

_Exact: TypeAlias = int | Fraction


class Equation(NamedTuple):
    """An equation between numbers."""

    left: _Exact
    """Value of the left side."""
    right: _Exact
    """Value of the right side."""

    @property
    def holds(self) -> bool:
        """Whether both sides are the same number."""
        return self.left == self.right


def read_equation(text: str) -> Equation:
    """Return the one equation between numbers that a text states; `3x = 20 - 5 = 15` states `20 - 5 = 15`.

    Raises:
        DataError: there is none, there are several, or a side is not an arithmetic expression or divides by 0.

    Example:
        >>> read_equation("They cost (3/4) * 8 = 6 dollars.")
        Equation(left=Fraction(6, 1), right=6)
    """
    stated = []
    for run in _CANDIDATE.findall(text):
        # A side that is blank belongs to words around the run.
        sides = [side for side in (part.strip(" .") for part in run.split("=")) if side]
        stated += [sides] if len(sides) > 1 else []
    if len(stated) != 1 or len(stated[0]) != 2:
        raise DataError(f"{text!r} must state one equation, not {len(stated)}")
    left, right = (_value(side, text) for side in stated[0])
    return Equation(left, right)


def _value(side: str, text: str) -> _Exact:
    tokens = _TOKEN.findall(side)
    if "".join(tokens) != side.replace(" ", ""):
        raise DataError(f"{side!r} in {text!r} is not an arithmetic expression")
    try:
        value, position = _sum(tokens, 0, 0)
    except (IndexError, ZeroDivisionError) as error:
        raise DataError(f"{side!r} in {text!r} cannot be computed: {error}") from error
    if position != len(tokens):
        raise DataError(f"{side!r} in {text!r} is not an arithmetic expression")
    return value


def _sum(tokens: Sequence[str], position: int, depth: int) -> tuple[_Exact, int]:
    value, position = _product(tokens, position, depth)
    while position < len(tokens) and tokens[position] in "+-":
        term, after = _product(tokens, position + 1, depth)
        value, position = (value + term if tokens[position] == "+" else value - term), after
    return value, position


def _product(tokens: Sequence[str], position: int, depth: int) -> tuple[_Exact, int]:
    value, position = _factor(tokens, position, depth)
    while position < len(tokens) and tokens[position] in _TIMES + _OVER:
        factor, after = _factor(tokens, position + 1, depth)
        value, position = (value * factor if tokens[position] in _TIMES else Fraction(value) / factor), after
    return value, position


def _factor(tokens: Sequence[str], position: int, depth: int) -> tuple[_Exact, int]:
    token = tokens[position]
    if depth > _DEEPEST or token in "+)" + _TIMES + _OVER:
        raise IndexError(f"unexpected {token!r}")
    if token == "-":
        value, position = _factor(tokens, position + 1, depth + 1)
        return -value, position
    if token == "(":
        value, position = _sum(tokens, position + 1, depth + 1)
        if tokens[position] != ")":
            raise IndexError(f"unexpected {tokens[position]!r}")
        return value, position + 1
    return (int(token) if token.isdigit() else Fraction(token)), position + 1
