"""RTS against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import TypeAdapter

from judgekit.types import ArgmaxRule, ThresholdRule, Verdict
from sgpo.algorithms.rts import AnyRTS

FIVE_STEPS = (1.0,) * 5
HALF = ThresholdRule(threshold=0.5)


def certain(index: int, *, n_steps: int) -> Verdict:
    """All mass on one outcome; `n_steps` stands for "no error"."""
    return Verdict(posterior=tuple(float(k == index) for k in range(n_steps + 1)))


def compute_rts(
    verdict: Verdict,
    *,
    decision: Any,
    lengths_S: Sequence[float],
    mode: str = "hard",
    min_survival: float = 1.0,
    **options: str,
) -> float | None:
    rts: Any = TypeAdapter(AnyRTS).validate_python({"type": mode} | options)
    found: float | None = rts.compute(verdict, decision=decision, lengths_S=lengths_S, min_survival=min_survival)
    return found


@pytest.mark.parametrize(("first_error", "rts"), [(0, 0.0), (1, 0.2), (3, 0.6), (4, 0.8)])
def test_rts_is_the_share_of_steps_before_the_first_error(first_error: int, rts: float) -> None:
    verdict = certain(first_error, n_steps=5)
    assert compute_rts(verdict, decision=HALF, lengths_S=FIVE_STEPS) == pytest.approx(rts)


def test_rts_weighs_steps_by_their_length() -> None:
    verdict = certain(2, n_steps=3)
    assert compute_rts(verdict, decision=HALF, lengths_S=(10, 20, 70)) == pytest.approx(0.3)


def test_expected_rts_is_the_mean_prefix_given_an_error() -> None:
    verdict = Verdict(posterior=(0.2, 0.3, 0.5))  # prefixes 0 and 1/2, no error with 0.5
    rts = {
        mode: compute_rts(verdict, decision=HALF, lengths_S=(1, 1), mode="expected", no_error=mode)
        for mode in ("locate", "full")
    }
    assert rts["locate"] == pytest.approx((0.2 * 0 + 0.3 * 0.5) / 0.5)
    assert rts["full"] == pytest.approx(0.2 * 0 + 0.3 * 0.5 + 0.5)


def test_expected_rts_of_a_certain_posterior_is_the_hard_one() -> None:
    for first_error in range(5):
        verdict = certain(first_error, n_steps=5)
        hard, expected = (
            compute_rts(verdict, decision=HALF, lengths_S=FIVE_STEPS, mode=mode) for mode in ("hard", "expected")
        )
        assert hard == pytest.approx(expected)


@pytest.mark.parametrize(
    ("min_survival", "rts"), [(1.0, 0.0), (0.96, 0.0), (0.9, 0.1), (0.8, 0.1), (0.7, 0.3), (0.65, 0.3)]
)
def test_certified_rts_is_the_length_of_the_steps_that_survive(min_survival: float, rts: float) -> None:
    verdict = Verdict(posterior=(0.05, 0.2, 0.1, 0.65))  # survival 0.95, 0.75, 0.65
    lengths = (10, 20, 70)
    assert compute_rts(
        verdict, decision=HALF, lengths_S=lengths, mode="certified", min_survival=min_survival
    ) == pytest.approx(rts)


@pytest.mark.parametrize(("no_error", "rts"), [("locate", 1 / 3), ("full", 1.0), ("unscored", None)])
def test_a_wrong_response_certified_to_its_end_follows_the_rule(no_error: str, rts: float | None) -> None:
    verdict = Verdict(posterior=(0.05, 0.2, 0.1, 0.65))
    found = compute_rts(
        verdict,
        decision=HALF,
        lengths_S=(1, 1, 1),
        mode="certified",
        no_error=no_error,  # type: ignore[arg-type]
        min_survival=0.6,
    )
    assert found == (None if rts is None else pytest.approx(rts))


def test_nothing_is_certified_without_a_threshold() -> None:
    assert compute_rts(certain(4, n_steps=5), decision=HALF, lengths_S=FIVE_STEPS, mode="certified") == 0.0


@pytest.mark.parametrize(("mode", "rts"), [("locate", 1 / 3), ("full", 1.0), ("unscored", None)])
def test_wrong_response_without_a_visible_error_follows_the_rule(mode: str, rts: float | None) -> None:
    verdict = Verdict(posterior=(0.05, 0.2, 0.1, 0.65))  # p_ok 0.95, 0.789, 0.867: no step below 0.5
    assert compute_rts(verdict, decision=HALF, lengths_S=(1, 1, 1), no_error=mode) == pytest.approx(rts)  # type: ignore[arg-type]


def test_expected_without_a_visible_error_follows_the_rule_too() -> None:
    """Posterior (.05, .2, .1 | .65), shares (0, 1/3, 2/3): expected (.2/3 + .2/3) = 2/15; .65 more where it is full."""
    verdict = Verdict(posterior=(0.05, 0.2, 0.1, 0.65))
    for no_error, rts in (("locate", 2 / 15 / 0.35), ("full", 2 / 15 + 0.65), ("unscored", None)):
        found = compute_rts(verdict, decision=HALF, lengths_S=(1, 1, 1), mode="expected", no_error=no_error)
        assert found == (None if rts is None else pytest.approx(rts))
    seen = Verdict(posterior=(0.7, 0.1, 0.1, 0.1))  # an error is seen, so the rule is not asked
    for no_error in ("locate", "unscored"):
        found = compute_rts(seen, decision=HALF, lengths_S=(1, 1, 1), mode="expected", no_error=no_error)
        assert found == pytest.approx((0.1 / 3 + 0.2 / 3) / 0.9)


def test_a_judge_sure_of_no_error_cannot_locate_one() -> None:
    for mode in ("hard", "expected"):
        assert compute_rts(certain(3, n_steps=3), decision=ArgmaxRule(), lengths_S=(1, 1, 1), mode=mode) is None


def test_rts_refuses_lengths_of_another_solution() -> None:
    with pytest.raises(ValueError, match="2 lengths for a verdict over 3 steps"):
        compute_rts(certain(0, n_steps=3), decision=HALF, lengths_S=(1, 1))


def test_expected_rts_of_equal_errors_is_equal_however_it_is_summed() -> None:
    verdicts = [Verdict(posterior=(0.1 + 0.2, 0.3, 0.4)), Verdict(posterior=(0.3, 0.1 + 0.2, 0.4))]
    for no_error in ("locate", "full"):
        found = {
            compute_rts(verdict, decision=ArgmaxRule(), lengths_S=[1, 1], mode="expected", no_error=no_error)
            for verdict in verdicts
        }
        assert len(found) == 1


def test_the_first_of_equally_probable_errors_is_located() -> None:
    for item in (Verdict(posterior=(0.1, 0.25, 0.25, 0.4)), Verdict(posterior=(0.1, 0.3, 0.1 + 0.2, 0.3))):
        assert compute_rts(item, decision=ThresholdRule(threshold=0.01), lengths_S=[1, 1, 1]) == pytest.approx(1 / 3)
