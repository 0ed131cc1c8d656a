"""The figures of a comparison as one PNG, for documents that cannot show HTML: accuracy, effect of judge errors."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from judgekit.io import atomic_path
from judgekit.report.page import COLOURS
from sgpo.compare.figures import ACCURACY, Plot, plots
from sgpo.compare.judge_errors import error_plots
from sgpo.compare.results import Comparison

N_COLUMNS = 4
"""Panels side by side."""
LINES = ("-", "--", ":", "-.")
"""Line styles in the order of the series."""


def draw_comparison(path: Path, comparison: Comparison) -> None:
    """Draw accuracy over the judge's error rate if there are simulated errors, else accuracy over updates, as PNG."""
    drawn = error_plots(comparison) or plots(comparison, ACCURACY)
    n_columns = min(N_COLUMNS, len(drawn))
    n_rows = math.ceil(len(drawn) / n_columns)
    size = (7, 4.2) if len(drawn) == 1 else (3.1 * n_columns, 2.6 * n_rows + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).flat
    for axes, plot in zip(panels, drawn, strict=False):
        _draw(axes, plot)
    for axes in list(figure.axes)[len(drawn) :]:
        axes.set_visible(False)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=150 if len(drawn) <= N_COLUMNS else 110)


def _draw(axes: Axes, plot: Plot) -> None:
    for index, line in enumerate(plot.series):
        colour = COLOURS[index % len(COLOURS)]
        values, lo, hi = (
            [math.nan if value is None else value for value in column or ()] for column in (line.y, line.lo, line.hi)
        )
        axes.fill_between(line.x, lo, hi, color=colour, alpha=0.18, linewidth=0)
        axes.plot(line.x, values, color=colour, linewidth=1.8, label=line.name, linestyle=LINES[index % len(LINES)])
    axes.set(xlabel=plot.x_label, ylabel=plot.y_label, ylim=plot.y_range, xlim=(plot.series[0].x[0], None))
    axes.set_title(plot.title, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="x-small")
