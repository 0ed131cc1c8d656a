"""Calibrators of steps against numbers worked by hand, scikit-learn and direct minimisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from judgekit.calibration.by_step import (
    PRIOR_STEPS,
    BetaCalibrator,
    LengthCalibrator,
    PlattCalibrator,
    PositionCalibrator,
    StepCalibrator,
    TemperatureCalibrator,
    smoothed_targets,
)
from judgekit.calibration.isotonic import IsotonicCalibrator
from judgekit.calibration.split import probs_to_logits
from judgekit.errors import DataError
from judgekit.types import Verdict
from tests.judgekit.calibration.samples import Floats, log_loss, make_up, sigmoid

ALL = (
    TemperatureCalibrator,
    PlattCalibrator,
    BetaCalibrator,
    PositionCalibrator,
    LengthCalibrator,
    IsotonicCalibrator,
)


def labelled_logits(n: int = 600, seed: int = 0) -> tuple[Floats, Floats]:
    """Return logits of an overconfident and too kind judge, and whether the steps are right."""
    rng = np.random.default_rng(seed)
    true_logits = rng.normal(1, 2, n)
    return 2 * true_logits + 1, (rng.random(n) < sigmoid(true_logits)).astype(float)


def columns_regression(columns: Sequence[Floats], y: Floats, probs: Floats | None = None) -> LogisticRegression:
    """Fit by scikit-learn; `probs` adds the prior's steps as weighted rows, right as often as these say."""
    x, weights = np.column_stack(columns), np.ones(len(y))
    if probs is not None:
        share = PRIOR_STEPS / len(y)
        weights = np.concatenate([weights, share * probs, share * (1 - probs)])
        x, y = np.concatenate([x, x, x]), np.concatenate([y, np.ones(len(y)), np.zeros(len(y))])
    return LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(x, y, sample_weight=weights)


def with_prior(n_right: float, n: int, *, probs: float, n_all: int) -> float:
    """Return the share of right steps in a group of n of n_all steps, the prior's own steps among them."""
    extra = PRIOR_STEPS * n / n_all
    return (n_right + extra * probs) / (n + extra)


# Temperature


def test_temperature_by_hand() -> None:
    # Steps have logit 2 or -2, and 15 of 20 are as these say. Ten more as the judge says make q = (15 + 10 sigmoid(2))
    # of 30, so sigmoid(2/T) = q.
    q = (15 + 10 * sigmoid(np.array(2.0))) / 30
    calibrator = TemperatureCalibrator().fit([2.0] * 10 + [-2.0] * 10, y_K=[1] * 8 + [0] * 2 + [0] * 7 + [1] * 3)
    assert calibrator.temperature_ == pytest.approx(2 / math.log(q / (1 - q)), rel=1e-5)
    assert calibrator.predict_proba([2.0, -2.0]) == pytest.approx([q, 1 - q], abs=1e-6)


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_temperature_against_a_grid(factor: float) -> None:
    logits, y = labelled_logits(400)
    logits = (logits - 1) / 2 * factor
    grid = np.exp(np.linspace(-4, 4, 4001))
    targets = smoothed_targets(y, probs_K=sigmoid(logits))
    losses = [log_loss(sigmoid(np.clip(logits / t, -30, 30)), targets) for t in grid]
    fitted = TemperatureCalibrator().fit(logits, y_K=y)
    assert fitted.temperature_ == pytest.approx(grid[int(np.argmin(losses))], rel=4e-3)
    assert log_loss(fitted.predict_proba(logits), targets) <= min(losses) + 1e-9


def test_temperature_against_a_regression_without_intercept() -> None:
    logits, y = labelled_logits()
    share, probs = PRIOR_STEPS / len(y), sigmoid(logits)
    rows, labels = np.concatenate([logits] * 3)[:, None], np.concatenate([y, np.ones(len(y)), np.zeros(len(y))])
    weights = np.concatenate([np.ones(len(y)), share * probs, share * (1 - probs)])
    regression = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10)
    slope = regression.fit(rows, labels, sample_weight=weights).coef_[0, 0]
    assert TemperatureCalibrator().fit(logits, y_K=y).temperature_ == pytest.approx(1 / slope, rel=1e-4)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found(true_temperature: float) -> None:
    rng = np.random.default_rng(1)
    true_logits = rng.normal(1, 2, 20_000)
    y = (rng.random(20_000) < sigmoid(true_logits)).astype(float)
    found = TemperatureCalibrator().fit(true_logits * true_temperature, y_K=y).temperature_
    assert found == pytest.approx(true_temperature, rel=0.05)


