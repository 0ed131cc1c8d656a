"""Where raw rows come from: a JSON-lines, JSON or parquet file, a folder of them, or a data set on the Hub.

Rows are read one after the other, so memory does not grow with their number; only a JSON file that holds one array is
read whole. A row that cannot be read comes with a complaint in its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from judgekit.errors import DataError
from judgekit.io import file_sha256, read_jsonl

SUFFIXES = (".jsonl", ".json", ".parquet")
"""Suffixes of the files that are read."""
_BATCH_ROWS = 1000

NumberedRow: TypeAlias = tuple[int, dict[str, Any] | str]
"""(1-based number, row), or (number, complaint) where there is no row to be read."""


class InputPart(NamedTuple):
    """One file, or one split of a data set on the Hub."""

    name: str
    """How messages call it: the file's name, within its folder where a folder was given, or `ID/SPLIT`."""
    part: str
    """What the importers see: the file's name without its suffix, or the split."""
    fingerprint: str
    """SHA-256 of the file's bytes, or the commit of the data set."""
    rows: Callable[[], Iterator[NumberedRow]]
    """Read it from the start."""


def open_input(given: str | Path) -> list[InputPart]:
    """Return the parts of an input, in a fixed order.

    Args:
        given: Path of a file or folder, else a Hub id: `OWNER/NAME`, `OWNER/NAME:CONFIGURATION` or
            `OWNER/NAME:CONFIGURATION:SPLIT`, where the configuration may be empty. Without a split, all are read.

    Raises:
        DataError: there is no such file, folder or data set, a folder holds no file that can be read, or the name of a
            file has another suffix.
    """
    path = Path(given)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and not file.name.startswith("."))
        if not files:
            raise DataError(f"{path} holds no {', '.join(SUFFIXES)} file")
        return [_file_part(file, name=str(file.relative_to(path))) for file in files]
    if path.is_file():
        return [_file_part(path, name=path.name)]
    if path.suffix in SUFFIXES or path.is_absolute():
        raise DataError(f"{path} does not exist: give a file, a folder or a Hub id such as OWNER/NAME")
    from datasets_builders.hub import open_hub  # datasets takes a second to import, and files do not need it

    return open_hub(str(given))


def _file_part(file: Path, *, name: str) -> InputPart:
    if file.suffix not in SUFFIXES:
        raise DataError(f"{file} is none of {', '.join(SUFFIXES)}: unpack or rename it")
    return InputPart(name=name, part=file.stem, fingerprint=_sha256(file), rows=partial(_file_rows, file))


def _sha256(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from error


def _file_rows(file: Path) -> Iterator[NumberedRow]:
    if file.suffix == ".parquet":
        return _parquet_rows(file)
    return _array_rows(file) if file.suffix == ".json" and _holds_array(file) else read_jsonl(file)


def _holds_array(file: Path) -> bool:
    """Tell one JSON array from JSON lines, which data sets also keep under `.json`."""
    with file.open("rb") as opened:
        return opened.read(1024).lstrip().startswith(b"[")


def _array_rows(file: Path) -> Iterator[NumberedRow]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not valid JSON: {error}") from error
    if not values:
        raise DataError(f"{file} is empty: it must hold one JSON object a row")
    for number, value in enumerate(values, start=1):
        yield number, value if isinstance(value, dict) else f"a JSON object is wanted, not {type(value).__name__}"


def _parquet_rows(file: Path) -> Iterator[NumberedRow]:
    n_rows = 0
    try:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=_BATCH_ROWS):
                for row in batch.to_pylist():
                    n_rows += 1
                    yield n_rows, row
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file} is no readable parquet file: {error}") from error
    if not n_rows:
        raise DataError(f"{file} is empty: it holds no rows")


__all__ = ["InputPart", "NumberedRow", "SUFFIXES", "open_input"]
