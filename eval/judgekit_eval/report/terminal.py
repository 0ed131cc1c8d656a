"""The leaderboard in the terminal, as `judgekit eval` prints it at its end: one table a benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from judgekit.report.terminal import console
from judgekit_eval.report.leaderboard import Leaderboard, score_name, seen_before, threshold_origin
from judgekit_eval.report.markdown_leaderboard import cell


def print_leaderboards(boards: Sequence[Leaderboard]) -> None:
    """Print every judge's headline, both accuracies, counts and what decided, in the order in which judges were given.

    Published figures are left out: there is no room to say where they come from.
    """
    out = console()
    for board in boards:
        scores = board.main_scores[:2]
        title = f"{board.benchmark}, {board.first.overall.n:,} solutions: {board.first.headline.name}"
        table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("judge", no_wrap=True)
        table.add_column("headline", justify="right", no_wrap=True)
        table.add_column(" / ".join(map(score_name, scores)), justify="right")
        table.add_column("no verdict", justify="right")
        table.add_column("threshold")
        table.add_column("seen before")
        for row in board.rows:
            results, overall = row.results, row.results.overall
            values = [overall.scores[score].value for score in scores]
            cells = [
                row.judge,
                cell(results.headline),
                " / ".join("undefined" if value is None else f"{value:.1f}" for value in values),
                f"{overall.n_no_verdict:,}",
                threshold_origin(results.decision),
                seen_before(results),
            ]
            # As `Text`: the name of a judge is not to be read as markup.
            table.add_row(*map(Text, cells))
        out.print(table)
        for text in (*(f"undefined: {text}" for text in board.first.undefined), *board.reading_notes):
            out.print(Text(text))
