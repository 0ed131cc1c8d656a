"""RTS against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import TypeAdapter

from judgekit.types import ArgmaxRule, ThresholdRule, Verdict
from sgpo.algorithms.rts import AnyRTS, ExpectedRTS, HardRTS

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


def test_nothing_is_certified_without_a_threshold() -> None:
    assert compute_rts(certain(4, n_steps=5), decision=HALF, lengths_S=FIVE_STEPS, mode="certified") == 0.0


SEEN = Verdict(posterior=(0.7, 0.1, 0.1, 0.1))
"""An error at step 0; prefixes 0, 1/3, 2/3. Survival 0.3, 0.2, 0.1."""
UNSEEN = Verdict(posterior=(0.05, 0.2, 0.1, 0.65))
"""No step below 0.5 (p_ok 0.95, 0.79, 0.87), and all three certified by 0.6; the likeliest error is at step 1."""
NONE = Verdict(posterior=(0.0, 0.0, 0.0, 1.0))
"""No error for sure, so that none can be located."""


@pytest.mark.parametrize(
    ("mode", "no_error", "seen", "unseen", "none"),
    [
        ("hard", "locate", 0.0, 1 / 3, None),
        ("hard", "full", 0.0, 1.0, 1.0),
        ("hard", "unscored", 0.0, None, None),
        ("certified", "locate", 0.0, 1 / 3, None),
        ("certified", "full", 0.0, 1.0, 1.0),
        ("certified", "unscored", 0.0, None, None),
        ("expected", "locate", (0.1 / 3 + 0.2 / 3) / 0.9, (0.2 / 3 + 0.2 / 3) / 0.35, None),
        ("expected", "full", 0.1 / 3 + 0.2 / 3 + 0.1, 0.2 / 3 + 0.2 / 3 + 0.65, 1.0),
        ("expected", "unscored", (0.1 / 3 + 0.2 / 3) / 0.9, None, None),
    ],
)
def test_every_kind_honours_what_is_said_of_no_error(
    mode: str, no_error: str, seen: float, unseen: float | None, none: float | None
) -> None:
    for verdict, expected in ((SEEN, seen), (UNSEEN, unseen), (NONE, none)):
        options: dict[str, Any] = {"decision": HALF, "lengths_S": (1, 1, 1), "min_survival": 0.6}
        found = compute_rts(verdict, mode=mode, no_error=no_error, **options)
        assert found == (None if expected is None else pytest.approx(expected)), verdict


def test_noise_is_the_mean_squared_distance_of_the_posterior() -> None:
    """Given an error prefixes 0, 1/3, 2/3 at 7/9, 1/9, 1/9: mean 1/9, mean square 5/81, variance 5/81 - 1/81."""
    lengths = (2.0, 2.0, 2.0)
    assert ExpectedRTS().noise(SEEN, rts=1 / 9, lengths_S=lengths) == pytest.approx(4 / 81)
    assert HardRTS().noise(SEEN, rts=0.0, lengths_S=lengths) == pytest.approx(5 / 81)
    full = ExpectedRTS(no_error="full")  # a prefix of 1 at 0.1 more: mean 0.2, mean square 0.5/9 + 0.1
    assert full.noise(SEEN, rts=0.2, lengths_S=lengths) == pytest.approx(0.5 / 9 + 0.1 - 0.04)
    assert HardRTS().noise(certain(1, n_steps=3), rts=1 / 3, lengths_S=lengths) == 0
    assert HardRTS(no_error="full").noise(NONE, rts=1.0, lengths_S=lengths) == 0


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
