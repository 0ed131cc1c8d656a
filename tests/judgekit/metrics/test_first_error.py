import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, top_k_accuracy_score

from judgekit.errors import DataError
from judgekit.metrics.first_error import score_first_errors
from judgekit.metrics.steps import NLL_CLIP
from judgekit.types import Verdict


def posteriors(n_steps):
    values = st.lists(st.integers(0, 5), min_size=n_steps + 1, max_size=n_steps + 1).filter(any)
    return values.map(lambda counts: [count / sum(counts) for count in counts])


judged = st.integers(1, 5).flatmap(lambda n: st.tuples(posteriors(n), st.one_of(st.none(), st.integers(0, n - 1))))


def test_scores_by_hand():
    # outcomes: step 0, 1, 2, none
    scores = score_first_errors([[0.1, 0.2, 0.4, 0.3]] * 2, gold_N=[1, None])
    assert scores.log_loss_N == pytest.approx([-math.log(0.2), -math.log(0.3)], abs=1e-12)
    assert scores.rank_N.tolist() == [3.0, 2.0]
    # from step 1: 0.1 * 1 + 0.4 * 1 + 0.3 * 2; from none, place 3: 0.1 * 3 + 0.2 * 2 + 0.4 * 1
    assert scores.distance_N == pytest.approx([1.1, 1.1], abs=1e-12)
    # (0.2 * 1 + 0.4 * 2 + 0.3 * 3) / 3 against 1/3 and 1
    assert scores.rts_N == pytest.approx([1.9 / 3] * 2, abs=1e-12)
    assert scores.rts_error_N == pytest.approx([0.9 / 3, -1.1 / 3], abs=1e-12)


def test_ties_have_the_mean_rank_and_a_chance_of_being_on_top():
    scores = score_first_errors([[0.25, 0.25, 0.25, 0.25], [0.5, 0.2, 0.2, 0.1]], gold_N=[None, 1])
    assert scores.rank_N.tolist() == [2.5, 2.5]
    assert scores.top_k_N(1).tolist() == [0.25, 0.0]
    assert scores.top_k_N(2).tolist() == [0.5, 0.5]
    assert scores.top_k_N(3).tolist() == [0.75, 1.0]


def test_an_outcome_ruled_out_costs_a_finite_documented_amount():
    scores = score_first_errors([[1.0, 0.0], [0.0, 1.0]], gold_N=[None, None])
    assert scores.log_loss_N == pytest.approx([-math.log(NLL_CLIP), 0.0], abs=2e-7)
    assert scores.rank_N.tolist() == [2.0, 1.0]


@settings(max_examples=60)
@given(st.lists(judged, min_size=1, max_size=6))
def test_scores_equal_naive_sums_over_the_outcomes(rows):
    scores = score_first_errors([posterior for posterior, _ in rows], gold_N=[gold for _, gold in rows])
    for i, (posterior, gold) in enumerate(rows):
        n = len(posterior) - 1
        true = n if gold is None else gold
        ranks = [r + 1 for r, p in enumerate(sorted(posterior, reverse=True)) if p == posterior[true]]
        assert scores.rank_N[i] == sum(ranks) / len(ranks)
        assert scores.top_k_N(2)[i] == pytest.approx(sum(rank <= 2 for rank in ranks) / len(ranks))
        assert scores.distance_N[i] == pytest.approx(sum(p * abs(k - true) for k, p in enumerate(posterior)))
        verdict = Verdict(posterior=tuple(posterior))
        assert scores.rts_N[i] == pytest.approx(verdict.expected_valid_steps / verdict.n_steps)
        assert abs(scores.rts_error_N[i]) <= scores.distance_N[i] / n + 1e-12


def test_log_loss_and_top_k_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    posterior = rng.dirichlet(np.ones(6), size=200)
    true = rng.integers(6, size=200)
    scores = score_first_errors(posterior.tolist(), gold_N=[None if t == 5 else int(t) for t in true])
    assert scores.log_loss_N.mean() == pytest.approx(log_loss(true, posterior, labels=range(6)), abs=1e-9)
    for k in (1, 2, 3):
        expected = top_k_accuracy_score(true, posterior, k=k, labels=range(6))
        assert scores.top_k_N(k).mean() == pytest.approx(expected, abs=1e-12)


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"solution 1: first error 1 is outside 0\.\.0"):
        score_first_errors([[0.5, 0.5], [0.5, 0.5]], gold_N=[0, 1])
    with pytest.raises(DataError, match="solution 0: a posterior of 1 outcomes"):
        score_first_errors([[1.0]], gold_N=[None])
    with pytest.raises(DataError, match="nothing to measure"):
        score_first_errors([], gold_N=[])


def test_outcomes_that_only_rounding_tells_apart_are_tied():
    scores = score_first_errors([[0.1 + 0.2, 0.3, 0.4], [0.3, 0.1 + 0.2, 0.4]], gold_N=[1, 1])
    assert scores.n_above_N.tolist() == [1, 1]
    assert scores.n_tied_N.tolist() == [2, 2]
