import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import matthews_corrcoef

from judgekit.errors import DataError
from judgekit.metrics.mr_gsm8k import MR_GSM8K_RATES, count_calls, mr_gsm8k_rates

places = st.one_of(st.none(), st.integers(0, 3))
judgements = st.lists(st.tuples(places, places, st.booleans()), min_size=1, max_size=30)


def rates(gold_N, predicted_N, judged_N=None):
    counts_N = count_calls(gold_N, predicted_N, judged_N=judged_N or [True] * len(gold_N))
    return dict(zip(MR_GSM8K_RATES, mr_gsm8k_rates(counts_N.sum(axis=0, keepdims=True))[0], strict=True))


def test_by_hand():
    # erroneous: exact, another step, none -> 2 of 3 found wrong, 1 of 3 located; correct: 3 of 4 passed
    values = rates([0, 1, 2, None, None, None, None], [0, 3, None, None, None, None, 1])
    # MCC with tp 3, fn 1, tn 2, fp 1: (3*2 - 1*1) / sqrt(4 * 4 * 3 * 3) = 5/12
    assert values["mcc"] == pytest.approx(5 / 12, abs=1e-15)
    assert values["step_accuracy"] == pytest.approx(1 / 3, abs=1e-15)
    assert values["localization_part"] == pytest.approx(0.2 * 5 / 12 + 0.3 / 3, abs=1e-15)


def test_no_verdict_is_a_miss_in_either_class():
    values = rates([0, 1, None, None], [0, None, None, None], [True, False, True, False])
    # counted: tp 1, fn 1, tn 1, fp 1 -> MCC 0, one of two located; judged alone: perfect
    assert (values["mcc"], values["step_accuracy"], values["localization_part"]) == (0.0, 0.5, 0.15)
    assert (values["mcc_scored"], values["step_accuracy_scored"]) == (1.0, 1.0)
    assert values["localization_part_scored"] == 0.5


def test_worse_than_chance_is_no_less_than_nothing_in_the_part():
    values = rates([0, 1, None], [None, None, 0])
    assert values["mcc"] == -1.0
    assert values["localization_part"] == 0.0


def test_the_same_reply_to_all_has_no_correlation():
    assert rates([0, 1, None], [0, 0, 0])["mcc"] == 0.0
    assert rates([0, 1, None], [None, None, None])["mcc"] == 0.0


def test_one_class_alone_has_no_correlation_to_measure():
    values = rates([0, 1], [0, None])
    assert math.isnan(values["mcc"]) and math.isnan(values["localization_part"])
    assert values["step_accuracy"] == 0.5
    assert math.isnan(rates([None, None], [None, 0])["step_accuracy"])


@given(judgements)
def test_agrees_with_scikit_learn(rows):
    gold_N, predicted_N, judged_N = ([row[k] for row in rows] for k in range(3))
    values = rates(gold_N, predicted_N, judged_N)
    right_N = [gold is None for gold in gold_N]
    # no verdict is the answer that the label is not
    called_N = [
        predicted is None if judged else not right
        for right, predicted, judged in zip(right_N, predicted_N, judged_N, strict=True)
    ]
    for suffix, kept in (("", [True] * len(rows)), ("_scored", judged_N)):
        right, called = (list(np.array(column)[kept]) for column in (right_N, called_N))
        if len(set(right)) < 2:
            assert math.isnan(values[f"mcc{suffix}"])
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = matthews_corrcoef(right, called)
        assert values[f"mcc{suffix}"] == pytest.approx(expected, abs=1e-12)


def test_lengths_must_agree():
    with pytest.raises(DataError, match="lengths"):
        count_calls([None], [None, 0], judged_N=[True])
