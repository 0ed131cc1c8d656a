"""Sources of raw rows: a file, a folder of files, or a data set on the Hub; see `judgekit.reading.rows`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from judgekit.errors import DataError, boundary
from judgekit.io import MANIFEST, file_sha256, shard_paths
from judgekit.reading.rows import SUFFIXES, NumberedRow, data_files, part_name, read_rows

_HUB_ID = re.compile(r"(?P<id>[\w.-]+(/[\w.-]+)?)(:(?P<config>[^:]*))?(:(?P<split>[^:]+))?")


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
    # One part a split, every split pinned to one commit and streamed.
    spec = _HUB_ID.fullmatch(str(given))
    if spec is None:
        raise DataError(
            f"{str(given)!r} is neither a file or folder here nor a Hub id such as OWNER/NAME:CONFIGURATION:SPLIT"
        )
    # These take a second to import, and files do not need them.
    from datasets import load_dataset
    from huggingface_hub import HfApi

    with boundary(DataError, f"{str(given)!r} is not a file or folder here, and the Hub does not provide it"):
        revision = HfApi().dataset_info(spec["id"]).sha
        splits = load_dataset(spec["id"], spec["config"] or None, revision=revision, streaming=True)
    if spec["split"] and spec["split"] not in splits:
        raise DataError(f"{spec['id']} has no split {spec['split']!r}; it has {', '.join(map(str, splits))}")
    names = [spec["split"]] if spec["split"] else list(map(str, splits))
    return [InputPart(f"{spec['id']}/{name}", name, str(revision), partial(_streamed, splits[name])) for name in names]


def _file_part(file: Path, *, name: str) -> InputPart:
    if file.suffix not in SUFFIXES:
        raise DataError(f"{file} is not one of {', '.join(SUFFIXES)}: unpack or rename it")
    try:
        fingerprint = file_sha256(file)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from error
    return InputPart(name=name, part=part_name(file), fingerprint=fingerprint, rows=partial(read_rows, file))


def _streamed(split: Iterable[dict[str, Any]]) -> Iterator[NumberedRow]:
    with boundary(DataError, "reading from the Hub failed; run again with --resume"):
        yield from enumerate(split, start=1)
