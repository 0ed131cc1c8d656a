"""Do conformal guarantees hold: coverage of index sets and risk of certified prefixes against what was guaranteed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from judgekit.metrics.bootstrap import Interval
from judgekit.report.interval_cells import interval_cell, interval_text, percent_text
from judgekit.report.page import collapsed, paragraph, table
from judgekit_eval.judges.schema import Promise
from judgekit_eval.report.benchmark import JudgedBenchmark


def coverage_html(benchmark: JudgedBenchmark, judge: str, subset: str) -> str:
    """Return what one judge's conformal sets and prefixes came to on one subset, held out and under shift."""
    measured = benchmark.runs[judge].results.conformal
    if measured is None:
        return paragraph(f"{judge} gave no verdict at all, so there is nothing to calibrate.")
    part = measured.subsets[subset]
    if part.held_out is None or part.mean_outcomes is None:
        return paragraph("Too few problems with a verdict to calibrate on one half and test on the other.")
    first = part.held_out[0]
    counts = (
        f"Calibrated on {first.n_problems_calibration:,} problems of the subset, tested on "
        f"{first.n_problems:,} others ({first.n:,} solutions, {first.n_no_verdict:,} without a "
        "verdict left out). A diamond marks what is guaranteed."
    )
    sets = table(
        ("guaranteed", "coverage, %", "over splits, %", "mean size", "full sets, %"),
        [
            [
                f"{100 * (1 - promise.alpha):g} %",
                interval_cell(promise.index_set.coverage, scale=100, target=100 * (1 - promise.alpha)),
                _over_splits(promise, "index_set", "coverage"),
                interval_text(promise.index_set.mean_size, digits=2),
                percent_text(promise.index_set.full_share),
            ]
            for promise in part.held_out
        ],
        caption=f"Sets that hold the first error. Of {part.mean_outcomes:.1f} outcomes on average. {counts}",
    )
    if_wrong = "Certified prefixes, calibrated and measured on erroneous solutions alone"
    shown = sets + _prefix_table("Certified prefixes", "prefix", part.held_out)
    shown += collapsed(if_wrong, _prefix_table(if_wrong, "prefix_if_wrong", part.held_out))
    shift = [
        [
            f"{row.calibrated_on} \u2192 {row.tested_on}",
            f"{100 * (1 - promise.alpha):g} %",
            interval_cell(promise.index_set.coverage, scale=100, target=100 * (1 - promise.alpha)),
            interval_text(promise.index_set.mean_size, digits=2),
            percent_text(promise.prefix.risk),
            f"{promise.n_problems_calibration:,} \u2192 {promise.n_problems:,}",
        ]
        for row in measured.shift
        if row.subset == subset
        for promise in row.figures
    ]
    if shift:
        header = (
            "calibrated on \u2192 tested on", "guaranteed", "coverage, %", "mean size", "prefixes with an error, %",
            "problems",
        )  # fmt: skip
        note = "The guarantee is for problems like those of the calibration; here they differ, so it may not hold."
        shown += collapsed("Under shift: calibrated on something else", table(header, shift, caption=note))
    return shown


def _prefix_table(title: str, kind: Literal["prefix", "prefix_if_wrong"], promises: Sequence[Promise]) -> str:
    rows = []
    for promise in promises:
        prefix = promise.prefix if kind == "prefix" else promise.prefix_if_wrong
        rows.append(
            [
                f"{100 * promise.alpha:g} %",
                interval_cell(prefix.risk, scale=100, target=100 * promise.alpha),
                _over_splits(promise, kind, "risk"),
                percent_text(prefix.mean_share),
                percent_text(prefix.empty_share),
            ]
        )
    header = (
        "guaranteed at most", "prefixes with an error, %", "over splits, %", "steps certified, %",
        "nothing certified, %",
    )  # fmt: skip
    return table(header, rows, caption=f"{title}.")


def _over_splits(promise: Promise, part: str, name: str) -> str:
    if promise.splits is None:
        return "none"
    spread = promise.splits[part][name]
    return percent_text(Interval(spread.mean, spread.lo, spread.hi))
