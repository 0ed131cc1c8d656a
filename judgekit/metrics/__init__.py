"""Pure metrics of judges: benchmark protocols, step-level calibration, threshold search, bootstrap.

numpy only. First errors are 0-based and `None` means "no error"; whether a judge gave a verdict at all stands beside it
as `judged_N`, so "no error" and "no verdict" never share a spelling. Rates lie in [0, 1] and nothing is rounded;
ProcessBench is published times 100, which is done where results are written. Axis suffixes: `_N` solutions, `_S` steps
of one solution, `_K` steps of all solutions in one row, `_C` clusters, `_R` resamples, `_M` statistics.
"""

from __future__ import annotations

from judgekit.metrics.bigbench_mistake import (
    ACCURACY_RATES,
    accuracy_rates,
)
from judgekit.metrics.bootstrap import (
    Interval,
    cluster_bootstrap,
    percentile_interval,
    wilson_interval,
)
from judgekit.metrics.checks import (
    Floats,
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
    harmonic_mean,
    localization_rates,
)
from judgekit.metrics.mr_gsm8k import (
    MR_GSM8K_RATES,
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
    compute_nll,
    step_nll,
)
from judgekit.metrics.threshold import (
    ThresholdChoice,
    choose_threshold,
)

__all__ = [
    "ACCURACY_RATES", "Bin", "Calibration", "Counts", "Floats", "Interval", "Localization", "MR_GSM8K_RATES",
    "NLL_CLIP", "OffsetRates", "Outcome", "PRMBENCH_CLASSES", "PRMBENCH_DIMENSIONS", "PRMBENCH_RATES",
    "STEP_RATES", "StepCounts", "StepProbs", "ThresholdChoice", "accuracy_rates", "bin_index", "call_steps",
    "choose_threshold", "classify_outcome", "cluster_bootstrap", "collect_reached_steps", "compute_bins",
    "compute_brier", "compute_calibration", "compute_ece", "compute_localization", "compute_nll",
    "compute_offset_rates", "count_calls", "count_hits", "count_steps", "harmonic_mean", "localization_rates",
    "mr_gsm8k_rates", "percentile_interval", "place_by_class", "prmbench_rates", "step_nll", "step_rates",
    "wilson_interval",
]  # fmt: skip
