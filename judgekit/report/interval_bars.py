"""Horizontal bars with intervals as an inline SVG, narrow enough to be read on a phone.

The name of a row stands above its bars. Series differ in colour and in filling: solid, then outlined, so that colour
alone never tells them apart; every bar carries its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.ticker import MaxNLocator

from judgekit.report.page import COLOURS, escape, paragraph

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
    """Where a diamond is drawn beside the bar; `None` for none."""


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
        mark_name: What a diamond means; empty where there are none.
    """
    ends = [end for row in rows for bar in row.bars for end in bar if end is not None]
    if not ends:
        return paragraph(f"{title}: no values.")
    ticks = MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(min(0.0, *ends), max(0.0, *ends))
    scale = _Scale(float(ticks[0]), float(ticks[-1]))
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
    axis = _axis(scale, [float(tick) for tick in ticks], y, x_label)
    legend = _legend(series, mark_name)
    return (
        f'<figure><svg viewBox="0 0 {WIDTH:g} {y + AXIS_HEIGHT:g}" role="img" aria-label="{escape(title)}">'
        f"{axis}{''.join(marks)}</svg>{legend}<figcaption>{escape(title)}</figcaption></figure>"
    )


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
        lo, hi = scale.px(bar.lo), scale.px(bar.hi)
        caps = "".join(f"M{x:.1f} {middle - 3:g}v6" for x in (lo, hi))
        parts.append(f'<path class="whisker" d="M{lo:.1f} {middle:g}H{hi:.1f}{caps}"/>')
    if bar.mark is not None:
        x = scale.px(bar.mark)
        parts.append(f'<path class="diamond" d="M{x:.1f} {middle - 5:g}l4 5l-4 5l-4 -5z"/>')
    parts.append(f'<text class="end number" x="{WIDTH - 4:g}" y="{middle + 4:g}">{signed(bar.value)}</text>')
    return "".join(parts)


def signed(value: float | None) -> str:
    """Return a difference with its sign and two digits; `none` where there is no value."""
    if value is None:
        return "none"
    text = f"{value:+.2f}"
    return text.replace("-", "\u2212") if float(text) else "0.00"


def _look(look: int) -> str:
    colour = COLOURS[look % len(COLOURS)]
    filling = f'fill="{colour}" fill-opacity="0.75"' if look % 2 == 0 else 'fill="none" stroke-dasharray="3 2"'
    return f'{filling} stroke="{colour}" stroke-width="1.4"'


def _axis(scale: _Scale, ticks: Sequence[float], bottom: float, x_label: str) -> str:
    lines = [f'<path class="grid" d="M{scale.px(tick):.1f} 4V{bottom:g}"/>' for tick in ticks]
    names = [f'<text class="tick mid" x="{scale.px(t):.1f}" y="{bottom + 15:g}">{t:g}</text>' for t in ticks]
    zero = f'<path class="zero" d="M{scale.px(0):.1f} 4V{bottom:g}"/>'
    label = f'<text class="label mid" x="{(WIDTH - RIGHT + LEFT) / 2:g}" y="{bottom + 35:g}">{escape(x_label)}</text>'
    return "".join([*lines, zero, *names, label])


def _legend(series: Sequence[str], mark_name: str) -> str:
    keys = {name: f'<rect {_look(i)} x="2" y="1" width="30" height="8"/>' for i, name in enumerate(series)}
    items = keys if len(series) > 1 else {}
    if mark_name:
        items = items | {mark_name: '<path class="diamond" d="M17 0l4 5l-4 5l-4 -5z"/>'}
    svg = '<svg class="key" viewBox="0 0 34 10" aria-hidden="true">'
    lines = [f"<li>{svg}{key}</svg>{escape(name)}</li>" for name, key in items.items()]
    return f'<ul class="legend">{"".join(lines)}</ul>' if lines else ""
