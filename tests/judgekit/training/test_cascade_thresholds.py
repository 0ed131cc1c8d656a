"""Thresholds of cascades: proposals, promises over many draws, decisions that keep to claims."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from judgekit.judges.cascade import Stage
from judgekit.training.cascade_thresholds import (
    MAX_CUTS,
    UNSURE,
    Claims,
    answering_N,
    choose_for_cost,
    choose_for_error,
    keep_claims,
    propose_stages,
)
from judgekit.types import ArgmaxRule, ThresholdRule, Verdict

RIGHT, WRONG = (0.1, 0.9), (0.8, 0.2)


def claims(posteriors: Sequence[Sequence[float] | None], gold: Sequence[int | None]) -> Claims:
    verdicts = [None if posterior is None else Verdict(posterior=tuple(posterior)) for posterior in posteriors]
    return Claims.of(verdicts, gold_N=gold)


def drawn(rng: np.random.Generator, n: int, *, sharper: float) -> Claims:
    """Draw a judge of solutions with one step: logit P(none) is that of the chance of "no error", times a factor."""
    p_right = np.clip(rng.beta(0.7, 0.7, size=n), 1e-6, 1 - 1e-6)
    is_right = rng.random(n) < p_right
    said = 1 / (1 + (1 / p_right - 1) ** sharper)
    return Claims(said, said.copy(), is_right == (said > 0.5))


def halves(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(n) < n // 2, np.arange(n) >= n // 2


def test_claims_by_hand() -> None:
    found = claims([(0.1, 0.2, 0.7), (0.6, 0.3, 0.1), None, (0.5, 0.5)], [None, 1, None, 0])
    assert found.p_none_N[[0, 1, 3]] == pytest.approx([0.7, 0.1, 0.5])
    assert found.beside_N[[0, 1, 3]] == pytest.approx([0.8, 0.4, 0.5])
    assert np.isnan(found.p_none_N[2]) and np.isnan(found.beside_N[2])
    # right, another step, no verdict, a tie that the step wins
    assert found.right_N.tolist() == [True, False, False, True]
    assert found.is_none_N.tolist() == [True, False, False, False]


def test_the_first_sure_member_answers() -> None:
    first = claims([RIGHT, WRONG, None, WRONG], [None] * 4)
    second = claims([RIGHT, RIGHT, WRONG, WRONG], [None] * 4)
    stages = (Stage(hi=0.9, lo=None), Stage(hi=None, lo=0.2 + 1e-9))
    assert answering_N([first, second], stages).tolist() == [0, 2, 1, 1]
    assert answering_N([first, second], (UNSURE, UNSURE)).tolist() == [2, 2, 2, 2]
    assert [first.sure_N(stages[0])[i] for i in range(4)] == [
        stages[0].answers(verdict) for verdict in (Verdict(posterior=RIGHT), Verdict(posterior=WRONG), None, None)
    ]


def test_proposals_are_nested_and_see_the_choosing_problems_alone() -> None:
    rng = np.random.default_rng(0)
    members = [drawn(rng, 400, sharper=1), drawn(rng, 400, sharper=4)]
    choosing, tested = halves(400)
    proposals = propose_stages(members, choosing_N=choosing)
    assert proposals[0] == (UNSURE, UNSURE) and len(proposals) == MAX_CUTS + 1
    sure = [answering_N(members, stages) < 2 for stages in proposals]
    assert all((before <= after).all() for before, after in pairwise(sure))
    assert sure[-1][choosing].all()
    for member in members:
        member.p_none_N[tested], member.right_N[tested] = 0.123, True
    assert propose_stages(members, choosing_N=choosing) == proposals


def test_what_is_more_often_right_is_sure_before_what_says_so() -> None:
    # claims of "no error" have 0.9 and are right half of the time, those of an error 0.8 and are always right
    posteriors, gold = [RIGHT] * 20 + [WRONG] * 20, [None, 0] * 10 + [0] * 20
    first = propose_stages([claims(posteriors, gold)], choosing_N=np.ones(40, dtype=bool))[1]
    assert first[0].hi is None and first[0].lo == pytest.approx(0.2)


def test_a_promised_error_is_kept_over_1000_draws() -> None:
    """The true error among sure claims is that of a large population, of an honest judge and one too sure of itself."""
    rng = np.random.default_rng(1)
    population = [drawn(rng, 20_000, sharper=1), drawn(rng, 20_000, sharper=4)]
    right_M_N = np.array([member.right_N for member in population])
    at_most, delta, n_broken, n_promised = 0.15, 0.1, 0, 0
    choosing, tested = halves(200)
    for _ in range(1000):
        rows = rng.integers(20_000, size=200)
        members = [Claims(*(column[rows] for column in member)) for member in population]
        chosen = choose_for_error(members, choosing_N=choosing, tested_N=tested, at_most=at_most, delta=delta)
        if chosen.shown is None:
            assert chosen.stages == (UNSURE, UNSURE)
            continue
        n_promised += 1
        assert chosen.shown <= at_most
        answering = answering_N(population, chosen.stages)
        sure = answering < 2
        n_broken += (~right_M_N[answering[sure], sure.nonzero()[0]]).mean() > at_most
    assert n_broken <= 1000 * delta + 2 * np.sqrt(1000 * delta * (1 - delta))
    assert n_promised > 500 and n_broken > 0, "it promises, and at its edge, else this would show nothing"


def test_a_promised_cost_is_kept_over_1000_draws() -> None:
    rng = np.random.default_rng(2)
    population = drawn(rng, 20_000, sharper=1)
    costs, at_most, delta, spent = (0.1, 1.0), 0.6, 0.1, []
    for _ in range(1000):
        rows = rng.integers(len(population.p_none_N), size=120)
        choosing, tested = halves(120)
        chosen, least = choose_for_cost(
            [Claims(*(column[rows] for column in population))],
            costs_M=costs, choosing_N=choosing, tested_N=tested, at_most=at_most, delta=delta,
        )  # fmt: skip
        assert chosen.shown is not None and least <= chosen.shown <= at_most
        spent.append(0.1 + (~population.sure_N(chosen.stages[0])).mean())
    assert np.mean(np.array(spent) > at_most) <= delta + 2 * np.sqrt(delta * (1 - delta) / 1000)
    assert np.mean(spent) > 0.45, "what is allowed is used"


def test_where_nothing_can_be_promised_nobody_is_sure() -> None:
    choosing, tested = halves(80)
    always = claims([RIGHT] * 80, [0, None] * 40)
    chosen = choose_for_error([always], choosing_N=choosing, tested_N=tested, at_most=0.1, delta=0.1)
    assert (chosen.stages, chosen.shown, chosen.n_sure) == ((UNSURE,), None, 0)
    silent = claims([None] * 80, [None] * 80)
    assert choose_for_error([silent], choosing_N=choosing, tested_N=tested, at_most=0.1, delta=0.1).shown is None
    chosen, least = choose_for_cost(
        [silent], costs_M=(0.5, 1.0), choosing_N=choosing, tested_N=tested, at_most=1.0, delta=0.1
    )
    assert (chosen.shown, least) == (None, 1.5), "everything is asked twice"


def test_enough_right_claims_by_hand() -> None:
    # 22 right claims show an error of at most 0.0994 at delta 0.1, 21 one of 0.1038
    for n, kept in ((21, False), (22, True)):
        choosing, tested = np.arange(n + 10) >= n, np.arange(n + 10) < n
        member = claims([RIGHT] * (n + 10), [None] * (n + 10))
        chosen = choose_for_error([member], choosing_N=choosing, tested_N=tested, at_most=0.1, delta=0.1)
        assert (chosen.shown is not None) is kept
    assert (chosen.n_sure, chosen.n_wrong, chosen.stages) == (22, 0, (Stage(hi=0.9, lo=None),))


def test_two_bounds_share_delta() -> None:
    # nobody is ever sure of 30: P(asked) is 1 in the second and third member, whatever delta
    silent = claims([None] * 60, [None] * 60)
    choosing, tested = halves(60)
    chosen, _ = choose_for_cost(
        [silent, silent], costs_M=(0.1, 0.2, 1.0), choosing_N=choosing, tested_N=tested, at_most=1.3, delta=0.1
    )
    assert chosen.shown == pytest.approx(1.3)


def test_decisions_that_keep_to_claims() -> None:
    rng = np.random.default_rng(3)
    stage = Stage(hi=0.7, lo=0.35)
    rules: list[ThresholdRule | ArgmaxRule] = [ThresholdRule(threshold=t) for t in (0.01, 0.5, 1.0)]
    rules += [ArgmaxRule(no_error_weight=weight) for weight in (1e-3, 1.0, 1e3)]
    kept = [keep_claims(rule, (stage,)) for rule in rules]
    assert kept[1] == rules[1] and kept[4] == rules[4], "what keeps to them stays"
    n_sure, n_moved = 0, 0
    for _ in range(1500):
        verdict = Verdict(posterior=tuple(rng.dirichlet(np.full(rng.integers(2, 9), 0.3)).tolist()))
        if stage.answers(verdict):
            n_sure += 1
            claim = verdict.decide(ArgmaxRule())
            assert all(verdict.decide(rule) == claim for rule in kept)
            n_moved += any(verdict.decide(rule) != claim for rule in rules)
    assert n_sure > 500 and n_moved > 100
    nobody_wrong = keep_claims(ArgmaxRule(no_error_weight=1e6), (Stage(hi=0.7, lo=0.0),))
    assert nobody_wrong == ArgmaxRule(no_error_weight=1e6)
