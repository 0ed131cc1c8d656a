"""The runs of one benchmark side by side: what every part of the report reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judgekit.errors import DataError
from judgekit_eval.judges.judged_solution import BenchmarkRun
from judgekit_eval.judges.schema import SubsetResults


@dataclass(frozen=True)
class JudgedBenchmark:
    """All judges on one benchmark."""

    name: str
    """Name of the benchmark."""
    runs: Mapping[str, BenchmarkRun]
    """The run of each judge, by its id; all about the same solutions in the same order."""

    @property
    def first(self) -> BenchmarkRun:
        """The run of the first judge, for what is the same in all."""
        return next(iter(self.runs.values()))

    @property
    def judges(self) -> list[str]:
        """Ids of the judges."""
        return list(self.runs)

    @property
    def best(self) -> int:
        """Place of the judge with the best headline among `judges`; floors are none."""
        values = [
            -1.0 if results.judge.kind == "floor" or results.headline.value is None else results.headline.value
            for results, _ in self.runs.values()
        ]
        return values.index(max(values))

    @property
    def subsets(self) -> list[str]:
        """Names of the benchmark's parts."""
        return list(self.first.results.subsets)

    def of_subset(self, subset: str) -> dict[str, SubsetResults]:
        """The figures of every judge on one subset, by the judge's id."""
        return {judge: run.results.subsets[subset] for judge, run in self.runs.items()}


def group_runs(runs: Sequence[BenchmarkRun]) -> list[JudgedBenchmark]:
    """Put the runs of each benchmark together, in the order in which the benchmarks occur.

    Raises:
        DataError: no runs, a judge twice on one benchmark, or judges of one benchmark that saw different solutions.
    """
    if not runs:
        raise DataError("a report needs at least one run of a judge on a benchmark, and there is none")
    by_name: dict[str, dict[str, BenchmarkRun]] = {}
    for run in runs:
        name, judge = run.results.benchmark, run.results.judge.judge_id
        of_benchmark = by_name.setdefault(name, {})
        if judge in of_benchmark:
            raise DataError(f"two runs of judge {judge} on {name}: give each judge its own id, or leave one out")
        # The page says of each solution once what all judges said: they must be the same, in the same order.
        first = next(iter(of_benchmark.values()), run)
        if [row.solution.id for row in run.rows] != [row.solution.id for row in first.rows]:
            judges = f"{first.results.judge.judge_id} and {judge}"
            raise DataError(f"{judges} judged different solutions of {name}: run both on the same inputs")
        of_benchmark[judge] = run
    return [JudgedBenchmark(name, of_benchmark) for name, of_benchmark in by_name.items()]
