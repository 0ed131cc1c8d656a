"""Where a judge is correct, and what it confuses: rates by group, first error against prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from judgekit.metrics.bootstrap import Interval, Resamples, wilson_interval
from judgekit.metrics.checks import ratio
from judgekit.metrics.localization import Outcome
from judgekit_eval.judges.intervals import Estimate, estimate_sums, metric_of
from judgekit_eval.judges.judged_solution import JudgedSolution
from judgekit_eval.judges.schema import Confusion, HitRow, HitTables

LENGTHS = ((1, 3), (4, 6), (7, 9), (10, 14), (15, 19), (20, None))
"""Bins of the number of steps, both ends inclusive, `None` = no end."""
N_PLACES = 10
"""Steps with a name of their own, 0 to 9; those from 10 on are pooled."""
NONE, NO_VERDICT = "none", "no verdict"
UNKNOWN = "unknown"
"""Name of the group of solutions whose generator is not known."""


def _place(step: int | None) -> str:
    return NONE if step is None else str(step) if step < N_PLACES else f"{N_PLACES}+"


_PLACES = [_place(step) for step in range(N_PLACES + 1)]
_LENGTHS = [f"{lo}+" if hi is None else f"{lo}-{hi}" for lo, hi in LENGTHS]


def hit_tables(rows: Sequence[JudgedSolution], resamples: Resamples) -> HitTables:
    """Return the share correctly decided by place of the first error, number of steps and generator.

    No verdict is wrong. Positions are 0-based, of erroneous solutions alone; generators are in the order of the
    alphabet. Empty groups are left out.

    Groups may be small. Where a group is all correct or all wrong, resamples cannot differ, and the interval is the
    score interval of as many solutions as the group has problems; a group of one problem, right in part, has none.
    """
    length_N = [
        next(name for name, (_, hi) in zip(_LENGTHS, LENGTHS, strict=True) if hi is None or n_steps <= hi)
        for n_steps in (len(row.solution.steps) for row in rows)
    ]
    generator_N = [row.solution.generator or UNKNOWN for row in rows]
    return HitTables(
        # NONE is no place, so solutions without an error are in no row.
        position=_table([_place(row.gold) for row in rows], _PLACES, rows, resamples),
        length=_table(length_N, _LENGTHS, rows, resamples),
        generator=_table(generator_N, sorted(set(generator_N)), rows, resamples),
    )


def _table(
    group_N: Sequence[str], names: Sequence[str], rows: Sequence[JudgedSolution], resamples: Resamples
) -> list[HitRow]:
    """Return one row a group that occurs, in the order of the names; solutions of other groups are left out."""
    occurring = [name for name in names if name in set(group_N)]
    if not occurring:
        return []
    member_N_M = np.array([[group == name for name in occurring] for group in group_N], dtype=float)
    hit_N = np.array([row.outcome is Outcome.RIGHT for row in rows], dtype=float)
    # Members and hits of every group side by side: a share is the ratio of its two sums.
    sums_N = np.concatenate([member_N_M, member_N_M * hit_N[:, None]], axis=1)
    hits = estimate_sums(sums_N, lambda sums_R: ratio(*np.split(sums_R, 2, axis=1)[::-1]), occurring, resamples)
    return [
        HitRow(
            name=name,
            n=int(member_N.sum()),
            hit=metric_of(_interval(hits[name], n_clusters=resamples.count_clusters(member_N > 0))),
        )
        for name, member_N in zip(occurring, member_N_M.T, strict=True)
    ]


def _interval(hit: Estimate, *, n_clusters: int) -> Interval:
    if hit.value in (0.0, 1.0):
        return wilson_interval(round(hit.value) * n_clusters, n_clusters)
    return hit.interval if n_clusters > 1 else Interval(hit.value, None, None)


def confusion(rows: Sequence[JudgedSolution]) -> Confusion:
    """Count true first errors (rows) against predicted ones (columns); a missing verdict is a column of its own.

    Steps are 0-based, as many as the longest solution has, those from 10 on pooled.
    """
    n_places = min(max(len(row.solution.steps) for row in rows), N_PLACES + 1)
    row_names = [*_PLACES[:n_places], NONE]
    column_names = [*row_names, NO_VERDICT]
    counts = [[0] * len(column_names) for _ in row_names]
    for row in rows:
        predicted = _place(row.predicted) if row.judged else NO_VERDICT
        counts[row_names.index(_place(row.gold))][column_names.index(predicted)] += 1
    return Confusion(rows=row_names, columns=column_names, counts=counts)
