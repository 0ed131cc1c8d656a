"""The solutions to label, in a random order that all annotators share, and the records made of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from judgekit.errors import DataError
from judgekit.groups import is_right
from judgekit.io import find_record_type, read_records
from judgekit.judging.run import as_seen
from judgekit.text.identity import content_id
from judgekit.types import (
    LabelledSolution,
    LabelMethod,
    Rollout,
    Solution,
    WeaklyLabelledSolution,
    labels_from_first_error,
)


@dataclass(frozen=True)
class Item:
    """One solution to be labelled."""

    solution: Solution
    """What annotators and judges see of it: never a label. Judgements are found by its id."""
    row: Solution | Rollout
    """The row it was read from."""
    place: int
    """Its place in the file, by which records are ordered."""

    def record(self, first_error: int | None, *, source: str) -> LabelledSolution:
        """Return the labelled solution; labels and counts that the row had before are dropped.

        Args:
            first_error: 0-based, `None` for no error.
            source: What its source is called where the row does not say.
        """
        row = self.row
        if isinstance(row, LabelledSolution | WeaklyLabelledSolution):
            values = row.model_dump(exclude={"id", "labels", "label_method", "known", "n_success", "n_rollouts"})
        elif isinstance(row, Rollout):
            about = {"source": row.source, "source_id": row.id, "generator": row.generator}
            values = row.solution.model_dump(exclude={"id"}) | about | {"final_answer_correct": is_right(row.outcome)}
        else:
            values = row.model_dump(exclude={"id"}) | {"source": source}
        labels = labels_from_first_error(first_error, n_steps=len(self.solution.steps))
        return LabelledSolution(**values, labels=labels, label_method=LabelMethod.HUMAN)


@dataclass(frozen=True)
class Pool:
    """All that can be labelled, in the shared random order."""

    items: tuple[Item, ...]
    """In the random order: any beginning of it is a random sample of the data."""
    n_left_out: int
    """Rows that are not here: without a step, or the same solution once more."""


def read_pool(path: Path, *, seed: int, n_max: int | None = None, show_reference: bool = False) -> Pool:
    """Read solutions, labelled ones or rollouts, and put them in a random order.

    Raises:
        DataError: the file is missing, damaged or holds no solutions, or none that has a step.
    """
    record_type = find_record_type(path)
    if not issubclass(record_type, Solution | Rollout):
        raise DataError(f"{path} holds {record_type.__name__} records: give solutions or rollouts")
    items: dict[str, Item] = {}
    n_rows = 0
    for row in read_records(path, record_type):
        solution = row.solution if isinstance(row, Rollout) else row
        # Two labelled rows of one solution differ in their ids, which count the labels that nobody is shown.
        same = content_id(problem=solution.problem, steps=list(solution.steps))
        if not solution.is_blank:
            items.setdefault(same, Item(as_seen(solution, show_reference), row, n_rows))
        n_rows += 1
    if not items:
        raise DataError(f"{path} has no solution with a step, so there is nothing to label")
    drawn = sorted(items, key=lambda same: random.Random(f"{seed}/{same}").random())[:n_max]
    return Pool(tuple(items[same] for same in drawn), n_rows - len(items))
