"""One id, one solution: verdicts, resumed runs and comparisons find a solution by its id."""

from __future__ import annotations

from judgekit.errors import DataError
from judgekit.text.identity import content_id
from judgekit.types import Record, Rollout, Solution


def content_of(record: Record) -> str:
    """Return an id of what a record says, whatever its own id: texts, labels, outcome and answer."""
    names = ("problem", "steps", "labels", "known", "response", "outcome", "reference", "answer")
    return content_id(**{name: value for name in names if (value := getattr(record, name, None)) is not None})


class SolutionIds:
    """Refuses two different solutions under one id. Equal ones may be repeated.

    Keeps about a hundred bytes per solution: two numbers, and for ids that somebody chose what the solution says.
    """

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._contents: dict[int, str] = {}
        self._places: list[str] = []

    def check(self, record: Record, *, place: str, row: int) -> None:
        """Take a record in.

        Args:
            record: Solutions and rollouts have ids of their own; others pass.
            place: Where it stands, up to the number of the row.
            row: Its row there.

        Raises:
            DataError: another solution has its id; names both places.
        """
        if not isinstance(record, Solution | Rollout):
            return
        if not self._places or self._places[-1] != place:
            self._places.append(place)
        key = int(content_id(id=record.id)[:16], 16)
        is_computed = isinstance(record, Solution) and record.has_computed_id
        content = "" if is_computed else content_of(record)  # equal ids that were computed say the same
        first = self._rows.setdefault(key, row * 2**20 + len(self._places) - 1)
        if not is_computed and first == row * 2**20 + len(self._places) - 1:
            self._contents[key] = content
        if self._contents.get(key, "") != content:
            where = f"{self._places[first % 2**20]}{first // 2**20}"
            raise DataError(
                f"{place}{row}: the id {record.id!r} belongs to another solution, that of {where}: give each "
                "its own id, or leave `id` out"
            )
