"""Every story of every family: texts, numbers and answers, checked by reading the problem alone."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from fractions import Fraction

import pytest

from judgekit_datasets.procedural.families.evaluation import read_equation
from judgekit_datasets.procedural.families.task import Draw, Level, Story, Task, fits, format_number, work_out
from judgekit_datasets.procedural.word_problems import Family, stories, write_problem

STORIES = [
    pytest.param(story, level, id=f"{family}-{level}-{story.__name__}")
    for family in Family
    for level in Level
    for story in stories(family, level)
]
N_STEPS = {Level.EASY: range(2, 4), Level.MEDIUM: range(3, 6), Level.HARD: range(5, 8)}


def tasks(story: Story, level: Level, n: int) -> list[Task]:
    rng = random.Random(1)
    return [story(Draw(rng, level)) for _ in range(n)]


@pytest.mark.parametrize(("story", "level"), STORIES)
def test_a_story_is_solved_by_its_steps(story: Story, level: Level) -> None:
    for task in tasks(story, level, 30):
        lines = work_out(task, dict(task.given))
        assert lines[-1].result == task.answer
        assert len(lines) in N_STEPS[level]
        assert all(fits(line.result, task) for line in lines)
        assert all(fits(number, task) for number in task.given.values())


@pytest.mark.parametrize(("story", "level"), STORIES)
def test_the_text_states_every_quantity_and_no_more(story: Story, level: Level) -> None:
    problems = set()
    for task in tasks(story, level, 30):
        text = write_problem(task)
        problems.add(task.problem)
        assert not re.search(r"[{}]", text)
        stated = re.findall(r"(?<![\d/])-?\d+/\d+|-?\d+", text)
        for number in task.given.values():
            assert format_number(number, task.style) in stated or str(number) in re.findall(r"\d+", text)
    assert len(problems) >= 3, "several phrasings"


@pytest.mark.parametrize(("story", "level"), STORIES)
def test_each_step_has_several_phrasings(story: Story, level: Level) -> None:
    texts: dict[str, set[str]] = {}
    for task in tasks(story, level, 30):
        for step in task.steps:
            texts.setdefault(step.name, set()).add(step.text)
            assert step.text.count("{eq}") == 1
    assert all(len(found) >= 2 for found in texts.values())


# Solvers that read the problem and know nothing of the steps.


def solve_equation(text: str, answer: Fraction) -> bool:
    """Put the answer in place of x and work both sides out."""
    doubled = "twice its value" in text or "State 2x" in text
    found = re.search(r": ([^=?]*=[^.]*)\. ?", text)
    assert found
    x = answer / 2 if doubled else answer
    value = f"({x.numerator} / {x.denominator})"
    return read_equation(re.sub(r"(?<=\d)x", f" * {value}", found[1]).replace("x", value)).holds


def solve_nth_term(text: str, answer: Fraction) -> bool:
    first, second, n = map(int, re.findall(r"\d+", text))
    term = first
    for _ in range(n - 1):
        term += second - first
    return term == answer


def solve_sum(text: str, answer: Fraction) -> bool:
    first, second, n = map(int, re.findall(r"\d+", text))
    return sum(first + (second - first) * i for i in range(n)) == answer


def solve_rounds(text: str, answer: Fraction) -> bool:
    points, factor, more, n = map(int, re.findall(r"\d+", text))
    for _ in range(n):
        points = points * factor + more
    return points == answer


BASE = {
    "seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800,
    "inches": 1, "feet": 12, "yards": 36, "millimetres": 1, "centimetres": 10, "metres": 1000, "kilometres": 1000000,
    "grams": 1, "kilograms": 1000, "tonnes": 1000000, "pints": 1, "quarts": 2, "gallons": 8,
    "half-months": 1, "months": 2, "years": 24,
}  # fmt: skip


def solve_units(text: str, answer: Fraction) -> bool:
    wanted = re.match(r"How many (\S+) are", text)
    assert wanted
    total = sum(int(n) * BASE[unit] for n, unit in re.findall(r"(\d+) ([a-z-]+)", text))
    return total == answer * BASE[wanted[1]]


def solve_meeting(text: str, answer: Fraction) -> bool:
    way, v, w = map(int, re.findall(r"\d+", text))
    hours = 0
    while hours * v + hours * w < way:
        hours += 1
    return hours * v == answer and hours * (v + w) == way


def solve_two_machines(text: str, answer: Fraction) -> bool:
    n, p, k, q = map(int, re.findall(r"\d+", text))
    hours = done = 0
    while done < n:
        done += p + (q if hours >= k else 0)
        hours += 1
    return hours == answer and done == n


def solve_two_fractions(text: str, answer: Fraction) -> bool:
    a, b = (Fraction(part) for part in re.findall(r"\d+/\d+", text))
    area = Fraction(re.findall(r"(?<![\d/])\d+(?![\d/])", text)[0])
    return area - area * a - area * b == answer


def solve_changes(text: str, answer: Fraction) -> bool:
    price, up, down = map(Fraction, re.findall(r"\d+", text))
    return price * (1 + up / 100) * (1 - down / 100) == answer


def solve_before_discount(text: str, answer: Fraction) -> bool:
    percent, paid = map(Fraction, re.findall(r"\d+", text))
    whole = paid + answer
    return whole * (100 - percent) / 100 == paid


SOLVERS: list[tuple[Family, str, str, Callable[[str, Fraction], bool]]] = [
    (Family.LINEAR, "one_sided", "Solve", solve_equation),
    (Family.LINEAR, "two_sided", "Solve", solve_equation),
    (Family.LINEAR, "negative_solution", "Solve", solve_equation),
    (Family.LINEAR, "brackets", "Solve", solve_equation),
    (Family.SHARES, "wall", "", solve_two_fractions),
    (Family.SHARES, "two_changes", "", solve_changes),
    (Family.SHARES, "before_discount", "After", solve_before_discount),
    (Family.UNITS, "down_the_chain", "How many", solve_units),
    (Family.UNITS, "whole_chain", "How many", solve_units),
    (Family.RATES, "meeting", "Two towns", solve_meeting),
    (Family.RATES, "two_machines", "A factory", solve_two_machines),
    (Family.SEQUENCES, "nth_term", "An arithmetic", solve_nth_term),
    (Family.SEQUENCES, "sum_of_terms", "An arithmetic", solve_sum),
    (Family.SEQUENCES, "recurrence", "Start with", solve_rounds),
]


@pytest.mark.parametrize(("family", "name", "start", "solver"), SOLVERS)
def test_the_answer_solves_the_problem_as_it_is_written(
    family: Family, name: str, start: str, solver: Callable[[str, Fraction], bool]
) -> None:
    n_solved = 0
    for level in Level:
        for story in (story for story in stories(family, level) if story.__name__ == name):
            for task in tasks(story, level, 60):
                text = write_problem(task)
                if text.startswith(start):
                    n_solved += 1
                    assert solver(text, Fraction(task.answer)), f"{text!r}: {task.answer}"
                    assert not solver(text, Fraction(task.answer) + 1)
    assert n_solved > 10
