"""Thresholds by hand, the promises on draws that can be repeated, and a second implementation in plain loops."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from judgekit.calibration.conformal import (
    CertifiedPrefixes,
    IndexSets,
    certified_steps,
    conformal_threshold,
    exceeds,
    fit_conformal,
    fresh_problems,
    index_set,
    mass_above,
    problems_needed,
    survival,
    survival_at_error,
    true_mass_above,
)
from judgekit.calibration.fingerprint import fingerprint_of
from judgekit.errors import ConfigError, DataError
from judgekit.types import Verdict
from tests.judgekit.samples import addition

Rows = list[tuple[tuple[float, ...] | None, int | None, int]]
"""Posterior, true first error, problem."""


# Scores by hand


def test_an_outcomes_score_is_the_mass_of_the_more_probable_ones() -> None:
    # Best first: step 1 (0.5), none (0.3), step 0 (0.15), step 2 (0.05).
    assert mass_above([0.15, 0.5, 0.05, 0.3]) == pytest.approx([0.8, 0.0, 0.95, 0.5])
    assert true_mass_above([0.15, 0.5, 0.05, 0.3], None) == pytest.approx(0.5)
    assert true_mass_above([0.15, 0.5, 0.05, 0.3], 0) == pytest.approx(0.8)


def test_of_equally_probable_outcomes_the_earlier_comes_first_and_none_last() -> None:
    assert mass_above([0.25] * 4) == pytest.approx([0.0, 0.25, 0.5, 0.75])
    assert index_set([0.25] * 4, max_mass=0.3) == (0, 1)


@pytest.mark.parametrize(
    ("max_mass", "outcomes"),
    [
        (0.0, (1,)),
        (0.49, (1,)),
        (0.5, (1, None)),
        (0.8125, (0, 1, None)),
        (0.9375, (0, 1, 2, None)),
        (1.0, (0, 1, 2, None)),
    ],
)
def test_index_sets_by_hand(max_mass: float, outcomes: tuple[int | None, ...]) -> None:
    assert index_set([0.125, 0.5, 0.0625, 0.3125], max_mass=max_mass) == outcomes


def test_a_point_mass_has_one_outcome_or_all_of_them() -> None:
    certain = (0.0, 1.0, 0.0)
    assert index_set(certain, max_mass=0.999) == (1,)
    assert index_set(certain, max_mass=1.0) == (0, 1, None)


def test_survival_is_that_of_the_verdict_and_certifies_a_prefix() -> None:
    posterior = (0.1, 0.2, 0.3, 0.4)
    assert survival(posterior) == pytest.approx(Verdict(posterior=posterior).survival_S)
    assert survival(posterior) == pytest.approx([0.9, 0.7, 0.4])
    certified = [certified_steps(posterior, min_survival=t) for t in (0.0, 0.39, 0.41, 0.75, 0.95, 1.0)]
    assert certified == [3, 3, 2, 1, 0, 0]
    assert survival_at_error(posterior, 1) == pytest.approx(0.7)
    assert survival_at_error(posterior, None) == 0.0


def test_a_prefix_holds_the_error_exactly_where_its_score_exceeds_the_threshold() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n_steps = int(rng.integers(1, 8))
        posterior = rng.dirichlet(np.full(n_steps + 1, 0.5)).tolist()
        gold = int(rng.integers(n_steps))
        for threshold in (*survival(posterior), 0.0, 0.5, 1.0):
            holds = certified_steps(posterior, min_survival=threshold) > gold
            assert holds == exceeds(survival_at_error(posterior, gold), threshold)
            inside = gold in index_set(posterior, max_mass=threshold)
            assert inside != exceeds(true_mass_above(posterior, gold), threshold)


def test_rounding_breaks_no_tie_of_masses() -> None:
    assert 0.1 + 0.2 > 0.3
    assert mass_above([0.1 + 0.2, 0.3, 0.4]).tolist() == pytest.approx([0.4, 0.7, 0.0], abs=1e-15)
    assert mass_above([0.3, 0.1 + 0.2, 0.4]).tolist() == pytest.approx([0.4, 0.7, 0.0], abs=1e-15)
    # The mass above the last outcome is 0.9 in both, one sum of it a little more; learned from one, it keeps both.
    sums = [mass_above([0.7, 0.1, 0.1, 0.1])[3], mass_above([0.5, 0.4, 0.1])[2]]
    assert sums[0] != sums[1]
    for max_mass in map(float, sums):
        assert index_set([0.7, 0.1, 0.1, 0.1], max_mass=max_mass) == (0, 1, 2, None)
        assert index_set([0.5, 0.4, 0.1], max_mass=max_mass) == (0, 1, None)
    # Survival that is tied with the threshold does not exceed it.
    assert survival([0.7, 0.1, 0.2])[0] > 0.3
    assert certified_steps([0.7, 0.1, 0.2], min_survival=0.3) == 0


def test_rounding_never_lifts_a_score_above_one() -> None:
    over = [0.7, 0.3 + 4e-7, 1e-7]  # within what a verdict may be off
    assert mass_above(over)[-1] == 1.0
    assert survival([1e-7, 0.3 + 4e-7, 0.7])[0] == 1.0
    assert index_set(over, max_mass=1.0) == (0, 1, None)


# Thresholds by hand


@pytest.mark.parametrize(
    ("alpha", "threshold"),
    [
        (0.5, 0.5),  # of 10: 0.5 * 10 - 1 = 4 may exceed it, so the 5th smallest of 9
        (0.1, 0.9),  # 0.1 * 10 - 1 = 0 may exceed it: the largest
        (0.19, 0.9),  # 0.9 of one is none
        (0.2, 0.8),
        (0.09, 1.0),  # less than none: no score is safe
    ],
)
def test_thresholds_by_hand_with_one_solution_a_problem(alpha: float, threshold: float) -> None:
    scores = [0.3, 0.1, 0.2, 0.9, 0.8, 0.7, 0.4, 0.5, 0.6]
    assert conformal_threshold(scores, problem_N=range(9), alpha=alpha) == threshold
    if threshold < 1:  # the usual statement
        assert threshold == sorted(scores)[math.ceil(10 * (1 - alpha) - 1e-9) - 1]


def test_solutions_of_a_problem_share_its_weight() -> None:
    # Problems a (3 solutions), b, c: alpha 1/2 leaves 0.5 * 4 - 1 = 1 problem. From above: the three of a make 1, which
    # fits; 0.6 of b does not.
    scores, problems = [0.9, 0.8, 0.7, 0.6, 0.1], "aaabc"
    assert conformal_threshold(scores, problem_N=problems, alpha=0.5) == 0.6
    # 0.45 leaves 0.8 of a problem: two thirds of a.
    assert conformal_threshold(scores, problem_N=problems, alpha=0.45) == 0.7
    # Counting solutions as if each were a problem would leave 0.5 * 6 - 1 = 2 of them.
    assert conformal_threshold(scores, problem_N="vwxyz", alpha=0.5) == 0.7


def test_ties_are_kept_or_left_together() -> None:
    assert conformal_threshold([0.5] * 5 + [0.2] * 5, problem_N=range(10), alpha=0.5) == 0.5  # 4.5 may exceed, 5 would
    assert conformal_threshold([0.5] * 4 + [0.2] * 6, problem_N=range(10), alpha=0.5) == 0.2
    assert conformal_threshold([0.5] * 4 + [0.0] * 6, problem_N=range(10), alpha=0.5) == 0.0


def test_everything_may_exceed_where_alpha_is_large() -> None:
    assert conformal_threshold([0.5], problem_N="a", alpha=0.999) == 0.5  # 0.998 of a problem is none
    assert conformal_threshold([0.5, 0.5], problem_N="aa", alpha=0.8) == 0.5
    assert conformal_threshold([0.5, 0.4], problem_N="aa", alpha=0.8) == 0.4  # 0.6: one of the two


@pytest.mark.parametrize(("alpha", "n_problems"), [(0.1, 9), (0.2, 4), (0.05, 19), (0.3, 3), (0.5, 1), (0.9, 1)])
def test_problems_needed(alpha: float, n_problems: int) -> None:
    assert problems_needed(alpha) == n_problems
    assert conformal_threshold([0.5] * n_problems, problem_N=range(n_problems), alpha=alpha) == 0.5
    fewer = n_problems - 1
    assert conformal_threshold([0.5] * fewer, problem_N=range(fewer), alpha=alpha) == 1.0


def test_too_few_problems_promise_nothing_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    posterior_N, gold_N = [(0.9, 0.1)] * 8, [0] * 8
    with caplog.at_level(logging.WARNING):
        sets = IndexSets(alpha=0.1).fit(posterior_N, gold_N=gold_N, problem_N=range(8))
        prefixes = CertifiedPrefixes(alpha=0.1).fit(posterior_N, gold_N=gold_N, problem_N=range(8))
    effects = ("index sets hold every outcome", "no step of solutions is certified")
    assert [record.getMessage() for record in caplog.records] == [
        f"alpha 0.1 needs at least 9 problems with a verdict, but there are 8: {effect}; add problems or raise alpha"
        for effect in effects
    ]
    assert (sets.max_mass_, sets.n_problems_, prefixes.min_survival_) == (1.0, 8, 1.0)
    assert sets.predict([(0.9, 0.1)], n_steps_N=[1]) == [(0, None)]
    assert prefixes.predict([(0.0, 1.0)]) == [0]
    caplog.clear()
    nine = IndexSets(alpha=0.1).fit([(0.9, 0.1)] * 9, gold_N=[0] * 9, problem_N=range(9))
    assert (nine.max_mass_, nine.predict([(0.9, 0.1)], n_steps_N=[1])) == (0.0, [(0,)])
    assert not caplog.records


def test_solutions_without_a_verdict_do_not_count_and_are_promised_nothing(caplog: pytest.LogCaptureFixture) -> None:
    judged: Rows = [((0.2, 0.5, 0.3), None, problem) for problem in range(5)]
    silent: Rows = [(None, 1, problem) for problem in range(40)]
    alone, mixed = (_fit(rows, alpha=0.3) for rows in (judged, judged + silent))
    assert (mixed[0].max_mass_, mixed[0].n_problems_) == (alone[0].max_mass_, 5) == (0.5, 5)
    assert mixed[0].predict([None, (0.2, 0.5, 0.3)], n_steps_N=[2, 2]) == [(0, 1, None), (1, None)]
    assert mixed[1].predict([None, (0.2, 0.5, 0.3)]) == [0, 2]
    nothing = _fit(silent, alpha=0.3)
    assert (nothing[0].max_mass_, nothing[0].n_problems_, nothing[1].min_survival_) == (1.0, 0, 1.0)
    assert "there are 0" in caplog.text


def test_a_judge_that_is_always_right_gets_single_outcomes_and_full_prefixes() -> None:
    rows: Rows = [((0.1, 0.7, 0.2), 1, i) for i in range(10)] + [((0.1, 0.2, 0.7), None, 10 + i) for i in range(10)]
    sets, prefixes = _fit(rows, alpha=0.1)
    assert sets.max_mass_ == 0.0
    assert sets.predict([(0.3, 0.3, 0.4)], n_steps_N=[2]) == [(None,)]
    # The survival at the first error is 0.2; 0.1 * 21 - 1 = 1.1 of the 10 problems may exceed the threshold.
    assert prefixes.min_survival_ == pytest.approx(0.2)
    assert prefixes.predict([(0.1, 0.7, 0.2), (0.1, 0.2, 0.7)]) == [1, 2]


def test_a_promise_about_erroneous_solutions_counts_them_alone() -> None:
    wrong: Rows = [((1 - (i + 1) / 10, (i + 1) / 10), 0, i) for i in range(9)]
    right: Rows = [((0.5, 0.5), None, 100 + i) for i in range(9)]
    mixture, if_wrong = (_fit(wrong + right, alpha=0.2, if_wrong=only)[1] for only in (False, True))
    assert (mixture.min_survival_, mixture.n_problems_) == (pytest.approx(0.7), 18)  # 0.2 * 19 - 1: two may exceed it
    assert (if_wrong.min_survival_, if_wrong.n_problems_) == (pytest.approx(0.8), 9)  # 0.2 * 10 - 1: one may


def test_what_cannot_be_learned_from_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"alpha 1\.0 must be inside \(0, 1\)"):
        IndexSets(alpha=1.0)
    with pytest.raises(ConfigError, match="alpha 0 must be inside"):
        CertifiedPrefixes(alpha=0)
    with pytest.raises(DataError, match="nothing to measure"):
        IndexSets(alpha=0.1).fit([], gold_N=[], problem_N=[])
    with pytest.raises(DataError, match="lengths"):
        IndexSets(alpha=0.1).fit([(0.5, 0.5)], gold_N=[None], problem_N=[])
    with pytest.raises(DataError, match=r"solution 1: first error 1 is outside 0\.\.0"):
        IndexSets(alpha=0.1).fit([(0.5, 0.5)] * 2, gold_N=[None, 1], problem_N="ab")


# The promises. Given a bag of n + 1 problems, the new one is equally likely to be each of them: leaving each out in
# turn gives the exact expectation, so these tests have no noise to allow for.


def _columns(rows: Rows) -> tuple[list[tuple[float, ...] | None], dict[str, list[Any]]]:
    posterior_N, gold_N, problem_N = (list(column) for column in zip(*rows, strict=True))
    return posterior_N, {"gold_N": gold_N, "problem_N": problem_N}


def _fit(rows: Rows, *, alpha: float, if_wrong: bool = False) -> tuple[IndexSets, CertifiedPrefixes]:
    posterior_N, others = _columns(rows)
    prefixes = CertifiedPrefixes(alpha=alpha, if_wrong=if_wrong)
    return IndexSets(alpha=alpha).fit(posterior_N, **others), prefixes.fit(posterior_N, **others)


def _solution(rng: np.random.Generator, problem: int) -> Rows:
    """Draw a solution of 2 to 5 steps; the truth follows a blend of the posterior and chance."""
    n_steps = int(rng.integers(2, 6))
    posterior = rng.dirichlet(np.full(n_steps + 1, 0.7))
    truth = 0.3 * posterior + 0.7 / (n_steps + 1)
    outcome = int(rng.choice(n_steps + 1, p=truth / truth.sum()))
    return [(tuple(posterior.tolist()), None if outcome == n_steps else outcome, problem)]


def _losses(new: Rows, sets: IndexSets, prefixes: CertifiedPrefixes) -> tuple[float, float]:
    """Return the shares of a problem's solutions whose set misses the truth and whose prefix holds it."""
    posterior_N, others = _columns(new)
    gold_N = others["gold_N"]
    outcomes_N = sets.predict(posterior_N, n_steps_N=[len(posterior) - 1 for posterior in posterior_N if posterior])
    misses = [gold not in outcomes for gold, outcomes in zip(gold_N, outcomes_N, strict=True)]
    kept_N = prefixes.predict(posterior_N)
    holds = [gold is not None and kept > gold for gold, kept in zip(gold_N, kept_N, strict=True)]
    return sum(misses) / len(new), sum(holds) / len(new)