def test_temperature_keeps_the_order_and_one_half() -> None:
    logits = np.linspace(-6, 6, 101)
    for temperature in (0.1, 1.0, 7.0):
        calibrator = TemperatureCalibrator()
        calibrator.temperature_ = temperature
        probs = calibrator.predict_proba(logits)
        assert (np.diff(probs) >= 0).all() and probs[0] < 0.5 < probs[-1]
        assert probs[50] == 0.5


def test_certain_probabilities_have_finite_logits() -> None:
    assert probs_to_logits([0.0, 0.5, 1.0]) == pytest.approx([-20.723, 0, 20.723], abs=1e-3)


# Platt


def test_platt_by_hand() -> None:
    # Two probabilities; the line passes through both groups' log odds, the prior's steps counted in.
    calibrator = PlattCalibrator().fit([1.0] * 4 + [3.0] * 5, y_K=[1, 1, 0, 0, 1, 1, 1, 1, 0])
    low = with_prior(2, 4, probs=float(sigmoid(np.array(1.0))), n_all=9)
    high = with_prior(4, 5, probs=float(sigmoid(np.array(3.0))), n_all=9)
    slope = (math.log(high / (1 - high)) - math.log(low / (1 - low))) / (3 - 1)
    assert calibrator.slope_ == pytest.approx(slope, abs=1e-5)
    assert calibrator.offset_ == pytest.approx(math.log(low / (1 - low)) - slope, abs=1e-5)
    assert calibrator.predict_proba([1.0, 3.0]) == pytest.approx([low, high], abs=1e-6)


def test_platt_against_scikit_learn() -> None:
    logits, y = labelled_logits()
    regression = columns_regression([logits], y, sigmoid(logits))
    calibrator = PlattCalibrator().fit(logits, y_K=y)
    assert calibrator.slope_ == pytest.approx(regression.coef_[0, 0], rel=1e-5)
    assert calibrator.offset_ == pytest.approx(regression.intercept_[0], abs=1e-5)
    assert calibrator.predict_proba(logits) == pytest.approx(regression.predict_proba(logits[:, None])[:, 1], abs=1e-6)


def test_platt_against_scikit_learns_sigmoid_calibration() -> None:
    # That one smooths its targets by one right and two wrong pseudo-counts, which hardly counts among 20,000 steps.
    logits, y = labelled_logits(20_000)
    scorer = FrozenEstimator(LogisticRegression().fit(logits[:, None], y))
    theirs = CalibratedClassifierCV(scorer, method="sigmoid").fit(logits[:, None], y).predict_proba(logits[:, None])
    assert PlattCalibrator().fit(logits, y_K=y).predict_proba(logits) == pytest.approx(theirs[:, 1], abs=2e-3)


@pytest.mark.parametrize("make", ALL)
def test_a_judge_that_is_never_wrong_is_not_made_certain(make: type[StepCalibrator]) -> None:
    """Without a prior every slope runs off, and the surest step of 400 gets 1e-33 where it is wrong."""
    rng = np.random.default_rng(0)
    y = (np.arange(400) % 3 > 0).astype(float)
    logits = np.where(y > 0, 1.0, -1.0) * (2 + rng.gamma(2, 1, 400))
    spaces = [sigmoid(logits) if make.inputs[0] == "probs_K" else logits, rng.integers(1, 9, 400)][: len(make.inputs)]
    probs = make().fit(*spaces, y_K=y).predict_proba(*spaces)
    assert np.where(y > 0, 1 - probs, probs).min() > 1e-15
    assert (np.where(y > 0, probs, 1 - probs) > 0.9).all()


# Beta


def test_beta_by_hand() -> None:
    # Three probabilities and three numbers: every group's log odds are met exactly, here by a = 2, b = 1/2, c = ln 2.
    # The prior's steps are taken out of what the groups hold beforehand.
    probs, n = [0.2, 0.5, 0.8], 1000
    odds = [2 * p**2 / math.sqrt(1 - p) for p in probs]
    rights = [odd / (1 + odd) for odd in odds]
    rows = []
    for p, right in zip(probs, rights, strict=True):
        n_right = round(right * (n + PRIOR_STEPS / 3) - p * PRIOR_STEPS / 3)
        rows += [(p, 1)] * n_right + [(p, 0)] * (n - n_right)
    calibrator = BetaCalibrator().fit([p for p, _ in rows], y_K=[y for _, y in rows])
    assert (calibrator.a_, calibrator.b_, calibrator.c_) == pytest.approx((2, 0.5, math.log(2)), abs=0.02)
    assert calibrator.predict_proba(probs) == pytest.approx(rights, abs=1e-3)


