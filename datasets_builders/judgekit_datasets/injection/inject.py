"""Error injection: typed errors in correct worked solutions, and as many correct ones with harmless edits.

Each correct solution gives erroneous ones, each with one error of a known type at a known step, carried on through
everything that depends on it (`judgekit_datasets.injection.error_types`); as many correct ones, edited harmlessly by
the same draw (`judgekit_datasets.injection.harmless`); and the original solution. All of them end with a line that
states the answer, and calculator annotations are removed from all of them.

Rows are those of GSM8K (`question`, `answer`), or labelled solutions whose steps are all correct and whose `reference`
is a number. Steps after the first error are unlabelled.

Source:
    GSM8K: Cobbe et al., Training Verifiers to Solve Math Word Problems (2110.14168), MIT.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import cycle, islice
from typing import NamedTuple

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.text.arithmetic.calculations import parse_number, parse_step, quantities, render_number
from judgekit.text.arithmetic.tokens import ANNOTATION
from judgekit.text.identity import content_id, problem_id
from judgekit.types import LabelledSolution, LabelMethod, StepLabel, labels_from_first_error
from judgekit_datasets.importers.fields import checked_steps, optional_text, text
from judgekit_datasets.importers.gsm8k import ANSWER_MARK
from judgekit_datasets.injection.error_types import ErrorType, Wrong, draw_error
from judgekit_datasets.injection.harmless import (
    Draft,
    HarmlessEdit,
    answer_line,
    conclude,
    draw_edits,
    edit,
    restructure,
)
from judgekit_datasets.injection.worked_solution import WorkedSolution
from judgekit_datasets.source import Row, RowRejected, Source

HARMLESS = "harmless"
"""`subset` of correct solutions with harmless edits; that of erroneous ones is the type of their error."""
UNEDITED = "unedited"
"""`subset` of correct solutions as they were."""
_LIKE = {
    ErrorType.UNJUSTIFIED_LEAP: frozenset({HarmlessEdit.ELIDE}),
    ErrorType.PREMATURE_END: frozenset({HarmlessEdit.CONCLUDE, HarmlessEdit.INLINE}),
    ErrorType.DROPPED_CONDITION: frozenset({HarmlessEdit.INLINE}),
}
"""Harmless edits that leave out what a type leaves out anyway; both together would show."""
_ROUNDS = 3
_MAX_STEPS = 60
_MAX_STEP_CHARS = 2000


class InjectionConfig(BaseConfig):
    """Which solutions to make from each correct one."""

    seed: int = 0
    """Seed of everything random; the draw for a row depends only on it and the row."""
    error_types: tuple[ErrorType, ...] = Field(default=tuple(ErrorType), min_length=1)
    """Types of error to draw from, uniformly among those that are possible in the solution."""
    harmless_edits: tuple[HarmlessEdit, ...] = Field(default=tuple(HarmlessEdit), min_length=1)
    """Harmless edits to draw from, for erroneous and correct solutions alike."""
    n_errors: int = Field(default=9, ge=1)
    """Maximum erroneous solutions per problem; short solutions have room for fewer."""
    harmless_per_error: float = Field(default=1.0, ge=0, le=4)
    """Correct solutions with harmless edits for each erroneous one."""
    with_unedited: bool = True
    """Whether to keep the original correct solution, too."""

    @model_validator(mode="after")
    def _no_repetition(self) -> InjectionConfig:
        for name in ("error_types", "harmless_edits"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} contains one value twice: {', '.join(values)}")
        return self


class _Right(NamedTuple):
    """A correct solution as it was read."""

    id: str
    problem_id: str
    problem: str
    worked: WorkedSolution
    licence: str | None


def convert(row: Row, config: InjectionConfig, part: str) -> list[LabelledSolution]:
    """Make erroneous, harmlessly edited and unedited solutions of one correct one."""
    right = _read(row)
    # By the row alone: the same solutions come of it wherever it stands and whatever else is built.
    rng = random.Random(content_id(seed=config.seed, id=right.id))
    plain = _draft(rng, right.worked, None, frozenset())
    seen = {plain.steps}
    wrong = list(_erroneous(rng, right, config, seen))
    if not wrong:
        raise RowRejected("no place for an error", f"none of {len(config.error_types)} types can happen in it")
    harmless: list[LabelledSolution] = []
    n_harmless = round(config.harmless_per_error * len(wrong))
    for _ in range(_ROUNDS * n_harmless):  # a draw may give what there is already; short solutions run out of drafts
        if len(harmless) == n_harmless:
            break
        edits = draw_edits(rng, config.harmless_edits)
        draft = _draft(rng, restructure(rng, right.worked, edits), None, edits)
        if draft.steps not in seen:
            seen.add(draft.steps)
            harmless.append(_record(right, draft, HARMLESS))
    unedited = [_record(right, plain, UNEDITED)] if config.with_unedited else []
    return [*unedited, *wrong, *harmless]


# Reading


def _read(row: Row) -> _Right:
    """Understand a solution, or say why it is not understood: an error could not be carried on through it."""
    if "steps" in row:
        known = {name: value for name, value in row.items() if name in LabelledSolution.model_fields}
        solution = LabelledSolution.model_validate(known)
        if set(solution.labels) != {StepLabel.OK}:
            raise RowRejected("not a correct solution", f"labels {', '.join(solution.labels)}")
        reference = optional_text(row, "reference")
        if reference is None:
            raise RowRejected("no reference answer", "the field 'reference' must hold the final answer, a number")
        texts = checked_steps("steps", [ANNOTATION.sub("", step).strip() for step in solution.steps])
        problem, answer, licence = solution.problem, reference, solution.licence
        names = solution.id, solution.problem_id
    else:
        problem, whole, licence = text(row, "question"), text(row, "answer"), "MIT"
        body, mark, answer = whole.rpartition(ANSWER_MARK)
        if not mark or not answer.strip():
            raise RowRejected(f"no answer after {ANSWER_MARK}", repr(whole[-80:]))
        lines = [line for line in ANNOTATION.sub("", body).split("\n") if line.strip()]
        texts = checked_steps("answer", lines)
        names = content_id(problem=problem, solution=whole), problem_id(problem)
    if len(texts) > _MAX_STEPS or max(map(len, texts)) > _MAX_STEP_CHARS:
        raise RowRejected("too long", f"{len(texts)} steps, the longest of {max(map(len, texts))} characters")
    steps = tuple(map(parse_step, texts))
    value = parse_number(answer)
    if value is None:
        raise RowRejected("answer is not a number", repr(answer[:80]))
    if any(step.has_algebra for step in steps):
        raise RowRejected("algebra", next(repr(step.text) for step in steps if step.has_algebra))
    worked = WorkedSolution(steps, quantities(problem))
    if not worked.results:
        raise RowRejected("no equation", f"no step states a calculation, for example {texts[0]!r}")
    for step in steps:
        if not all(map(step.holds, step.equations)):
            raise RowRejected("an equation does not hold", repr(step.text))
    if worked.answer != value:
        raise RowRejected("answer is not the last result", f"answer {answer.strip()!r}, last result {worked.answer}")
    return _Right(*names, problem, worked, licence)


# Making


def _erroneous(
    rng: random.Random, right: _Right, config: InjectionConfig, seen: set[tuple[str, ...]]
) -> Iterator[LabelledSolution]:
    """Yield at most `n_errors` erroneous solutions; a type comes again only when all others had their turn."""
    turns = islice(cycle(rng.sample(config.error_types, len(config.error_types))), _ROUNDS * len(config.error_types))
    n_made = 0
    for kind in turns:
        if n_made == config.n_errors:
            return
        # None as often as among the correct ones, or having been edited would tell something.
        n_unedited, n_edited = int(config.with_unedited), config.harmless_per_error * config.n_errors
        is_unedited = rng.random() * (n_unedited + n_edited) < n_unedited
        edits = frozenset() if is_unedited else draw_edits(rng, config.harmless_edits) - _LIKE.get(kind, frozenset())
        solution = restructure(rng, right.worked, edits)
        # Restructured first, so that the error is carried on through the solution as it will stand.
        wrong = draw_error(rng, solution, kind, original=right.worked)
        draft = None if wrong is None else _draft(rng, solution, wrong, edits)
        if draft is not None and draft.steps not in seen:
            seen.add(draft.steps)
            n_made += 1
            is_right = wrong is not None and wrong.answer == right.worked.answer
            yield _record(right, draft, kind, is_right=is_right)


def _draft(rng: random.Random, solution: WorkedSolution, wrong: Wrong | None, edits: frozenset[HarmlessEdit]) -> Draft:
    """Add the line that states the answer, and make the harmless edits."""
    steps = solution.texts if wrong is None else wrong.steps
    first_error = None if wrong is None else wrong.first_error
    answer = render_number(solution.answer if wrong is None else wrong.answer)
    is_misstated = first_error == len(steps)
    is_unit_at_end = first_error == len(steps) - 1 and answer == render_number(solution.answer)  # would go with it
    may_conclude = HarmlessEdit.CONCLUDE in edits and not (is_misstated or is_unit_at_end)
    concluded = conclude(steps) if may_conclude else None
    if concluded is not None:
        steps, answer = concluded
        first_error = None if first_error is None else min(first_error, len(steps))
    elif HarmlessEdit.ANSWER in edits and solution.is_money:
        answer = f"${answer}"
    draft = Draft((*steps, answer_line(rng, answer, edits)), first_error)
    return edit(rng, draft, edits, keep=draft.first_error)


def _record(right: _Right, draft: Draft, subset: str, *, is_right: bool = True) -> LabelledSolution:
    return LabelledSolution(
        problem_id=right.problem_id,
        problem=right.problem,
        steps=draft.steps,
        reference=render_number(right.worked.answer),
        labels=labels_from_first_error(draft.first_error, n_steps=len(draft.steps)),
        final_answer_correct=is_right,
        source=SOURCE.name,
        subset=subset,
        source_id=right.id,
        generator=f"injection-{subset}",
        label_method=LabelMethod.INJECTED,
        licence=right.licence,
    )


SOURCE = Source("injection", LabelledSolution, InjectionConfig, convert, probe_leakage=True)
