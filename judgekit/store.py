"""Finished work on disk: items that are never made twice, found again by a key that says what they depend on.

A store is a folder of JSON-lines files. Each holds the items of one batch, is written whole under another name and then
renamed, and is never changed: a killed process leaves all of a batch or none of it. The name follows from the keys, so
that processes that share a folder do not write over each other, and a batch that two of them made is there once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from judgekit.errors import DataError, describe_validation_error
from judgekit.io import write_text
from judgekit.reading.texts import read_text
from judgekit.text.identity import content_id

ItemT = TypeVar("ItemT", bound=BaseModel)


class Store(Generic[ItemT]):
    """Items of one type in a folder, read when it is opened.

    Args:
        folder: Holds nothing yet, or what a store has written.
        item_type: What is stored, one JSON object a line.
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
                    "what it held is made again"
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
        name = content_id(keys=[self._key(item) for item in items])
        write_text(self.folder / f"part-{name}.jsonl", "".join(item.model_dump_json() + "\n" for item in items))
        self._keep(items)

    def _keep(self, items: Iterable[ItemT]) -> None:
        self.items.update((self._key(item), item) for item in items)


def store_files(folder: Path) -> list[Path]:
    """Return the files of a store in order, also those that earlier releases wrote; none where nothing is stored."""
    return sorted(path for pattern in ("part-*.jsonl", "chunk-*.jsonl") for path in folder.glob(pattern))
