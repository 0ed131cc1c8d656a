"""Are the probabilities right: reliability, scores of probabilities, and what abstaining buys."""

from __future__ import annotations

from collections.abc import Collection

from judgekit.metrics.steps import Bin
from judgekit.report.interval_cells import interval_text
from judgekit.report.page import Series, collapsed, figures, line_plot, panels, paragraph, reliability_diagram, table
from judgekit_eval.judges.schema import SubsetResults
from judgekit_eval.report.benchmark import JudgedBenchmark
from judgekit_eval.results import Metric

CALIBRATION = {
    "auroc": "AUROC",
    "auroc_within_position": "AUROC within position",
    "auprc_error": "AUPRC of errors",
    "ece": "ECE, equal width",
    "ece_equal_mass": "ECE, equal mass",
    "ece_debiased": "calibration error, debiased root mean square",
    "nll": "log loss (nats)",
}
"""Columns about ranking and calibration of step probabilities."""
BRIER = {
    "brier": "Brier score",
    "brier_reliability": "reliability (lower is better)",
    "brier_resolution": "resolution (higher is better)",
    "brier_uncertainty": "uncertainty",
    "brier_within": "within bins",
    "sharpness": "sharpness",
}
"""Columns of the Brier score's decomposition."""
AUROC_FLOOR = (
    "The floor of AUROC is not 0.5: steps count up to the first error, so the last counted step of a wrong solution is "
    "the wrong one, and a judge that reads nothing gains from the position of a step. Within position, step k of n is "
    "compared with step k of n of other solutions: there any function of k and n alone has 0.5. The length of a step's "
    "text is still informative; the floors show how much."
)
"""What must be known wherever an AUROC of steps is shown."""
N_CURVE_POINTS = 100
"""Points of a risk-coverage curve that are drawn."""


def step_scores_html(benchmark: JudgedBenchmark, subset: str) -> str:
    """Return the scores of all judges' step probabilities on one subset."""
    known = {judge: values.steps for judge, values in benchmark.of_subset(subset).items() if values.steps}
    if not known:
        return paragraph("No judge gave a verdict here, so there are no probabilities to score.")
    tables = ""
    for columns, note in (
        (CALIBRATION, f"Probability of a step being right, against its label. {AUROC_FLOOR}"),
        (BRIER, "Brier score = reliability \u2212 resolution + uncertainty + within bins."),
    ):
        body = []
        for judge, steps in known.items():
            # Evaluations of earlier releases lack some metrics.
            metrics: list[Metric | None] = [getattr(steps, name) for name in columns]
            texts = ["not measured" if metric is None else interval_text(metric, digits=3) for metric in metrics]
            body.append([judge, *texts, f"{steps.n_steps:,}"])
        header = ("judge", *columns.values(), "steps")
        tables += table(header, body, caption=f"{note} With 95 % intervals.")
    diagrams = ""
    if len(known) > 1:
        drawn = [
            reliability_diagram([Bin(**b.model_dump()) for b in of.bins], title=f"{judge}, ECE {of.ece.value:.3f}")
            for judge, of in known.items()
        ]
        diagrams = "<h3>Reliability of all judges</h3>" + panels(*drawn)
    return tables + _without("step probabilities", benchmark, known) + diagrams


def _without(what: str, benchmark: JudgedBenchmark, known: Collection[str]) -> str:
    missing = [judge for judge in benchmark.judges if judge not in known]
    return paragraph(f"No {what}: {', '.join(missing)}.") if missing else ""


def reliability_html(judge: str, values: SubsetResults) -> str:
    """Return both reliability diagrams of one judge on one subset, with their bins."""
    steps = values.steps
    if not steps:
        return paragraph(f"{judge} gave no verdict here, so there is nothing to draw.")
    binnings = {"equal width": (steps.bins, steps.ece), "equal mass": (steps.bins_equal_mass, steps.ece_equal_mass)}
    plots, tables = [], []
    for name, (bins, ece) in binnings.items():
        title = f"Bins of {name}: {steps.n_steps:,} steps, ECE {ece.value:.3f}"
        plots.append(reliability_diagram([Bin(**b.model_dump()) for b in bins], title=title))
        body = [
            [
                f"{b.lo:.3f} to {b.hi:.3f}",
                f"{b.count:,}",
                *("empty" if share is None else f"{share:.3f}" for share in (b.mean_prob, b.frac_ok)),
            ]
            for b in bins
        ]
        numbers = table(("P(step ok)", "steps", "mean probability", "share right"), body)
        tables.append(collapsed(f"Bins of {name} in numbers", numbers))
    return figures(*plots) + "".join(tables)


def risk_coverage_html(benchmark: JudgedBenchmark, subset: str) -> str:
    """Return the risk-coverage curves of all judges in one plot, and the areas under them."""
    known = {judge: values.selective for judge, values in benchmark.of_subset(subset).items() if values.selective}
    if not known:
        return paragraph("No judge gave a verdict here, so there is nobody to abstain.")
    curves, areas = [], []
    for judge, selective in known.items():
        # A curve has a point a solution; of thousands, a hundred draw the same line.
        n = len(selective.coverage)
        drawn = sorted({round(i * (n - 1) / (N_CURVE_POINTS - 1)) for i in range(N_CURVE_POINTS)})
        risk, lo, hi = ([column[i] for i in drawn] for column in (selective.risk, selective.risk_lo, selective.risk_hi))
        curves.append(Series(judge, [selective.coverage[i] for i in drawn], risk, lo, hi))
        metrics = (selective.aurc, selective.aurc_random, selective.aurc_perfect)
        areas.append([judge, *(interval_text(metric, digits=3) for metric in metrics)])
    plot = line_plot(
        curves,
        title=f"Risk at each coverage on {subset}, with 95 % bands",
        x_label="coverage: share decided, most confident first",
        y_label="risk: share decided wrongly",
    )
    header = ("judge", "AURC", "AURC of random confidence", "AURC of perfect confidence")
    under = table(header, areas, caption="Area under the curve; lower is better.")
    return figures(plot) + under + _without("curve", benchmark, known)
