"""What a judge gains by abstaining when it is unsure: risk against coverage, and the area under that curve.

Solutions without a verdict are abstained from first: they lie below every confidence and count as wrong if coverage is
so high that they are included. So the risk at full coverage is 1 - accuracy with missing verdicts counted as wrong, an
abstention never counts as correct, and curves of judges on the same solutions can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from judgekit.metrics.checks import Floats, cumulate_by_value, ratio

NO_VERDICT_CONFIDENCE = -1.0
"""Confidence of a solution without a verdict: below any probability, so it is abstained from first."""


def decision_confidence(posterior: Sequence[float], predicted: int | None) -> float:
    """Return the confidence in a decision: the posterior mass of the decided outcome, in [0, 1].

    That is the judge's own probability that the decision is correct, so 1 minus it is the loss expected from keeping
    it, and to abstain below a bound of it is the best rule for a judge that is calibrated. A threshold rule may decide
    on another outcome than the most probable one; then its mass counts, not the largest.

    Args:
        posterior: P(first error = 0), ..., P(none). Shape (n + 1,).
        predicted: Decided first error, 0-based, `None` = no error.

    Source:
        Chow, On optimum recognition error and reject tradeoff (1970).

    Example:
        >>> decision_confidence([0.1, 0.2, 0.7], 1)
        0.2
    """
    return posterior[-1 if predicted is None else predicted]


def weighted_aurc(confidence_N: Floats, wrong_N: Floats, weights_R_N: Floats) -> Floats:
    """Return the area under the risk-coverage curve: the mean over k = 1..n of the share wrong among the k most sure.

    In [0, 1], lower is better; each solution counts as often as its weight says, for many weightings at once. Equally
    sure solutions, as copies of one are, are kept in a random order, on average over all.

    Among m equally sure solutions of which a share r is wrong, behind n0 surer ones of which e0 are wrong, the risks of
    the next k = 1..m add up to sum_k (e0 + k r) / (n0 + k) = r m + (e0 - r n0) (H(n0 + m) - H(n0)) with the harmonic
    numbers H.

    Args:
        confidence_N: Higher is surer; `NO_VERDICT_CONFIDENCE` where there is no verdict. Shape (N,).
        wrong_N: 1 where the decision is wrong or missing, else 0. Shape (N,).
        weights_R_N: Whole numbers, not negative, at least one above 0 in each row. Shape (R, N).

    Returns:
        Shape (R,).

    Source:
        Geifman and El-Yaniv, Selective classification for deep neural networks (1705.08500): risk and coverage;
        Geifman, Uziel and El-Yaniv (1805.08206), section 2 (AURC). Differs in: ties in expectation.

    Example:
        >>> weighted_aurc(np.array([0.9, 0.8]), np.array([0.0, 1.0]), np.ones((1, 2))).tolist()
        [0.25]
    """
    kept, errors = _kept_surest_first(confidence_N, wrong_N, weights_R_N)
    n, n_wrong = np.diff(kept, axis=1), np.diff(errors, axis=1)
    share = ratio(n_wrong, n, undefined=0.0)
    # Weights are integers, so one table of harmonic numbers serves all rows.
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(kept[:, -1].max()) + 1))])
    growth = np.diff(harmonic[kept.astype(np.int64)], axis=1)
    return (n_wrong + (errors[:, :-1] - share * kept[:, :-1]) * growth).sum(axis=1) / kept[:, -1]


def weighted_aurc_random(wrong_N: Floats, weights_R_N: Floats) -> Floats:
    """Return the AURC expected from abstaining at random: the share wrong, whatever the coverage. Shape (R,)."""
    return (weights_R_N @ wrong_N) / weights_R_N.sum(axis=1)


def weighted_risks(confidence_N: Floats, wrong_N: Floats, weights_R_N: Floats, *, coverage_Q: Floats) -> Floats:
    """Return the share wrong among the surest solutions, for each share in (0, 1] of solutions kept. Shape (R, Q).

    Weights as in `weighted_aurc`. Between integers of solutions the next one counts in part.
    """
    kept, errors = _kept_surest_first(confidence_N, wrong_N, weights_R_N)
    wanted_R_Q = kept[:, -1:] * coverage_Q
    rows = zip(wanted_R_Q, kept, errors, strict=True)
    return np.stack([np.interp(wanted, kept_V, errors_V) for wanted, kept_V, errors_V in rows]) / wanted_R_Q


def _kept_surest_first(confidence_N: Floats, wrong_N: Floats, weights_R_N: Floats) -> tuple[Floats, Floats]:
    """Return how many are kept and how many of them are wrong down to each distinct confidence, 0 and 0 in front.

    Shape (R, V + 1) both, V distinct confidences, the highest first.
    """
    kept, errors = cumulate_by_value(-confidence_N, wrong_N, weights_R_N)
    return np.pad(kept, ((0, 0), (1, 0))), np.pad(errors, ((0, 0), (1, 0)))
