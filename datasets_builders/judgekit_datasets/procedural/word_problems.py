"""Procedural source: word problems of several families, solved exactly and checked step by step.

A solution states one equation per step. An error changes one step, and later steps continue from the wrong value, so
that they are correct given what came before. Before a solution is yielded, every step is read back from its text and
computed again by `families.evaluation`: a generator that contradicts its own labels raises instead of writing.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.errors import DataError
from judgekit.text.identity import problem_id
from judgekit.types import LabelledSolution, LabelMethod, Problem, StepLabel
from judgekit_datasets.procedural.families.errors import WordErrorKind, WrongSolution, draw_wrong_solution
from judgekit_datasets.procedural.families.evaluation import read_equation
from judgekit_datasets.procedural.families.task import (
    Draw,
    Level,
    Line,
    Story,
    Symbol,
    Task,
    format_number,
    work_out,
)
from judgekit_datasets.source import GeneratorSource

SOURCE = "procedural-word"


class Family(StrEnum):
    """Families of problems; each is a module of `judgekit_datasets.procedural.families`."""

    LINEAR = "linear"
    """Linear equations."""
    SHARES = "shares"
    """Fractions and percentages."""
    UNITS = "units"
    """Conversion of units."""
    RATES = "rates"
    """Speed, work, prices and wages."""
    SEQUENCES = "sequences"
    """Arithmetic and geometric sequences, and recurrences."""


class WordProblemsConfig(BaseConfig):
    """Which problems to make."""

    n: int = Field(default=20_000, ge=1)
    """Number of problems, or of solutions, one per problem."""
    seed: int = 0
    """Seed of everything random."""
    families: tuple[Family, ...] = Field(default=tuple(Family), min_length=1)
    """Families to draw from, uniformly."""
    levels: tuple[Level, ...] = Field(default=tuple(Level), min_length=1)
    """Levels of difficulty to draw from, uniformly."""
    n_phrasings: int | None = Field(default=None, ge=1)
    """How many of the phrasings of each text to use; null for all. Fewer leave some for a test of transfer."""


class WordSolutionsConfig(WordProblemsConfig):
    """Which solutions to make, and how often and how they go wrong."""

    error_rate: float = Field(default=0.5, ge=0, le=1)
    """Fraction of solutions with an error; each of them has exactly one."""
    kinds: tuple[WordErrorKind, ...] = Field(default=tuple(WordErrorKind), min_length=1)
    """Kinds of error to draw from, uniformly among those that are possible."""


class Notation(NamedTuple):
    """How a solution writes its equations."""

    times: str
    """Sign of multiplication."""
    divide: str
    """Sign of division."""
    space: str
    """What stands around every sign."""


_NOTATIONS = tuple(
    Notation(times, divide, space)
    for times in ("*", "\N{MULTIPLICATION SIGN}")
    for divide in ("/", "\N{DIVISION SIGN}")
    for space in (" ", " ", "")  # spaces twice as often as none
)


def generate(config: WordSolutionsConfig) -> Iterator[LabelledSolution]:
    """Yield `config.n` labelled solutions, the same for the same configuration.

    Raises:
        DataError: a step does not say what its label says; a fault of a family, never of the options.
    """
    rng = random.Random(config.seed)
    for _ in range(config.n):
        subset, task = _draw_task(rng, config)
        notation = rng.choice(_NOTATIONS)
        right = work_out(task, dict(task.given))
        wrong = draw_wrong_solution(rng, task, right, config.kinds) if rng.random() < config.error_rate else None
        lines = wrong.lines if wrong else right
        steps = write_steps(task, lines, notation)
        check_solution(task, right, wrong, steps)
        labels = [StepLabel.OK] * len(steps)
        if wrong:
            labels[wrong.first_error] = StepLabel.ERROR
        problem = write_problem(task)
        yield LabelledSolution(
            problem_id=problem_id(problem),
            problem=problem,
            steps=tuple(steps),
            reference=format_number(task.answer, task.style),
            labels=tuple(labels),
            final_answer_correct=lines[-1].result == task.answer,
            source=SOURCE,
            subset=subset,
            generator=f"{SOURCE}-{wrong.kind if wrong else 'right'}",
            label_method=LabelMethod.PROCEDURAL,
            licence="Apache-2.0",
        )


def generate_problems(config: WordProblemsConfig) -> Iterator[Problem]:
    """Yield `config.n` problems with their answers, the same for the same configuration."""
    rng = random.Random(config.seed)
    for _ in range(config.n):
        _, task = _draw_task(rng, config)
        problem, answer = write_problem(task), format_number(task.answer, task.style)
        yield Problem(problem_id=problem_id(problem), problem=problem, answer=answer, source=SOURCE)


@cache
def stories(family: Family, level: Level) -> tuple[Story, ...]:
    """Return the stories of a family at a level."""
    module = importlib.import_module(f"judgekit_datasets.procedural.families.{family}")
    found: tuple[Story, ...] = module.STORIES[level]
    return found


def _draw_task(rng: random.Random, config: WordProblemsConfig) -> tuple[str, Task]:
    """Return the name of family and level, and a task of them."""
    family, level = rng.choice(config.families), rng.choice(config.levels)
    story = rng.choice(stories(family, level))
    return f"{family}-{level}", story(Draw(rng, level, config.n_phrasings))


def write_problem(task: Task) -> str:
    """Return the problem's text."""
    return task.problem.format_map(_words(task))


