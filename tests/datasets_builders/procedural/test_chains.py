"""The procedural source, against a checker that reads nothing but the texts of problem and steps."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import pytest
from pydantic import ValidationError

from judgekit.types import LabelledSolution, LabelMethod, StepLabel
from judgekit_datasets.procedural.chains import (
    ErrorKind,
    Form,
    ProceduralConfig,
    ProceduralProblemsConfig,
    generate,
    generate_problems,
)


class Operation(NamedTuple):
    symbol: str
    operand: int


class Equation(NamedTuple):
    before: int
    operation: Operation
    after: int

    @property
    def holds(self) -> bool:
        symbol, operand = self.operation
        return (
            self.after == {"+": self.before + operand, "-": self.before - operand, "*": self.before * operand}[symbol]
        )


# How the texts are read: the only part that knows the surface forms.

FIRST_LINES = {
    Form.LIST: r"Start with (\d+) and give the result:",
    Form.STORY: r"\w+ has (\d+) \w+; how many in the end\?",
    Form.PROGRAM: r"x = (\d+), what is x\?",
}
INSTRUCTIONS = {
    Form.LIST: {"+": r"then add (\d+)\.", "-": r"then subtract (\d+)\.", "*": r"then times (\d+)\."},
    Form.STORY: {"+": r"she finds (\d+)\.", "-": r"she loses (\d+)\.", "*": r"she multiplies (\d+)\."},
    Form.PROGRAM: {"+": r"x = x\+(\d+)", "-": r"x = x-(\d+)", "*": r"x = x\*(\d+)"},
}
STEP = r"(-?\d+)([-+*])(\d+)=(-?\d+)"


def read_problem(text: str) -> tuple[Form, int, list[Operation]]:
    first, *lines = text.split("\n")
    ((form, start),) = [(form, m) for form, pattern in FIRST_LINES.items() if (m := re.fullmatch(pattern, first))]
    operations = []
    for line in lines:
        ((symbol, found),) = [(s, m) for s, pattern in INSTRUCTIONS[form].items() if (m := re.fullmatch(pattern, line))]
        operations.append(Operation(symbol, int(found[1])))
    return form, int(start[1]), operations


def read_step(text: str) -> Equation:
    found = re.fullmatch(STEP, text)
    assert found, f"{text!r} is no equation"
    return Equation(int(found[1]), Operation(found[2], int(found[3])), int(found[4]))


def stated(solution: LabelledSolution) -> tuple[str, str]:
    """Return the form and the kind of the first error as the record states them."""
    assert solution.subset and solution.generator
    return solution.subset, solution.generator.removeprefix("procedural-")


# What is right and wrong, by the texts alone


def check(solution: LabelledSolution) -> None:
    """Walk through the steps: a step is right if it carries on from the last value with the next instruction.

    A wrong step uses one instruction up, or two where it does what the one after next says; every reading is followed,
    and one must fit all labels and use all instructions.
    """
    _, value, operations = read_problem(solution.problem)
    places = {0}
    for text, label in zip(solution.steps, solution.labels, strict=True):
        equation = read_step(text)
        reached = set()
        for place in (place for place in places if place < len(operations)):
            right = (value, operations[place], True) == (equation.before, equation.operation, equation.holds)
            if right == (label is StepLabel.OK):
                reached.add(place + 1)
            skips = place + 1 < len(operations) and equation.operation == operations[place + 1]
            if label is StepLabel.ERROR and not right and skips and equation.holds and equation.before == value:
                reached.add(place + 2)
        assert reached, f"step {text!r} is not {label} in {solution.problem!r} with {solution.steps}"
        places, value = reached, equation.after
    assert len(operations) in places, f"instructions are left over in {solution.problem!r} with {solution.steps}"


def answer(problem: str) -> int:
    _, value, operations = read_problem(problem)
    for symbol, operand in operations:
        value = {"+": value + operand, "-": value - operand, "*": value * operand}[symbol]
    return value


def first_wrong_step(solution: LabelledSolution) -> tuple[int | None, list[bool]]:
    """Return where the text goes wrong first, and for each part of that step whether it is as it should be."""
    _, value, operations = read_problem(solution.problem)
    for place, text in enumerate(solution.steps):
        equation = read_step(text)
        parts = [
            equation.before == value,
            equation.operation.symbol == operations[place].symbol,
            equation.operation.operand == operations[place].operand,
            equation.holds,
        ]
        if not all(parts):
            return place, parts
        value = equation.after
    return None, []


KINDS = {
    # which parts of the first wrong step are right: value carried over, symbol, number, arithmetic
    ErrorKind.SLIP: [True, True, True, False],
    ErrorKind.OPERAND: [True, True, False, True],
    ErrorKind.OPERATION: [True, False, True, True],
    ErrorKind.CARRY: [False, True, True, True],
}


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("kind", ErrorKind)
def test_each_kind_of_error_is_what_its_name_says(kind: ErrorKind, form: Form) -> None:
    found: Counter[str | None] = Counter()
    for solution in generate(ProceduralConfig(n=150, seed=3, error_rate=1.0, kinds=(kind,), forms=(form,))):
        check(solution)
        place, parts = first_wrong_step(solution)
        assert place == solution.first_error and place is not None
        assert solution.labels.count(StepLabel.ERROR) == 1
        form_name, named = stated(solution)
        assert form_name == form == read_problem(solution.problem)[0]
        _, _, operations = read_problem(solution.problem)
        if named == ErrorKind.SKIP:
            assert len(solution.steps) == len(operations) - 1
            assert parts[0] and parts[3] and read_step(solution.steps[place]).operation == operations[place + 1]
        else:
            assert len(solution.steps) == len(operations)
            assert parts == KINDS[ErrorKind(named)]
        found[named] += 1
    # A kind that cannot happen at a step (nothing left to skip, no opposite of times) gives way to a slip.
    assert set(found) <= {kind, ErrorKind.SLIP}
    assert found[kind] > 100


@pytest.mark.parametrize("settings", [{}, {"max_value": 20, "min_steps": 5}, {"min_steps": 1, "max_steps": 2}])
def test_every_label_and_answer_follows_from_the_text(settings: dict[str, int]) -> None:
    solutions = list(generate(ProceduralConfig(n=600, seed=1, **settings)))
    for solution in solutions:
        check(solution)
        place, _ = first_wrong_step(solution)
        assert place == solution.first_error
        assert solution.reference == str(answer(solution.problem))
        right = read_step(solution.steps[-1]).after == answer(solution.problem)
        assert solution.final_answer_correct is right
        assert right or solution.first_error is not None, "right steps lead to the right answer"
    wrong = sum(solution.first_error is not None for solution in solutions)
    # 300 of 600 expected; five standard deviations are 5 * sqrt(600 / 4) = 61
    assert 239 < wrong < 361


def test_later_steps_carry_on_from_the_wrong_value() -> None:
    n_carried = 0
    for solution in generate(ProceduralConfig(n=300, seed=2, error_rate=1.0)):
        assert solution.first_error is not None
        equations = [read_step(text) for text in solution.steps]
        for before, after in zip(
            equations[solution.first_error :], equations[solution.first_error + 1 :], strict=False
        ):
            assert after.before == before.after and after.holds
            n_carried += 1
        assert set(solution.labels[solution.first_error + 1 :]) <= {StepLabel.OK}
    assert n_carried > 300


def test_independent_errors_happen_at_every_step_alike() -> None:
    solutions = list(generate(ProceduralConfig(n=500, seed=4, errors="independent", error_rate=0.3)))
    for solution in solutions:
        check(solution)
    labels = [label for solution in solutions for label in solution.labels]
    # Of about 3000 steps 30 %; five standard deviations are 0.042.
    assert labels.count(StepLabel.ERROR) / len(labels) == pytest.approx(0.3, abs=0.045)
    assert max(solution.labels.count(StepLabel.ERROR) for solution in solutions) > 2


@pytest.mark.parametrize(("rate", "all_wrong"), [(0.0, False), (1.0, True)])
def test_the_ends_of_the_error_rate(rate: float, all_wrong: bool) -> None:
    for errors in ("one", "independent"):
        for solution in generate(ProceduralConfig(n=50, errors=errors, error_rate=rate)):
            check(solution)
            assert (solution.first_error is not None) is all_wrong


def test_right_values_stay_in_range_and_lengths_as_asked() -> None:
    config = ProceduralConfig(n=300, seed=5, error_rate=0.0, max_value=30, min_steps=3, max_steps=6)
    lengths = set()
    for solution in generate(config):
        equations = [read_step(text) for text in solution.steps]
        assert all(0 <= equation.after <= 30 for equation in equations)
        lengths.add(len(equations))
    assert lengths == {3, 4, 5, 6}


def test_several_forms_and_kinds_come_about_evenly() -> None:
    solutions = list(generate(ProceduralConfig(n=900, seed=6, error_rate=1.0)))
    forms = Counter(read_problem(solution.problem)[0] for solution in solutions)
    # 300 of 900 expected each; five standard deviations are 71
    assert all(229 < forms[form] < 371 for form in Form)
    kinds = Counter(stated(solution)[1] for solution in solutions)
    assert set(kinds) == set(ErrorKind) and min(kinds.values()) > 90


def test_the_configuration_alone_decides_what_is_made() -> None:
    config = ProceduralConfig(n=50, seed=7)
    assert list(generate(config)) == list(generate(config))
    assert [s.problem for s in generate(config)] != [s.problem for s in generate(ProceduralConfig(n=50, seed=8))]
    longer = list(generate(ProceduralConfig(n=80, seed=7)))
    assert longer[:50] == list(generate(config)), "more of the same begins the same"


def test_provenance() -> None:
    (solution,) = generate(ProceduralConfig(n=1, forms=(Form.LIST,), error_rate=0.0))
    assert (solution.source, solution.label_method) == ("procedural", LabelMethod.PROCEDURAL)
    assert stated(solution) == ("list", "right")


def test_problems_have_their_answers() -> None:
    problems = list(generate_problems(ProceduralProblemsConfig(n=200, seed=9, max_value=20, min_steps=7)))
    assert {read_problem(problem.problem)[0] for problem in problems} == set(Form)
    for problem in problems:
        assert problem.answer == str(answer(problem.problem))
        assert 7 <= len(read_problem(problem.problem)[2]) <= 8


def test_problem_and_its_solutions_share_an_id() -> None:
    by_text: dict[str, set[str]] = {}
    for solution in generate(ProceduralConfig(n=300, min_steps=1, max_steps=1, max_value=10, forms=(Form.PROGRAM,))):
        by_text.setdefault(solution.problem, set()).add(solution.problem_id)
    assert len(by_text) < 300, "some problems must repeat for this to say anything"
    assert all(len(ids) == 1 for ids in by_text.values())
    assert len({*map(frozenset, by_text.values())}) == len(by_text)


@pytest.mark.parametrize("settings", [{"min_steps": 5, "max_steps": 4}, {"error_rate": 1.5}, {"kinds": ()}, {"n": 0}])
def test_what_cannot_be_made_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ProceduralConfig.model_validate(settings)
