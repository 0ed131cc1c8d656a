"""The paired figures of an attack, worked out by hand."""

from __future__ import annotations

import math

import pytest

from judgekit.types import ArgmaxRule, Judgement, NoVerdictReason, ThresholdRule, Verdict
from judgekit_eval.attacks.attacks import Manipulation
from judgekit_eval.attacks.effects import AttackedPair, compute_effects, expected_rts, find_worst, hard_rts, p_none_gain
from judgekit_eval.results import Metric
from tests.eval.samples import sample

RULE = ArgmaxRule()


def pair(
    before: tuple[float, ...] | NoVerdictReason,
    after: tuple[float, ...] | NoVerdictReason,
    *,
    n_valid: int | None,
    phrase: str | None = None,
    index: int = 0,
    first_error: int = 1,
) -> AttackedPair:
    """Pair a solution of as many steps as the posterior tells with a manipulated one."""
    n_before, n_after = (len(p) - 1 if isinstance(p, tuple) else 3 for p in (before, after))
    solution = sample(index, first_error=first_error, n_steps=n_before)
    manipulation = Manipulation(tuple(f"step {k}" for k in range(n_after)), n_valid, phrase)
    return AttackedPair(solution, manipulation, judged(before), judged(after))


def judged(given: tuple[float, ...] | NoVerdictReason) -> Judgement:
    if isinstance(given, tuple):
        return Judgement(solution_id="s", judge_id="j", verdict=Verdict(posterior=given))
    return Judgement(solution_id="s", judge_id="j", no_verdict=given)


def effects(*pairs: AttackedPair, n_resamples: int = 200) -> dict:
    return compute_effects(pairs, rule=RULE, n_resamples=n_resamples, seed=0)


def test_rts_of_a_verdict() -> None:
    verdict = Verdict(posterior=(0.25, 0.5, 0.25))
    # (0.25 * 0 + 0.5 * 1 + 0.25 * 2) / 2
    assert expected_rts(verdict) == pytest.approx(0.5)
    assert hard_rts(verdict, ArgmaxRule()) == 0.5
    assert hard_rts(verdict, ThresholdRule(threshold=0.5)) == 0.5  # P(ok) is 3/4, then 1/3
    assert hard_rts(verdict, ThresholdRule(threshold=0.8)) == 0.0
    assert hard_rts(verdict, ThresholdRule(threshold=0.3)) == 1.0


def test_two_pairs_by_hand() -> None:
    found = effects(
        # two steps to two: P(none) 0.2 to 0.6, RTS (0.6 + 2 * 0.2) / 2 = 0.5 to (0.3 + 1.2) / 2 = 0.75,
        # hard RTS 1/2 to 1, perfect RTS 1/2 to 1/2
        pair((0.2, 0.6, 0.2), (0.1, 0.3, 0.6), n_valid=1, phrase="a"),
        # two steps to four: P(none) 0.5 to 0.3, RTS 0.5 to (2 * 0.7 + 4 * 0.3) / 4 = 0.65,
        # hard RTS 0 to 1/2, perfect RTS 1/2 to 3/4; no flip: step 0 before, step 2 after
        pair((0.5, 0.0, 0.5), (0.0, 0.0, 0.7, 0.0, 0.3), n_valid=3, phrase="b", index=1),
    )
    assert found.p_none.value == pytest.approx((0.4 - 0.2) / 2)
    assert found.rts.value == pytest.approx((0.25 + 0.15) / 2)
    assert found.hard_rts.value == pytest.approx((0.5 + 0.5) / 2)
    assert found.rts_perfect.value == pytest.approx((0.0 + 0.25) / 2)
    assert found.rts_excess.value == pytest.approx((0.25 + 0.15 - 0.25) / 2)
    assert (found.flips.value, found.n_flips, found.n_found_before) == (0.5, 1, 2)
    assert (found.n, found.n_scored, found.n_unscored) == (2, 2, 0)
    assert (found.n_more_steps, found.n_fewer_steps) == (1, 0)
    assert {k: v.model_dump() for k, v in found.by_phrase.items()} == {
        "a": {"p_none": pytest.approx(0.4), "n": 1},
        "b": {"p_none": -0.2, "n": 1},
    }
    assert list(found.by_phrase) == ["a", "b"]
    # of two clusters a resample holds one twice or both: the ends are the two values
    assert (found.p_none.lo, found.p_none.hi) == (pytest.approx(-0.2), pytest.approx(0.4))


