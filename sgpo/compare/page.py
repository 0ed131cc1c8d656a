"""The page of a comparison: conclusions, table, curves with bands over seeds, guards; one file, no network."""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.report.page import (
    Section,
    bullet_list,
    collapsed,
    figures,
    line_plot,
    panels,
    paragraph,
    render_page,
    series_legend,
    table,
)
from sgpo.compare.figures import (
    ACCURACY,
    DEAD,
    ENTROPY,
    JUDGE_SECONDS,
    JUDGED,
    LENGTH,
    RTS,
    SILENT,
    Metric,
    Plot,
    plots,
)
from sgpo.compare.judge_errors import error_plots
from sgpo.compare.results import Comparison
from sgpo.compare.table import LEGEND, TREND, TRENDS, WIDE, describe_guards, findings, table_rows, trend_rows

BANDS = "Lines are means over seeds; bands are Student's 95 % interval of the mean, clipped at the ends of the axis."


def comparison_html(comparison: Comparison) -> str:
    """Return the whole page."""
    rows = table_rows(comparison)
    tables = "".join(table(names, [[row[name] for name in names] for row in rows]) for names in WIDE)
    sections = [
        Section("What follows", bullet_list(findings(comparison))),
        Section("All arms", tables + bullet_list(LEGEND)),
    ]
    if errors := error_plots(comparison):
        text = (
            "Final accuracy when the judge makes simulated errors on a share of its verdicts. Horizontal lines are "
            f"arms without a judge and {comparison.reference}. {BANDS}"
        )
        slopes = table(list(TREND), [[row[name] for name in TREND] for row in trend_rows(comparison)], caption=TRENDS)
        sections.append(
            Section("What a judge's errors do", paragraph(text) + figures(*map(plot_html, errors)) + slopes)
        )
    sections += [
        Section("Accuracy", _all_arms(comparison, [ACCURACY])),
        Section("Groups without a learning signal", _all_arms(comparison, [DEAD, SILENT])),
        Section("The judge: scores and cost", _all_arms(comparison, [RTS, JUDGED, JUDGE_SECONDS])),
        Section("Entropy and length", _all_arms(comparison, [ENTROPY, LENGTH])),
        Section("Guards", _guards(comparison)),
        Section("Runs", _runs(comparison)),
    ]
    n_seeds = max(len(arm.seeds) for arm in comparison.arms.values())
    lead = paragraph(
        f"{len(comparison.arms)} arms, {n_seeds} seed{'s' * (n_seeds > 1)}, up to {comparison.n_steps} updates per "
        f"run, compared with {comparison.reference}, whose final accuracy is {comparison.level:.3f}. Written by sgpo "
        "compare."
    )
    return render_page("Comparison of algorithms", sections, lead=lead)


def _all_arms(comparison: Comparison, metrics: Sequence[Metric]) -> str:
    """Return the plots of metrics over updates, and of accuracy also over rollouts.

    If each arm has a panel of its own, all metrics but accuracy are collapsed.
    """
    found, together = "", []
    for metric in metrics:
        for over_rollouts in (True, False) if metric is ACCURACY else (False,):
            drawn = plots(comparison, metric, over_rollouts=over_rollouts)
            if len(drawn) == 1:
                together.append(plot_html(drawn[0]))
            elif drawn:
                keys = series_legend({0: "the arm of the panel", 1: comparison.reference})
                grid = keys + panels(*(plot_html(plot, small=True) for plot in drawn))
                name = f"{metric.name} over {drawn[0].x_label}"
                found += paragraph(name) + grid if metric is ACCURACY else collapsed(f"{name}, by arm", grid)
    if not found and not together:
        return paragraph("No arm has these metrics.")
    return paragraph(BANDS) + (figures(*together) if together else "") + found


def plot_html(plot: Plot, *, small: bool = False) -> str:
    """Draw a plot, or one of many panels, for a page."""
    return line_plot(
        plot.series,
        title=plot.title,
        x_label=plot.x_label,
        y_label=plot.y_label,
        y_range=plot.y_range,
        small=small,
    )


def _guards(comparison: Comparison) -> str:
    rows = [
        [name, seed, str(fired.step), fired.guard, fired.action, fired.what]
        for name, arm in comparison.best_first.items()
        for seed, run in arm.seeds.items()
        for fired in run.guards
    ]
    if not rows:
        return paragraph("No guard fired.")
    said = [f"{name}: {line}" for name, arm in comparison.best_first.items() for line in describe_guards(arm)]
    every = table(["arm", "seed", "step", "guard", "action", "finding"], rows)
    return bullet_list(said) + collapsed("Details of every guard that fired", every)


def _runs(comparison: Comparison) -> str:
    rows = [{name: value for name, value in row.items() if name != "guards"} for row in comparison.rows()]

    def text(value: object) -> str:
        if isinstance(value, float):
            return f"{value:.4g}" if value < 1e4 else f"{value:,.0f}"
        return "none" if value is None else str(value)

    header = [name.replace("_", " ") for name in rows[0]]
    body = [[text(value) for value in row.values()] for row in rows]
    return collapsed("Every run; results.jsonl has the same", table(header, body))
