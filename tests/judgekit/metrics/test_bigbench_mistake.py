import math

import pytest
from sklearn.metrics import accuracy_score

from judgekit.metrics.bigbench_mistake import accuracy_rates
from judgekit.metrics.localization import count_hits, localization_rates


def rates(gold_N, predicted_N, judged_N):
    counts = count_hits(gold_N, predicted_N, judged_N=judged_N).sum(axis=0, keepdims=True)
    return accuracy_rates(counts)[0].tolist(), localization_rates(counts)[0].tolist()


def test_by_hand():
    # erroneous: exact, early, silent; correct: passed, false alarm -> 2 of 5, or 2 of the 4 judged
    (accuracy, accuracy_scored), (error_accuracy, correct_accuracy, *_) = rates(
        [3, 3, 3, None, None], [3, 2, None, None, 0], [True, True, False, True, True]
    )
    assert (accuracy, accuracy_scored) == (0.4, 0.5)
    assert (error_accuracy, correct_accuracy) == (pytest.approx(1 / 3), 0.5)


def test_agrees_with_scikit_learn_where_no_mistake_is_a_place_of_its_own():
    gold_N = [0, 1, 2, None, None, 4, None, 1]
    predicted_N = [0, 2, None, None, 1, 4, None, 0]
    (accuracy, scored), _ = rates(gold_N, predicted_N, [True] * 8)
    as_index = [[-1 if place is None else place for place in column] for column in (gold_N, predicted_N)]
    assert accuracy == scored == accuracy_score(*as_index) == 0.5


def test_unbalanced_classes_reward_finding_fault():
    # nine of ten hold a mistake: always naming its usual place beats always saying none, which the classes show apart
    gold_N = [2] * 9 + [None]
    (always_two, _), (error_accuracy, correct_accuracy, *_) = rates(gold_N, [2] * 10, [True] * 10)
    assert (always_two, error_accuracy, correct_accuracy) == (0.9, 1.0, 0.0)


def test_no_judged_solution_leaves_one_convention():
    (accuracy, scored), _ = rates([0, None], [None, None], [False, False])
    assert accuracy == 0.0
    assert math.isnan(scored)
