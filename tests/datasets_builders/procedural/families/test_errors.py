"""Errors in solutions: each kind is what its name says, and what follows is worked out again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

import pytest

from judgekit_datasets.procedural.families.errors import WordErrorKind, WrongSolution, draw_wrong_solution
from judgekit_datasets.procedural.families.task import Draw, Level, Line, Step, Task, compute, fits, quantity, work_out
from judgekit_datasets.procedural.word_problems import Family, stories


def wrong_solutions(
    kinds: Sequence[WordErrorKind], n: int, seed: int = 0
) -> Iterator[tuple[Task, list[Line], WrongSolution]]:
    rng = random.Random(seed)
    for _ in range(n):
        level = rng.choice(list(Level))
        task = rng.choice(stories(rng.choice(list(Family)), level))(Draw(rng, level))
        right = work_out(task, dict(task.given))
        yield task, right, draw_wrong_solution(rng, task, right, kinds)


def changed(before: Line, after: Line) -> list[int]:
    return [i for i, (a, b) in enumerate(zip(before.operands, after.operands, strict=True)) if a != b]


@pytest.mark.parametrize("kind", WordErrorKind)
def test_each_kind_is_what_its_name_says(kind: WordErrorKind) -> None:
    n_of_kind = 0
    for task, right, wrong in wrong_solutions([kind], 150):
        n_of_kind += wrong.kind is kind
        assert wrong.kind in (kind, WordErrorKind.SLIP)
        before, after = right[wrong.first_error], wrong.lines[wrong.first_error]
        operands = changed(before, after)
        assert len(operands) == (wrong.kind not in (WordErrorKind.SLIP, WordErrorKind.OPERATION))
        assert (before.symbols != after.symbols) is (wrong.kind is WordErrorKind.OPERATION)
        assert (compute(after.operands, after.symbols) != after.result) is (wrong.kind is WordErrorKind.SLIP)
        for position in operands:
            name = task.steps[wrong.first_error].expression.operands[position]
            known = [*task.given.values(), *(line.result for line in right[: wrong.first_error])]
            assert {
                WordErrorKind.QUANTITY: after.operands[position] in known,
                WordErrorKind.MISREAD: name in task.given,
                WordErrorKind.CARRY: name in {step.name for step in task.steps},
                WordErrorKind.CONSTANT: name.isdigit(),
            }[wrong.kind]
    assert n_of_kind > 50


def test_steps_before_are_right_and_steps_after_carry_on() -> None:
    n_after = 0
    for task, right, wrong in wrong_solutions(tuple(WordErrorKind), 300, seed=1):
        assert len(wrong.lines) == len(right)
        assert wrong.lines[: wrong.first_error] == right[: wrong.first_error]
        assert wrong.lines[wrong.first_error].result != right[wrong.first_error].result
        values = dict(task.given)
        for index, (step, line) in enumerate(zip(task.steps, wrong.lines, strict=True)):
            if index > wrong.first_error:
                n_after += 1
                assert line.operands == tuple(quantity(name, values) for name in step.expression.operands)
                assert line.result == compute(line.operands, line.symbols)
            values[step.name] = line.result
    assert n_after > 200


def test_no_number_gives_a_wrong_solution_away() -> None:
    for task, right, wrong in wrong_solutions(tuple(WordErrorKind), 400, seed=2):
        for before, after in zip(right, wrong.lines, strict=True):
            assert fits(after.result, task)
            assert all(fits(number, task) for number in after.operands)
            assert (after.result.denominator == 1) is (before.result.denominator == 1)
            assert after.result != 1 or before.result == 1, "numbers of problems are at least 2"
            if not task.signed:
                assert Fraction(1, 10) <= Fraction(after.result) / before.result <= 10


def test_errors_happen_at_every_step_and_of_every_kind() -> None:
    wrongs = [wrong for _, _, wrong in wrong_solutions(tuple(WordErrorKind), 1000, seed=3) if len(wrong.lines) == 5]
    places = Counter(wrong.first_error for wrong in wrongs)
    assert len(wrongs) > 80
    assert min(places[place] for place in range(5)) > len(wrongs) / 12
    assert set(Counter(wrong.kind for wrong in wrongs)) == set(WordErrorKind)


def test_a_slip_is_left_where_no_kind_can_happen() -> None:
    task = Task("", {"a": 7}, (Step("b", "a * 2", ""),), 14)
    right = work_out(task, dict(task.given))
    wrong = draw_wrong_solution(random.Random(0), task, right, [WordErrorKind.CARRY])
    assert (wrong.kind, wrong.first_error) == (WordErrorKind.SLIP, 0)
    assert wrong.lines[0].operands == (7, 2) and wrong.lines[0].result != 14


def test_an_error_that_breaks_a_later_division_is_not_used() -> None:
    task = Task("", {"a": 14, "b": 7}, (Step("c", "a + b", ""), Step("d", "c / b", "")), 3)
    right = work_out(task, dict(task.given))
    rng = random.Random(0)
    wrongs = [draw_wrong_solution(rng, task, right, [WordErrorKind.SLIP]) for _ in range(50)]
    assert {wrong.lines[0].result % 7 for wrong in wrongs} == {0}
    assert {wrong.first_error for wrong in wrongs} == {0, 1}
