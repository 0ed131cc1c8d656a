"""Pure metrics of judges: ProcessBench localization, step-level calibration, threshold search and bootstrap.

numpy only. First errors are 0-based and `None` means "no error"; whether a judge gave a verdict at all stands beside it
as `judged_N`, so "no error" and "no verdict" never share a spelling. Rates lie in [0, 1] and nothing is rounded;
ProcessBench is published times 100, which is done where results are written. Axis suffixes: `_N` solutions, `_S` steps
of one solution, `_K` steps of all solutions in one row, `_C` clusters, `_R` resamples, `_M` statistics.
"""

from __future__ import annotations

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
    "Bin", "Calibration", "Counts", "Floats", "Interval", "Localization", "NLL_CLIP", "OffsetRates", "Outcome",
    "StepProbs", "ThresholdChoice", "bin_index", "choose_threshold", "classify_outcome", "cluster_bootstrap",
    "collect_reached_steps", "compute_bins", "compute_brier", "compute_calibration", "compute_ece",
    "compute_localization", "compute_nll", "compute_offset_rates", "count_hits", "harmonic_mean",
    "localization_rates", "percentile_interval", "step_nll", "wilson_interval",
]  # fmt: skip
