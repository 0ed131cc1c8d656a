"""What no store can hold, and what is of another type than it must be, is refused at the type: field and value said."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from judgekit.errors import DataError, describe_validation_error, shorten
from judgekit.io import parse_record
from judgekit.types import Judgement, LabelledSolution, Problem, Record, Rollout, Solution

SOLUTION: dict[str, Any] = {"problem": "2+3?", "steps": ["5"]}
LABELLED = SOLUTION | {"labels": ["ok"], "source": "mine", "label_method": None}
PROBLEM = {"problem_id": "p", "problem": "2+3?", "answer": "5", "source": "mine"}
ROLLOUT = {
    "group_id": "g", "sample": 0, "problem": "2+3?", "prompt": "2+3?", "response": "5", "steps": ["5"],
    "step_start": [0], "step_end": [1], "outcome": 1.0, "source": "mine",
}  # fmt: skip
TOKENS = {"behaviour_logprobs": [-0.5], "behaviour_token_ids": [7]}


def nested(depth: int) -> Any:
    value: Any = 1
    for number in range(depth):
        value = [value] if number % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("record_type", "row", "said"),
    [
        (LabelledSolution, LABELLED | {"n_success": [-1]}, "field 'n_success.0', value -1"),
        (
            LabelledSolution,
            LABELLED | {"n_success": [3], "n_rollouts": [2]},
            "n_success 3 is above n_rollouts 2 at step 0",
        ),
        (LabelledSolution, LABELLED | {"n_rollouts": [2**63]}, "field 'n_rollouts.0', value 9223372036854775808"),
        (LabelledSolution, LABELLED | {"n_rollouts": [10**5000]}, "field 'n_rollouts.0', value a number of 16610 bits"),
        (LabelledSolution, LABELLED | {"n_rollouts": [True]}, "field 'n_rollouts.0', value True"),
        (LabelledSolution, LABELLED | {"final_answer_correct": "yes"}, "field 'final_answer_correct', value 'yes'"),
        (LabelledSolution, LABELLED | {"labels": 5}, "field 'labels', value 5"),
        (LabelledSolution, LABELLED | {"labels": [[1]]}, "field 'labels.0', value [1]"),
        (LabelledSolution, LABELLED | {"label_method": ["human"]}, "field 'label_method', value ['human']"),
        (Solution, SOLUTION | {"steps": 5}, "field 'steps', value 5"),
        (Solution, SOLUTION | {"steps": True}, "field 'steps', value True"),
        (
            Solution,
            SOLUTION | {"steps": [datetime.date(2026, 1, 1)]},
            "field 'steps.0', value datetime.date(2026, 1, 1)",
        ),
        (Solution, SOLUTION | {"problem": b"2+3?"}, "no id can be computed"),
        (Solution, SOLUTION | {"problem": nested(988)}, "field 'problem', value [{'a': [{'a': [...]}]}]"),
        (Solution, SOLUTION | {"steps": nested(989)}, "field 'steps', value {'a': [{'a': [{...}]}]}"),
        (Problem, PROBLEM | {"answer": "\ud800"}, "field 'answer', value '\\ud800'"),
        (Problem, PROBLEM | {"problem_id": "a\udfff"}, "field 'problem_id', value 'a\\udfff'"),
        (Problem, PROBLEM | {"source": "\ud800"}, "field 'source', value '\\ud800'"),
        (Rollout, ROLLOUT | {"answer": "\ud800"}, "answer '\\ud800' contains half a character"),
        (Rollout, ROLLOUT | {"response": "5\ud800"}, "response '5\\ud800' contains half a character"),
        (Rollout, ROLLOUT | {"sample": -1}, "field 'sample', value -1"),
        (Rollout, ROLLOUT | {"step_start": [-1]}, "field 'step_start.0', value -1"),
        (Rollout, ROLLOUT | {"outcome": float("nan")}, "field 'outcome', value nan"),
        (Rollout, ROLLOUT | {"outcome": True}, "field 'outcome', value True"),
        (Rollout, ROLLOUT | TOKENS | {"behaviour_logprobs": [0.5]}, "field 'behaviour_logprobs.0', value 0.5"),
        (
            Rollout,
            ROLLOUT | TOKENS | {"behaviour_logprobs": [-float("inf")]},
            "field 'behaviour_logprobs.0', value -inf",
        ),
        (Rollout, ROLLOUT | TOKENS | {"behaviour_token_ids": [-1]}, "field 'behaviour_token_ids.0', value -1"),
        (Rollout, ROLLOUT | TOKENS | {"behaviour_token_ids": [2**63]}, "field 'behaviour_token_ids.0', value 9223"),
    ],
)
def test_a_value_that_cannot_be_kept_is_refused_in_one_line(record_type: type[Record], row: Any, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        record_type.model_validate(row)
    assert said in describe_validation_error(refused.value)
    with pytest.raises(DataError) as shown:
        parse_record(row, record_type, where="rows.jsonl, row 7")
    assert str(shown.value).startswith("rows.jsonl, row 7: ") and said in str(shown.value)
    assert "\n" not in str(shown.value) and len(str(shown.value)) < 400


@pytest.mark.parametrize(
    ("record_type", "row"), [(Solution, SOLUTION), (LabelledSolution, LABELLED), (Problem, PROBLEM), (Rollout, ROLLOUT)]
)
def test_the_same_rows_without_the_fault_are_kept(record_type: type[Record], row: Any) -> None:
    record_type.model_validate(row)
    assert Rollout.model_validate(ROLLOUT | TOKENS | {"outcome": 1, "behaviour_logprobs": [1e-7]}).outcome == 1.0
    limits = {"n_success": [0], "n_rollouts": [2**63 - 1]}
    assert LabelledSolution.model_validate(LABELLED | limits).n_rollouts == (2**63 - 1,)


def test_ids_are_those_of_before() -> None:
    assert Solution.model_validate(SOLUTION).id == "49fa7dd6bd6fac3a3e52"
    assert LabelledSolution.model_validate(LABELLED).id == "b71f3c94517f9e8fc1af"
    assert Rollout.model_validate(ROLLOUT).id == "8d11063704e43297daf8"


def test_a_judge_s_text_with_half_a_character_is_kept_readable() -> None:
    judgement = Judgement(solution_id="a", judge_id="b", no_verdict="unparsable", raw="x\ud800")
    assert Judgement.model_validate_json(judgement.model_dump_json()).raw == "x\ufffd"
    with pytest.raises(ValidationError):
        Judgement(solution_id="a", judge_id="b", no_verdict="unparsable", seconds=float("inf"))


def test_values_are_shown_within_bounds() -> None:
    for value in (
        nested(100_000),
        "x" * 10**6,
        [list(range(1000))] * 1000,
        {i: "y" * 999 for i in range(99)},
        10**5000,
    ):
        assert len(shorten(value)) <= 120
