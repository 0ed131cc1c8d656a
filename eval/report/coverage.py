"""Do conformal promises hold: coverage of index sets and risk of certified prefixes against what was promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.report.benchmark import JudgedBenchmark
from judgekit.report.interval_cells import interval_cell, interval_text, percent_text
from judgekit.report.page import collapsed, paragraph, table

PREFIXES = {
    "prefix": "Certified prefixes",
    "prefix_if_wrong": "Certified prefixes, calibrated and measured on erroneous solutions alone",
}
"""Parts of the figures about prefixes, with their headings."""


def coverage_html(benchmark: JudgedBenchmark, judge: str, subset: str) -> str:
    """Return what one judge's conformal sets and prefixes came to on one subset, held out and under shift."""
    measured = benchmark.runs[judge].results["conformal"]
    if measured is None:
        return paragraph(f"{judge} gave no verdict at all, so there is nothing to calibrate.")
    part = measured["subsets"][subset]
    if part["held_out"] is None:
        return paragraph("Too few problems with a verdict to calibrate on one half and test on the other.")
    shift = [row for row in measured["shift"] if row["subset"] == subset]
    return _held_out(part) + (_shift(shift) if shift else "")


def _held_out(part: Mapping[str, Any]) -> str:
    figures = part["held_out"]
    counts = (
        f"Calibrated on {figures[0]['n_problems_calibration']:,} problems of the subset, tested on "
        f"{figures[0]['n_problems']:,} others ({figures[0]['n']:,} solutions, {figures[0]['n_no_verdict']:,} without a "
        "verdict left out). A diamond marks what is promised."
    )
    sets = table(
        ("promised", "coverage, %", "over splits, %", "mean size", "full sets, %"),
        [_set_row(row) for row in figures],
        caption=f"Sets that hold the first error. Of {part['mean_outcomes']:.1f} outcomes on average. {counts}",
    )
    prefixes = [
        table(
            (
                "promised at most",
                "prefixes with an error, %",
                "over splits, %",
                "steps certified, %",
                "nothing certified, %",
            ),
            [_prefix_row(row, name) for row in figures],
            caption=f"{title}.",
        )
        for name, title in PREFIXES.items()
    ]
    return sets + prefixes[0] + collapsed(PREFIXES["prefix_if_wrong"], prefixes[1])


def _set_row(figures: Mapping[str, Any]) -> list[object]:
    of_set, target = figures["index_set"], 100 * (1 - figures["alpha"])
    return [
        f"{target:g} %",
        interval_cell(of_set["coverage"], scale=100, target=target),
        _over_splits(figures, "index_set", "coverage"),
        interval_text(of_set["mean_size"], digits=2),
        percent_text(of_set["full_share"]),
    ]


def _prefix_row(figures: Mapping[str, Any], name: str) -> list[object]:
    prefix, target = figures[name], 100 * figures["alpha"]
    return [
        f"{target:g} %",
        interval_cell(prefix["risk"], scale=100, target=target),
        _over_splits(figures, name, "risk"),
        percent_text(prefix["mean_share"]),
        percent_text(prefix["empty_share"]),
    ]


def _over_splits(figures: Mapping[str, Any], part: str, name: str) -> str:
    if figures["splits"] is None:
        return "none"
    spread = figures["splits"][part][name]
    return percent_text({"value": spread["mean"], "lo": spread["lo"], "hi": spread["hi"]})


def _shift(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures for other calibration data than the test's, one row a pair and promise."""
    body = [
        [f"{row['calibrated_on']} \u2192 {row['tested_on']}", *_shift_row(figures)]
        for row in rows
        for figures in row["figures"]
    ]
    header = (
        "calibrated on \u2192 tested on",
        "promised",
        "coverage, %",
        "mean size",
        "prefixes with an error, %",
        "problems",
    )
    note = "The promise is for problems like those of the calibration; here they differ, so it may break."
    return collapsed("Under shift: calibrated on something else", table(header, body, caption=note))


def _shift_row(figures: Mapping[str, Any]) -> list[object]:
    target = 100 * (1 - figures["alpha"])
    return [
        f"{target:g} %",
        interval_cell(figures["index_set"]["coverage"], scale=100, target=target),
        interval_text(figures["index_set"]["mean_size"], digits=2),
        percent_text(figures["prefix"]["risk"]),
        f"{figures['n_problems_calibration']:,} \u2192 {figures['n_problems']:,}",
    ]


__all__ = ["coverage_html"]