def _expected_losses(bag: list[Rows], *, alpha: float, as_problems: bool = False) -> tuple[float, float]:
    """Return both losses of a problem of the bag when all others calibrate, averaged over which one it is."""
    losses = []
    for left_out, new in enumerate(bag):
        rows = [row for i, problem in enumerate(bag) if i != left_out for row in problem]
        if as_problems:
            rows = [(posterior, gold, i) for i, (posterior, gold, _) in enumerate(rows)]
        losses.append(_losses(new, *_fit(rows, alpha=alpha)))
    miss, risk = np.mean(losses, axis=0)
    return float(miss), float(risk)


@pytest.mark.parametrize(("n_problems", "alpha"), [(9, 0.1), (9, 0.25), (14, 0.2), (24, 0.1), (24, 0.33)])
def test_coverage_lies_within_one_problem_of_what_is_promised(n_problems: int, alpha: float) -> None:
    rng = np.random.default_rng(n_problems)
    for _ in range(10):
        miss, risk = _expected_losses([_solution(rng, i) for i in range(n_problems + 1)], alpha=alpha)
        assert alpha - 1 / (n_problems + 1) - 1e-9 <= miss <= alpha + 1e-9
        assert risk <= alpha + 1e-9


def test_problems_of_many_solutions_keep_both_promises() -> None:
    rng, alpha = np.random.default_rng(1), 0.2
    for _ in range(10):
        bag = [[row for _ in range(int(rng.integers(1, 6))) for row in _solution(rng, i)] for i in range(20)]
        miss, risk = _expected_losses(bag, alpha=alpha)
        assert alpha - 2 / 20 - 1e-9 <= miss <= alpha + 1e-9
        assert risk <= alpha + 1e-9


