"""Raw rows of files and folders, whatever their fields: the one reader for importers, records and benchmarks.

It reads JSON lines, JSON (an array, one object, or objects printed over several lines), parquet, and the Arrow files of
`datasets`. The content of a file decides, not its suffix: some data sets have JSON lines under `.json`. Rows are read
one by one, so memory does not grow with their number; only JSON that is not JSON lines is read whole. A row that cannot
be read comes with an error message in its place.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from judgekit.errors import DataError
from judgekit.reading.texts import BYTE_ORDER_MARK, not_utf8, open_text, read_text, refuse_pointer

SUFFIXES = (".jsonl", ".json", ".parquet", ".arrow")
"""Suffixes of the files that are read."""
NumberedRow: TypeAlias = tuple[int, dict[str, Any] | str]
"""(1-based number, row), or (number, complaint) where there is no row to be read."""

_log = logging.getLogger(__name__)

_BATCH_ROWS = 1000
_OTHER_TABLES = {".csv", ".feather", ".jsonlines", ".ndjson", ".pq", ".tsv", ".xls", ".xlsx"}
_PACKED = {".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"}
_MENTIONED: set[Path] = set()
"""Folders whose other files have been named: a command reads a folder more than once."""
_STATE = "state.json"
_ABOUT_DATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", _STATE}
"""What `datasets` writes about data; they hold no rows."""
_BLANK = re.compile(rf"[\s{BYTE_ORDER_MARK}]*")
_SHARD_NUMBER = re.compile(r"-\d{5}-of-\d{5}$")


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether a file, or a folder on the way to it from `folder`, is hidden: `.git`, `.ipynb_checkpoints`, `._x.json`.

    Where `folder` itself lies does not matter: caches are in hidden folders.
    """
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def data_files(folder: Path) -> list[Path]:
    """Return the files with rows in a folder and below, in a fixed order; hidden ones are none.

    A folder that `datasets` wrote with `save_to_disk` holds just what its `state.json` names, and what a clone from the
    Hub says about its data is no data.

    A file that seems to hold rows and cannot be read is named in a warning, as nobody would miss its rows.

    Raises:
        DataError: there is no such file, a link leads nowhere, or a file that `state.json` names is missing.
    """
    seen = [file for file in sorted(folder.rglob("*")) if not is_hidden(file, folder)]
    files = [file for file in seen if file.suffix in SUFFIXES and file.name not in _ABOUT_DATA and not file.is_dir()]
    for file in files:
        if not file.exists():
            raise DataError(f"{file} is a broken link: fetch its target, or remove it")
    others = {*_OTHER_TABLES, *_PACKED, *SUFFIXES}
    left = [file.name for file in seen if file.suffix not in SUFFIXES and file.suffix.lower() in others]
    if left and files and folder not in _MENTIONED:
        _MENTIONED.add(folder)
        _log.warning(
            "%s: %d files are not of the types %s and were left out: %s; if they are data, unpack, convert or rename "
            "them",
            folder, len(left), ", ".join(SUFFIXES), ", ".join(left[:3]) + (" ..." if len(left) > 3 else ""),
        )  # fmt: skip
    for state in sorted(folder.rglob(_STATE)):
        named = None if is_hidden(state, folder) else _saved_files(state)
        if named is not None:  # an interrupted save leaves other Arrow files next to those that count
            files = [file for file in files if file.parent != state.parent or file.suffix != ".arrow"] + named
    if not files:
        raise DataError(f"{folder} contains no {', '.join(SUFFIXES)} file")
    return sorted(files)


def _saved_files(state: Path) -> list[Path] | None:
    """Return the files that a `state.json` of `datasets` names; `None` if it is somebody else's file."""
    try:
        values = json.loads(read_text(state))
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(named := values.get("_data_files"), list):
        return None
    if values.get("_indices_files") or values.get("_indices_data_files"):
        raise DataError(f"{state} picks rows by an index: call flatten_indices() before save_to_disk()")
    files = [state.parent / str(item.get("filename")) for item in named if isinstance(item, dict)]
    for file in files:
        if not file.is_file():
            raise DataError(f"{file} is missing, though {state} names it: copy the whole folder")
    return files


def part_name(file: Path) -> str:
    """Return what a file is called by those who wrote it: its name without suffix and shard number.

    `train-00000-of-00002.parquet` is `train`; of `train/data-00000-of-00001.arrow` the folder says it.
    """
    stem = _SHARD_NUMBER.sub("", file.stem)
    return file.parent.name if file.suffix == ".arrow" and stem == "data" else stem


def read_rows(file: Path) -> Iterator[NumberedRow]:
    """Yield the rows of a file.

    Raises:
        DataError: the file is missing, empty, damaged or of another kind.
    """
    if file.suffix in {".parquet", ".arrow"}:
        return _table_rows(file)
    if file.suffix in SUFFIXES:
        return read_jsonl(file)
    raise DataError(f"{file} is not one of {', '.join(SUFFIXES)}: unpack or rename it")


def read_fields(file: Path) -> set[str]:
    """Return the fields of a file's rows: the columns of a table, of JSON those of its first object.

    Raises:
        DataError: see `read_rows`; also where no row is an object.
    """
    if file.suffix == ".parquet":
        with _table_trouble(file):
            return {*_as_row(dict.fromkeys(pq.read_schema(file).names))}
    first = None
    for number, row in read_rows(file):
        if isinstance(row, dict):
            return {*row}
        first = first or f"{file}, row {number}: {row}"
    raise DataError(first or f"{file} is empty: it holds no rows")


