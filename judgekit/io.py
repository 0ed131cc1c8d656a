"""Files between the stages: parquet shards with a manifest, and JSON lines with row numbers in every error.

A data set is a folder: `data/part-00000.parquet`, ... and `manifest.json`, which is written last, so a folder without
one is unfinished. Each shard is written under a temporary name and renamed, so a killed run leaves finished shards and
no half file. `polars.scan_parquet(DIR + "/data/*.parquet")` and `datasets.load_dataset("parquet", data_dir=DIR +
"/data")` read the same folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import re
import shutil
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, TypeVar

import polars as pl

from judgekit.errors import ConfigError, DataError, boundary, shorten
from judgekit.reading.rows import SUFFIXES, data_files, is_hidden, read_fields, read_rows
from judgekit.reading.texts import read_text
from judgekit.solution_ids import SolutionIds
from judgekit.text.identity import current_problem_id, exact_problem_id
from judgekit.types import LabelledSolution, Problem, Record, Rollout, Solution, WeaklyLabelledSolution

RecordT = TypeVar("RecordT", bound=Record)

_log = logging.getLogger(__name__)
_RENAMED: set[Path] = set()
"""Data whose old ids of problems were mentioned: many commands read theirs twice."""
MANIFEST = "manifest.json"
SHARD_DIR = "data"
_SCALARS: dict[Any, pl.DataType] = {str: pl.String(), int: pl.Int64(), float: pl.Float64(), bool: pl.Boolean()}


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path next to `path` to write to, and move it into place when the block ends without an error.

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


def append_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows to a file of JSON lines: all of them, or none.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    text = "".join(json.dumps(dict(row), allow_nan=False) + "\n" for row in rows)
    size = path.stat().st_size if path.is_file() else 0
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        with contextlib.suppress(OSError):  # half a row would stand before what a resumed run appends
            os.truncate(path, size)
        raise DataError(f"cannot write {path}: {error}. Free the space, then resume") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: the file is missing or is not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def input_hashes(path: Path) -> dict[str, str]:
    """Return the SHA-256 of a file, or of every data file in a folder, by name. Hidden files are none."""
    files = [path]
    if not path.is_file():
        tables = {p for p in path.rglob("*") if p.suffix in {".parquet", ".jsonl"} and not is_hidden(p, path)}
        # `.json` counts where it holds rows only: in a finished data set it is what is said about them.
        with contextlib.suppress(DataError):  # a folder without any rows has no hashes
            tables |= set() if (path / MANIFEST).is_file() else {*data_files(path)}
        files = sorted(tables)
    return {str(file.relative_to(path.parent)): file_sha256(file) for file in files}


def checkpoint_files(name: str | Path) -> list[Path]:
    """Return the files that make a local checkpoint what it is: JSON and safetensors. None for a Hub id or a server."""
    folder = Path(name)
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.glob("[!.]*") if p.suffix in {".json", ".safetensors"})


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


class ShardFiles:
    """Writes frames to shards of one folder, each under another name first.

    Args:
        folder: Where the files go.
        rows_per_shard: Rows in every shard but the last.
        files: Shards that are there already, in order.
    """

    def __init__(self, folder: Path, *, rows_per_shard: int = 50_000, files: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.files = [*files]
        self.n_rows = sum(pl.scan_parquet(file).select(pl.len()).collect().item() for file in files)
        self._rows_per_shard = rows_per_shard
        self._waiting: list[pl.DataFrame] = []
        for partial in folder.glob(".part-*.partial"):  # half files that a killed run left behind
            partial.unlink(missing_ok=True)

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows; they are written as soon as they fill a shard."""
        self._waiting.append(frame)
        while sum(map(len, self._waiting)) >= self._rows_per_shard:
            joined = pl.concat(self._waiting)
            self._waiting = [joined[self._rows_per_shard :]]
            self.write(joined[: self._rows_per_shard])

    def flush(self) -> None:
        """Write the rows that wait as one shard."""
        rest = pl.concat(self._waiting) if self._waiting else pl.DataFrame()
        self._waiting = []
        if len(rest):
            self.write(rest)

    def write(self, frame: pl.DataFrame) -> None:
        """Write one shard of all these rows."""
        path = self.folder / f"part-{len(self.files):05d}.parquet"
        with atomic_path(path) as partial:
            frame.write_parquet(partial)
        self.files.append(path)
        self.n_rows += len(frame)


