"""Files between the stages: parquet shards with a manifest, and JSON lines with row numbers in every complaint.

A data set is a folder: `data/part-00000.parquet`, ... and `manifest.json`, which is written last, so a folder without
one is unfinished. Each shard is written under another name and renamed, so a killed run leaves finished shards and no
half file. `polars.scan_parquet(DIR + "/data/*.parquet")` and `datasets.load_dataset("parquet", data_dir=DIR + "/data")`
read the same folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, TypeVar

import polars as pl
from pydantic import ValidationError

from judgekit.errors import DataError, describe_validation_error
from judgekit.identity import exact_problem_id
from judgekit.types import Record

RecordT = TypeVar("RecordT", bound=Record)

_log = logging.getLogger(__name__)
_RENAMED: set[Path] = set()
"""Data whose old ids of problems were mentioned: many commands read theirs twice."""
MANIFEST = "manifest.json"
SHARD_DIR = "data"
_SCALARS: dict[Any, pl.DataType] = {str: pl.String(), int: pl.Int64(), float: pl.Float64(), bool: pl.Boolean()}


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to, and move it into place when the block ends without an error.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, pl.exceptions.ComputeError) as error:  # polars reports a full disk as a ComputeError
        raise DataError(
            f"cannot write {path}: {error}. Free the space or choose another output, then resume"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
_DISK_TROUBLE = re.compile(
    r"No space left|File too large|quota exceeded|Read-only file system|failed writing file|unexpected pos \d"
)


@contextlib.contextmanager
def weights_written_to(path: Path) -> Iterator[None]:
    """Turn what libraries raise while they save weights on a full disk into our error; other errors pass.

    safetensors and torch have errors of their own for it, which are no `OSError`, and tell it in their texts alone.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    try:
        yield
    except Exception as error:
        is_disk = error.errno in _DISK_ERRNOS if isinstance(error, OSError) else _DISK_TROUBLE.search(str(error))
        if isinstance(error, DataError) or not is_disk:
            raise
        reason = str(error).splitlines()[0][:200]
        raise DataError(
            f"cannot write {path}: {reason}. Free the space, then resume; finished checkpoints are kept"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a JSON file atomically: indented, no NaN, keys in the given order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def input_hashes(path: Path) -> dict[str, str]:
    """Return the SHA-256 of a file, or of every data file in a folder, by name."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in {".parquet", ".jsonl"})
    return {str(file.relative_to(path.parent)): file_sha256(file) for file in files}


def checkpoint_files(name: str | Path) -> list[Path]:
    """Return the files that make a local checkpoint what it is: JSON and safetensors. None for a Hub id or a server."""
    folder = Path(name)
    return sorted(p for p in folder.glob("*") if p.suffix in {".json", ".safetensors"}) if folder.is_dir() else []


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield (1-based row number, object), or (row number, complaint) where a line is no JSON object. Skips blank lines.

    Raises:
        DataError: the file is missing, unreadable or holds no line at all.
    """
    n_rows = 0
    try:
        with path.open(encoding="utf-8", errors="strict") as file:
            for row, line in enumerate(file, start=1):
                if line.strip():
                    n_rows += 1
                    yield row, _parse_line(line)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}. Is it compressed? Unpack it first") from error
    if not n_rows:
        raise DataError(f"{path} is empty: it must hold one JSON object a line")


def _parse_line(line: str) -> dict[str, Any] | str:
    try:
        value = json.loads(line.strip())
    except (ValueError, RecursionError) as error:
        return f"malformed JSON: {error}, in {line.strip()[:120]!r}"
    return value if isinstance(value, dict) else f"a JSON object is wanted, not {type(value).__name__}"


def parquet_schema(record_type: type[Record]) -> dict[str, pl.DataType]:
    """Return the one polars schema of a stored type, in the order of its fields.

    Example:
        >>> from judgekit.types import Problem
        >>> parquet_schema(Problem)["answer"]
        String
    """
    hints = typing.get_type_hints(record_type)
    return {name: _column_type(hints[name]) for name in record_type.model_fields}


