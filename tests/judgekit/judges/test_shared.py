"""A judge on two processes: the files of one process, written by the first alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.judgekit.judges.two_processes as script
from judgekit import cli
from judgekit.io import read_records
from judgekit.judges.shared import split_evenly
from judgekit.types import Judgement, LabelledSolution
from tests.processes import run_on_two


@given(weights=st.lists(st.integers(1, 100), max_size=30), n_parts=st.integers(1, 5))
def test_parts_are_in_order_and_about_even(weights: list[int], n_parts: int) -> None:
    parts = split_evenly(weights, n_parts=n_parts)
    assert len(parts) == n_parts
    assert [row for part in parts for row in range(len(weights))[part]] == list(range(len(weights)))
    for part in parts:
        assert sum(weights[part]) <= sum(weights) / n_parts + max(weights, default=0)


@pytest.fixture(scope="module")
def folders(tiny_judge: Path, labelled_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What one process wrote, and what two wrote."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    judge = ["--judge", str(tiny_judge)]
    judging = ["judge", *judge, "--input", str(labelled_data), "--output", str(one / "judge")]
    assert cli.main([*judging, "chunk_size=16", "--show", "0"]) == 0
    judges = [*judge, "--judge", "builtin:first-step"]
    benchmark = ["--benchmark", "additions", str(labelled_data)]
    assert cli.main(["eval", *judges, *benchmark, "--output", str(one / "eval")]) == 0
    run_on_two(script.__file__, tiny_judge, labelled_data, two, timeout=240)
    return one, two


def ranks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def test_judgements_are_those_of_one_process(folders: tuple[Path, Path]) -> None:
    both = []
    for folder in folders:
        lines = (folder / "judge" / "judgements.jsonl").read_text().splitlines()
        both.append([Judgement.model_validate_json(line) for line in lines])
    assert len(both[0]) == 40
    for one, two in zip(*both, strict=True):
        assert (one.solution_id, one.judge_id, one.n_tokens) == (two.solution_id, two.judge_id, two.n_tokens)
        assert two.verdict.p_ok_S == pytest.approx(one.verdict.p_ok_S, abs=1e-5)


def test_results_are_those_of_one_process(folders: tuple[Path, Path]) -> None:
    for judge, dtype in (("tiny", "float32"), ("builtin-first-step", None)):
        where = [folder / "eval" / "judges" / judge / "additions" for folder in folders]
        one, two = (json.loads((folder / "results.json").read_text()) for folder in where)
        assert one["judge"]["dtype"] == two["judge"]["dtype"] == dtype
        assert two["overall"] == one["overall"]
        predictions = [pl.read_parquet(folder / "predictions.parquet") for folder in where]
        rounded = ("posterior", "p_ok", "threshold")
        assert predictions[0].drop(rounded).equals(predictions[1].drop(rounded))
    files = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) for folder in folders]
    assert files[1] == sorted([*files[0], "rank0.json", "rank1.json"])


def test_each_process_judged_its_half_once(folders: tuple[Path, Path], labelled_data: Path) -> None:
    ids = [solution.id for solution in read_records(labelled_data, LabelledSolution)]
    seen = [rank["seen"] for rank in ranks(folders[1])]
    assert sorted(seen[0] + seen[1]) == sorted(ids * 2 + [script.addition(n).id for n in range(4)])
    assert min(map(len, seen)) > len(ids) * 0.8


def test_errors_reach_the_first_process_and_end_the_others(folders: tuple[Path, Path]) -> None:
    first, second = ranks(folders[1])
    assert first["status"] == [0, 0, 2] and second["status"] == [0, 0, 0]
    assert first["error"] == "the second process is out of memory" and second["error"] is None
    assert first["alive"] is None, "and a judge opened afterwards works"
