"""TRL's stepwise-supervision format: a prompt, the steps as `completions`, one truth value per step.

Source:
    TRL's data set formats, "stepwise supervision". The format does not say where the labels come from, so the options
    do; it has no value for "unlabelled" either: every step carries a label, also after the first error.
"""

from __future__ import annotations

from judgekit.config import BaseConfig
from judgekit.errors import shorten
from judgekit.types import LabelledSolution, LabelMethod, StepLabel
from judgekit_datasets.importers.fields import items, steps, text
from judgekit_datasets.source import Row, RowRejected, Source


class StepwiseSupervisionConfig(BaseConfig):
    """What the files do not say about themselves."""

    source: str = "stepwise-supervision"
    """Name of the data set, stored with every solution."""
    label_method: LabelMethod | None = None
    """How the labels were made; `null` if unknown."""
    generator: str | None = None
    """Who wrote the solutions; `null` if unknown."""
    licence: str | None = None
    """Licence of the data set; `null` if unknown."""


def convert(row: Row, config: StepwiseSupervisionConfig, part: str) -> list[LabelledSolution]:
    """Convert one row."""
    if not (given := items(row, "completions")):
        raise RowRejected("no steps", "'completions' is empty")
    labels = items(row, "labels")
    if len(labels) != len(given):
        which = "fewer labels than steps" if len(labels) < len(given) else "label beyond the last step"
        raise RowRejected(which, f"{len(labels)} labels for {len(given)} steps")
    if not all(isinstance(label, bool) for label in labels):
        raise RowRejected("field 'labels' is not a list of true and false", shorten(labels, most=200))
    labels_S = tuple(StepLabel.OK if label else StepLabel.ERROR for label in labels)
    wrong = [index for index, label in enumerate(labels_S) if label is StepLabel.ERROR]
    solution = LabelledSolution(
        problem=text(row, "prompt"),
        steps=steps(row, "completions", first_error=min(wrong, default=None)),
        labels=labels_S,
        source=config.source,
        subset=part,
        generator=config.generator,
        label_method=config.label_method,
        licence=config.licence,
    )
    return [solution]


SOURCE = Source("stepwise-supervision", LabelledSolution, StepwiseSupervisionConfig, convert)
