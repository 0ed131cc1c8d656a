"""Lists of problems in judge directories: written in one form, read in every form there was."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from judgekit.errors import DataError
from judgekit.judges.problem_lists import (
    ProblemList,
    join_lists,
    read_problems,
    refuse_trained_problems,
    write_problems,
)
from judgekit.text.identity import exact_problem_id
from judgekit.types import Solution


def solution(problem: str, problem_id: str = "") -> Solution:
    return Solution(problem=problem, problem_id=problem_id, steps=("s",))


def test_a_list_comes_back_as_it_was_written(tmp_path: Path) -> None:
    odd = solution("Find y.", 'p "7"\twith\nbreaks')
    problems = ProblemList.of([solution("Find x."), solution("find  $x$"), odd])
    joined = join_lists([problems, ProblemList(old=frozenset({"p3"}))])
    write_problems(tmp_path / "list", joined)
    assert read_problems(tmp_path / "list") == joined and (len(problems), len(joined)) == (2, 3)
    assert read_problems(tmp_path / "none") == ProblemList() == join_lists([])


def test_problems_are_found_under_every_name_and_with_all_their_solutions(tmp_path: Path) -> None:
    problems = ProblemList.of([solution("Find x."), solution("Find y.", "p7")])
    asked = [
        solution("find  $x$"),
        solution("FIND Y", "p9"),
        solution("Another wording of y", "p9"),
        solution("Find z."),
    ]
    assert problems.seen(asked) == [True, True, True, False]
    assert problems.seen([solution("Unheard of", "p7")]) == [True]
    assert ProblemList().seen(asked) == [False] * 4


def test_an_old_list_finds_exact_texts_and_chosen_ids_and_says_what_it_cannot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "list").write_text(f"{exact_problem_id('Find x.')}\np7\n")
    old = read_problems(tmp_path / "list")
    assert old.seen([solution("Find x."), solution("y", "p7")]) == [True, True]
    assert old.seen([solution("Find  x.")]) == [False]
    with pytest.raises(DataError, match="1 of 2 solutions belong to problems the judge tiny was trained on"):
        refuse_trained_problems(old, [solution("Find x."), solution("z")], judge="tiny")
    with caplog.at_level(logging.WARNING):
        refuse_trained_problems(old, [solution("Find  x.")], judge="tiny")
    assert "only finds exact repeats" in caplog.text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# judgekit problems, version 3: ?\n", "an unknown version"),
        ("{header}abc\t{{\n", r"row 2: .* is not a line of a list of problems"),
    ],
)
def test_what_is_no_list_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    write_problems(tmp_path / "list", ProblemList())
    header = (tmp_path / "list").read_text()
    (tmp_path / "list").write_text(text.format(header=header))
    with pytest.raises(DataError, match=complaint):
        read_problems(tmp_path / "list")
