"""Figures with intervals as table cells: the number in words, and a small bar for the eye.

An interval has `value`, `lo` and `hi` as in results; `None` where a metric does not exist. Every bar stands
beside its number, so that length and colour never tell anything alone.
"""

from __future__ import annotations

from typing import Protocol

from judgekit.report.page import Html, escape


class HasInterval(Protocol):
    """A metric and the ends of its interval, of results or of `judgekit.metrics`."""

    @property
    def value(self) -> float | None:
        """On the data itself; `None` where undefined."""

    @property
    def lo(self) -> float | None:
        """Lower end."""

    @property
    def hi(self) -> float | None:
        """Upper end."""


WIDTH, HEIGHT = 150.0, 16.0
"""Size of a bar in pixels."""


def interval_text(interval: HasInterval, *, digits: int, scale: float = 1.0) -> str:
    """Return `value [lo, hi]`, each times `scale`; `none` where there is no value, no brackets where no interval."""
    value, lo, hi = interval.value, interval.lo, interval.hi
    if value is None:
        return "none"
    text = _number(scale * value, digits)
    return (
        text if lo is None or hi is None else f"{text} [{_number(scale * lo, digits)}, {_number(scale * hi, digits)}]"
    )


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.replace("-", "\u2212") if float(text) else text.removeprefix("-")


def percent_text(share: HasInterval) -> str:
    """Return a share in [0, 1] and its interval in percent."""
    return interval_text(share, digits=1, scale=100)


def interval_cell(
    interval: HasInterval, *, scale: float = 1.0, quoted: bool = False, target: float | None = None
) -> Html:
    """Return a bar from 0 to 100 with its interval, beside the number.

    Args:
        interval: The figure; in [0, 100] after scaling.
        scale: 100 for shares, 1 for percent.
        quoted: Whether the figure was published by others; its bar is hollow.
        target: Where a diamond marks what the figure should be, in [0, 100]; `None` for none.
    """
    text = escape(interval_text(interval, digits=1, scale=scale))
    return Html(
        f'<span class="interval">{_bar(interval, scale, quoted=quoted, target=target)}<span>{text}</span></span>'
    )


def _bar(interval: HasInterval, scale: float, *, quoted: bool, target: float | None) -> str:
    marks = [f'<path class="grid" d="{"".join(f"M{_px(tick):g} 0V{HEIGHT:g}" for tick in (0, 25, 50, 75, 100))}"/>']
    value, lo, hi = interval.value, interval.lo, interval.hi
    if value is not None:
        look = "bar-quoted" if quoted else "bar-own"
        width = max(_px(scale * value) - _px(0), 0.5)
        marks.append(f'<rect class="{look}" x="{_px(0):g}" y="3" width="{width:.1f}" height="{HEIGHT - 6:g}"/>')
    if lo is not None and hi is not None:
        left, right, middle = _px(scale * lo), _px(scale * hi), HEIGHT / 2
        caps = "".join(f"M{x:.1f} {middle - 4:g}v8" for x in (left, right))
        marks.append(f'<path class="whisker" d="M{left:.1f} {middle:g}H{right:.1f}{caps}"/>')
    if target is not None:
        marks.append(f'<path class="diamond" d="M{_px(target):.1f} {HEIGHT / 2 - 5:g}l4 5l-4 5l-4 -5z"/>')
    return f'<svg class="interval-bar" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" aria-hidden="true">{"".join(marks)}</svg>'


def _px(percent: float) -> float:
    return 2 + percent / 100 * (WIDTH - 4)
