"""What the rows of an online run's `metrics.jsonl` come to: batches behind a row, sums over a run. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judgekit.run import read_rows

SAMPLED = "sgpo/judge_on"
"""What a row of metrics has where responses were sampled since the row before."""


def logged_batches(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Yield each row behind which responses were sampled, and of how many batches its `sgpo/` means are.

    Those of an algorithm that samples again are batches, too.
    """
    before = 0
    for row in rows:
        if SAMPLED in row:
            # Folders of earlier releases do not say; there it was a batch a step.
            yield row, row.get("sgpo/batches", row["step"] - before)
            before = row["step"]


def summarise_metrics(path: Path) -> dict[str, Any]:
    """Return what a whole run came to, from its `metrics.jsonl`.

    `first_frac_all_negative` is of the first row; sums of judge calls, seconds, dollars and unscored responses count
    every batch, and shares that a cascade deferred are of all judge calls; `final_accuracy` is the last
    evaluation, `None` without one.
    """
    rows = read_rows(path)
    logged = list(logged_batches(rows))
    totals = dict.fromkeys(("judge_calls", "judge_seconds", "unscored"), 0.0)
    dollars = ["judge_usd"] if any("sgpo/judge_usd" in row for row, _ in logged) else []
    totals |= dict.fromkeys(dollars, 0.0)
    deferred: Counter[str] = Counter()  # responses that a cascade has asked more than so many members about
    for row, n_batches in logged:
        for name in totals:
            totals[name] += row.get(f"sgpo/{name}", 0.0) * n_batches
        for key in row:
            if key.startswith("sgpo/judge_deferred_"):
                deferred[key.removeprefix("sgpo/")] += row[key] * row["sgpo/judge_calls"] * n_batches
    if totals["judge_calls"]:
        totals |= {name: n_deferred / totals["judge_calls"] for name, n_deferred in deferred.items()}
    return totals | {
        "steps": max((row["step"] for row in rows), default=0),
        "first_frac_all_negative": logged[0][0]["sgpo/frac_all_negative"] if logged else None,
        **held_out_ends(rows),
    }


def held_out_ends(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return `first_accuracy` and `final_accuracy` of the held-out evaluations in a run's metrics, else `None`."""
    found = [row["eval/accuracy"] for row in rows if "eval/accuracy" in row] or [None]
    return {"first_accuracy": found[0], "final_accuracy": found[-1]}
