from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from judgekit.errors import DataError
from judgekit.metrics.bootstrap import cluster_bootstrap
from judgekit.metrics.prmbench import (
    PRMBENCH_CLASSES,
    PRMBENCH_DIMENSIONS,
    PRMBENCH_RATES,
    STEP_RATES,
    StepCounts,
    call_steps,
    count_steps,
    place_by_class,
    prmbench_rates,
    step_rates,
)
from judgekit.types import ArgmaxRule, ThresholdRule, Verdict

solutions = st.lists(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            st.lists(st.booleans(), min_size=n, max_size=n), st.lists(st.booleans(), min_size=n, max_size=n)
        )
    ),
    min_size=1,
    max_size=12,
)


def rates(ok_N, called_ok_N):
    counts_N = count_steps(ok_N, called_ok_N=called_ok_N)
    return dict(zip(STEP_RATES, step_rates(counts_N.sum(axis=0, keepdims=True))[0], strict=True))


def test_steps_are_counted_by_label_and_call():
    counts_N = count_steps(
        [[True, True, False, False, True], [True, False], [False]],
        called_ok_N=[[True, False, True, False, True], None, [False]],
    )
    assert StepCounts(*counts_N[0]) == StepCounts(
        ok_passed=2, ok_flagged=1, error_passed=1, error_flagged=1, ok_unjudged=0, error_unjudged=0
    )
    assert StepCounts(*counts_N[1]) == (0, 0, 0, 0, 1, 1)
    assert StepCounts(*counts_N[2]) == (0, 0, 0, 1, 0, 0)


def test_score_by_hand():
    # right steps: 3 passed, 1 flagged; wrong steps: 1 passed, 2 flagged
    # F1 = 2*3 / (2*3 + 1 + 1) = 3/4; F1 of the wrong = 2*2 / (2*2 + 1 + 1) = 2/3; mean 17/24
    values = rates([[True, True, False, False], [True, True, False]], [[True, True, True, False], [True, False, False]])
    assert values["f1_positive"] == 0.75
    assert values["f1_negative"] == pytest.approx(2 / 3, abs=1e-15)
    assert values["prm_score"] == pytest.approx(17 / 24, abs=1e-15)
    assert [values[f"{name}_scored"] for name in STEP_RATES[:3]] == [values[name] for name in STEP_RATES[:3]]


def test_no_verdict_counts_every_step_wrongly_or_leaves_them_out():
    ok_N = [[True, True, False, False], [True, True, False]]
    values = rates(ok_N, [[True, True, True, False], None])
    # judged alone: F1 = 2*2 / (2*2 + 1) = 4/5; of the wrong 2*1 / (2*1 + 1) = 2/3
    assert values["f1_positive_scored"] == 0.8
    assert values["f1_negative_scored"] == pytest.approx(2 / 3, abs=1e-15)
    assert values["prm_score_scored"] == pytest.approx(11 / 15, abs=1e-15)
    # with three wrong calls more: F1 = 4 / (4 + 1 + 3) = 1/2; of the wrong 2 / (2 + 1 + 3) = 1/3
    assert values["f1_positive"] == 0.5
    assert values["f1_negative"] == pytest.approx(1 / 3, abs=1e-15)
    assert values["prm_score"] == pytest.approx(5 / 12, abs=1e-15)
    # the first convention is that of a judge that calls each of these steps wrongly
    inverted = rates(ok_N, [[True, True, True, False], [False, False, True]])
    assert all(values[name] == inverted[name] for name in ("f1_positive", "f1_negative", "prm_score"))


def test_wrong_steps_that_nobody_judged_are_wrong_steps_all_the_same():
    values = rates([[True], [False]], [[True], None])
    # one right step passed, and the unjudged wrong one counts as passed: F1 = 2 / (2 + 1), of the wrong 0
    assert (values["f1_positive"], values["f1_negative"]) == (pytest.approx(2 / 3), 0.0)
    assert values["prm_score"] == pytest.approx(1 / 3)
    assert np.isnan(values["f1_negative_scored"])


@given(solutions)
def test_agrees_with_scikit_learn(steps):
    ok_N, called_N = [ok for ok, _ in steps], [called for _, called in steps]
    values = rates(ok_N, called_N)
    ok_K, called_K = list(chain(*ok_N)), list(chain(*called_N))
    matrix = confusion_matrix(ok_K, called_K, labels=[True, False])
    counts = StepCounts(*count_steps(ok_N, called_ok_N=called_N).sum(axis=0))
    assert matrix.tolist() == [[counts.ok_passed, counts.ok_flagged], [counts.error_passed, counts.error_flagged]]
    for name, label in (("f1_positive", True), ("f1_negative", False)):
        if label in ok_K:
            expected = f1_score(ok_K, called_K, pos_label=label, zero_division=0)
            assert values[name] == pytest.approx(expected, abs=1e-12)
        else:
            assert np.isnan(values[name])
    if True in ok_K and False in ok_K:
        macro = f1_score(ok_K, called_K, average="macro", zero_division=0)
        assert values["prm_score"] == pytest.approx(macro, abs=1e-12)


def test_without_wrong_steps_the_score_is_f1_alone():
    values = rates([[True, True, True]], [[True, True, False]])
    assert values["prm_score"] == values["f1_positive"] == 0.8
    assert np.isnan(values["f1_negative"])


def test_no_true_positive_is_zero_and_not_undefined():
    values = rates([[True, False]], [[False, True]])
    assert (values["f1_positive"], values["f1_negative"], values["prm_score"]) == (0.0, 0.0, 0.0)


