"""Packs and padded batches: every solution once, within the budget, each shared prefix laid down once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judgekit.engines.scoring import packing
from judgekit.engines.scoring.packing import MIN_SHARED_TOKENS, count_shared, plan_packs, plan_padded

PROBLEM = list(range(100, 100 + MIN_SHARED_TOKENS))
TREES = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=12), min_size=1, max_size=25)
"""Short texts over two tokens, so that they share prefixes of all lengths, and some are equal."""


def test_padded_batches_by_hand() -> None:
    # Longest first; a batch costs its longest row times its rows: 7 | 4+3 -> 8 | 2+1 -> 4
    batches = plan_padded([[0] * n for n in (3, 7, 1, 4, 2)], token_budget=8)
    assert [batch.rows for batch in batches] == [[1], [3, 0], [4, 2]]
    assert [len(batch) for batch in batches] == [7, 8, 4]
    assert [index.tolist() for index in batches[1].index_T] == [[0, 1, 2, 3], [4, 5, 6]]
    assert [batch.rows for batch in plan_padded([[0] * 9] * 2, token_budget=1)] == [[0], [1]]
    assert plan_padded([], token_budget=8) == plan_packs([], token_budget=8) == []


def test_a_group_by_hand() -> None:
    (pack,) = plan_packs([[*PROBLEM, 7, 8], [5], [*PROBLEM, 7, 9, 9], [*PROBLEM, 7, 8]], token_budget=100)
    assert pack.rows == [1, 0, 3, 2]
    assert pack.input_ids_P == [5, *PROBLEM, 7, 8, 9, 9], "the problem, and the first token behind it, once"
    assert pack.position_ids_P == [0, *range(34), 33, 34]
    assert [index.tolist() for index in pack.index_T] == [
        [0],
        [*range(1, 35)],
        [*range(1, 35)],  # equal to the one before: no token of its own
        [*range(1, 34), 35, 36],
    ]


def test_short_prefixes_and_what_is_switched_off_are_not_shared() -> None:
    rows = [[*PROBLEM[1:], 1], [*PROBLEM[1:], 2]]
    assert len(plan_packs(rows, token_budget=100)[0]) == 2 * MIN_SHARED_TOKENS
    rows = [[*PROBLEM, 1], [*PROBLEM, 2]]
    assert len(plan_packs(rows, token_budget=100)[0]) == MIN_SHARED_TOKENS + 2
    assert len(plan_packs(rows, token_budget=100, share=False)[0]) == 2 * MIN_SHARED_TOKENS + 2


def test_the_fullest_pack_comes_first_and_a_longer_solution_goes_alone() -> None:
    packs = plan_packs([[1, 1], [2], [3] * 50, [4] * 3], token_budget=5)
    assert [(pack.rows, len(pack)) for pack in packs] == [([2], 50), ([0, 1], 3), ([3], 3)]


@given(rows=TREES, token_budget=st.integers(1, 60))
@pytest.mark.parametrize("min_shared", [1, 3])
def test_every_solution_can_be_read_back(rows: list[list[int]], token_budget: int, min_shared: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "MIN_SHARED_TOKENS", min_shared)
        packs = plan_packs(rows, token_budget=token_budget)
    assert sorted(row for pack in packs for row in pack.rows) == list(range(len(rows)))
    for pack in packs:
        assert len(pack) <= token_budget or len(pack.rows) == 1
        ids, positions = np.array(pack.input_ids_P), np.array(pack.position_ids_P)
        for row, index_T in zip(pack.rows, pack.index_T, strict=True):
            assert ids[index_T].tolist() == rows[row]
            assert positions[index_T].tolist() == list(range(len(rows[row])))


@given(rows=TREES)
def test_one_pack_holds_each_distinct_prefix_once(rows: list[list[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "MIN_SHARED_TOKENS", 1)
        (pack,) = plan_packs(rows, token_budget=10**6)
    assert len(pack) == len({tuple(row[:end]) for row in rows for end in range(1, len(row) + 1)})


@given(rows=TREES, token_budget=st.integers(1, 200))
def test_padded_batches_hold_every_row_once_within_the_budget(rows: list[list[int]], token_budget: int) -> None:
    batches = plan_padded(rows, token_budget=token_budget)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(rows)))
    for batch in batches:
        assert len(batch) <= token_budget or len(batch.rows) == 1


def test_counting_shared_tokens() -> None:
    assert count_shared([], [1]) == 0
    assert count_shared([1, 2], [1, 2]) == 2
    assert count_shared([1, 2, 3], [1, 9, 3]) == 1
