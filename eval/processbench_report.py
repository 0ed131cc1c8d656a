"""The report of one benchmark run: a single HTML file that opens from disk without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.scoring import JudgedSolution
from judgekit.io import write_text
from judgekit.metrics import Bin, Outcome
from judgekit.page import (
    Section,
    asset,
    bullet_list,
    collapsed,
    escape,
    figures,
    heat_table,
    json_script,
    paragraph,
    reliability_diagram,
    render_page,
    table,
)

OUTCOME_NAMES = {
    Outcome.RIGHT: "✓ right",
    Outcome.EARLY: "← early",
    Outcome.LATE: "→ late",
    Outcome.MISSED: "○ missed",
    Outcome.FALSE_ALARM: "! false alarm",
    Outcome.NO_VERDICT: "? no verdict",
}
"""Words and signs of the outcomes on the page."""
N_STEP_COLUMNS = 10
"""Steps with a column of their own in the confusion table; later ones share one."""


def write_report(path: Path, results: Mapping[str, Any], rows: Sequence[JudgedSolution], *, n_browsed: int) -> None:
    """Write the report of `results` (see `eval.processbench.compute_results`) and the solutions behind it.

    Args:
        path: The HTML file.
        results: What `results.json` holds.
        rows: The judged solutions.
        n_browsed: Solutions in the browser at most; of more, evenly spaced ones are shown and the page says so.
    """
    shown = _evenly_spaced(rows, n_browsed)
    sections = [
        Section("Results", _results_html(results)),
        Section("Where predictions fall", _offsets_html(results["subsets"])),
        Section("Calibration", _calibration_html(results["subsets"])),
        Section("Predicted against true first error", _confusion_html(rows)),
        Section("Solutions", _browser_html(n_shown=len(shown), n_all=len(rows))),
    ]
    data = json_script("data", _browser_data(shown))
    title = f"{results['judge_id']} on {results['benchmark']}"
    write_text(path, render_page(title, sections, lead=_lead(results), data=data, script=asset("eval", "browser.js")))


def _lead(results: Mapping[str, Any]) -> str:
    decision, cost = results["decision"], results["cost"]
    rule = (
        f"first step with P(ok) below {decision['threshold']:.4g}"
        if "threshold" in decision
        else "most probable outcome"
    )
    return paragraph(
        f"Decision: {rule} ({decision['origin']}). Cost: {cost['n_tokens']:,} tokens, {cost['seconds']:,.1f} s. "
        "Steps are counted from 0."
    ) + bullet_list(results["comparability"])


def _results_html(results: Mapping[str, Any]) -> str:
    rates = ("F1", "error accuracy", "correct accuracy", "F1 of scored")
    header = ("subset", *rates, "solutions", "erroneous", "correct", "no verdict")
    body = [_results_row(_subset_name(name, values), values) for name, values in results["subsets"].items()]
    if len(body) > 1:
        body.append(_results_row("average of subsets", results["average"]))
    n_resamples = results["bootstrap"]["n_resamples"]
    caption = f"Percent, with 95 % intervals (bootstrap clustered by problem, {n_resamples:,} resamples)."
    return (
        table(header, body, caption=caption)
        + paragraph(
            "F1 is the harmonic mean of the two accuracies; a solution without a verdict counts as wrong, "
            "except in the column of scored solutions."
        )
        + bullet_list([_reasons(name, values["no_verdict"]) for name, values in results["subsets"].items()])
    )


def _reasons(name: str, no_verdict: Mapping[str, int]) -> str:
    counts = ", ".join(f"{reason} {count}" for reason, count in no_verdict.items())
    return f"No verdict on {name}: {counts or 'none'}."


def _subset_name(name: str, values: Mapping[str, Any]) -> str:
    return f"{name} (threshold tuned here: upper bound)" if values["threshold_tuned_here"] else name


def _results_row(name: str, values: Mapping[str, Any]) -> list[object]:
    rates = [_interval(values[rate], digits=1) for rate in ("f1", "error_accuracy", "correct_accuracy", "f1_scored")]
    return [name, *rates, *(values[count] for count in ("n", "n_error", "n_correct", "n_no_verdict"))]


def _interval(interval: Mapping[str, float | None], *, digits: int) -> str:
    if interval["value"] is None:
        return "none"
    value = f"{interval['value']:.{digits}f}"
    return value if interval["lo"] is None else f"{value} [{interval['lo']:.{digits}f}, {interval['hi']:.{digits}f}]"


def _offsets_html(subsets: Mapping[str, Any]) -> str:
    header = ("subset", "exact", "early", "late", "missed", "no verdict", "rightly none", "false alarm", "no verdict")
    body = [[name, *(_share(value) for value in values["offsets"].values())] for name, values in subsets.items()]
    caption = "Percent of the erroneous solutions (exact to no verdict) and of the correct ones (rightly none onwards)."
    return table(header, body, caption=caption)


def _share(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f}"


def _calibration_html(subsets: Mapping[str, Any]) -> str:
    known = {name: values["calibration"] for name, values in subsets.items() if values["calibration"]}
    if not known:
        return paragraph("The judge gave no verdict at all, so there are no probabilities to compare.")
    diagrams = [
        reliability_diagram([Bin(**b) for b in c["bins"]], title=_diagram_title(name, c)) for name, c in known.items()
    ]
    body = [
        [
            name,
            *(_interval(calibration[metric], digits=4) for metric in ("ece", "brier", "nll")),
            calibration["n_steps"],
        ]
        for name, calibration in known.items()
    ]
    header = ("subset", "expected calibration error", "Brier score", "negative log-likelihood", "steps")
    return (
        figures(*diagrams)
        + table(header, body, caption="Lower is better. With 95 % intervals.")
        + paragraph(
            "P(step ok) is the probability that a step is right if all before it are, so only the steps up to and "
            "including the true first error count. Grey bars: number of steps in each bin."
        )
        + "".join(collapsed(f"Bins on {name}", _bins_table(calibration)) for name, calibration in known.items())
    )


def _bins_table(calibration: Mapping[str, Any]) -> str:
    header = ("P(step ok)", "steps", "mean probability", "share right")
    return table(
        header,
        [
            [f"{b['lo']:.2f} to {b['hi']:.2f}", b["count"], _fraction(b["mean_prob"]), _fraction(b["frac_ok"])]
            for b in calibration["bins"]
        ],
    )


def _fraction(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _diagram_title(name: str, calibration: Mapping[str, Any]) -> str:
    return f"Reliability on {name}: {calibration['n_steps']:,} steps, ECE {calibration['ece']['value']:.3f}"


def _confusion_html(rows: Sequence[JudgedSolution]) -> str:
    names = [*(str(k) for k in range(N_STEP_COLUMNS)), f"{N_STEP_COLUMNS}+", "none"]
    columns = [*names, "no verdict"]
    counts = {name: dict.fromkeys(columns, 0) for name in names}
    for row in rows:
        counts[_place(row.gold)][_place(row.predicted) if row.judged else "no verdict"] += 1
    used = [name for name in names if any(counts[name].values())]
    return heat_table(
        used,
        columns,
        [list(counts[name].values()) for name in used],
        corner="true ↓ judge →",
        caption="Number of solutions; stronger colour is a larger share of the row, outlined cells are agreements "
        f"({N_STEP_COLUMNS}+ pools later steps, so agreement there need not be exact).",
    )


def _place(first_error: int | None) -> str:
    if first_error is None:
        return "none"
    return str(first_error) if first_error < N_STEP_COLUMNS else f"{N_STEP_COLUMNS}+"


def _browser_html(*, n_shown: int, n_all: int) -> str:
    kinds = {"all": "all", **{str(outcome): name for outcome, name in OUTCOME_NAMES.items()}}
    buttons = "".join(
        f'<button type="button" data-outcome="{kind}" aria-pressed="false">{escape(name)} '
        f'<span class="number"></span></button>'
        for kind, name in kinds.items()
    )
    some = f"{n_shown:,} of {n_all:,} solutions, evenly spaced. " if n_shown < n_all else ""
    return (
        f'<p>{some}Colour: P(step ok), <span class="number">0</span><span class="scale"></span>'
        '<span class="number">1</span>. Keys: <code>j</code> and <code>k</code>, or the arrows in the list.</p>'
        f'<div class="controls" id="filters" role="group" aria-label="outcome">{buttons}</div>'
        '<div class="controls"><input type="search" id="search" placeholder="search problem, steps, id" '
        'aria-label="search"><label>subset <select id="subset"><option value="">all</option></select></label>'
        '<div class="group"><button type="button" id="previous">previous</button>'
        '<button type="button" id="next">next</button>'
        '<span class="dim" id="position" aria-live="polite"></span></div></div>'
        '<div class="browser" id="browser"><div class="list" id="list" role="listbox" tabindex="0" '
        'aria-label="solutions"></div><article class="detail" id="detail" tabindex="0"></article></div>'
    )


def _browser_data(rows: Sequence[JudgedSolution]) -> dict[str, Any]:
    return {
        "outcomes": {str(outcome): name for outcome, name in OUTCOME_NAMES.items()},
        "subsets": list(dict.fromkeys(row.subset for row in rows)),
        "solutions": [_browser_row(row) for row in rows],
    }


def _browser_row(row: JudgedSolution) -> dict[str, Any]:
    solution, verdict = row.solution, row.judgement.verdict
    return {
        "id": solution.id,
        "subset": row.subset,
        "source_id": solution.source_id,
        "generator": solution.generator,
        "problem": solution.problem,
        "steps": solution.steps,
        "gold": row.gold,
        "predicted": row.predicted,
        "outcome": row.outcome,
        "no_verdict": row.judgement.no_verdict,
        "p_ok": row.p_ok_S,
        "posterior": verdict.posterior if verdict else None,
        "p_none": verdict.p_none if verdict else None,
    }


def _evenly_spaced(rows: Sequence[JudgedSolution], n_most: int) -> list[JudgedSolution]:
    if len(rows) <= n_most:
        return list(rows)
    return [rows[i * len(rows) // n_most] for i in range(n_most)]


__all__ = ["write_report"]
