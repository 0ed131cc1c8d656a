"""Calibrators of single steps: each maps P(step ok | earlier steps ok), which determines the posterior.

All but isotonic regression are logistic regressions with a few coefficients. The signs of the coefficients are
constrained, so that a step the judge trusts more is never trusted less after calibration. All share a weak prior, "the
judge is already calibrated", in the form of `PRIOR_STEPS` pseudo-steps (see `smoothed_targets`); without it, a judge
that is hardly ever wrong on a split would become as confident as floating point allows. Whatever the kind, a fit that
is no better than the same formula without the judge is refused (`refuse_uninformative`). Nothing is fitted after the
true first error, because later steps are outside the condition "earlier steps ok". Since -log P(true first error) is
the sum of the log losses of the reached steps, fitting steps also fits the posterior.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize, minimize_scalar

from judgekit.calibration.split import PROB_CLIP, CalibrationSplit, Steps, probs_to_logits, probs_to_logprobs
from judgekit.errors import DataError
from judgekit.metrics.checks import Floats, group_ends
from judgekit.ties import rounded
from judgekit.types import Verdict

MAX_LOG_TEMPERATURE = 8.0
"""Temperatures lie within e^-8 and e^8; one at either end is not an optimum and is refused."""
MAX_SLOPE = float(np.exp(MAX_LOG_TEMPERATURE))
"""Largest factor of a logit; the prior keeps fits far below it, except for judges that are correct but
underconfident."""
MAX_OFFSET = 50.0
"""Largest absolute value of an added term, in logits."""
PRIOR_STEPS = 10.0
"""Weight of the prior: number of pseudo-steps that are correct exactly as often as the judge says."""
MIN_GAIN = 1e-4
"""One log loss counts as below another if it is this many nats lower; smaller differences are optimiser noise."""
Bounds = tuple[float, float]
SLOPE: Bounds = (0.0, MAX_SLOPE)
OFFSET: Bounds = (-MAX_OFFSET, MAX_OFFSET)
_WORDS = {
    "logits_K": "step probabilities",
    "probs_K": "step probabilities",
    "position_K": "positions",
    "n_steps_K": "solution lengths",
}
"""Names of the spaces in error messages."""


def sigmoid(logits_K: ArrayLike) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow. Shape (K,)."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits_K, dtype=np.float64)))


class StepCalibrator(ABC):
    """What the calibrators of steps have in common; `inputs` names the spaces that they read.

    Spaces are `logits_K` and `probs_K`, of P(step ok | earlier steps ok); `position_K`, the step's 0-based index; and
    `n_steps_K`, the number of steps of its solution. Shape (K,) all.
    """

    kind: ClassVar[str]
    """Name in cards and tables."""
    inputs: ClassVar[tuple[str, ...]]
    """Arguments of `fit` and `predict_proba`, which are fields of `Steps`; the first is the judge's output."""
    n_values: ClassVar[int] = 2
    """Distinct values that the judge must give for its coefficients to be determined; for other spaces it is 2."""

    @abstractmethod
    def learn(self, *spaces_K: Any, **labels: Any) -> Self:
        """Fit without checking whether the judge is informative; `y_K` is 1 if the step is correct, else 0."""

    @abstractmethod
    def predict_proba(self, *spaces_K: Any, **none: Any) -> Floats:
        """Return calibrated P(step ok | earlier steps ok). Shape (K,)."""

    @classmethod
    def nothing(cls) -> StepCalibrator:
        """Return the formula that an uninformative judge is measured by: this one, fitted to one probability."""
        return cls()

    def fit(self, *spaces_K: ArrayLike, y_K: ArrayLike) -> Self:
        """Fit, and fit again to a judge that says the same about every step: the first fit must be better.

        Args:
            spaces_K: The spaces of `inputs`. Shape (K,) each.
            y_K: 1 if the step is correct, else 0. Shape (K,).

        Raises:
            DataError: no steps, all of one class, too few values in a space to determine the coefficients, a
                coefficient that diverges, or see `refuse_uninformative`.
        """
        for name, values_K in zip(self.inputs, spaces_K, strict=True):
            least = self.n_values if name == self.inputs[0] else 2
            # Values that differ only by rounding are one value: a slope through them would be noise.
            n_values = len(group_ends(np.sort(np.asarray(values_K)))) if len(np.asarray(values_K)) else 0
            if n_values < least:
                raise DataError(f"only {n_values} distinct {_WORDS[name]}, but at least {least} are needed: add data")
        y = checked_labels(y_K)
        loss = _mean_log_loss(self.learn(*spaces_K, y_K=y).predict_proba(*spaces_K), y)
        same = np.full(len(y), float(self._probs_K(spaces_K[0]).mean()))
        without_K = (same if self.inputs[0] == "probs_K" else probs_to_logits(same), *spaces_K[1:])
        alone = self.nothing().learn(*without_K, y_K=y).predict_proba(*without_K)
        refuse_uninformative(loss, nothing=_mean_log_loss(alone, y))
        return self

    def fit_split(self, split: CalibrationSplit) -> Self:
        """Learn from the reached steps of a split.

        Raises:
            DataError: the steps do not determine the calibrator.
        """
        return self.fit(*self._spaces(split.steps), y_K=split.ok_K)

    def learn_split(self, split: CalibrationSplit) -> Self:
        """Fit to the reached steps of any split, see `learn`."""
        return self.learn(*self._spaces(split.steps), y_K=split.ok_K)

    def p_ok_K(self, split: CalibrationSplit) -> Floats:
        """Return calibrated P(step ok | earlier steps ok) of the reached steps. Shape (K,)."""
        return self.predict_proba(*self._spaces(split.steps))

    def logprobs_N(self, split: CalibrationSplit) -> Floats:
        """Return log P(true outcome) under the calibrated posteriors, nats. Shape (N,)."""
        logprobs_K = _true_logprobs(self.p_ok_K(split), split.ok_K)
        return np.asarray(np.bincount(split.solution_K, logprobs_K, minlength=len(split.n_steps_N)), dtype=np.float64)

    def calibrate(self, verdict: Verdict) -> Verdict:
        """Map the step probabilities of one verdict.

        The results are rounded: array arithmetic may give the same input different last bits at different places in an
        array.
        """
        p_ok_S = self.predict_proba(*self._spaces(Steps.of_verdict(verdict)))
        return Verdict.from_step_probs([rounded(float(prob)) for prob in p_ok_S])

    def _spaces(self, steps: Steps) -> tuple[Floats, ...]:
        return tuple(getattr(steps, name) for name in self.inputs)

    def _probs_K(self, first_K: ArrayLike) -> Floats:
        """Return the judge's output as probabilities, whichever space it is in."""
        first = np.asarray(first_K, dtype=np.float64)
        return first if self.inputs[0] == "probs_K" else sigmoid(first)


