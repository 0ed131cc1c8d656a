"""The calibrator of whole posteriors, and the split that all calibrators are fitted to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from judgekit.calibration.by_step import PRIOR_STEPS
from judgekit.calibration.posterior import IdentityCalibrator, PosteriorCalibrator
from judgekit.calibration.split import CalibrationSplit
from judgekit.errors import DataError
from judgekit.types import Verdict
from tests.judgekit.calibration.samples import Floats, make_up


def votes(counts: list[int]) -> Verdict:
    ballots = [None if k == len(counts) - 1 else k for k, count in enumerate(counts) for _ in range(count)]
    return Verdict.from_votes(ballots, n_steps=len(counts) - 1)


def direct_loss(made_posteriors: list[tuple[float, ...]], gold: list[int | None]) -> Floats:
    """Minimise the mean log loss term by term, the prior's solutions beside the true ones, without arrays."""
    n_reached = sum(len(p) - 1 if k is None else k + 1 for p, k in zip(made_posteriors, gold, strict=True))
    prior = PRIOR_STEPS / n_reached

    def loss(w: Floats) -> float:
        total = 0.0
        for posterior, first_error in zip(made_posteriors, gold, strict=True):
            n_steps = len(posterior) - 1
            logits = [w[0] * math.log(max(p, 1e-9)) + w[2] * math.log(1 + k) for k, p in enumerate(posterior[:-1])]
            logits.append(w[0] * math.log(max(posterior[-1], 1e-9)) + w[1])
            highest = max(logits)
            log_sum = highest + math.log(sum(math.exp(logit - highest) for logit in logits))
            total += log_sum - logits[n_steps if first_error is None else first_error]
            total += prior * sum(p * (log_sum - logit) for p, logit in zip(posterior, logits, strict=True))
        return total / len(gold)

    found = minimize(loss, [1, 0, 0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-13, "maxiter": 4000})
    return np.asarray(found.x)


def test_a_posterior_by_hand() -> None:
    calibrator = PosteriorCalibrator()
    calibrator.weight_, calibrator.none_, calibrator.position_ = 2.0, math.log(3), 1.0
    # Squares 0.04, 0.09, 0.25; the second step times (1 + 1)^1, "no error" times 3.
    shares = np.array([0.04, 0.09 * 2, 0.25 * 3])
    calibrated = calibrator.calibrate(Verdict(posterior=(0.2, 0.3, 0.5)))
    assert calibrated.posterior == pytest.approx(shares / shares.sum())


def test_the_term_for_none_by_hand() -> None:
    # One-step solutions of two kinds, 2 of 8 and 6 of 8 right, and the prior's ten, half a kind, right as the judge
    # says, 0.6 and 6/7. The judge's log odds are log(1.5) and log(6).
    fitted = PosteriorCalibrator().fit(
        [(0.4, 0.6)] * 8 + [(1 / 7, 6 / 7)] * 8, gold_N=[0] * 6 + [None] * 2 + [0] * 2 + [None] * 6
    )
    low, high = (2 + 5 * 0.6) / 13, (6 + 5 * 6 / 7) / 13
    odds = [math.log(q / (1 - q)) for q in (low, high)]
    weight = (odds[1] - odds[0]) / math.log(4)
    assert (fitted.weight_, fitted.none_) == pytest.approx((weight, odds[0] - weight * math.log(1.5)), abs=1e-5)
    assert fitted.calibrate(Verdict(posterior=(0.4, 0.6))).posterior == pytest.approx((1 - low, low), abs=1e-6)
    assert fitted.position_ == 0


def test_the_fit_against_direct_minimisation() -> None:
    made = make_up(lambda logits: 1.5 * logits + 0.5, n=150)
    posteriors = [verdict.posterior for verdict in made.verdicts]
    fitted = PosteriorCalibrator().fit(posteriors, gold_N=made.gold)
    expected = direct_loss(posteriors, made.gold)
    assert (fitted.weight_, fitted.none_, fitted.position_) == pytest.approx(expected, abs=1e-3)


def test_a_critic_that_wants_errors_too_often_is_held_back() -> None:
    """Half of a critic's 8 votes name an error in every solution, and one solution of five has one."""
    rng = np.random.default_rng(0)
    verdicts, gold = [], []
    for _ in range(500):
        wrong = rng.random() < 0.2
        k = int(rng.integers(0, 4))
        counts = [0] * 5
        counts[k] = 5 if wrong else 4
        counts[-1] = 8 - counts[k]
        verdicts.append(votes(counts))
        gold.append(k if wrong else None)
    split = CalibrationSplit.of(verdicts, gold_N=gold, problem_ids_N=[str(i) for i in range(500)])
    fitted = PosteriorCalibrator().fit_split(split)
    assert fitted.logprobs_N(split).mean() > IdentityCalibrator().logprobs_N(split).mean() + 0.2
    assert fitted.calibrate(votes([4, 0, 0, 0, 4])).p_none > 0.9
    assert fitted.calibrate(votes([0, 0, 5, 0, 3])).p_none < 0.5


