"""The benchmarks: their metrics, their headline, the published size, and what to know before comparing.

A benchmark has the name of its source in `datasets_builders`. Data without a protocol of their own, such as
`procedural` or a mixture, are scored as plain first-error localization over all solutions at once. Metrics are
estimates in [0, 1]; `Estimate.as_dict` with scale 100 turns them into what results hold.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from judgekit.errors import DataError
from judgekit.extensions import Registry
from judgekit.metrics.bootstrap import Resamples
from judgekit.text.identity import ProblemGroups, group_problems, problem_id
from judgekit.types import LabelledSolution
from judgekit_eval.judges.counting import FIRST_ERROR, MR_GSM8K, PRMBENCH, STEPS, MetricSet
from judgekit_eval.judges.intervals import Estimate, average
from judgekit_eval.judges.judged_solution import JudgedSolution


@dataclass(frozen=True)
class Benchmark:
    """One benchmark, described."""

    name: str
    """Name of the source in `datasets_builders`."""
    title: str
    """Name as people write it."""
    paper: str | None = None
    """Its paper on arXiv; `None` if there is none."""
    licence: str | None = None
    """Licence of the published data; `None` if each row bears its own."""
    headline: str = "average F1"
    """Name of the headline figure."""
    headline_score: str = "f1"
    """Which of the overall scores it is."""
    subset_metrics: tuple[MetricSet, ...] = (FIRST_ERROR,)
    """What is reported for each subset."""
    overall_metrics: tuple[MetricSet, ...] = ()
    """What is reported over all solutions at once; none = unweighted averages of the subsets' figures."""
    clustered_by: Literal["problem_id", "source_id"] = "problem_id"
    """What makes solutions one cluster of the bootstrap, of folds and of splits: the problem, see
    `judgekit.text.identity`, or besides it the id that the source gives to all versions of one problem."""
    hub_id: str | None = None
    """The data set on the Hub that holds its published data; `None` if that is not known."""
    n_published: int | None = None
    """Solutions that the published figures are over; `None` = nothing is published."""
    published_subsets: Mapping[str, int] = field(default_factory=dict)
    """Solutions in each subset of them, where that is known."""
    derived_from: Mapping[str, str] = field(default_factory=dict)
    """Data sets its problems or solutions come from, by name, and what of them: training on it contaminates."""
    pooled: bool = False
    """Whether subsets are but a breakdown: figures and cross-fitted thresholds are over all solutions, so that small
    subsets, or such of correct or wrong solutions alone, take nothing from them."""
    caveats: tuple[str, ...] = ()
    """What keeps its figures from meaning, or equalling, what a reader might think; whole sentences."""

    def is_whole(self, n_here: Mapping[str, int]) -> bool:
        """Return whether these solutions, counted by subset, are as many as the published figures are over."""
        return self.n_published == sum(n_here.values()) and all(
            n_here.get(name) == n for name, n in self.published_subsets.items()
        )


PROCESSBENCH = Benchmark(
    name="processbench",
    title="ProcessBench",
    paper="2412.06559",
    licence="Apache-2.0",
    hub_id="Qwen/ProcessBench",
    n_published=3400,
    published_subsets={"gsm8k": 400, "math": 1000, "olympiadbench": 1000, "omnimath": 1000},
    derived_from={
        "gsm8k": "the problems of subset gsm8k are from its test split",
        "math": "the problems of subset math are from its test split",
        "prm800k": "its problems are from MATH, test split included, so they may overlap with subset math",
        "olympiadbench": "the problems of subset olympiadbench",
        "omni-math": "the problems of subset omnimath",
    },
)
"""Average F1 of four subsets."""

