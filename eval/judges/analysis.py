"""Everything measured on one subset of a benchmark, each figure with a 95 % interval from resampled problems.

Figures that need the posterior are taken over the solutions with a verdict, localization counts a missing verdict as
wrong, and both say so in their place. A figure that does not exist (a class is empty, nothing was judged) is `None`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.judges.breakdown import confusion, hit_tables
from eval.judges.counting import FIRST_ERROR
from eval.judges.intervals import Estimate, as_dicts, estimate_means, estimate_sums, estimate_weighted
from eval.judges.judged_solution import JudgedSolution
from judgekit.metrics.bootstrap import Resamples
from judgekit.metrics.checks import Floats, check_lengths
from judgekit.metrics.first_error import FirstErrorScores, score_first_errors
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

SCORES = FIRST_ERROR.names
"""Names of the general localization scores, see `localization_scores`."""
COVERAGES = tuple(k / 50 for k in range(1, 51))
"""Where the risk-coverage curve is drawn."""
TOP_K = (1, 2, 3)
"""How many of the most probable outcomes may hold the true one."""


class SubsetAnalysis(NamedTuple):
    """What was measured on one subset."""

    values: dict[str, Any]
    """Everything but the benchmark's own scores, as it stands in `results.json`."""
    estimates: dict[str, Estimate]
    """The localization scores with their resamples, by name, in [0, 1]: for averages over subsets and differences."""


def analyse_subset(
    rows: Sequence[JudgedSolution],
    *,
    n_resamples: int,
    seed: int,
    n_bins: int,
    cluster_N: Sequence[Hashable] | None = None,
) -> SubsetAnalysis:
    """Measure a judge on one subset.

    All figures share their resamples, which depend on the problems and the seed alone, so estimates of two judges on
    the same solutions in the same order are paired.

    Args:
        rows: The judged solutions.
        n_resamples: Of the bootstrap over problems, at least 1.
        seed: Of the bootstrap.
        n_bins: Bins of reliability and calibration error, at least 1.
        cluster_N: What each solution is resampled together with; `None` = the solutions of its problem.

    Raises:
        DataError: no solutions, or lengths differ.
    """
    problem_N = group_problems([row.solution for row in rows])
    check_lengths(rows, problem_N if cluster_N is None else cluster_N)
    resamples = Resamples.of(problem_N if cluster_N is None else cluster_N, n_resamples=n_resamples, seed=seed)
    scores = localization_scores(rows, resamples)
    judged = np.array([index for index, row in enumerate(rows) if row.judged], dtype=np.int64)
    values = {
        **_counts(rows),
        "n_problems": len(set(problem_N)),
        "scores": as_dicts(scores, scale=100),
        "offsets": _offsets(rows, resamples),
        "steps": _steps(rows, resamples, n_bins=n_bins),
        **_posterior_figures([rows[index] for index in judged], resamples.of_parts(judged)),
        "selective": _selective(rows, resamples),
        "by": hit_tables(rows, resamples),
        "confusion": confusion(rows),
        "best_threshold": _best_threshold(rows),
        "cost": {
            "n_tokens": sum(row.judgement.n_tokens for row in rows),
            "seconds": sum(row.judgement.seconds for row in rows),
        },
    }
    return SubsetAnalysis(values, scores)


def _counts(rows: Sequence[JudgedSolution]) -> dict[str, Any]:
    reasons = Counter(str(row.judgement.no_verdict) for row in rows if row.judgement.no_verdict)
    n_error = sum(row.gold is not None for row in rows)
    return {
        "n": len(rows),
        "n_error": n_error,
        "n_correct": len(rows) - n_error,
        "n_no_verdict": sum(not row.judged for row in rows),
        "no_verdict": dict(sorted(reasons.items())),
    }


def _labels(rows: Sequence[JudgedSolution]) -> dict[str, Any]:
    """Return the arguments that the localization metrics share."""
    return {
        "gold_N": [row.gold for row in rows],
        "predicted_N": [row.predicted for row in rows],
        "judged_N": [row.judged for row in rows],
    }


def localization_scores(rows: Sequence[JudgedSolution], resamples: Resamples) -> dict[str, Estimate]:
    """Estimate the scores named by `SCORES`, in [0, 1].

    Both ProcessBench accuracies and F1, in which no verdict is wrong; `f1_scored` over the judged alone; `accuracy`,
    the share of all solutions decided rightly, and `accuracy_scored`, the same over the judged alone.
    """
    return estimate_sums(FIRST_ERROR.count(rows), FIRST_ERROR.statistic, SCORES, resamples)


def _offsets(rows: Sequence[JudgedSolution], resamples: Resamples) -> dict[str, Any]:
    names = tuple(OffsetRates.__dataclass_fields__)
    return as_dicts(estimate_sums(count_offsets(**_labels(rows)), offset_rates, names, resamples))


def _steps(rows: Sequence[JudgedSolution], resamples: Resamples, *, n_bins: int) -> dict[str, Any] | None:
    """Measure step probabilities on the reached steps of judged solutions; `None` where nothing was judged."""
    steps = collect_reached_steps([row.p_ok_S for row in rows], gold_N=[row.gold for row in rows])
    p_ok_K, ok_K, solution_K = steps
    if not len(p_ok_K):
        return None

    of_steps = resamples.of_parts(solution_K)
    place_K = step_places(solution_K, n_steps_N=[len(row.solution.steps) for row in rows])

    def within_position(weights_R_K: Floats) -> Floats:
        return weighted_auroc_within_position(p_ok_K, ok_K, weights_R_K, place_K=place_K)[:, None]

    return {
        "n_steps": len(p_ok_K),
        **as_dicts(estimate_weighted(partial(weighted_ranking, p_ok_K, ok_K), ("auroc", "auprc_error"), of_steps)),
        **as_dicts(estimate_weighted(within_position, ("auroc_within_position",), of_steps)),
        "n_pairs_within_position": count_pairs_within_position(ok_K, place_K=place_K),
        **as_dicts(_calibration(steps, resamples, n_bins=n_bins)),
        **as_dicts(estimate_means({"nll": step_nll(p_ok_K, ok_K)}, of_steps)),
        "bins": [asdict(bin_) for bin_ in compute_bins(p_ok_K, ok_K, n_bins=n_bins)],
        "bins_equal_mass": [asdict(bin_) for bin_ in compute_equal_mass_bins(p_ok_K, ok_K, n_bins=n_bins)],
    }