def _column_type(annotation: Any) -> pl.DataType:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [arg for arg in args if arg is not type(None)]
        return _column_type(inner)
    if origin is tuple:
        return pl.List(_column_type(args[0]))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return pl.String()
    return _SCALARS[annotation]


class ShardWriter:
    """Writes records to a data set folder, shard by shard.

    With `resume`, the rows of finished shards are compared with the rows given again and not written twice, so a build
    that was killed continues with the same calls. Use as a context manager; the manifest is written when the block ends
    without an error.

    Args:
        output: Folder of the data set.
        record_type: The stored type; fixes the columns.
        rows_per_shard: Rows in every shard but the last.
        resume: Continue an unfinished folder instead of refusing it.
    """

    def __init__(
        self, output: Path, record_type: type[Record], *, rows_per_shard: int = 50_000, resume: bool = False
    ) -> None:
        self.output = output
        self.record_type = record_type
        self.rows_per_shard = rows_per_shard
        self.n_rows = 0
        self.info: dict[str, Any] = {}
        self._schema = parquet_schema(record_type)
        self._keys: tuple[str, ...] = tuple(name for name in ("id", "problem_id") if name in record_type.model_fields)
        self._buffer: list[Record] = []
        self._shards = sorted((output / SHARD_DIR).glob("part-*.parquet"))
        if self._shards and not resume:
            raise DataError(f"{output} already holds shards: add --resume, or remove the folder")
        self._n_done = sum(pl.scan_parquet(shard).select(pl.len()).collect().item() for shard in self._shards)
        self._done_rows = self._finished_rows(tuple(self._shards))
        self._remove_partials()

    def _remove_partials(self) -> None:
        """Remove the half files that a killed run left behind."""
        for partial in (self.output / SHARD_DIR).glob(".part-*.partial"):
            partial.unlink(missing_ok=True)

    def _finished_rows(self, shards: Sequence[Path]) -> Iterator[tuple[str, ...]]:
        for shard in shards:
            yield from pl.read_parquet(shard, columns=list(self._keys)).select(self._keys).iter_rows()

    def write(self, record: Record) -> None:
        """Add one record.

        Raises:
            DataError: resuming, and the row differs from the one already stored at this place.
        """
        if self.n_rows < self._n_done:
            now, was = tuple(getattr(record, name) for name in self._keys), next(self._done_rows)
            if now != was:
                changed = "The input or the options changed"
                if now[:-1] == was[:-1] and was[-1] == exact_problem_id(getattr(record, "problem", "")):
                    changed = "An earlier release began it, and knows problems by their exact text"
                before, after = next(pair for pair in zip(was, now, strict=True) if pair[0] != pair[1])
                raise DataError(
                    f"cannot resume {self.output}: row {self.n_rows} was {before} and is {after} now. {changed}; "
                    "build into a new folder"
                )
        else:
            self._buffer.append(record)
            if len(self._buffer) == self.rows_per_shard:
                self._flush()
        self.n_rows += 1

    def _flush(self) -> None:
        path = self.output / SHARD_DIR / f"part-{len(self._shards):05d}.parquet"
        rows = [record.model_dump(mode="json") for record in self._buffer]
        with atomic_path(path) as partial:
            pl.DataFrame(rows, schema=self._schema).write_parquet(partial)
        self._shards.append(path)
        self._buffer = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None:
            return
        if self._buffer:
            self._flush()
        if self.n_rows < self._n_done:
            raise DataError(
                f"cannot resume {self.output}: it holds {self._n_done} rows and the input now gives {self.n_rows}. "
                "The input or the options changed; build into a new folder"
            )
        shards = {str(path.relative_to(self.output)): file_sha256(path) for path in self._shards}
        manifest = {
            "record": self.record_type.__name__,
            "schema_version": self.record_type.SCHEMA_VERSION,
            "n_rows": self.n_rows,
            "shards": shards,
        }
        write_json(self.output / MANIFEST, manifest | self.info)


