"""The figures of a comparison as data: lines with bands over seeds, for the page and for pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from judgekit.metrics.bootstrap import t_interval
from judgekit.report.page import COLOURS, Series, round_values
from sgpo.compare.results import Comparison, Curve, SeedResult

N_POINTS = 60
"""Maximum points of a line; longer curves are averaged over as many stretches."""
MOST_LINES = len(COLOURS)
"""Maximum arms in one plot; with more, each arm has a panel of its own next to the reference arm."""


class Plot(NamedTuple):
    """A plot as data."""

    title: str
    """Title of the plot."""
    series: Sequence[Series]
    """Lines with their bands, clipped at the ends of the vertical axis."""
    x_label: str
    """Name of the horizontal axis."""
    y_label: str
    """Name of the vertical axis."""
    y_range: tuple[float, float]
    """Ends of the vertical axis."""


class Metric(NamedTuple):
    """A quantity that runs have a curve of."""

    name: str
    """Name and unit."""
    of: Callable[[SeedResult], Curve]
    """The curve over updates."""
    is_share: bool = False
    """Whether it is a fraction in [0, 1]."""


def training(name: str, shown: str, *, is_share: bool = False) -> Metric:
    """Return a metric of training by its name in `sgpo.compare.curves`; a run that never uses it has no curve."""

    def of(run: SeedResult) -> Curve:
        curve = run.training.get(name, Curve())
        return curve if is_share or any(curve.values) else Curve()

    return Metric(shown, of, is_share)


ACCURACY = Metric("held-out accuracy", lambda run: run.curve, is_share=True)
DEAD = training("frac_all_negative", "share of groups without a correct response", is_share=True)
SILENT = training("frac_zero_advantage_after", "share of groups with zero advantage after", is_share=True)
RTS = training("rts_mean", "mean RTS of scored responses", is_share=True)
JUDGED = training("judge_calls", "responses judged so far")
JUDGE_SECONDS = training("judge_seconds", "seconds in the judge so far")
ENTROPY = training("entropy", "entropy (nats a token)")
LENGTH = training("response_tokens", "response length (tokens)")


def plots(comparison: Comparison, metric: Metric, *, over_rollouts: bool = False) -> list[Plot]:
    """Return the plots of a metric for all arms: one plot if they fit into it, else one per arm, best first.

    Arms without the metric have lines without points; if no arm has it, nothing is drawn. The vertical axis spans all
    runs and is the same in all panels; bands are clipped there.
    """
    runs = {name: list(arm.seeds.values()) for name, arm in comparison.best_first.items()}
    lines = {name: band(name, of, metric, over_rollouts=over_rollouts) for name, of in runs.items()}
    n_drawn = sum(bool(line.x) for line in lines.values())
    if not n_drawn:
        return []
    values = [value for name in lines for run in runs[name] for value in metric.of(run).values]
    ends = round_values(0.0 if metric.is_share else min(values), max(values), n_most=5)
    y_range = (ends[0], min(ends[-1], 1.0) if metric.is_share and max(values) <= 1 else ends[-1])
    lines = {name: cut(line, y_range) for name, line in lines.items()}
    x_label = "rollouts" if over_rollouts else "optimiser updates"
    if n_drawn <= MOST_LINES:
        return [Plot(metric.name, list(lines.values()), x_label, metric.name, y_range)]
    behind = lines[comparison.reference]
    return [
        Plot(name, [line, behind], x_label, "", y_range)
        for name, line in lines.items()
        if name != comparison.reference and line.x
    ]


def band(name: str, runs: Sequence[SeedResult], metric: Metric, *, over_rollouts: bool) -> Series:
    """Return the mean of a metric over seeds with Student's 95 % interval at each point; empty without values.

    Seeds are interpolated linearly to common points, from where all have started to where the first one ends.
    """
    curves = []
    for run in runs:
        curve = metric.of(run)
        xs = np.array([run.rollouts.at(step) if over_rollouts else step for step in curve.steps], dtype=float)
        if len(xs) and not np.isnan(xs).any():
            n_parts = math.ceil(len(xs) / math.ceil(len(xs) / N_POINTS))
            parts = [np.array_split(column, n_parts) for column in (xs, np.array(curve.values))]
            curves.append([np.array([part.mean() for part in column]) for column in parts])
    if not curves:
        return Series(name, [], [], [], [])
    lo, hi = max(xs[0] for xs, _ in curves), min(xs[-1] for xs, _ in curves)
    grid = next((xs for xs, _ in curves if xs[0] == lo), curves[0][0])
    grid = grid[(grid >= lo) & (grid <= hi)]
    at_points = np.array([np.interp(grid, xs, values) for xs, values in curves])
    bands = [t_interval(column) for column in at_points.T.tolist()]
    return Series(
        name,
        grid.tolist(),
        [of.value for of in bands],
        [of.lo for of in bands],
        [of.hi for of in bands],
    )


def cut(line: Series, y_range: tuple[float, float]) -> Series:
    """Clip a band at the ends of the axis: with two seeds it can be many times as high as the plot."""

    def within(values: Sequence[float | None] | None) -> list[float | None]:
        return [None if value is None else min(max(value, y_range[0]), y_range[1]) for value in values or ()]

    return line._replace(lo=within(line.lo), hi=within(line.hi))
