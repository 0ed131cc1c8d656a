"""Two different solutions under one id are refused wherever solutions are read, with both rows named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgekit.errors import DataError
from judgekit.io import read_records
from judgekit.solution_ids import SolutionIds
from judgekit.types import LabelledSolution, Solution

ROW = {"id": "a", "problem": "1+1?", "steps": ["2"], "labels": ["ok"], "source": "s", "label_method": None}


def read(path: Path, *rows: dict[str, object]) -> list[LabelledSolution]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(read_records(path, LabelledSolution))


@pytest.mark.parametrize("change", [{"steps": ["3"]}, {"problem": "1+2?"}, {"labels": ["error"]}])
def test_another_solution_under_an_id_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 3: the id 'a' belongs to another solution, that of .*row 1: give each"):
        read(tmp_path / "x.jsonl", ROW, ROW | {"id": "b"}, ROW | change)


def test_equal_solutions_may_be_repeated(tmp_path: Path) -> None:
    assert len(read(tmp_path / "x.jsonl", ROW, ROW, ROW | {"id": "b"}, ROW | {"source": "t"})) == 4


def test_an_id_that_was_computed_for_other_steps_is_noticed() -> None:
    computed = Solution(problem="1+1?", steps=("2",))
    edited = computed.model_copy(update={"steps": ("3",)})
    assert computed.has_computed_id and not edited.has_computed_id
    for pair in ((computed, edited), (edited, computed), (edited, edited.model_copy(update={"steps": ("4",)}))):
        ids = SolutionIds()
        ids.check(pair[0], place="row ", row=1)
        ids.check(pair[0], place="row ", row=2)
        with pytest.raises(DataError, match=r"^other row 1: the id .* that of row 1: "):
            ids.check(pair[1], place="other row ", row=1)