def test_solutions_taken_for_problems_break_the_promise_that_problems_keep() -> None:
    """One problem in four is hard and has a single solution, which the judge gets wrong; easy ones have ten, all right.

    Whoever draws a problem first meets a hard one in a quarter of the draws, but among solutions they are 1 in 31.
    """
    rng, alpha = np.random.default_rng(0), 0.1
    bag: list[Rows] = []
    for problem in range(24):
        hard = problem % 4 == 0
        best_first = [np.sort(rng.dirichlet(np.full(6, 0.7)))[::-1].tolist() for _ in range(1 if hard else 10)]
        bag.append([(tuple(posterior), int(rng.integers(1, 5)) if hard else 0, problem) for posterior in best_first])
    assert _expected_losses(bag, alpha=alpha)[0] <= alpha + 1e-9
    assert _expected_losses(bag, alpha=alpha, as_problems=True)[0] == pytest.approx(0.25)


def test_the_promise_about_erroneous_solutions_holds_whatever_the_share_of_right_ones() -> None:
    rng, alpha = np.random.default_rng(2), 0.2
    for _ in range(10):
        bag = [_solution(rng, i) for i in range(60)]
        wrong = [rows for rows in bag if rows[0][1] is not None]
        risks = []
        for new in wrong:
            rows = [row for rows in bag if rows is not new for row in rows]
            risks.append(_losses(new, *_fit(rows, alpha=alpha, if_wrong=True))[1])
        assert alpha - 1 / len(wrong) - 1e-9 <= np.mean(risks) <= alpha + 1e-9