PRM_BENCH = Benchmark(
    name="prmbench",
    title="PRMBench",
    paper="2501.03124",
    licence="Apache-2.0",
    hub_id="hitsmy/PRMBench_Preview",
    headline="PRMScore",
    headline_score="prm_score",
    subset_metrics=(FIRST_ERROR, STEPS),
    overall_metrics=(PRMBENCH,),
    clustered_by="source_id",
    n_published=6216,
    published_subsets={
        "redundency": 758,
        "circular": 758,
        "counterfactual": 757,
        "step_contradiction": 758,
        "domain_inconsistency": 757,
        "confidence": 757,
        "missing_condition": 756,
        "deception": 750,
        "multi_solutions": 165,
    },
    derived_from={
        "prm800k": "right solutions of phase 1, test and train (3,203 of the 6,216 rows are from train), most of them "
        "then spoilt by a language model",
        "math": "the problems of PRM800K are from MATH",
    },
    caveats=(
        "Published PRMBench figures leave out solutions without a verdict: compare prm_score_scored with them.",
        "Published PRMBench figures contain 100 rows whose error_steps name steps that are not there, which are "
        "rejected here, and read redundency and circular by a redundancy score from judges that give one.",
        "PRMBench also labels the steps behind the first error, of which a judge that only names the first error says "
        "nothing.",
    ),
)
"""PRMScore over the steps of nine classes."""

BIGBENCH_MISTAKE = Benchmark(
    name="bigbench-mistake",
    title="BIG-Bench-Mistake",
    paper="2311.08516",
    licence="Apache-2.0",
    headline="accuracy of location",
    headline_score="accuracy",
    overall_metrics=(FIRST_ERROR,),
    n_published=2186,
    published_subsets={
        "word_sorting": 300,
        "tracking_shuffled_objects": 300,
        "logical_deduction": 300,
        "multistep_arithmetic": 300,
        "dyck_languages": 986,
    },
    derived_from={"big-bench": "the questions of five tasks; solutions by PaLM 2-L (Unicorn)"},
    caveats=(
        "Most BIG-Bench-Mistake solutions hold a mistake, so accuracy rewards finding fault: read error_accuracy and "
        "correct_accuracy next to it.",
        "Published BIG-Bench-Mistake figures are of judges prompted with three examples of the task.",
    ),
)
"""Accuracy of the exact location over all solutions."""

MR_GSM8K_BENCHMARK = Benchmark(
    name="mr-gsm8k",
    title="MR-GSM8K",
    paper="2312.17080",
    licence="MIT",
    headline="localization part of MR-Score",
    headline_score="localization_part",
    subset_metrics=(FIRST_ERROR, MR_GSM8K),
    overall_metrics=(FIRST_ERROR, MR_GSM8K),
    n_published=3000,
    derived_from={"gsm8k": "the questions are from its test split, as they are, with a program asked for, or reversed"},
    caveats=(
        "MR-Score = 0.2 max(0, MCC) + 0.3 ACC_step + 0.5 ACC_reason; the reason needs a grader and is not computed, so "
        "the localization part is at most 50 and is not MR-Score. MCC and ACC_step have published counterparts.",
    ),
)
"""MCC and accuracy of the first error, and the part of MR-Score that they make up."""

BENCHMARKS: Registry[Benchmark] = Registry(
    "judgekit.benchmarks",
    noun="benchmark",
    of=Benchmark,
    hyphens=True,
    own={
        "processbench": f"{__name__}:PROCESSBENCH",
        "prmbench": f"{__name__}:PRM_BENCH",
        "bigbench-mistake": f"{__name__}:BIGBENCH_MISTAKE",
        "mr-gsm8k": f"{__name__}:MR_GSM8K_BENCHMARK",
    },
)
"""The benchmarks with a protocol of their own, by the name of their source; packages add theirs by entry points."""


def find_benchmark(name: str) -> Benchmark:
    """Return the benchmark of a source; plain localization, pooled, where it has no protocol of its own.

    Underscores and hyphens count alike, as for sources.
    """
    key = _spelled(name)
    if key in BENCHMARKS:
        return BENCHMARKS.load(key)
    return Benchmark(name=key, title=key, headline="pooled F1", overall_metrics=(FIRST_ERROR,), pooled=True)


