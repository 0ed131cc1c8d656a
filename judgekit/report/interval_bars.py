"""Horizontal bars with intervals as an inline SVG, narrow enough to be read on a phone.

The name of a row is above its bars. Series differ in colour and in fill: solid, then outlined, so that they can be
distinguished without colour; every bar shows its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from judgekit.report.interval_cells import number_text
from judgekit.report.page import COLOURS, diamond, escape, figure, key, legend, paragraph, round_values, whisker

WIDTH, LEFT, RIGHT = 430.0, 10.0, 58.0
NAME_HEIGHT, BAR_HEIGHT, GROUP_HEIGHT, AXIS_HEIGHT = 18.0, 13.0, 24.0, 44.0


class Bar(NamedTuple):
    """One value with its interval; a value of `None` is drawn as words."""

    value: float | None
    """Length of the bar, from zero."""
    lo: float | None = None
    """Lower end of the interval."""
    hi: float | None = None
    """Upper end of the interval."""
    mark: float | None = None
    """Where a diamond is drawn next to the bar; `None` for none."""


class BarRow(NamedTuple):
    """The bars of one name, one a series."""

    group: str
    """Heading under which the row stands; rows of one group follow each other."""
    name: str
    """What is measured."""
    bars: tuple[Bar, ...]
    """One a series, in their order."""


def interval_bars(
    rows: Sequence[BarRow], series: Sequence[str], *, title: str, x_label: str, mark_name: str = ""
) -> str:
    """Return a figure of horizontal bars with intervals.

    Args:
        rows: The bars, group by group.
        series: Names of the series; a legend is drawn for more than one.
        title: Caption under the figure.
        x_label: What the bars measure.
        mark_name: What a diamond means; empty if there are none.
    """
    ends = [end for row in rows for bar in row.bars for end in bar if end is not None]
    if not ends:
        return paragraph(f"{title}: no values.")
    ticks = round_values(min(0.0, *ends), max(0.0, *ends), n_most=4)
    scale = _Scale(ticks[0], ticks[-1])
    marks, y, group = [], 4.0, ""
    for row in rows:
        if row.group != group:
            group = row.group
            marks.append(f'<text class="group-name" x="{LEFT:g}" y="{y + 16:g}">{escape(group)}</text>')
            y += GROUP_HEIGHT
        marks.append(f'<text class="bar-name" x="{LEFT:g}" y="{y + 13:g}">{escape(row.name)}</text>')
        y += NAME_HEIGHT
        for look, bar in enumerate(row.bars):
            marks.append(_bar(scale, bar, y, look, name=f"{row.name}, {series[look]}"))
            y += BAR_HEIGHT
        y += 3
    # The axis is drawn first, as its lines run behind the bars, but its length is known last.
    axis = [f'<path class="grid" d="M{scale.px(tick):.1f} 4V{y:g}"/>' for tick in ticks]
    axis.append(f'<path class="zero" d="M{scale.px(0):.1f} 4V{y:g}"/>')
    axis += [f'<text class="tick mid" x="{scale.px(tick):.1f}" y="{y + 15:g}">{tick:g}</text>' for tick in ticks]
    middle = (WIDTH - RIGHT + LEFT) / 2
    axis.append(f'<text class="label mid" x="{middle:g}" y="{y + 35:g}">{escape(x_label)}</text>')
    looks = [(key(f'<rect {_look(i)} x="2" y="1" width="30" height="8"/>'), name) for i, name in enumerate(series)]
    keys = looks if len(looks) > 1 else []
    if mark_name:
        keys = [*keys, (key('<path class="diamond" d="M17 0l4 5l-4 5l-4 -5z"/>'), mark_name)]
    return figure(WIDTH, y + AXIS_HEIGHT, [*axis, *marks], title, legend=legend(keys))


class _Scale(NamedTuple):
    lo: float
    hi: float

    def px(self, value: float) -> float:
        return LEFT + (value - self.lo) / (self.hi - self.lo) * (WIDTH - LEFT - RIGHT)


def _bar(scale: _Scale, bar: Bar, y: float, look: int, *, name: str) -> str:
    middle = y + BAR_HEIGHT / 2
    if bar.value is None:
        return f'<text class="tick" x="{scale.px(0) + 4:.1f}" y="{middle + 4:g}">no figure</text>'
    left, right = sorted((scale.px(0), scale.px(bar.value)))
    words = f"{name}: {signed(bar.value)}" + ("" if bar.lo is None else f" [{signed(bar.lo)}, {signed(bar.hi)}]")
    parts = [
        f'<rect {_look(look)} x="{left:.1f}" y="{y + 1.5:g}" width="{max(right - left, 0.5):.1f}" '
        f'height="{BAR_HEIGHT - 3:g}"><title>{escape(words)}</title></rect>'
    ]
    if bar.lo is not None and bar.hi is not None:
        parts.append(whisker(scale.px(bar.lo), scale.px(bar.hi), middle, half=3))
    if bar.mark is not None:
        parts.append(diamond(scale.px(bar.mark), middle))
    parts.append(f'<text class="end number" x="{WIDTH - 4:g}" y="{middle + 4:g}">{signed(bar.value)}</text>')
    return "".join(parts)


def signed(value: float | None) -> str:
    """Return a difference with its sign and two digits; `none` where there is no value."""
    return "none" if value is None else number_text(value, 2, sign="+")


def _look(look: int) -> str:
    colour = COLOURS[look % len(COLOURS)]
    filling = f'fill="{colour}" fill-opacity="0.75"' if look % 2 == 0 else 'fill="none" stroke-dasharray="3 2"'
    return f'{filling} stroke="{colour}" stroke-width="1.4"'
