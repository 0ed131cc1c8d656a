"""BIG-Bench-Mistake: the task is read from the row, whatever the file is called. Rows of our own in its shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from judgekit.errors import ConfigError
from judgekit.io import read_records
from judgekit.types import LabelledSolution, LabelMethod
from judgekit_datasets.build import build
from judgekit_datasets.importers.bigbench_mistake import INSTRUCTIONS, BigBenchMistakeConfig, convert, find_task
from judgekit_datasets.source import RowRejected

INPUTS = {
    "dyck_languages": ("( { [ ]", "} )"),
    "word_sorting": ("pear Apple fig", "Apple fig pear"),
    "multistep_arithmetic": ("((3 - -2 * 4) + (1 - 7)) =", "5"),
    "logical_deduction": (
        "Three cups stand in a fixed order.\n- Red is left of blue.\nOptions:\n(A) x.\n(B) y.",
        "(A)",
    ),
    "tracking_shuffled_objects": (
        "Ada and Bo swap hats. At the end, Ada has the\nOptions:\n(A) red.\n(B) blue.",
        "(B)",
    ),
}


def row(question: str, target: str, *, steps: tuple[str, ...] = ("a", "b"), mistake: int | None = 1) -> dict[str, Any]:
    return {"input": question, "steps": list(steps), "target": target, "answer": "x", "mistake_index": mistake}


@pytest.mark.parametrize("part", ["data", "train", "BBM-v2"])
@pytest.mark.parametrize("task", INPUTS)
def test_the_task_does_not_hang_on_the_file_s_name(task: str, part: str) -> None:
    (renamed,) = convert(row(*INPUTS[task]), BigBenchMistakeConfig(), part)
    (named,) = convert(row(*INPUTS[task]), BigBenchMistakeConfig(), f"{task} (1)")
    assert renamed == named
    assert (renamed.subset, renamed.label_method is None) == (task, task == "dyck_languages")
    assert renamed.problem == f"{INSTRUCTIONS[renamed.subset]}\n{INPUTS[task][0]}"  # type: ignore[index]


def test_a_row_that_does_not_tell_takes_the_name_or_the_option_and_nothing_else() -> None:
    unclear = row("How many books are left?", "3")
    assert find_task("How many books are left?", "3") is None
    assert convert(unclear, BigBenchMistakeConfig(), "multistep_arithmetic")[0].subset == "multistep_arithmetic"
    assert convert(unclear, BigBenchMistakeConfig(task="word_sorting"), "data")[0].subset == "word_sorting"
    with pytest.raises(ConfigError, match=r"nor the name 'data' shows the task: give task=NAME, one of word_sorting, "):
        convert(unclear, BigBenchMistakeConfig(), "data")


@pytest.mark.parametrize(("task", "part"), [("word_sorting", "data"), (None, "word_sorting")])
def test_a_row_of_another_task_is_no_row_of_this_one(task: Any, part: str) -> None:
    with pytest.raises(RowRejected, match=r"row of another task: .* is dyck_languages, not word_sorting"):
        convert(row(*INPUTS["dyck_languages"]), BigBenchMistakeConfig(task=task), part)


def test_an_empty_step_behind_the_first_error_stays_in_its_place(tmp_path: Path) -> None:
    rows = [
        row(*INPUTS["dyck_languages"], steps=("a", "b", "", "c"), mistake=1),
        row(*INPUTS["dyck_languages"], steps=("a", "", "c"), mistake=1),
        row(*INPUTS["dyck_languages"], steps=("a", " ", "c"), mistake=2),
        row(*INPUTS["dyck_languages"], steps=("a", "b", ""), mistake=None),
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(item) + "\n" for item in rows))
    report = build("bigbench-mistake", input=tmp_path / "rows.jsonl", output=tmp_path / "built")
    assert (report.n_records, report.n_blank_steps, report.rejected) == (1, 1, {"empty step": 3})
    (kept,) = read_records(tmp_path / "built", LabelledSolution)
    assert (kept.steps, kept.first_error) == (("a", "b", "", "c"), 1)


def test_the_real_files_are_recognised_under_any_name(real_data: Path, tmp_path: Path) -> None:
    files = sorted((real_data / "bigbench_mistake").glob("*.jsonl"))
    for number, file in enumerate(files):
        (tmp_path / f"{number}.jsonl").symlink_to(file)
        report = build("bigbench-mistake", input=tmp_path / f"{number}.jsonl", output=tmp_path / file.stem)
        built = list(read_records(tmp_path / file.stem, LabelledSolution))
        assert (report.n_records, {s.subset for s in built}) == (300, {file.stem})
        assert {s.label_method for s in built} == {LabelMethod.HUMAN}
