"""ProcessBench: solutions of twelve models with the earliest wrong step found by human experts.

Source:
    Zheng et al., ProcessBench (2412.06559); `Qwen/ProcessBench` on the Hub, Apache-2.0. `label` is 0-based, -1 if no
    step is wrong; steps after the first error are unlabelled. Problems repeat: the row's own id distinguishes rows.
"""

from __future__ import annotations

from judgekit.types import LabelledSolution, LabelMethod
from judgekit_datasets.importers.fields import boolean, first_error_labels, integer, steps, text
from judgekit_datasets.source import NoOptions, Row, Source

NO_ERROR = -1
"""The label of a solution whose steps are all correct."""


def convert(row: Row, config: NoOptions, part: str) -> list[LabelledSolution]:
    """Convert one row; the subset is what its id begins with (`gsm8k-12`)."""
    label = integer(row, "label")
    first_error = None if label == NO_ERROR else label
    steps_S = steps(row, "steps", first_error=first_error)
    solution = LabelledSolution(
        problem=text(row, "problem"),
        steps=steps_S,
        labels=first_error_labels(first_error, n_steps=len(steps_S), shown=label),
        final_answer_correct=boolean(row, "final_answer_correct"),
        source=SOURCE.name,
        subset=text(row, "id").rpartition("-")[0] or None,
        source_id=text(row, "id"),
        generator=text(row, "generator"),
        label_method=LabelMethod.HUMAN,
        licence="Apache-2.0",
    )
    return [solution]


SOURCE = Source("processbench", LabelledSolution, NoOptions, convert)
