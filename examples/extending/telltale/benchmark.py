"""A benchmark: how rows of the source `margin-notes` are scored, with a metric of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from judgekit_eval.judges.benchmarks import Benchmark
from judgekit_eval.judges.counting import FIRST_ERROR, MetricSet
from judgekit_eval.judges.judged_solution import JudgedSolution


def count_near(rows: Sequence[JudgedSolution]) -> NDArray[np.int64]:
    """Count, for each wrong solution, whether the judge names the first error or a step beside it. Shape (N, 2)."""
    wrong_N = [row.gold is not None for row in rows]
    near_N = [row.gold is not None and row.predicted is not None and abs(row.predicted - row.gold) <= 1 for row in rows]
    return np.array([near_N, wrong_N], dtype=np.int64).T


def near_rate(sums_R: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of wrong solutions; NaN where a resample has none. Sums have shape (R, 2), rates (R, 1)."""
    with np.errstate(invalid="ignore"):
        return sums_R[:, :1] / sums_R[:, 1:]


BENCHMARK = Benchmark(
    name="margin-notes",
    title="Margin Notes",
    headline="errors found within a step",
    headline_score="near",
    overall_metrics=(FIRST_ERROR, MetricSet(names=("near",), count=count_near, statistic=near_rate)),
    caveats=("One teacher wrote all notes.",),
)
