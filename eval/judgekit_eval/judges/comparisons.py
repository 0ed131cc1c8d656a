"""Judges against each other on one benchmark: paired differences of the headline metric, corrected for their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from typing import ClassVar

from pydantic import ConfigDict

from judgekit.metrics.bootstrap import holm_adjust
from judgekit_eval.judges.intervals import Estimate, paired_difference
from judgekit_eval.results import Part, Results


class Pair(Part):
    """Two judges on the same solutions, in percentage points; `None` if a metric is undefined."""

    a: str
    b: str
    difference: float | None
    """a minus b."""
    lo: float | None
    hi: float | None
    p_value: float | None
    p_holm: float | None
    """Corrected for all comparisons of the family."""


class Family(Part):
    """Comparisons that are corrected together."""

    headline_name: str
    n_comparisons: int
    note: str
    """How to read it, in whole sentences."""
    pairs: list[Pair]


class BenchmarkComparisons(Family):
    """The judges of one benchmark with each other."""

    floors: Family | None = None
    """Each of them with what reads nothing; `None` in evaluations of earlier releases."""


class Comparisons(Results):
    """What `comparisons.json` holds: the benchmarks by name, next to the version."""

    unversioned: ClassVar[bool] = True
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, BenchmarkComparisons]

    @property
    def benchmarks(self) -> dict[str, BenchmarkComparisons]:
        """The comparisons by the benchmark's name."""
        return self.__pydantic_extra__


def compare_judges(headlines: Mapping[str, Estimate], *, name: str) -> Family:
    """Compare every pair of judges.

    The resamples of all judges are of the same draws of problems, so their differences are those of a paired
    bootstrap: problems that are hard for both judges do not widen the interval.

    Args:
        headlines: Headline metric of each judge, in [0, 1], by judge id.
        name: What the metric is.
    """
    return _compared(combinations(headlines, 2), headlines, name=name)


def compare_with_floors(headlines: Mapping[str, Estimate], floors: Mapping[str, Estimate], *, name: str) -> Family:
    """Compare every judge with every floor: is it better than what reads nothing?

    A separate family of comparisons, so that floors do not weaken the comparisons among the judges.

    Args:
        headlines: Headline metric of each judge, in [0, 1], by judge id.
        floors: Those of the floors.
        name: What the metric is.

    Returns:
        As `compare_judges`; in every pair `a` is the judge and `b` the floor.
    """
    return _compared(product(headlines, floors), {**headlines, **floors}, name=name)


def _compared(names: Iterable[tuple[str, str]], headlines: Mapping[str, Estimate], *, name: str) -> Family:
    differences = {(a, b): paired_difference(headlines[a], headlines[b]) for a, b in names}
    known = [found.p_value for found in differences.values() if found.p_value is not None]
    # An undefined metric is not a comparison: it costs the others nothing, and has no corrected p.
    corrected = iter(holm_adjust(known))
    pairs = [
        Pair(
            a=a,
            b=b,
            difference=_points(found[0]),
            lo=_points(found[1]),
            hi=_points(found[2]),
            p_value=found.p_value,
            p_holm=None if found.p_value is None else next(corrected),
        )
        for (a, b), found in differences.items()
    ]
    n_resamples = min((len(headline.resampled_R) for headline in headlines.values()), default=0)
    note = "Each interval is at 95 %, and both judges are resampled on the same problems."
    if len(pairs) > 1:
        note += (
            f" {len(pairs)} pairs are compared: with no real difference at all, about {0.05 * len(pairs):.2g} "
            "of them would have an interval without 0. p after Holm allows for all of them together; "
            "p and the intervals do not."
        )
    # The least p of a bootstrap is 2 / (R + 1), and Holm multiplies it: too few resamples can never show anything.
    lowest = min(1.0, len(known) * 2 / (n_resamples + 1))
    if len(pairs) > 1 and lowest > 0.05:
        note += (
            f" With {n_resamples} resamples no p_holm lies below {lowest:.2g}, however large the difference, so none "
            f"tells anything: take n_resamples={40 * len(known)} or more."
        )
    return Family(headline_name=name, n_comparisons=len(pairs), note=note, pairs=pairs)


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share