def refuse_foreign(name: str, sources: Mapping[str, str]) -> None:
    """Refuse rows under a name that is not theirs: next to figures of a benchmark stand rows of that benchmark alone.

    Rows of several sources, a mixture, may have any name that is neither a benchmark's nor nearly one.

    Args:
        name: The name under which the rows were given.
        sources: Source of each row, by its id.

    Raises:
        DataError: there are rows of another source, or the name is nothing that the rows are; names the nearest.
    """
    key = _spelled(name)
    by_source: dict[str, list[str]] = {}
    for id_, source in sources.items():
        by_source.setdefault(_spelled(source), []).append(id_)
    if by_source.keys() == {key}:
        return
    (nearest,) = difflib.get_close_matches(key, sorted({*BENCHMARKS.names(), *by_source}), n=1, cutoff=0.0)
    if len(by_source) == 1:
        (source,) = by_source
        said = f"the rows given as {name} are of the source {source!r}: name that as the benchmark"
        if nearest != source and nearest != key and difflib.get_close_matches(key, [nearest], cutoff=NEARLY):
            said += f" (the nearest that is known to {name!r} is {nearest!r})"
        raise DataError(said)
    listed = ", ".join(f"{source!r} ({len(ids):,} rows)" for source, ids in sorted(by_source.items()))
    if key in BENCHMARKS or key in by_source:
        foreign = next(ids[0] for source, ids in by_source.items() if source != key)
        raise DataError(
            f"rows given as {name} are of {listed}; the first that is not is {foreign}: leave out those of other "
            f"sources, or give the mixture its own name"
        )
    if difflib.get_close_matches(key, [nearest], cutoff=NEARLY):
        raise DataError(
            f"{name!r} is not a benchmark; did you mean {nearest!r}? The rows are of {listed}, and a mixture needs a "
            "name that is not nearly another's"
        )


def _spelled(name: str) -> str:
    """Return a source's name as all spellings of it give it."""
    return name.replace("_", "-").lower()


READS_NOTHING = "reads nothing; fitted on this benchmark's labels, cross-fitted"
"""Mark of a floor, see `judgekit_eval.judges.floors`, wherever it stands."""
NEARLY = 0.75
"""Likeness, as `difflib` measures it, from which a name counts as another mistyped."""


def by_subset(rows: Sequence[JudgedSolution]) -> dict[str, list[JudgedSolution]]:
    """Group rows by subset, in the order in which the subsets occur."""
    groups: dict[str, list[JudgedSolution]] = {}
    for row in rows:
        groups.setdefault(row.subset, []).append(row)
    return groups


def has_both_classes(gold_N: Sequence[int | None]) -> bool:
    """Return whether there are erroneous and correct solutions, both of which F1 needs."""
    return len({gold is None for gold in gold_N}) == 2


def clusters(benchmark: Benchmark, solutions: Sequence[LabelledSolution]) -> list[str]:
    """Return what each solution is resampled, and kept on one side of a split, together with. Shape (N,)."""
    if benchmark.clustered_by == "problem_id":
        return group_problems(solutions)
    # A problem may have several source ids, one for each solution that was spoilt, and a source id several wordings of
    # the problem, so neither alone Selects this kind.
    groups = ProblemGroups()
    for solution in solutions:
        of_source = [] if solution.source_id is None else [f"source id {solution.source_id}"]
        groups.add(solution.problem_id, problem_id(solution.problem), *of_source)
    return [groups.name(solution.problem_id) for solution in solutions]


def resample(benchmark: Benchmark, rows: Sequence[JudgedSolution], *, n_resamples: int, seed: int) -> Resamples:
    """Draw what the benchmark keeps together, for everything that is computed on these rows.

    The same seed on the same solutions in the same order draws the same problems, whatever the judge and the metric:
    the difference of two judges' resamples is a paired bootstrap.

    Raises:
        DataError: no rows.
    """
    return Resamples.of(clusters(benchmark, [row.solution for row in rows]), n_resamples=n_resamples, seed=seed)


def score(
    metric_sets: Sequence[MetricSet], rows: Sequence[JudgedSolution], resamples: Resamples
) -> dict[str, Estimate]:
    """Compute all metrics of some sets, by name, in [0, 1].

    Raises:
        DataError: no rows, or rows that a set cannot count.
    """
    return {name: found for metric_set in metric_sets for name, found in metric_set.estimate(rows, resamples).items()}


