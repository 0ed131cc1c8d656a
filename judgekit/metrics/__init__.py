"""Pure metrics of judges: benchmark protocols, steps, first-error posterior, abstention, bootstrap.

numpy only. First errors are 0-based and `None` means "no error"; whether a judge gave a verdict at all stands beside it
as `judged_N`, so "no error" and "no verdict" never share a spelling. Rates lie in [0, 1] and nothing is rounded;
ProcessBench is published times 100, which is done where results are written. Axis suffixes: `_N` solutions, `_S` steps
of one solution, `_K` steps of all solutions in one row, `_C` clusters, `_R` resamples or weightings, `_M` statistics,
`_V` distinct values, `_B` bins.
"""

from __future__ import annotations

from judgekit.metrics.bigbench_mistake import (
    ACCURACY_RATES,
    accuracy_rates,
)
from judgekit.metrics.bootstrap import (
    Interval,
    PairedDifference,
    Resamples,
    cluster_bootstrap,
    holm_adjust,
    paired_bootstrap,
    percentile_interval,
    t_interval,
    wilson_interval,
)
from judgekit.metrics.checks import (
    Floats,
    check_lengths,
    defined,
    ratio,
)
from judgekit.metrics.first_error import (
    FirstErrorScores,
    score_first_errors,
)
from judgekit.metrics.localization import (
    Counts,
    Localization,
    OffsetRates,
    Outcome,
    classify_outcome,
    compute_localization,
    compute_offset_rates,
    count_hits,
    count_offsets,
    harmonic_mean,
    localization_rates,
    offset_rates,
)
from judgekit.metrics.mr_gsm8k import (
    MCC_WEIGHT,
    MR_GSM8K_RATES,
    STEP_WEIGHT,
    count_calls,
    mr_gsm8k_rates,
)
from judgekit.metrics.prmbench import (
    PRMBENCH_CLASSES,
    PRMBENCH_DIMENSIONS,
    PRMBENCH_RATES,
    STEP_RATES,
    StepCounts,
    call_steps,
    count_steps,
    place_by_class,
    prmbench_rates,
    step_rates,
)
from judgekit.metrics.ranking import (
    compute_auprc_error,
    compute_auroc,
    compute_auroc_within_position,
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
    binned_squared_error_debiased,
    compute_brier_parts,
    compute_ece_debiased,
    compute_sharpness,
    sum_in_bins,
)
from judgekit.metrics.sampling import (
    best_of_n,
    draw_subsets,
    pass_at_k,
    vote,
)
from judgekit.metrics.selective import (
    NO_VERDICT_CONFIDENCE,
    compute_aurc,
    compute_aurc_perfect,
    compute_aurc_random,
    compute_risks,
    decision_confidence,
    weighted_aurc,
    weighted_aurc_random,
    weighted_risks,
)
from judgekit.metrics.steps import (
    NLL_CLIP,
    Bin,
    Calibration,
    StepProbs,
    bin_index,
    collect_reached_steps,
    compute_bins,
    compute_brier,
    compute_calibration,
    compute_ece,
    compute_equal_mass_bins,
    compute_nll,
    equal_mass_edges,
    equal_width_edges,
    step_nll,
)
from judgekit.metrics.threshold import (
    ThresholdChoice,
    choose_threshold,
)

__all__ = [
    "ACCURACY_RATES", "Bin", "BrierParts", "Calibration", "Counts", "FirstErrorScores", "Floats", "Interval",
    "Localization", "MCC_WEIGHT", "MR_GSM8K_RATES", "NLL_CLIP", "NO_VERDICT_CONFIDENCE", "N_SUMS", "OffsetRates",
    "Outcome", "PRMBENCH_CLASSES", "PRMBENCH_DIMENSIONS", "PRMBENCH_RATES", "PairedDifference", "Resamples",
    "STEP_RATES", "STEP_WEIGHT", "StepCounts", "StepProbs", "ThresholdChoice", "accuracy_rates", "best_of_n",
    "bin_index", "binned_brier_parts", "binned_ece", "binned_ece_debiased", "binned_sharpness",
    "binned_squared_error_debiased", "call_steps", "check_lengths", "choose_threshold", "classify_outcome",
    "cluster_bootstrap", "collect_reached_steps", "compute_auprc_error", "compute_aurc", "compute_aurc_perfect",
    "compute_aurc_random", "compute_auroc", "compute_auroc_within_position", "compute_bins", "compute_brier",
    "compute_brier_parts", "compute_calibration", "compute_ece", "compute_ece_debiased", "compute_equal_mass_bins",
    "compute_localization", "compute_nll", "compute_offset_rates", "compute_risks", "compute_sharpness", "count_calls",
    "count_hits", "count_offsets", "count_pairs_within_position", "count_steps", "decision_confidence", "defined",
    "draw_subsets", "equal_mass_edges", "equal_width_edges", "harmonic_mean", "holm_adjust", "localization_rates",
    "mr_gsm8k_rates", "offset_rates", "paired_bootstrap", "pass_at_k", "percentile_interval", "place_by_class",
    "prmbench_rates", "ratio", "score_first_errors", "step_nll", "step_places", "step_rates", "sum_in_bins",
    "t_interval", "vote", "weighted_aurc", "weighted_aurc_random", "weighted_auroc_within_position", "weighted_ranking",
    "weighted_risks", "wilson_interval",
]  # fmt: skip
