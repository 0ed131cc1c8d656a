"""Where raw rows come from: a file, a folder of them, or a data set on the Hub; see `judgekit.reading.rows`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from judgekit.errors import DataError
from judgekit.io import MANIFEST, file_sha256, shard_paths
from judgekit.reading.rows import SUFFIXES, NumberedRow, data_files, part_name, read_rows


class InputPart(NamedTuple):
    """One file, or one split of a data set on the Hub."""

    name: str
    """How messages call it: the file's name, within its folder where a folder was given, or `ID/SPLIT`."""
    part: str
    """What the importers see: the file's name without suffix and shard number, or the split."""
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
        # Of a data set of ours the shards count, not the rows it rejected nor what is said about them.
        files = shard_paths(path) if (path / MANIFEST).is_file() else data_files(path)
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
    try:
        fingerprint = file_sha256(file)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from error
    return InputPart(name=name, part=part_name(file), fingerprint=fingerprint, rows=partial(read_rows, file))


__all__ = ["InputPart", "NumberedRow", "SUFFIXES", "open_input"]
