"""The importers on the files as their authors published them."""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

from judgekit.errors import DataError
from judgekit.io import read_records
from judgekit.rejections import REJECTED
from judgekit.types import LabelledSolution, Problem, Rollout
from judgekit_datasets.build import build


@pytest.mark.parametrize(
    ("source", "given", "n_rows", "n_records", "n_errors"),
    [
        ("processbench", "processbench/gsm8k.jsonl", 400, 400, 207),
        ("processbench", "processbench/olympiadbench.jsonl", 1000, 1000, 661),
        ("bigbench-mistake", "bigbench_mistake/multistep_arithmetic.jsonl", 300, 300, 238),
        ("bigbench-mistake", "bigbench_mistake", 900, 900, 792),
        ("mr-gsm8k", "mr_gsm8k", 40, 40, 40),
        ("math-shepherd", "math_shepherd", 7, 7, 7),
        ("prm800k", "prm800k", 6, 13, 9),
        ("prmbench", "prmbench", 798, 777, 697),
    ],
)
def test_counts(
    source: str, given: str, n_rows: int, n_records: int, n_errors: int, real_data: Path, tmp_path: Path
) -> None:
    report = build(source, input=real_data / given, output=tmp_path / "built")
    assert (report.rows_read, report.n_records, report.n_errors) == (n_rows, n_records, n_errors)
    assert report.rows_read == report.rows_accepted + report.rows_rejected
    assert sum(1 for _ in read_records(tmp_path / "built", LabelledSolution)) == n_records


def test_prmbench_rejects_steps_that_are_not_there(real_data: Path, tmp_path: Path) -> None:
    report = build("prmbench", input=real_data / "prmbench", output=tmp_path / "built")
    assert report.rejected == {"error_steps outside 1..n": 21}
    assert report.n_blank_steps == 1, "an empty step behind the first error decides nothing"
    entries = [json.loads(line) for line in (tmp_path / "built" / REJECTED).read_text("utf-8").splitlines()]
    for entry in entries:
        raw = entry["raw"]
        steps = range(1, len(raw["modified_process"]) + 1)
        is_outside = any(step not in steps for step in raw["error_steps"])
        assert is_outside == (entry["reason"] == "error_steps outside 1..n")
    subsets = Counter(s.subset for s in read_records(tmp_path / "built", LabelledSolution) if s.first_error is None)
    assert subsets == {"multi_solutions": 80}


def test_prm800k_trunks_and_branches(real_data: Path, tmp_path: Path) -> None:
    report = build("prm800k", input=real_data / "prm800k", output=tmp_path / "built")
    assert report.rejected == {"finish_reason give_up": 1}
    assert report.first_errors == {"none": 4, "1": 5, "5": 3, "6": 1}


def test_mr_gsm8k_types_and_references(real_data: Path, tmp_path: Path) -> None:
    build("mr-gsm8k", input=real_data / "mr_gsm8k", output=tmp_path / "built")
    built = list(read_records(tmp_path / "built", LabelledSolution))
    assert Counter(s.subset for s in built) == {"original": 19, "POT": 13, "reversed": 8}
    assert all(s.reference for s in built)


def test_groups_are_all_negative_in_83_of_200(real_data: Path, tmp_path: Path) -> None:
    report = build("groups", input=real_data / "groups", output=tmp_path / "built")
    assert (report.rows_accepted, report.n_records) == (200, 1600)
    rollouts = read_records(tmp_path / "built", Rollout)
    outcomes = [[r.outcome for r in group] for _, group in groupby(rollouts, key=lambda r: r.group_id)]
    assert [len(group) for group in outcomes] == [8] * 200
    assert sum(not any(group) for group in outcomes) == 83
    assert sum(all(group) for group in outcomes) == 36


def test_gsm8k_problems_overlap_with_processbench(real_data: Path, tmp_path: Path) -> None:
    assert build("gsm8k", input=real_data / "gsm8k/test.jsonl", output=tmp_path / "test").n_records == 1319
    assert build("gsm8k", input=real_data / "gsm8k/train.jsonl", output=tmp_path / "train").n_records == 7473
    build("processbench", input=real_data / "processbench/gsm8k.jsonl", output=tmp_path / "bench")
    bench = {s.problem_id for s in read_records(tmp_path / "bench", LabelledSolution)}
    in_test = bench & {p.problem_id for p in read_records(tmp_path / "test", Problem)}
    in_train = bench & {p.problem_id for p in read_records(tmp_path / "train", Problem)}
    assert (len(bench), len(in_test), len(in_train)) == (375, 375, 0)


def test_other_people_s_rows_are_refused_and_named(real_data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"example_model_solutions\.jsonl: no row was accepted"):
        build("gsm8k", input=real_data / "gsm8k/example_model_solutions.jsonl", output=tmp_path / "built")
