"""Runs of builtin judges on solutions of our own, with results as `results.json` holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval.analysis import analyse_subset
from eval.scoring import BenchmarkRun, JudgedSolution, decide
from judgekit.types import Judge, LabelledSolution

N_RESAMPLES = 100


def run_of(judge: Judge, solutions: Sequence[LabelledSolution], *, benchmark: str) -> BenchmarkRun:
    """Judge solutions and compute their results."""
    judgements = judge.judge(solutions)
    rows = [decide(*pair, judge.decision) for pair in zip(solutions, judgements, strict=True)]
    return BenchmarkRun(results_of(rows, judge=judge, benchmark=benchmark), rows)


def results_of(rows: Sequence[JudgedSolution], *, judge: Judge, benchmark: str) -> dict[str, Any]:
    subsets = {
        name: _subset([row for row in rows if row.subset == name]) for name in dict.fromkeys(r.subset for r in rows)
    }
    whole = _subset(rows)
    counts = {name: whole[name] for name in ("n", "n_error", "n_correct", "n_no_verdict")}
    return {
        "schema_version": 1,
        "benchmark": benchmark,
        "judge": {
            "judge_id": judge.judge_id,
            "kind": None,
            "family": None,
            "dtype": None,
            "deterministic": True,
            "calibrator": None,
            "votes": None,
            "prompt_sha256": None,
        },
        "decision": {
            "kind": judge.decision.kind,
            "threshold": getattr(judge.decision, "threshold", None),
            "thresholds": None,
            "origin": "the judge's own",
        },
        "protocol": {
            "reference_shown": False,
            "threshold_tuned_here": False,
            "votes": None,
            "prompt_sha256": None,
            "n_truncated": 0,
            "contamination": {"status": "none", "n_solutions": 0, "n_problems": 0, "examples": [], "note": ""},
        },
        "comparability": [f"Only {', '.join(subsets)}."],
        "headline": {"name": "F1", **whole["scores"]["f1"]},
        "subsets": subsets,
        "overall": {**counts, "threshold_tuned_here": False, "scores": whole["scores"]},
        "conformal": None,
        "cost": {"n_tokens": 1234, "seconds": 5.6, "cost_usd": None},
        "bootstrap": {"clustered_by": "problem_id", "level": 0.95, "n_resamples": N_RESAMPLES, "seed": 0},
    }


def _subset(rows: Sequence[JudgedSolution]) -> dict[str, Any]:
    return analyse_subset(rows, n_resamples=N_RESAMPLES, seed=0, n_bins=10).values | {"threshold_tuned_here": False}
