"""What a judge gains by abstaining where it is unsure: risk against coverage and the area under that curve.

Solutions without a verdict are those that the judge abstains from first: they lie below every confidence and are wrong
where coverage is so high that they are kept. So the risk at full coverage is 1 - accuracy with missing verdicts counted
as wrong, an abstention is never counted as right, and curves of judges on the same solutions can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from judgekit.errors import DataError
from judgekit.metrics.checks import Floats, check_lengths, cumulate_by_value, ratio

NO_VERDICT_CONFIDENCE = -1.0
"""Confidence of a solution without a verdict: below any probability, so it is abstained from first."""


def decision_confidence(posterior: Sequence[float], predicted: int | None) -> float:
    """Return the confidence in a decision: the posterior mass of the decided outcome, in [0, 1].

    That is the judge's own probability that the decision is right, so 1 minus it is the loss expected from keeping it,
    and to abstain below a bound of it is the best rule for a judge that is calibrated. A threshold rule may decide on
    another outcome than the most probable one; then its mass counts, not the largest.

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


def compute_aurc(confidence_N: Sequence[float] | Floats, wrong_N: Sequence[float] | Floats) -> float:
    """Return the area under the risk-coverage curve: the mean over k = 1..N of the share wrong among the k most sure.

    In [0, 1], lower is better. Equally sure solutions are kept in a random order, in the mean over all.

    Args:
        confidence_N: Higher is surer; `NO_VERDICT_CONFIDENCE` where there is no verdict.
        wrong_N: 1 where the decision is wrong or missing, else 0.

    Raises:
        DataError: no solutions, lengths differ, or a value in `wrong_N` that is neither 0 nor 1.

    Source:
        Geifman and El-Yaniv, Selective classification for deep neural networks (1705.08500): risk and coverage;
        Geifman, Uziel and El-Yaniv (1805.08206), section 2 (AURC). Differs in: ties in expectation.

    Example:
        >>> compute_aurc([0.9, 0.8], [0, 1])
        0.25
    """
    confidence, wrong = _checked(confidence_N, wrong_N)
    return float(weighted_aurc(confidence, wrong, np.ones((1, len(wrong))))[0])


def compute_aurc_random(wrong_N: Sequence[float] | Floats) -> float:
    """Return the AURC expected from abstaining at random: the share wrong, whatever the coverage."""
    _, wrong = _checked(wrong_N, wrong_N)
    return float(wrong.mean())


def compute_aurc_perfect(wrong_N: Sequence[float] | Floats) -> float:
    """Return the AURC of abstaining from all wrong decisions first: the lowest that these decisions allow.

    Example:
        >>> compute_aurc_perfect([1, 0])
        0.25
    """
    return compute_aurc(1 - np.asarray(wrong_N, dtype=float), wrong_N)


def compute_risks(
    confidence_N: Sequence[float] | Floats, wrong_N: Sequence[float] | Floats, *, coverage_Q: Sequence[float] | Floats
) -> Floats:
    """Return the share wrong among the surest solutions, for each share of solutions kept. Shape (Q,).

    Between whole numbers of solutions the next one counts in part.

    Args:
        confidence_N: As in `compute_aurc`.
        wrong_N: As in `compute_aurc`.
        coverage_Q: Shares of all solutions that are kept, in (0, 1].

    Raises:
        DataError: as `compute_aurc`, or a coverage outside (0, 1].
    """
    confidence, wrong = _checked(confidence_N, wrong_N)
    coverage = np.asarray(coverage_Q, dtype=float)
    if not ((coverage > 0) & (coverage <= 1)).all():
        raise DataError(f"a coverage lies outside (0, 1]: {coverage.min()}..{coverage.max()}")
    return weighted_risks(confidence, wrong, np.ones((1, len(wrong))), coverage_Q=coverage)[0]


def weighted_aurc(confidence_N: Floats, wrong_N: Floats, weights_R_N: Floats) -> Floats:
    """Compute `compute_aurc` with each solution counted as often as its weight says, for many weightings at once.

    Copies of a solution are ties. Among m equally sure solutions of which a share r is wrong, behind n0 surer ones of
    which e0 are wrong, the risks of the next k = 1..m add up to sum_k (e0 + k r) / (n0 + k)
    = r m + (e0 - r n0) (H(n0 + m) - H(n0)) with the harmonic numbers H.

    Args:
        confidence_N: Higher is surer. Shape (N,).
        wrong_N: 1 where the decision is wrong or missing, else 0. Shape (N,).
        weights_R_N: Whole numbers, not negative, at least one above 0 in each row. Shape (R, N).

    Returns:
        Shape (R,).
    """
    kept, errors = _kept_surest_first(confidence_N, wrong_N, weights_R_N)
    n, n_wrong = np.diff(kept, axis=1), np.diff(errors, axis=1)
    share = ratio(n_wrong, n, undefined=0.0)
    # Weights are whole numbers, so one table of harmonic numbers serves all rows.
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(kept[:, -1].max()) + 1))])
    growth = np.diff(harmonic[kept.astype(np.int64)], axis=1)
    return (n_wrong + (errors[:, :-1] - share * kept[:, :-1]) * growth).sum(axis=1) / kept[:, -1]


def weighted_aurc_random(wrong_N: Floats, weights_R_N: Floats) -> Floats:
    """Compute `compute_aurc_random` with weights. Shape (R,)."""
    return (weights_R_N @ wrong_N) / weights_R_N.sum(axis=1)


def weighted_risks(confidence_N: Floats, wrong_N: Floats, weights_R_N: Floats, *, coverage_Q: Floats) -> Floats:
    """Compute `compute_risks` with weights, see `weighted_aurc`. Shape (R, Q)."""
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


def _checked(confidence_N: Sequence[float] | Floats, wrong_N: Sequence[float] | Floats) -> tuple[Floats, Floats]:
    confidence, wrong = np.asarray(confidence_N, dtype=float), np.asarray(wrong_N, dtype=float)
    check_lengths(confidence, wrong)
    if not np.isin(wrong, (0.0, 1.0)).all():
        raise DataError("a decision is wrong (1) or right (0), nothing else")
    return confidence, wrong
