"""The benchmark of SGPO's overhead: who runs when, and what the pairs say, by hand."""

import pytest

from benchmarks.sgpo_overhead import Step, is_plain, summarise


def test_each_pair_has_a_step_of_either_arm_and_either_comes_first() -> None:
    plain = [is_plain(step) for step in range(8)]
    assert plain == [True, False, False, True, True, False, False, True]


def test_medians_of_ratios_within_pairs_behind_the_warm_up() -> None:
    slow = [Step(is_plain(step), 100.0, 50.0, 1, 10) for step in range(4)]  # two pairs, not counted
    pairs = [(1.0, 1.5), (2.0, 2.2), (4.0, 8.0)]
    steps = list(slow)
    for grpo, sgpo in pairs:
        pair = [Step(True, grpo, 0.0, 0, 10), Step(False, sgpo, 0.2, 6, 10)]
        steps += pair if is_plain(len(steps)) else reversed(pair)
    found = summarise(steps)
    assert found["pairs"] == 3
    assert found["ratio"][0] == pytest.approx(1.5) and found["grpo_s"][0] == 2.0
    assert found["ratio_without_judge"][0] == pytest.approx(1.3)
    assert found["judge_s"] == [0.2, 0.2, 0.2] and found["tokens_ratio"] == [1.0, 1.0, 1.0]
    low, high = found["ratio"][1:]
    assert 1.1 <= low <= 1.5 <= high <= 2.0
