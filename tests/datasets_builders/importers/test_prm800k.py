"""PRM800K: trunk and branches, neutral ratings, steps written by annotators. Rows of our own, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from judgekit.types import LabelledSolution
from judgekit_datasets.importers.prm800k import PRM800KConfig, convert
from judgekit_datasets.source import RowRejected


def completion(text: str, rating: int | None, *, flagged: bool = False) -> dict[str, Any]:
    return {"text": text, "rating": rating, "flagged": flagged}


def step(*completions: dict[str, Any], chosen: int | None = 0, human: str | None = None) -> dict[str, Any]:
    written = None if human is None else {"text": human, "rating": None, "source": "human", "flagged": False}
    return {"completions": list(completions), "human_completion": written, "chosen_completion": chosen}


def row(*steps: dict[str, Any], finish_reason: str = "solution") -> dict[str, Any]:
    question = {"problem": "What is 2 + 2?", "ground_truth_answer": "4"}
    return {"question": question, "label": {"steps": list(steps), "finish_reason": finish_reason}}


def converted(*steps: dict[str, Any], finish_reason: str = "solution", **options: Any) -> list[LabelledSolution]:
    return convert(row(*steps, finish_reason=finish_reason), PRM800KConfig(**options), "phase1_train")


def shown(solutions: list[LabelledSolution]) -> list[list[tuple[str, str]]]:
    return [[(t, str(label)) for t, label in zip(s.steps, s.labels, strict=True)] for s in solutions]


def test_the_trunk_and_one_branch_for_every_wrong_alternative() -> None:
    built = converted(
        step(completion("a", 1), completion("a wrong", -1), completion("a too", 1)),
        step(completion("b wrong", -1), completion("b", 1), completion("b odd", -1), chosen=1),
    )
    assert shown(built) == [
        [("a", "ok"), ("b", "ok")],
        [("a wrong", "error")],
        [("a", "ok"), ("b wrong", "error")],
        [("a", "ok"), ("b odd", "error")],
    ]
    assert [s.final_answer_correct for s in built] == [True, None, None, None]
    assert {s.problem_id for s in built} == {built[0].problem_id}
    assert len({s.id for s in built}) == 4


def test_a_found_error_gives_the_wrong_branch_and_no_shorter_trunk() -> None:
    built = converted(
        step(completion("a", 1)),
        step(completion("b wrong", -1), completion("b", 1), chosen=None),
        finish_reason="found_error",
    )
    assert shown(built) == [[("a", "ok"), ("b wrong", "error")]]


def test_a_chosen_wrong_step_is_part_of_the_trunk_and_ends_the_branching() -> None:
    built = converted(step(completion("a wrong", -1)), step(completion("b", 1), completion("b wrong", -1)))
    assert shown(built) == [[("a wrong", "error"), ("b", "ok")]]


def test_a_repeated_wrong_alternative_gives_one_branch() -> None:
    built = converted(step(completion("a", 1), completion("x", -1), completion("x", -1)))
    assert shown(built) == [[("a", "ok")], [("x", "error")]]


def test_a_step_written_by_the_annotator_is_right() -> None:
    built = converted(step(completion("x", -1), chosen=None, human="a"), step(completion("b", 1)))
    assert shown(built) == [[("a", "ok"), ("b", "ok")], [("x", "error")]]


@pytest.mark.parametrize(("neutral", "label", "n_solutions"), [("correct", "neutral", 1), ("error", "error", 2)])
def test_neutral_ratings_are_an_option(neutral: str, label: str, n_solutions: int) -> None:
    chosen, *others = converted(
        step(completion("a", 1), completion("hm", 0)), step(completion("b", 0)), neutral=neutral
    )
    assert shown([chosen]) == [[("a", "ok"), ("b", label)]]
    assert chosen.first_error == (1 if neutral == "error" else None)
    assert 1 + len(others) == n_solutions


def test_unrated_and_flagged_alternatives_give_nothing() -> None:
    built = converted(step(completion("a", 1), completion("x", None), completion("y", -1, flagged=True)))
    assert shown(built) == [[("a", "ok")]]


def test_completions_may_be_null() -> None:
    built = converted({"completions": None, "human_completion": {"text": "a"}, "chosen_completion": None})
    assert shown(built) == [[("a", "ok")]]


@pytest.mark.parametrize(("part", "subset"), [("phase2_test", "phase2_test"), ("sample", None)])
def test_the_subset_is_the_phase_and_split_of_the_file(part: str, subset: str | None) -> None:
    (built,) = convert(row(step(completion("a", 1))), PRM800KConfig(), part)
    assert built.subset == subset


@pytest.mark.parametrize("finish_reason", ["give_up", "bad_problem"])
def test_unfinished_rows_are_rejected_by_their_reason(finish_reason: str) -> None:
    with pytest.raises(RowRejected, match=f"finish_reason {finish_reason}"):
        converted(step(completion("a", 1)), finish_reason=finish_reason)


@pytest.mark.parametrize(
    "last",
    [
        step(completion("c", None), chosen=None),
        step(completion("c", 1, flagged=True), chosen=None),
        step(chosen=None),
        {"completions": None, "human_completion": None, "chosen_completion": None},
    ],
)
def test_a_solution_whose_last_step_is_unrated_has_no_known_answer(last: dict[str, Any]) -> None:
    (built,) = converted(step(completion("a", 1)), step(completion("b", 1)), last)
    assert (built.steps, built.final_answer_correct) == (("a", "b"), None)
    (whole,) = converted(step(completion("a", 1)), step(completion("b", 1)))
    assert whole.final_answer_correct is True


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (step(completion("a", [1])), "unknown rating"),  # type: ignore[arg-type]
        (step(completion("a", {"x": 1})), "unknown rating"),  # type: ignore[arg-type]
        (step(completion("a", 1.0)), "unknown rating"),  # type: ignore[arg-type]
        (step(completion("a", True)), "unknown rating"),
        (step(completion("a", 1, flagged="no")), "field 'flagged' is not true or false"),  # type: ignore[arg-type]
        ({"completions": 5, "chosen_completion": 0}, "field 'completions' is not a list"),
        ({"completions": {"text": "a"}, "chosen_completion": 0}, "field 'completions' is not a list"),
        ({"completions": [5], "chosen_completion": 0}, "a completion is not an object"),
        ({"completions": [], "human_completion": "a"}, "field 'human_completion' is not an object"),
        ({"completions": [completion("a", 1)], "chosen_completion": [0]}, "chosen_completion outside"),
        ([], "a step is not an object"),
    ],
)
def test_every_value_is_checked_before_it_is_used(raw: Any, reason: str) -> None:
    with pytest.raises(RowRejected, match=reason):
        converted(raw)
