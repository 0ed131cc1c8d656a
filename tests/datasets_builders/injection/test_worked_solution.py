"""What follows from a change, worked out by hand; and what is refused because it cannot be told."""

from __future__ import annotations

from fractions import Fraction

import pytest

from judgekit.text.arithmetic.calculations import parse_step, quantities
from judgekit_datasets.injection.worked_solution import Change, NotCarried, WorkedSolution

PROBLEM = "A pump fills 35 liters each minute, for 3 hours. Then 500 liters are used."
STEPS = (
    "In an hour it fills 35 * 60 = 2,100 liters.",
    "That is 2,100 * 3 = 6,300 liters.",
    "Of 6,300 liters 500 are used, so 6,300 - 500 = 5,800 liters are left.",
)


def worked(*steps: str, problem: str = PROBLEM) -> WorkedSolution:
    return WorkedSolution(tuple(map(parse_step, steps or STEPS)), quantities(problem))


def test_a_wrong_result_is_carried_on() -> None:
    steps, answer = worked().carry_on(Change(numbers={(0, 2): 2200}), start=0)
    assert steps == (
        "In an hour it fills 35 * 60 = 2,200 liters.",
        "That is 2,200 * 3 = 6,600 liters.",
        "Of 6,600 liters 500 are used, so 6,600 - 500 = 6,100 liters are left.",
    )
    assert answer == 6100


def test_a_wrong_operand_changes_its_own_result_and_no_earlier_step() -> None:
    steps, answer = worked().carry_on(Change(numbers={(1, 1): 4}), start=1)
    assert steps[:2] == (STEPS[0], "That is 2,100 * 4 = 8,400 liters.")
    assert answer == 7900


def test_a_misread_quantity_changes_wherever_it_stands() -> None:
    steps, answer = worked().carry_on(Change(quantities={500: 50}), start=2)
    assert steps[2] == "Of 6,300 liters 50 are used, so 6,300 - 50 = 6,250 liters are left."
    assert answer == 6250


def test_what_later_steps_take_a_result_for() -> None:
    steps, answer = worked().carry_on(Change(results={(0, 0): 350}), start=1)
    assert steps[:2] == (STEPS[0], "That is 350 * 3 = 1,050 liters.")
    assert answer == 550


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (("He has 7 + 8 = 15.", "He pays 15 * 2 = 30."), "15 is a quantity of the problem, too"),
        (("He has 7 + 9 = 16.", "She has 20 - 4 = 16.", "Both: 16 * 2 = 32."), "two results are 16"),
        (("He has 7 + 9 = 16.", "Half of 16 is 8."), "the step is not understood"),
        (("He has 7 + 9 = 16.", "So 16 * 2 = 2 * 16 = 32."), "a chain is not understood"),
        (("He has 8 + 9 = 17.", "The seventeen weigh 17 * 3 = 51."), "a word says the same"),
        (("He has 7 + 9 = 16.", "So 16 / 8 = 2 each."), "17 / 8 has decimals"),
    ],
)
def test_what_cannot_be_told_is_refused(steps: tuple[str, ...], why: str) -> None:
    solution = worked(*steps, problem="There are 15 of them.")
    with pytest.raises(NotCarried):
        solution.carry_on(Change(numbers={(0, 2): solution.results[0].value + 1}), start=0)


def test_a_value_must_look_like_the_others() -> None:
    solution = worked()
    assert solution.is_plausible(2200, 2100) and solution.is_plausible(1, 1)
    assert not any(solution.is_plausible(value, 2100) for value in (None, 0, -5, 1, Fraction(1, 2), 10**6))
    assert worked("It costs 3 * 0.5 = 1.5").is_plausible(Fraction(7, 2), 3)