def write_steps(task: Task, lines: Sequence[Line], notation: Notation) -> list[str]:
    """Return the text of each step; a step that mentions an earlier result mentions it as it was found."""
    texts = _words(task)
    steps = []
    for step, line in zip(task.steps, lines, strict=True):
        texts[step.name] = format_number(line.result, task.style)
        signs = {"*": notation.times, "/": notation.divide}
        equation = ""
        for position, number in enumerate(line.operands):
            if position:
                symbol = line.symbols[position - 1]
                equation += f"{notation.space}{signs.get(symbol, symbol)}{notation.space}"
            text = format_number(number, task.style)
            # Brackets around what would be read otherwise: fractions next to a product, negative numbers after a sign.
            beside: set[Symbol] = set(line.symbols[max(0, position - 1) : position + 1])
            is_read_otherwise = ("/" in text and not beside.isdisjoint("*/")) or (number < 0 and position > 0)
            equation += f"({text})" if is_read_otherwise else text
        texts["eq"] = f"{equation}{notation.space}={notation.space}{texts[step.name]}"
        steps.append(step.text.format_map(texts))
    return steps


def check_solution(task: Task, right: Sequence[Line], wrong: WrongSolution | None, steps: Sequence[str]) -> None:
    """Check the texts of a solution against the right derivation and the labels that they are to get.

    Up to the error every step must state a true equation with the correct result, and a correct solution must end at
    the task's answer. The first wrong step must state another result than the correct one; a slip's equation must be
    false. Every other step must state a true equation, and the one that carries on.

    Raises:
        DataError: one of these fails.
    """
    if right[-1].result != task.answer:
        raise DataError(f"{task.problem!r}: the steps lead to {right[-1].result}, but the answer is {task.answer}")
    lines = wrong.lines if wrong else right
    for index, (text, line) in enumerate(zip(steps, lines, strict=True)):
        equation = read_equation(text)
        goes_wrong = wrong is not None and index == wrong.first_error
        before = wrong is None or index < wrong.first_error
        is_slip = wrong is not None and goes_wrong and wrong.kind is WordErrorKind.SLIP
        as_labelled = equation.right == line.result and equation.holds is not is_slip
        if before:
            as_labelled = as_labelled and equation.right == right[index].result
        if goes_wrong:  # another result, or the step would be right after all
            as_labelled = as_labelled and equation.right != right[index].result
        if not as_labelled:
            raise DataError(f"step {index} of {list(steps)} for {write_problem(task)!r} contradicts its label")


def _words(task: Task) -> dict[str, str]:
    return {**task.words, **{name: format_number(value, task.style) for name, value in task.given.items()}}


SOLUTIONS = GeneratorSource("procedural-word", LabelledSolution, WordSolutionsConfig, generate)
"""Labelled solutions of word problems."""
PROBLEMS = GeneratorSource("procedural-word-problems", Problem, WordProblemsConfig, generate_problems)
"""Word problems alone."""