def test_beta_against_direct_minimisation() -> None:
    logits, y = labelled_logits()
    probs = np.clip(sigmoid(logits), 1e-9, 1 - 1e-9)

    def loss(abc: Floats) -> float:
        stated = sigmoid(abc[0] * np.log(probs) - abc[1] * np.log(1 - probs) + abc[2])
        return log_loss(np.clip(stated, 1e-12, 1 - 1e-12), smoothed_targets(y, probs_K=probs))

    found = minimize(loss, [1, 1, 0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-14, "maxiter": 5000})
    assert (found.x[:2] > 0).all(), "the bounds do not bind here"
    calibrator = BetaCalibrator().fit(probs, y_K=y)
    assert (calibrator.a_, calibrator.b_, calibrator.c_) == pytest.approx(found.x, abs=1e-4)


def test_beta_stays_monotone_as_published() -> None:
    """Where the free fit would bend the wrong way, the published recipe refits without the negative factor."""
    rng = np.random.default_rng(3)
    probs = rng.uniform(0.01, 0.99, 4000)
    y = (rng.random(4000) < sigmoid(-0.8 * np.log(probs) - 2.0 * np.log(1 - probs) - 1)).astype(float)
    log_p, minus_log_q = np.log(probs), -np.log(1 - probs)
    assert columns_regression([log_p, minus_log_q], y).coef_[0, 0] < 0
    refitted = columns_regression([minus_log_q], y, probs)
    calibrator = BetaCalibrator().fit(probs, y_K=y)
    assert calibrator.a_ == 0
    assert calibrator.b_ == pytest.approx(refitted.coef_[0, 0], rel=1e-4)
    assert calibrator.c_ == pytest.approx(refitted.intercept_[0], abs=1e-4)


def test_beta_of_equal_factors_is_platt() -> None:
    beta, platt = BetaCalibrator(), PlattCalibrator()
    beta.a_ = beta.b_ = platt.slope_ = 0.7
    beta.c_ = platt.offset_ = -0.4
    probs = np.linspace(0.01, 0.99, 50)
    assert beta.predict_proba(probs) == pytest.approx(platt.predict_proba(probs_to_logits(probs)), abs=1e-12)


# Isotonic


def test_isotonic_by_hand() -> None:
    # With a right step at 0.1 and a wrong one at 0.9 beside them: 0.1 has 1 of 2 right, 0.4 has 0 of 1, so they pool
    # to 1 of 3; 0.6 has 1 of 1 and 0.9 has 2 of 3, which pool to 3 of 4.
    calibrator = IsotonicCalibrator().fit([0.1, 0.4, 0.6, 0.9, 0.9], y_K=[0, 0, 1, 1, 1])
    assert calibrator.predict_proba([0.0, 0.1, 0.4, 0.5, 0.6, 0.9, 1.0]) == pytest.approx(
        [1 / 3, 1 / 3, 1 / 3, (1 / 3 + 3 / 4) / 2, 3 / 4, 3 / 4, 3 / 4]
    )
    assert calibrator.knot_probs_ == (0.1, 0.4, 0.6, 0.9)


def test_isotonic_against_scikit_learn() -> None:
    logits, y = labelled_logits()
    probs = sigmoid(logits)
    plain = IsotonicRegression(out_of_bounds="clip").fit(probs, y)
    inner = (plain.predict(probs) > 0.05) & (plain.predict(probs) < 0.95)
    assert inner.sum() > 100
    smoothed = IsotonicRegression(out_of_bounds="clip").fit(
        np.append(probs, [probs.min(), probs.max()]), np.append(y, [1, 0])
    )
    ours = IsotonicCalibrator().fit(probs, y_K=y)
    everywhere = np.linspace(0, 1, 1001)
    assert ours.predict_proba(everywhere) == pytest.approx(smoothed.predict(everywhere), abs=1e-12)
    assert ours.predict_proba(probs[inner]) == pytest.approx(plain.predict(probs[inner]), abs=1e-12)


@pytest.mark.parametrize("m", [2, 9, 99])
def test_isotonic_is_never_certain(m: int) -> None:
    """Right steps, m of them, at the top end at m / (m + 1); m wrong ones at the bottom at 1 / (m + 1)."""
    probs = [*np.linspace(0.01, 0.3, m), *np.linspace(0.7, 0.99, m)]
    calibrator = IsotonicCalibrator().fit(probs, y_K=[0] * m + [1] * m)
    assert calibrator.predict_proba([0.0, 1.0]) == pytest.approx([1 / (m + 1), m / (m + 1)])


