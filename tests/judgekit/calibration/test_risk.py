"""Exact bounds of shares, beside their definition and another implementation."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from judgekit.calibration.risk import fixed_sequence, share_p_value, share_upper_bound


def test_p_value_by_hand() -> None:
    assert share_p_value(0, 3, at_most=0.5) == pytest.approx(0.125)
    assert share_p_value(1, 3, at_most=0.5) == pytest.approx(0.5)
    assert share_p_value(0, 0, at_most=0.1) == 1.0, "no draws show nothing"


@pytest.mark.parametrize(("n_hit", "n"), [(0, 1), (0, 22), (1, 40), (7, 50), (50, 50)])
def test_upper_bound_is_the_one_of_clopper_and_pearson(n_hit: int, n: int) -> None:
    bound = share_upper_bound(n_hit, n, delta=0.1)
    interval = binomtest(n_hit, n, alternative="less").proportion_ci(confidence_level=0.9, method="exact")
    assert bound == pytest.approx(interval.high)
    if n_hit < n:  # what the bound shows is what the test accepts
        assert share_p_value(n_hit, n, at_most=bound) == pytest.approx(0.1)


def test_upper_bound_at_the_ends() -> None:
    assert share_upper_bound(0, 0, delta=0.1) == 1.0
    assert share_upper_bound(0, 1, delta=0.1) == pytest.approx(0.9)


def test_fixed_sequence_ends_at_the_first_that_is_not_rejected() -> None:
    assert fixed_sequence([], delta=0.1) == 0
    assert fixed_sequence([0.1, 0.1], delta=0.1) == 2
    assert fixed_sequence([0.2, 0.0], delta=0.1) == 0
