"""Runs of open judges on solutions of our own, with the results that an evaluation would write of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from judgekit.judges.base import Judge
from judgekit.types import LabelledSolution
from judgekit_eval.judges.benchmarks import find_benchmark
from judgekit_eval.judges.candidates import candidate_of
from judgekit_eval.judges.config import EvalConfig
from judgekit_eval.judges.judged_solution import BenchmarkRun
from judgekit_eval.judges.results import compute_results
from judgekit_eval.judges.thresholds import decide_all

N_RESAMPLES = 100


def run_of(judge: Judge, solutions: Sequence[LabelledSolution], *, benchmark: str) -> BenchmarkRun:
    """Judge solutions and compute their results, by the judge's own rule."""
    config = EvalConfig(
        judges=(judge.info.judge_id,),
        benchmarks={benchmark: ("rows.jsonl",)},
        threshold="judge",
        n_resamples=N_RESAMPLES,
        n_splits=2,
    )
    protocol = replace(find_benchmark(benchmark), name=benchmark)
    decisions = decide_all(
        protocol,
        solutions,
        judge.judge(solutions),
        rule=judge.info.decision,
        threshold=config.threshold,
        n_folds=config.n_folds,
    )
    return BenchmarkRun(
        compute_results(candidate_of(judge), protocol, decisions, config=config).results, decisions.rows
    )
