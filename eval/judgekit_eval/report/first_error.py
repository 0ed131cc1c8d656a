"""Where a judge looks for the first error: confusion, direction of misses, and what they depend on."""

from __future__ import annotations

from collections.abc import Mapping

from judgekit.report.interval_cells import interval_cell, interval_text, percent_text
from judgekit.report.page import columns, heat_table, paragraph, table
from judgekit_eval.judges.schema import EvalResults, SubsetResults
from judgekit_eval.report.benchmark import JudgedBenchmark
from judgekit_eval.results import Metric

OFFSETS = {
    "exact": "✓ exact",
    "early": "← early",
    "late": "→ late",
    "missed": "○ missed",
    "no_verdict_error": "? no verdict",
}
"""What becomes of erroneous solutions."""
OFFSETS_CORRECT = {
    "clear": "✓ correctly none",
    "false_alarm": "! false alarm",
    "no_verdict_correct": "? no verdict",
}
"""What becomes of correct solutions."""
POSTERIOR = {
    "log_loss": ("log loss (nats)", 1),
    "mean_rank": ("mean rank", 1),
    "top_1": ("top 1, %", 100),
    "top_2": ("top 2, %", 100),
    "top_3": ("top 3, %", 100),
}
"""Columns about the posterior at the true outcome, with their scale."""
DISTANCE = {
    "mean_steps": "distance (steps)",
    "signed_mean_steps": "predicted \u2212 true (steps)",
    "expected_steps": "expected distance (steps)",
}
"""Columns about how far predictions lie from the truth."""
RTS = {"mae": "RTS, mean absolute error", "bias": "RTS, bias"}
"""Columns about the reward that SGPO would give."""


def posterior_scores_html(benchmark: JudgedBenchmark, subset: str) -> str:
    """Return how all judges' posteriors and predictions lie to the true first error on one subset."""
    header = ("judge", *(name for name, _ in POSTERIOR.values()), *DISTANCE.values(), *RTS.values())
    body = [
        [
            judge,
            *(_metric(values.first_error, name, digits=2, scale=scale) for name, (_, scale) in POSTERIOR.items()),
            *(_metric(values.distance, name, digits=2) for name in DISTANCE),
            *(_metric(values.rts, name, digits=3) for name in RTS),
        ]
        for judge, values in benchmark.of_subset(subset).items()
    ]
    caption = (
        "The posterior over all outcomes, with 95 % intervals. Distances and RTS (share of valid steps) are of "
        "erroneous solutions; a positive bias is reward for steps that are not valid."
    )
    return table(header, body, caption=caption)


def _metric(part: Mapping[str, Metric] | None, name: str, *, digits: int, scale: float = 1.0) -> str:
    return "undefined" if part is None or name not in part else interval_text(part[name], digits=digits, scale=scale)


def offsets_table_html(benchmark: JudgedBenchmark, subset: str) -> str:
    """Return the outcomes of all judges on one subset, in percent of their class."""
    names = {**OFFSETS, **OFFSETS_CORRECT}
    body = [
        [judge, *(percent_text(values.offsets[name]) for name in names)]
        for judge, values in benchmark.of_subset(subset).items()
    ]
    caption = "Percent of the erroneous solutions (exact to no verdict) and of the correct ones (the rows after that)."
    return table(("judge", *names.values()), body, caption=caption)


def first_error_html(values: SubsetResults) -> str:
    """Return confusion, direction of misses and breakdowns of one judge on one subset."""
    confusion = values.confusion
    # Positions at which no solution has its first error are left out: rows of zeros say nothing.
    used = [(name, row) for name, row in zip(confusion.rows, confusion.counts, strict=True) if any(row)]
    names, counts = zip(*used, strict=True)
    caption = (
        "Number of solutions; stronger colour is a larger share of the row, outlined cells are agreements (a + pools "
        "later steps, so agreement there need not be exact)."
    )
    heat = heat_table(names, confusion.columns, counts, corner="true ↓ judge →", caption=caption)

    misses = "<h3>Direction of misses</h3>"
    classes = ((values.n_error, "erroneous", OFFSETS), (values.n_correct, "correct", OFFSETS_CORRECT))
    for count, kind, outcomes in classes:
        if count:
            body = [[name, interval_cell(values.offsets[key], scale=100)] for key, name in outcomes.items()]
            misses += table((f"{count:,} {kind} solutions", "percent"), body)
    parts = [misses]
    breakdowns = (
        (values.by.position, "By position of the true first error", "step"),
        (values.by.length, "By length", "steps"),
        (values.by.generator, "By who wrote the solution", "generator"),
    )
    for rows, title, corner in breakdowns:
        shares = [[row.name, interval_cell(row.hit, scale=100), f"{row.n:,}"] for row in rows]
        broken = (
            table((corner, "correctly decided, %", "solutions"), shares)
            if rows
            else paragraph("Nothing to break down here.")
        )
        parts.append(f"<h3>{title}</h3>{broken}")
    return f"<h3>Predicted against true first error</h3>{heat}{columns(*parts)}"


def by_subset_html(judge: str, results: EvalResults) -> str:
    """Return one judge's share of right decisions on every subset (class, task or data set), and over all solutions."""
    rates = ("error_accuracy", "correct_accuracy", "f1")
    parts = [(name, values.scores, values.n) for name, values in results.subsets.items()]
    if len(parts) > 1 and results.pooled is not None:
        parts.append(("all, pooled", results.pooled.scores, results.overall.n))
    body = [[name, *(interval_cell(scores[rate]) for rate in rates), f"{n:,}"] for name, scores, n in parts]
    header = ("subset", "error accuracy, %", "correct accuracy, %", "F1", "solutions")
    return table(header, body, caption=f"{judge}: first errors found at the exact step, and correct solutions passed.")