def score_subset(
    benchmark: Benchmark, rows: Sequence[JudgedSolution], *, n_resamples: int, seed: int
) -> dict[str, Estimate]:
    """Compute the scores of one subset's judged solutions, see `resample` and `score`."""
    return score(benchmark.subset_metrics, rows, resample(benchmark, rows, n_resamples=n_resamples, seed=seed))


def score_overall(
    benchmark: Benchmark, rows: Sequence[JudgedSolution], *, n_resamples: int, seed: int
) -> dict[str, Estimate]:
    """Compute the metrics over the whole benchmark.

    Either from one bootstrap over all solutions, or, where the benchmark is published as an average, as unweighted
    means of the subsets' metrics. The subsets are then resampled apart, the i-th with `seed + i`.

    Args:
        benchmark: Whose metrics.
        rows: The judged solutions of all subsets; at least one.
        n_resamples: Bootstrap resamples.
        seed: Of the draws.

    Raises:
        DataError: no rows, or rows that the benchmark cannot count.
    """
    if benchmark.overall_metrics:
        return score(benchmark.overall_metrics, rows, resample(benchmark, rows, n_resamples=n_resamples, seed=seed))
    subsets = [
        score_subset(benchmark, group, n_resamples=n_resamples, seed=seed + index)
        for index, group in enumerate(by_subset(rows).values())
    ]
    return {name: average([scores[name] for scores in subsets]) for name in subsets[0]}


def comparability(benchmark: Benchmark, rows: Sequence[JudgedSolution]) -> list[str]:
    """Say, in whole sentences, what of the data keeps figures from standing next to published ones.

    How the judge was run (threshold, reference, contamination) is another matter and not said here.
    """
    groups = by_subset(rows)
    return [*_extent(benchmark, Counter({name: len(group) for name, group in groups.items()})), *benchmark.caveats]


def why_undefined(benchmark: Benchmark, rows: Sequence[JudgedSolution]) -> list[str]:
    """Say, in whole sentences, which figures these solutions cannot have, whoever judges them."""
    if not has_both_classes([row.gold for row in rows]):
        kind = "correct" if rows[0].gold is None else "erroneous"
        return [f"All {len(rows):,} solutions are {kind}: F1, and whatever compares both kinds, does not exist."]
    groups = by_subset(rows)
    one_class = [name for name, group in groups.items() if not has_both_classes([row.gold for row in group])]
    if not one_class:
        return []
    listed = ", ".join(one_class[:N_NAMED]) + (f" and {len(one_class) - N_NAMED} more" if one_class[N_NAMED:] else "")
    of = f"{listed}: {len(one_class)} of {len(groups)} subsets" if len(one_class) > 1 else listed
    text = f"No F1 for {of}, erroneous or correct solutions alone"
    return [f"{text}." if benchmark.overall_metrics else f"{text}, and so no average; pooled figures exist."]


N_NAMED = 5
"""Subsets that a sentence lists at most."""


def _extent(benchmark: Benchmark, n_here: Mapping[str, int]) -> list[str]:
    """Compare the solutions available with those behind the published figures."""
    total, published = sum(n_here.values()), benchmark.published_subsets
    if benchmark.n_published is None or (total == benchmark.n_published and n_here.keys() >= published.keys()):
        return []
    parts = [f"{name} {n_here.get(name, 0):,} of {n:,}" for name, n in published.items() if n_here.get(name, 0) != n]
    others = f" ({', '.join(parts)})" if parts else ""
    whole = f"Published {benchmark.title} figures are over {benchmark.n_published:,} solutions"
    sentences = [f"{whole}, these over {total:,}{others}."]
    if unknown := [name for name in n_here if name not in published] if published else []:
        listed = ", ".join(unknown[:N_NAMED]) + (" ..." if unknown[N_NAMED:] else "")
        sentences.append(
            f"{sum(n_here[name] for name in unknown):,} of them are of no subset that {benchmark.title} has "
            f"({listed}): "
            "figures over them are not figures on this benchmark."
        )
    return sentences