# Position and length


@pytest.mark.parametrize(("calibrator", "transform"), [(PositionCalibrator(), np.log1p), (LengthCalibrator(), np.log)])
def test_covariates_against_scikit_learn(calibrator: StepCalibrator, transform: np.ufunc) -> None:
    logits, y = labelled_logits(3000)
    covariate = np.random.default_rng(5).integers(1, 12, len(y))
    y = np.where((covariate > 6) & (logits < 3), 0.0, y)  # late steps are wrong more often
    regression = columns_regression([logits, transform(covariate)], y, sigmoid(logits))
    fitted = calibrator.fit(logits, covariate, y_K=y)
    assert vars(fitted) == pytest.approx(
        {"slope_": regression.coef_[0, 0], "drift_": regression.coef_[0, 1], "offset_": regression.intercept_[0]},
        rel=1e-4,
    )
    theirs = regression.predict_proba(np.column_stack([logits, transform(covariate)]))[:, 1]
    assert fitted.predict_proba(logits, covariate) == pytest.approx(theirs, abs=1e-5)


def test_position_by_hand() -> None:
    calibrator = PositionCalibrator()
    calibrator.slope_, calibrator.offset_, calibrator.drift_ = 2.0, 1.0, -3.0
    expected = 2 * np.array([0.5, 0.5]) + 1 - 3 * np.array([0, math.log(4)])
    assert calibrator.predict_proba([0.5, 0.5], [0, 3]) == pytest.approx(sigmoid(expected))


# All of them


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("label", [0, 1])
def test_nothing_can_be_fitted_to_one_kind_of_step(make: type[StepCalibrator], label: int) -> None:
    spaces = [[0.2, 0.5, 0.6], [1, 2, 3]][: len(make.inputs)]
    with pytest.raises(DataError, match="all 3 are of one kind"):
        make().fit(*spaces, y_K=[label] * 3)


@pytest.mark.parametrize(
    "make", [PlattCalibrator, BetaCalibrator, PositionCalibrator, LengthCalibrator, IsotonicCalibrator]
)
def test_equal_probabilities_leave_nothing_to_fit(make: type[StepCalibrator]) -> None:
    spaces = [[0.5] * 4, [1, 2, 3, 4]][: len(make.inputs)]
    with pytest.raises(DataError, match="only 1 distinct step probabilities"):
        make().fit(*spaces, y_K=[0, 1, 0, 1])


@pytest.mark.parametrize("make", [PlattCalibrator, BetaCalibrator, IsotonicCalibrator])
def test_probabilities_that_only_rounding_tells_apart_leave_nothing_to_fit(make: type[StepCalibrator]) -> None:
    noisy = [0.9, math.nextafter(0.9, 1), math.nextafter(0.9, 0), 0.9]
    spaces = [probs_to_logits(noisy)] if make is PlattCalibrator else [noisy]
    with pytest.raises(DataError, match="only 1 distinct step probabilities"):
        make().fit(*spaces, y_K=[0, 1, 0, 1])


def test_isotonic_curve_takes_no_step_between_probabilities_that_only_rounding_tells_apart() -> None:
    below, above = 0.3, 0.1 + 0.2
    calibrator = IsotonicCalibrator().fit([*[0.1] * 3, below, above, below, above, *[0.9] * 3], y_K=[0] * 5 + [1] * 5)
    # Wrong and right ones at 0.3, two of each; 0.1 has 1 of 4 right and 0.9 has 3 of 4, with the made-up steps.
    assert calibrator.predict_proba([0.1, below, above, 0.9]).tolist() == pytest.approx([0.25, 0.5, 0.5, 0.75])
    assert len(calibrator.knot_probs_) == 3


@pytest.mark.parametrize("make", ALL)
def test_a_calibrator_gives_equal_steps_equal_probabilities(make: type[StepCalibrator]) -> None:
    logits, y = labelled_logits()
    probs = sigmoid(logits)
    position = np.arange(len(y)) % 5
    spaces = {"logits_K": logits, "probs_K": probs, "position_K": position, "n_steps_K": position + 2}
    calibrator = make().fit(*(spaces[name] for name in make.inputs), y_K=y)
    for n_steps in (1, 3, 8, 21):
        for judged in ([0.9] * n_steps, [0.9, 0.15] * n_steps):
            verdict = calibrator.calibrate(Verdict.from_step_probs(judged))
            if not {"position_K", "n_steps_K"} & set(make.inputs):
                assert len(set(verdict.p_ok_S)) == len(set(judged))
            assert Verdict.model_validate_json(verdict.model_dump_json()).p_ok_S == verdict.p_ok_S


