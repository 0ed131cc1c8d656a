"""The leaderboard of a benchmark as rows: judges and floors measured here, and figures that others published.

It is built once, of results alone; the terminal, Markdown and HTML each show the same rows in their own way. Scores are
in percent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from judgekit.errors import ConfigError, DataError
from judgekit.report.interval_cells import interval_text
from judgekit_eval.judges.benchmarks import find_benchmark
from judgekit_eval.judges.comparisons import BenchmarkComparisons, Pair
from judgekit_eval.judges.published import PublishedScore, quoted
from judgekit_eval.judges.schema import Decision, EvalResults, Scores
from judgekit_eval.results import Metric

Item = TypeVar("Item")

SCORED = "_scored"
"""How the names of scores over the judged solutions alone end."""
STEP_METRICS = ("auroc", "auroc_within_position", "ece")
"""Metrics of the steps that stand in a row."""


@dataclass(frozen=True)
class MeasuredRow:
    """A judge, or a floor, that was measured here."""

    results: EvalResults
    """All that was measured."""
    judged_only: Metric | None
    """The headline over the solutions with a verdict alone; `None` where the benchmark has no such score."""
    steps: Mapping[str, float | None]
    """`STEP_METRICS`; `None` where undefined, left out where an earlier release did not measure one."""
    subsets: Scores
    """The headline's score on each subset; empty where subsets have none of their own."""
    pooled: Metric | None
    """The same over all solutions at once; `None` in results of earlier releases."""

    @property
    def judge(self) -> str:
        """The judge's name in results."""
        return self.results.judge.judge_id

    @property
    def is_floor(self) -> bool:
        """Whether it reads nothing, see `judgekit_eval.judges.floors`."""
        return self.results.judge.kind == "floor"


@dataclass(frozen=True)
class Leaderboard:
    """All judges on one benchmark."""

    benchmark: str
    """Name of the benchmark."""
    rows: Sequence[MeasuredRow]
    """Judges in the order given, floors behind them."""
    published: Sequence[PublishedScore]
    """Figures that others published."""
    comparisons: BenchmarkComparisons | None
    """The judges with each other and with the floors; `None` where none were compared."""

    @property
    def first(self) -> EvalResults:
        """The results of the first judge, for what is the same in all."""
        return self.rows[0].results

    @property
    def ranked(self) -> list[MeasuredRow | PublishedScore]:
        """All rows, best first."""
        own = [(row.results.headline.value, row) for row in self.rows]
        return best_first([*own, *((figure.headline, figure) for figure in self.published)])

    @property
    def reading_notes(self) -> list[str]:
        """What the reading scores say, a sentence a judge; none where no card has one."""
        scores = {row.judge: row.results.judge.reading for row in self.rows}
        return [
            f"{judge} {score.words} (reading score {interval_text(score, digits=2)} on "
            f"{score.fingerprint.n_solutions:,} right solutions of {score.fingerprint.data})."
            for judge, score in scores.items()
            if score is not None
        ]

    @property
    def main_scores(self) -> list[str]:
        """Overall scores next to the headline: neither itself nor those over judged solutions alone."""
        headline = find_benchmark(self.benchmark).headline_score
        return [name for name in self.first.overall.scores if name != headline and not name.endswith(SCORED)]


def build_leaderboards(
    results: Sequence[EvalResults], comparisons: Mapping[str, BenchmarkComparisons] = MappingProxyType({})
) -> list[Leaderboard]:
    """Build one leaderboard a benchmark, in the order in which the benchmarks occur.

    Args:
        results: Of judges, and behind them of floors.
        comparisons: Of the judges, by benchmark.

    Raises:
        DataError: results of one benchmark are about different solutions, or by different conventions.
        ConfigError: one judge occurs twice on one benchmark.
    """
    by_benchmark: dict[str, list[EvalResults]] = {}
    for item in results:
        by_benchmark.setdefault(item.benchmark, []).append(item)
    for name, here in by_benchmark.items():
        _check_comparable(name, here)
    return [
        Leaderboard(
            benchmark=name,
            rows=[_row(item) for item in here],
            published=quoted(name, here[0].subsets),
            comparisons=comparisons.get(name),
        )
        for name, here in by_benchmark.items()
    ]


