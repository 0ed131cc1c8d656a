"""Subsamples a set so that no problem, step, length, generator, source or label dominates.

A hash of the row's id and the seed decides which rows stay: the same on every machine, whatever the order of the rows,
and a row that stays under a cap also stays under a higher one.
"""

from __future__ import annotations

import hashlib

import polars as pl

from judgekit_datasets.curation.config import BalanceConfig


def balance(rows: pl.DataFrame, config: BalanceConfig, *, seed: int) -> pl.DataFrame:
    """Return the rows to leave out: `row`, `reason`, `detail`.

    Args:
        rows: Candidates with `row`, `id`, `first_error` and the columns that caps count by.
        config: Caps and the share of errors.
        seed: Another seed leaves out other rows.
    """
    rows = rows.with_columns(rank=draw_ranks(rows["id"], seed=seed))
    removed = []
    for key, cap in config.caps.items():
        place = pl.struct("rank", "row").rank("ordinal").over(key)
        counted = pl.col("first_error").is_not_null() if key == "first_error" else pl.lit(True)
        over = rows.filter(counted).filter(place > cap)
        detail = pl.format("more than {} rows with {} {}", pl.lit(cap), pl.lit(key), pl.col(key).cast(pl.String))
        removed.append(over.select("row", reason=pl.lit(f"cap on {key}"), detail=detail.fill_null(f"no {key}")))
        rows = rows.join(over.select("row"), on="row", how="anti", maintain_order="left")
    if config.error_frac is not None:
        # The rows of the commoner kind that must go for errors to have their share, or as close as rows allow.
        is_error = pl.col("first_error").is_not_null()
        errors, fine = rows.filter(is_error), rows.filter(~is_error)
        n_errors = min(len(errors), round(len(fine) * config.error_frac / (1 - config.error_frac)))
        n_fine = min(len(fine), round(len(errors) * (1 - config.error_frac) / config.error_frac))
        over = pl.concat([errors.sort("rank", "row")[n_errors:], fine.sort("rank", "row")[n_fine:]])
        share = pl.lit(f"share of errors brought to {config.error_frac:g}")
        removed.append(over.select("row", reason=pl.lit("balance of labels"), detail=share))
    empty = pl.DataFrame(schema={"row": rows.schema["row"], "reason": pl.String(), "detail": pl.String()})
    return pl.concat([empty, *removed])


def draw_ranks(ids: pl.Series, *, seed: int) -> pl.Series:
    """Return a number for each id, spread evenly over 64 bits; rows are kept in the order of these numbers."""
    prefix = f"{seed}:".encode()
    digests = (hashlib.blake2b(prefix + text.encode(), digest_size=8).digest() for text in ids)
    return pl.Series("rank", [int.from_bytes(digest) for digest in digests], dtype=pl.UInt64)
