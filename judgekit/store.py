"""Finished work on disk: no item is made twice, because it is found again by a key of everything it depends on.

A store is a folder of JSON-lines files. Each file holds the items of one batch, is written under a temporary name and
then renamed, and never changes: a killed process leaves all of a batch or nothing. The name follows from the keys, so
processes that share a folder do not overwrite each other, and a batch that two of them made exists once.

Several workers of one run can also claim a batch before they make it. A claim is a POSIX lock on one byte of a lock
file: the kernel releases it however the process ends, so there are no stale claims, and a forked child does not inherit
it. It holds between processes, not between the threads of one.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from judgekit.errors import DataError, describe_validation_error
from judgekit.io import write_text
from judgekit.reading.texts import read_text
from judgekit.text.identity import content_id

ItemT = TypeVar("ItemT", bound=BaseModel)

_LOCKS = "locks"


class Store(Generic[ItemT]):
    """Items of one type in a folder, read when it is opened.

    Args:
        folder: Holds nothing yet, or what a store has written.
        item_type: What is stored, one JSON object per line.
        key: What tells one item from another.

    Raises:
        DataError: a file is damaged, or holds something else; names it.
    """

    def __init__(self, folder: Path, item_type: type[ItemT], *, key: Callable[[ItemT], str]) -> None:
        self.folder = folder
        self._item_type = item_type
        self._key = key
        self.items: dict[str, ItemT] = {}
        """All items so far, by key."""
        for path in store_files(folder):
            self._keep(self._read(path))

    def _read(self, path: Path) -> Iterator[ItemT]:
        # str.splitlines would also split inside JSON strings.
        for number, line in enumerate(read_text(path).split("\n"), start=1):
            try:
                if line:
                    yield self._item_type.model_validate_json(line)
            except ValidationError as error:
                raise DataError(
                    f"{path}, row {number} is damaged: {describe_validation_error(error)}. Remove the file and resume: "
                    "its content is made again"
                ) from error

    def __contains__(self, key: str) -> bool:
        return key in self.items

    def __getitem__(self, key: str) -> ItemT:
        return self.items[key]

    def file_of(self, key: str) -> Path:
        """Return the file that holds an item, for a message; looks through them."""
        holds = (path for path in store_files(self.folder) if any(self._key(item) == key for item in self._read(path)))
        return next(holds, self.folder)

    def add(self, items: Sequence[ItemT]) -> None:
        """Write a batch; whoever opens the folder afterwards finds all of it.

        Raises:
            DataError: the disk is full or the folder cannot be written; what was added before stays.
        """
        write_batch(self.folder, {self._key(item): item for item in items})
        self._keep(items)

    def _keep(self, items: Iterable[ItemT]) -> None:
        self.items.update((self._key(item), item) for item in items)


def store_files(folder: Path) -> list[Path]:
    """Return the files of a store in order, also those that earlier releases wrote; none if nothing is stored."""
    return sorted(path for pattern in ("part-*.jsonl", "chunk-*.jsonl") for path in folder.glob(pattern))


def batch_file(folder: Path, keys: Iterable[str]) -> Path:
    """Return the file of the batch with these keys, in this order; it is there once the batch is made."""
    return folder / f"part-{content_id(keys=list(keys))}.jsonl"


def write_batch(folder: Path, items: Mapping[str, BaseModel]) -> None:
    """Write a batch, given by key, without reading what else is stored.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    write_text(batch_file(folder, items), "".join(item.model_dump_json() + "\n" for item in items.values()))


@contextlib.contextmanager
def claim(folder: Path, byte: int | None, *, wait: bool = False) -> Iterator[bool]:
    """Hold one byte of a folder's lock file; whoever shares the folder agrees what each byte stands for.

    Args:
        folder: The store; made if it is missing.
        byte: What to claim; `None` is all there is.
        wait: Wait until another process lets go; otherwise yield `False` at once.

    Raises:
        DataError: the lock file cannot be made.
    """
    path = folder / _LOCKS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error}. Free the space or choose another output, then resume"
        ) from error
    start, length = (0, 0) if byte is None else (byte, 1)  # a length of 0 reaches to the end, wherever that will be
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), length, start)
            claimed = True
        except (BlockingIOError, PermissionError):  # POSIX allows either
            claimed = False
        yield claimed
