"""Judges that read nothing, worked out by hand; how they stand in a benchmark is tested beside that."""

from __future__ import annotations

import numpy as np
import pytest

from judgekit.errors import DataError
from judgekit.training.floors import FLOORS, POSITION, cross_fit_floor, fit_floor, fit_position, step_features
from tests.eval.samples import sample


def test_the_floor_of_positions_tells_lengths_apart_and_falls_back_on_all_of_them() -> None:
    # of two steps the first is always wrong, of three the last; nobody has seen four, or twenty
    known = [sample(i, first_error=0, n_steps=2) for i in range(40)]
    known += [sample(i, first_error=2, n_steps=3) for i in range(100, 140)]
    known += [sample(i, first_error=None, n_steps=3) for i in range(200, 202)]
    others = [sample(i, first_error=None, n_steps=n) for i, n in ((300, 2), (301, 3), (302, 4), (303, 20))]
    two, three, four, twenty = (verdict.p_ok_S for verdict in fit_position(known)(others))
    share = 80 / (82 + 42 + 42)
    of_all = [(40 + share) / 83, share / 43, (40 + share) / 43, share]
    assert two == pytest.approx([1 - (40 + 10 * of_all[0]) / 50, 1 - of_all[1]])
    expected = [1 - 10 * of_all[0] / 52, 1 - 10 * of_all[1] / 52, 1 - (40 + 10 * of_all[2]) / 52]
    assert three == pytest.approx(expected)
    assert four == pytest.approx([1 - hazard for hazard in of_all])
    assert twenty == pytest.approx([1 - hazard for hazard in (*of_all[:3], *[share] * 17)])


def test_features_know_places_and_lengths_and_no_words() -> None:
    steps = ("ab cd", "abcdefgh", "a b c d e")
    features = step_features(steps)
    assert features.shape == (3, 9)
    assert features[:, 0] == pytest.approx(np.log([1, 2, 3]))
    assert features[:, 1] == pytest.approx([1 / 3, 2 / 3, 1])
    assert features[:, 2] == pytest.approx([np.log(3)] * 3)
    assert (features[:, 3].tolist(), features[:, 4].tolist()) == ([1, 0, 0], [0, 0, 1])
    assert features[:, 5] == pytest.approx(np.log([6, 9, 10]))
    assert features[:, 6] == pytest.approx(np.log([3, 2, 6]))
    assert features[:, 7].sum() == pytest.approx(0)
    assert features[:, 8] == pytest.approx([np.log(23)] * 3)
    assert np.array_equal(features, step_features(("xy zw", "hgfedcba", "9 8 7 6 5")))


def test_a_floor_is_fitted_with_its_threshold_and_without_the_fold_that_it_judges() -> None:
    # the first step of two is wrong in one half, the second in the other; each half is judged by what the other knows
    first = [sample(i, first_error=None if i % 4 == 0 else 0, n_steps=2) for i in range(20)]
    second = [sample(i, first_error=None if i % 4 == 0 else 1, n_steps=2) for i in range(20, 40)]
    folds = [(range(20, 40), range(20)), (range(20), range(20, 40))]
    for name in FLOORS:
        found = cross_fit_floor(name, [*first, *second], folds)
        judge, rule = fit_floor(name, second)
        assert found[:20] == [(verdict, rule) for verdict in judge(first)]
    decided = [verdict.decide(rule) for verdict, rule in cross_fit_floor(POSITION, [*first, *second], folds)]
    assert decided == [1] * 20 + [0] * 20
    for name in FLOORS:
        with pytest.raises(DataError, match=f"no {name}: of 15 solutions 0 are correct, but it needs both kinds"):
            fit_floor(name, [item for item in first if item.first_error == 0])
