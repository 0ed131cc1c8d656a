"""The unit of a labelling run: a few items whose labels form one batch of a store, made by whoever claims them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from judgekit.io import MANIFEST, parse_record
from judgekit.store import Store, batch_file, claim, write_batch
from judgekit.types import Record
from judgekit_datasets.source import RowRejected, record_id

CHUNK_DIR = "chunks"
"""Store of the labels below the output, until the run is finished."""

Label: TypeAlias = Sequence[Record] | RowRejected
"""What a labeller says about one item: its records, or why there are none."""


class Labeller(Protocol):
    """Anything that labels items: a judge, a policy that completes solutions."""

    def label(self, items: Sequence[Any]) -> Sequence[Label]:
        """Label the items of one chunk. One answer an item, in the same order, and the same for the same items.

        Raises:
            JudgekitError: the engine or server underneath failed; the run stops and can be resumed.
        """


class StoredLabel(BaseModel):
    """A label as it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    """Of the item."""
    records: list[dict[str, JsonValue]] | None = None
    """The records as plain values: their type is the run's; `None` if there are none."""
    reason: str | None = None
    """Why there are none."""
    detail: str = ""
    """What of this item."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.records is None) == (self.reason is None):
            raise ValueError("either records or a reason why there are none")
        return self

    def open(self, record_type: type[Record], *, where: str) -> Label:
        """Return the label.

        Raises:
            DataError: a record is damaged; it was stored at `where`.
        """
        if self.reason is not None:
            return RowRejected(self.reason, self.detail)
        return [parse_record(values, record_type, where=where) for values in self.records or []]


def open_labels(output: Path) -> Store[StoredLabel]:
    """Read the labels of a run by the id of their item, also those that earlier releases stored.

    Raises:
        DataError: a file is damaged; names it.
    """
    return Store(output / CHUNK_DIR, StoredLabel, key=lambda label: label.id)


@dataclass(frozen=True)
class Chunk:
    """Some neighbouring items of a run, labelled together."""

    output: Path
    """Folder of the run."""
    index: int
    """Place of the chunk in the run, 0-based."""
    items: Sequence[Record]
    """The items, in order, no two with one id."""

    @property
    def path(self) -> Path:
        """The file that holds the labels once all of them are made; earlier releases gave it another name."""
        return batch_file(self.output / CHUNK_DIR, map(record_id, self.items))

    @property
    def finished(self) -> bool:
        """Whether the labels are stored; the store is removed after the manifest of the run is written."""
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
        with claim(self.output / CHUNK_DIR, self.index + 1) as claimed:  # byte 0 is the run, see `run`
            if not claimed:
                return None
            if not self.finished:
                labels = get_labeller().label(self.items)
                rows: dict[str, BaseModel] = {}
                for item, label in zip(self.items, labels, strict=True):
                    key = record_id(item)
                    if isinstance(label, RowRejected):
                        rows[key] = StoredLabel(id=key, reason=label.reason, detail=label.detail)
                    else:
                        rows[key] = StoredLabel(id=key, records=[r.model_dump(mode="json") for r in label])
                write_batch(self.output / CHUNK_DIR, rows)
        return self.index
