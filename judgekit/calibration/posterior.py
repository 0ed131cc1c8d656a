"""A calibrator of the first-error posterior as a whole, and the one that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from judgekit.calibration.by_step import OFFSET, PRIOR_STEPS, SLOPE, minimize_bounded, refuse_uninformative
from judgekit.calibration.split import CalibrationSplit, Ints, probs_to_logprobs
from judgekit.errors import DataError
from judgekit.metrics.checks import Floats
from judgekit.types import Verdict


class IdentityCalibrator:
    """Leaves verdicts as they are: what every calibrator must beat."""

    kind = "identity"

    def fit_split(self, split: CalibrationSplit) -> Self:
        """Learn nothing."""
        return self

    def learn_split(self, split: CalibrationSplit) -> Self:
        """Learn nothing."""
        return self

    @classmethod
    def nothing(cls) -> Self:
        """Return this one; it is never compared, as it uses nothing that it would have to justify."""
        return cls()

    def p_ok_K(self, split: CalibrationSplit) -> Floats:
        """Return the judge's own P(step ok | earlier steps ok) of the reached steps. Shape (K,)."""
        return split.steps.probs_K

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
    """Learned factor of log posterior, not negative."""
    none_: float
    """Learned term of "no error", against a first error at step 0."""
    position_: float
    """Learned factor of log(1 + k)."""

    def fit(self, posteriors_N: Sequence[ArrayLike], *, gold_N: Sequence[int | None]) -> Self:
        """Find the three numbers with the lowest mean of -log P(true outcome), under the prior of all calibrators.

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
            raise DataError(
                f"calibration needs correct and wrong solutions, and all {len(none_N)} are {kind}: add data"
            )
        silent = split.without_judge(float(split.steps.probs_K.mean()))
        nothing = -float(self.nothing().learn_split(silent).logprobs_N(silent).mean())
        refuse_uninformative(-float(self.learn_split(split).logprobs_N(split).mean()), nothing=nothing)
        return self

    @classmethod
    def nothing(cls) -> Self:
        """Return the formula that a judge that says nothing is measured by: this one."""
        return cls()

    def learn_split(self, split: CalibrationSplit) -> Self:
        """Learn from the posteriors of any split, without asking whether the judge says anything.

        The targets are the true outcomes, moved a little towards the judge's posteriors as `smoothed_targets` does.
        """
        share = PRIOR_STEPS / len(split.ok_K)
        targets_J = share * split.posterior_J
        targets_J[split.starts_N + split.gold_N] += 1.0
        targets_J /= 1 + share
        terms_J_D = _terms(split.posterior_J, split.n_steps_N)
        starts_N, lengths_N = split.starts_N, split.n_steps_N + 1

        def loss_and_gradient(w_D: Floats) -> tuple[float, Floats]:
            logprobs_J = _log_softmax(terms_J_D @ w_D, starts_N, lengths_N)
            expected_D = np.exp(logprobs_J) @ terms_J_D
            n_solutions = len(starts_N)
            return -float(targets_J @ logprobs_J) / n_solutions, (expected_D - targets_J @ terms_J_D) / n_solutions

        found = minimize_bounded(loss_and_gradient, [1.0, 0.0, 0.0], bounds=[SLOPE, OFFSET, OFFSET])
        self.weight_, self.none_, self.position_ = found
        return self

    def p_ok_K(self, split: CalibrationSplit) -> Floats:
        """Return calibrated P(step ok | earlier steps ok) of the reached steps. Shape (K,)."""
        lengths_N = split.n_steps_N + 1
        logits_J = _terms(split.posterior_J, split.n_steps_N) @ self._weights_D()
        probs_J = np.exp(_log_softmax(logits_J, split.starts_N, lengths_N))
        # P(first error at k or later, or none): sums from each solution's end, where small probabilities are exact
        tails = [np.cumsum(part[::-1])[::-1] for part in np.split(probs_J, split.starts_N[1:])]
        ok = [np.divide(tail[1:], tail[:-1], out=np.ones(len(tail) - 1), where=tail[:-1] > 0) for tail in tails]
        reached_N = np.bincount(split.solution_K, minlength=len(ok))
        return np.concatenate([p_ok_S[:n] for p_ok_S, n in zip(ok, reached_N, strict=True)])

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
