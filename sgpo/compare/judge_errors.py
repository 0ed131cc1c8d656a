"""The effect of a judge's simulated errors: final accuracy against the error rate, its trend, its plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from judgekit.report.page import Series, round_values
from sgpo.compare.figures import Plot, cut
from sgpo.compare.results import ArmResult, Comparison, Trend
from sgpo.compare.statistics import correct_for_arms, paired_difference

MOST_FLAT = 4
"""Maximum arms without a judge that are drawn next to those with an erring judge; with more, only the reference arm."""


class Line(NamedTuple):
    """One algorithm with one judge and one kind of error."""

    error_kind: str
    """Which way."""
    algorithm: str
    """Type of the algorithm."""
    judge: str | None
    """The judge that is made to err."""
    points: list[tuple[float, ArmResult]]
    """Error rates and arms, ascending; at 0 the arm whose judge has no simulated errors."""


def error_lines(arms: Mapping[str, ArmResult]) -> list[Line]:
    """Group the arms with simulated errors by kind of error, algorithm and judge."""
    lines: dict[tuple[str, str, str | None], Line] = {}
    for arm in arms.values():
        if arm.error_kind is not None and arm.error_rate is not None:
            key = (arm.error_kind, arm.algorithm, arm.judge)
            lines.setdefault(key, Line(*key, [])).points.append((arm.error_rate, arm))
    for line in lines.values():
        line.points.extend(
            (0.0, arm)
            for arm in arms.values()
            if arm.error_kind is None and (arm.algorithm, arm.judge) == (line.algorithm, line.judge)
        )
        line.points.sort(key=lambda point: point[0])
    return list(lines.values())


def error_trends(arms: Mapping[str, ArmResult]) -> tuple[Trend, ...]:
    """Return the slope of final accuracy over the error rate, per seed, for every line with two rates or more.

    One test per line, not one per rate: all rates together may show over a few seeds what no single rate does.
    """
    lines = [line for line in error_lines(arms) if len({rate for rate, _ in line.points}) > 1]
    slopes = {}
    for index, line in enumerate(lines):
        rates = [rate for rate, _ in line.points]
        by_seed = {}
        for seed in line.points[0][1].seeds:
            runs = [arm.seeds.get(seed) for _, arm in line.points]
            ends = [run.final_accuracy for run in runs if run is not None and run.final_accuracy is not None]
            if len(ends) == len(rates):
                by_seed[int(seed)] = float(np.polyfit(rates, ends, deg=1)[0])
        slopes[str(index)] = paired_difference(by_seed, dict.fromkeys(by_seed, 0.0))
    corrected = correct_for_arms(slopes).values()
    return tuple(
        Trend(
            error_kind=line.error_kind,
            algorithm=line.algorithm,
            judge=line.judge,
            rates=tuple(rate for rate, _ in line.points),
            slope=slope,
        )
        for line, slope in zip(lines, corrected, strict=True)
    )


def error_plots(comparison: Comparison) -> list[Plot]:
    """Return final accuracy over the judge's error rate: one plot per kind of error, one line per algorithm.

    Arms without a judge, and the reference arm, are horizontal lines. Empty if no judge has simulated errors.
    """
    lines = error_lines(comparison.arms)
    flat = {name: arm for name, arm in comparison.arms.items() if arm.judge is None}
    if len(flat) > MOST_FLAT:
        flat = {}
    flat = {comparison.reference: comparison.arms[comparison.reference]} | flat
    most = max((rate for line in lines for rate, _ in line.points), default=0.0)
    several = len({line.judge for line in lines}) > 1
    found = []
    for kind in dict.fromkeys(line.error_kind for line in lines):
        series = [
            _series(f"{line.algorithm}, {line.judge}" if several else line.algorithm, line.points)
            for line in lines
            if line.error_kind == kind
        ]
        series += [_series(name, [(0.0, arm), (most, arm)]) for name, arm in flat.items()]
        found.append(
            Plot(f"{kind} errors", series, "share of verdicts that are wrong, %", "final accuracy", (0.0, 1.0))
        )
    ends = [end for plot in found for line in plot.series for end in line.y if end is not None]
    top = round_values(0.0, max(ends, default=1.0), n_most=5)[-1]
    return [plot._replace(y_range=(0.0, top), series=[cut(line, (0.0, top)) for line in plot.series]) for plot in found]


def _series(name: str, points: Sequence[tuple[float, ArmResult]]) -> Series:
    ends = [arm.final_interval for _, arm in points]
    values = [arm.final_accuracy for _, arm in points]
    return Series(name, [100 * rate for rate, _ in points], values, [end.lo for end in ends], [end.hi for end in ends])
