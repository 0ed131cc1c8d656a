"""What `results.json` says about one judge on one benchmark: metrics, how they were computed, what to compare with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from judgekit.types import NoVerdictReason
from judgekit_eval.judges.analysis import analyse_subset, measure_steps
from judgekit_eval.judges.benchmarks import (
    Benchmark,
    by_subset,
    clusters,
    comparability,
    resample,
    score_overall,
    score_subset,
    why_undefined,
)
from judgekit_eval.judges.candidates import Candidate
from judgekit_eval.judges.contamination import check_contamination
from judgekit_eval.judges.counting import FIRST_ERROR
from judgekit_eval.judges.coverage import measure_coverage
from judgekit_eval.judges.intervals import Estimate, metrics
from judgekit_eval.judges.judged_solution import JudgedSolution
from judgekit_eval.judges.schema import (
    CleanScores,
    Contamination,
    Data,
    EvalResults,
    Headline,
    HowRun,
    Overall,
    Pooled,
)
from judgekit_eval.judges.thresholds import Decisions
from judgekit_eval.results import Bootstrap, Cost

if TYPE_CHECKING:
    from judgekit_eval.judges.config import EvalConfig


class ScoredResults(NamedTuple):
    """Results with the resamples of their headline metric."""

    results: EvalResults
    """What `results.json` holds."""
    headline: Estimate
    """The headline metric in [0, 1] with its resamples."""


def compute_results(
    candidate: Candidate, benchmark: Benchmark, decisions: Decisions, *, config: EvalConfig
) -> ScoredResults:
    """Compute everything that `results.json` holds; scores are in percent."""
    rows, n_resamples, seed = decisions.rows, config.n_resamples, config.seed
    solutions = [row.solution for row in rows]
    contamination = check_contamination(candidate.exposure, solutions)
    seen_N = candidate.exposure.problems.seen(solutions)
    clean = [row for row, seen in zip(rows, seen_N, strict=True) if not seen]
    clean_by_subset = by_subset(clean)
    subsets = {}
    # Subsets are independent of each other, so each is resampled with its own seed, as `score_overall` does.
    for index, (name, group) in enumerate(by_subset(rows).items()):
        tuned_here = name == decisions.tuned_on
        found = analyse_subset(
            benchmark,
            group,
            n_resamples=n_resamples,
            seed=seed + index,
            n_bins=config.n_bins,
            threshold_tuned_here=tuned_here,
        )
        if contamination.status == "overlap":
            unseen = clean_by_subset.get(name, [])
            scores = score_subset(benchmark, unseen, n_resamples=n_resamples, seed=seed + index) if unseen else {}
            found = found.model_copy(update={"scores_clean": CleanScores(n=len(unseen), **metrics(scores, scale=100))})
        subsets[name] = found
    estimates = score_overall(benchmark, rows, n_resamples=n_resamples, seed=seed)
    overall = Overall(
        n=len(rows),
        n_error=sum(part.n_error for part in subsets.values()),
        n_correct=sum(part.n_correct for part in subsets.values()),
        n_no_verdict=sum(part.n_no_verdict for part in subsets.values()),
        threshold_tuned_here=decisions.tuned_on is not None,
        scores=metrics(estimates, scale=100),
    )
    if contamination.status == "overlap":
        of_clean = score_overall(benchmark, clean, n_resamples=n_resamples, seed=seed) if clean else {}
        scores_clean = CleanScores(n=len(clean), **metrics(of_clean, scale=100))
        overall = overall.model_copy(update={"scores_clean": scores_clean})
    resamples = resample(benchmark, rows, n_resamples=n_resamples, seed=seed)
    ids = "\n".join(sorted(solution.id for solution in solutions))
    headline = estimates[benchmark.headline_score]
    results = EvalResults(
        schema_version=1,
        benchmark=benchmark.name,
        data=Data(n_solutions=len(rows), sha256=hashlib.sha256(ids.encode()).hexdigest()),
        judge=candidate.about(),
        decision=decisions.decision,
        protocol=HowRun(
            reference_shown=config.show_reference,
            threshold_tuned_here=decisions.tuned_on is not None,
            votes=candidate.votes,
            prompt_sha256=candidate.prompt_sha256,
            n_truncated=sum(row.judgement.no_verdict is NoVerdictReason.TRUNCATED for row in rows),
            contamination=contamination,
        ),
        comparability=[
            *decisions.notes,
            *_notes_on_judge(candidate, benchmark, contamination, rows, show_reference=config.show_reference),
            *comparability(benchmark, rows),
        ],
        headline=Headline(name=benchmark.headline, **dict(headline.metric(scale=100))),
        undefined=why_undefined(benchmark, rows),
        subsets=subsets,
        # Plain localization over all solutions at once, whatever the benchmark's own convention.
        pooled=Pooled(
            scores=metrics(FIRST_ERROR.estimate(rows, resamples), scale=100),
            steps=measure_steps(rows, resamples, n_bins=config.n_bins),
        ),
        overall=overall,
        conformal=measure_coverage(
            rows,
            alphas=config.alphas,
            n_splits=config.n_splits,
            problem_N=clusters(benchmark, solutions),
            n_resamples=n_resamples,
            seed=seed,
        ),
        cost=Cost.of([row.judgement for row in rows]),
        bootstrap=Bootstrap(clustered_by=benchmark.clustered_by, level=0.95, n_resamples=n_resamples, seed=seed),
    )
    return ScoredResults(results, headline)


def _notes_on_judge(
    candidate: Candidate,
    benchmark: Benchmark,
    contamination: Contamination,
    rows: Sequence[JudgedSolution],
    *,
    show_reference: bool,
) -> list[str]:
    """Say, in words, what about the judge and its making keeps metrics from standing next to others."""
    notes = []
    if show_reference:
        notes.append("The judge could see the reference: not comparable with published figures.")
    if contamination.status == "overlap":
        notes.append(f"{contamination.note} scores_clean leaves them out.")
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
