"""Choosing among calibrators: the true one is found, noise is not, and problems stay together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import sem
from sklearn.metrics import roc_auc_score

from judgekit.calibration.by_step import TemperatureCalibrator
from judgekit.calibration.calibrators import CALIBRATORS
from judgekit.calibration.direction import compute_direction, direction_of
from judgekit.calibration.posterior import IdentityCalibrator
from judgekit.calibration.selection import (
    KINDS,
    HeldOut,
    clustered_std_error,
    cross_fit,
    find_harm,
    problem_folds,
    select_calibrator,
)
from judgekit.calibration.split import CalibrationSplit, probs_to_logits
from judgekit.errors import DataError
from judgekit.metrics.ranking import compute_auroc_within_position, count_pairs_within_position, step_places
from judgekit.types import Verdict
from tests.judgekit.calibration.samples import MadeUp, make_up, sigmoid


def test_nothing_is_chosen_where_the_judge_is_calibrated() -> None:
    assert select_calibrator(make_up(lambda logits: logits, n=800).split, n_folds=5).calibrator.kind == "identity"


def test_temperature_is_chosen_where_it_is_the_truth() -> None:
    selection = select_calibrator(make_up(lambda logits: 2.5 * logits, n=800).split, n_folds=5)
    assert isinstance(selection.calibrator, TemperatureCalibrator)
    assert selection.calibrator.temperature_ == pytest.approx(2.5, rel=0.15)


def test_platt_is_chosen_where_it_is_the_truth() -> None:
    selection = select_calibrator(make_up(lambda logits: 2 * logits + 3, n=800).split, n_folds=5)
    assert selection.calibrator.kind == "platt"


@pytest.mark.parametrize(("kind", "drift"), [("position", -1.5), ("length", -2.0)])
def test_a_covariate_is_chosen_where_it_is_the_truth(kind: str, drift: float) -> None:
    def stated(true_logits: Any) -> Any:
        n_steps = len(true_logits)
        covariate = np.log1p(np.arange(n_steps)) if kind == "position" else np.log(n_steps)
        return true_logits - drift * covariate

    assert select_calibrator(make_up(stated, n=800).split, n_folds=5).calibrator.kind == kind


def test_the_curve_is_chosen_where_nothing_else_bends_enough() -> None:
    """The judge's scale has a jump in the middle that no smooth map has."""
    selection = select_calibrator(
        make_up(lambda logits: np.where(logits > 2, 0.1, -0.1) + 0.01 * logits, n=1500).split, n_folds=5
    )
    assert selection.calibrator.kind == "isotonic"


def test_the_table_and_the_rule() -> None:
    split = make_up(lambda logits: 2.5 * logits, n=300).split
    selection = select_calibrator(split, n_folds=5)
    assert [item.kind for item in selection.candidates] == list(KINDS) == list(CALIBRATORS)
    losses = {item.kind: item.log_loss for item in selection.candidates if item.log_loss is not None}
    assert len(losses) == 8
    for item in selection.candidates:
        assert item.gap == pytest.approx(losses[item.kind] - min(losses.values()), abs=1e-12)
    as_good = [
        item.kind
        for item in selection.candidates
        if item.reason is None and ((item.gap or 0) <= (item.gap_std_error or 0) or 300 * (item.gap or 0) <= 2)
    ]
    assert selection.calibrator.kind == as_good[0]


def test_the_loss_of_a_candidate_again_naively() -> None:
    made = make_up(lambda logits: 2.5 * logits, n=120)
    logits_N_S = [probs_to_logits(verdict.p_ok_S) for verdict in made.verdicts]
    losses = np.empty(120)
    for rest, fold in problem_folds(made.split, n_folds=4):
        steps = [
            (logit, k != made.gold[i])
            for i in rest
            for k, logit in enumerate(logits_N_S[i])
            if made.gold[i] is None or k <= (made.gold[i] or 0)
        ]
        calibrator = TemperatureCalibrator().fit([logit for logit, _ in steps], y_K=[ok for _, ok in steps])
        for i in fold:
            probs, gold = sigmoid(logits_N_S[i] / calibrator.temperature_), made.gold[i]
            p_gold = probs.prod() if gold is None else probs[:gold].prod() * (1 - probs[gold])
            losses[i] = -math.log(p_gold)
    table = select_calibrator(made.split, n_folds=4).candidates
    found = next(item for item in table if item.kind == "temperature")
    assert found.log_loss == pytest.approx(losses.mean(), rel=1e-6)
    sums = [losses[[made.problems[i] == p for i in range(120)]] - losses.mean() for p in sorted(set(made.problems))]
    variance = 60 / 59 * sum(float(part.sum()) ** 2 for part in sums)
    assert found.std_error == pytest.approx(math.sqrt(variance) / 120, rel=1e-6)


