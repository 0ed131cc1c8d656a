"""Procedural source: multi-step arithmetic with exact labels, in several surface forms.

A problem is a start value and a list of instructions; a solution carries out one instruction per step (`14+7=21`). An
error changes one step, and every later step continues from the wrong value, so only the first error is an error of
reasoning unless `errors` asks for more. Steps are labelled by construction, never by comparing final answers. Lines of
a problem and of its solution have about as many tokens, which lets very small models learn which belongs to which.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.text.identity import problem_id
from judgekit.types import LabelledSolution, LabelMethod, Problem, StepLabel
from judgekit_datasets.source import GeneratorSource

SOURCE = "procedural"
Symbol = Literal["+", "-", "*"]


class Form(StrEnum):
    """Surface forms of the same arithmetic."""

    LIST = "list"
    """`Start with 14 and give the result:`, `then add 7.`, `then times 2.`"""
    STORY = "story"
    """`Mia has 14 coins; how many in the end?`, `she finds 7.`, `she loses 2.`"""
    PROGRAM = "program"
    """`x = 14, what is x?`, `x = x+7`, `x = x*2`"""


class ErrorKind(StrEnum):
    """What goes wrong in a step."""

    SLIP = "slip"
    """The right expression with a wrong result."""
    OPERAND = "operand"
    """Another number than the instruction's."""
    OPERATION = "operation"
    """Plus for minus, or the other way round."""
    CARRY = "carry"
    """The value of the step before is copied wrongly."""
    SKIP = "skip"
    """An instruction is left out; the step carries out the next one."""


class ProceduralProblemsConfig(BaseConfig):
    """Which problems to make."""

    n: int = Field(default=20_000, ge=1)
    """Number of problems, or of solutions, one per problem."""
    seed: int = 0
    """Seed of everything random."""
    min_steps: int = Field(default=4, ge=1)
    """Minimum instructions per problem."""
    max_steps: int = Field(default=8, ge=1)
    """Maximum instructions per problem."""
    max_value: int = Field(default=99, ge=10)
    """Correct solutions stay within 0..max_value; after an error, values may leave that range."""
    forms: tuple[Form, ...] = Field(default=tuple(Form), min_length=1)
    """Surface forms to draw from, uniformly."""

    @model_validator(mode="after")
    def _ordered(self) -> ProceduralProblemsConfig:
        if self.max_steps < self.min_steps:
            raise ValueError(f"max_steps {self.max_steps} is below min_steps {self.min_steps}")
        return self


class ProceduralConfig(ProceduralProblemsConfig):
    """Which solutions to make, and how often and how they go wrong."""

    errors: Literal["one", "independent"] = "one"
    """`one`: a solution has one error or none; `independent`: every step may go wrong independently."""
    error_rate: float = Field(default=0.5, ge=0, le=1)
    """With `one` the fraction of wrong solutions, with `independent` the probability of an error in each step."""
    kinds: tuple[ErrorKind, ...] = Field(default=tuple(ErrorKind), min_length=1)
    """Kinds of error to draw from, uniformly among those that are possible at a step."""


class Instruction(NamedTuple):
    """One operation on the running value."""

    symbol: Symbol
    """Its sign."""
    operand: int
    """Its number."""

    def apply(self, value: int) -> int:
        """Carry it out."""
        return {"+": value + self.operand, "-": value - self.operand, "*": value * self.operand}[self.symbol]


@dataclass(frozen=True)
class _Task:
    start: int
    instructions: tuple[Instruction, ...]
    form: Form
    name: str
    item: str

    @property
    def answer(self) -> int:
        value = self.start
        for instruction in self.instructions:
            value = instruction.apply(value)
        return value


class _Step(NamedTuple):
    number: int
    before: int
    instruction: Instruction
    after: int


SYMBOLS: tuple[Symbol, ...] = ("+", "+", "+", "-", "-", "-", "*")
"""Operations to draw from; multiplications are rarer, since they leave the range soon."""
NAMES = ("Mia", "Ada", "Zoe", "Eva")
ITEMS = ("coins", "shells", "cards", "pens")
_INSTRUCTIONS: dict[Form, dict[Symbol, str]] = {
    Form.LIST: {"+": "then add {}.", "-": "then subtract {}.", "*": "then times {}."},
    Form.STORY: {"+": "she finds {}.", "-": "she loses {}.", "*": "she multiplies {}."},
    Form.PROGRAM: {"+": "x = x+{}", "-": "x = x-{}", "*": "x = x*{}"},
}


def generate(config: ProceduralConfig) -> Iterator[LabelledSolution]:
    """Yield `config.n` labelled solutions, the same for the same configuration."""
    rng = random.Random(config.seed)
    for _ in range(config.n):
        task = _draw_task(rng, config)
        steps, labels, kinds = _solve(task, rng, config)
        problem = _problem_text(task)
        yield LabelledSolution(
            problem_id=problem_id(problem),
            problem=problem,
            steps=tuple(f"{s.before}{s.instruction.symbol}{s.instruction.operand}={s.after}" for s in steps),
            reference=str(task.answer),
            labels=tuple(labels),
            final_answer_correct=steps[-1].after == task.answer,
            source=SOURCE,
            subset=task.form,
            generator=f"{SOURCE}-{kinds[0] if kinds else 'right'}",
            label_method=LabelMethod.PROCEDURAL,
            licence="Apache-2.0",
        )


