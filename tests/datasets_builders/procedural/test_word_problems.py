"""The procedural source of word problems: labels, checks, options."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from judgekit.errors import DataError
from judgekit.types import LabelMethod, StepLabel
from judgekit_datasets.build import build
from judgekit_datasets.leakage import LeakageConfig, measure_leakage
from judgekit_datasets.procedural.families.errors import WordErrorKind, WrongSolution
from judgekit_datasets.procedural.families.evaluation import read_equation
from judgekit_datasets.procedural.families.task import Level, Line, Step, Task, work_out
from judgekit_datasets.procedural.word_problems import (
    Family,
    Notation,
    WordProblemsConfig,
    WordSolutionsConfig,
    check_solution,
    generate,
    generate_problems,
    write_problem,
    write_steps,
)

TASK = Task(
    problem="{who} buys {n} pens at {p} dollars and pays with {note} dollars. What is left?",
    given={"n": 4, "p": 3, "note": 20},
    steps=(Step("cost", "n * p", "They cost {eq}."), Step("left", "note - cost", "Of {note}, {cost} are gone: {eq}.")),
    answer=8,
    words={"who": "Ada"},
)
NOTATION = Notation("*", "/", " ")
RIGHT = work_out(TASK, dict(TASK.given))
SLIP = WrongSolution(WordErrorKind.SLIP, 0, [Line((4, 3), ("*",), 15), Line((20, 15), ("-",), 5)])
SUM = WrongSolution(WordErrorKind.OPERATION, 0, [Line((4, 3), ("+",), 7), Line((20, 7), ("-",), 13)])


def test_texts_by_hand() -> None:
    assert write_problem(TASK) == "Ada buys 4 pens at 3 dollars and pays with 20 dollars. What is left?"
    assert write_steps(TASK, RIGHT, NOTATION) == ["They cost 4 * 3 = 12.", "Of 20, 12 are gone: 20 - 12 = 8."]
    assert write_steps(TASK, SLIP.lines, NOTATION) == ["They cost 4 * 3 = 15.", "Of 20, 15 are gone: 20 - 15 = 5."]
    dense = Notation("\N{MULTIPLICATION SIGN}", "\N{DIVISION SIGN}", "")
    assert write_steps(TASK, RIGHT, dense)[0] == "They cost 4\N{MULTIPLICATION SIGN}3=12."


@pytest.mark.parametrize("wrong", [None, SLIP, SUM])
def test_a_solution_that_is_as_labelled_passes(wrong: WrongSolution | None) -> None:
    check_solution(TASK, RIGHT, wrong, write_steps(TASK, wrong.lines if wrong else RIGHT, NOTATION))


@pytest.mark.parametrize(
    ("wrong", "steps"),
    [
        (None, ["They cost 4 * 3 = 13.", "Left: 20 - 12 = 8."]),
        (None, ["They cost 4 * 3 = 12.", "Left: 20 - 12 = 9."]),
        (None, ["They cost 4 + 8 = 12.", "Left: 20 - 12."]),
        (SLIP, ["They cost 4 * 3 = 12.", "Left: 20 - 15 = 5."]),
        (SLIP, ["They cost 5 * 3 = 15.", "Left: 20 - 15 = 5."]),
        (SLIP, ["They cost 4 * 3 = 15.", "Left: 20 - 12 = 5."]),
        (SLIP, ["They cost 4 * 3 = 15.", "Left: 20 - 12 = 8."]),
        (SUM, ["They cost 4 + 3 = 8.", "Left: 20 - 7 = 13."]),
        (SUM, ["They cost 4 * 3 = 12.", "Left: 20 - 7 = 13."]),
    ],
)
def test_a_solution_that_contradicts_its_labels_raises(wrong: WrongSolution | None, steps: list[str]) -> None:
    with pytest.raises(DataError):
        check_solution(TASK, RIGHT, wrong, steps)


def test_a_derivation_that_misses_the_answer_raises() -> None:
    task = Task(TASK.problem, TASK.given, TASK.steps, 9, TASK.words)
    with pytest.raises(DataError, match="lead to 8, but the answer is 9"):
        check_solution(task, RIGHT, None, write_steps(task, RIGHT, NOTATION))


def test_every_label_follows_from_the_texts() -> None:
    """Compare each wrong solution with the right one of the same draw, by what the texts state."""
    settings = {"n": 400, "seed": 3}
    rights = generate(WordSolutionsConfig(error_rate=0.0, **settings))
    wrongs = list(generate(WordSolutionsConfig(error_rate=1.0, n=1, seed=3)))
    assert wrongs[0].problem == next(iter(generate(WordSolutionsConfig(error_rate=0.0, n=1, seed=3)))).problem
    for right in rights:
        assert set(right.labels) == {StepLabel.OK} and right.final_answer_correct
        assert all(read_equation(step).holds for step in right.steps)
        assert right.reference in right.steps[-1]
    for solution in generate(WordSolutionsConfig(error_rate=1.0, **settings)):
        assert solution.labels.count(StepLabel.ERROR) == 1 and solution.first_error is not None
        false = [i for i, step in enumerate(solution.steps) if not read_equation(step).holds]
        slipped = solution.generator == "procedural-word-slip"
        assert false == ([solution.first_error] if slipped else [])
        assert (solution.reference == re.split("= ?", solution.steps[-1])[-1].split()[0].rstrip(".")) is (
            solution.final_answer_correct
        )


def test_right_and_wrong_solutions_come_about_as_asked() -> None:
    solutions = list(generate(WordSolutionsConfig(n=800, seed=4)))
    # 400 of 800 expected; five standard deviations are 5 * sqrt(800 / 4) = 71
    assert 329 < sum(solution.first_error is not None for solution in solutions) < 471
    subsets = Counter(solution.subset for solution in solutions)
    assert set(subsets) == {f"{family}-{level}" for family in Family for level in Level}
    # 800 / 15 = 53 expected of each; five standard deviations are 35
    assert min(subsets.values()) > 18 and max(subsets.values()) < 89


def test_words_and_lengths_do_not_tell_wrong_from_right() -> None:
    solutions = list(generate(WordSolutionsConfig(n=1000, seed=5)))
    # Of 1,000 solutions the standard error is 0.018.
    assert measure_leakage(solutions, LeakageConfig(n_folds=2)).auroc < 0.6
    n_steps = {False: 0.0, True: 0.0}
    for is_wrong in n_steps:
        chosen = [len(s.steps) for s in solutions if (s.first_error is not None) is is_wrong]
        n_steps[is_wrong] = sum(chosen) / len(chosen)
    assert abs(n_steps[True] - n_steps[False]) < 0.45, "five standard deviations"


def test_the_configuration_alone_decides_what_is_made() -> None:
    config = WordSolutionsConfig(n=40, seed=7)
    assert list(generate(config)) == list(generate(config))
    assert list(generate(WordSolutionsConfig(n=60, seed=7)))[:40] == list(generate(config))
    assert [s.problem for s in generate(config)] != [s.problem for s in generate(WordSolutionsConfig(n=40, seed=8))]
    random.seed(0)
    before = random.getstate()
    list(generate(config))
    assert random.getstate() == before


def test_options_restrict_what_is_drawn() -> None:
    config = WordSolutionsConfig(
        n=100, families=(Family.UNITS,), levels=(Level.EASY,), kinds=(WordErrorKind.CONSTANT,), n_phrasings=1
    )
    solutions = list(generate(config))
    assert {solution.subset for solution in solutions} == {"units-easy"}
    assert {solution.generator for solution in solutions} <= {
        f"procedural-word-{kind}" for kind in ("right", "constant", "slip")
    }
    assert len({re.sub(r"\d+", "0", solution.problem).split()[0] for solution in solutions}) == 2, "one a story"


def test_provenance() -> None:
    (solution,) = generate(WordSolutionsConfig(n=1, error_rate=0.0, families=(Family.RATES,), levels=(Level.HARD,)))
    assert (solution.source, solution.subset) == ("procedural-word", "rates-hard")
    assert (solution.generator, solution.label_method) == ("procedural-word-right", LabelMethod.PROCEDURAL)


def test_problems_are_those_of_the_solutions_story_by_story() -> None:
    problems = list(generate_problems(WordProblemsConfig(n=100, seed=9)))
    assert all(problem.answer and problem.source == "procedural-word" for problem in problems)
    by_answer = {solution.problem: solution.reference for solution in generate(WordSolutionsConfig(n=1, seed=9))}
    assert by_answer == {problems[0].problem: problems[0].answer}


def test_a_build_writes_them(tmp_path: Path) -> None:
    report = build("procedural-word", output=tmp_path / "built", options=WordSolutionsConfig(n=50))
    assert report.rows_read == 50 and report.n_records + report.duplicates == 50


@pytest.mark.parametrize(
    "settings", [{"families": ()}, {"levels": ("hardest",)}, {"error_rate": 2}, {"n_phrasings": 0}]
)
def test_what_cannot_be_made_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WordSolutionsConfig.model_validate(settings)
