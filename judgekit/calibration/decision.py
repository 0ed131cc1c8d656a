"""Fits the rule that turns a first-error posterior into one predicted step: a threshold, or a weight of "no error"."""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.metrics.threshold import choose_no_error_weight, choose_threshold
from judgekit.types import ArgmaxRule, DecisionKind, ThresholdRule, Verdict


def fit_decision(
    kind: DecisionKind, verdicts_N: Sequence[Verdict | None], *, gold_N: Sequence[int | None], origin: str
) -> ThresholdRule | ArgmaxRule:
    """Return the rule of a kind with the best ProcessBench F1 on labelled solutions.

    Args:
        kind: `threshold`: the first step below it; `argmax`: the most probable outcome under a weight of "no error".
        verdicts_N: `None` = no verdict, a miss whatever the rule.
        gold_N: True first errors, 0-based, `None` = no error.
        origin: What the solutions are, for whoever reads the rule.

    Raises:
        DataError: there are no wrong or no correct solutions.
    """
    if kind == "argmax":
        posterior_N_O = [None if verdict is None else verdict.posterior for verdict in verdicts_N]
        weight = choose_no_error_weight(posterior_N_O, gold_N=gold_N)
        return ArgmaxRule(no_error_weight=weight, origin=f"best ProcessBench F1 on {origin}")
    p_ok_N_S = [None if verdict is None else verdict.p_ok_S for verdict in verdicts_N]
    threshold = choose_threshold(p_ok_N_S, gold_N=gold_N).threshold
    return ThresholdRule(threshold=threshold, origin=f"best ProcessBench F1 on {origin}")
