"""Do conformal promises hold: coverage of index sets and risk of certified prefixes against what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from eval.judges.schema import Promise, Shift
from eval.report.benchmark import JudgedBenchmark
from judgekit.metrics.bootstrap import Interval
from judgekit.report.interval_cells import interval_cell, interval_text, percent_text
from judgekit.report.page import collapsed, paragraph, table

PREFIXES: dict[Literal["prefix", "prefix_if_wrong"], str] = {
    "prefix": "Certified prefixes",
    "prefix_if_wrong": "Certified prefixes, calibrated and measured on erroneous solutions alone",
}
"""Parts of the figures about prefixes, with their headings."""


def coverage_html(benchmark: JudgedBenchmark, judge: str, subset: str) -> str:
    """Return what one judge's conformal sets and prefixes came to on one subset, held out and under shift."""
    measured = benchmark.runs[judge].results.conformal
    if measured is None:
        return paragraph(f"{judge} gave no verdict at all, so there is nothing to calibrate.")
    part = measured.subsets[subset]
    if part.held_out is None or part.mean_outcomes is None:
        return paragraph("Too few problems with a verdict to calibrate on one half and test on the other.")
    shift = [row for row in measured.shift if row.subset == subset]
    return _held_out(part.held_out, part.mean_outcomes) + (_shift(shift) if shift else "")


def _held_out(promises: Sequence[Promise], mean_outcomes: float | None) -> str:
    counts = (
        f"Calibrated on {promises[0].n_problems_calibration:,} problems of the subset, tested on "
        f"{promises[0].n_problems:,} others ({promises[0].n:,} solutions, {promises[0].n_no_verdict:,} without a "
        "verdict left out). A diamond marks what is promised."
    )
    sets = table(
        ("promised", "coverage, %", "over splits, %", "mean size", "full sets, %"),
        [_set_row(row) for row in promises],
        caption=f"Sets that hold the first error. Of {mean_outcomes:.1f} outcomes on average. {counts}",
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
            [_prefix_row(row, name) for row in promises],
            caption=f"{title}.",
        )
        for name, title in PREFIXES.items()
    ]
    return sets + prefixes[0] + collapsed(PREFIXES["prefix_if_wrong"], prefixes[1])


def _set_row(promise: Promise) -> list[object]:
    of_set, target = promise.index_set, 100 * (1 - promise.alpha)
    return [
        f"{target:g} %",
        interval_cell(of_set.coverage, scale=100, target=target),
        _over_splits(promise, "index_set", "coverage"),
        interval_text(of_set.mean_size, digits=2),
        percent_text(of_set.full_share),
    ]


def _prefix_row(promise: Promise, name: Literal["prefix", "prefix_if_wrong"]) -> list[object]:
    prefix, target = promise.prefix if name == "prefix" else promise.prefix_if_wrong, 100 * promise.alpha
    return [
        f"{target:g} %",
        interval_cell(prefix.risk, scale=100, target=target),
        _over_splits(promise, name, "risk"),
        percent_text(prefix.mean_share),
        percent_text(prefix.empty_share),
    ]


def _over_splits(promise: Promise, part: str, name: str) -> str:
    if promise.splits is None:
        return "none"
    spread = promise.splits[part][name]
    return percent_text(Interval(spread.mean, spread.lo, spread.hi))


def _shift(rows: Sequence[Shift]) -> str:
    """Return the figures for other calibration data than the test's, one row a pair and promise."""
    body = [
        [f"{row.calibrated_on} \u2192 {row.tested_on}", *_shift_row(promise)] for row in rows for promise in row.figures
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


def _shift_row(promise: Promise) -> list[object]:
    target = 100 * (1 - promise.alpha)
    return [
        f"{target:g} %",
        interval_cell(promise.index_set.coverage, scale=100, target=target),
        interval_text(promise.index_set.mean_size, digits=2),
        percent_text(promise.prefix.risk),
        f"{promise.n_problems_calibration:,} \u2192 {promise.n_problems:,}",
    ]