class TemperatureCalibrator(StepCalibrator):
    """Divides step logits by one number, chosen by log loss. Keeps the order of probabilities, and 0.5.

    Source:
        Guo et al. 2017 (1706.04599), temperature scaling, for the two classes of a step.
    """

    kind = "temperature"
    inputs = ("logits_K",)
    n_values = 0  # one number is determined by steps of one probability, too
    temperature_: float
    """Learned divisor; above 1 makes the judge less confident."""

    def fit(self, *spaces_K: ArrayLike, y_K: ArrayLike) -> Self:
        """Find the temperature with the lowest mean log loss, including the prior; see `StepCalibrator.fit`."""
        super().fit(*spaces_K, y_K=y_K)
        refuse_bound(abs(np.log(self.temperature_)), MAX_LOG_TEMPERATURE, what=f"temperature {self.temperature_:.3g}")
        return self

    def learn(self, logits_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Fit without checking whether the judge is informative."""
        logits, y = np.asarray(logits_K, dtype=np.float64), checked_labels(y_K)
        targets = smoothed_targets(y, probs_K=sigmoid(logits))

        def mean_log_loss(log_temperature: float) -> float:
            scaled = logits / np.exp(log_temperature)
            return float(np.mean(np.logaddexp(0.0, scaled) - targets * scaled))

        bounds = (-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE)
        found = minimize_scalar(mean_log_loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
        self.temperature_ = float(np.exp(found.x))
        return self

    @classmethod
    def nothing(cls) -> StepCalibrator:
        """Return Platt's formula: a temperature alone cannot express the base rate, which needs no judge."""
        return PlattCalibrator()

    def predict_proba(self, logits_K: ArrayLike) -> Floats:
        """Return calibrated P(step ok). Shape (K,)."""
        return sigmoid(np.asarray(logits_K, dtype=np.float64) / self.temperature_)


class LogisticCalibrator(StepCalibrator):
    """logit P = a sum of columns, each times a coefficient, plus an offset: a logistic regression."""

    learned: ClassVar[dict[str, Bounds]]
    """The learned numbers, without their `_`, and their ranges: one per column, the offset last."""

    @abstractmethod
    def columns(self, *spaces_K: Any, **none: Any) -> list[Floats]:
        """Return what the logit is a sum of. Shape (K,) each."""

    def fit(self, *spaces_K: ArrayLike, y_K: ArrayLike) -> Self:
        """Find the coefficients with the lowest mean log loss, the prior included; see `StepCalibrator.fit`."""
        super().fit(*spaces_K, y_K=y_K)
        for name, value, (_, largest) in zip(self.learned, self._weights(), self.learned.values(), strict=True):
            refuse_bound(abs(value), largest, what=f"{name} {value:.3g}")
        return self

    def learn(self, *spaces_K: ArrayLike, y_K: ArrayLike) -> Self:
        """Fit without asking whether the judge says anything."""
        y, bounds = checked_labels(y_K), list(self.learned.values())
        targets_K = smoothed_targets(y, probs_K=self._probs_K(spaces_K[0]))
        x_K_D = np.column_stack([*self.columns(*spaces_K), np.ones(len(y))])

        def loss_and_gradient(w_D: Floats) -> tuple[float, Floats]:
            logits_K = x_K_D @ w_D
            loss = float((np.logaddexp(0.0, logits_K) - targets_K * logits_K).mean())
            return loss, (sigmoid(logits_K) - targets_K) @ x_K_D / len(y)

        start_D = [1.0 if bound == SLOPE else 0.0 for bound in bounds]  # the judge as it is
        for name, weight in zip(self.learned, minimize_bounded(loss_and_gradient, start_D, bounds=bounds), strict=True):
            setattr(self, f"{name}_", weight)
        return self

    def predict_proba(self, *spaces_K: ArrayLike) -> Floats:
        """Return calibrated P(step ok). Shape (K,)."""
        *factors, offset = self._weights()
        terms = [factor * column_K for factor, column_K in zip(factors, self.columns(*spaces_K), strict=True)]
        # From left to right, as the formula is written: another order would change last bits.
        return sigmoid(sum(terms[1:], terms[0]) + offset)

    def _weights(self) -> list[float]:
        return [getattr(self, f"{name}_") for name in self.learned]


class PlattCalibrator(LogisticCalibrator):
    """Line through the step logits: logit P = slope * logit + offset, the slope not negative.

    Source:
        Platt 1999, Probabilistic outputs for support vector machines. Differs from it in: targets are smoothed towards
        what the judge says instead of towards one half; the slope cannot reverse the judge.
    """

    kind = "platt"
    inputs = ("logits_K",)
    learned: ClassVar[dict[str, Bounds]] = {"slope": SLOPE, "offset": OFFSET}
    slope_: float
    """Learned factor, not negative."""
    offset_: float
    """Learned logit of a step that the judge gives 0.5."""

    def columns(self, logits_K: ArrayLike) -> list[Floats]:
        """Return the logits."""
        return [np.asarray(logits_K, dtype=np.float64)]


class BetaCalibrator(LogisticCalibrator):
    """Ratio of two beta densities: logit P = a log p - b log(1 - p) + c, with a and b not negative.

    Bends the two ends of the scale apart from each other, and contains the identity (1, 1, 0) and Platt (a = b).

    Source:
        Kull, Silva Filho and Flach 2017, Beta calibration (AISTATS), eq. 3, whose a and b are held non-negative so that
        the map is monotone. Differs from it in: both bounds at once instead of refitting without the negative one,
        which finds the same optimum, as the loss is convex.
    """

    kind = "beta"
    inputs = ("probs_K",)
    n_values = 3
    learned: ClassVar[dict[str, Bounds]] = {"a": SLOPE, "b": SLOPE, "c": OFFSET}
    a_: float
    """Learned factor of log p, not negative."""
    b_: float
    """Learned factor of -log(1 - p), not negative."""
    c_: float
    """Learned offset."""

    def columns(self, probs_K: ArrayLike) -> list[Floats]:
        """Return log p and -log(1 - p)."""
        probs = np.clip(np.asarray(probs_K, dtype=np.float64), PROB_CLIP, 1 - PROB_CLIP)
        return [np.log(probs), -np.log1p(-probs)]


class PositionCalibrator(LogisticCalibrator):
    """Platt with the step's position as a covariate: logit P = slope * logit + drift * log(1 + position) + offset.

    One coefficient for all positions instead of a curve for each: late positions are rare, and would have next to
    nothing to be fitted to, while the logarithm tells the first steps apart and changes little among late ones. It
    speaks of positions that the split has not reached, too.
    """

    kind = "position"
    inputs = ("logits_K", "position_K")
    learned: ClassVar[dict[str, Bounds]] = {"slope": SLOPE, "drift": OFFSET, "offset": OFFSET}
    slope_: float
    """Learned factor of the logit, not negative."""
    offset_: float
    """Learned offset at the first step."""
    drift_: float
    """Learned factor of log(1 + position)."""

    def columns(self, logits_K: ArrayLike, position_K: ArrayLike) -> list[Floats]:
        """Return the logits and log(1 + position)."""
        return [np.asarray(logits_K, dtype=np.float64), np.log1p(np.asarray(position_K))]


class LengthCalibrator(LogisticCalibrator):
    """Platt with the solution's length as a covariate: logit P = slope * logit + drift * log(n_steps) + offset.

    One coefficient for all lengths, for the reasons of `PositionCalibrator`: a solution cut into more steps has a
    smaller share of wrong ones, whatever the judge says.
    """

    kind = "length"
    inputs = ("logits_K", "n_steps_K")
    learned: ClassVar[dict[str, Bounds]] = {"slope": SLOPE, "drift": OFFSET, "offset": OFFSET}
    slope_: float
    """Learned factor of the logit, not negative."""
    offset_: float
    """Learned offset in a solution of one step."""
    drift_: float
    """Learned factor of log(n_steps)."""

    def columns(self, logits_K: ArrayLike, n_steps_K: ArrayLike) -> list[Floats]:
        """Return the logits and log(n_steps)."""
        return [np.asarray(logits_K, dtype=np.float64), np.log(np.asarray(n_steps_K))]


def smoothed_targets(y_K: Floats, *, probs_K: ArrayLike) -> Floats:
    """Return labels moved a little towards what the judge says: the prior that all fits share.

    (y + r * p) / (1 + r) with r = `PRIOR_STEPS` / K. Fitting to these is the same as fitting to the labels and to
    `PRIOR_STEPS` more steps, spread over all of the split's and right exactly as often as the judge says. The more
    steps a split has, the less it counts.

    Args:
        y_K: 1 where the step is correct, else 0. Shape (K,).
        probs_K: P(step ok | earlier steps ok) of the judge. Shape (K,).

    Source:
        Platt 1999, section 2.2, whose smoothed targets come from made-up examples of both classes. Differs from it in:
        the pseudo-steps are as the judge says, so that the prior is "leave it as it is", not "one half".
    """
    share = PRIOR_STEPS / len(y_K)
    return (y_K + share * np.asarray(probs_K, dtype=np.float64)) / (1 + share)


def minimize_bounded(
    loss_and_gradient: Callable[[Floats], tuple[float, Floats]], start: list[float], *, bounds: list[Bounds]
) -> tuple[float, ...]:
    """Return where a convex loss is lowest within bounds."""
    found = minimize(
        loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-8}
    )
    return tuple(float(value) for value in found.x)


