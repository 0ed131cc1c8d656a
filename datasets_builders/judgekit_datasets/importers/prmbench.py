"""PRMBench: correct solutions of PRM800K that a model was asked to spoil in one of eight ways, and 80 that stay right.

Source:
    Song et al., PRMBench (2501.03124); `hitsmy/PRMBench_Preview` on the Hub, Apache-2.0. `error_steps` is a 1-based
    list; every step is labelled, and several may be wrong. In the public file 100 of 6,216 rows name steps that are
    not there: they are rejected, never clipped. `multi_solutions` rows have no error. The subset is the class of
    error; `redundency` and `circular` (sic) mark steps that are needless rather than false. The judge is shown
    `modified_question`.
"""

from __future__ import annotations

from judgekit.errors import shorten
from judgekit.types import LabelledSolution, LabelMethod, StepLabel
from judgekit_datasets.importers.fields import items, optional_text, steps, text
from judgekit_datasets.source import NoOptions, Row, RowRejected, Source

ALL_RIGHT = "multi_solutions"
"""The class whose solutions hold no error."""


def convert(row: Row, config: NoOptions, part: str) -> list[LabelledSolution]:
    """Convert one row."""
    classification = text(row, "classification")
    # The 0-based indices of the wrong steps.
    n_steps = len(items(row, "modified_process"))
    error_steps = items(row, "error_steps")
    outside = [step for step in error_steps if type(step) is not int or not 1 <= step <= n_steps]
    if outside:
        raise RowRejected("error_steps outside 1..n", f"{shorten(error_steps)} for {n_steps} steps")
    if bool(error_steps) == (classification == ALL_RIGHT):
        raise RowRejected("error_steps contradict the classification", f"{shorten(error_steps)} in {classification!r}")
    wrong = {step - 1 for step in error_steps}
    steps_S = steps(row, "modified_process", first_error=min(wrong, default=None))
    solution = LabelledSolution(
        problem=text(row, "modified_question"),
        steps=steps_S,
        reference=optional_text(row, "ground_truth"),
        labels=tuple(StepLabel.ERROR if i in wrong else StepLabel.OK for i in range(len(steps_S))),
        source=SOURCE.name,
        subset=classification,
        source_id=text(row, "idx"),
        label_method=LabelMethod.INJECTED,
        licence="Apache-2.0",
    )
    return [solution]


SOURCE = Source("prmbench", LabelledSolution, NoOptions, convert)