def test_standard_errors_by_hand() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])
    assert clustered_std_error(values, ["a", "b", "c", "d"]) == pytest.approx(sem(values))
    # Clusters a: (1 - 3) + (2 - 3) = -3 and b: 0 + 3 = 3, so sqrt(2 / 1 * 18) / 4 = 1.5.
    assert clustered_std_error(values, ["a", "a", "b", "b"]) == pytest.approx(1.5)


def test_folds_keep_problems_together_and_cover_all() -> None:
    split = make_up(lambda logits: logits, n=50, copies=3).split
    seen = []
    for rest, fold in problem_folds(split, n_folds=5):
        assert not set(split.problem_N[rest]) & set(split.problem_N[fold])
        seen += fold.tolist()
    assert sorted(seen) == list(range(50))


def test_cross_fitting_knows_nothing_of_a_fold() -> None:
    """Whatever becomes of a fold's labels, its calibrator stays the same."""
    made = make_up(lambda logits: 2 * logits, n=100)
    kinds = ("identity", "temperature", "platt")
    first = next(cross_fit(made.split, kinds=kinds, n_folds=4))
    changed = [0 if i in set(first.fold.tolist()) else gold for i, gold in enumerate(made.gold)]
    split = CalibrationSplit.of(made.verdicts, gold_N=changed, problem_ids_N=made.problems)
    again = next(cross_fit(split, kinds=kinds, n_folds=4))
    assert again.fold.tolist() == first.fold.tolist()
    assert (again.calibrator.kind, vars(again.calibrator)) == (first.calibrator.kind, vars(first.calibrator))
    whole = select_calibrator(made.split, kinds=kinds, n_folds=4).calibrator
    assert vars(whole) != vars(select_calibrator(split, kinds=kinds, n_folds=4).calibrator)


def test_a_judge_that_says_the_same_everywhere_is_left_as_it_is() -> None:
    """0.75 for every step: whatever is fitted to that knows the share of right steps, and nothing of the judge."""
    rng = np.random.default_rng(0)
    verdicts = [Verdict.from_step_probs([0.75] * 2) for _ in range(200)]
    gold = [int(rng.integers(0, 2)) if rng.random() < 0.7 else None for _ in range(200)]
    split = CalibrationSplit.of(verdicts, gold_N=gold, problem_ids_N=[f"p{i}" for i in range(200)])
    selection = select_calibrator(split, n_folds=5)
    reasons = {item.kind: item.reason for item in selection.candidates}
    assert reasons.pop("identity") is None and all(reasons.values())
    assert reasons["beta"] == "only 1 distinct step probabilities, but at least 3 are needed: add data"
    assert "the best fit gives the judge no weight" in str(reasons["temperature"])
    assert selection.calibrator.kind == "identity"


@pytest.mark.parametrize("seed", range(5))
def test_a_random_judge_is_left_as_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    verdicts = [Verdict.from_step_probs(rng.random(4).tolist()) for _ in range(100)]
    gold = [int(rng.integers(0, 4)) if rng.random() < 0.5 else None for _ in range(100)]
    split = CalibrationSplit.of(verdicts, gold_N=gold, problem_ids_N=[f"p{i}" for i in range(100)])
    selection = select_calibrator(split, n_folds=5)
    assert selection.calibrator.kind == "identity"
    assert [item.kind for item in selection.candidates if item.reason is None] == ["identity"]
    direction = direction_of(split)
    assert direction is not None and not direction.is_upside_down


@pytest.mark.parametrize("n", [60, 200])
@pytest.mark.parametrize("knows", ["no error", "first step", "all alike", "later is worse", "random outcomes"])
def test_a_judge_that_knows_places_alone_is_left_as_it_is(knows: str, n: int) -> None:
    """It tells how likely an error is at step k of n, which is better than nothing, and never reads a step."""
    rng = np.random.default_rng(n)

    def posterior(n_steps: int) -> list[float]:
        outcomes = np.arange(n_steps + 1)
        weights = {
            "no error": np.where(outcomes == n_steps, 99.0, 1 / n_steps),
            "first step": np.where(outcomes == 0, 99.0, 1 / n_steps),
            "all alike": np.ones(n_steps + 1),
            "later is worse": 1.0 + outcomes,
            "random outcomes": rng.dirichlet(np.ones(n_steps + 1)),
        }[knows]
        return np.asarray(weights / weights.sum()).tolist()

    verdicts, gold = [], []
    for n_steps in rng.integers(2, 9, n).tolist():
        verdicts.append(Verdict(posterior=posterior(n_steps)))
        gold.append(int(rng.integers(0, n_steps)) if rng.random() < 0.5 else None)
    split = CalibrationSplit.of(verdicts, gold_N=gold, problem_ids_N=[f"p{i}" for i in range(n)])
    selection = select_calibrator(split, n_folds=5)
    assert selection.calibrator.kind == "identity"
    assert [item.kind for item in selection.candidates if item.reason is None] == ["identity"]


