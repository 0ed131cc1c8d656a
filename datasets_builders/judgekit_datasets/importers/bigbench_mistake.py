"""BIG-Bench-Mistake: chain-of-thought traces of five BIG-bench tasks with the first logical mistake marked.

Source:
    Tyen et al., LLMs cannot find reasoning errors, but can correct them! (2311.08516); WHGTyen/BIG-Bench-Mistake,
    Apache-2.0. `mistake_index` is 0-based, null where there is no mistake; the field itself must be there. Right
    answers with a mistake and wrong answers without one both occur, so the answer says nothing about the labels. Traces
    are by PaLM 2-L (Unicorn). Annotators marked four tasks; most of `dyck_languages` was marked by a program, and the
    rows do not say which.

    The published files are one per task, and only their names state the task: a row of `word_sorting` has bare words,
    one of `dyck_languages` bare brackets. Here the task is inferred from the content of a row, and each problem begins
    with the question (`INSTRUCTIONS`, in our own words; the authors' prompts ask the model that wrote the traces the
    same).
"""

from __future__ import annotations

import re
from typing import Literal, get_args

from judgekit.config import BaseConfig
from judgekit.errors import ConfigError, shorten
from judgekit.types import LabelledSolution, LabelMethod
from judgekit_datasets.importers.fields import first_error_labels, integer, missing, optional_text, steps, text
from judgekit_datasets.source import Row, RowRejected, Source

Task = Literal[
    "word_sorting", "tracking_shuffled_objects", "logical_deduction", "multistep_arithmetic", "dyck_languages"
]
"""The five tasks, by the names of the published files."""
INSTRUCTIONS: dict[Task, str] = {
    "word_sorting": "Sort these words alphabetically:",
    "tracking_shuffled_objects": "Keep track of who has what, and choose the option that completes the last sentence.",
    "logical_deduction": "Work out the order from the statements, and choose the option that is correct.",
    "multistep_arithmetic": "Calculate the value of this expression:",
    "dyck_languages": "Continue this sequence with the brackets that close all open ones, in the right order:",
}
"""What is asked in each task; stands before the input. In words of our own."""
_BRACKETS = re.compile(r"[\s()\[\]{}<>]+")
_ARITHMETIC = re.compile(r"[\d\s()+\-*/]+=?\s*")
_SWAP = re.compile(r"\b(swap|trade|exchange|switch)", re.IGNORECASE)


class BigBenchMistakeConfig(BaseConfig):
    """What a file may not say about itself."""

    task: Task | None = None
    """The task of all rows; `null` infers it from each row, or from the file's name if the row does not show it."""


def convert(row: Row, config: BigBenchMistakeConfig, part: str) -> list[LabelledSolution]:
    """Convert one row; a trace from which no answer could be read has unknown final-answer correctness."""
    if "mistake_index" not in row:
        raise missing("mistake_index", row)
    mistake = None if row["mistake_index"] is None else integer(row, "mistake_index")
    steps_S = steps(row, "steps", first_error=mistake)
    question, target, answer = text(row, "input"), text(row, "target"), optional_text(row, "answer")
    task = _task(question, target, config, part)
    solution = LabelledSolution(
        problem=f"{INSTRUCTIONS[task]}\n{question}",
        steps=steps_S,
        reference=target,
        labels=first_error_labels(mistake, n_steps=len(steps_S), shown=mistake),
        final_answer_correct=None if answer is None else answer.split() == target.split(),
        source=SOURCE.name,
        subset=task,
        generator="PaLM 2-L (Unicorn)",
        label_method=None if task == "dyck_languages" else LabelMethod.HUMAN,
        licence="Apache-2.0",
    )
    return [solution]


def find_task(question: str, target: str) -> Task | None:
    """Return the task that a row belongs to by what it holds; `None` if that does not tell.

    Example:
        >>> find_task("( { [", "] } )"), find_task("oven cost", "cost oven"), find_task("What is 2 + 2?", "4")
        ('dyck_languages', 'word_sorting', None)
    """
    # Brackets come first, for those alone would pass for arithmetic.
    if _BRACKETS.fullmatch(question):
        return "dyck_languages"
    if _ARITHMETIC.fullmatch(question):
        return "multistep_arithmetic"
    if "\nOptions:\n" in question:
        if "fixed order" in question:
            return "logical_deduction"
        return "tracking_shuffled_objects" if _SWAP.search(question) else None
    words, in_order = question.casefold().split(), target.casefold().split()
    return "word_sorting" if len(words) > 1 and sorted(words) == sorted(in_order) else None


def _task(question: str, target: str, config: BigBenchMistakeConfig, part: str) -> Task:
    """Return the task; what the row holds and what was said of it must agree.

    Raises:
        RowRejected: the row is of another task than the option or the file's name says.
        ConfigError: nothing tells the task.
    """
    name = re.sub(r"[^a-z]+", "_", part.lower())
    named: list[Task] = [config.task] if config.task else [task for task in get_args(Task) if task in name]
    found = find_task(question, target)
    if found is not None and named and found not in named:
        raise RowRejected("row of another task", f"{shorten(question)} is {found}, not {named[0]}")
    if found is None and len(named) != 1:
        raise ConfigError(
            f"neither the row, which begins with {shorten(question, most=60)}, nor the name {part!r} shows the task: "
            f"give task=NAME, one of {', '.join(get_args(Task))}"
        )
    return found or named[0]


SOURCE = Source("bigbench-mistake", LabelledSolution, BigBenchMistakeConfig, convert)
