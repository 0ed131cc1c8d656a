"""Calibrators of single steps: each maps P(step ok | earlier steps ok), and the posterior follows from the steps.

All but isotonic regression are logistic regressions with a few coefficients, whose signs are held so that a step that
the judge trusts more is never trusted less afterwards. They share a weak prior, "the judge is calibrated already", in
the form of `PRIOR_STEPS` made-up steps (see `smoothed_targets`), without which a judge that is hardly ever wrong on a
split would be made as sure as numbers can be. Whatever the kind, a fit that is no better than the same formula without
the judge is refused (`refuse_uninformative`). Right after the true first error nothing is fitted: later steps lie
outside the condition "earlier steps ok". Since -log P(true first error) is the sum of the log losses of the reached
steps, fitting steps fits the posterior, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize, minimize_scalar

from judgekit.calibration.split import PROB_CLIP, CalibrationSplit, Steps, probs_to_logits
from judgekit.errors import DataError
from judgekit.metrics.checks import Floats, group_ends
from judgekit.ties import rounded
from judgekit.types import Verdict

MAX_LOG_TEMPERATURE = 8.0
"""Temperatures lie within e^-8 and e^8; one at either end is no optimum and is refused."""
MAX_SLOPE = float(np.exp(MAX_LOG_TEMPERATURE))
"""Largest factor of a logit; the prior keeps fits far below it, but for judges that are right and hardly say so."""
MAX_OFFSET = 50.0
"""Largest size of an added term, in logits."""
PRIOR_STEPS = 10.0
"""Weight of the prior: so many made-up steps that are right exactly as often as the judge says."""
MIN_GAIN = 1e-4
"""A log loss counts as below another where it is so many nats lower: less is the noise of optimisers."""
Bounds = tuple[float, float]
SLOPE: Bounds = (0.0, MAX_SLOPE)
OFFSET: Bounds = (-MAX_OFFSET, MAX_OFFSET)


def sigmoid(logits_K: ArrayLike) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow. Shape (K,)."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits_K, dtype=np.float64)))


class StepCalibrator(ABC):
    """What the calibrators of steps share; the spaces that `fit` and `predict_proba` read are named in `inputs`."""

    kind: ClassVar[str]
    """Name in cards and tables."""
    inputs: ClassVar[tuple[str, ...]]
    """Arguments of `fit` and `predict_proba`, which are fields of `Steps`; the first is what the judge says."""
    largest: ClassVar[dict[str, float]] = {}
    """Largest size of each fitted number; one that has it ran into the end of its range, and the fit is refused."""

    @abstractmethod
    def fit(self, *spaces_K: Any, **labels: Any) -> Self:
        """Learn from steps in the spaces of `inputs`; `y_K` is 1 where the step is right, else 0."""

    @abstractmethod
    def learn(self, *spaces_K: Any, **labels: Any) -> Self:
        """Do what `fit` does for any steps, also for those that say nothing of what is right."""

    @abstractmethod
    def predict_proba(self, *spaces_K: Any, **none: Any) -> Floats:
        """Return calibrated P(step ok | earlier steps ok). Shape (K,)."""

    def fit_split(self, split: CalibrationSplit) -> Self:
        """Learn from the reached steps of a split.

        Raises:
            DataError: the steps cannot tell what there is to learn.
        """
        return self.fit(*self._spaces(split.steps), y_K=split.ok_K)

    def learn_split(self, split: CalibrationSplit) -> Self:
        """Learn from the reached steps of any split, see `learn`."""
        return self.learn(*self._spaces(split.steps), y_K=split.ok_K)

    def p_ok_K(self, split: CalibrationSplit) -> Floats:
        """Return calibrated P(step ok | earlier steps ok) of the reached steps. Shape (K,)."""
        return self.predict_proba(*self._spaces(split.steps))

    def logprobs_N(self, split: CalibrationSplit) -> Floats:
        """Return log P(true outcome) under the calibrated posteriors, nats. Shape (N,)."""
        p_ok_K = self.p_ok_K(split)
        p_true_K = np.maximum(np.where(split.ok_K > 0, p_ok_K, 1 - p_ok_K), PROB_CLIP)
        n_solutions = len(split.n_steps_N)
        return np.asarray(np.bincount(split.solution_K, np.log(p_true_K), minlength=n_solutions), dtype=np.float64)

    def calibrate(self, verdict: Verdict) -> Verdict:
        """Map the step probabilities of one verdict.

        The results are rounded: array arithmetic may give one input other last bits in another place of the array.
        """
        p_ok_S = self.predict_proba(*self._spaces(Steps.of_verdict(verdict)))
        return Verdict.from_step_probs([rounded(float(prob)) for prob in p_ok_S])

    def _spaces(self, steps: Steps) -> tuple[Any, ...]:
        return tuple(getattr(steps, name) for name in self.inputs)

    def _fit_if_informative(self, *spaces_K: ArrayLike, y_K: ArrayLike) -> Self:
        """Learn, and learn once more from a judge that says the same of every step: the first must be better.

        Raises:
            DataError: no steps, all of one class, a number runs away, or see `refuse_uninformative`.
        """
        y = checked_labels(y_K)
        loss = _mean_log_loss(self.learn(*spaces_K, y_K=y).predict_proba(*spaces_K), y)
        first = np.asarray(spaces_K[0], dtype=np.float64)
        same = np.full(len(y), float((first if self.inputs[0] == "probs_K" else sigmoid(first)).mean()))
        without_K = (same if self.inputs[0] == "probs_K" else probs_to_logits(same), *spaces_K[1:])
        alone = self.nothing().learn(*without_K, y_K=y).predict_proba(*without_K)
        refuse_uninformative(loss, nothing=_mean_log_loss(alone, y))
        for name, most in self.largest.items():
            value = getattr(self, f"{name}_")
            refuse_bound(abs(value), most, what=f"{name} {value:.3g}")
        return self

    @classmethod
    def nothing(cls) -> StepCalibrator:
        """Return the formula that a judge who says nothing is measured by: this one, fitted to one probability."""
        return cls()


class TemperatureCalibrator(StepCalibrator):
    """Divides step logits by one number, chosen by log loss. Keeps the order of probabilities, and 0.5.

    Source:
        Guo et al. 2017 (1706.04599), temperature scaling, for the two classes of a step.
    """

    kind = "temperature"
    inputs = ("logits_K",)
    temperature_: float
    """Learned divisor; above 1 makes the judge less sure."""

    def fit(self, logits_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Find the temperature with the lowest mean log loss, the prior included.

        Args:
            logits_K: Logit of P(step ok | earlier steps ok). Shape (K,).
            y_K: 1 where the step is right, else 0. Shape (K,).

        Raises:
            DataError: no steps, all of one class, the temperature runs away, or the judge would get no weight.
        """
        self._fit_if_informative(logits_K, y_K=y_K)
        refuse_bound(abs(np.log(self.temperature_)), MAX_LOG_TEMPERATURE, what=f"temperature {self.temperature_:.3g}")
        return self

    def learn(self, logits_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Fit without asking whether the judge says anything."""
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
        """Return Platt's formula: a temperature alone cannot say how many steps are right, which needs no judge."""
        return PlattCalibrator()

    def predict_proba(self, logits_K: ArrayLike) -> Floats:
        """Return calibrated P(step ok). Shape (K,)."""
        return sigmoid(np.asarray(logits_K, dtype=np.float64) / self.temperature_)


class PlattCalibrator(StepCalibrator):
    """Line through the step logits: logit P = slope * logit + offset, the slope not negative.

    Source:
        Platt 1999, Probabilistic outputs for support vector machines. Differs from it in: targets are smoothed towards
        what the judge says instead of towards one half; the slope cannot turn the judge upside down.
    """

    kind = "platt"
    inputs = ("logits_K",)
    largest: ClassVar[dict[str, float]] = {"slope": MAX_SLOPE, "offset": MAX_OFFSET}
    slope_: float
    """Learned factor, not negative."""
    offset_: float
    """Learned logit of a step that the judge gives 0.5."""

    def fit(self, logits_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Find slope and offset with the lowest mean log loss.

        Args:
            logits_K: Logit of P(step ok | earlier steps ok). Shape (K,).
            y_K: 1 where the step is right, else 0. Shape (K,).

        Raises:
            DataError: no steps, all of one class or of one probability, or the judge would get no weight.
        """
        refuse_few_values("step probabilities", np.asarray(logits_K), least=2)
        return self._fit_if_informative(logits_K, y_K=y_K)

    def learn(self, logits_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Fit without asking whether the judge says anything."""
        logits = np.asarray(logits_K, dtype=np.float64)
        self.slope_, self.offset_ = fit_logistic([logits], y_K, probs_K=sigmoid(logits), bounds=[SLOPE])
        return self

    def predict_proba(self, logits_K: ArrayLike) -> Floats:
        """Return calibrated P(step ok). Shape (K,)."""
        return sigmoid(self.slope_ * np.asarray(logits_K, dtype=np.float64) + self.offset_)


class BetaCalibrator(StepCalibrator):
    """Ratio of two beta densities: logit P = a log p - b log(1 - p) + c, with a and b not negative.

    Bends the two ends of the scale apart from each other, and contains the identity (1, 1, 0) and Platt (a = b).

    Source:
        Kull, Silva Filho and Flach 2017, Beta calibration (AISTATS), eq. 3, whose a and b are held non-negative so that
        the map is monotone. Differs from it in: both bounds at once instead of refitting without the negative one,
        which finds the same optimum, as the loss is convex.
    """

    kind = "beta"
    inputs = ("probs_K",)
    largest: ClassVar[dict[str, float]] = {"a": MAX_SLOPE, "b": MAX_SLOPE, "c": MAX_OFFSET}
    a_: float
    """Learned factor of log p, not negative."""
    b_: float
    """Learned factor of -log(1 - p), not negative."""
    c_: float
    """Learned offset."""

    def fit(self, probs_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Find a, b and c with the lowest mean log loss.

        Args:
            probs_K: P(step ok | earlier steps ok). Shape (K,).
            y_K: 1 where the step is right, else 0. Shape (K,).

        Raises:
            DataError: no steps, all of one class, fewer than three probabilities, or the judge would get no weight.
        """
        refuse_few_values("step probabilities", np.asarray(probs_K), least=3)
        return self._fit_if_informative(probs_K, y_K=y_K)

    def learn(self, probs_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Fit without asking whether the judge says anything."""
        self.a_, self.b_, self.c_ = fit_logistic(_log_sides(probs_K), y_K, probs_K=probs_K, bounds=[SLOPE, SLOPE])
        return self

    def predict_proba(self, probs_K: ArrayLike) -> Floats:
        """Return calibrated P(step ok). Shape (K,)."""
        log_p_K, minus_log_q_K = _log_sides(probs_K)
        return sigmoid(self.a_ * log_p_K + self.b_ * minus_log_q_K + self.c_)


class PositionCalibrator(StepCalibrator):
    """Platt with the step's position as a covariate: logit P = slope * logit + offset + drift * log(1 + position).

    One coefficient for all positions instead of a curve for each: late positions are rare, and would have next to
    nothing to be fitted to, while the logarithm tells the first steps apart and changes little among late ones. It
    speaks of positions that the split has not reached, too.
    """

    kind = "position"
    inputs = ("logits_K", "position_K")
    largest: ClassVar[dict[str, float]] = {"slope": MAX_SLOPE, "offset": MAX_OFFSET, "drift": MAX_OFFSET}
    slope_: float
    """Learned factor of the logit, not negative."""
    offset_: float
    """Learned offset at the first step."""
    drift_: float
    """Learned factor of log(1 + position)."""

    def fit(self, logits_K: ArrayLike, position_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Find slope, offset and drift with the lowest mean log loss.

        Args:
            logits_K: Logit of P(step ok | earlier steps ok). Shape (K,).
            position_K: 0-based index of the step. Shape (K,).
            y_K: 1 where the step is right, else 0. Shape (K,).

        Raises:
            DataError: no steps, all of one class, of one probability or at one position, or the judge would get no
                weight.
        """
        refuse_few_values("step probabilities", np.asarray(logits_K), least=2)
        refuse_few_values("positions", np.asarray(position_K), least=2)
        return self._fit_if_informative(logits_K, position_K, y_K=y_K)

    def learn(self, logits_K: ArrayLike, position_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Fit without asking whether the judge says anything."""
        logits, drifts = np.asarray(logits_K, dtype=np.float64), np.log1p(np.asarray(position_K))
        self.slope_, self.drift_, self.offset_ = fit_logistic(
            [logits, drifts], y_K, probs_K=sigmoid(logits), bounds=[SLOPE, OFFSET]
        )
        return self

    def predict_proba(self, logits_K: ArrayLike, position_K: ArrayLike) -> Floats:
        """Return calibrated P(step ok). Shape (K,)."""
        logits, drifts = np.asarray(logits_K, dtype=np.float64), np.log1p(np.asarray(position_K))
        return sigmoid(self.slope_ * logits + self.drift_ * drifts + self.offset_)


class LengthCalibrator(StepCalibrator):
    """Platt with the solution's length as a covariate: logit P = slope * logit + offset + drift * log(n_steps).

    One coefficient for all lengths, for the reasons of `PositionCalibrator`: a solution cut into more steps has a
    smaller share of wrong ones, whatever the judge says.
    """

    kind = "length"
    inputs = ("logits_K", "n_steps_K")
    largest: ClassVar[dict[str, float]] = {"slope": MAX_SLOPE, "offset": MAX_OFFSET, "drift": MAX_OFFSET}
    slope_: float
    """Learned factor of the logit, not negative."""
    offset_: float
    """Learned offset in a solution of one step."""
    drift_: float
    """Learned factor of log(n_steps)."""

    def fit(self, logits_K: ArrayLike, n_steps_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Find slope, offset and drift with the lowest mean log loss.

        Args:
            logits_K: Logit of P(step ok | earlier steps ok). Shape (K,).
            n_steps_K: Number of steps of the step's solution. Shape (K,).
            y_K: 1 where the step is right, else 0. Shape (K,).

        Raises:
            DataError: no steps, all of one class, of one probability or of solutions of one length, or the judge would
                get no weight.
        """
        refuse_few_values("step probabilities", np.asarray(logits_K), least=2)
        refuse_few_values("solution lengths", np.asarray(n_steps_K), least=2)
        return self._fit_if_informative(logits_K, n_steps_K, y_K=y_K)

    def learn(self, logits_K: ArrayLike, n_steps_K: ArrayLike, *, y_K: ArrayLike) -> Self:
        """Fit without asking whether the judge says anything."""
        logits, drifts = np.asarray(logits_K, dtype=np.float64), np.log(np.asarray(n_steps_K))
        self.slope_, self.drift_, self.offset_ = fit_logistic(
            [logits, drifts], y_K, probs_K=sigmoid(logits), bounds=[SLOPE, OFFSET]
        )
        return self

    def predict_proba(self, logits_K: ArrayLike, n_steps_K: ArrayLike) -> Floats:
        """Return calibrated P(step ok). Shape (K,)."""
        logits, drifts = np.asarray(logits_K, dtype=np.float64), np.log(np.asarray(n_steps_K))
        return sigmoid(self.slope_ * logits + self.drift_ * drifts + self.offset_)


def _log_sides(probs_K: ArrayLike) -> list[Floats]:
    """Return log p and -log(1 - p)."""
    probs = np.clip(np.asarray(probs_K, dtype=np.float64), PROB_CLIP, 1 - PROB_CLIP)
    return [np.log(probs), -np.log1p(-probs)]


def smoothed_targets(y_K: Floats, *, probs_K: ArrayLike) -> Floats:
    """Return labels moved a little towards what the judge says: the prior that all fits share.

    (y + r * p) / (1 + r) with r = `PRIOR_STEPS` / K. Fitting to these is the same as fitting to the labels and to
    `PRIOR_STEPS` more steps, spread over all of the split's and right exactly as often as the judge says. The more
    steps a split has, the less it counts.

    Args:
        y_K: 1 where the step is right, else 0. Shape (K,).
        probs_K: P(step ok | earlier steps ok) of the judge. Shape (K,).

    Source:
        Platt 1999, section 2.2, whose smoothed targets come from made-up examples of both classes. Differs from it in:
        the made-up steps are as the judge says, so that the prior is "leave it as it is", not "one half".
    """
    share = PRIOR_STEPS / len(y_K)
    return (y_K + share * np.asarray(probs_K, dtype=np.float64)) / (1 + share)


def fit_logistic(
    columns: list[Floats], y_K: ArrayLike, *, probs_K: ArrayLike, bounds: list[Bounds]
) -> tuple[float, ...]:
    """Return the coefficients of the columns, and then the offset, with the lowest mean log loss within the bounds.

    Args:
        columns: What the logit is a sum of. Shape (K,) each.
        y_K: 1 where the step is right, else 0. Shape (K,).
        probs_K: What the judge says, for the prior. Shape (K,).
        bounds: Lowest and highest coefficient of each column.

    Raises:
        DataError: no rows, or all of one class.
    """
    y = checked_labels(y_K)
    targets_K = smoothed_targets(y, probs_K=probs_K)
    x_K_D = np.column_stack([*columns, np.ones(len(y))])

    def loss_and_gradient(w_D: Floats) -> tuple[float, Floats]:
        logits_K = x_K_D @ w_D
        loss = float((np.logaddexp(0.0, logits_K) - targets_K * logits_K).mean())
        return loss, (sigmoid(logits_K) - targets_K) @ x_K_D / len(y)

    start_D = [float(np.clip(1.0, *bound)) if bound == SLOPE else 0.0 for bound in bounds]
    return minimize_bounded(loss_and_gradient, [*start_D, 0.0], bounds=[*bounds, OFFSET])


def minimize_bounded(loss_and_gradient: Any, start: list[float], *, bounds: list[Bounds]) -> tuple[float, ...]:
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
        raise DataError(f"calibration needs right and wrong steps, and all {len(y)} are of one kind: add data")
    return y


def refuse_few_values(what: str, values_K: Floats, *, least: int) -> None:
    """Refuse values that leave coefficients undetermined.

    Raises:
        DataError: fewer than `least` values that differ by more than rounding.
    """
    n_values = len(group_ends(np.sort(values_K))) if len(values_K) else 0
    if n_values < least:
        raise DataError(f"only {n_values} different {what}, and at least {least} are needed")


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
            f"the best fit gives the judge no weight: its log loss {loss:.4f} is not below {nothing:.4f}, that of a "
            "judge that says nothing of errors, so on this split it says nothing, or the opposite"
        )


def refuse_bound(size: float, largest: float, *, what: str) -> None:
    """Refuse a fitted number that ran into the end of its range: the optimum lies elsewhere.

    Raises:
        DataError: it did.
    """
    if size > 0.999 * largest:
        raise DataError(f"the fit runs away: the {what} lies at the end of its range")


def _mean_log_loss(probs_K: Floats, y_K: Floats) -> float:
    p_true_K = np.where(y_K > 0, probs_K, 1 - probs_K)
    return -float(np.log(np.maximum(p_true_K, PROB_CLIP)).mean())
