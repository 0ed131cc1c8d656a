r"""The numeric value of a short formula in LaTeX: enough to see that two answers differ, without computer algebra.

The grammar knows numbers, `\pi`, single letters, sums, products, quotients, powers, `\frac` and `\sqrt`; anything else
has no value here. Letters stand for fixed numbers, so two formulas with different values are different formulas
(polynomial identity testing at one point), and those with the same value are for a computer algebra system to compare.
"""

from __future__ import annotations

import cmath
import re
from itertools import islice

MAX_TOKENS = 100
"""Longer formulas have no value; bounds time and recursion."""
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\.\d+|\\[a-z]+|[-+*/^(){}\[\]]|[a-zA-Z](?![a-zA-Z])|(?P<unknown>\S)")
_UNSEEN = re.compile(r"\\(?:left|right)(?![a-z])|\\[,;! ]|\\?\$|\^\{?\\circ\}?")
_SAME = {"\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\cdot": "*", "\\times": "*", "\\div": "/"}
_OPENS = {"(": ")", "{": "}"}
_CONSTANTS = {"\\pi": cmath.pi, "i": 1j, "e": cmath.e}
_NUMBER_START = frozenset("0123456789.")
GOLDEN = 0.6180339887498949
"""Its multiples modulo 1 lie far apart and far from simple fractions: the values of the letters."""


def compute_value(formula: str) -> complex | None:
    r"""Return the value of a formula, or `None` where it is beyond the grammar or not finite.

    Example:
        >>> compute_value("\\frac{1+3}{2}^2")
        (4+0j)
        >>> compute_value("\\int x") is None
        True
    """
    readable = _UNSEEN.sub(" ", formula.replace("\u2212", "-"))
    matches = list(islice(_TOKEN.finditer(readable), MAX_TOKENS + 1))
    if not 0 < len(matches) <= MAX_TOKENS or any(match["unknown"] for match in matches):
        return None
    parser = _Parser([_SAME.get(match.group(), match.group()) for match in matches])
    try:
        value = parser.sum()
    except (_NoValueError, ArithmeticError):
        return None
    return value if not parser.tokens and cmath.isfinite(value) else None


def has_letters(formula: str) -> bool:
    """Whether a letter outside LaTeX commands stands in the formula: a variable, or a unit."""
    return re.search(r"(?<![\\a-zA-Z])[a-zA-Z]", _UNSEEN.sub(" ", formula)) is not None


class _NoValueError(Exception):
    """The formula is beyond the grammar."""


class _Parser:
    """Recursive descent over the tokens, last one first in the list."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens[::-1]

    @property
    def next(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def sum(self) -> complex:
        value = self.product()
        while self.next in {"+", "-"}:
            sign = 1 if self.pop() == "+" else -1
            value += sign * self.product()
        return value

    def product(self) -> complex:
        value = self.signed()
        while self.next and self.next not in {"+", "-", ")", "}", "]", "^"}:
            if self.next in {"*", "/"}:
                operator = self.pop()
                factor = self.signed()
                value = value * factor if operator == "*" else value / factor
            elif self.next[0] in _NUMBER_START or self.next == "\\frac":
                raise _NoValueError  # `1 2` or a mixed number: who knows
            else:
                value *= self.power()
        return value

    def signed(self) -> complex:
        if self.next in {"+", "-"}:
            sign = 1 if self.pop() == "+" else -1
            return sign * self.signed()
        return self.power()

    def power(self) -> complex:
        base = self.atom()
        if self.next != "^":
            return base
        self.pop()
        return _power(base, self.argument())

    def atom(self) -> complex:
        token = self.pop()
        if token[0] in _NUMBER_START:
            return complex(float(token))
        if token in _CONSTANTS:
            return complex(_CONSTANTS[token])
        if token in _OPENS:
            value = self.sum()
            self.expect(_OPENS[token])
            return value
        if token == "\\frac":
            if len(self.next) == 2 and self.next.isdecimal():  # `\frac34`
                digits = self.pop()
                return complex(int(digits[0]) / int(digits[1]))
            return self.argument() / self.argument()
        if token == "\\sqrt":
            return self.root()
        if token.isalpha():
            return complex(2.5 + ord(token.lower()) * GOLDEN % 1)
        raise _NoValueError

    def root(self) -> complex:
        if self.next != "[":
            return cmath.sqrt(self.argument())
        self.pop()
        degree = self.sum()
        self.expect("]")
        return _power(self.argument(), 1 / degree)

    def argument(self) -> complex:
        r"""What a command or a power takes: a group or one character; of `x^10` or `\sqrt12` nobody can tell."""
        if self.next[:1] in _NUMBER_START and len(self.next) > 1:
            raise _NoValueError
        return self.atom()

    def expect(self, token: str) -> None:
        if self.pop() != token:
            raise _NoValueError

    def pop(self) -> str:
        if not self.tokens:
            raise _NoValueError
        return self.tokens.pop()


def _power(base: complex, exponent: complex) -> complex:
    if base.real < 0 and exponent not in {complex(n) for n in range(-9, 10)}:
        raise _NoValueError  # which of the roots is a matter of convention
    return base**exponent


__all__ = ["compute_value", "has_letters"]
