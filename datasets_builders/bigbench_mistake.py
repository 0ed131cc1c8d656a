"""BIG-Bench-Mistake: chain-of-thought traces of five BIG-bench tasks with the first logical mistake marked.

Source:
    Tyen et al., LLMs cannot find reasoning errors, but can correct them! (2311.08516); WHGTyen/BIG-Bench-Mistake,
    Apache-2.0. `mistake_index` is 0-based, null where there is no mistake; the field itself must be there. The file's
    name is the task. Right answers with a mistake and wrong answers without one both occur, so the answer says
    nothing about the labels. Traces are by PaLM 2-L (Unicorn). Annotators marked four tasks; most of `dyck_languages`
    was marked by a program, and the rows do not say which.
"""

from __future__ import annotations

from datasets_builders.fields import first_error_labels, integer, missing, optional_text, steps, text
from datasets_builders.source import NoOptions, Row, Source
from judgekit.types import LabelledSolution, LabelMethod


def convert(row: Row, config: NoOptions, part: str) -> list[LabelledSolution]:
    """Convert one row; a trace from which no answer could be read has unknown final-answer correctness."""
    if "mistake_index" not in row:
        raise missing("mistake_index", row)
    mistake = None if row["mistake_index"] is None else integer(row, "mistake_index")
    steps_S, target, answer = steps(row, "steps"), text(row, "target"), optional_text(row, "answer")
    solution = LabelledSolution(
        problem=text(row, "input"),
        steps=steps_S,
        reference=target,
        labels=first_error_labels(mistake, n_steps=len(steps_S), shown=mistake),
        final_answer_correct=None if answer is None else answer.split() == target.split(),
        source=SOURCE.name,
        subset=part,
        generator="PaLM 2-L (Unicorn)",
        label_method=None if part == "dyck_languages" else LabelMethod.HUMAN,
        licence="Apache-2.0",
    )
    return [solution]


SOURCE = Source("bigbench-mistake", LabelledSolution, NoOptions, convert)

__all__ = ["SOURCE", "convert"]
