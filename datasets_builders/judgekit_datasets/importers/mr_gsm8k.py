"""MR-GSM8K: solutions of GSM8K problems and two variations of them, with the first wrong step found by annotators.

Source:
    Zeng et al., MR-GSM8K (2312.17080); `Randolphzeng/Mr-GSM8K` on the Hub, MIT. The first error is a 1-based number (in
    some copies a text), "N/A", empty or null if the solution is correct. The subset is the question's type: `original`,
    `POT` (steps are lines of a program) or `reversed` (the answer is given and an input is requested; these rows have
    no reference solution, only the answer). Some copies contain the steps as the text of a Python list. Correct steps
    and a correct final answer are recorded separately.
"""

from __future__ import annotations

import ast

from judgekit.errors import shorten
from judgekit.types import LabelledSolution, LabelMethod
from judgekit_datasets.importers.fields import checked_steps, choice, first_error_labels, items, optional_text, text
from judgekit_datasets.source import NoOptions, Row, RowRejected, Source

NO_ERROR = {None, "", "N/A"}
"""What stands in the place of a first error where there is none."""
TYPES = ("original", "POT", "reversed")
"""The types of question."""
_CORRECTNESS = ("correct", "wrong")


def convert(row: Row, config: NoOptions, part: str) -> list[LabelledSolution]:
    """Convert one row."""
    first_error, answer_correctness = _first_error(row), choice(row, "model_output_answer_correctness", _CORRECTNESS)
    raw, name = row.get("model_output_steps"), "model_output_steps"
    try:
        given = items({name: ast.literal_eval(raw)}, name) if isinstance(raw, str) else items(row, name)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:  # TypeError: "{[1]: 2}"
        if not isinstance(raw, str):
            raise
        raise RowRejected(f"field {name!r} is not a list", shorten(raw, most=200)) from error
    steps_S = checked_steps(name, given, first_error=first_error)
    solution = LabelledSolution(
        problem=text(row, "question"),
        steps=steps_S,
        reference=optional_text(row, "ground_truth_solution") or optional_text(row, "ground_truth_answer"),
        labels=first_error_labels(
            first_error, n_steps=len(steps_S), shown=row.get("model_output_solution_first_error_step")
        ),
        final_answer_correct=answer_correctness == "correct",
        source=SOURCE.name,
        subset=choice(row, "question_type", TYPES),
        source_id=text(row, "uuid"),
        label_method=LabelMethod.HUMAN,
        licence="MIT",
    )
    return [solution]


def _first_error(row: Row) -> int | None:
    """Return the 0-based first error, checked against the verdict on the whole solution."""
    value = row.get("model_output_solution_first_error_step")
    solution_correctness = choice(row, "model_output_solution_correctness", _CORRECTNESS)
    is_error = not (value is None or (isinstance(value, str) and value.strip() in NO_ERROR))
    if is_error == (solution_correctness == "correct"):
        raise RowRejected(
            "first error contradicts the solution's correctness",
            f"{shorten(value)} in a solution called {solution_correctness}",
        )
    if not is_error:
        return None
    try:
        if isinstance(value, str) or type(value) is int:
            return int(value) - 1
    except ValueError:
        pass
    raise RowRejected("first error is not a step number", shorten(value))


SOURCE = Source("mr-gsm8k", LabelledSolution, NoOptions, convert)
