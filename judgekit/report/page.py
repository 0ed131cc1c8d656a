"""Building blocks of self-contained HTML pages: sections, tables and inline SVG plots; no network.

Every text goes through `escape`, so nothing that a model wrote can act as markup; bulk data travels as JSON with `<`
escaped, and scripts put it on the page as text. A content policy in the page forbids everything but its own style and
script, by their hashes. Colours are those of Okabe and Ito, distinguished by colour-blind readers, and never carry
meaning alone: lines also differ in dash and marker, cells show their number.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from matplotlib.ticker import MaxNLocator

from judgekit.metrics.steps import Bin

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Line colours in the order of the series."""
DASHES = ("none", "7 4", "2 3", "9 3 2 3", "12 4")
"""Line dashes in the order of the series; another number than of the colours, so that 30 lines differ."""
FEW = 10
"""Steps of a bin below which its share says little, and its point is hollow."""
N_SHADES = 10
"""Shades of a heat table, `heat-0` to `heat-9` in the style sheet."""


class Section(NamedTuple):
    """One titled part of a page."""

    title: str
    """Heading, plain text."""
    html: str
    """Body, made of the building blocks below."""
    anchor: str = ""
    """Id of the section's element, for scripts; empty for none."""


class Html(NamedTuple):
    """A piece of a cell, paragraph or list that is HTML already, made of escaped texts."""

    html: str
    """What is put on the page as it is."""


class Series(NamedTuple):
    """One line of a plot, with a band around it if `lo` and `hi` are given."""

    name: str
    """Legend entry."""
    x: Sequence[float]
    """Positions, ascending."""
    y: Sequence[float | None]
    """Values; `None` leaves a gap."""
    lo: Sequence[float | None] | None = None
    """Lower edge of the band."""
    hi: Sequence[float | None] | None = None
    """Upper edge of the band."""


def escape(text: object) -> str:
    """Return the text with everything that could act as HTML made inert; lone surrogates become question marks."""
    return html.escape(str(text).encode("utf-8", "replace").decode("utf-8"))


def paragraph(*parts: str | Html) -> str:
    """Return one paragraph of plain texts and pieces of HTML, one behind the other."""
    return f"<p>{inline(*parts).html}</p>"


def bullet_list(items: Sequence[str | Html]) -> str:
    """Return a list of plain texts and pieces of HTML; nothing if there are none."""
    return f"<ul>{''.join(f'<li>{inline(item).html}</li>' for item in items)}</ul>" if items else ""


def inline(*parts: object) -> Html:
    """Put pieces one behind the other: `Html` as it is, everything else escaped."""
    return Html("".join(part.html if isinstance(part, Html) else escape(part) for part in parts))


def link(text: str, to: str) -> Html:
    """Return a link, for example to a file next to the page."""
    return Html(f'<a href="{escape(to)}">{escape(text)}</a>')


def words(text: str) -> Html:
    """Return a cell of prose: left-aligned, its lines kept and broken where they are long."""
    return Html(f'<div class="words text">{escape(text)}</div>')


def code(text: str) -> Html:
    """Return a command or a name in the font of code."""
    return Html(f"<code>{escape(text)}</code>")


