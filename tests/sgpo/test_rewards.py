"""Rewards and advantages against numbers worked out by hand."""

import math

import pytest
import torch

from sgpo.algorithms.base import GroupBatch
from sgpo.rewards import (
    compute_advantages,
    flat_groups,
    group_std,
    shape_rts,
    shrink_rts,
    std_floor_factor,
)

NAN = float("nan")


def batch_of(outcomes_N: torch.Tensor, ids_N: torch.Tensor, **options: float) -> GroupBatch:
    n = len(outcomes_N)
    return GroupBatch(outcomes_N, ids_N, torch.zeros(n, dtype=torch.bool), torch.ones(n), **options)


def test_reward_values_of_the_paper() -> None:
    rewards = shape_rts(torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]))
    expected = [0.0067, 0.0474, 0.2689, 0.7311, 0.9526, 0.9933]
    torch.testing.assert_close(rewards, torch.tensor(expected), atol=5e-5, rtol=0)


def test_reward_rises_with_rts_and_stays_below_a_right_answer() -> None:
    rewards = shape_rts(torch.linspace(0, 1, 101))
    assert (rewards.diff() > 0).all()
    assert rewards.max() < 1


def test_groups_are_decided_on_known_outcomes() -> None:
    outcomes = torch.tensor([0, 0, 1, 0, 1, NAN, 0, NAN, NAN, NAN])
    ids = torch.tensor([7, 7, 3, 3, 5, 5, 2, 2, 9, 9])
    masks = batch_of(outcomes, ids).classify()
    assert masks.all_negative_N.tolist() == [True, True, False, False, False, False, True, True, False, False]
    assert masks.all_positive_N.tolist() == [False, False, False, False, True, True, False, False, False, False]


def test_what_is_right_and_that_unknown_outcomes_are_not() -> None:
    outcomes, ids = torch.tensor([1.0, 0.5, 0.4, 0.0, NAN]), torch.tensor([0, 0, 1, 1, 1])
    assert batch_of(outcomes, ids).right_N.tolist() == [True, False, False, False, False]
    partial = batch_of(outcomes, ids, correct_above=0.3)
    assert partial.right_N.tolist() == [True, True, True, False, False]
    assert batch_of(outcomes, ids).classify().all_negative_N.tolist() == [False] * 2 + [True] * 3
    assert not partial.classify().all_negative_N.any()
    assert partial.classify().all_positive_N.tolist() == [True] * 2 + [False] * 3


def flat(rts: torch.Tensor, noise: torch.Tensor | float = 0.0, **options: float) -> list[bool]:
    noise_N, ids = torch.zeros_like(rts) + noise, torch.zeros(len(rts), dtype=torch.long)
    counted = torch.ones(len(rts), dtype=torch.bool)
    return flat_groups(rts, noise_N=noise_N, counted_N=counted, group_ids_N=ids, **options).tolist()


def test_min_spread_silences_a_hairs_breadth() -> None:
    rts = torch.tensor([0.5, 0.5, 0.5, 0.51])
    assert flat(rts, min_spread=0.02) == [True] * 4
    assert flat(rts, min_spread=0.005) == [False] * 4


def test_min_certainty_counts_standard_errors_of_the_widest_difference() -> None:
    """0.5 apart, standard error sqrt(0.03 + 0.01) = 0.2: 2.5 of them. Of the two smallest the surer one counts."""
    rts, noise = torch.tensor([0.7, 0.2, 0.5, 0.2]), torch.tensor([0.03, 0.01, 0.9, 0.2])
    assert flat(rts, noise, min_certainty=2.4) == [False] * 4
    assert flat(rts, noise, min_certainty=2.6) == [True] * 4
    assert flat(rts, 0.0, min_certainty=99.0) == [False] * 4, "a judge that is sure"


def test_shrinking_weighs_signal_against_noise() -> None:
    """RTS 0, 0.5, 1: variance 0.25, weights 0.25 / (0.25 + noise): 1, 5/7 and 1/2. The fourth is not guided."""
    rts, noise = torch.tensor([0.0, 0.5, 1.0, 0.9]), torch.tensor([0.0, 0.1, 0.25, 0.0])
    rows, ids = torch.tensor([True, True, True, False]), torch.zeros(4)
    shrunk = shrink_rts(rts, noise_N=noise, guided_N=rows, group_ids_N=ids)
    torch.testing.assert_close(shrunk, torch.tensor([0.0, 0.5, 0.75, 0.9]))
    sure = shrink_rts(rts, noise_N=torch.zeros(4), guided_N=rows, group_ids_N=ids)
    torch.testing.assert_close(sure, rts)