def test_verdicts_of_others_stay_whole_and_go_to_solutions_of_as_many_steps() -> None:
    split = make_up(lambda logits: 2 * logits, n=80).split
    others = split.with_verdicts_of_others()
    rows = [split.posterior_J[start:][: n + 1] for start, n in zip(split.starts_N, split.n_steps_N, strict=True)]
    swapped = [others.posterior_J[start:][: n + 1] for start, n in zip(split.starts_N, split.n_steps_N, strict=True)]
    assert sorted(map(tuple, rows)) == sorted(map(tuple, swapped))
    assert (others.posterior_J != split.posterior_J).any()
    assert (others.ok_K == split.ok_K).all() and (others.n_steps_N == split.n_steps_N).all()
    for probs, solution, position in zip(others.steps.probs_K, split.solution_K, split.steps.position_K, strict=True):
        verdict = Verdict(posterior=tuple(swapped[solution].tolist()))
        assert probs == pytest.approx(verdict.p_ok_S[position], abs=1e-9)


def negated(made: MadeUp) -> CalibrationSplit:
    verdicts = [Verdict.from_step_probs([1 - p for p in verdict.p_ok_S]) for verdict in made.verdicts]
    return CalibrationSplit.of(verdicts, gold_N=made.gold, problem_ids_N=made.problems)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_a_negated_judge_gets_no_calibrator_and_is_called_upside_down(sharpness: float) -> None:
    split = negated(make_up(lambda logits: sharpness * logits, n=200))
    for kind in KINDS[1:]:
        with pytest.raises(DataError, match=f"calibrator={kind} is left out: .*(no weight|judge that says nothing)"):
            select_calibrator(split, kinds=(kind,), n_folds=5)
    assert select_calibrator(split, n_folds=5).calibrator.kind == "identity"
    direction = direction_of(split)
    assert direction is not None and direction.is_upside_down


def test_the_direction_by_hand() -> None:
    # Place 0: right 0.9, 0.4, wrong 0.6: one of two pairs. Place 1: right 0.5, wrong 0.5: half of one pair.
    # Place 2 has no wrong step. 1.5 of 3 pairs.
    found = compute_direction(
        [0.9, 0.4, 0.6, 0.5, 0.5, 0.1], ok_K=[1, 1, 0, 1, 0, 1], place_K=[0, 0, 0, 1, 1, 2], problem_K=list("abcdef")
    )
    assert found is not None and (found.auroc, found.n_pairs) == (0.5, 3)
    # By chance alone the pairs won have variance 2 * 1 * 4 / 12 + 1 * 1 * 3 / 12 = 11 / 12.
    assert found.std_error == pytest.approx(math.sqrt(11 / 12) / 3)
    assert compute_direction([0.1, 0.9], ok_K=[1, 0], place_K=[0, 1], problem_K=["a", "b"]) is None
    one_pair = compute_direction([0.1, 0.9], ok_K=[1, 0], place_K=[0, 0], problem_K=["a", "b"])
    assert one_pair is not None and one_pair.auroc == 0 and not one_pair.is_upside_down, "one pair shows nothing"


def test_position_alone_makes_no_judge_upside_down() -> None:
    """A judge that trusts late steps more and knows nothing else, on data where late steps are wrong more often."""
    rng = np.random.default_rng(1)
    verdicts, gold = [], []
    for _ in range(300):
        wrong = rng.random(6) < np.linspace(0.02, 0.5, 6)
        gold.append(int(np.argmax(wrong)) if wrong.any() else None)
        verdicts.append(Verdict.from_step_probs((np.linspace(0.3, 0.9, 6) + rng.normal(0, 0.01, 6)).tolist()))
    split = CalibrationSplit.of(verdicts, gold_N=gold, problem_ids_N=[f"p{i}" for i in range(300)])
    assert roc_auc_score(split.ok_K, split.steps.probs_K) < 0.3
    direction = direction_of(split)
    assert direction is not None and not direction.is_upside_down


def test_the_number_of_steps_makes_no_judge_upside_down() -> None:
    """A judge that trusts the steps of short solutions more and reads nothing, on solutions that are all wrong.

    Of the steps of one index the right ones are those of longer solutions, so by index alone it is against the labels.
    """
    rng = np.random.default_rng(3)
    n_steps = rng.integers(2, 12, 300)
    gold = [int(rng.integers(0, n)) for n in n_steps]
    verdicts = [Verdict.from_step_probs([1 / n] * n) for n in n_steps.tolist()]
    split = CalibrationSplit.of(verdicts, gold_N=gold, problem_ids_N=[f"p{i}" for i in range(300)])
    problem_K = split.problem_N[split.solution_K]
    by_index = compute_direction(
        split.steps.probs_K, ok_K=split.ok_K, place_K=split.steps.position_K, problem_K=problem_K
    )
    assert by_index is not None and by_index.is_upside_down
    direction = direction_of(split)
    assert direction is not None and direction.auroc == 0.5 and not direction.is_upside_down


