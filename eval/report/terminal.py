"""What `judgekit eval` prints at its end: one table a benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eval.judges.judged_solution import BenchmarkRun
from eval.report.leaderboard import score_name
from eval.report.markdown_leaderboard import cell, main_scores, threshold_origin
from judgekit.report.interval_cells import HasInterval

WIDTH_ELSEWHERE = 120
"""Columns of the table where it goes to no terminal, which would know its width."""


def print_evaluation(runs: Sequence[BenchmarkRun]) -> None:
    """Print every judge's headline, both accuracies, counts and what decided, benchmark by benchmark."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_ELSEWHERE)
    for name in dict.fromkeys(run.results.benchmark for run in runs):
        here = [run for run in runs if run.results.benchmark == name]
        console.print(_table(name, here))
        for text in here[0].results.undefined:
            console.print(Text(f"none: {text}"))


def _table(name: str, runs: Sequence[BenchmarkRun]) -> Table:
    headline = runs[0].results.headline.name
    title = f"{name}, {len(runs[0].rows):,} solutions: {headline}"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    scores = main_scores(runs[0].results)[:2]
    table.add_column("judge", no_wrap=True)
    table.add_column("headline", justify="right", no_wrap=True)
    table.add_column(" / ".join(map(score_name, scores)), justify="right")
    table.add_column("no verdict", justify="right")
    table.add_column("threshold")
    table.add_column("seen before")
    for results, _ in runs:
        overall = results.overall
        cells = [
            results.judge.judge_id,
            cell(results.headline),
            " / ".join(_value(overall.scores[score]) for score in scores),
            f"{overall.n_no_verdict:,}",
            threshold_origin(results.decision),
            results.protocol.contamination.status,
        ]
        table.add_row(*map(Text, cells))
    return table


def _value(interval: HasInterval) -> str:
    return "none" if interval.value is None else f"{interval.value:.1f}"
