import hashlib

import polars as pl

from judgekit_datasets.curation.balance import balance, draw_ranks
from judgekit_datasets.curation.config import BalanceConfig


def rows(n_errors, n_fine, **columns):
    n = n_errors + n_fine
    first_errors = [i % 2 for i in range(n_errors)] + [None] * n_fine
    facts = {"row": range(n), "id": [f"r{i}" for i in range(n)], "first_error": first_errors}
    return pl.DataFrame(facts | columns, schema_overrides={"first_error": pl.Int64})


def test_off_by_default():
    assert balance(rows(5, 3), BalanceConfig(), seed=0).is_empty()


def test_rank_is_a_hash_of_seed_and_id():
    expected = int.from_bytes(hashlib.blake2b(b"7:r1", digest_size=8).digest())
    assert draw_ranks(pl.Series(["r1"]), seed=7).to_list() == [expected]


def test_a_cap_keeps_the_lowest_ranks():
    data = rows(0, 6, generator=["a"] * 4 + [None] * 2)
    removed = balance(data, BalanceConfig(caps={"generator": 2}), seed=3)
    ranks = draw_ranks(data["id"], seed=3).to_list()
    assert removed["row"].to_list() == [i for i in range(4) if ranks[i] in sorted(ranks[:4])[2:]]
    assert removed["reason"].unique().to_list() == ["cap on generator"]
    assert removed["detail"].unique().to_list() == ["more than 2 rows with generator a"]


def test_null_is_a_value_of_its_own():
    removed = balance(rows(0, 3, generator=[None] * 3), BalanceConfig(caps={"generator": 1}), seed=0)
    assert len(removed) == 2


def test_cap_on_the_first_error_spares_rows_without_one():
    removed = balance(rows(10, 8), BalanceConfig(caps={"first_error": 3}), seed=0)
    assert len(removed) == 4  # five at step 0 and five at step 1
    assert removed["row"].max() < 10


def test_share_of_errors():
    def left(n_errors, n_fine, error_frac):
        gone = balance(rows(n_errors, n_fine), BalanceConfig(error_frac=error_frac), seed=1)["row"].to_list()
        n_gone = sum(row < n_errors for row in gone)
        return n_errors - n_gone, n_fine - (len(gone) - n_gone)

    assert left(30, 10, 0.5) == (10, 10)
    assert left(10, 30, 0.5) == (10, 10)
    assert left(30, 10, 0.6) == (15, 10)
    assert left(10, 90, 0.1) == (10, 90)


def test_another_seed_and_another_order():
    data = rows(0, 20, source=["s"] * 20)
    config = BalanceConfig(caps={"source": 10})
    one, other = (set(balance(data, config, seed=seed)["row"]) for seed in (1, 2))
    assert one != other
    assert set(balance(data.reverse(), config, seed=1)["row"]) == one


def test_caps_come_in_order_and_labels_last():
    data = rows(8, 4, source=["s"] * 12, n_steps=[1] * 8 + [2] * 4)
    removed = balance(data, BalanceConfig(caps={"n_steps": 4, "source": 7}, error_frac=0.5), seed=0)
    assert removed["reason"].to_list()[:5] == ["cap on n_steps"] * 4 + ["cap on source"]
    assert len(removed) == removed["row"].n_unique()
