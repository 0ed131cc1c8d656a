"""Evaluates formulas, and decides whether two formulas are the same function of their letters.

Letters stand for fixed numbers, so two formulas with different values are different formulas, and two with the same
values at several points are the same (polynomial identity testing). Numbers without letters are exact as long as no
root or transcendental is in them. Powers and factorials are bounded before they are computed: nothing here can be
made to run for long.
"""

from __future__ import annotations

import cmath
import math
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from judgekit.answers.formulas import NAMED_FUNCTIONS, Formula, HugeError, Node, UncoveredError

Value: TypeAlias = Fraction | complex
"""Exact, or in floating-point arithmetic."""

MAX_BITS = 200_000
"""Size of the largest exact number; what is larger is huge, and nobody's answer."""
MAX_FACTORIAL = 5_000
"""Largest number whose factorial is computed."""
N_POINTS = 3
"""How many sets of values the letters take."""
SAME = 1e-9
"""Relative difference up to which two values of floating-point arithmetic are the same."""


class Point(NamedTuple):
    """What stands for the letters."""

    seed: int
    """Another seed gives other values."""
    log_base: float = math.e
    r"""The base of `\log` where none is written."""
    is_whole: bool = False
    """Whether letters are integers, as where parts are rounded."""
    ignore_case: bool = False
    """Whether `R` and `r` are one letter."""

    def value(self, letter: str) -> Value:
        """A number from 1.2 to 2.9, or a whole one from 3 to 40; equal for equal names."""
        hashed = zlib.crc32(f"{self.seed}:{letter.lower() if self.ignore_case else letter}".encode())
        return Fraction(3 + hashed % 38) if self.is_whole else complex(1.2 + 1.7 * hashed / 2**32)


def evaluate(node: Node, point: Point) -> Value:
    """Work out the value at a point.

    Raises:
        UncoveredError: it has none, or which one is a matter of convention.
        HugeError: a power or factorial is out of bounds.
    """
    try:
        return _checked(_evaluate(node, point))
    except (ArithmeticError, ValueError) as error:
        raise UncoveredError from error


def _checked(value: Value) -> Value:
    if isinstance(value, Fraction):
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
            raise HugeError
        return value
    if not cmath.isfinite(value):
        raise UncoveredError
    return value


def _evaluate(node: Node, point: Point) -> Value:
    kind = node[0]
    if kind == "number":
        return Fraction(node[1])
    if kind == "letter":
        return point.value(node[1])
    if kind == "constant":
        return complex(node[1])
    if kind in {"+", "-", "*", "/"}:
        left, right = _evaluate(node[1], point), _evaluate(node[2], point)
        if not (isinstance(left, Fraction) and isinstance(right, Fraction)):
            left, right = _complex(left), _complex(right)
        result = _OPERATIONS[kind](left, right)
        return _checked(result)
    if kind == "^":
        return _checked(_power(_evaluate(node[1], point), _evaluate(node[2], point)))
    if kind == "root":
        return _root(_evaluate(node[1], point), _evaluate(node[2], point))
    if kind == "!":
        return _factorial(_evaluate(node[1], point))
    if kind == "binom":
        upper, lower = _evaluate(node[1], point), _evaluate(node[2], point)
        if _is_natural(upper) and _is_natural(lower) and upper.real <= MAX_FACTORIAL:
            return _checked(Fraction(math.comb(int(upper.real), int(lower.real))))
        if _is_natural(upper) and _is_natural(lower):
            raise HugeError
        n, k = _complex(upper), _complex(lower)
        if n.imag or k.imag or n.real <= -1 or k.real <= -1 or n.real - k.real <= -1 or n.real > 100:
            raise UncoveredError
        return complex(math.gamma(n.real + 1) / math.gamma(k.real + 1) / math.gamma(n.real - k.real + 1))
    if kind == "abs":
        value = _evaluate(node[1], point)
        return abs(value) if isinstance(value, Fraction) else complex(abs(value))
    if kind in {"floor", "ceil"}:
        return _rounded(_evaluate(node[1], point), up=kind == "ceil")
    if kind == "log":
        argument = _complex(_evaluate(node[1], point))
        base = complex(point.log_base) if node[2] == ("base",) else _complex(_evaluate(node[2], point))
        if argument.real <= 0 or base.real <= 0:
            raise UncoveredError
        return cmath.log(argument) / cmath.log(base)
    if kind == "call":
        return _checked(NAMED_FUNCTIONS[node[1]](_complex(_evaluate(node[2], point))))
    raise UncoveredError


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
}


def _complex(value: Value) -> complex:
    return complex(float(value)) if isinstance(value, Fraction) else value