def test_a_lone_winner_among_eight_is_full_size_without_a_floor() -> None:
    """A lone reward d above seven others has mean d/8 and standard deviation d/sqrt(8), so A = 7/sqrt(8) = 2.47."""
    ids = torch.zeros(8, dtype=torch.long)
    right = compute_advantages(torch.tensor([1.0] + [0.0] * 7), group_ids_N=ids)
    assert right[0].item() == pytest.approx(0.875 / (1 / math.sqrt(8) + 1e-4), rel=1e-5)
    assert right[0].item() == pytest.approx(2.47, abs=0.005)
    d = 0.0179862 - 0.0066929  # rewards at RTS 0.1 and 0
    little = compute_advantages(shape_rts(torch.tensor([0.1] + [0.0] * 7)), group_ids_N=ids)
    assert little[0].item() == pytest.approx(0.875 * d / (d / math.sqrt(8) + 1e-4), rel=1e-4)


def test_std_floor_shrinks_the_lone_winner() -> None:
    rewards = shape_rts(torch.tensor([0.1] + [0.0] * 7))
    ids = torch.zeros(8, dtype=torch.long)
    floored = compute_advantages(rewards, group_ids_N=ids, std_floor_N=torch.full((8,), 0.05))
    centred = (rewards - rewards.mean())[0].item()
    assert floored[0].item() == pytest.approx(centred / 0.0501, rel=1e-4)
    free = compute_advantages(rewards, group_ids_N=ids)
    factor = std_floor_factor(group_std(rewards, group_ids_N=ids), floor_N=torch.full((8,), 0.05))
    torch.testing.assert_close(free * factor, floored)


def test_advantages_by_hand() -> None:
    rewards = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0])
    ids = torch.tensor([0, 0, 0, 1, 1])
    third, std = 1 / 3, math.sqrt(1 / 3)
    expected = [2 * third / (std + 1e-4), -third / (std + 1e-4), -third / (std + 1e-4), 0.0, 0.0]
    torch.testing.assert_close(compute_advantages(rewards, group_ids_N=ids), torch.tensor(expected))
    by_none = compute_advantages(rewards, group_ids_N=ids, scale="none")
    torch.testing.assert_close(by_none, torch.tensor([2 * third, -third, -third, 0.0, 0.0]))
    by_batch = compute_advantages(rewards, group_ids_N=ids, scale="batch")
    torch.testing.assert_close(by_batch, by_none / (math.sqrt(0.3) + 1e-4))


def test_nan_rows_stay_outside_the_baseline() -> None:
    rewards = torch.tensor([1.0, 0.0, NAN])
    advantages = compute_advantages(rewards, group_ids_N=torch.zeros(3, dtype=torch.long))
    size = 0.5 / (math.sqrt(0.5) + 1e-4)
    torch.testing.assert_close(advantages, torch.tensor([size, -size, 0.0]))


def test_permuting_rows_permutes_advantages() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, ids = torch.rand(24, generator=generator), torch.arange(24) // 6
    order = torch.randperm(24, generator=generator)
    straight = compute_advantages(rewards, group_ids_N=ids)[order]
    torch.testing.assert_close(compute_advantages(rewards[order], group_ids_N=ids[order]), straight)


def test_advantages_sum_to_zero_in_every_group() -> None:
    rewards, ids = torch.rand(40, generator=torch.Generator().manual_seed(1)), torch.arange(40) // 8
    sums = compute_advantages(rewards, group_ids_N=ids).view(5, 8).sum(1)
    torch.testing.assert_close(sums, torch.zeros(5), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_group_that_is_constant_but_for_rounding_gets_exactly_no_advantage(dtype: torch.dtype) -> None:
    """One bit of difference, divided by a standard deviation of one bit, would be an advantage."""
    steps = torch.tensor([0.0, 1.0, -1.0, 2.0], dtype=dtype)
    rts = torch.full((4,), 0.3, dtype=dtype) * (1 + steps * torch.finfo(dtype).eps)
    ids = torch.zeros(4)
    assert len(rts.unique()) > 1
    assert flat(rts) == [True] * 4
    for rewards in (shape_rts(rts), rts, 1 - rts):
        assert group_std(rewards, group_ids_N=ids).tolist() == [0.0] * 4
        assert compute_advantages(rewards, group_ids_N=ids).tolist() == [0.0] * 4
    apart = rts + torch.tensor([0.0, 0.0, 0.0, 1e-5], dtype=dtype)  # a token in a hundred thousand is a difference
    assert group_std(apart, group_ids_N=ids)[0] > 0