def read_jsonl(path: Path) -> Iterator[NumberedRow]:
    """Yield (1-based row number, object), or (row number, complaint) where a line is no JSON object. Skips blank lines.

    A file that is one JSON array, or objects printed over several lines, is read as such; its rows are numbered by
    object.

    Raises:
        DataError: the file is missing, unreadable, or holds no line at all.
    """
    n_rows = 0
    try:
        with open_text(path) as file:
            for row, line in enumerate(file, start=1):
                # Files put one behind the other keep the byte-order mark of the second in the middle.
                text = line.strip().removeprefix(BYTE_ORDER_MARK).strip()
                if not text:
                    continue
                try:
                    parsed = _as_row(json.loads(text))
                except (ValueError, RecursionError) as error:
                    parsed = f"malformed JSON: {error}, in {text[:120]!r}"
                if not n_rows and (text.startswith("[") or _goes_on(text) or _is_all_lists(parsed)):
                    values = _read_whole(path)
                    if values is not None:
                        yield from enumerate(values, start=1)
                        return
                n_rows += 1
                yield row, parsed
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error
    if not n_rows:
        raise DataError(f"{path} is empty: it must hold one JSON object per line")


def _as_row(value: Any) -> dict[str, Any] | str:
    if not isinstance(value, dict):
        return f"a JSON object is wanted, not {type(value).__name__}"
    # Of a table with a byte-order mark that was read as plain UTF-8, the first column keeps the mark in its name.
    if next(iter(value), "").startswith(BYTE_ORDER_MARK):
        return {name.removeprefix(BYTE_ORDER_MARK): item for name, item in value.items()}
    return value


def _is_all_lists(row: Any) -> bool:
    """Whether an object holds lists of objects and nothing else, as `{"train": [{...}], "test": [{...}]}` does."""
    lists = row.values() if isinstance(row, dict) else ()
    return bool(lists) and all(isinstance(item, list) and item and isinstance(item[0], dict) for item in lists)


def _goes_on(line: str) -> bool:
    """Whether a line is the beginning of JSON that goes on in the next one, rather than a damaged row."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line)
    except (ValueError, RecursionError):
        return False
    return False


def _read_whole(path: Path) -> list[dict[str, Any] | str] | None:
    """Return the rows of JSON that is printed over lines; `None` if it is JSON lines with a damaged first one.

    Raises:
        DataError: an array is empty or damaged.
    """
    text, decode = read_text(path), json.JSONDecoder().raw_decode
    values: list[Any] = []
    complaint = None
    position = _end_of_blank(text, 0)
    while position < len(text) and complaint is None:
        try:
            value, end = decode(text, position)
        except (ValueError, RecursionError) as error:
            if text.startswith("[", position) and (path.suffix == ".json" or text[position + 1 :][:1] in "\r\n"):
                raise DataError(f"{path} is not valid JSON: {error}") from error
            if not values:
                return None
            complaint = f"malformed JSON: {error}, in {text[position : position + 120]!r}"
        else:
            values.append(value)
            position = _end_of_blank(text, end)
    if len(values) == 1 and isinstance(values[0], list):
        if not values[0]:
            raise DataError(f"{path} is empty: it must hold one JSON object per row")
        values = values[0]
    elif len(values) == 1 and _is_all_lists(values[0]):
        names = ", ".join(map(repr, values[0]))
        raise DataError(f"{path} is one object with rows in lists, {names}: save each list as a separate file")
    return [*map(_as_row, values), *([] if complaint is None else [complaint])]


def _end_of_blank(text: str, position: int) -> int:
    """Return where the white space and byte-order marks at a position end."""
    found = _BLANK.match(text, position)
    return found.end() if found else position


def _table_rows(file: Path) -> Iterator[NumberedRow]:
    n_rows = 0
    with _table_trouble(file):
        for batch in _batches(file):
            for row in batch.to_pylist():  # polars is faster, but ends in a panic at dates that Python cannot hold
                n_rows += 1
                yield n_rows, _as_row(row)
    if not n_rows:
        raise DataError(f"{file} is empty: it holds no rows")


def _batches(file: Path) -> Iterator[pa.RecordBatch]:
    if file.suffix == ".parquet":
        with pq.ParquetFile(file) as opened:
            yield from opened.iter_batches(batch_size=_BATCH_ROWS)
        return
    with pa.OSFile(str(file)) as opened:
        try:
            reader = pa.ipc.open_stream(opened)  # what `datasets` writes
        except pa.ArrowInvalid:
            opened.seek(0)
            whole = pa.ipc.open_file(opened)  # Feather
            yield from (whole.get_batch(index) for index in range(whole.num_record_batches))
            return
        yield from reader


@contextlib.contextmanager
def _table_trouble(file: Path) -> Iterator[None]:
    """Turn what pyarrow raises about a file into one line."""
    kind = file.suffix.removeprefix(".")
    try:
        with file.open("rb") as opened:
            refuse_pointer(opened.read(64), file)
        yield
    except DataError:
        raise
    # Values that Python cannot hold, such as dates beyond the year 9999, are ValueError or OverflowError.
    except (OSError, pa.ArrowException, ValueError, OverflowError, TypeError) as error:
        raise DataError(f"{file} is not a readable {kind} file: {error}") from error
