from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from judgekit.errors import DataError
from judgekit.judges import load_judge
from judgekit.metrics.ranking import (
    compute_auroc,
    compute_auroc_within_position,
    count_pairs_within_position,
    step_places,
    weighted_auroc_within_position,
    weighted_ranking,
)
from judgekit.metrics.steps import collect_reached_steps
from judgekit.types import Solution, Verdict

steps = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.integers(0, 1)), min_size=1, max_size=12)


def average_precision(p_ok, ok):
    found = weighted_ranking(np.array(p_ok), np.array(ok, dtype=float), np.ones((1, len(ok))))[0, 1]
    return None if np.isnan(found) else found


def test_auroc_by_hand():
    # right 0.9, 0.5; wrong 0.5, 0.1: of 4 pairs 3 are in order and 1 is tied
    assert compute_auroc([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0]) == 3.5 / 4


def test_auprc_by_hand():
    # ascending: 0.1 wrong (precision 1, recall 1/3), 0.5 right, wrong, wrong together (precision 3/4, recall 1)
    assert average_precision([0.5, 0.1, 0.5, 0.5], [1, 0, 0, 0]) == pytest.approx(1 / 3 + 2 / 3 * 3 / 4, abs=1e-15)


def test_a_judge_that_always_says_the_same_ranks_nothing():
    assert compute_auroc([0.7] * 5, [1, 1, 1, 0, 0]) == 0.5
    assert average_precision([0.7] * 5, [1, 1, 1, 0, 0]) == pytest.approx(0.4, abs=1e-15)


def test_a_missing_class_leaves_the_figure_undefined():
    assert compute_auroc([0.3, 0.4], [1, 1]) is None
    assert compute_auroc([0.3, 0.4], [0, 0]) is None
    assert average_precision([0.3, 0.4], [1, 1]) is None
    assert average_precision([0.3, 0.4], [0, 0]) == 1.0


@settings(max_examples=60)
@given(steps)
def test_ranking_agrees_with_scikit_learn(rows):
    p_ok, ok = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if 0 < ok.sum() < len(ok):
        assert compute_auroc(p_ok, ok) == pytest.approx(roc_auc_score(ok, p_ok), abs=1e-12)
        assert average_precision(p_ok, ok) == pytest.approx(average_precision_score(1 - ok, -p_ok), abs=1e-12)


@settings(max_examples=60)
@given(steps, st.integers(0, 2**32 - 1))
def test_weights_are_repetitions(rows, seed):
    p_ok, ok = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    weights = np.random.default_rng(seed).integers(0, 4, size=(3, len(ok)))
    for row, values in zip(weights, weighted_ranking(p_ok, ok, weights.astype(float)), strict=True):
        for value, compute in zip(values, (compute_auroc, average_precision), strict=True):
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
        compute_auroc([], [])
    with pytest.raises(DataError, match="a step is correct"):
        compute_auroc([0.2, 0.5], [1, 2])


def noisy(values, rng):
    """Values with the last bits of each moved at random, as another order of the same arithmetic moves them."""
    return np.array(values) * (1 + rng.integers(-3, 4, size=len(values)) * 2.0**-53)


@settings(max_examples=60)
@given(steps, st.integers(0, 2**32 - 1))
def test_rounding_breaks_no_ties(rows, seed):
    p_ok, ok = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    moved = np.clip(noisy(p_ok, np.random.default_rng(seed)), 0, 1)
    for measure in (compute_auroc, average_precision):
        assert measure(moved, ok) == measure(p_ok, ok)


def test_a_judge_that_says_the_same_of_every_step_ranks_nothing_however_long_its_solutions_are():
    for n_steps in (1, 3, 8, 60):
        verdict = Verdict.from_step_probs([0.9] * n_steps)
        for given_or_worked_out in (verdict, Verdict(posterior=verdict.posterior)):
            labels = [1] * (n_steps - 1) + [0]
            p_ok, ok = [*given_or_worked_out.p_ok_S] * 2, [*labels, *[1] * n_steps]
            assert compute_auroc(p_ok, ok) == 0.5


# Within position

placed = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=14
)


def test_auroc_within_position_by_hand():
    # place 7: right 0.9 and 0.4 against wrong 0.6, one of two in order; place 3: 0.5 against 0.5, half of one
    p_ok, ok, place = [0.9, 0.4, 0.6, 0.5, 0.5, 0.1], [1, 1, 0, 1, 0, 1], [7, 7, 7, 3, 3, 5]
    assert compute_auroc_within_position(p_ok, ok, place_K=place) == (1 + 0 + 0.5) / 3
    assert count_pairs_within_position(np.array(ok, dtype=float), place_K=np.array(place)) == 3
    # over all places the right step of place 5 counts, too: below both wrong ones; 0.9, 0.4 and 0.5 have 2, 0 and 0.5
    assert compute_auroc(p_ok, ok) == 2.5 / 8


def test_places_are_index_and_number_of_steps():
    steps = collect_reached_steps([[0.1, 0.2, 0.3], None, [0.4, 0.5, 0.6], [0.7, 0.8]], gold_N=[1, 0, None, 1])
    place_K = step_places(steps.solution_K, n_steps_N=[3, 5, 3, 2])
    index_K, n_steps_K = [0, 1, 0, 1, 2, 0, 1], [3, 3, 3, 3, 3, 2, 2]
    pairs = list(zip(index_K, n_steps_K, strict=True))
    for a, pair_a in zip(place_K, pairs, strict=True):
        for b, pair_b in zip(place_K, pairs, strict=True):
            assert (a == b) == (pair_a == pair_b)
    with pytest.raises(DataError, match="solution 0: more steps are counted than its 1"):
        step_places(np.array([0, 0]), n_steps_N=[1])