def table(header: Sequence[object], rows: Sequence[Sequence[object]], *, caption: str = "") -> str:
    """Return a table of plain texts; the first cell of a row is its heading. Scrolls sideways on narrow screens.

    A cell that is `Html` is put in as it is; everything else is escaped.
    """
    head = "".join(f'<th scope="col">{inline(cell).html}</th>' for cell in header)
    body = []
    for first, *rest in rows:
        cells = "".join(f"<td>{inline(cell).html}</td>" for cell in rest)
        body.append(f'<tr><th scope="row"><div>{inline(first).html}</div></th>{cells}</tr>')
    return _scrolling(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>", caption)


def heat_table(
    row_names: Sequence[str], column_names: Sequence[str], counts: Sequence[Sequence[int]], *, corner: str, caption: str
) -> str:
    """Return a table of counts whose cells are shaded by their share of the row and outlined where the names agree."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (corner, *column_names, "total"))
    body = []
    for name, row in zip(row_names, counts, strict=True):
        cells = []
        for column, count in zip(column_names, row, strict=True):
            # Rounded up, so that a cell of one in thousands is told from an empty one.
            shade = math.ceil((N_SHADES - 1) * count / sum(row)) if sum(row) else 0
            cells.append(f'<td class="heat-{shade}{" same" if name == column else ""}">{count or "·"}</td>')
        body.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}<td>{sum(row)}</td></tr>')
    return _scrolling(
        f'<table class="heat"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>', caption
    )


def _scrolling(table_html: str, caption: str) -> str:
    above = f'<p class="dim">{escape(caption)}</p>' if caption else ""
    return f'{above}<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">{table_html}</div>'


def collapsed(summary: str, inner: str) -> str:
    """Fold HTML away under a line of plain text that opens it."""
    return f"<details><summary>{escape(summary)}</summary>{inner}</details>"


def figure(
    width: float, height: float, marks: Sequence[str], title: str, *, legend: str = "", caption: bool = True
) -> str:
    """Return a drawing of SVG elements, its size in pixels, with its legend and its title as the caption.

    Args:
        width: Of the drawing.
        height: Of the drawing.
        marks: Its SVG elements.
        title: What it shows, also for who cannot see it.
        legend: HTML below the drawing.
        caption: Whether the title is written below, too.
    """
    below = f"<figcaption>{escape(title)}</figcaption>" if caption else ""
    return (
        f'<figure><svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(marks)}</svg>{legend}{below}</figure>"
    )


def key(mark: str) -> str:
    """Return the key of a legend's line: an SVG element, drawn into 34 by 10 pixels."""
    return f'<svg class="key" viewBox="0 0 34 10" aria-hidden="true">{mark}</svg>'


def legend(lines: Sequence[tuple[str, str]]) -> str:
    """Return a legend of keys, as HTML, and names, plain text; nothing if there are none."""
    items = "".join(f"<li>{drawn}{escape(name)}</li>" for drawn, name in lines)
    return f'<ul class="legend">{items}</ul>' if lines else ""


def whisker(lo: float, hi: float, middle: float, *, half: float) -> str:
    """Return the line of an interval between two pixels, with caps of `half` a height up and down."""
    caps = "".join(f"M{x:.1f} {middle - half:g}v{2 * half:g}" for x in (lo, hi))
    return f'<path class="whisker" d="M{lo:.1f} {middle:g}H{hi:.1f}{caps}"/>'


def diamond(x: float, middle: float) -> str:
    """Return a diamond around a pixel."""
    return f'<path class="diamond" d="M{x:.1f} {middle - 5:g}l4 5l-4 5l-4 -5z"/>'


def figures(*plots: str) -> str:
    """Put figures, or other narrow blocks, side by side where there is room: up to three."""
    return f'<div class="figures">{"".join(plots)}</div>'


def columns(*parts: str) -> str:
    """Put parts of a section, with tables of their own, side by side where there is room: up to two."""
    return f'<div class="columns">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def panels(*plots: str) -> str:
    """Put small figures into a grid, as many in a row as have room."""
    return f'<div class="panels">{"".join(plots)}</div>'


def series_legend(names: Mapping[int, str]) -> str:
    """Return the legend of a line plot's series by their places among all of them."""
    return legend([(key(f'<path class="line" {_look(i)} d="M0 5H34"/>'), name) for i, name in names.items()])


def _look(i: int) -> str:
    """Return colour and dash of a line by its place among the series."""
    return f'stroke="{COLOURS[i % len(COLOURS)]}" stroke-dasharray="{DASHES[i % len(DASHES)]}"'


@dataclass(frozen=True)
class _Frame:
    """Maps data coordinates to the plot's pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 430
    height: float = 290
    left: float = 46
    right: float = 12
    top: float = 28
    bottom: float = 44

    def px(self, x: float) -> float:
        lo, hi = self.x
        return self.left + (x - lo) / (hi - lo) * (self.width - self.left - self.right)

    def py(self, y: float) -> float:
        lo, hi = self.y
        return self.height - self.bottom - (y - lo) / (hi - lo) * (self.height - self.top - self.bottom)

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        return " ".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in zip(xs, ys, strict=True))

    def figure(self, marks: Sequence[str], title: str, *, legend: str = "", caption: bool = True) -> str:
        return figure(self.width, self.height, marks, title, legend=legend, caption=caption)


def line_plot(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    y_range: tuple[float, float] | None = None,
    small: bool = False,
) -> str:
    """Return a figure of lines with optional bands and a legend.

    Args:
        series: The lines; those without any value are left out, and the others look as if they were there.
        title: Caption under the figure, left out where it is the name of the vertical axis.
        x_label: Name and unit of the horizontal axis.
        y_label: Name and unit of the vertical axis.
        y_range: Ends of the vertical axis; `None` takes them from the values.
        small: Draw one of many panels, without a legend: `series_legend` is for all of them.
    """
    # By their places among all lines, so that a name looks the same in plots that lack some of the others.
    drawn = {i: line for i, line in enumerate(series) if any(value is not None for value in line.y)}
    if not drawn:
        return paragraph(f"{title}: no values.")
    heights = [y for line in drawn.values() for column in (line.y, line.lo or (), line.hi or ()) for y in column]
    values = round_values(*_range([y for y in heights if y is not None]), n_most=5)
    size: dict[str, float] = {"width": 280, "height": 190} if small else {}
    if not y_label:
        size["top"] = 12
    frame = _Frame(
        x=_range([x for line in drawn.values() for x in line.x]), y=y_range or (values[0], values[-1]), **size
    )
    bands, lines = [], []
    for i, line in drawn.items():
        colour, look = COLOURS[i % len(COLOURS)], _look(i)
        if line.lo is not None and line.hi is not None:
            for xs, los, his in _stretches(line.x, line.lo, line.hi):
                outline = f"{frame.points(xs, los)} {frame.points(xs[::-1], his[::-1])}"
                bands.append(f'<polygon class="band" fill="{colour}" points="{outline}"/>')
        for xs, ys in _stretches(line.x, line.y):
            lines.append(f'<polyline class="line" {look} points="{frame.points(xs, ys)}"/>')
            if len(xs) == 1:  # a line of one point shows nothing
                lines.append(f'<circle cx="{frame.px(xs[0]):.1f}" cy="{frame.py(ys[0]):.1f}" r="3" fill="{colour}"/>')
    # Bands first: what is drawn later lies on top, and no band may hide a line.
    keys = "" if small else series_legend({i: line.name for i, line in drawn.items()})
    return frame.figure([_axes(frame, x_label, y_label), *bands, *lines], title, legend=keys, caption=title != y_label)


def bar_plot(
    names: Sequence[str], counts: Mapping[str, Sequence[int]], *, title: str, x_label: str, y_label: str
) -> str:
    """Return a figure of stacked bars with their numbers as tooltips, and a legend where there are several series.

    Args:
        names: Name of each bar.
        counts: Series -> height of its part of each bar, at least 0; the first series stands at the bottom.
        title: Caption under the figure.
        x_label: What the names are; without it, names take its place where they need it.
        y_label: What is counted.
    """
    totals = [sum(column) for column in zip(*counts.values(), strict=True)]
    if not any(totals):
        return paragraph(f"{title}: no values.")
    frame = _Frame(x=(0, len(names)), y=(0, round_values(0, max(totals), n_most=5)[-1]), left=70)
    marks = [_grid(frame), _axis_labels(frame, x_label, y_label)]
    # As many names under the bars as have room, about 7 pixels a letter, on one line or on two by turns.
    n_lines = 1 if x_label else 2
    step = max(1, math.ceil((7 * max(map(len, names)) + 6) / (n_lines * (frame.px(1) - frame.px(0)))))
    for i, name in list(enumerate(names))[::step]:
        y = frame.height - 28 + 14 * (i // step % n_lines)
        marks.append(f'<text class="tick mid" x="{frame.px(i + 0.5):.1f}" y="{y:g}">{escape(name)}</text>')
    below = [0] * len(names)
    for look, (series, heights) in enumerate(counts.items()):
        for i, height in enumerate(heights):
            top, bottom = frame.py(below[i] + height), frame.py(below[i])
            left, width = frame.px(i + 0.1), 0.8 * (frame.px(1) - frame.px(0))
            marks.append(
                f'<rect class="bar bar-{look}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
                f'height="{bottom - top:.1f}"><title>{escape(names[i])}: {height:,} {escape(series)}</title></rect>'
            )
            below[i] += height
    keys = [(f'<span class="bar-key bar-{look}"></span>', series) for look, series in enumerate(counts)]
    return frame.figure(marks, title, legend=legend(keys) if len(keys) > 1 else "")


def reliability_diagram(bins: Sequence[Bin], *, title: str) -> str:
    """Return the share of correct steps against the mean probability of each bin, over bars of the bins' counts."""
    frame = _Frame(x=(0.0, 1.0), y=(0.0, 1.0))
    most = max(bin_.count for bin_ in bins)
    marks = [_axes(frame, "mean P(step ok)", "share of steps that are correct")]
    for bin_ in bins:
        top = frame.py(0.25 * bin_.count / most)  # bars take the lowest quarter, so they stay behind the points
        width = max(frame.px(bin_.hi) - frame.px(bin_.lo) - 2, 1)  # bins of equal mass can be very narrow
        marks.append(
            f'<rect class="count" x="{frame.px(bin_.lo) + 1:.1f}" y="{top:.1f}" width="{width:.1f}" '
            f'height="{frame.py(0) - top:.1f}"><title>{_describe_bin(bin_)}</title></rect>'
        )
    marks.append(f'<polyline class="ideal" points="{frame.points((0, 1), (0, 1))}"/>')
    points = [(b.mean_prob, b.frac_ok, b) for b in bins if b.mean_prob is not None and b.frac_ok is not None]
    full = [point for point in points if point[2].count >= FEW]  # a line through bins of a few steps is noise
    line = frame.points([x for x, _, _ in full], [y for _, y, _ in full])
    marks.append(f'<polyline class="line" stroke="{COLOURS[0]}" points="{line}"/>')
    for x, y, bin_ in points:
        look = ' class="few"' if bin_.count < FEW else ""
        marks.append(
            f'<circle{look} cx="{frame.px(x):.1f}" cy="{frame.py(y):.1f}" r="4" fill="{COLOURS[0]}" '
            f'stroke="{COLOURS[0]}"><title>{_describe_bin(bin_)}</title></circle>'
        )
    hollow = (key(f'<circle class="few" cx="17" cy="5" r="4" stroke="{COLOURS[0]}"/>'), f"fewer than {FEW} steps")
    return frame.figure(marks, title, legend=legend([hollow] if any(b.count < FEW for *_, b in points) else []))


def _describe_bin(bin_: Bin) -> str:
    where = f"{bin_.lo:.2f} to {bin_.hi:.2f}: {bin_.count} {'step' if bin_.count == 1 else 'steps'}"
    if bin_.mean_prob is None:
        return where
    return f"{where}, mean probability {bin_.mean_prob:.3f}, {bin_.frac_ok:.3f} correct"


def _axes(frame: _Frame, x_label: str, y_label: str) -> str:
    ticks = [
        f'<text class="tick mid" x="{frame.px(x):.1f}" y="{frame.height - 28:g}">{x:g}</text>' for x in _ticks(frame.x)
    ]
    return "".join(ticks) + _grid(frame) + _axis_labels(frame, x_label, y_label)


def _grid(frame: _Frame) -> str:
    marks = []
    for y in _ticks(frame.y):
        height, name = frame.py(y), f"{y:,.0f}" if y >= 1000 else f"{y:g}"
        marks.append(f'<path class="grid" d="M{frame.left:g} {height:.1f}H{frame.width - frame.right:g}"/>')
        marks.append(f'<text class="tick end" x="{frame.left - 6:g}" y="{height + 4:.1f}">{name}</text>')
    return "".join(marks)


def _axis_labels(frame: _Frame, x_label: str, y_label: str) -> str:
    middle = frame.px(sum(frame.x) / 2)
    below = f'<text class="label mid" x="{middle:.1f}" y="{frame.height - 8:g}">{escape(x_label)}</text>'
    # Above the plot and not next to it: read without turning the head, and a long name is not cut.
    return f'{below}<text class="label" x="4" y="14">{escape(y_label)}</text>' if y_label else below


def _ticks(ends: tuple[float, float]) -> list[float]:
    lo, hi = ends
    slack = 1e-9 * (hi - lo)  # the outermost round number may miss the end by rounding
    return [tick for tick in round_values(lo, hi, n_most=5) if lo - slack <= tick <= hi + slack]


def round_values(lo: float, hi: float, *, n_most: int) -> list[float]:
    """Return round numbers from at most `lo` to at least `hi`, for about `n_most` intervals between ticks."""
    return [float(value) for value in MaxNLocator(nbins=n_most, steps=[1, 2, 2.5, 5, 10]).tick_values(lo, hi)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    lo, hi = min(values), max(values)
    return (lo, hi) if lo < hi else (lo - 0.5, hi + 0.5)


def _stretches(x: Sequence[float], *columns: Sequence[float | None]) -> Iterator[tuple[list[float], ...]]:
    """Split rows at gaps: yield the columns of each run of rows in which every value is known."""
    rows = zip(x, *columns, strict=True)
    for known, group in groupby(rows, key=lambda row: all(value is not None for value in row)):
        if known:
            yield tuple([float(value) for value in column if value is not None] for column in zip(*group, strict=True))


def json_script(element_id: str, value: object) -> str:
    """Return data for a script: JSON in which no `<` can end the element or open a comment, and no NaN occurs."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{element_id}">{text}</script>'


def asset(module: str, name: str) -> str:
    """Return a text file of the folder `assets` next to a module, which gives its `__file__`.

    Beside the file and not by the package's name: a folder of that name elsewhere on the path can stand for the name.
    """
    return (Path(module).parent / "assets" / name).read_text(encoding="utf-8")


def render_page(
    title: str,
    sections: Sequence[Section],
    *,
    lead: str = "",
    controls: str = "",
    foot: str = "",
    data: str = "",
    script: str = "",
) -> str:
    """Return a whole HTML document.

    Args:
        title: Heading and window title, plain text.
        sections: The parts in order.
        lead: HTML under the heading.
        controls: HTML between heading and sections that may stay in view while they scroll.
        foot: HTML under everything: how the page came about.
        data: `json_script` elements that the script reads.
        script: JavaScript run at the end; the only script that the page's content policy lets run.
    """
    style = asset(__file__, "page.css")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    anchors = [f' id="{escape(section.anchor)}"' if section.anchor else "" for section in sections]
    body = "".join(
        f"<section{anchor}><h2>{escape(section.title)}</h2>{section.html}</section>"
        for anchor, section in zip(anchors, sections, strict=True)
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{style}</style></head>\n'
        f"<body><header><h1>{escape(title)}</h1>{lead}</header>\n{controls}<main>{body}</main>\n"
        f"{f'<footer>{foot}</footer>' if foot else ''}{data}"
        f"{f'<script>{script}</script>' if script else ''}</body></html>\n"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
