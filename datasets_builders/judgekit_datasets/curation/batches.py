"""The reading half of curation: rows are read in batches, and files store what decisions are based on.

For each batch there are its facts (one line per row: ids, labels, what is wrong with it, a key of its text), its
matches with benchmarks, and its sketches. Each file is written whole and the facts last, so a batch that has them is
finished.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from judgekit.errors import DataError
from judgekit.io import atomic_path, current_problem_ids, parquet_schema, read_json, write_json
from judgekit.progress import track
from judgekit.text.arithmetic.tokens import ANNOTATION
from judgekit.text.identity import content_id, problem_words
from judgekit.types import LabelledSolution
from judgekit_datasets.curation.config import CurationConfig
from judgekit_datasets.curation.decontamination import MATCH_SCHEMA, BenchmarkIndex, row_words
from judgekit_datasets.curation.near_duplicates import Sketch, SketchFiles, sketch
from judgekit_datasets.curation.quality import complaints, with_first_error
from judgekit_datasets.curation.text_hashes import Words, loose_keys, mix

_ROWS_PER_BATCH = 20_000
_ROWS_AT_ONCE = 2_000
_BENCHMARKS = "benchmarks.json"
ROW_SKETCHES = "sketches"
"""Folder of the sketches of all rows, one file per batch."""
BatchFile = Literal["facts", "matches"]
"""What is kept of a batch: one line per row, or one line a match with a benchmark."""


class Batch(NamedTuple):
    """Some rows of one file."""

    number: int
    """Number of the batch."""
    file: Path
    """Where the rows are."""
    offset: int
    """Rows of the file before them."""
    n_rows: int
    """How many they are."""
    first_row: int
    """Number of the first among all rows of all files."""


def plan_batches(files: Sequence[Path]) -> list[Batch]:
    """Cut the rows of the files into batches.

    Raises:
        DataError: a file is not a parquet file, or there is no row at all.
    """
    batches: list[Batch] = []
    n_rows = 0
    for file in files:
        try:
            in_file = pq.read_metadata(file).num_rows
        except (OSError, ValueError) as error:
            raise DataError(f"{file} is not a readable parquet file: {error}") from error
        for offset in range(0, in_file, _ROWS_PER_BATCH):
            size = min(_ROWS_PER_BATCH, in_file - offset)
            batches.append(Batch(len(batches), file, offset, size, n_rows + offset))
        n_rows += in_file
    if not n_rows:
        raise DataError(f"no rows in {', '.join(map(str, files))}")
    return batches


def read_rows(batch: Batch) -> pl.DataFrame:
    """Read the rows of a batch: `row`, its number among all, and the columns of `LabelledSolution`.

    Raises:
        DataError: a column is missing, unknown or of another type, or the file is damaged.
    """
    schema, fields = parquet_schema(LabelledSolution), LabelledSolution.model_fields
    try:
        frame = pl.scan_parquet(batch.file).slice(batch.offset, batch.n_rows).collect()
        absent = [name for name in schema if name not in frame.columns]
        missing = [name for name in absent if fields[name].is_required()]
        unknown = [name for name in frame.columns if name not in schema]
        if missing or unknown:
            what = f"has no column {missing[0]!r}" if missing else f"has an unknown column {unknown[0]!r}"
            raise DataError(f"{batch.file} {what}: it does not hold LabelledSolution rows")
        frame = frame.with_columns(pl.lit(fields[name].get_default()).alias(name) for name in absent)
        frame = frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
        frame = frame.with_columns(current_problem_ids(frame["problem_id"], frame["problem"]))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{batch.file} cannot be read as LabelledSolution rows: {error}") from error
    return frame.with_row_index("row", offset=batch.first_row).with_columns(pl.col("row").cast(pl.Int64))


def make_files(batches: Sequence[Batch], config: CurationConfig, work: Path, *, progress: bool) -> None:
    """Make the files of every batch that has none yet, in several processes.

    Raises:
        DataError: data or a benchmark cannot be read, or the disk is full.
    """
    todo = [batch for batch in batches if not _path(work, "facts", batch).is_file()]
    if not todo:
        return
    index = BenchmarkIndex(config.contamination)
    write_json(work / _BENCHMARKS, {"places": index.places, "n_texts": index.n_texts.tolist()})
    # Starting a process takes a second: only where it has two batches to make.
    n_workers = min(config.workers or len(os.sched_getaffinity(0)), max(len(todo) // 2, 1))
    if n_workers == 1:
        for batch in track(todo, "reading", disable=not progress):
            _make_files(batch, config, index, work)
        return
    with ProcessPoolExecutor(n_workers, get_context("spawn"), _set_up, (config, index, work)) as pool:
        done = pool.map(_make_files_here, todo)
        for _ in track(done, "reading", total=len(todo), disable=not progress):
            pass


_setting: list[tuple[CurationConfig, BenchmarkIndex, Path]] = []
"""What all batches of a worker process share; sent to it once, for the index is large."""


def _set_up(config: CurationConfig, index: BenchmarkIndex, work: Path) -> None:
    _setting[:] = [(config, index, work)]


def _make_files_here(batch: Batch) -> None:
    _make_files(batch, *_setting[0])


def _make_files(batch: Batch, config: CurationConfig, index: BenchmarkIndex, work: Path) -> None:
    rows = with_first_error(read_rows(batch))
    rows = rows.with_columns(complaints(rows, config.quality))
    solutions = rows["steps"].list.join("\n").fill_null("")
    sketches, matches = [], [pl.DataFrame(schema=MATCH_SCHEMA)]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        problems = some["problem"].fill_null("")
        words = row_words(problems, solutions[start : start + _ROWS_AT_ONCE])
        if index.names:
            found = index.find(words, problems)
            matches.append(found.with_columns(pl.col("row") + batch.first_row + start))
        if config.duplicates.near is not None:
            # A row's problem and solution as one text. One number a place of the first error: solutions that differ in
            # it are not duplicates.
            both = Words(words.hashes_W, words.starts_B1[::2], words.exact_W)
            key_B = mix((some["first_error"].fill_null(-1) + 2).to_numpy().astype(np.uint64))
            sketches.append(sketch(both, config.duplicates, key_B=key_B))
    if sketches:
        SketchFiles(work / ROW_SKETCHES).write(batch.number, join_sketches(sketches))
    stored = pl.scan_parquet(batch.file).select("problem_id").slice(batch.offset, batch.n_rows).collect()["problem_id"]
    problem_keys = loose_keys(rows["problem"].fill_null(""))
    # The file of PRM800K that a row of it, or of PRMBench, was made from; null for other sources. PRMBench says so in
    # its `idx`: `prm_test_p1_17` comes from row 17 of phase 1, test.
    parts = pl.col("source_id").str.extract_groups(r"^prm_(?<split>train|test)_p(?<phase>[12])_")
    of_idx = pl.format("phase{}_{}", parts.struct["phase"], parts.struct["split"])
    known = pl.when(pl.col("source") == "prmbench").then(of_idx.fill_null("unknown"))
    facts = rows.select(
        *("row", "id", "problem_id", "first_error", "source", "generator", "label_method", "licence"),
        *("reason", "detail"),
        renamed=stored.cast(pl.String).ne_missing(rows["problem_id"]),
        problem_key=pl.Series(problem_keys),
        text_key=pl.Series(mix(problem_keys * np.uint64(3) + loose_keys(solutions))),
        n_steps=pl.col("steps").list.len().cast(pl.Int64),
        prm800k_file=known.when(pl.col("source") == "prm800k").then(pl.col("subset").fill_null("unknown")),
    )
    frames: dict[BatchFile, pl.DataFrame] = {"matches": pl.concat(matches), "facts": facts}
    for name, frame in frames.items():  # facts last: a batch that has them is finished
        with atomic_path(_path(work, name, batch)) as partial:
            frame.write_parquet(partial)


def join_sketches(parts: Sequence[Sketch]) -> Sketch:
    """Put the sketches of several lots of texts one after the other."""
    keys, shingles, sizes = zip(*parts, strict=True)
    return Sketch(np.concatenate(keys, axis=1), np.concatenate(shingles), np.concatenate(sizes))


def text_identities(rows: pl.DataFrame) -> pl.Series:
    """Return an id for each row: equal for the same problem and the same steps, see `judgekit.text.identity`."""
    texts = zip(rows["problem"], rows["steps"], strict=True)
    ids = [
        content_id(text=[problem_words(ANNOTATION.sub("", text)) for text in (problem, *steps)])
        for problem, steps in texts
    ]
    return pl.Series("text_id", ids, dtype=pl.String)


def read_batches(batches: Sequence[Batch], work: Path, name: BatchFile) -> pl.DataFrame:
    """Return the facts of all rows, in order, or their matches with benchmarks, in the columns of `MATCH_SCHEMA`."""
    return pl.concat([pl.read_parquet(_path(work, name, batch)) for batch in batches])


def read_benchmark_texts(work: Path) -> tuple[list[str], list[list[int]]]:
    """Return file and row of every benchmark text, and the number of texts of each benchmark and part."""
    stored: dict[str, Any] = read_json(work / _BENCHMARKS)
    return stored["places"], stored["n_texts"]


def _path(work: Path, name: BatchFile, batch: Batch) -> Path:
    return work / name / f"part-{batch.number:05d}.parquet"