def write_manifest(
    output: Path, record_type: type[Record], shards: Sequence[ShardFiles], info: Mapping[str, Any]
) -> None:
    """Finish a data set folder: name its record, its rows and its shards with their hashes, and add `info`."""
    files = [file for part in shards for file in part.files]
    manifest = {
        "record": record_type.__name__,
        "schema_version": record_type.SCHEMA_VERSION,
        "n_rows": sum(part.n_rows for part in shards),
        "shards": {str(file.relative_to(output)): file_sha256(file) for file in files},
    }
    write_json(output / MANIFEST, manifest | dict(info))


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
        done = sorted((output / SHARD_DIR).glob("part-*.parquet"))
        if done and not resume:
            raise ConfigError(f"{output} already holds a run: add --resume to continue it, or choose another folder")
        self._shards = ShardFiles(output / SHARD_DIR, rows_per_shard=rows_per_shard, files=done)
        self._n_done = self._shards.n_rows
        self._done_rows = (
            row
            for shard in done
            for row in pl.read_parquet(shard, columns=list(self._keys)).select(self._keys).iter_rows()
        )

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
                    changed = "An earlier release started it, and identified problems by their exact text"
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
        rows = [record.model_dump(mode="json") for record in self._buffer]
        self._buffer = []
        self._shards.write(pl.DataFrame(rows, schema=self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None:
            return
        if self._buffer:
            self._flush()
        if self.n_rows < self._n_done:
            raise DataError(
                f"cannot resume {self.output}: it holds {self._n_done} rows but the input now gives {self.n_rows}. "
                "The input or the options changed; build into a new folder"
            )
        write_manifest(self.output, self.record_type, [self._shards], self.info)


def shard_paths(path: Path) -> list[Path]:
    """Return the files that hold the rows: shards of a finished data set, the one file given, or a folder's data files.

    Raises:
        DataError: nothing is there, or the folder was begun by a build and has no manifest: the build did not finish.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path} does not exist: give a data set folder, or a file ({', '.join(SUFFIXES)})")
    if not (path / MANIFEST).is_file():
        begun = (path / "config.json").is_file() or any((path / SHARD_DIR).glob("part-*.parquet"))
        if begun or not any(path.iterdir()):
            raise DataError(f"{path} has no {MANIFEST}: its build did not finish; run it again with --resume")
        return data_files(path)
    shards = _manifest_value(path, "shards")
    if not isinstance(shards, dict) or not shards:
        raise DataError(f"{path / MANIFEST} names no shards: {path} is the folder of a run, not of a data set")
    return [path / name for name in shards]


def _manifest_value(folder: Path, name: str) -> Any:
    manifest = read_json(folder / MANIFEST)
    return manifest.get(name) if isinstance(manifest, dict) else None


def field_names(path: Path) -> set[str]:
    """Return the fields of the rows in a data set folder or a file, by its first shard or row.

    Raises:
        DataError: nothing is there, or it cannot be read.
    """
    return read_fields(shard_paths(path)[0])


_HANDED_IN: tuple[type[Record], ...] = (Rollout, LabelledSolution, WeaklyLabelledSolution, Solution, Problem)
"""The types of rows that people hand in."""


def find_record_type(path: Path) -> type[Record]:
    """Return which of the types that people hand in the rows are: of a data set by its manifest, else by their fields.

    Raises:
        DataError: nothing is there, it cannot be read, or its rows are of none of them.
    """
    types = {kind.__name__: kind for kind in _HANDED_IN}
    name = _manifest_value(path, "record") if (path / MANIFEST).is_file() else None
    if name is not None:
        if name not in types:
            raise DataError(f"{path} holds records of type {name!r}; use one of: {', '.join(types)}")
        return types[name]
    fields = field_names(path)
    if "response" in fields:
        return Rollout
    if "steps" in fields:
        weak_or_bare = WeaklyLabelledSolution if "known" in fields else Solution
        return LabelledSolution if "labels" in fields else weak_or_bare
    if {"problem", "answer"} <= fields:
        return Problem
    raise DataError(f"{path} has rows with {shorten(sorted(fields))}, not problem, steps and labels: {WAY_IN}")


def holds_records(path: Path) -> bool:
    """Tell whether the rows are stored records, by the fields of the first shard or row: none missing, none unknown.

    Raises:
        DataError: nothing is there, or it cannot be read.
    """
    if (path / MANIFEST).is_file():
        return True
    fields = field_names(path)
    for kind in _HANDED_IN:
        required = {name for name, field in kind.model_fields.items() if field.is_required()} - {"label_method"}
        if required <= fields <= kind.model_fields.keys():
            return True
    return False


def parquet_copies(path: Path, record_type: type[RecordT], *, below: Path) -> list[Path]:
    """Return the rows' files as parquet, for readers that go by columns.

    What is not a parquet, or lacks columns that a record fills in where they are absent, such as ids, is copied below a
    folder.

    Raises:
        DataError: see `read_records`, and `ShardWriter`.
    """
    files: list[Path] = []
    filled_in = {name for name, field in record_type.model_fields.items() if field.get_default() is not None}
    filled_in -= {"schema_version"}
    required = {name for name, field in record_type.model_fields.items() if field.is_required()}
    for number, file in enumerate(shard_paths(path)):
        if file.suffix == ".parquet" and filled_in | required <= read_fields(file):
            files.append(file)
            continue
        copy = below / f"{number:03d}-{file.stem}"
        if not (copy / MANIFEST).is_file():
            shutil.rmtree(copy, ignore_errors=True)  # half a copy of a run that was killed
            write_records(copy, read_records(file, record_type), record_type=record_type)
        files += shard_paths(copy)
    return files


WAY_IN = (
    "convert rows with other fields or labels to a data set with "
    "`judgekit build labelled --input FILE --output FOLDER fields.problem=... fields.steps=... fields.labels=... "
    "source=NAME`, fields.first_error=... for an index; it asks for anything it cannot infer"
)
"""What to do with step-labelled rows that are not as `LabelledSolution` stores them."""
WEAK_WAY = (
    "its rows do not say where the first error is. Use them as `weak` in `judgekit train` (a probe or step "
    "classifier), or label them: `judgekit label`, `judgekit monte-carlo`"
)
"""What to do with weakly labelled rows where step labels are wanted."""


def read_records(path: str | Path, record_type: type[RecordT]) -> Iterator[RecordT]:
    """Yield the records of a data set folder, or of any file that `reading.rows` reads, in the record's own fields.

    Raises:
        DataError: a file is missing, empty or damaged, a column is missing or unknown, a row is not valid, or two
            different solutions have one id; names file, row and value.
    """
    path, n_rows, n_renamed = Path(path), 0, 0
    ids = SolutionIds()
    is_own = record_type is LabelledSolution and not (path / MANIFEST).is_file()
    # A builder must say where rows and labels came from, or that it does not know; a file of the user's may leave it
    # out. One name for all: ids hash it, and must not change with the file's name.
    unsaid = {"label_method": None, "source": "own"} if is_own else {}
    fields = record_type.model_fields.items()
    required = [name for name, field in fields if field.is_required() and name not in unsaid]
    for file in shard_paths(path):
        columns = {*required} if file.suffix in {".jsonl", ".json"} else read_fields(file)
        missing = [name for name in required if name not in columns]
        if missing:
            said = f"{file} has no column {missing[0]!r}: it holds no {record_type.__name__} rows"
            if record_type is LabelledSolution and "known" in columns:
                raise DataError(f"{said}; {WEAK_WAY}")
            raise DataError(f"{said}; {WAY_IN}" if is_own else said)
        for row, values in read_rows(file):
            n_rows += 1
            try:
                if isinstance(values, str):
                    raise DataError(f"{file}, row {row}: {values}")
                record = parse_record(unsaid | values, record_type, where=f"{file}, row {row}")
            except DataError as error:
                if is_own:
                    is_weak = not isinstance(values, str) and "known" in values and "labels" not in values
                    raise DataError(f"{error}; {WEAK_WAY if is_weak else WAY_IN}") from error
                raise
            ids.check(record, place=f"{file}, row ", row=row)
            n_renamed += values.get("problem_id") not in (None, "", getattr(record, "problem_id", None))
            yield record
    if not n_rows:
        raise DataError(f"{path} holds no rows")
    mention_old_problem_ids(path, n_renamed, n_rows)


def mention_old_problem_ids(path: Path, n_renamed: int, n_rows: int) -> None:
    """Log, once for each data set, how many of its rows have ids of problems as earlier releases wrote them."""
    if n_renamed and path not in _RENAMED:
        _RENAMED.add(path)
        _log.warning(
            "%s: %d of %d rows identify their problem by its exact text, as earlier releases did; they were read with "
            "the id of its words. `judgekit split %s NEW=1` writes a copy with the new ids",
            path, n_renamed, n_rows, path,
        )  # fmt: skip


def parse_record(values: Mapping[str, Any], record_type: type[RecordT], *, where: str) -> RecordT:
    """Validate one row.

    Raises:
        DataError: with the place, the field, the value and what is wrong with it.
    """
    with boundary(DataError, where):
        return record_type.model_validate(dict(values))


def current_problem_ids(stored: pl.Series, problems: pl.Series) -> pl.Series:
    """Return a column of problem ids as they are written today; null where one is missing.

    See `judgekit.text.identity`.
    """
    pairs = zip(stored, problems, strict=True)
    current = [old if old is None or text is None else current_problem_id(old, text) for old, text in pairs]
    return pl.Series("problem_id", current, dtype=pl.String)


def write_records(
    output: str | Path,
    records: Iterable[RecordT],
    *,
    record_type: type[RecordT],
    info: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> int:
    """Write records to a data set folder and return how many there are. `info` goes into the manifest.

    Raises:
        ConfigError: the folder holds shards and `resume` is off.
        DataError: see `ShardWriter.write`; also when there is no record at all.
    """
    with ShardWriter(Path(output), record_type, resume=resume) as writer:
        for record in records:
            writer.write(record)
        if not writer.n_rows:
            raise DataError(f"no rows for {output}: the input gave none, or every row was rejected")
        writer.info = dict(info or {})
    return writer.n_rows


def last_words(log: Path) -> str:
    """Return what a process said last in the file of what it printed."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    # Progress bars write over their line; what stands last is what was said last.
    said = (line.split("\r")[-1].strip() for line in reversed(text.split("\n")) if line.strip())
    return next(said, "it printed nothing")
