"""Evenly spaced selection if a configuration asks for fewer items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def evenly_spaced(items: Sequence[T], n_most: int | None) -> Sequence[T]:
    """Return all items, or evenly spaced ones, the first among them, where there are more than wanted.

    Args:
        items: What there is, in its order.
        n_most: How many are wanted at most; `None` = all.

    Example:
        >>> evenly_spaced("abcdefgh", 3)
        ['a', 'c', 'f']
    """
    if n_most is None or len(items) <= n_most:
        return items
    return [items[i * len(items) // n_most] for i in range(n_most)]
