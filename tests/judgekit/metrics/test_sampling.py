"""pass@k, best of N and votes: by hand, and against walks over every subset."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, permutations
from statistics import fmean

import pytest

from judgekit.errors import DataError
from judgekit.metrics.sampling import best_of_n, draw_subsets, pass_at_k, vote

INF = float("inf")

# By hand


@pytest.mark.parametrize(
    ("n", "n_right", "k", "expected"),
    [
        (4, 1, 1, 1 / 4),
        (4, 1, 2, 1 / 2),  # 3 of the 6 pairs hold the right one
        (4, 2, 2, 5 / 6),
        (10, 3, 5, 1 - 21 / 252),
        (4, 3, 2, 1.0),  # no two wrong ones
        (4, 0, 4, 0.0),
        (8, 1, 8, 1.0),
    ],
)
def test_pass_at_k_by_hand(n: int, n_right: int, k: int, expected: float) -> None:
    assert pass_at_k(n, n_right, k=k) == pytest.approx(expected, abs=1e-15)


def test_best_of_n_by_hand() -> None:
    scores, outcomes = [0.2, 0.9, 0.9, 0.5], [1.0, 1.0, 0.0, 0.0]
    # pairs: 01 right, 02 wrong, 03 wrong, 12 a tie (1/2), 13 right, 23 wrong
    assert best_of_n(scores, outcomes, n_drawn=2) == pytest.approx(2.5 / 6)
    assert best_of_n(scores, outcomes, n_drawn=1) == pytest.approx(1 / 2)
    assert best_of_n(scores, outcomes, n_drawn=4) == pytest.approx(1 / 2), "the two best tie"


def test_what_has_no_verdict_ranks_last_and_is_chosen_among_its_like() -> None:
    assert best_of_n([-INF, 0.0], [1.0, 0.0], n_drawn=2) == 0.0
    assert best_of_n([-INF, -INF, 0.0], [1.0, 0.0, 0.0], n_drawn=2) == pytest.approx(1 / 6)


def test_rounding_errors_are_ties() -> None:
    assert best_of_n([0.1 + 0.2, 0.3], [1.0, 0.0], n_drawn=2) == 0.5
    assert best_of_n([0.3 + 1e-6, 0.3], [1.0, 0.0], n_drawn=2) == 1.0


def test_votes_by_hand() -> None:
    every = draw_subsets(3, n_drawn=3, n_max=10, seed=0)
    assert vote([0, 0, 1], [1.0] * 3, [1.0, 1.0, 0.0], every) == 1.0
    assert vote([0, 0, 1], [0.2, 0.3, 0.9], [1.0, 1.0, 0.0], every) == 0.0, "0.5 against 0.9"
    assert vote([0, 1, 2], [1.0] * 3, [1.0, 0.0, 0.0], every) == pytest.approx(1 / 3), "three tie"
    assert vote([None, None, 0], [1.0] * 3, [0.0, 0.0, 1.0], every) == 1.0, "no answer is no vote"
    assert vote([None, None, None], [1.0] * 3, [1.0, 0.0, 0.0], every) == pytest.approx(1 / 3)
    assert vote([0, 0, 1], [0.0] * 3, [1.0, 1.0, 0.0], every) == pytest.approx(2 / 3), "no vote has weight"
    pairs = draw_subsets(3, n_drawn=2, n_max=10, seed=0)
    assert vote([0, 0, 1], [1.0] * 3, [1.0, 1.0, 0.0], pairs) == pytest.approx((1 + 0.5 + 0.5) / 3)


# Against walks over every subset


def walk_best(scores: Sequence[float], outcomes: Sequence[float], n: int) -> float:
    """Draw n in every order and take the first of the best, which breaks ties evenly."""
    chosen = []
    for order in permutations(range(len(scores)), n):
        best = max(order, key=lambda member: scores[member])  # the first one of equals
        chosen.append(outcomes[best])
    return fmean(chosen)


def walk_vote(answers: Sequence[int | None], weights: Sequence[float], outcomes: Sequence[float], n: int) -> float:
    values = []
    for subset in combinations(range(len(answers)), n):
        sums: dict[int, float] = {}
        for member in subset:
            answer = answers[member]
            if answer is not None:
                sums[answer] = sums.get(answer, 0.0) + weights[member]
        most = max(sums.values(), default=0.0)
        winners = [answer for answer, total in sums.items() if abs(total - most) < 1e-9] if most > 0 else []
        if not winners:
            values.append(fmean(outcomes[member] for member in subset))
            continue
        values.append(fmean(fmean(outcomes[m] for m in subset if answers[m] == winner) for winner in winners))
    return fmean(values)


@pytest.mark.parametrize("seed", range(12))
def test_expectations_are_those_of_a_walk(seed: int) -> None:
    rng = random.Random(seed)
    size = rng.randint(2, 6)
    outcomes = [float(rng.random() < 0.5) for _ in range(size)]
    scores = [rng.choice([-INF, 0.1, 0.5, 0.5, 0.9]) for _ in range(size)]
    answers = [rng.choice([None, 0, 1, 2]) for _ in range(size)]
    weights = [rng.choice([0.0, 0.25, 0.5, 1.0]) for _ in range(size)]
    for n in range(1, size + 1):
        assert best_of_n(scores, outcomes, n_drawn=n) == pytest.approx(walk_best(scores, outcomes, n))
        assert best_of_n(outcomes, outcomes, n_drawn=n) == pytest.approx(pass_at_k(size, int(sum(outcomes)), k=n)), (
            "choosing by the outcome is pass@k"
        )
        subsets = draw_subsets(size, n_drawn=n, n_max=100, seed=0)
        assert vote(answers, weights, outcomes, subsets) == pytest.approx(walk_vote(answers, weights, outcomes, n))


def test_equal_scores_are_random_choice_and_order_does_not_matter() -> None:
    outcomes = [1.0, 0.0, 0.0, 1.0, 1.0]
    assert all(best_of_n([0.3] * 5, outcomes, n_drawn=n) == pytest.approx(0.6) for n in range(1, 6))
    scores = [0.1, 0.9, 0.4, 0.4, 0.2]
    turned = best_of_n(scores[::-1], outcomes[::-1], n_drawn=3)
    assert turned == pytest.approx(best_of_n(scores, outcomes, n_drawn=3))


def test_many_subsets_are_sampled() -> None:
    assert len(draw_subsets(8, n_drawn=4, n_max=70, seed=0)) == 70
    some = draw_subsets(30, n_drawn=4, n_max=500, seed=1)
    assert some.shape == (500, 4) and all(len({*row}) == 4 for row in some.tolist())
    assert (some == draw_subsets(30, n_drawn=4, n_max=500, seed=1)).all()
    answers, outcomes = [0] * 18 + [1] * 12, [1.0] * 18 + [0.0] * 12
    exact = draw_subsets(30, n_drawn=4, n_max=10**6, seed=0)
    sampled = draw_subsets(30, n_drawn=4, n_max=4000, seed=0)
    assert vote(answers, [1.0] * 30, outcomes, sampled) == pytest.approx(
        vote(answers, [1.0] * 30, outcomes, exact), abs=0.03
    )


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(DataError, match=r"pass@5 of 4 samples"):
        pass_at_k(4, 1, k=5)
    with pytest.raises(DataError, match="pass@1 of 4 samples with 5"):
        pass_at_k(4, 5, k=1)
    with pytest.raises(DataError, match="cannot draw 3 of 2"):
        best_of_n([0.1, 0.2], [0.0, 1.0], n_drawn=3)
    with pytest.raises(DataError, match="NaN"):
        best_of_n([float("nan"), 0.2], [0.0, 1.0], n_drawn=1)
    with pytest.raises(DataError, match="lengths"):
        best_of_n([0.1], [0.0, 1.0], n_drawn=1)
    with pytest.raises(DataError, match="weights"):
        vote([0, 1], [1.0, -1.0], [0.0, 1.0], draw_subsets(2, n_drawn=2, n_max=1, seed=0))


def test_products_in_another_order_are_ties_and_small_scores_are_not() -> None:
    first, second = 0.15 * 0.97 * 0.9, 0.15 * 0.9 * 0.97
    assert first != second
    assert best_of_n([first, second], [1.0, 0.0], n_drawn=2) == 0.5
    assert vote([0, 1], [first, second], [1.0, 0.0], draw_subsets(2, n_drawn=2, n_max=1, seed=0)) == 0.5
    # P(no error) of a long solution: far below any absolute bound, and still twice the other's.
    assert best_of_n([2e-12, 1e-12], [1.0, 0.0], n_drawn=2) == 1.0
    assert vote([0, 1], [2e-12, 1e-12], [1.0, 0.0], draw_subsets(2, n_drawn=2, n_max=1, seed=0)) == 1.0