@pytest.mark.parametrize("make", ALL)
def test_a_judge_that_says_nothing_gets_no_calibrator(make: type[StepCalibrator]) -> None:
    """What it says rises and falls with the steps' numbers, and whether they are right does not."""
    y = np.tile([1.0, 1.0, 0.0, 1.0], 60)
    logits = np.repeat([2.0, -1.0, 0.5], 80)
    spaces = [sigmoid(logits) if make.inputs[0] == "probs_K" else logits, np.arange(len(y)) // 4 % 5 + 1]
    with pytest.raises(DataError, match="the best fit gives the judge no weight"):
        make().fit(*spaces[: len(make.inputs)], y_K=y)


@pytest.mark.parametrize("make", ALL)
def test_an_upside_down_judge_is_not_turned_or_replaced(make: type[StepCalibrator]) -> None:
    logits, y = labelled_logits()
    spaces = [sigmoid(-logits) if make.inputs[0] == "probs_K" else -logits, np.arange(len(y)) % 5 + 1]
    with pytest.raises(DataError, match="the best fit gives the judge no weight"):
        make().fit(*spaces[: len(make.inputs)], y_K=y)


@pytest.mark.parametrize("make", [PositionCalibrator, LengthCalibrator])
def test_a_covariate_that_does_not_vary_is_refused(make: type[StepCalibrator]) -> None:
    with pytest.raises(DataError, match=r"only 1 distinct (positions|solution lengths)"):
        make().fit([0.1, 0.2, 0.3], [4, 4, 4], y_K=[0, 1, 0])


@pytest.mark.parametrize("make", [TemperatureCalibrator, PlattCalibrator, BetaCalibrator])
def test_strictly_monotone_calibrators_keep_auroc(make: type[StepCalibrator]) -> None:
    split = make_up(lambda logits: 1.7 * logits + 0.5, n=300).split
    spaces = [getattr(split.steps, name) for name in make.inputs]
    probs = make().fit(*spaces, y_K=split.ok_K).predict_proba(*spaces)
    assert not np.array_equal(probs, split.steps.probs_K)
    assert roc_auc_score(split.ok_K, probs) == pytest.approx(roc_auc_score(split.ok_K, split.steps.probs_K), abs=1e-12)


def test_isotonic_never_turns_an_order_round() -> None:
    split = make_up(lambda logits: 1.7 * logits + 0.5, n=300).split
    probs = IsotonicCalibrator().fit_split(split).predict_proba(np.sort(split.steps.probs_K))
    assert (np.diff(probs) >= 0).all() and 0 < probs[0] < probs[-1] < 1


@pytest.mark.parametrize("make", ALL)
def test_a_calibrated_judge_stays_as_it_is(make: type[StepCalibrator]) -> None:
    split = make_up(lambda logits: logits, n=4000).split
    spaces = [getattr(split.steps, name) for name in make.inputs]
    probs = make().fit_split(split).predict_proba(*spaces)
    assert np.abs(probs - split.steps.probs_K).mean() < (0.03 if make is IsotonicCalibrator else 0.015)


@pytest.mark.parametrize("make", ALL)
def test_scores_of_a_split_are_those_of_the_calibrated_verdicts(make: type[StepCalibrator]) -> None:
    made = make_up(lambda logits: 2 * logits, n=60)
    calibrator = make().fit_split(made.split)
    calibrated = [calibrator.calibrate(verdict).posterior for verdict in made.verdicts]
    assert [sum(posterior) for posterior in calibrated] == pytest.approx([1.0] * 60)
    expected = [math.log(p[-1 if gold is None else gold]) for p, gold in zip(calibrated, made.gold, strict=True)]
    assert calibrator.logprobs_N(made.split) == pytest.approx(expected, abs=1e-9)


def test_a_number_at_the_end_of_its_range_is_no_fit() -> None:
    """Logits of 9.0 and 9.1 would need an offset far below what is allowed to say 20 % and 80 %."""
    logits, y = np.array([9.0] * 50 + [9.1] * 50), np.array([1, 0, 0, 0, 0] * 10 + [0, 1, 1, 1, 1] * 10)
    with pytest.raises(DataError, match="the fit diverges: the offset -50 is at the end of its range"):
        PlattCalibrator().fit(logits, y_K=y)
    assert PlattCalibrator().fit(logits - 9.05, y_K=y).slope_ > 10
