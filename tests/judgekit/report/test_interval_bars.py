"""Bars with intervals: where they are drawn, and that words are only words."""

from __future__ import annotations

import re

from judgekit.report.interval_bars import Bar, BarRow, interval_bars, signed

HOSTILE = "</svg><img src=x onerror=alert(1)>"


def test_values_become_pixels() -> None:
    # the axis runs from -0.5 to 0.5 between 10 and 372 px, so 0 stands at 191 and 0.25 is 90.5 px
    rows = [BarRow("g", "a", (Bar(0.25, -0.5, 0.5, mark=0.5),)), BarRow("g", "b", (Bar(-0.25),))]
    drawn = interval_bars(rows, ["j"], title="t", x_label="x")
    bars = re.findall(r'<rect [^>]*x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn)
    assert bars == [("191.0", "90.5"), ("100.5", "90.5")]
    assert 'class="whisker" d="M10.0 52.5H372.0' in drawn
    assert 'class="diamond" d="M372.0 ' in drawn
    assert "a, j: +0.25 [\u22120.50, +0.50]" in drawn and ">\u22120.25</text>" in drawn


def test_series_differ_in_filling_and_have_a_legend() -> None:
    rows = [BarRow("g", "a", (Bar(0.1), Bar(0.2)))]
    drawn = interval_bars(rows, ["one", "two"], title="t", x_label="x", mark_name="best")
    assert drawn.count('fill="none"') == 2 == drawn.count("fill-opacity")  # bar and key of each
    assert [name for name in ("one", "two", "best") if f"</svg>{name}</li>" in drawn] == ["one", "two", "best"]
    assert "legend" not in interval_bars([BarRow("g", "a", (Bar(0.1),))], ["one"], title="t", x_label="x")


def test_a_missing_value_is_said() -> None:
    drawn = interval_bars(
        [BarRow("g", "a", (Bar(None),)), BarRow("g", "b", (Bar(0.1),))], ["j"], title="t", x_label="x"
    )
    assert drawn.count("no figure") == 1 and drawn.count("<rect") == 1
    assert interval_bars([BarRow("g", "a", (Bar(None),))], ["j"], title="t", x_label="x") == "<p>t: no values.</p>"


def test_texts_are_escaped() -> None:
    rows = [BarRow(HOSTILE, HOSTILE, (Bar(0.1), Bar(0.2)))]
    drawn = interval_bars(rows, [HOSTILE, "b"], title=HOSTILE, x_label=HOSTILE, mark_name=HOSTILE)
    assert "<img" not in drawn and "&lt;img" in drawn


def test_signed_numbers() -> None:
    assert [signed(value) for value in (0.126, -0.126, 0.0, -0.001, None)] == [
        "+0.13",
        "\u22120.13",
        "0.00",
        "0.00",
        "none",
    ]
