"""Sums up the rows of an online run's `metrics.jsonl`: batches behind a row, totals of a run. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judgekit.run import read_rows

SAMPLED = "sgpo/judge_on"
"""Metric of a row if responses were sampled since the last row."""


def logged_batches(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Yield each row behind which responses were sampled, and the number of batches that its `sgpo/` means are over.

    Batches of an algorithm that samples again count, too.
    """
    before = 0
    for row in rows:
        if SAMPLED in row:
            # Folders of earlier releases do not say; there it was one batch per step.
            yield row, row.get("sgpo/batches", row["step"] - before)
            before = row["step"]


def summarise_metrics(path: Path) -> dict[str, Any]:
    """Return the totals of a whole run, from its `metrics.jsonl`.

    `first_frac_all_negative` is from the first row. Sums of judge calls, seconds, dollars and unscored responses count
    every batch; the fractions that a cascade passed on are of all judge calls; `final_accuracy` is from the last
    evaluation, `None` without one.
    """
    rows = read_rows(path)
    logged = list(logged_batches(rows))
    totals = dict.fromkeys(("judge_calls", "judge_seconds", "unscored"), 0.0)
    dollars = ["judge_usd"] if any("sgpo/judge_usd" in row for row, _ in logged) else []
    totals |= dict.fromkeys(dollars, 0.0)
    deferred: Counter[str] = Counter()  # responses for which a cascade called more than so many members
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
