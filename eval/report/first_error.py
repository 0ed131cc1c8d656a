"""Where a judge looks for the first error: confusion, direction of misses, and what they depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.judges.schema import Confusion, EvalResults, HitRow, SubsetResults
from eval.report.benchmark import JudgedBenchmark
from eval.results import Metric
from judgekit.report.interval_cells import interval_cell, interval_text, percent_text
from judgekit.report.page import heat_table, paragraph, table

OFFSETS = {
    "exact": "✓ exact",
    "early": "← early",
    "late": "→ late",
    "missed": "○ missed",
    "no_verdict_error": "? no verdict",
}
"""What becomes of erroneous solutions."""
OFFSETS_CORRECT = {
    "clear": "✓ rightly none",
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
GROUPS = {
    "position": ("By position of the true first error", "step"),
    "length": ("By length", "steps"),
    "generator": ("By who wrote the solution", "generator"),
}
"""Headings of the breakdowns."""


def posterior_scores_html(benchmark: JudgedBenchmark, subset: str) -> str:
    """Return how all judges' posteriors and predictions lie to the true first error on one subset."""
    header = ("judge", *(name for name, _ in POSTERIOR.values()), *DISTANCE.values(), *RTS.values())
    body = [[judge, *_posterior_row(values)] for judge, values in benchmark.of_subset(subset).items()]
    caption = (
        "The posterior over all outcomes, with 95 % intervals. Distances and RTS (share of valid steps) are of "
        "erroneous solutions; a positive bias is reward for steps that are not valid."
    )
    return table(header, body, caption=caption)


def _posterior_row(values: SubsetResults) -> list[str]:
    return [
        *(_figure(values.first_error, name, digits=2, scale=scale) for name, (_, scale) in POSTERIOR.items()),
        *(_figure(values.distance, name, digits=2) for name in DISTANCE),
        *(_figure(values.rts, name, digits=3) for name in RTS),
    ]


def _figure(part: Mapping[str, Metric] | None, name: str, *, digits: int, scale: float = 1.0) -> str:
    return "none" if part is None or name not in part else interval_text(part[name], digits=digits, scale=scale)


def first_error_html(values: SubsetResults) -> str:
    """Return confusion, direction of misses and breakdowns of one judge on one subset."""
    parts = [_offsets_html(values), *(_group_html(name, getattr(values.by, name)) for name in GROUPS)]
    columns = f'<div class="columns">{"".join(f"<div>{part}</div>" for part in parts)}</div>'
    return _confusion_html(values.confusion) + columns


def offsets_table_html(benchmark: JudgedBenchmark, subset: str) -> str:
    """Return the outcomes of all judges on one subset, in percent of their class."""
    names = {**OFFSETS, **OFFSETS_CORRECT}
    body = [
        [judge, *(percent_text(values.offsets[name]) for name in names)]
        for judge, values in benchmark.of_subset(subset).items()
    ]
    caption = "Percent of the erroneous solutions (exact to no verdict) and of the correct ones (rightly none onwards)."
    return table(("judge", *names.values()), body, caption=caption)


def _offsets_html(values: SubsetResults) -> str:
    parts = []
    classes = ((values.n_error, "erroneous", OFFSETS), (values.n_correct, "correct", OFFSETS_CORRECT))
    for count, kind, names in classes:
        if count:
            body = [[name, interval_cell(values.offsets[key], scale=100)] for key, name in names.items()]
            parts.append(table((f"{count:,} {kind} solutions", "percent"), body))
    return "<h3>Direction of misses</h3>" + "".join(parts)


def _confusion_html(confusion: Confusion) -> str:
    caption = (
        "Number of solutions; stronger colour is a larger share of the row, outlined cells are agreements (a + pools "
        "later steps, so agreement there need not be exact)."
    )
    used = [(name, row) for name, row in zip(confusion.rows, confusion.counts, strict=True) if any(row)]
    names, counts = zip(*used, strict=True)
    heat = heat_table(names, confusion.columns, counts, corner="true ↓ judge →", caption=caption)
    return f"<h3>Predicted against true first error</h3>{heat}"


def _group_html(name: str, rows: Sequence[HitRow]) -> str:
    title, corner = GROUPS[name]
    heading = f"<h3>{title}</h3>"
    if not rows:
        return heading + paragraph("Nothing to break down here.")
    body = [[row.name, interval_cell(row.hit, scale=100), f"{row.n:,}"] for row in rows]
    return heading + table((corner, "rightly decided, %", "solutions"), body)


def by_subset_html(judge: str, results: EvalResults) -> str:
    """Return one judge's share of right decisions on every subset (class, task or data set), and over all solutions."""
    rates = ("error_accuracy", "correct_accuracy", "f1")
    parts = [(name, values.scores, values.n) for name, values in results.subsets.items()]
    if len(parts) > 1 and results.pooled is not None:
        parts.append(("all, pooled", results.pooled.scores, results.overall.n))
    body = [[name, *(interval_cell(scores[rate]) for rate in rates), f"{n:,}"] for name, scores, n in parts]
    header = ("subset", "error accuracy, %", "correct accuracy, %", "F1", "solutions")
    return table(header, body, caption=f"{judge}: first errors found at the exact step, and correct solutions passed.")
