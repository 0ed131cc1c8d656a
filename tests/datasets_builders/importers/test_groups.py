"""Groups of responses: exact spans, outcomes, and one id for one group."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgekit.errors import DataError
from judgekit.io import read_records
from judgekit.text.segmentation import SegmentationConfig
from judgekit.types import Rollout
from judgekit_datasets.build import build
from judgekit_datasets.importers.groups import GroupsConfig, convert


def test_spans_are_those_of_the_joined_response() -> None:
    row = {"id": 7, "question": "Q", "steps": [["ab", "cde", "f"], []], "labels": [True, False]}
    full, empty = convert(row, GroupsConfig(generator="a-model"), "file")
    assert full.response == "ab\n\ncde\n\nf"
    assert (full.step_start, full.step_end) == ((0, 4, 9), (2, 7, 10))
    assert (full.outcome, empty.outcome) == (1.0, 0.0)
    assert (empty.response, empty.steps) == ("", ())
    assert (full.group_id, full.sample, empty.sample) == ("7", 0, 1)
    assert (full.prompt, full.source, full.generator) == ("Q", "file", "a-model")


def test_responses_are_split_anew_on_request() -> None:
    row = {"id": 7, "question": "Q", "steps": [["a\nb", "c"], []], "labels": [True, False]}
    full, empty = convert(row, GroupsConfig(segmentation=SegmentationConfig(mode="lines")), "file")
    assert (full.response, full.steps) == ("a\nb\n\nc", ("a", "b", "c"))
    assert (full.step_start, full.step_end, empty.steps) == ((0, 2, 5), (1, 3, 6), ())


def test_a_second_group_under_one_id_is_rejected_whole(tmp_path: Path) -> None:
    two = {"id": 7, "question": "Q", "steps": [["a"], ["b"]], "labels": [True, False]}
    three = {"id": 7, "question": "Q", "steps": [["c"], ["d"], ["e"]], "labels": [True, False, True]}
    (tmp_path / "groups.jsonl").write_text(f"{json.dumps(two)}\n{json.dumps(three)}\n")
    report = build("groups", input=tmp_path / "groups.jsonl", output=tmp_path / "built")
    assert (report.rows_accepted, report.rejected, report.duplicates) == (1, {"id of another record": 1}, 0)
    assert [r.steps for r in read_records(tmp_path / "built", Rollout)] == [("a",), ("b",)]


def test_a_file_whose_groups_have_one_response_is_refused(tmp_path: Path) -> None:
    rows = [{"id": i, "question": "Q", "steps": [["a"]], "labels": [True]} for i in range(3)]
    (tmp_path / "groups.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"groups\.jsonl: no row was accepted \(group of fewer than two responses: 3\)"):
        build("groups", input=tmp_path / "groups.jsonl", output=tmp_path / "built")
    assert len((tmp_path / "built" / "rejected.jsonl").read_text().splitlines()) == 3