def generate_problems(config: ProceduralProblemsConfig) -> Iterator[Problem]:
    """Yield `config.n` problems with their answers, the same for the same configuration."""
    rng = random.Random(config.seed)
    for _ in range(config.n):
        task = _draw_task(rng, config)
        problem = _problem_text(task)
        yield Problem(problem_id=problem_id(problem), problem=problem, answer=str(task.answer), source=SOURCE)


def _draw_task(rng: random.Random, config: ProceduralProblemsConfig) -> _Task:
    value = start = rng.randint(2, config.max_value // 2)
    instructions: list[Instruction] = []
    for _ in range(rng.randint(config.min_steps, config.max_steps)):
        while True:
            symbol = rng.choice(SYMBOLS)
            operand = rng.randint(2, 3) if symbol == "*" else rng.randint(1, 9)
            instruction = Instruction(symbol, operand)
            if not value:  # nothing but a sum leads on from 0
                instruction = Instruction("+", rng.randint(1, 9))
                break
            if 0 <= instruction.apply(value) <= config.max_value:
                break
        instructions.append(instruction)
        value = instruction.apply(value)
    return _Task(start, tuple(instructions), rng.choice(config.forms), rng.choice(NAMES), rng.choice(ITEMS))


def _solve(
    task: _Task, rng: random.Random, config: ProceduralConfig
) -> tuple[list[_Step], list[StepLabel], list[ErrorKind]]:
    """Carry the instructions out, with the errors that the configuration asks for."""
    n = len(task.instructions)
    one = config.errors == "one"
    wrong_at = rng.randrange(n) if one and rng.random() < config.error_rate else None
    steps: list[_Step] = []
    labels: list[StepLabel] = []
    kinds: list[ErrorKind] = []
    value, position = task.start, 0
    while position < n:
        goes_wrong = position == wrong_at if one else rng.random() < config.error_rate
        todo = [
            _Step(number, value, instruction, instruction.apply(value))
            for number, instruction in enumerate(task.instructions[position : position + 2], start=position)
        ]
        step = todo[0]
        if goes_wrong:
            # A kind that cannot happen to this step gives way to another; a slip always can.
            for kind in (*rng.sample(config.kinds, len(config.kinds)), ErrorKind.SLIP):
                if (wrong := _go_wrong(kind, rng, todo)) is not None:
                    kinds.append(kind)
                    step = wrong
                    break
        steps.append(step)
        labels.append(StepLabel.ERROR if goes_wrong else StepLabel.OK)
        value, position = step.after, step.number + 1  # behind the instruction that the step carried out, or skipped to
    return steps, labels, kinds


def _go_wrong(kind: ErrorKind, rng: random.Random, todo: list[_Step]) -> _Step | None:
    """Return the first step to do with an error of that kind; `None` if it cannot happen to this step."""
    step = todo[0]
    symbol, operand = step.instruction
    match kind:
        case ErrorKind.SLIP:
            return step._replace(after=step.after + rng.choice((-10, -2, -1, 1, 2, 10)))
        case ErrorKind.CARRY:
            before = step.before + rng.choice((-10, -1, 1, 10))
            return step._replace(before=before, after=step.instruction.apply(before))
        case ErrorKind.SKIP:
            # Of two equal instructions in a row the second would be the one that is missing, so not there.
            return todo[1] if len(todo) > 1 and todo[1].instruction != step.instruction else None
        case ErrorKind.OPERAND:
            others = (2, 3, 4) if symbol == "*" else range(1, 10)
            wrong = Instruction(symbol, rng.choice([other for other in others if other != operand]))
        case ErrorKind.OPERATION:
            if symbol == "*":
                return None
            wrong = Instruction("-" if symbol == "+" else "+", operand)
    return step._replace(instruction=wrong, after=wrong.apply(step.before))


def _problem_text(task: _Task) -> str:
    first = {
        Form.LIST: f"Start with {task.start} and give the result:",
        Form.STORY: f"{task.name} has {task.start} {task.item}; how many in the end?",
        Form.PROGRAM: f"x = {task.start}, what is x?",
    }[task.form]
    return "\n".join((first, *(_INSTRUCTIONS[task.form][i.symbol].format(i.operand) for i in task.instructions)))


SOLUTIONS = GeneratorSource("procedural", LabelledSolution, ProceduralConfig, generate)
"""Labelled chains of arithmetic."""
PROBLEMS = GeneratorSource("procedural-problems", Problem, ProceduralProblemsConfig, generate_problems)
"""The problems of such chains alone."""