def test_thresholds_call_every_step():
    p_ok_S = [0.9, 0.5, 0.4999, 0.2, 0.8]
    assert call_steps(p_ok_S, predicted=2, threshold=0.5) == (True, True, False, False, True)
    assert call_steps(p_ok_S, predicted=None, threshold=0.1) == (True,) * 5


def test_without_a_threshold_calls_follow_the_decision_and_then_the_posterior():
    verdict = Verdict(posterior=(0.1, 0.5, 0.4))
    assert verdict.decide(ArgmaxRule()) == 1
    assert call_steps(verdict.p_ok_S, predicted=1, threshold=None) == (True, False)
    # a step before the most probable outcome may be doubtful, but never more than even
    verdict = Verdict(posterior=(0.1, 0.4, 0.1, 0.4))
    assert verdict.p_ok_S == pytest.approx((0.9, 5 / 9, 0.8))
    assert call_steps(verdict.p_ok_S, predicted=None, threshold=None) == (True, True, True)
    # the first step is most probable although its own P(ok) is 0.6; of those who passed it, 0.35 of 0.6 name the third
    verdict = Verdict(posterior=(0.4, 0.05, 0.35, 0.2))
    assert verdict.p_ok_S == pytest.approx((0.6, 11 / 12, 4 / 11))
    assert call_steps(verdict.p_ok_S, predicted=0, threshold=None) == (False, True, False)


@given(
    st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6),
    st.one_of(st.just(ArgmaxRule()), st.floats(0.1, 0.9).map(lambda value: ThresholdRule(threshold=value))),
)
def test_the_first_step_called_wrong_is_the_decision(p_ok_S, rule):
    verdict = Verdict.from_step_probs(p_ok_S)
    predicted = verdict.decide(rule)
    called = call_steps(verdict.p_ok_S, predicted=predicted, threshold=getattr(rule, "threshold", None))
    assert (called.index(False) if False in called else None) == predicted


def one_step_each(name, *, ok, called):
    counts_N = count_steps([[ok]] * len(called), called_ok_N=[[call] for call in called])
    return place_by_class(counts_N, class_N=[name] * len(called))


def test_dimensions_are_means_of_classes_and_the_whole_is_micro():
    parts = []
    for place, name in enumerate(PRMBENCH_CLASSES):
        parts.append(one_step_each(name, ok=True, called=[True] * (place + 1) + [False]))
        if name != "multi_solutions":
            parts.append(one_step_each(name, ok=False, called=[False, True]))
    sums = np.concatenate(parts).sum(axis=0, keepdims=True)
    values = dict(zip(PRMBENCH_RATES, prmbench_rates(sums)[0], strict=True))

    def score(n_passed):
        # right steps: n passed, 1 flagged; wrong steps: 1 flagged, 1 passed: F1 2n / (2n + 2) and 2 / (2 + 2)
        return (n_passed / (n_passed + 1) + 0.5) / 2

    assert values["simplicity"] == pytest.approx((score(1) + score(2)) / 2, abs=1e-15)
    assert values["soundness"] == pytest.approx((score(3) + score(4) + score(5) + score(6)) / 4, abs=1e-15)
    # the ninth class has 9 right steps passed, 1 flagged and no wrong step: F1 = 18 / (18 + 1)
    assert values["sensitivity"] == pytest.approx((score(7) + score(8) + 18 / 19) / 3, abs=1e-15)
    # micro: 45 passed and 9 flagged of the right, 8 flagged and 8 passed of the wrong
    assert values["f1_positive"] == pytest.approx(90 / 107, abs=1e-15)
    assert values["f1_negative"] == pytest.approx(16 / 33, abs=1e-15)
    assert values["prm_score"] == pytest.approx((90 / 107 + 16 / 33) / 2, abs=1e-15)


def test_a_dimension_without_one_of_its_classes_is_undefined():
    sums = one_step_each("circular", ok=True, called=[True, False]).sum(axis=0, keepdims=True)
    values = dict(zip(PRMBENCH_RATES, prmbench_rates(sums)[0], strict=True))
    assert all(np.isnan(values[name]) for name in PRMBENCH_DIMENSIONS)
    assert values["prm_score"] == values["f1_positive"] == pytest.approx(2 / 3)


def test_classes_are_the_nine_of_the_data():
    assert len(set(PRMBENCH_CLASSES)) == len(PRMBENCH_CLASSES) == 9
    assert {"redundency", "circular", "multi_solutions"} < set(PRMBENCH_CLASSES)


def test_resamples_of_sums_are_scores_of_resampled_solutions():
    rng = np.random.default_rng(3)
    ok_N = [rng.random(4) < 0.8 for _ in range(30)]
    called_N = [(rng.random(4) < 0.7) if index % 5 else None for index in range(30)]
    counts_N = count_steps(ok_N, called_ok_N=called_N)
    resampled_R = cluster_bootstrap(counts_N, cluster_N=range(30), statistic=step_rates, n_resamples=50, seed=1)
    draws = np.random.default_rng(1).integers(30, size=(50, 30))
    for values, drawn in zip(resampled_R, draws, strict=True):
        expected = rates([ok_N[i] for i in drawn], [called_N[i] for i in drawn])
        assert values == pytest.approx([expected[name] for name in STEP_RATES], abs=1e-12)


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(DataError, match="solution 1: 2 labels but 3 calls"):
        count_steps([[True], [True, False]], called_ok_N=[[True], [True, False, True]])
    with pytest.raises(DataError, match="lengths"):
        count_steps([[True]], called_ok_N=[])
    with pytest.raises(DataError, match="redundancy: not a class of PRMBench"):
        place_by_class(count_steps([[True]], called_ok_N=[None]), class_N=["redundancy"])
