"""The value of a side of an equality: exact, a number or linear in letters, of bounded size; `None` if unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import isqrt
from typing import TypeAlias

Linear: TypeAlias = Mapping[str, Fraction]
"""Coefficients by letter, the constant under `""`; zeros are left out."""
_MAX_BITS = 200
_MAX_EXPONENT = 30
_ROOT_SCALE = 10**12


@dataclass
class Side:
    """One side of an equality; filled in while it is read."""

    value: Linear | None = None
    """Its value; `None` if it has none that can be computed."""
    operations: int = 0
    """Operations in it."""
    operands: list[Fraction] = field(default_factory=list)
    """Numbers in it, as they stand."""
    decimals: int = 0
    """Decimals of the last number."""
    has_decimals: bool = False
    """Whether any number has decimals."""
    is_irrational: bool = False
    """Whether a root was cut off."""
    is_percent: bool = False
    """Whether it ends in a percent sign."""
    has_power_of_ten: bool = False
    """Whether it has a factor such as `10^8`, as measured quantities do."""
    is_doubtful: bool = False
    """Whether there is more than one way to read it: a mismatch then says nothing."""
    units: set[str] = field(default_factory=set)
    """Words of units in it."""
    text: str = ""
    """As it stands, without the mark-up that `readable` removes."""
    tokens: range = range(0)
    """Places of its tokens in the text."""

    @property
    def number(self) -> Fraction | None:
        """The value where no letter is in it."""
        return constant(self.value)

    @property
    def letter(self) -> str | None:
        """The one letter that this side consists of, if it does."""
        if self.value is None or len(self.value) != 1 or self.operations:
            return None
        [(letter, factor)] = self.value.items()
        return letter or None if factor == 1 else None


def constant(value: Linear | None) -> Fraction | None:
    """Return a value in which no letter is; `None` for any other."""
    return None if value is None or any(value) else value.get("", Fraction(0))


def _bounded(value: dict[str, Fraction]) -> Linear | None:
    value = {letter: factor for letter, factor in value.items() if factor}
    sizes = (max(f.numerator.bit_length(), f.denominator.bit_length()) for f in value.values())
    return value if max(sizes, default=0) <= _MAX_BITS else None


def add(left: Linear | None, right: Linear | None, sign: int) -> Linear | None:
    """Return `left + sign * right`."""
    if left is None or right is None:
        return None
    return _bounded({key: left.get(key, Fraction(0)) + sign * right.get(key, Fraction(0)) for key in {**left, **right}})


def multiply(left: Linear | None, right: Linear | None) -> Linear | None:
    """Return the product; `None` if both have letters."""
    if left is None or right is None:
        return None
    for factor, other in ((constant(left), right), (constant(right), left)):
        if factor is not None:
            return _bounded({letter: factor * value for letter, value in other.items()})
    return None


def divide(left: Linear | None, right: Linear | None) -> Linear | None:
    """Return the quotient; `None` if the divisor is zero or has letters."""
    divisor = constant(right)
    return multiply(left, {"": 1 / divisor}) if divisor else None


def power(base: Linear | None, exponent: Linear | None) -> Linear | None:
    """Return the power of a number to a small whole one."""
    number, n = constant(base), constant(exponent)
    if number is None or n is None or n.denominator != 1 or abs(n) > _MAX_EXPONENT:
        return None
    if (not number and n < 0) or number.numerator.bit_length() * abs(n) > _MAX_BITS:
        return None
    return _bounded({"": number ** int(n)})


def root(value: Linear | None) -> tuple[Linear | None, bool]:
    """Return the square root of a number, and whether it is cut off behind twelve decimals."""
    number = constant(value)
    if number is None or number < 0 or number.numerator.bit_length() > _MAX_BITS:
        return None, False
    top, bottom = isqrt(number.numerator), isqrt(number.denominator)
    if top * top == number.numerator and bottom * bottom == number.denominator:
        return {"": Fraction(top, bottom)}, False
    return {"": Fraction(isqrt(int(number * _ROOT_SCALE * _ROOT_SCALE)), _ROOT_SCALE)}, True
