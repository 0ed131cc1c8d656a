"""Packing: bins, the tensors in them, and how they are dealt out to steps."""

from __future__ import annotations

import random

import pytest

from sgpo.algorithms.base import LossRule, TokenSum
from sgpo.offline.packing import (
    GroupRows,
    OfflineRow,
    PackedSteps,
    StepSize,
    assign_bins,
    build_bin,
    deal_steps,
    fill_old_logprobs,
)


def _row(name: str, n_prompt: int, n_completion: int, advantage: float = 1.0) -> OfflineRow:
    return OfflineRow((name, 0), tuple(range(n_prompt)), tuple(range(50, 50 + n_completion)), advantage)


def test_best_fit_decreasing() -> None:
    # 6 -> bin 0 (4 free), 5 -> bin 1 (5 free), 4 -> bin 0, the tighter fit, 3 -> bin 1, 3 -> bin 2
    assert assign_bins([3, 6, 5, 4, 3], capacity=10) == [[1, 3], [0, 2], [4]]


def test_every_item_in_one_bin_within_capacity() -> None:
    lengths_N = [random.Random(0).randint(1, 40) for _ in range(300)]
    bins = assign_bins(lengths_N, capacity=50)
    assert sorted(item for items in bins for item in items) == list(range(300))
    assert max(sum(lengths_N[item] for item in items) for items in bins) <= 50


def test_too_long_an_item_is_refused() -> None:
    with pytest.raises(ValueError, match="an item of length 11 does not fit a bin of 10"):
        assign_bins([11], capacity=10)


def test_tensors_of_a_bin() -> None:
    rows = (_row("a", 2, 2, advantage=0.5), _row("b", 1, 4, advantage=-2.0))
    packed = build_bin(rows, tokens="seq_token_mean", max_tokens=8)
    assert packed.input_ids_P.tolist() == [0, 1, 50, 51, 0, 50, 51, 52, 53]
    assert packed.position_ids_P.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert packed.source_T.tolist() == [1, 2, 4, 5, 6, 7]
    assert packed.target_T.tolist() == [50, 51, 50, 51, 52, 53]
    assert packed.advantages_T.tolist() == [0.5, 0.5, -2.0, -2.0, -2.0, -2.0]
    assert packed.weights_T.tolist() == [0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert packed.old_logprobs_T is None


def _group(name: str, *lengths: int, n_dead: int = 0) -> GroupRows:
    rows = tuple(OfflineRow((name, i), (0,), tuple(range(length - 1)), 1.0) for i, length in enumerate(lengths))
    return GroupRows(rows, StepSize.of(rows) + StepSize(n_dead, 5 * n_dead))


def test_steps_hold_whole_groups_and_count_all_their_responses() -> None:
    """In passes of 8 tokens, two a step: two groups of 2 x 4 share a step, the one of 3 x 8 needs three by itself."""
    groups = [_group("a", 4, 4), _group("b", 4, 4), _group("large", 8, 8, 8, n_dead=1), _group("dead", n_dead=2)]
    for seed in range(8):
        steps = deal_steps(groups, bins_per_step=2, token_budget=8, seed=seed)
        names = [sorted({row.key[0] for packed in bins for row in packed}) for bins, _ in steps]
        assert sorted(name for step in names for name in step) == ["a", "b", "large"]
        assert ["large"] in names
        assert {tuple(step): len(bins) for step, (bins, _) in zip(names, steps, strict=True)}["large",] == 3
        # The group without an advantage takes no room, and counts wherever it falls.
        assert sum((size for _, size in steps), StepSize()) == StepSize(10, 12 + 21 + 5 + 10)
    assert deal_steps(groups, bins_per_step=2, token_budget=8, seed=1) == deal_steps(
        groups, bins_per_step=2, token_budget=8, seed=1
    )


def test_a_step_takes_as_many_groups_as_it_is_told() -> None:
    groups = [_group(str(i), 4, 4) for i in range(5)]
    steps = deal_steps(groups, bins_per_step=1, groups_per_step=2, token_budget=8, seed=0)
    assert [size.n_responses for _, size in steps] == [4, 4, 2]
    assert [len(bins) for bins, _ in steps] == [2, 2, 1]


@pytest.mark.parametrize(("tokens", "units"), [("seq_token_mean", 2), ("token_mean", 7), ("fixed", 2), ("seq_sum", 2)])
def test_items_carry_the_units_of_their_whole_step(tokens: TokenSum, units: int) -> None:
    steps = [[(_row("a", 1, 3),), (_row("b", 1, 4),)], [(_row("c", 1, 5),), ()]]
    sizes = [StepSize.of(row for packed in step for row in packed) for step in steps]
    items = PackedSteps(steps, sizes=sizes, rules=[LossRule(tokens, None)] * 2, max_tokens=8)
    assert len(items) == 4
    assert items[0]["scale"].item() == items[1]["scale"].item() == pytest.approx(1 / units)
    assert (
        items[2]["scale"].item() == items[3]["scale"].item() == pytest.approx(1 / (5 if tokens == "token_mean" else 1))
    )
    assert items[3]["source_T"].shape == (0,)


def test_old_logprobs_follow_their_row() -> None:
    steps = fill_old_logprobs([[(_row("a", 1, 2), _row("b", 1, 1)), ()]], {("a", 0): [-1.0, -2.0], ("b", 0): [-3.0]})
    item = PackedSteps(steps, sizes=[StepSize(2, 3)], rules=[LossRule("token_mean", (0.2, 0.2))], max_tokens=8)[0]
    assert item["old_logprobs_T"].tolist() == [-1.0, -2.0, -3.0]