def test_the_direction_is_the_auroc_within_position() -> None:
    split = make_up(lambda logits: np.round(logits), n=300).split
    places = step_places(split.solution_K, n_steps_N=split.n_steps_N.tolist())
    direction = direction_of(split)
    assert direction is not None
    assert direction.n_pairs == count_pairs_within_position(split.ok_K, place_K=places)
    assert direction.auroc == pytest.approx(
        compute_auroc_within_position(split.steps.probs_K, split.ok_K, place_K=places), abs=1e-12
    )


def nearly_perfect() -> CalibrationSplit:
    rng = np.random.default_rng(0)
    verdicts, gold = [], []
    for _ in range(100):
        wrong = int(rng.integers(0, 4)) if rng.random() < 0.5 else None
        logits = np.array([rng.normal(-8 if k == wrong else 10, 1.5) for k in range(4)])
        verdicts.append(Verdict.from_step_probs(sigmoid(logits).tolist()))
        gold.append(wrong)
    return CalibrationSplit.of(verdicts, gold_N=gold, problem_ids_N=[f"p{i}" for i in range(100)])


def test_a_judge_that_is_hardly_ever_wrong_is_not_made_surer() -> None:
    """Every solution would gain a little from more sureness, and nothing shows that the judge may be as sure."""
    selection = select_calibrator(nearly_perfect(), n_folds=5)
    gaps = {item.kind: (item.gap, item.gap_std_error) for item in selection.candidates}
    gap, std_error = gaps["identity"]
    assert gap is not None and std_error is not None and gap > 2 * std_error, "the standard error alone would choose"
    assert selection.calibrator.kind == "identity"


def test_harm_is_found_in_loss_and_calibration_error_and_noise_is_not() -> None:
    made = make_up(lambda logits: logits, n=400)
    split = made.split
    raw = HeldOut(IdentityCalibrator().logprobs_N(split), split.steps.probs_K)
    assert find_harm(split, before=raw, after=raw, n_bins=15) is None
    worse = raw.logprobs_N - 0.3
    assert "log loss worse beyond noise" in str(
        find_harm(split, before=raw, after=HeldOut(worse, split.steps.probs_K), n_bins=15)
    )
    shifted = np.clip(split.steps.probs_K - 0.2, 0, 1)
    assert "expected calibration error worse beyond noise" in str(
        find_harm(split, before=raw, after=HeldOut(raw.logprobs_N, shifted), n_bins=15)
    )
    nudged = np.clip(split.steps.probs_K - 0.002, 0, 1)
    assert find_harm(split, before=raw, after=HeldOut(raw.logprobs_N, nudged), n_bins=15) is None


def test_certain_verdicts_cost_a_bounded_loss() -> None:
    """A judge that is sure and wrong now and then: infinite log loss would forbid comparing it."""
    verdicts = [Verdict(posterior=(1.0, 0.0)) if i % 2 else Verdict(posterior=(0.0, 1.0)) for i in range(60)]
    gold = [(0 if i % 2 else None) if i % 6 else (None if i % 2 else 0) for i in range(60)]
    split = CalibrationSplit.of(verdicts, gold_N=gold, problem_ids_N=[f"p{i}" for i in range(60)])
    selection = select_calibrator(split, n_folds=5)
    assert selection.candidates[0].log_loss == pytest.approx(math.log(1e9) / 6)
    assert selection.calibrator.kind != "identity"
    assert all(item.log_loss is None or math.isfinite(item.log_loss) for item in selection.candidates)


def test_one_problem_is_refused() -> None:
    split = make_up(lambda logits: logits, n=6, copies=6).split
    with pytest.raises(DataError, match="there is only 1"):
        select_calibrator(split, n_folds=5)


def test_a_named_kind_is_taken_beside_no_calibration() -> None:
    split = make_up(lambda logits: 2.5 * logits, n=200).split
    selection = select_calibrator(split, kinds=("isotonic",), n_folds=5)
    assert selection.calibrator.kind == "isotonic"
    assert [item.kind for item in selection.candidates] == ["identity", "isotonic"]


def test_a_named_kind_that_does_harm_is_not_taken() -> None:
    """A curve through 100 solutions cannot tell how rare errors are where the judge is nearly certain, and rightly."""
    selection = select_calibrator(nearly_perfect(), kinds=("isotonic",), n_folds=5)
    [identity, named] = selection.candidates
    assert identity.reason is None and "log loss worse beyond noise" in str(named.reason)
    assert selection.calibrator.kind == "identity"
