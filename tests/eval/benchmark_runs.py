"""Runs of builtin judges on solutions of our own, with results as `results.json` holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from eval.intervals import estimate_calibration, estimate_localization
from eval.scoring import BenchmarkRun, JudgedSolution, decide
from judgekit.metrics import OffsetRates, compute_offset_rates
from judgekit.types import Judge, LabelledSolution

N_RESAMPLES = 100
PLACES = [*map(str, range(10)), "10+", "none"]


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
    counts, estimates = estimate_localization(rows, n_resamples=N_RESAMPLES, seed=0)
    gold_N, predicted_N, judged_N = zip(*((row.gold, row.predicted, row.judged) for row in rows), strict=True)
    offsets = compute_offset_rates(gold_N, predicted_N, judged_N=judged_N)
    scores = {
        name: {end: None if value is None else 100 * value for end, value in estimate.interval._asdict().items()}
        for name, estimate in estimates.items()
    }
    reasons = Counter(str(row.judgement.no_verdict) for row in rows if row.judgement.no_verdict)
    return {
        **{name: getattr(counts, name) for name in ("n", "n_error", "n_correct", "n_no_verdict")},
        "n_problems": len({row.solution.problem_id for row in rows}),
        "no_verdict": dict(reasons),
        "threshold_tuned_here": False,
        "scores": scores,
        "offsets": _offsets(offsets),
        "distance": {"mean_steps": _around(1.5), "signed_mean_steps": _around(-0.5)},
        "steps": _steps(rows),
        "first_error": {name: _around(0.5) for name in ("log_loss", "mean_rank", "top_1", "top_2", "top_3")},
        "rts": {"mae": _around(0.25), "bias": _around(0.1)},
        "selective": _selective(rows) if any(judged_N) else None,
        "by": {
            "position": _by(rows, lambda row: None if row.gold is None else f"step {row.gold}"),
            "length": _by(rows, lambda row: str(len(row.solution.steps))),
            "generator": _by(rows, lambda row: row.solution.generator),
        },
        "confusion": _confusion(rows),
        "best_threshold": {"threshold": 0.5, "f1": 70.0},
        "cost": {"n_tokens": 1234, "seconds": 5.6},
    }


def _around(value: float) -> dict[str, float | None]:
    return {"value": value, "lo": value - 0.05, "hi": value + 0.05}


def _offsets(rates: OffsetRates) -> dict[str, Any]:
    names = dict(zip(asdict(rates), ("exact", "early", "late", "missed", "no_verdict_error", "clear", "false_alarm",
                                     "no_verdict_correct"), strict=True))  # fmt: skip
    return {
        names[name]: {"value": value, "lo": value and max(0, value - 0.05), "hi": value and min(1, value + 0.05)}
        for name, value in asdict(rates).items()
    }


def _steps(rows: Sequence[JudgedSolution]) -> dict[str, Any] | None:
    computed = estimate_calibration(rows, n_bins=10, n_resamples=N_RESAMPLES, seed=0)
    if computed is None:
        return None
    calibration, estimates = computed
    bins = [asdict(bin_) for bin_ in calibration.bins]
    others = ("auroc", "auprc_error", "ece_equal_mass", "ece_debiased", "brier_reliability", "brier_resolution",
              "brier_uncertainty", "brier_within", "sharpness")  # fmt: skip
    return {
        "n_steps": calibration.n_steps,
        **{name: estimate.interval._asdict() for name, estimate in estimates.items()},
        **{name: _around(0.3) for name in others},
        "bins": bins,
        "bins_equal_mass": [bin_ for bin_ in bins if bin_["count"]],
    }


def _selective(rows: Sequence[JudgedSolution]) -> dict[str, Any]:
    ranked = sorted((row for row in rows if row.judged), key=lambda row: -max(row.judgement.verdict.posterior))
    wrong, coverage, risk = 0, [], []
    for k, row in enumerate(ranked, start=1):
        wrong += row.gold != row.predicted
        coverage.append(k / len(rows))
        risk.append(wrong / k)
    return {
        **{name: _around(0.4) for name in ("aurc", "aurc_random", "aurc_perfect")},
        "coverage": coverage,
        "risk": risk,
        "risk_lo": [max(0.0, r - 0.08) for r in risk],
        "risk_hi": [min(1.0, r + 0.08) for r in risk],
    }


def _by(rows, key):
    groups = {}
    for row in rows:
        if (name := key(row)) is not None:
            groups.setdefault(name, []).append(row.judged and row.gold == row.predicted)
    shares = {name: sum(hits) / len(hits) for name, hits in groups.items()}
    return [
        {"name": name, "n": len(groups[name]), "hit": {"value": p, "lo": max(0, p - 0.1), "hi": min(1, p + 0.1)}}
        for name, p in shares.items()
    ]


def _confusion(rows):
    def place(k):
        return "none" if k is None else "10+" if k >= 10 else str(k)

    columns = [*PLACES, "no verdict"]
    counts = Counter((place(row.gold), place(row.predicted) if row.judged else "no verdict") for row in rows)
    used = [name for name in PLACES if any(counts[name, column] for column in columns)]
    return {"rows": used, "columns": columns, "counts": [[counts[name, c] for c in columns] for name in used]}
