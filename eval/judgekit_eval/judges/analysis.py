"""Everything measured on one subset of a benchmark, each metric with a 95 % interval from resampled problems.

Metrics of the posterior are over the solutions with a verdict, while localization counts a missing verdict as wrong;
both say so where they are reported. A metric that does not exist (a class is empty, nothing was judged) is `None`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

import numpy as np

from judgekit.metrics.bootstrap import Resamples
from judgekit.metrics.checks import Floats
from judgekit.metrics.first_error import score_first_errors
from judgekit.metrics.localization import OffsetRates, Outcome, count_offsets, offset_rates
from judgekit.metrics.ranking import (
    count_pairs_within_position,
    step_places,
    weighted_auroc_within_position,
    weighted_ranking,
)
from judgekit.metrics.reliability import (
    N_SUMS,
    BrierParts,
    binned_brier_parts,
    binned_ece,
    binned_ece_debiased,
    binned_sharpness,
    sum_in_bins,
)
from judgekit.metrics.selective import (
    NO_VERDICT_CONFIDENCE,
    decision_confidence,
    weighted_aurc,
    weighted_aurc_random,
    weighted_risks,
)
from judgekit.metrics.steps import (
    StepProbs,
    collect_reached_steps,
    compute_bins,
    compute_equal_mass_bins,
    equal_mass_edges,
    equal_width_edges,
    step_nll,
)
from judgekit.metrics.threshold import choose_threshold
from judgekit.text.identity import group_problems
from judgekit_eval.judges.benchmarks import Benchmark, resample, score
from judgekit_eval.judges.breakdown import confusion, hit_tables
from judgekit_eval.judges.intervals import Estimate, estimate_means, estimate_sums, estimate_weighted, metrics
from judgekit_eval.judges.judged_solution import JudgedSolution
from judgekit_eval.judges.schema import BestThreshold, Selective, StepBin, StepMetrics, SubsetResults
from judgekit_eval.results import Cost, Metric

COVERAGES = tuple(k / 50 for k in range(1, 51))
"""Where the risk-coverage curve is drawn."""
TOP_K = (1, 2, 3)
"""How many of the most probable outcomes may hold the true one."""


def analyse_subset(
    benchmark: Benchmark,
    rows: Sequence[JudgedSolution],
    *,
    n_resamples: int,
    seed: int,
    n_bins: int,
    threshold_tuned_here: bool = False,
) -> SubsetResults:
    """Measure a judge on one subset.

    All metrics share their resamples, which depend on the problems and the seed alone, so those of two judges on the
    same solutions in the same order are paired.

    Args:
        benchmark: Whose subset; it says which scores there are and what is resampled together.
        rows: The judged solutions.
        n_resamples: Of the bootstrap over problems, at least 1.
        seed: Of the bootstrap.
        n_bins: Bins of reliability and calibration error, at least 1.
        threshold_tuned_here: Whether the threshold was chosen on these very solutions.

    Raises:
        DataError: no solutions, or such as the benchmark cannot count.
    """
    resamples = resample(benchmark, rows, n_resamples=n_resamples, seed=seed)
    gold_N, judged_N = [row.gold for row in rows], [row.judged for row in rows]
    n_error = sum(gold is not None for gold in gold_N)
    offsets_N = count_offsets(gold_N=gold_N, predicted_N=[row.predicted for row in rows], judged_N=judged_N)
    offset_names = tuple(OffsetRates.__dataclass_fields__)
    reasons = Counter(str(row.judgement.no_verdict) for row in rows if row.judgement.no_verdict)
    best_threshold = None
    if any(judged_N) and 0 < n_error < len(rows):  # F1 needs both classes
        best = choose_threshold([row.p_ok_S for row in rows], gold_N=gold_N)
        best_threshold = BestThreshold(threshold=best.threshold, f1=100 * best.f1)
    first_error, distance, rts = _measure_posteriors(rows, resamples)
    return SubsetResults(
        n=len(rows),
        n_error=n_error,
        n_correct=len(rows) - n_error,
        n_no_verdict=len(rows) - sum(judged_N),
        no_verdict=dict(sorted(reasons.items())),
        n_problems=len(set(group_problems([row.solution for row in rows]))),
        scores=metrics(score(benchmark.subset_metrics, rows, resamples), scale=100),
        offsets=metrics(estimate_sums(offsets_N, offset_rates, offset_names, resamples)),
        steps=measure_steps(rows, resamples, n_bins=n_bins),
        first_error=first_error,
        distance=distance,
        rts=rts,
        selective=_measure_selection(rows, resamples),
        by=hit_tables(rows, resamples),
        confusion=confusion(rows),
        best_threshold=best_threshold,
        cost=Cost.of([row.judgement for row in rows]),
        threshold_tuned_here=threshold_tuned_here,
    )


def measure_steps(rows: Sequence[JudgedSolution], resamples: Resamples, *, n_bins: int) -> StepMetrics | None:
    """Measure step probabilities on the reached steps of judged solutions; `None` if nothing was judged."""
    steps = collect_reached_steps([row.p_ok_S for row in rows], gold_N=[row.gold for row in rows])
    p_ok_K, ok_K, solution_K = steps
    if not len(p_ok_K):
        return None

    of_steps = resamples.of_parts(solution_K)
    place_K = step_places(solution_K, n_steps_N=[len(row.solution.steps) for row in rows])

    def within_position(weights_R_K: Floats) -> Floats:
        return weighted_auroc_within_position(p_ok_K, ok_K, weights_R_K, place_K=place_K)[:, None]

    return StepMetrics(
        n_steps=len(p_ok_K),
        **metrics(
            estimate_weighted(partial(weighted_ranking, p_ok_K, ok_K), ("auroc", "auprc_error"), of_steps)
            | estimate_weighted(within_position, ("auroc_within_position",), of_steps)
            | _estimate_calibration(steps, resamples, n_bins=n_bins)
            | estimate_means({"nll": step_nll(p_ok_K, ok_K)}, of_steps)
        ),
        n_pairs_within_position=count_pairs_within_position(ok_K, place_K=place_K),
        bins=[StepBin(**asdict(bin_)) for bin_ in compute_bins(p_ok_K, ok_K, n_bins=n_bins)],
        bins_equal_mass=[StepBin(**asdict(bin_)) for bin_ in compute_equal_mass_bins(p_ok_K, ok_K, n_bins=n_bins)],
    )


def _estimate_calibration(steps: StepProbs, resamples: Resamples, *, n_bins: int) -> dict[str, Estimate]:
    """Estimate what is made of sums in bins: `ece` in equal-width bins, everything else in equal-mass bins.

    Intervals of the calibration errors lean upwards, as resampling adds noise to every bin.
    """
    p_ok_K, ok_K, solution_K = steps
    judged, unit_K = np.unique(solution_K, return_inverse=True)
    n_units = len(judged)
    wide, massed = (
        sum_in_bins(p_ok_K, ok_K, edges=edges, unit_K=unit_K, n_units=n_units)
        for edges in (equal_width_edges(n_bins), equal_mass_edges(p_ok_K, n_bins=n_bins))
    )

    def of_sums(sums_R: Floats) -> Floats:
        in_wide, in_massed = np.split(sums_R.reshape(len(sums_R), -1, N_SUMS), [wide.shape[1]], axis=1)
        errors = binned_ece(in_wide), binned_ece(in_massed), binned_ece_debiased(in_massed)
        return np.column_stack([*errors, binned_brier_parts(in_massed), binned_sharpness(in_massed)])

    parts = ("brier", *(f"brier_{part}" for part in BrierParts._fields[1:]))
    names = ("ece", "ece_equal_mass", "ece_debiased", *parts, "sharpness")
    sums_N = np.concatenate([wide, massed], axis=1).reshape(n_units, -1)
    return estimate_sums(sums_N, of_sums, names, resamples.of_parts(judged))


Metrics = dict[str, Metric]


def _measure_posteriors(
    rows: Sequence[JudgedSolution], resamples: Resamples
) -> tuple[Metrics | None, Metrics | None, Metrics | None]:
    """Measure the posteriors of judged solutions: at the true outcome, distance in steps, and RTS error.

    Each is `None` if there is nothing to measure. `mean_steps` and `signed_mean_steps` (above 0 = too late) are over
    the erroneous solutions for which an error was predicted, so they say nothing of missed ones. `expected_steps` is
    the mean under the posterior over all judged erroneous solutions, "none" standing one past the last step.
    """
    judged = [row for row in rows if row.judged]
    if not judged:
        return None, None, None
    resamples = resamples.of_parts(np.flatnonzero([row.judged for row in rows]))
    posteriors = [row.judgement.verdict.posterior for row in judged if row.judgement.verdict]
    scores = score_first_errors(posteriors, gold_N=[row.gold for row in judged])
    outcome = {"log_loss": scores.log_loss_N, "mean_rank": scores.rank_N} | {
        f"top_{k}": scores.top_k_N(k) for k in TOP_K
    }
    first_error = metrics(estimate_means(outcome, resamples))
    error_N = np.array([row.gold is not None for row in judged])
    if not error_N.any():
        return first_error, None, None
    off_N = np.array([0 if row.gold is None or row.predicted is None else row.predicted - row.gold for row in judged])
    found_N = error_N & np.array([row.predicted is not None for row in judged])
    decided = {"mean_steps": np.abs(off_N), "signed_mean_steps": off_N}
    distance = estimate_means(decided, resamples, counted_N=found_N)
    distance |= estimate_means({"expected_steps": scores.distance_N}, resamples, counted_N=error_N)
    rts = {"mae": np.abs(scores.rts_error_N), "bias": scores.rts_error_N}
    return first_error, metrics(distance), metrics(estimate_means(rts, resamples, counted_N=error_N))


def _measure_selection(rows: Sequence[JudgedSolution], resamples: Resamples) -> Selective | None:
    """Measure what abstaining where the judge is unsure gains; `None` if nothing was judged.

    Coverage is a share of all solutions; those without a verdict are abstained from first and wrong where kept.
    """
    if not any(row.judged for row in rows):
        return None
    verdicts = [(row.judgement.verdict, row.predicted) for row in rows]
    confidence_N = np.array(
        [
            decision_confidence(said.posterior, predicted) if said else NO_VERDICT_CONFIDENCE
            for said, predicted in verdicts
        ]
    )
    wrong_N = np.array([row.outcome is not Outcome.RIGHT for row in rows], dtype=float)
    coverage_Q = np.array(COVERAGES)

    def areas_and_risks(weights_R_N: Floats) -> Floats:
        areas = (
            weighted_aurc(confidence_N, wrong_N, weights_R_N),
            weighted_aurc_random(wrong_N, weights_R_N),
            weighted_aurc(1 - wrong_N, wrong_N, weights_R_N),
        )
        return np.column_stack([*areas, weighted_risks(confidence_N, wrong_N, weights_R_N, coverage_Q=coverage_Q)])

    areas = ("aurc", "aurc_random", "aurc_perfect")
    found = metrics(estimate_weighted(areas_and_risks, (*areas, *map(str, COVERAGES)), resamples))
    risks = [found[str(coverage)] for coverage in COVERAGES]
    return Selective(
        **{name: found[name] for name in areas},
        coverage=list(COVERAGES),
        risk=[risk.value for risk in risks],
        risk_lo=[risk.lo for risk in risks],
        risk_hi=[risk.hi for risk in risks],
    )
