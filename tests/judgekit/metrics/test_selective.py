import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgekit.metrics.selective import (
    NO_VERDICT_CONFIDENCE,
    decision_confidence,
    weighted_aurc,
    weighted_aurc_random,
    weighted_risks,
)

decisions = st.lists(st.tuples(st.sampled_from([-1.0, 0.2, 0.5, 0.9]), st.integers(0, 1)), min_size=1, max_size=5)


def columns(rows):
    return tuple(np.array(column, dtype=float) for column in zip(*rows, strict=True))


def aurc(confidence, wrong):
    return weighted_aurc(np.array(confidence), np.array(wrong, dtype=float), np.ones((1, len(wrong))))[0]


def risks_at(coverage, confidence, wrong):
    ones = np.ones((1, len(wrong)))
    return weighted_risks(np.array(confidence), np.array(wrong, dtype=float), ones, coverage_Q=np.array(coverage))[0]


def naive_aurc(confidence, wrong):
    """The mean over every order that sorts by confidence, ties in each order they can have."""
    areas = []
    for order in itertools.permutations(range(len(wrong))):
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order)):
            risks = [sum(wrong[i] for i in order[:k]) / k for k in range(1, len(wrong) + 1)]
            areas.append(sum(risks) / len(risks))
    return sum(areas) / len(areas)


def test_confidence_is_the_mass_of_the_decided_outcome():
    assert decision_confidence([0.1, 0.2, 0.7], None) == 0.7
    assert decision_confidence([0.1, 0.2, 0.7], 0) == 0.1


def test_curve_and_area_by_hand():
    # surest first: right, wrong, right, wrong: risks 0, 1/2, 1/3, 1/2
    confidence, wrong = [0.5, 0.9, 0.7, 0.3], [0, 0, 1, 1]
    assert risks_at([0.25, 0.5, 0.75, 1.0], confidence, wrong) == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert aurc(confidence, wrong) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4, abs=1e-15)
    assert weighted_aurc_random(np.array(wrong), np.ones((1, 4))) == 0.5
    # both right ones first: risks 0, 0, 1/3, 1/2
    assert aurc(1.0 - np.array(wrong), wrong) == pytest.approx((1 / 3 + 1 / 2) / 4, abs=1e-15)


def test_between_whole_solutions_the_next_one_counts_in_part():
    # 1.5 of 4: the right one and half of the wrong one
    assert risks_at([0.375], [0.5, 0.9, 0.7, 0.3], [0, 0, 1, 1]) == pytest.approx([0.5 / 1.5])


def test_equal_confidence_is_abstaining_at_random():
    wrong = [0, 1, 1, 0, 0]
    assert aurc([0.4] * 5, wrong) == pytest.approx(2 / 5, abs=1e-15)
    assert risks_at([0.1, 0.5, 1.0], [0.4] * 5, wrong) == pytest.approx([0.4] * 3)


def test_no_verdict_is_abstained_from_first_and_wrong_where_kept():
    confidence, wrong = [0.0, NO_VERDICT_CONFIDENCE, 0.9], [0, 1, 0]
    assert risks_at([1 / 3, 2 / 3, 1], confidence, wrong) == pytest.approx([0, 0, 1 / 3])
    assert aurc(confidence, wrong) == pytest.approx(1 / 9)


@settings(max_examples=60)
@given(decisions)
def test_area_equals_the_mean_over_all_orders(rows):
    confidence, wrong = columns(rows)
    assert aurc(confidence, wrong) == pytest.approx(naive_aurc(confidence, wrong), abs=1e-12)
    whole = [k / len(wrong) for k in range(1, len(wrong) + 1)]
    assert risks_at(whole, confidence, wrong).mean() == pytest.approx(naive_aurc(confidence, wrong))


@settings(max_examples=60)
@given(decisions)
def test_area_lies_between_perfect_and_one(rows):
    confidence, wrong = columns(rows)
    perfect, area = aurc(1 - wrong, wrong), aurc(confidence, wrong)
    assert 0 <= perfect <= area + 1e-12
    assert area <= 1 + 1e-12
    assert perfect <= wrong.mean() + 1e-12
    assert risks_at([1.0], confidence, wrong)[0] == pytest.approx(wrong.mean())


@settings(max_examples=60)
@given(decisions, st.integers(0, 2**32 - 1))
def test_weights_are_repetitions(rows, seed):
    confidence, wrong = columns(rows)
    weights = np.random.default_rng(seed).integers(0, 4, size=(3, len(wrong)))
    weights[:, 0] += 1
    coverage = np.array([0.1, 0.37, 0.5, 1.0])
    areas, chance = weighted_aurc(confidence, wrong, weights * 1.0), weighted_aurc_random(wrong, weights * 1.0)
    risks = weighted_risks(confidence, wrong, weights * 1.0, coverage_Q=coverage)
    for i, row in enumerate(weights):
        repeated = confidence.repeat(row), wrong.repeat(row)
        assert areas[i] == pytest.approx(aurc(*repeated), abs=1e-12)
        assert chance[i] == pytest.approx(repeated[1].mean(), abs=1e-12)
        assert risks[i] == pytest.approx(risks_at(coverage, *repeated), abs=1e-12)
