"""A source of data: a name, the type it yields, its options, and one function.

An importer turns one raw row of a file into records and raises `RowRejected` for a row that it cannot use. A generator
makes records from its options and has no input. `judgekit_datasets.build` runs both and reports in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from judgekit.config import BaseConfig
from judgekit.errors import DataError
from judgekit.types import Record

ConfigT = TypeVar("ConfigT", bound=BaseConfig)

Row: TypeAlias = Mapping[str, Any]
"""One raw row as its authors published it."""


class RowRejected(DataError):  # noqa: N818 (says what happened to the row)
    """A raw row that gives no record.

    Args:
        reason: Short and without values, so that equal troubles are counted together.
        detail: The value and what is wrong with it.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class NoOptions(BaseConfig):
    """Options of a source that has none."""


def record_id(record: Any) -> str:
    """Return the id by which a record is recognised as a duplicate: its own, or that of the problem."""
    return record.id if hasattr(record, "id") else record.problem_id


@dataclass(frozen=True)
class Source(Generic[ConfigT]):
    """An importer of somebody's files."""

    name: str
    """Name on the command line, and `source` in every record."""
    record_type: type[Record]
    """What the importer yields."""
    config_type: type[ConfigT]
    """Its options."""
    convert: Callable[[Row, ConfigT, str], Sequence[Record]]
    """Turn (raw row, options, file stem or Hub split) into at least one record, no two of them alike.

    Raises `RowRejected` where the row does not say what it must say.
    """
    key: Callable[[Any], str] = record_id
    """Records of two rows with one key are duplicates; the later one is left out."""
    probe_leakage: bool = False
    """Whether a build measures shortcut leakage where it is not reported."""


@dataclass(frozen=True)
class GeneratorSource(Generic[ConfigT]):
    """A construction that makes its records from options alone."""

    name: str
    """Name on the command line."""
    record_type: type[Record]
    """What the generator yields."""
    config_type: type[ConfigT]
    """Its options, the seed among them."""
    generate: Callable[[ConfigT], Iterable[Record | RowRejected]]
    """Yield the same records in the same order for the same options; a rejection where an attempt gave none."""
    key: Callable[[Any], str] = record_id
    """Two records with one key are duplicates; the later one is left out."""
    probe_leakage: bool = False
    """Whether a build measures shortcut leakage where it is not reported."""


AnySource: TypeAlias = Source[Any] | GeneratorSource[Any]
"""Whatever `build` can run."""
