"""Scores of other judges as reported in papers, shown next to ours: quoted as printed, measured by others.

Only averages are recomputed: if fewer subsets are evaluated than were published, the published scores of these subsets
are averaged, and the row says so.

ProcessBench scores are F1 of first-error localization by judges that do not see the reference answer; whole-solution
(binary) F1 and judges shown the answer are left out, as they are not comparable. All scores are in percent, as
printed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from judgekit_eval.judges.benchmarks import find_benchmark

PROCESSBENCH_PAPER = "ProcessBench (2412.06559)"
LESSONS = "The Lessons of Developing Process Reward Models (2501.07301)"
GENPRM = "GenPRM (2504.00891)"
R_PRM = "R-PRM (2503.21295)"
PRMBENCH_PAPER = "PRMBench (2501.03124) and papers that followed it"
LATER = "a paper that followed: GenPRM (2504.00891), R-PRM (2503.21295) or FAPO (2510.22543)"
TYEN = "Tyen et al. (2311.08516)"


@dataclass(frozen=True)
class PublishedScore:
    """What a paper reports of one judge on one benchmark. Percent."""

    benchmark: str
    """Name of the benchmark, as in `judgekit_eval.judges.benchmarks`."""
    judge: str
    """The judge as the paper calls it, with its votes where it had more than one."""
    headline: float
    """The benchmark's headline metric."""
    source: str
    """The paper the score is from."""
    subsets: Mapping[str, float] = field(default_factory=dict)
    """The same metric by subset, where it is published."""
    note: str | None = None
    """How it was measured, where that differs from others."""


def _processbench(
    judge: str, gsm8k: float, math: float, olympiadbench: float, omnimath: float, average: float, source: str
) -> PublishedScore:
    subsets = {"gsm8k": gsm8k, "math": math, "olympiadbench": olympiadbench, "omnimath": omnimath}
    return PublishedScore("processbench", judge, average, source, subsets)


PUBLISHED: tuple[PublishedScore, ...] = (
    _processbench("Math-Shepherd-PRM-7B", 47.9, 29.5, 24.8, 23.8, 31.5, PROCESSBENCH_PAPER),
    _processbench("RLHFlow-PRM-Mistral-8B", 50.4, 33.4, 13.8, 15.8, 28.4, PROCESSBENCH_PAPER),
    _processbench("RLHFlow-PRM-Deepseek-8B", 38.8, 33.8, 16.9, 16.9, 26.6, PROCESSBENCH_PAPER),
    _processbench("Skywork-PRM-1.5B", 59.0, 48.0, 19.3, 19.2, 36.4, PROCESSBENCH_PAPER),
    _processbench("Skywork-PRM-7B", 70.8, 53.6, 22.9, 21.0, 42.1, PROCESSBENCH_PAPER),
    _processbench("EurusPRM-Stage2", 47.3, 35.7, 21.2, 20.9, 31.3, LESSONS),
    _processbench("ReasonEval-7B", 41.0, 48.9, 36.7, 37.4, 41.0, LATER),
    _processbench("Qwen2.5-Math-7B-PRM800K", 68.2, 62.6, 50.7, 44.3, 56.5, PROCESSBENCH_PAPER),
    _processbench("Qwen2.5-Math-PRM-7B", 82.4, 77.6, 67.5, 66.3, 73.5, LESSONS),
    _processbench("Qwen2.5-Math-PRM-72B", 87.3, 80.6, 74.3, 71.1, 78.3, LESSONS),
    _processbench("R-PRM-7B-DPO", 80.7, 76.9, 63.8, 60.1, 70.4, R_PRM),
    _processbench("GenPRM-7B pass@1", 78.7, 80.3, 72.2, 69.8, 75.2, GENPRM),
    _processbench("GenPRM-7B maj@8", 81.0, 85.7, 78.4, 76.8, 80.5, GENPRM),
    _processbench("GPT-4o-0806", 79.2, 63.6, 51.4, 53.5, 61.9, PROCESSBENCH_PAPER),
    _processbench("o1-mini", 93.2, 88.9, 87.2, 82.4, 87.9, PROCESSBENCH_PAPER),
    _processbench("QwQ-32B-Preview maj@8", 88.0, 78.7, 57.8, 61.3, 71.5, PROCESSBENCH_PAPER),
    PublishedScore("prmbench", "Math-Shepherd-7B", 47.0, PRMBENCH_PAPER),
    PublishedScore("prmbench", "Llemma-PRM800k", 52.0, PRMBENCH_PAPER),
    PublishedScore("prmbench", "RLHFlow-Mistral", 54.4, PRMBENCH_PAPER),
    PublishedScore("prmbench", "Qwen2.5-Math-7B-PRM800K", 58.3, PRMBENCH_PAPER),
    PublishedScore("prmbench", "ReasonEval-7B", 60.0, PRMBENCH_PAPER, note="also scores redundancy"),
    PublishedScore("prmbench", "Qwen2.5-Math-PRM-7B", 65.5, PRMBENCH_PAPER),
    PublishedScore("prmbench", "R-PRM-7B-DPO", 66.8, R_PRM),
    PublishedScore("prmbench", "GPT-4o", 66.8, PRMBENCH_PAPER, note="prompted, also for redundancy"),
    PublishedScore("prmbench", "o1-mini", 68.8, PRMBENCH_PAPER, note="prompted, also for redundancy"),
    PublishedScore("bigbench-mistake", "GPT-4", 52.87, TYEN, note="direct step-level prompting, three examples"),
)
"""All published scores, by benchmark."""


def quoted(benchmark: str, subsets: Collection[str] = ()) -> list[PublishedScore]:
    """Return the published scores of a benchmark, the best first; none if nothing is quoted.

    Args:
        benchmark: Its name.
        subsets: Those available; none = all. Of fewer than were published the headline is the average of their
            published scores, and `note` says so; a row without scores of its subsets is over all of them, and says
            that.

    Example:
        >>> best = quoted("processbench", ["gsm8k", "olympiadbench"])[0]
        >>> best.judge, round(best.headline, 1)
        ('o1-mini', 90.2)
    """
    described = find_benchmark(benchmark)
    rows = [row for row in PUBLISHED if row.benchmark == described.name]
    published = described.published_subsets.keys()
    if subsets and published and set(subsets) != published:
        rows = [_over(row, subsets, n_published=len(published)) for row in rows]
    return sorted(rows, key=lambda row: -row.headline)


def _over(row: PublishedScore, subsets: Collection[str], *, n_published: int) -> PublishedScore:
    before = f"{row.note}; " if row.note else ""
    if not row.subsets.keys() >= set(subsets):
        return replace(row, note=f"{before}over all {n_published} subsets")
    average = sum(row.subsets[name] for name in subsets) / len(subsets)
    note = f"{before}average of the {len(subsets)} subsets here; {row.headline:.1f} over all {n_published}"
    return replace(row, headline=average, note=note)
