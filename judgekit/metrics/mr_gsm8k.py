"""MR-GSM8K: whether a solution is correct (MCC) and where its first error is (ACC_step).

MR-Score = 0.2 * max(0, MCC) + 0.3 * ACC_step + 0.5 * ACC_reason. ACC_reason is the share of erroneous solutions for
which the judge also explains the error rightly; that needs a grader who reads the explanation, so it is not computed
here. What is: the first two terms, `localization_part`, in [0, 0.5]. Since a reason counts only where the step is
correct, the MR-Score lies between `localization_part` and `localization_part + 0.5 * step_accuracy`.

Source:
    Zeng et al., MR-GSM8K (2312.17080), section 3; `scripts/eval_mr_gsm8k.py` of dvlab-research/MR-GSM8K for what the
    paper leaves open. Figures are micro over all solutions, whatever their type of question. The positive class of MCC
    is the correct solution. ACC_step is divided by all erroneous solutions and counts a step only where the solution
    was judged wrong. A reply that cannot be read agrees with no label: a miss in either class, and no step. MCC is 0
    where all replies are the same (there a division by zero; 0 in the published tables).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from judgekit.metrics.checks import Floats, ratio
from judgekit.metrics.localization import count_hits

MCC_WEIGHT = 0.2
"""Weight of max(0, MCC) in MR-Score."""
STEP_WEIGHT = 0.3
"""Weight of ACC_step in MR-Score."""
MR_GSM8K_RATES = (
    "mcc", "step_accuracy", "localization_part",
    "mcc_scored", "step_accuracy_scored", "localization_part_scored",
)  # fmt: skip
"""Names of the columns of `mr_gsm8k_rates`."""


def count_calls(
    gold_N: Sequence[int | None], predicted_N: Sequence[int | None], *, judged_N: Sequence[bool]
) -> NDArray[np.int64]:
    """Return one row of `Counts` a solution and, behind it, whether an erroneous one was judged wrong. Shape (N, 7).

    Args:
        gold_N: True first errors, 0-based, `None` = no error.
        predicted_N: Predicted first errors in the same terms; ignored where the judge gave no verdict.
        judged_N: Whether the judge gave a verdict.

    Raises:
        DataError: no solutions, or lengths differ.
    """
    counts = count_hits(gold_N, predicted_N, judged_N=judged_N)
    flagged = [
        judged and gold is not None and predicted is not None
        for gold, predicted, judged in zip(gold_N, predicted_N, judged_N, strict=True)
    ]
    return np.column_stack([counts, np.array(flagged, dtype=np.int64)])


def mr_gsm8k_rates(counts_R: NDArray[np.int64] | Floats) -> Floats:
    """Turn summed `count_calls` rows into MCC, ACC_step and their part of MR-Score.

    Args:
        counts_R: Sums of `count_calls` rows. Shape (R, 7).

    Returns:
        Shape (R, 6): the three with no verdict counted as wrong, then the three over the judged alone. MCC lies in
        [-1, 1], ACC_step in [0, 1], the part in [0, 0.5]. NaN if a class of solutions is empty, for internal
        arithmetic only.
    """
    counts = np.asarray(counts_R, dtype=float)
    n_error, n_correct, n_error_judged, n_correct_judged, error_hit, correct_hit, error_flagged = counts.T
    columns = []
    for n_wrong, n_right in ((n_error, n_correct), (n_error_judged, n_correct_judged)):
        # Matthews' correlation: NaN if a true class is empty, 0 if all predictions are the same.
        fn = n_right - correct_hit
        fp = n_wrong - error_flagged
        product = (correct_hit + fp) * (correct_hit + fn) * (error_flagged + fp) * (error_flagged + fn)
        empty = np.where((correct_hit + fn == 0) | (error_flagged + fp == 0), np.nan, 0.0)
        mcc = np.divide(correct_hit * error_flagged - fp * fn, np.sqrt(product), out=empty, where=product > 0)
        step_accuracy = ratio(error_hit, n_wrong)
        columns += [mcc, step_accuracy, MCC_WEIGHT * np.maximum(mcc, 0) + STEP_WEIGHT * step_accuracy]
    return np.stack(columns, axis=1)
