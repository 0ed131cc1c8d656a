import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from judgekit.errors import DataError
from judgekit.metrics import compute_auprc_error, compute_auroc, weighted_ranking
from judgekit.types import Verdict

steps = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.integers(0, 1)), min_size=1, max_size=12)


def test_auroc_by_hand():
    # right 0.9, 0.5; wrong 0.5, 0.1: of 4 pairs 3 are in order and 1 is tied
    assert compute_auroc([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0]) == 3.5 / 4


def test_auprc_by_hand():
    # ascending: 0.1 wrong (precision 1, recall 1/3), 0.5 right, wrong, wrong together (precision 3/4, recall 1)
    assert compute_auprc_error([0.5, 0.1, 0.5, 0.5], [1, 0, 0, 0]) == pytest.approx(1 / 3 + 2 / 3 * 3 / 4, abs=1e-15)


def test_a_judge_that_always_says_the_same_ranks_nothing():
    assert compute_auroc([0.7] * 5, [1, 1, 1, 0, 0]) == 0.5
    assert compute_auprc_error([0.7] * 5, [1, 1, 1, 0, 0]) == pytest.approx(0.4, abs=1e-15)


def test_a_missing_class_leaves_the_figure_undefined():
    assert compute_auroc([0.3, 0.4], [1, 1]) is None
    assert compute_auroc([0.3, 0.4], [0, 0]) is None
    assert compute_auprc_error([0.3, 0.4], [1, 1]) is None
    assert compute_auprc_error([0.3, 0.4], [0, 0]) == 1.0


@settings(max_examples=60)
@given(steps)
def test_ranking_agrees_with_scikit_learn(rows):
    p_ok, ok = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if 0 < ok.sum() < len(ok):
        assert compute_auroc(p_ok, ok) == pytest.approx(roc_auc_score(ok, p_ok), abs=1e-12)
        assert compute_auprc_error(p_ok, ok) == pytest.approx(average_precision_score(1 - ok, -p_ok), abs=1e-12)


@settings(max_examples=60)
@given(steps, st.integers(0, 2**32 - 1))
def test_weights_are_repetitions(rows, seed):
    p_ok, ok = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    weights = np.random.default_rng(seed).integers(0, 4, size=(3, len(ok)))
    for row, values in zip(weights, weighted_ranking(p_ok, ok, weights.astype(float)), strict=True):
        for value, compute in zip(values, (compute_auroc, compute_auprc_error), strict=True):
            repeated = compute(p_ok.repeat(row), ok.repeat(row)) if row.any() else None
            assert np.isnan(value) if repeated is None else value == pytest.approx(repeated, abs=1e-12)


def test_weights_are_left_as_they_were():
    weights = np.ones((2, 3))
    weighted_ranking(np.array([0.3, 0.2, 0.1]), np.array([1.0, 0.0, 1.0]), weights)
    assert (weights == 1).all()


def test_what_is_no_probability_or_label_is_refused():
    with pytest.raises(DataError, match="outside"):
        compute_auroc([1.2, 0.5], [1, 0])
    with pytest.raises(DataError, match="nothing to measure"):
        compute_auprc_error([], [])
    with pytest.raises(DataError, match="right"):
        compute_auroc([0.2, 0.5], [1, 2])


def noisy(values, rng):
    """Values with the last bits of each moved at random, as another order of the same arithmetic moves them."""
    return np.array(values) * (1 + rng.integers(-3, 4, size=len(values)) * 2.0**-53)


@settings(max_examples=60)
@given(steps, st.integers(0, 2**32 - 1))
def test_rounding_breaks_no_ties(rows, seed):
    p_ok, ok = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    moved = np.clip(noisy(p_ok, np.random.default_rng(seed)), 0, 1)
    for measure in (compute_auroc, compute_auprc_error):
        assert measure(moved, ok) == measure(p_ok, ok)


def test_a_judge_that_says_the_same_of_every_step_ranks_nothing_however_long_its_solutions_are():
    for n_steps in (1, 3, 8, 60):
        verdict = Verdict.from_step_probs([0.9] * n_steps)
        for given_or_worked_out in (verdict, Verdict(posterior=verdict.posterior)):
            labels = [1] * (n_steps - 1) + [0]
            p_ok, ok = [*given_or_worked_out.p_ok_S] * 2, [*labels, *[1] * n_steps]
            assert compute_auroc(p_ok, ok) == 0.5
