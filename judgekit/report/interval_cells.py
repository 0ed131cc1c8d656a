"""Numbers with intervals as table cells: the number as text, and a small bar.

An interval has `value`, `lo` and `hi` as in results; `None` if a metric does not exist. Every bar is next to its
number, so length and colour never carry meaning alone.
"""

from __future__ import annotations

from typing import Literal, Protocol

from judgekit.report.page import Html, diamond, escape, whisker


class HasInterval(Protocol):
    """A metric and the ends of its interval, of results or of `judgekit.metrics`."""

    @property
    def value(self) -> float | None:
        """On the data itself; `None` if undefined."""

    @property
    def lo(self) -> float | None:
        """Lower end."""

    @property
    def hi(self) -> float | None:
        """Upper end."""


WIDTH, HEIGHT = 150.0, 16.0
"""Size of a bar in pixels."""


def interval_text(interval: HasInterval, *, digits: int, scale: float = 1.0, sign: Literal["-", "+"] = "-") -> str:
    """Return `value [lo, hi]`, each times `scale`; `undefined` without a value, no brackets where no interval."""
    value, lo, hi = interval.value, interval.lo, interval.hi
    if value is None:
        return "undefined"
    text = number_text(scale * value, digits, sign=sign)
    if lo is None or hi is None:
        return text
    return f"{text} [{number_text(scale * lo, digits, sign=sign)}, {number_text(scale * hi, digits, sign=sign)}]"


def p_value_text(p: float | None) -> str:
    """Return a p-value as tables show it."""
    if p is None:
        return "undefined"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def number_text(value: float, digits: int, *, sign: Literal["-", "+"] = "-") -> str:
    """Return a number with so many digits and a real minus sign; what rounds to 0 has no sign.

    Args:
        value: The number.
        digits: Behind the decimal point.
        sign: `+` puts a plus sign in front of positive numbers, as differences have it.
    """
    text = f"{value:{sign}.{digits}f}"
    return text.replace("-", "\u2212") if float(text) else text.lstrip("+-")


def percent_text(share: HasInterval) -> str:
    """Return a share in [0, 1] and its interval in percent."""
    return interval_text(share, digits=1, scale=100)


def interval_cell(
    interval: HasInterval, *, scale: float = 1.0, quoted: bool = False, target: float | None = None
) -> Html:
    """Return a bar from 0 to 100 with its interval, next to the number.

    Args:
        interval: The figure; in [0, 100] after scaling.
        scale: 100 for shares, 1 for percent.
        quoted: Whether the figure was published by others; its bar is hollow.
        target: Where a diamond marks what the figure should be, in [0, 100]; `None` for none.
    """
    marks = [f'<path class="grid" d="{"".join(f"M{_px(tick):g} 0V{HEIGHT:g}" for tick in (0, 25, 50, 75, 100))}"/>']
    value, lo, hi = interval.value, interval.lo, interval.hi
    if value is not None:
        look = "bar-quoted" if quoted else "bar-own"
        width = max(_px(scale * value) - _px(0), 0.5)
        marks.append(f'<rect class="{look}" x="{_px(0):g}" y="3" width="{width:.1f}" height="{HEIGHT - 6:g}"/>')
    if lo is not None and hi is not None:
        marks.append(whisker(_px(scale * lo), _px(scale * hi), HEIGHT / 2, half=4))
    if target is not None:
        marks.append(diamond(_px(target), HEIGHT / 2))
    bar = f'<svg class="interval-bar" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" aria-hidden="true">{"".join(marks)}</svg>'
    return Html(
        f'<span class="interval">{bar}<span>{escape(interval_text(interval, digits=1, scale=scale))}</span></span>'
    )


def _px(percent: float) -> float:
    return 2 + percent / 100 * (WIDTH - 4)