def _check_comparable(name: str, results: Sequence[EvalResults]) -> None:
    headlines = {item.headline.name for item in results}
    if len(headlines) > 1:
        raise DataError(
            f"results on {name} have the headlines {' and '.join(sorted(headlines))}: run the older evaluation again "
            "with --resume, which scores again without judging again"
        )
    seen: set[str] = set()
    first = results[0]
    for item in results:
        judge_id = item.judge.judge_id
        if judge_id in seen:
            raise ConfigError(f"two results of {judge_id} on {name}: leave one of the runs out")
        seen.add(judge_id)
        if item.data != first.data:
            raise DataError(
                f"{judge_id} was run on {item.data.n_solutions} solutions of {name} and "
                f"{first.judge.judge_id} on {first.data.n_solutions}, and they are not the same: run both "
                "on the same inputs, or make two leaderboards"
            )


def _row(results: EvalResults) -> MeasuredRow:
    benchmark, overall = find_benchmark(results.benchmark), results.overall
    score = benchmark.headline_score
    # A benchmark whose convention is of all solutions has no other pooled score than the one it is known by.
    pooled = results.pooled and (overall.scores if benchmark.overall_metrics else results.pooled.scores)
    # Steps are averaged over the subsets as the headline is, or taken of all solutions at once where it is pooled, too.
    parts = [results.pooled] if benchmark.pooled and results.pooled else list(results.subsets.values())
    steps: dict[str, float | None] = {}
    for name in STEP_METRICS:
        metrics: list[Metric | None] = [getattr(part.steps, name) for part in parts if part.steps is not None]
        if None not in metrics:
            known = [metric.value for metric in metrics if metric is not None and metric.value is not None]
            steps[name] = 100 * sum(known) / len(known) if known else None
    return MeasuredRow(
        results=results,
        judged_only=overall.scores.get(f"{score}{SCORED}"),
        steps=steps,
        subsets={name: part.scores[score] for name, part in results.subsets.items() if score in part.scores},
        pooled=pooled.get(score) if pooled else None,
    )


def best_first(rows: Sequence[tuple[float | None, Item]]) -> list[Item]:
    """Return rows, the highest score first; those without one stand last.

    Args:
        rows: The score that decides, in percent, or `None` where undefined, and the row.

    Example:
        >>> best_first([(None, "c"), (40.0, "b"), (90.0, "a")])
        ['a', 'b', 'c']
    """
    return [row for _, row in sorted(rows, key=lambda pair: -1.0 if pair[0] is None else pair[0], reverse=True)]


def score_name(name: str) -> str:
    """Return a score's name as shown.

    Example:
        >>> score_name("f1_scored")
        'F1, judged only'
    """
    spelling = {"f1": "F1", "mcc": "MCC", "prm": "PRM", "auc": "AUC"}
    words = " ".join(spelling.get(word, word) for word in name.removesuffix(SCORED).split("_"))
    return f"{words}, judged only" if name.endswith(SCORED) else words


def seen_before(results: EvalResults) -> str:
    """Return whether the judge has met problems of the benchmark, as tables say it."""
    status = results.protocol.contamination.status
    return "no overlap" if status == "none" else status


def threshold_origin(decision: Decision) -> str:
    """Return in few words what decides and where it comes from."""
    if decision.kind == "argmax":
        weight = decision.no_error_weight or 1.0
        return "most probable outcome" if weight == 1 else f"most probable outcome, no error x {weight:.3g}"
    if decision.thresholds is None:
        return decision.origin
    n_default = decision.n_default
    return f"cross-fitted, but the default in {n_default} folds" if n_default else "cross-fitted"


def split_notes(notes: Mapping[str, Sequence[str]]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the notes that hold for all judges, and by judge those that do not.

    Example:
        >>> split_notes({"a": ["x", "y"], "b": ["y"]})
        (['y'], {'a': ['x']})
    """
    first, *others = notes.values()
    shared = [note for note in first if all(note in other for other in others)]
    own = {judge: [note for note in of_judge if note not in shared] for judge, of_judge in notes.items()}
    return shared, {judge: rest for judge, rest in own.items() if rest}


def difference_text(pair: Pair, *, better: bool) -> str:
    """Return whether it is shown that the two of a pair differ; with `better`, whether the first is the better one."""
    if pair.p_holm is None or pair.difference is None:
        return "unknown"
    if pair.p_holm >= 0.05:
        return "not shown"
    return "no, worse" if better and pair.difference < 0 else "yes"