def analyse_steps(
    rows: Sequence[JudgedSolution], *, n_resamples: int, seed: int, n_bins: int, cluster_N: Sequence[Hashable]
) -> dict[str, Any] | None:
    """Measure step probabilities alone, as `analyse_subset` does; `None` where nothing was judged."""
    return _steps(rows, Resamples.of(cluster_N, n_resamples=n_resamples, seed=seed), n_bins=n_bins)


def _calibration(steps: StepProbs, resamples: Resamples, *, n_bins: int) -> dict[str, Estimate]:
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

    def figures(sums_R: Floats) -> Floats:
        in_wide, in_massed = np.split(sums_R.reshape(len(sums_R), -1, N_SUMS), [wide.shape[1]], axis=1)
        errors = binned_ece(in_wide), binned_ece(in_massed), binned_ece_debiased(in_massed)
        return np.column_stack([*errors, binned_brier_parts(in_massed), binned_sharpness(in_massed)])

    parts = ("brier", *(f"brier_{part}" for part in BrierParts._fields[1:]))
    names = ("ece", "ece_equal_mass", "ece_debiased", *parts, "sharpness")
    sums_N = np.concatenate([wide, massed], axis=1).reshape(n_units, -1)
    return estimate_sums(sums_N, figures, names, resamples.of_parts(judged))


def _posterior_figures(judged: Sequence[JudgedSolution], resamples: Resamples) -> dict[str, dict[str, Any] | None]:
    """Measure the posteriors of the judged solutions at the true outcome; `None` where there are none to measure."""
    posteriors = [row.judgement.verdict.posterior for row in judged if row.judgement.verdict]
    if not posteriors:
        return {"first_error": None, "distance": None, "rts": None}
    scores = score_first_errors(posteriors, gold_N=[row.gold for row in judged])
    outcome = {"log_loss": scores.log_loss_N, "mean_rank": scores.rank_N} | {
        f"top_{k}": scores.top_k_N(k) for k in TOP_K
    }
    error_N = np.array([row.gold is not None for row in judged])
    rts = {"mae": np.abs(scores.rts_error_N), "bias": scores.rts_error_N}
    return {
        "first_error": as_dicts(estimate_means(outcome, resamples)),
        "distance": _distance(judged, scores, error_N, resamples) if error_N.any() else None,
        "rts": as_dicts(estimate_means(rts, resamples, counted_N=error_N)) if error_N.any() else None,
    }


def _distance(
    judged: Sequence[JudgedSolution], scores: FirstErrorScores, error_N: NDArray[np.bool_], resamples: Resamples
) -> dict[str, Any]:
    """Measure the distance in steps from the true first error.

    `mean_steps` and `signed_mean_steps` (above 0 = too late) are over the erroneous solutions for which an error was
    predicted, so they say nothing of missed ones. `expected_steps` is the mean under the posterior over all judged
    erroneous solutions, "none" standing one past the last step.
    """
    off_N = np.array([0 if row.gold is None or row.predicted is None else row.predicted - row.gold for row in judged])
    found_N = error_N & np.array([row.predicted is not None for row in judged])
    decided = {"mean_steps": np.abs(off_N), "signed_mean_steps": off_N}
    estimates = estimate_means(decided, resamples, counted_N=found_N)
    return as_dicts(estimates | estimate_means({"expected_steps": scores.distance_N}, resamples, counted_N=error_N))


def _selective(rows: Sequence[JudgedSolution], resamples: Resamples) -> dict[str, Any] | None:
    """Measure what abstaining where the judge is unsure gains; `None` where nothing was judged.

    Coverage is a share of all solutions; those without a verdict are abstained from first and wrong where kept.
    """
    if not any(row.judged for row in rows):
        return None
    confidence_N = np.array([_confidence(row) for row in rows])
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
    estimates = estimate_weighted(areas_and_risks, (*areas, *map(str, COVERAGES)), resamples)
    intervals = [estimates[str(coverage)].interval for coverage in COVERAGES]
    return {
        **as_dicts({name: estimates[name] for name in areas}),
        "coverage": list(COVERAGES),
        "risk": [interval.value for interval in intervals],
        "risk_lo": [interval.lo for interval in intervals],
        "risk_hi": [interval.hi for interval in intervals],
    }


def _confidence(row: JudgedSolution) -> float:
    verdict = row.judgement.verdict
    return decision_confidence(verdict.posterior, row.predicted) if verdict else NO_VERDICT_CONFIDENCE


def _best_threshold(rows: Sequence[JudgedSolution]) -> dict[str, float] | None:
    """Return the threshold that is best on these very rows: an upper bound, never a result."""
    gold_N = [row.gold for row in rows]
    if all(gold is None for gold in gold_N) or None not in gold_N or not any(row.judged for row in rows):
        return None
    choice = choose_threshold([row.p_ok_S for row in rows], gold_N=gold_N)
    return {"threshold": choice.threshold, "f1": 100 * choice.f1}
