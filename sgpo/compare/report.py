"""The files of a finished comparison: `compare.json`, `results.jsonl`, `compare.html`, `compare.md`, `compare.png`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from judgekit.io import write_json, write_text
from judgekit.report.markdown import markdown_table
from sgpo.compare.curves import RunRecord, read_record
from sgpo.compare.judge_errors import error_trends
from sgpo.compare.page import comparison_html
from sgpo.compare.pictures import draw_comparison
from sgpo.compare.results import Comparison
from sgpo.compare.runs import ArmRun
from sgpo.compare.statistics import compare_arms
from sgpo.compare.table import LEGEND, TREND, TRENDS, WIDE, findings, table_rows, trend_rows

REPORT, RESULTS, PAGE, TABLE, PLOT = "compare.json", "results.jsonl", "compare.html", "compare.md", "compare.png"


def write_report(output: Path, runs: Sequence[ArmRun], *, reference: str, n_steps: int) -> Comparison:
    """Compare the arms by their finished runs and write the comparison's files into its folder.

    Raises:
        JudgekitError: no run of the reference arm has an evaluation.
    """
    comparison = compare_arms(read_runs(runs), reference=reference, n_steps=n_steps)
    comparison = comparison.model_copy(update={"trends": error_trends(comparison.arms)})
    write_json(output / REPORT, comparison.model_dump(mode="json"))
    write_text(output / RESULTS, "".join(json.dumps(row) + "\n" for row in comparison.rows()))
    write_text(output / TABLE, comparison_markdown(comparison))
    write_text(output / PAGE, comparison_html(comparison))
    draw_comparison(output / PLOT, comparison)
    return comparison


def read_runs(runs: Sequence[ArmRun]) -> dict[str, dict[int, RunRecord]]:
    """Read the finished runs, by arm and seed."""
    arms: dict[str, dict[int, RunRecord]] = {}
    for run in runs:
        if run.finished:
            arms.setdefault(run.arm, {})[run.seed] = read_record(run)
    return arms


def comparison_markdown(comparison: Comparison) -> str:
    """Return the tables in Markdown, with the conclusions and a legend of the columns."""
    rows = table_rows(comparison)
    parts = [f"Level to reach: {comparison.level:.3f}, the final accuracy of {comparison.reference}."]
    parts += [markdown_table(names, [[row[name] for name in names] for row in rows]) for names in WIDE]
    if comparison.trends:
        shown = [[row[name] for name in TREND] for row in trend_rows(comparison)]
        parts += [TRENDS, markdown_table(TREND, shown)]
    parts.append("\n".join(f"- {line}" for line in [*findings(comparison), *LEGEND]))
    return "\n\n".join(parts) + "\n"
