"""What `results.json` says of one judge on one benchmark: figures, how they came about, what they compare with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from eval.judges.analysis import analyse_steps, analyse_subset
from eval.judges.benchmarks import (
    Benchmark,
    by_subset,
    clusters,
    comparability,
    headline,
    score_overall,
    score_pooled,
    score_subset,
    why_undefined,
)
from eval.judges.candidates import Candidate
from eval.judges.contamination import check_contamination
from eval.judges.coverage import measure_coverage
from eval.judges.intervals import Estimate, as_dicts
from eval.judges.judged_solution import JudgedSolution
from eval.judges.schema import EvalResults
from eval.judges.thresholds import Decisions
from judgekit.types import NoVerdictReason

if TYPE_CHECKING:
    from eval.judges.config import EvalConfig

COUNTS = ("n", "n_error", "n_correct", "n_no_verdict")
"""Names of the counts of solutions."""


class ScoredResults(NamedTuple):
    """Results with the resamples of their headline figure."""

    results: EvalResults
    """What `results.json` holds."""
    headline: Estimate
    """The headline figure in [0, 1] with its resamples."""


def compute_results(
    candidate: Candidate, benchmark: Benchmark, decisions: Decisions, *, config: EvalConfig
) -> ScoredResults:
    """Compute everything that `results.json` holds; scores are in percent."""
    rows = decisions.rows
    options = {"n_resamples": config.n_resamples, "seed": config.seed}
    contamination = check_contamination(candidate.exposure, [row.solution for row in rows])
    seen_N = candidate.exposure.problems.seen([row.solution for row in rows])
    clean = [row for row, seen in zip(rows, seen_N, strict=True) if not seen]
    subsets = {
        name: _subset_results(benchmark, group, decisions, index=index, config=config)
        for index, (name, group) in enumerate(by_subset(rows).items())
    }
    overall = score_overall(benchmark, rows, **options)
    coverage = measure_coverage(
        rows, alphas=config.alphas, n_splits=config.n_splits, cluster_N=clusters(benchmark, rows), **options
    )
    results: dict[str, Any] = {
        "schema_version": 1,
        "benchmark": benchmark.name,
        "data": fingerprint_rows(rows),
        "judge": candidate.about(),
        "decision": decisions.section,
        "protocol": {
            "reference_shown": config.show_reference,
            "threshold_tuned_here": decisions.tuned_on is not None,
            "votes": candidate.votes,
            "prompt_sha256": candidate.prompt_sha256,
            "n_truncated": sum(row.judgement.no_verdict is NoVerdictReason.TRUNCATED for row in rows),
            "contamination": contamination,
        },
        "comparability": [
            *decisions.notes,
            *protocol_notes(candidate, benchmark, contamination, rows, show_reference=config.show_reference),
            *comparability(benchmark, rows),
        ],
        "headline": {"name": benchmark.headline} | headline(benchmark, overall).as_dict(scale=100),
        "undefined": why_undefined(benchmark, rows),
        "subsets": subsets,
        "pooled": {
            "scores": as_dicts(score_pooled(benchmark, rows, **options), scale=100),
            "steps": analyse_steps(rows, n_bins=config.n_bins, cluster_N=clusters(benchmark, rows), **options),
        },
        "overall": {
            **{name: sum(values[name] for values in subsets.values()) for name in COUNTS},
            "threshold_tuned_here": decisions.tuned_on is not None,
            "scores": as_dicts(overall, scale=100),
        },
        "conformal": coverage,
        "cost": compute_cost(rows),
        "bootstrap": {"clustered_by": benchmark.clustered_by, "level": 0.95, **options},
    }
    if contamination["status"] == "overlap":
        _add_clean_scores(results, benchmark, clean, **options)
    return ScoredResults(EvalResults.model_validate(results), headline(benchmark, overall))


def _subset_results(
    benchmark: Benchmark, rows: Sequence[JudgedSolution], decisions: Decisions, *, index: int, config: EvalConfig
) -> dict[str, Any]:
    seed = config.seed + index
    figures = analyse_subset(
        rows, n_resamples=config.n_resamples, seed=seed, n_bins=config.n_bins, cluster_N=clusters(benchmark, rows)
    ).values
    scores = score_subset(benchmark, rows, n_resamples=config.n_resamples, seed=seed)
    return figures | {
        "threshold_tuned_here": rows[0].subset == decisions.tuned_on,
        "scores": as_dicts(scores, scale=100),
        "cost": compute_cost(rows),
    }


def _add_clean_scores(
    results: dict[str, Any], benchmark: Benchmark, clean: Sequence[JudgedSolution], *, n_resamples: int, seed: int
) -> None:
    """Add `scores_clean` to subsets and overall: of the `n` solutions whose problems the judge has not seen."""
    groups = by_subset(clean)
    for index, (name, values) in enumerate(results["subsets"].items()):
        scores = (
            score_subset(benchmark, groups[name], n_resamples=n_resamples, seed=seed + index) if name in groups else {}
        )
        values["scores_clean"] = {"n": len(groups.get(name, ()))} | as_dicts(scores, scale=100)
    overall = score_overall(benchmark, clean, n_resamples=n_resamples, seed=seed) if clean else {}
    results["overall"]["scores_clean"] = {"n": len(clean)} | as_dicts(overall, scale=100)


def fingerprint_rows(rows: Sequence[JudgedSolution]) -> dict[str, Any]:
    """Return what tells whether two results are about the same solutions, in whatever order."""
    ids = "\n".join(sorted(row.solution.id for row in rows))
    return {"n_solutions": len(rows), "sha256": hashlib.sha256(ids.encode()).hexdigest()}


def compute_cost(rows: Sequence[JudgedSolution]) -> dict[str, float | None]:
    """Return tokens, seconds and US dollars of all judgements; dollars are `None` where no price is known."""
    prices = [row.judgement.cost_usd for row in rows if row.judgement.cost_usd is not None]
    return {
        "n_tokens": sum(row.judgement.n_tokens for row in rows),
        "seconds": sum(row.judgement.seconds for row in rows),
        "cost_usd": sum(prices) if prices else None,
    }


def protocol_notes(
    candidate: Candidate,
    benchmark: Benchmark,
    contamination: Mapping[str, Any],
    rows: Sequence[JudgedSolution],
    *,
    show_reference: bool,
) -> list[str]:
    """Say, in words, what about the judge and its making keeps figures from standing beside others."""
    notes = []
    if show_reference:
        notes.append("The judge could see the reference: not comparable with published figures.")
    if contamination["status"] == "overlap":
        notes.append(f"{contamination['note']} scores_clean leaves them out.")
    calibrator = candidate.card.calibrator if candidate.card else None
    if calibrator is not None and benchmark.name in calibrator.fingerprint.sources:
        fingerprint = calibrator.fingerprint
        notes.append(
            f"The judge was calibrated on {benchmark.name} itself ({fingerprint.data}, {fingerprint.n_solutions} "
            "solutions): its probabilities are better here than they would be on another source."
        )
    n_no_verdict = sum(not row.judged for row in rows)
    if n_no_verdict:
        notes.append(
            f"{n_no_verdict} of {len(rows)} solutions got no verdict: they count as wrong, except in the figures that "
            "end in _scored."
        )
    return notes
