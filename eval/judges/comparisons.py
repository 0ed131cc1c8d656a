"""Judges against each other on one benchmark: paired differences of the headline figure, corrected for their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from typing import Any

from eval.judges.intervals import Estimate, paired_difference
from judgekit.metrics.bootstrap import holm_adjust


def compare_judges(headlines: Mapping[str, Estimate], *, name: str) -> dict[str, Any]:
    """Compare every pair of judges.

    The resamples of all judges are of the same draws of problems, so their differences are those of a paired
    bootstrap: problems that are hard for both judges do not widen the interval.

    Args:
        headlines: Headline figure of each judge, in [0, 1], by judge id.
        name: What the figure is.

    Returns:
        `headline_name`, `n_comparisons`, `note` and `pairs`, each with `difference` (a minus b), `lo`, `hi` in percent
        points, `p_value` and `p_holm`; null where a figure is undefined.
    """
    return _compared(combinations(headlines, 2), headlines, name=name)


def compare_with_floors(
    headlines: Mapping[str, Estimate], floors: Mapping[str, Estimate], *, name: str
) -> dict[str, Any]:
    """Compare every judge with every floor: is it better than what reads nothing?

    A family of comparisons of its own, so that floors cost the judges nothing among each other.

    Args:
        headlines: Headline figure of each judge, in [0, 1], by judge id.
        floors: Those of the floors.
        name: What the figure is.

    Returns:
        As `compare_judges`; in every pair `a` is the judge and `b` the floor.
    """
    return _compared(product(headlines, floors), {**headlines, **floors}, name=name)


def _compared(names: Iterable[tuple[str, str]], headlines: Mapping[str, Estimate], *, name: str) -> dict[str, Any]:
    pairs = [_pair(a, b, headlines[a], headlines[b]) for a, b in names]
    known = [pair["p_value"] for pair in pairs if pair["p_value"] is not None]
    corrected = iter(holm_adjust(known))
    for pair in pairs:
        pair["p_holm"] = None if pair["p_value"] is None else next(corrected)
    n_resamples = min((len(headline.resampled_R) for headline in headlines.values()), default=0)
    note = _note(len(pairs), n_known=len(known), n_resamples=n_resamples)
    return {"headline_name": name, "n_comparisons": len(pairs), "note": note, "pairs": pairs}


def _note(n_pairs: int, *, n_known: int, n_resamples: int) -> str:
    text = "Intervals are of 95 % each, and problems are drawn anew for both judges together."
    if n_pairs > 1:
        text += (
            f" {n_pairs} pairs are compared: with no real difference at all, about {0.05 * n_pairs:.2g} of them would "
            "have an interval without 0. p_holm holds for all of them together; p_value and the intervals do not."
        )
    lowest = min(1.0, n_known * 2 / (n_resamples + 1))
    if n_pairs > 1 and lowest > 0.05:
        text += (
            f" With {n_resamples} resamples no p_holm lies below {lowest:.2g}, however large the difference, so none "
            f"tells anything: take n_resamples={40 * n_known} or more."
        )
    return text


def _pair(a: str, b: str, of_a: Estimate, of_b: Estimate) -> dict[str, Any]:
    found = paired_difference(of_a, of_b)
    points = {
        name: None if value is None else 100 * value
        for name, value in zip(("difference", "lo", "hi"), found[:3], strict=True)
    }
    return {"a": a, "b": b, **points, "p_value": found.p_value, "p_holm": None}
