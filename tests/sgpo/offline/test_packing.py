"""Packing: bins, the tensors in them, and how they are dealt out to steps."""

from __future__ import annotations

import random

import pytest

from sgpo.algorithms.base import LossRule, TokenSum
from sgpo.offline.packing import (
    OfflineRow,
    PackedSteps,
    assign_bins,
    build_bin,
    deal_steps,
    fill_old_logprobs,
    pack_rows,
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


def test_steps_are_filled_up_with_empty_bins() -> None:
    bins = pack_rows([_row(str(i), 1, 3) for i in range(5)], token_budget=4)
    steps = deal_steps(bins, bins_per_step=2, seed=0)
    assert [[len(packed) for packed in step] for step in steps] == [[1, 1], [1, 1], [1, 0]]
    assert sorted(row.key for step in steps for packed in step for row in packed) == [(str(i), 0) for i in range(5)]
    assert deal_steps(bins, bins_per_step=2, seed=0) == steps
    assert deal_steps(bins, bins_per_step=2, seed=1) != steps


@pytest.mark.parametrize(("tokens", "units"), [("seq_token_mean", 2), ("token_mean", 7), ("fixed", 2), ("seq_sum", 2)])
def test_items_carry_the_units_of_their_whole_step(tokens: TokenSum, units: int) -> None:
    steps = [[(_row("a", 1, 3),), (_row("b", 1, 4),)], [(_row("c", 1, 5),), ()]]
    items = PackedSteps(steps, rules=[LossRule(tokens, None)] * 2, max_tokens=8)
    assert len(items) == 4
    assert items[0]["scale"].item() == items[1]["scale"].item() == pytest.approx(1 / units)
    assert (
        items[2]["scale"].item() == items[3]["scale"].item() == pytest.approx(1 / (5 if tokens == "token_mean" else 1))
    )
    assert items[3]["source_T"].shape == (0,)


def test_old_logprobs_follow_their_row() -> None:
    steps = fill_old_logprobs([[(_row("a", 1, 2), _row("b", 1, 1)), ()]], {("a", 0): [-1.0, -2.0], ("b", 0): [-3.0]})
    item = PackedSteps(steps, rules=[LossRule("token_mean", (0.2, 0.2))], max_tokens=8)[0]
    assert item["old_logprobs_T"].tolist() == [-1.0, -2.0, -3.0]