def shard_paths(path: Path) -> list[Path]:
    """Return the parquet files of a finished data set folder, or the one file given.

    Raises:
        DataError: nothing is there, or the folder has no manifest, which means that its build did not finish.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path} does not exist: give a data set folder or a parquet file")
    if not (path / MANIFEST).is_file():
        raise DataError(f"{path} has no {MANIFEST}: its build did not finish; run it again with --resume")
    return [path / name for name in read_json(path / MANIFEST)["shards"]]


def field_names(path: Path) -> set[str]:
    """Return the fields of the rows in a data set folder, a parquet or a JSON-lines file, by its first shard or row.

    Raises:
        DataError: nothing is there, or it cannot be read.
    """
    file = shard_paths(path)[0]
    if file.suffix == ".jsonl":
        return next(({*row} for _, row in read_jsonl(file) if isinstance(row, dict)), set())
    try:
        return {*pl.read_parquet_schema(file)}
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{file} is no readable parquet file: {error}") from error


def read_records(path: Path, record_type: type[RecordT]) -> Iterator[RecordT]:
    """Yield the records of a data set folder, a parquet file or a JSON-lines file in the same fields.

    Raises:
        DataError: a file is missing, empty or damaged, a column is missing or unknown, or a row is not valid; names
            file, row and value.
    """
    n_rows = n_renamed = 0
    for file in shard_paths(path):
        for row, values in _raw_rows(file, record_type):
            n_rows += 1
            record = parse_record(values, record_type, where=f"{file}, row {row}")
            n_renamed += values.get("problem_id") not in (None, "", getattr(record, "problem_id", None))
            yield record
    if not n_rows:
        raise DataError(f"{path} holds no rows")
    if n_renamed and path not in _RENAMED:
        _RENAMED.add(path)
        _log.warning(
            "%s: %d of %d rows know their problem by its exact text, as earlier releases did; they were read under the "
            "id of its words. `judgekit split %s NEW=1` writes a copy that has it",
            path, n_renamed, n_rows, path,
        )  # fmt: skip


def _raw_rows(file: Path, record_type: type[Record]) -> Iterator[tuple[int, dict[str, Any]]]:
    if file.suffix == ".jsonl":
        for row, value in read_jsonl(file):
            if isinstance(value, str):
                raise DataError(f"{file}, row {row}: {value}")
            yield row, value
        return
    try:
        frame = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{file} is no readable parquet file: {error}") from error
    missing = [name for name, field in record_type.model_fields.items() if field.is_required() and name not in frame]
    if missing:
        raise DataError(f"{file} has no column {missing[0]!r}: it holds no {record_type.__name__} rows")
    yield from enumerate(frame.iter_rows(named=True), start=1)


def parse_record(values: Mapping[str, Any], record_type: type[RecordT], *, where: str) -> RecordT:
    """Validate one row.

    Raises:
        DataError: with the place, the field, the value and what is wrong with it.
    """
    try:
        return record_type.model_validate(dict(values))
    except ValidationError as error:
        raise DataError(f"{where}: {describe_validation_error(error)}") from error


def write_records(
    output: Path,
    records: Iterable[RecordT],
    *,
    record_type: type[RecordT],
    info: Mapping[str, Any] | None = None,
    resume: bool = False,
    on_row: Callable[[RecordT], None] | None = None,
) -> int:
    """Write records to a data set folder and return how many there are. `info` goes into the manifest.

    Raises:
        DataError: see `ShardWriter`; also when there is no record at all.
    """
    with ShardWriter(output, record_type, resume=resume) as writer:
        for record in records:
            writer.write(record)
            if on_row is not None:
                on_row(record)
        if not writer.n_rows:
            raise DataError(f"no rows for {output}: the input gave none, or every row was rejected")
        writer.info = dict(info or {})
    return writer.n_rows


__all__: Sequence[str] = [
    "MANIFEST", "SHARD_DIR", "ShardWriter", "atomic_path", "checkpoint_files", "field_names", "file_sha256",
    "input_hashes", "parquet_schema", "parse_record", "read_json", "read_jsonl", "read_records", "shard_paths",
    "weights_written_to", "write_json", "write_records", "write_text",
]  # fmt: skip
