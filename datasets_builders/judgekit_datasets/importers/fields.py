"""Readers of raw fields: each returns a checked value, or rejects the row with the field's name and the value.

An absent field and a null field are treated alike: parquet and the Hub fill in null for absent fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from judgekit.errors import shorten
from judgekit.types import StepLabel, labels_from_first_error
from judgekit_datasets.source import Row, RowRejected

ValueT = TypeVar("ValueT")


def text(row: Row, name: str) -> str:
    """Return a text that is not blank, as it stands."""
    value = _present(row, name)
    if not isinstance(value, str):
        raise _wrong_type(name, "a text", value)
    if not value.strip():
        raise RowRejected(f"field {name!r} is empty", shorten(value))
    return _encodable(name, value)


def optional_text(row: Row, name: str) -> str | None:
    """Return a text, or `None` if it is absent, null or blank. Numbers are given as text."""
    value = row.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong_type(name, "a text", value)
    return _encodable(name, str(value))


def steps(row: Row, name: str, *, first_error: int | None = None) -> tuple[str, ...]:
    """Return the steps of a solution: at least one, each as it stands, none blank that its label depends on.

    Some published rows hold an empty step. Behind the first error it decides nothing and stays in its place, so that
    no index moves; up to there nobody can say what was labelled.

    Args:
        row: The raw row.
        name: Field that holds the steps.
        first_error: 0-based index of the first wrong step; `None` if there is none.
    """
    return checked_steps(name, items(row, name), first_error=first_error)


def checked_steps(name: str, values: Iterable[Any], *, first_error: int | None = None) -> tuple[str, ...]:
    """Check texts as `steps` does; for steps that the row holds in another form than a list."""
    checked = []
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise _wrong_type(name, "a list of texts", value)
        if not value.strip() and not (first_error is not None and 0 <= first_error < index):
            raise RowRejected("empty step", f"step {index} (0-based) of {name!r} is {value!r}")
        checked.append(_encodable(name, value))
    if not checked:
        raise RowRejected("no steps", f"{name!r} is empty")
    return tuple(checked)


def integer(row: Row, name: str) -> int:
    """Return an integer; a truth value is none."""
    value = _present(row, name)
    if isinstance(value, bool) or not isinstance(value, int):  # in Python True is an int
        raise _wrong_type(name, "an integer", value)
    return value


def boolean(row: Row, name: str) -> bool:
    """Return a truth value; 0 and 1 are none."""
    return _of_type(row, name, bool, "true or false")


def items(row: Row, name: str) -> list[Any]:
    """Return a list of anything, which may be empty."""
    return _of_type(row, name, list, "a list")


def mapping(row: Row, name: str) -> Row:
    """Return an object with fields of its own."""
    return _of_type(row, name, dict, "an object")


def choice(row: Row, name: str, known: Iterable[str]) -> str:
    """Return a text that is one of the known values."""
    value, known = text(row, name), tuple(known)
    if value not in known:
        raise RowRejected(f"unknown value in field {name!r}", f"{shorten(value)} is not one of {', '.join(known)}")
    return value


def first_error_labels(first_error: int | None, *, n_steps: int, shown: object) -> tuple[StepLabel, ...]:
    """Return ok before the first error (0-based), unlabelled after it; `None` is all ok.

    Args:
        first_error: 0-based index; `None` for no error.
        n_steps: Steps of the solution.
        shown: The value as the row has it, for the complaint.
    """
    if first_error is not None and first_error >= n_steps:
        raise RowRejected("label beyond the last step", f"label {shorten(shown)} for {n_steps} steps")
    if first_error is not None and first_error < 0:
        raise RowRejected("label before the first step", f"label {shorten(shown)} for {n_steps} steps")
    return labels_from_first_error(first_error, n_steps=n_steps)


def missing(name: str, row: Row) -> RowRejected:
    """Return the rejection of a row without the field; for fields that these readers do not cover."""
    names = ", ".join(map(str, row))
    return RowRejected(f"field {name!r} is missing", f"it is absent or null; the row has {names[:200]}")


def _present(row: Row, name: str) -> Any:
    if row.get(name) is None:
        raise missing(name, row)
    return row[name]


def _of_type(row: Row, name: str, kind: type[ValueT], wanted: str) -> ValueT:
    value = _present(row, name)
    if not isinstance(value, kind):
        raise _wrong_type(name, wanted, value)
    return value


def _wrong_type(name: str, wanted: str, value: object) -> RowRejected:
    return RowRejected(f"field {name!r} is not {wanted}", shorten(value, most=200))


def _encodable(name: str, value: str) -> str:
    try:
        value.encode()  # JSON may spell half a surrogate pair, which no file of ours can hold
    except UnicodeEncodeError as error:
        raise RowRejected(f"field {name!r} is not valid Unicode", str(error)) from error
    return value
