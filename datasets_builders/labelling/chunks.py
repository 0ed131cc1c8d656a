"""The unit of a labelling run: a few items whose labels are one file, written atomically by whoever claims them.

A claim is a POSIX lock on one byte of a lock file. The kernel drops it when its process ends in whatever way, so there
are no stale claims, and a child that the process forks does not inherit it. Locks hold between processes, not between
the threads of one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from datasets_builders.source import RowRejected, record_id
from judgekit.errors import DataError
from judgekit.io import MANIFEST, parse_record, write_text
from judgekit.reading.rows import read_jsonl
from judgekit.types import Record

CHUNK_DIR = "chunks"
"""Folder of the chunk files below the output, until the run is finished."""
_LOCKS = "locks"

Label: TypeAlias = Sequence[Record] | RowRejected
"""What a labeller says about one item: its records, or why there are none."""


class Labeller(Protocol):
    """Anything that labels items: a judge, a policy that completes solutions."""

    def label(self, items: Sequence[Any]) -> Sequence[Label]:
        """Label the items of one chunk. One answer an item, in the same order, and the same for the same items.

        Raises:
            JudgekitError: the engine or server underneath failed; the run stops and can be resumed.
        """


@dataclass(frozen=True)
class Chunk:
    """Some neighbouring items of a run, labelled together."""

    output: Path
    """Folder of the run."""
    index: int
    """Place of the chunk in the run, 0-based."""
    items: Sequence[Record]
    """The items, in order."""

    @property
    def path(self) -> Path:
        """The file that holds the labels, one JSON object an item, once all of them are made."""
        return self.output / CHUNK_DIR / f"chunk-{self.index:06d}.jsonl"

    @property
    def finished(self) -> bool:
        """Whether the labels are stored; chunk files are removed after the manifest of the run is written."""
        return self.path.is_file() or (self.output / MANIFEST).is_file()

    def label(self, get_labeller: Callable[[], Labeller]) -> int | None:
        """Label and store the items unless that is done; return the index, or `None` while another process is at it.

        Args:
            get_labeller: Called only if there is something to do.

        Raises:
            DataError: the disk is full or the folder cannot be written.
            JudgekitError: the labeller failed.
        """
        if self.finished:
            return self.index
        with claim(self.output, self.index + 1, wait=False) as claimed:
            if not claimed:
                return None
            if not self.finished:
                labels = get_labeller().label(self.items)
                rows = [_row(item, label) for item, label in zip(self.items, labels, strict=True)]
                write_text(self.path, "".join(row + "\n" for row in rows))
        return self.index

    def read(self, record_type: type[Record]) -> list[Label]:
        """Return the stored labels.

        Raises:
            DataError: the file is damaged or is about other items.
        """
        labels = [_parse_row(f"{self.path}, row {number}", row, record_type) for number, row in read_jsonl(self.path)]
        if [key for key, _ in labels] != [record_id(item) for item in self.items]:
            raise DataError(f"{self.path} holds labels of other items: remove it and resume")
        return [label for _, label in labels]


@contextlib.contextmanager
def claim(output: Path, byte: int | None, *, wait: bool) -> Iterator[bool]:
    """Hold a lock on one byte of the run's lock file: 0 is the run itself, i + 1 is chunk i; `None` is all of them.

    Args:
        output: Folder of the run.
        byte: What to claim.
        wait: Wait until another process lets go; otherwise yield `False` at once.

    Raises:
        DataError: the lock file cannot be made.
    """
    path = output / CHUNK_DIR / _LOCKS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error}. Free the space or choose another output, then resume"
        ) from error
    with file:
        yield _lock(file.fileno(), byte, wait=wait)


def _lock(descriptor: int, byte: int | None, *, wait: bool) -> bool:
    start, length = (0, 0) if byte is None else (byte, 1)  # a length of 0 reaches to the end, wherever that will be
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), length, start)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _row(item: Record, label: Label) -> str:
    values: dict[str, Any]
    if isinstance(label, RowRejected):
        values = {"reason": label.reason, "detail": label.detail}
    else:
        values = {"records": [record.model_dump(mode="json") for record in label]}
    return json.dumps({"id": record_id(item)} | values, ensure_ascii=False, allow_nan=False)


def _parse_row(where: str, row: dict[str, Any] | str, record_type: type[Record]) -> tuple[str, Label]:
    if isinstance(row, str) or not ("records" in row or "reason" in row):
        raise DataError(f"{where} is damaged: remove the file and resume")
    if "reason" in row:
        return row["id"], RowRejected(row["reason"], row["detail"])
    return row["id"], [parse_record(values, record_type, where=where) for values in row["records"]]
