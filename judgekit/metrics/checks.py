"""Checks and arithmetic that all metrics share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from judgekit.errors import DataError
from judgekit.ties import TIE

Floats = NDArray[np.float64]


def check_lengths(*columns: Sequence[object] | NDArray[np.generic]) -> None:
    """Refuse columns of one table that have different lengths, or none at all."""
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise DataError(f"columns of one table have lengths {lengths}: give one value per solution in each")
    if not lengths[0]:
        raise DataError("nothing to measure: a metric of no solutions does not exist")


def check_gold(gold: int | None, *, n_steps: int, where: int) -> None:
    """Refuse a first error that is beyond the steps of solution number `where`."""
    if gold is not None and not 0 <= gold < n_steps:
        raise DataError(f"solution {where}: first error {gold} is outside 0..{n_steps - 1}")


def checked_steps(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats) -> tuple[Floats, Floats]:
    """Return probabilities and step labels as arrays; refuse values outside [0, 1] and labels other than 0 and 1."""
    p_ok, ok = np.asarray(p_ok_K, dtype=float), np.asarray(ok_K, dtype=float)
    check_lengths(p_ok, ok)
    outside = ~((p_ok >= 0) & (p_ok <= 1))
    if outside.any():
        raise DataError(f"step {int(outside.argmax())}: probability {p_ok[outside][0]} is outside [0, 1]")
    if not np.isin(ok, (0.0, 1.0)).all():
        raise DataError("a step is correct (1) or wrong (0), nothing else")
    return p_ok, ok


def ratio(part: Floats, whole: Floats, *, undefined: float = np.nan) -> Floats:
    """Return part / whole elementwise, and `undefined` where the whole is not above 0."""
    return np.divide(part, whole, out=np.full_like(part, undefined, dtype=float), where=whole > 0)


def defined(value: float) -> float | None:
    """Return the number, or `None` if arithmetic left NaN for "undefined"."""
    return None if np.isnan(value) else float(value)


def group_ends(sorted_N: Floats) -> NDArray[np.int64]:
    """Return the place of the last of each run of tied values (`judgekit.ties`), in values that are sorted either way.

    Args:
        sorted_N: Finite. Shape (N,), N >= 1.
    """
    before, after = sorted_N[:-1], sorted_N[1:]
    apart = np.abs(after - before) > TIE * np.maximum(np.abs(after), np.abs(before))
    return np.flatnonzero(np.concatenate([apart, [True]]))


def merge_ties(values_N: Floats) -> Floats:
    """Return the values with each put at the lowest value that it is tied with, so that ties are equal bit for bit.

    Example:
        >>> merge_ties(np.array([0.1 + 0.2, 0.5, 0.3])).tolist()
        [0.3, 0.5, 0.3]
    """
    if not len(values_N):
        return values_N
    order = np.argsort(values_N, kind="stable")
    ends = group_ends(values_N[order])
    starts = np.concatenate([[0], ends[:-1] + 1])
    merged = np.empty_like(values_N)
    merged[order] = np.repeat(values_N[order][starts], ends - starts + 1)
    return merged


def cumulate_by_value(values_N: Floats, marked_N: Floats, weights_R_N: Floats) -> tuple[Floats, Floats]:
    """Return how much weight lies at or below each distinct value, and how much of it is marked, the lowest first.

    Args:
        values_N: What is ranked; tied values (`judgekit.ties`) are one. Shape (N,).
        marked_N: 1 where a unit is marked, else 0. Shape (N,).
        weights_R_N: How often each unit counts, for many weightings at once. Shape (R, N).

    Returns:
        Shape (R, V) both.
    """
    order = np.argsort(values_N, kind="stable")
    ends = group_ends(values_N[order])
    weights = weights_R_N[:, order]  # a copy, which the marks are put into: arrays of resamples are large
    below = np.cumsum(weights, axis=1)[:, ends]
    weights *= marked_N[order]
    return below, np.cumsum(weights, axis=1)[:, ends]
