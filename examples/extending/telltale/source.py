"""A data source: rows such as {"task": "2+3?", "lines": ["2+3=6"], "slip": 1}; `slip` counts from 1, 0 is "none"."""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.config import BaseConfig
from judgekit.types import LabelledSolution, LabelMethod, labels_from_first_error
from judgekit_datasets.source import Row, RowRejected, Source


class MarginNotesConfig(BaseConfig):
    """Options of `judgekit build margin-notes`."""

    annotator: str = "teacher"
    """Who wrote the notes; kept as `subset`."""


def convert(row: Row, options: MarginNotesConfig, stem: str) -> Sequence[LabelledSolution]:
    """Turn one raw row into solutions; `stem` is the file's name without its ending."""
    lines, slip = row["lines"], row["slip"]
    if not 0 <= slip <= len(lines):
        raise RowRejected("slip is no line", f"{slip} of {len(lines)} lines")
    labels = labels_from_first_error(slip - 1 if slip else None, n_steps=len(lines))
    return [
        LabelledSolution(
            problem=row["task"],
            steps=tuple(lines),
            labels=labels,
            source="margin-notes",
            subset=options.annotator,
            label_method=LabelMethod.HUMAN,
        )
    ]


SOURCE = Source("margin-notes", LabelledSolution, MarginNotesConfig, convert)
