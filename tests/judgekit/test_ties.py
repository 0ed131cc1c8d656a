"""What counts as equal: rounding does, nothing that anybody means does."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judgekit.metrics.checks import group_ends, merge_ties
from judgekit.ties import first_largest, is_tied, rounded

probs = st.floats(min_value=1e-300, max_value=1)


@given(st.lists(st.sampled_from([0.9, 0.8, 0.7, 0.97, 0.15]), min_size=2, max_size=4))
def test_products_in_any_order_are_tied(factors: list[float]) -> None:
    products = [math.prod(order) for order in permutations(factors)]
    assert all(is_tied(product, products[0]) for product in products)
    assert len({rounded(product) for product in products}) == 1
    assert len(group_ends(np.sort(products))) == 1


@given(probs)
def test_what_differs_by_more_than_rounding_is_apart_at_every_size(prob: float) -> None:
    other = prob * (1 + 1e-9)
    assert not is_tied(prob, other)
    assert rounded(prob) != rounded(other)
    assert group_ends(np.array([prob, other])).tolist() == [0, 1]


def test_infinities_and_zero_are_tied_with_themselves_alone() -> None:
    assert is_tied(-math.inf, -math.inf)
    assert not is_tied(-math.inf, 1.0)
    assert is_tied(0.0, 0.0)
    assert not is_tied(0.0, 1e-300)


def test_the_first_of_the_largest_by_hand() -> None:
    assert first_largest([0.1, 0.3, 0.1 + 0.2, 0.3]) == 1
    assert first_largest([0.3, 0.3 + 1e-9]) == 1
    assert first_largest([-math.inf, -math.inf]) == 0
    assert first_largest([0.0]) == 0


@pytest.mark.parametrize("descending", [False, True])
def test_neighbours_in_sorted_order_are_chained(descending: bool) -> None:
    step = 1 + 0.8e-12
    chain = [0.5, 0.5 * step, 0.5 * step**2, 0.6, 0.0]
    ordered = np.sort(chain)[::-1] if descending else np.sort(chain)
    assert group_ends(ordered).tolist() == [0, 3, 4]
    assert merge_ties(np.array(chain)).tolist() == [0.5, 0.5, 0.5, 0.6, 0.0]


@given(st.lists(probs, max_size=20))
def test_merging_moves_nothing_further_than_rounding_and_keeps_the_order(values: list[float]) -> None:
    merged = merge_ties(np.array(values))
    assert all(is_tied(a, b) or a == b for a, b in zip(values, merged.tolist(), strict=True))
    for a, merged_a in zip(values, merged, strict=True):
        for b, merged_b in zip(values, merged, strict=True):
            assert a >= b or merged_a <= merged_b