def test_a_calibrated_posterior_stays_as_it_is() -> None:
    """First errors drawn from the posteriors themselves."""
    rng = np.random.default_rng(2)
    posteriors = [rng.dirichlet(np.ones(rng.integers(2, 8))) for _ in range(6000)]
    drawn = [int(rng.choice(len(p), p=p)) for p in posteriors]
    gold = [None if k == len(p) - 1 else k for k, p in zip(drawn, posteriors, strict=True)]
    fitted = PosteriorCalibrator().fit(posteriors, gold_N=gold)
    assert (fitted.weight_, fitted.none_, fitted.position_) == pytest.approx((1, 0, 0), abs=0.1)


@pytest.mark.parametrize("posterior", [(0.0, 1.0), (1.0, 0.0, 0.0), (0.5, 0.0, 0.0, 0.5), (1e-300, 1 - 1e-16)])
def test_certain_posteriors_become_distributions(posterior: tuple[float, ...]) -> None:
    calibrator = PosteriorCalibrator()
    calibrator.weight_, calibrator.none_, calibrator.position_ = 0.5, -1.0, 0.3
    calibrated = calibrator.calibrate(Verdict(posterior=posterior)).posterior
    assert math.fsum(calibrated) == pytest.approx(1, abs=1e-12)
    assert min(calibrated) > 0
    assert len(calibrated) == len(posterior)


@pytest.mark.parametrize(("gold", "kind"), [([None, None], "right"), ([0, 1], "wrong")])
def test_one_kind_of_solution_is_refused(gold: list[int | None], kind: str) -> None:
    with pytest.raises(DataError, match=f"all 2 are {kind}"):
        PosteriorCalibrator().fit([(0.2, 0.3, 0.5)] * 2, gold_N=gold)


def test_a_judge_that_says_the_opposite_is_not_turned_or_replaced() -> None:
    posteriors = [(0.8, 0.2), (0.2, 0.8)] * 20
    with pytest.raises(DataError, match="the best fit gives the judge no weight"):
        PosteriorCalibrator().fit(posteriors, gold_N=[None, 0] * 20)


def test_scores_of_a_split_are_those_of_the_calibrated_verdicts() -> None:
    made = make_up(lambda logits: 2 * logits, n=60)
    for calibrator in (PosteriorCalibrator().fit_split(made.split), IdentityCalibrator()):
        calibrated = [calibrator.calibrate(verdict).posterior for verdict in made.verdicts]
        expected = [math.log(p[-1 if gold is None else gold]) for p, gold in zip(calibrated, made.gold, strict=True)]
        assert calibrator.logprobs_N(made.split) == pytest.approx(expected, abs=1e-9)
        p_ok = [verdict.p_ok_S for verdict in map(calibrator.calibrate, made.verdicts)]
        reached = [
            p for p_S, gold in zip(p_ok, made.gold, strict=True) for p in p_S[: None if gold is None else gold + 1]
        ]
        assert calibrator.p_ok_K(made.split) == pytest.approx(reached, abs=1e-9)


# The split


def test_a_split_without_its_judge_is_that_of_a_judge_that_says_the_same_everywhere() -> None:
    made = make_up(lambda logits: logits, n=20)
    said = [Verdict.from_step_probs([0.75] * verdict.n_steps) for verdict in made.verdicts]
    same = CalibrationSplit.of(said, gold_N=made.gold, problem_ids_N=made.problems)
    silent = made.split.without_judge(0.75)
    assert silent.posterior_J == pytest.approx(same.posterior_J, abs=1e-12)
    assert silent.steps.probs_K == pytest.approx(same.steps.probs_K)
    assert (silent.gold_N == same.gold_N).all() and (silent.steps.position_K == same.steps.position_K).all()


def test_a_split_by_hand() -> None:
    verdicts = [Verdict.from_step_probs(p) for p in ([0.9, 0.8, 0.7], [0.5, 0.25], [0.75])]
    split = CalibrationSplit.of(verdicts, gold_N=[1, None, 0], problem_ids_N=["a", "b", "a"])
    assert split.steps.probs_K == pytest.approx([0.9, 0.8, 0.5, 0.25, 0.75])
    assert split.ok_K.tolist() == [1, 0, 1, 1, 0]
    assert split.steps.position_K.tolist() == [0, 1, 0, 1, 0]
    assert split.steps.n_steps_K.tolist() == [3, 3, 2, 2, 1]
    assert split.solution_K.tolist() == [0, 0, 1, 1, 2]
    assert split.gold_N.tolist() == [1, 2, 0]
    assert split.starts_N.tolist() == [0, 4, 7]
    part = split.take(np.array([0, 2]))
    whole = CalibrationSplit.of([verdicts[0], verdicts[2]], gold_N=[1, 0], problem_ids_N=["a", "a"])
    for name in ("ok_K", "solution_K", "posterior_J", "n_steps_N", "gold_N", "problem_N", "starts_N"):
        assert getattr(part, name).tolist() == getattr(whole, name).tolist(), name
    for name in ("probs_K", "position_K", "n_steps_K"):
        assert getattr(part.steps, name).tolist() == getattr(whole.steps, name).tolist(), name


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="1 verdicts, 2 first errors, 1 problems"):
        CalibrationSplit.of([votes([1, 1])], gold_N=[0, 0], problem_ids_N=["a"])