def checked_labels(y_K: ArrayLike) -> Floats:
    """Return step labels as an array.

    Raises:
        DataError: no steps, or all of one class.
    """
    y = np.asarray(y_K, dtype=np.float64)
    if len(np.unique(y)) < 2:
        raise DataError(f"calibration needs correct and wrong steps, and all {len(y)} are of one kind: add data")
    return y


def refuse_uninformative(loss: float, *, nothing: float) -> None:
    """Refuse a fit that is no better than the same formula without the judge: the one rule for all kinds.

    Args:
        loss: Mean log loss under the fitted calibrator, nats.
        nothing: That of the same kind, fitted to a judge that says the same of every step.

    Raises:
        DataError: `loss` is not below `nothing`.
    """
    if not loss < nothing - MIN_GAIN:
        raise DataError(
            f"the best fit gives the judge no weight: its log loss {loss:.4f} is not below {nothing:.4f}, that of an "
            "uninformative judge. On this split the judge says nothing about errors, or the opposite"
        )


def refuse_bound(size: float, largest: float, *, what: str) -> None:
    """Refuse a fitted number that ran into the end of its range: the optimum lies elsewhere.

    Raises:
        DataError: it did.
    """
    if size > 0.999 * largest:
        raise DataError(f"the fit diverges: the {what} is at the end of its range. Add data, or use another calibrator")


def _true_logprobs(probs_K: Floats, y_K: Floats) -> Floats:
    """Return the log-probability given to what is true of each step, nats, at least log 1e-9. Shape (K,)."""
    return probs_to_logprobs(np.where(y_K > 0, probs_K, 1 - probs_K))


def _mean_log_loss(probs_K: Floats, y_K: Floats) -> float:
    return -float(_true_logprobs(probs_K, y_K).mean())
