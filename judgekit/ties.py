"""When floating-point results count as equal: one rule for everything that is ranked.

The same number computed in two ways, 0.9 * 0.8 and 0.8 * 0.9 * 1.0 or (0.1 + 0.2) and 0.3, differs in its last bits. A
ranking that takes such a difference for a preference measures rounding, and this dominates for a judge with few
distinct values. Numbers are therefore tied if they are closer than `TIE` to each other, relative to their size. Nothing
here is absolute: 1e-30 and 2e-30 are far apart. Imports only the standard library, like `judgekit.types`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

TIE = 1e-12
"""Numbers whose difference is at most this share of the larger one are tied: thousands of roundings, and far below what
any judge can mean. Sorted numbers are chained: each is tied with its neighbour or begins a new group."""
DIGITS = 13
"""Significant digits that are kept of a probability that was computed, not given: so many that it stays tied with the
probability that was given, and none that rounding of a long product reaches."""


def is_tied(a: float, b: float) -> bool:
    """Return whether two numbers are equal but for rounding, see `TIE`. Infinities are tied with themselves alone.

    Example:
        >>> is_tied(0.1 + 0.2, 0.3), is_tied(1e-30, 2e-30)
        (True, False)
    """
    return math.isclose(a, b, rel_tol=TIE, abs_tol=0.0)


def is_below(value: float, threshold: float) -> bool:
    """Return whether a number lies below a threshold by more than rounding, see `TIE`.

    Example:
        >>> is_below(0.3, 0.1 + 0.2), is_below(0.3, 0.4)
        (False, True)
    """
    return value < threshold and not is_tied(value, threshold)


def rounded(value: float) -> float:
    """Return the number with `DIGITS` significant digits, so that what rounding set apart is equal again.

    Example:
        >>> rounded(0.1 + 0.2), rounded(1 - 0.9)
        (0.3, 0.1)
    """
    return float(f"{value:.{DIGITS}g}")


def first_largest(values: Sequence[float]) -> int:
    """Return the place of the first value that is tied with the largest one.

    Example:
        >>> first_largest([0.2, 0.3, 0.1 + 0.2])
        1
    """
    largest = max(values)
    return next(place for place, value in enumerate(values) if is_tied(value, largest))