# A second implementation, in loops and fractions


def naive_threshold(scores: Sequence[float], problems: Sequence[int], alpha: Fraction) -> float:
    """Try every threshold and count, for each, the mean loss over the problems and one more of loss 1."""
    names = sorted(set(problems))
    for threshold in sorted({0.0, 1.0, *scores}):
        total = Fraction(1)
        for name in names:
            own = [score for score, problem in zip(scores, problems, strict=True) if problem == name]
            total += Fraction(sum(score > threshold for score in own), len(own))
        if total / (len(names) + 1) <= alpha:
            return threshold
    return 1.0


def test_a_naive_implementation_agrees() -> None:
    rng = np.random.default_rng(3)
    for _ in range(300):
        n = int(rng.integers(1, 40))
        scores = np.round(rng.random(n), 1).tolist()  # ties
        problems = rng.integers(0, int(rng.integers(1, 20)), size=n).tolist()
        for alpha in ("0.05", "0.1", "0.25", "0.5", "0.77"):
            expected = naive_threshold(scores, problems, Fraction(alpha))
            assert conformal_threshold(scores, problem_N=problems, alpha=float(alpha)) == expected


# What the card holds


def test_the_card_holds_three_thresholds_and_their_counts() -> None:
    solutions = [addition(i, first_error=i % 3 if i % 4 else None) for i in range(40)]
    rng = np.random.default_rng(4)
    posterior_N = [None if i % 10 == 0 else tuple(rng.dirichlet(np.ones(4)).tolist()) for i in range(40)]
    card = fit_conformal(posterior_N, solutions, alpha=0.2, fingerprint=fingerprint_of(Path("data"), solutions))
    rows: Rows = [(p, s.first_error, i) for i, (p, s) in enumerate(zip(posterior_N, solutions, strict=True))]
    sets, prefixes = _fit(rows, alpha=0.2)
    assert (card.max_mass, card.min_survival) == (sets.max_mass_, prefixes.min_survival_)
    assert card.min_survival_if_wrong >= card.min_survival
    assert (card.n_problems, card.n_problems_if_wrong, card.n_no_verdict) == (36, 28, 4)
    assert card.fingerprint.n_solutions == 40


def test_fresh_problems_are_a_share_that_no_order_changes() -> None:
    names = [f"p{i}" for i in range(101)]
    fresh = fresh_problems(names * 2, frac=0.5)
    assert len(fresh) == 50 and fresh < set(names)
    assert fresh_problems(names[::-1], frac=0.5) == fresh
    assert fresh_problems(names, frac=0.3) < fresh
    assert fresh_problems(["p0"], frac=0.5) == set()