@given(placed, st.integers(0, 2**32 - 1))
def test_within_position_weights_are_copies_and_the_pairs_are_all_there_are(rows, seed):
    p_ok, ok, place = (np.array(column) for column in zip(*rows, strict=True))
    p_ok, ok = p_ok.astype(float), ok.astype(float)
    weights = np.random.default_rng(seed).integers(0, 4, size=(3, len(rows))).astype(float)
    found = weighted_auroc_within_position(p_ok, ok, weights, place_K=place)
    for value, weight in zip(found, weights.astype(int), strict=True):
        copied = [np.repeat(column, weight).tolist() for column in (p_ok, ok, place)]
        in_order, n_pairs = Fraction(0), 0
        for p_right, is_ok, here in zip(*copied, strict=True):
            for p_wrong, other_ok, there in zip(*copied, strict=True):
                if is_ok and not other_ok and here == there:
                    in_order += Fraction(int(p_right > p_wrong)) + Fraction(int(p_right == p_wrong), 2)
                    n_pairs += 1
        if n_pairs:
            assert value == pytest.approx(float(in_order / n_pairs), abs=1e-12)
        else:
            assert np.isnan(value)
        if len(copied[0]):
            assert count_pairs_within_position(np.array(copied[1]), place_K=np.array(copied[2])) == n_pairs


def test_one_place_is_plain_auroc_and_places_of_one_class_are_none():
    rng = np.random.default_rng(0)
    p_ok, ok = rng.random(200).round(1), (rng.random(200) < 0.7).astype(float)
    assert compute_auroc_within_position(p_ok, ok, place_K=[4] * 200) == pytest.approx(compute_auroc(p_ok, ok))
    assert compute_auroc_within_position(p_ok, ok, place_K=np.arange(200)) is None
    assert compute_auroc_within_position([0.3, 0.4], [1, 1], place_K=[0, 0]) is None


def first_errors(n, *, seed):
    """Wrong solutions of 3 to 12 steps whose first error is anywhere alike."""
    rng = np.random.default_rng(seed)
    n_steps_N = rng.integers(3, 13, size=n).tolist()
    return n_steps_N, [int(rng.integers(n_steps)) for n_steps in n_steps_N]


@pytest.mark.parametrize(
    "judge",
    [
        lambda k, n: 0.9,
        lambda k, n: 0.95 - 0.05 * k,
        lambda k, n: k / 20,
        lambda k, n: n / 20,
        lambda k, n: 1 - k / n,
        lambda k, n: 1 - 1 / (n - k + 0.5),
        lambda k, n: ((k * 7 + n * 3) % 5) / 5,
    ],
)
def test_a_judge_that_knows_the_place_alone_has_exactly_one_half(judge):
    n_steps_N, gold_N = first_errors(400, seed=1)
    p_ok_N_S = [[judge(k, n_steps) for k in range(n_steps)] for n_steps in n_steps_N]
    verdicts = [Verdict.from_step_probs(p_ok_S) for p_ok_S in p_ok_N_S]
    for read in (verdicts, [Verdict(posterior=verdict.posterior) for verdict in verdicts]):
        p_ok_K, ok_K, solution_K = collect_reached_steps([verdict.p_ok_S for verdict in read], gold_N=gold_N)
        place_K = step_places(solution_K, n_steps_N=n_steps_N)
        assert compute_auroc_within_position(p_ok_K, ok_K, place_K=place_K) == 0.5


def test_chance_wins_over_all_steps_of_wrong_solutions_and_not_within_position():
    # The random judge names one outcome with 0.9; which is all it needs to be 0.6 and more where length tells.
    n_steps_N, gold_N = first_errors(3000, seed=2)
    solutions = [Solution(problem=f"{i}", steps=("x",) * n_steps) for i, n_steps in enumerate(n_steps_N)]
    p_ok_N_S = [item.verdict.p_ok_S for item in load_judge("builtin:random").judge(solutions)]
    p_ok_K, ok_K, solution_K = collect_reached_steps(p_ok_N_S, gold_N=gold_N)
    place_K = step_places(solution_K, n_steps_N=n_steps_N)
    assert compute_auroc(p_ok_K, ok_K) > 0.58
    assert compute_auroc_within_position(p_ok_K, ok_K, place_K=place_K) == pytest.approx(0.5, abs=0.03)
    index_K = place_K // (1 + max(n_steps_N))
    assert compute_auroc_within_position(p_ok_K, ok_K, place_K=index_K) > 0.58, "the index alone is not enough"


def test_a_judge_that_reads_keeps_what_it_knows_within_position():
    n_steps_N, gold_N = first_errors(200, seed=3)
    p_ok_N_S = [[0.2 if k == gold else 0.8 for k in range(n)] for n, gold in zip(n_steps_N, gold_N, strict=True)]
    p_ok_K, ok_K, solution_K = collect_reached_steps(p_ok_N_S, gold_N=gold_N)
    place_K = step_places(solution_K, n_steps_N=n_steps_N)
    assert compute_auroc_within_position(p_ok_K, ok_K, place_K=place_K) == 1.0
    assert compute_auroc_within_position(1 - p_ok_K, ok_K, place_K=place_K) == 0.0
