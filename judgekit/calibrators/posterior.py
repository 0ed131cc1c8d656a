"""A calibrator of the first-error posterior as a whole, and the one that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from judgekit.calibrators.by_step import OFFSET, SLOPE, minimize_bounded, refuse_no_weight
from judgekit.calibrators.split import CalibrationSplit, Ints, probs_to_logprobs
from judgekit.errors import DataError
from judgekit.metrics import Floats
from judgekit.types import Verdict


class IdentityCalibrator:
    """Leaves verdicts as they are: what every calibrator must beat."""

    kind = "identity"

    def fit_split(self, split: CalibrationSplit) -> Self:
        """Learn nothing."""
        return self

    def logprobs_N(self, split: CalibrationSplit) -> Floats:
        """Return log P(true outcome) under the posteriors, nats, at least log 1e-9. Shape (N,)."""
        return probs_to_logprobs(split.posterior_J[split.starts_N + split.gold_N])

    def calibrate(self, verdict: Verdict) -> Verdict:
        """Return the verdict."""
        return verdict


class PosteriorCalibrator:
    """Softmax over the n + 1 outcomes of weight * log posterior + none + position * log(1 + k).

    The term `none` is for the outcome "no error" alone, the last one for a first error at step k. Reads the posterior,
    so it also suits judges whose step probabilities say little, as those made from a critic's votes, where every step
    before the first vote has nearly the same. In logs, outcomes have at least 1e-9.
    """

    kind = "posterior"
    weight_: float
    """Learned factor of log posterior, in [0, e^4]."""
    none_: float
    """Learned term of "no error", against a first error at step 0."""
    position_: float
    """Learned factor of log(1 + k)."""

    def fit(self, posteriors_N: Sequence[ArrayLike], *, gold_N: Sequence[int | None]) -> Self:
        """Find the three numbers with the lowest mean of -log P(true outcome).

        Args:
            posteriors_N: First-error posteriors, ragged: n + 1 outcomes each, the last is "no error".
            gold_N: True first errors, 0-based, `None` = no error.

        Raises:
            DataError: no solutions, or all with an error, or none, or the judge would get no weight.
        """
        verdicts_N = [Verdict(posterior=tuple(np.asarray(item, dtype=float).tolist())) for item in posteriors_N]
        return self.fit_split(CalibrationSplit.of(verdicts_N, gold_N=gold_N, problem_ids_N=[""] * len(gold_N)))

    def fit_split(self, split: CalibrationSplit) -> Self:
        """Learn from the posteriors of a split.

        Raises:
            DataError: all solutions have an error, or none has, or the judge would get no weight.
        """
        none_N = split.gold_N == split.n_steps_N
        if none_N.all() or not none_N.any():
            kind = "right" if none_N.all() else "wrong"
            raise DataError(f"calibration needs right and wrong solutions, and all {len(none_N)} are {kind}: add data")
        terms_J_D, true_N = _terms(split.posterior_J, split.n_steps_N), split.starts_N + split.gold_N
        starts_N, lengths_N = split.starts_N, split.n_steps_N + 1

        def loss_and_gradient(w_D: Floats) -> tuple[float, Floats]:
            logprobs_J = _log_softmax(terms_J_D @ w_D, starts_N, lengths_N)
            expected_D = np.exp(logprobs_J) @ terms_J_D
            n_solutions = len(true_N)
            return -float(logprobs_J[true_N].mean()), (expected_D - terms_J_D[true_N].sum(axis=0)) / n_solutions

        found = minimize_bounded(loss_and_gradient, [1.0, 0.0, 0.0], bounds=[SLOPE, OFFSET, OFFSET])
        self.weight_, self.none_, self.position_ = found
        refuse_no_weight(self.weight_)
        return self

    def logprobs_N(self, split: CalibrationSplit) -> Floats:
        """Return log P(true outcome) under the calibrated posteriors, nats. Shape (N,)."""
        logits_J = _terms(split.posterior_J, split.n_steps_N) @ self._weights_D()
        return _log_softmax(logits_J, split.starts_N, split.n_steps_N + 1)[split.starts_N + split.gold_N]

    def calibrate(self, verdict: Verdict) -> Verdict:
        """Map one posterior."""
        n_steps_N = np.array([verdict.n_steps])
        logits_J = _terms(np.array(verdict.posterior), n_steps_N) @ self._weights_D()
        logprobs_J = _log_softmax(logits_J, np.array([0]), n_steps_N + 1)
        return Verdict(posterior=tuple(np.exp(logprobs_J).tolist()))

    def _weights_D(self) -> Floats:
        return np.array([self.weight_, self.none_, self.position_])


def _terms(posterior_J: Floats, n_steps_N: Ints) -> Floats:
    """Return log posterior, [outcome is "none"] and log(1 + step), 0 for "none". Shape (J, 3)."""
    lengths_N = n_steps_N + 1
    ends_N = np.cumsum(lengths_N)
    index_J = np.arange(len(posterior_J)) - np.repeat(ends_N - lengths_N, lengths_N)
    is_none_J = index_J == np.repeat(n_steps_N, lengths_N)
    return np.column_stack([probs_to_logprobs(posterior_J), is_none_J, np.where(is_none_J, 0.0, np.log1p(index_J))])


def _log_softmax(logits_J: Floats, starts_N: Ints, lengths_N: Ints) -> Floats:
    """Return log softmax within each solution. Shape (J,)."""
    shifted_J = logits_J - np.repeat(np.maximum.reduceat(logits_J, starts_N), lengths_N)
    return shifted_J - np.repeat(np.log(np.add.reduceat(np.exp(shifted_J), starts_N)), lengths_N)


__all__ = ["IdentityCalibrator", "PosteriorCalibrator"]
