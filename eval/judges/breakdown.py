"""Where a judge is right, and what it takes for what: shares by group, first error against prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.judges.intervals import Estimate, estimate_sums
from eval.judges.judged_solution import JudgedSolution
from judgekit.metrics.bootstrap import Interval, Resamples, wilson_interval
from judgekit.metrics.checks import Floats, ratio
from judgekit.metrics.localization import Outcome

LENGTHS = ((1, 3), (4, 6), (7, 9), (10, 14), (15, 19), (20, None))
"""Bins of the number of steps, both ends inclusive, `None` = no end."""
N_PLACES = 10
"""Steps with a name of their own, 0 to 9; those from 10 on are pooled."""
NONE, NO_VERDICT = "none", "no verdict"
UNKNOWN = "unknown"
"""Name of the group of solutions whose generator is not known."""


def hit_tables(rows: Sequence[JudgedSolution], resamples: Resamples) -> dict[str, list[dict[str, Any]]]:
    """Return the share rightly decided by place of the first error, number of steps and generator.

    `{"position" | "length" | "generator": [{"name", "n", "hit": interval}, ...]}`. No verdict is wrong. Positions
    are 0-based, of erroneous solutions alone; generators are in the order of the alphabet. Empty groups are left out.

    Groups may be small. Where a group is all right or all wrong, resamples cannot differ, and the interval is the score
    interval of as many solutions as the group has problems; a group of one problem, right in part, has none.
    """
    position = _table([None if row.gold is None else _place(row.gold) for row in rows], _PLACES, rows, resamples)
    length = _table([_length(len(row.solution.steps)) for row in rows], _LENGTHS, rows, resamples)
    generators = [row.solution.generator or UNKNOWN for row in rows]
    return {
        "position": position,
        "length": length,
        "generator": _table(generators, sorted(set(generators)), rows, resamples),
    }


def _place(step: int) -> str:
    return str(step) if step < N_PLACES else f"{N_PLACES}+"


def _span(lo: int, hi: int | None) -> str:
    return f"{lo}+" if hi is None else f"{lo}-{hi}"


_PLACES = [_place(step) for step in range(N_PLACES + 1)]
_LENGTHS = [_span(lo, hi) for lo, hi in LENGTHS]


def _length(n_steps: int) -> str:
    return next(_span(lo, hi) for lo, hi in LENGTHS if hi is None or n_steps <= hi)


def _table(
    group_N: Sequence[str | None], names: Sequence[str], rows: Sequence[JudgedSolution], resamples: Resamples
) -> list[dict[str, Any]]:
    """Return one row a group that occurs, in the order of the names; solutions of group `None` are left out."""
    occurring = [name for name in names if name in set(group_N)]
    if not occurring:
        return []
    member_N_M = np.array([[group == name for name in occurring] for group in group_N], dtype=float)
    hit_N = np.array([row.outcome is Outcome.RIGHT for row in rows], dtype=float)
    sums_N = np.concatenate([member_N_M, member_N_M * hit_N[:, None]], axis=1)
    hits = estimate_sums(sums_N, _shares, occurring, resamples)
    return [
        {
            "name": name,
            "n": int(member_N.sum()),
            "hit": _interval(hits[name], n_clusters=resamples.count_clusters(member_N > 0))._asdict(),
        }
        for name, member_N in zip(occurring, member_N_M.T, strict=True)
    ]


def _interval(hit: Estimate, *, n_clusters: int) -> Interval:
    if hit.value in (0.0, 1.0):
        return wilson_interval(round(hit.value) * n_clusters, n_clusters)
    return hit.interval if n_clusters > 1 else Interval(hit.value, None, None)


def _shares(sums_R: Floats) -> Floats:
    n, hits = np.split(sums_R, 2, axis=1)
    return ratio(hits, n)


def confusion(rows: Sequence[JudgedSolution]) -> dict[str, Any]:
    """Count true first errors (rows) against predicted ones (columns); a missing verdict is a column of its own.

    Steps are 0-based, as many as the longest solution has, those from 10 on pooled.
    """
    n_places = min(max(len(row.solution.steps) for row in rows), N_PLACES + 1)
    row_names = [*_PLACES[:n_places], NONE]
    column_names = [*row_names, NO_VERDICT]
    counts = [[0] * len(column_names) for _ in row_names]
    for row in rows:
        predicted = _outcome_name(row.predicted) if row.judged else NO_VERDICT
        counts[row_names.index(_outcome_name(row.gold))][column_names.index(predicted)] += 1
    return {"rows": row_names, "columns": column_names, "counts": counts}


def _outcome_name(step: int | None) -> str:
    return NONE if step is None else _place(step)