def _is_natural(value: Value) -> bool:
    return value.imag == 0 and value.real >= 0 and value.real == int(value.real)


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(base) != 1 and bits * abs(exponent) > MAX_BITS:
            raise HugeError
        if base in {0, 1, -1} and abs(exponent) > MAX_BITS:
            exponent = exponent % 2 + (0 if base else 2)
        return base ** int(exponent)
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator <= 64 and base >= 0:
        # A root of an exact number stays exact where it is rational: 27^{2/3}.
        return _power(_root(base, Fraction(exponent.denominator)), Fraction(exponent.numerator))
    base, exponent = _complex(base), _complex(exponent)
    is_whole = exponent.imag == 0 and exponent.real == round(exponent.real)
    if base.real < 0 and not is_whole:
        raise UncoveredError  # which of the roots is a matter of convention
    return base**exponent


def _root(value: Value, degree: Value) -> Value:
    if isinstance(value, Fraction) and isinstance(degree, Fraction) and degree.denominator == 1 and 2 <= degree <= 64:
        above, below = (_whole_root(part, int(degree)) for part in (value.numerator, value.denominator))
        if above is not None and below is not None:
            return Fraction(above, below)
    if degree == 2:
        return cmath.sqrt(_complex(value))
    value = _complex(value)
    if value.real < 0 or not degree:
        raise UncoveredError
    return value ** (1 / _complex(degree))


def _whole_root(value: int, degree: int) -> int | None:
    if value < 0 or value.bit_length() > 1000:
        return None
    guess = math.isqrt(value) if degree == 2 else round(value ** (1 / degree))
    return next((root for root in (guess, guess - 1, guess + 1) if root >= 0 and root**degree == value), None)


def _factorial(value: Value) -> Value:
    if not _is_natural(value):
        if value.imag == 0 and 0 < value.real < 100:
            return complex(math.gamma(value.real + 1))
        raise UncoveredError
    if value.real > MAX_FACTORIAL:
        raise HugeError
    return Fraction(math.factorial(int(value.real)))


def _rounded(value: Value, *, up: bool) -> Value:
    if isinstance(value, Fraction):
        return Fraction(math.ceil(value) if up else math.floor(value))
    if value.imag or abs(value.real) > 1e12 or abs(value.real - round(value.real)) < SAME:
        raise UncoveredError  # a rounding error would decide
    return Fraction(math.ceil(value.real) if up else math.floor(value.real))


def are_same(left: Value, right: Value) -> bool:
    """Whether two values are equal; exactly so where both are exact."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right
    try:
        first, second = _complex(left), _complex(right)
    except OverflowError:
        return False
    return abs(first - second) <= SAME * max(abs(first), abs(second), 1e-300)


class Values:
    """The values of one formula, computed when they are requested."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula

    @cached_property
    def exact(self) -> Fraction | None:
        """The value where the formula is a rational number."""
        if self.formula.letters:
            return None
        value = self.at(Point(0))
        return value if isinstance(value, Fraction) else None

    def at(self, point: Point) -> Value:
        """The value at a point; see `evaluate`."""
        return evaluate(self.formula.node, point)


def compare_formulas(left: Formula, right: Formula) -> bool | None:
    r"""Whether two formulas are the same function of their letters; `None` if their values cannot tell.

    Where they have letters in capitals and small ones (`R`, `r`), `\log` without a base, rounding to whole numbers, or
    a second reading, only agreement proves something.

    Raises:
        UncoveredError: one of them has no value.
        HugeError: one of them is out of bounds.
    """
    has_letters = bool(left.letters or right.letters)
    points = [Point(seed) for seed in range(N_POINTS if has_letters else 1)]
    same = _agree(left, right, points)
    text = str(left.node) + str(right.node)
    if "'floor'" in text or "'ceil'" in text or "'!'" in text or "'binom'" in text:
        # Such formulas are about integers, of which three tell little.
        whole = _agree(left, right, [Point(seed, is_whole=True) for seed in range(8)])
        if has_letters and same != whole:
            return None
        return same
    if same or (not has_letters and "base" not in text):
        return same
    if left.is_doubtful or right.is_doubtful:
        return None
    bases = [Point(0, log_base=base) for base in (2.0, 10.0)]
    if "base" in text and any(_agree(left, right, [point]) for point in bases):
        return None
    lowered = [Point(seed, ignore_case=True) for seed in range(N_POINTS)]
    return None if left.letters != right.letters and _agree(left, right, lowered) else False


def _agree(left: Formula, right: Formula, points: Sequence[Point]) -> bool:
    return all(are_same(evaluate(left.node, point), evaluate(right.node, point)) for point in points)
