"""The rows that a stage leaves out: `rejected.jsonl`, one line per row, with the reason and the row."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from judgekit.errors import shorten
from judgekit.io import atomic_path

REJECTED = "rejected.jsonl"
"""Name of the file with the rejected rows."""


class Rejection(BaseModel):
    """One line of `rejected.jsonl`. What earlier releases wrote lacks some of the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str | None = None
    """Who left it out: the source of a build, the labelling, `mix`, `consensus`."""
    file: str | None = None
    """Input, or part of a mixed set, the row is of; `None` if there is one input."""
    row: int | None = None
    """Row of the input, from 1; `None` if rows are known by their ids."""
    id: str | None = None
    """Id of the record that the row was; `None` if it never became one."""
    reason: str
    """Why, in words that are the same for every such row."""
    detail: str = ""
    """What of this row."""
    raw: Any = None
    """The row itself, or the beginning of its text where it cannot be written as JSON."""


class Rejections:
    """Writes `rejected.jsonl`, which appears when the block ends, also where nothing was rejected, and counts reasons.

    Args:
        output: Folder of the stage.
        stage: Name of the stage, in every line.
    """

    def __init__(self, output: Path, stage: str) -> None:
        self.path = output / REJECTED
        self.reasons: Counter[str] = Counter()
        self._stage = stage

    def __enter__(self) -> Self:
        for left_behind in self.path.parent.glob(f".{REJECTED}.*.partial"):  # by a run that was killed
            left_behind.unlink(missing_ok=True)
        with contextlib.ExitStack() as stack:
            partial = stack.enter_context(atomic_path(self.path))
            # Lone surrogates become JSON escapes.
            self._file = stack.enter_context(partial.open("w", encoding="utf-8", errors="backslashreplace"))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._open.__exit__(*exception)

    def add(
        self,
        reason: str,
        detail: str = "",
        *,
        file: str | None = None,
        row: int | None = None,
        id: str | None = None,
        raw: object = None,
    ) -> None:
        """Write one row; see `Rejection`."""
        self.reasons[reason] += 1
        entry = {"stage": self._stage, "file": file, "row": row, "id": id, "reason": reason, "detail": detail}
        try:
            line = json.dumps(entry | {"raw": raw}, ensure_ascii=False, default=_plain)
        except (TypeError, ValueError, RecursionError):  # nested too deeply to be written, or no JSON at all
            line = json.dumps(entry | {"raw": shorten(raw, most=1000)}, ensure_ascii=False)
        self._file.write(line + "\n")


def _plain(value: object) -> object:
    """Give what JSON has no spelling for, such as a date in a parquet file, as text."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
