"""GSM8K as problems: the answer after the mark, and ids that other sets share."""

from __future__ import annotations

from pathlib import Path

from judgekit.io import read_records
from judgekit.types import LabelledSolution, Problem
from judgekit_datasets.build import build


def test_answers_stand_after_the_mark(fixture_rows: Path, tmp_path: Path) -> None:
    build("gsm8k", input=fixture_rows / "gsm8k.jsonl", output=tmp_path / "built")
    assert [p.answer for p in read_records(tmp_path / "built", Problem)] == ["10", "1,234"]


def test_the_same_problem_has_the_same_id_in_another_set(fixture_rows: Path, tmp_path: Path) -> None:
    build("gsm8k", input=fixture_rows / "gsm8k.jsonl", output=tmp_path / "problems")
    build("processbench", input=fixture_rows / "processbench.jsonl", output=tmp_path / "solutions")
    problem = next(read_records(tmp_path / "problems", Problem))
    assert {s.problem_id for s in read_records(tmp_path / "solutions", LabelledSolution)} == {problem.problem_id}