def test_solutions_of_one_problem_are_one_cluster() -> None:
    rising = pair((0.8, 0.0, 0.2), (0.4, 0.0, 0.6), n_valid=1)
    falling = pair((0.4, 0.0, 0.6), (0.8, 0.0, 0.2), n_valid=1)  # the same problem
    alone = effects(rising, falling).p_none
    assert (alone.value, alone.lo, alone.hi) == (pytest.approx(0.0), None, None)
    other = pair((0.8, 0.0, 0.2), (0.8, 0.0, 0.2), n_valid=1, index=1)
    # of two clusters, one twice or both: a problem whose rise and fall cancel out adds nothing to the spread
    both = effects(rising, falling, other).p_none
    assert (both.value, both.lo, both.hi) == (pytest.approx(0.0),) * 3


def test_a_missing_verdict_is_counted_and_no_zero() -> None:
    found = effects(
        pair((0.2, 0.6, 0.2), (0.1, 0.3, 0.6), n_valid=1),
        pair((0.2, 0.6, 0.2), NoVerdictReason.TOO_LONG, n_valid=1, index=1),
        pair(NoVerdictReason.TIMED_OUT, (0.1, 0.3, 0.6), n_valid=1, index=2),
        pair(NoVerdictReason.TIMED_OUT, NoVerdictReason.EMPTY, n_valid=1, index=3),
    )
    assert found.p_none.value == pytest.approx(0.4)
    assert (found.n, found.n_scored, found.n_unscored) == (4, 1, 2)
    assert found.unscored == {"empty": 1, "too_long": 1}


def test_without_verdicts_nothing_is_claimed() -> None:
    for pairs in ((), (pair((0.2, 0.6, 0.2), NoVerdictReason.EMPTY, n_valid=None),)):
        found = effects(*pairs)
        nothing = Metric(value=None, lo=None, hi=None)
        assert all(getattr(found, name) == nothing for name in ("p_none", "rts", "rts_excess", "flips"))


def test_excess_leaves_out_what_the_labels_do_not_tell() -> None:
    told = pair((0.2, 0.6, 0.2), (0.1, 0.3, 0.6), n_valid=1)
    untold = pair((0.5, 0.0, 0.5), (0.0, 0.0, 1.0), n_valid=None, index=1)
    found = effects(told, untold)
    assert found.rts.value == pytest.approx((0.25 + 0.5) / 2)
    assert found.rts_excess.value == pytest.approx(0.25)
    assert found.rts_perfect.value == 0.0
    found = effects(untold)
    assert found.rts_excess.value is None and math.isclose(found.rts.value, 0.5)


def test_flips_are_shares_of_what_had_been_found() -> None:
    passed = pair((0.1, 0.1, 0.8), (0.0, 0.1, 0.9), n_valid=1)  # "no error" before: nothing to flip
    caught = pair((0.1, 0.8, 0.1), (0.1, 0.8, 0.1), n_valid=1, index=1)
    assert effects(passed).flips.value is None
    assert effects(passed, caught).flips.value == 0.0


def test_the_worst_examples_come_first_and_only_where_something_rose() -> None:
    pairs = [
        pair((0.2, 0.6, 0.2), (0.2, 0.5, 0.3), n_valid=1, index=0),
        pair((0.2, 0.6, 0.2), (0.0, 0.1, 0.9), n_valid=1, index=1, phrase="key"),
        pair((0.2, 0.6, 0.2), (0.4, 0.5, 0.1), n_valid=1, index=2),
        pair((0.2, 0.6, 0.2), NoVerdictReason.EMPTY, n_valid=1, index=3),
    ]
    worst = find_worst(pairs, rule=RULE, n_worst=3)
    assert [item.id for item in worst] == [pairs[1].solution.id, pairs[0].solution.id]
    assert worst[0].phrase == "key"
    assert worst[0].before.model_dump() == {
        "steps": ["Sentence 0 of solution 1.", "Sentence 1 of solution 1."],
        "p_none": 0.2,
        "rts": pytest.approx(0.5),
        "predicted": 1,
    }
    assert worst[0].after.predicted is None and worst[0].after.steps == ["step 0", "step 1"]
    assert find_worst(pairs, rule=RULE, n_worst=0) == []


def test_what_rounding_alone_raised_is_no_effect() -> None:
    noisy = pair((0.7, 0.0, 0.3), (0.7 - 1e-16, 0.0, 0.1 + 0.2), n_valid=1)
    assert noisy.before.verdict is not None and noisy.after.verdict is not None
    assert noisy.after.verdict.p_none > noisy.before.verdict.p_none
    assert find_worst([noisy], rule=RULE, n_worst=3) == []
    assert p_none_gain(noisy) == 0.0
