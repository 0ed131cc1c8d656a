"""Outcomes as weak labels: what is known, what is not, and who refuses to take the one for the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from judgekit.cli import main
from judgekit.errors import DataError
from judgekit.io import find_record_type, read_records
from judgekit.judging.run import read_solutions
from judgekit.types import LabelledSolution, LabelMethod, Rollout, Solution, WeakLabel, WeaklyLabelledSolution
from judgekit_datasets.build import build
from judgekit_datasets.by_hand.pool import read_pool
from judgekit_datasets.labelling.config import MonteCarloConfig
from judgekit_datasets.labelling.monte_carlo import read_candidates
from judgekit_datasets.labelling.relabel import RelabelConfig, convert
from judgekit_datasets.source import RowRejected
from judgekit_datasets.split import split

GROUPS = [
    {
        "id": i,
        "question": f"What is {i}+1?",
        "steps": [["ab", f"cde {i}"], [f"f {i}"], []],
        "labels": [True, False, False],
    }
    for i in range(8)
]


@pytest.fixture
def weak_data(tmp_path: Path) -> Path:
    (tmp_path / "groups.jsonl").write_text("".join(json.dumps(row) + "\n" for row in GROUPS))
    report = build("relabel", input=tmp_path / "groups.jsonl", output=tmp_path / "weak")
    assert (report.n_records, report.known) == (16, {"unlabelled": 8, "some_error": 8})
    return tmp_path / "weak"


def rollout(**fields: Any) -> dict[str, Any]:
    row = {"group_id": "g", "sample": 0, "problem": "P", "prompt": "P", "response": "a", "steps": ["a"]}
    return row | {"step_start": [0], "step_end": [1], "outcome": 0.0, "source": "own", "answer": "7"} | fields


@pytest.mark.parametrize(
    ("fields", "right", "known"),
    [
        ({"outcome": 0.0}, "no_error", WeakLabel.SOME_ERROR),
        ({"outcome": 0.0, "truncated": False}, "unlabelled", WeakLabel.SOME_ERROR),
        ({"outcome": 0.0, "truncated": True}, "no_error", WeakLabel.UNLABELLED),
        ({"outcome": 1.0}, "unlabelled", WeakLabel.UNLABELLED),
        ({"outcome": 1.0, "truncated": True}, "no_error", WeakLabel.NO_ERROR),
    ],
)
def test_an_outcome_says_no_more_than_it_knows(fields: dict[str, Any], right: Any, known: WeakLabel) -> None:
    (row,) = convert(rollout(**fields), RelabelConfig(right=right), "file")
    assert (row.known, row.final_answer_correct) == (known, fields["outcome"] == 1.0)
    assert (row.reference, row.source, row.source_id) == ("7", "own", Rollout.model_validate(rollout(**fields)).id)


def test_counts_of_rollouts_are_kept_and_their_hard_labels_dropped() -> None:
    solution = LabelledSolution(
        problem="P",
        steps=("a", "b"),
        labels=("ok", "error"),
        final_answer_correct=False,
        source="own",
        label_method=LabelMethod.MONTE_CARLO,
        n_success=(5, 0),
        n_rollouts=(8, 1),
    )
    (row,) = convert(solution.model_dump(mode="json"), RelabelConfig(), "file")
    assert (row.known, row.n_success, row.n_rollouts) == (WeakLabel.SOME_ERROR, (5, 0), (8, 1))
    votes = solution.model_copy(update={"label_method": LabelMethod.LLM, "id": ""}).model_dump(mode="json")
    assert convert(votes, RelabelConfig(), "file")[0].n_rollouts is None  # votes of a judge are no rollouts
    with pytest.raises(RowRejected, match="neither outcome nor counts"):
        convert(votes | {"final_answer_correct": None}, RelabelConfig(), "file")
    with pytest.raises(RowRejected, match=r"0\.5: it does not say whether"):
        convert(rollout(outcome=0.5), RelabelConfig(), "file")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_success": (1, 0)}, "n_success and n_rollouts must be given together"),
        ({"n_success": (1, 2), "n_rollouts": (1, 1)}, "n_success 2 is above n_rollouts 1 at step 1"),
        ({"n_success": (1,), "n_rollouts": (1,)}, "1 values in n_success for 2 steps"),
        ({"steps": (" ",)}, "at least one non-blank step"),
    ],
)
def test_a_weak_row_is_consistent(wrong: dict[str, Any], message: str) -> None:
    good = {"problem": "P", "steps": ("a", "b"), "known": "some_error", "source": "own"}
    assert (
        WeaklyLabelledSolution.model_validate(good).id
        != WeaklyLabelledSolution.model_validate(good | {"known": "no_error"}).id
    )
    with pytest.raises(ValueError, match=message):
        WeaklyLabelledSolution.model_validate(good | wrong)


def test_weak_rows_are_read_as_solutions_and_split_by_problem(weak_data: Path, tmp_path: Path) -> None:
    assert find_record_type(weak_data) is WeaklyLabelledSolution
    counts = split(weak_data, {tmp_path / "a": 0.5, tmp_path / "b": 0.5})
    assert sum(counts.values()) == 16
    problems = [{row.problem for row in read_records(tmp_path / side, WeaklyLabelledSolution)} for side in "ab"]
    assert problems[0].isdisjoint(problems[1])
    assert len(read_solutions(weak_data)) == 16
    record = read_pool(weak_data, seed=0).items[0].record(None, source="hand")
    assert (
        record.label_method is LabelMethod.HUMAN
        and record.source == "groups"
        and record.final_answer_correct is not None
    )
    config = MonteCarloConfig.model_validate(
        {"data": weak_data, "generation": {"type": "transformers", "model": "none"}}
    )
    assert [item.source for item in read_candidates(config)] == ["groups"] * 16
    (tmp_path / "rows.jsonl").write_text(
        "".join(row.model_dump_json() + "\n" for row in read_records(weak_data, WeaklyLabelledSolution))
    )
    assert find_record_type(tmp_path / "rows.jsonl") is WeaklyLabelledSolution


def test_nobody_takes_a_weak_row_for_one_without_an_error(
    weak_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row.model_dump_json() for row in read_records(weak_data, WeaklyLabelledSolution)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    for path in (weak_data, tmp_path / "rows.jsonl"):
        with pytest.raises(DataError, match=r"do not say where the first error is\. Use them as `weak`"):
            list(read_records(path, LabelledSolution))
    symbolic = ["--judge", "builtin:symbolic"]
    for command in (
        ["eval", *symbolic, "--benchmark", "processbench", str(weak_data)],
        ["calibrate", *symbolic, "--data", str(weak_data)],
        ["prior", "--data", str(weak_data)],
    ):
        assert main([*command, "--output", str(tmp_path / command[0])]) == 2
        assert "label them: `judgekit label`" in capsys.readouterr().err
    assert not hasattr(WeaklyLabelledSolution, "first_error") and not hasattr(Solution, "first_error")
