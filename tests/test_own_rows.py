"""A file of one's own step-labelled rows goes in wherever a data set does, in every format, under a name of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from judgekit.cli import main
from judgekit.io import MANIFEST, read_json, read_records
from judgekit.training.judge_files import read_labelled
from judgekit.types import LabelledSolution
from judgekit_datasets.procedural.chains import ProceduralConfig, generate

FIELDS = ("problem", "steps", "labels", "source")
"""What the rows hold: no ids, no label method, nothing that a stored record has beside."""


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    made = (solution.model_dump(mode="json") for solution in generate(ProceduralConfig(n=60, seed=3)))
    return [{name: row[name] for name in FIELDS} | {"source": "mine"} for row in made]


@pytest.fixture(params=["jsonl", "marked.jsonl", "json", "parquet", "folder"])
def given(request: pytest.FixtureRequest, rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path = tmp_path / f"rows.{request.param}"
    if request.param == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    elif request.param == "json":
        path.write_text(json.dumps(rows, indent=2))
    elif request.param == "folder":
        (path / ".ipynb_checkpoints").mkdir(parents=True)
        (path / "part.jsonl").write_text(lines)
        (path / ".ipynb_checkpoints" / "part-checkpoint.jsonl").write_text(lines)
    else:
        path.write_text(("\ufeff" if "marked" in request.param else "") + lines, encoding="utf-8")
    return path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_own_rows_are_split_curated_mixed_and_built(given: Path, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    assert run("split", given, f"{tmp_path}/a=0.5", f"{tmp_path}/b=0.5") == 0
    sides = [list(read_records(tmp_path / side, LabelledSolution)) for side in "ab"]
    assert sum(map(len, sides)) == len(rows)
    assert run("curate", f"data=[{given}]", "duplicates.near=null", "--output", tmp_path / "curated") == 0
    n_kept = read_json(tmp_path / "curated" / MANIFEST)["n_rows"]
    assert 0 < n_kept <= len(rows)
    part = f"parts=[{{source: labelled, input: {given}}}]"
    assert run("mix", part, "--output", tmp_path / "mixed") == 0
    assert run("build", "labelled", "--input", given, "--output", tmp_path / "built") == 0
    distinct = {(row["problem"], tuple(row["steps"]), tuple(row["labels"])) for row in rows}
    for folder in ("mixed", "built"):
        built = list(read_records(tmp_path / folder, LabelledSolution))
        assert {(s.problem, s.steps, tuple(map(str, s.labels))) for s in built} == distinct
        assert {(s.source, s.label_method) for s in built} == {("mine", None)}


@pytest.mark.parametrize("given", ["marked.jsonl", "json"], indirect=True)
def test_own_rows_are_fitted_to_and_judged(given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prior, output = tmp_path / "prior", tmp_path / "out"
    assert len(list(read_labelled([given], None))) == 60
    assert run("prior", "--data", given, "--output", prior) == 0
    assert run("calibrate", "--judge", prior, "--data", given, "calibrator=identity", "conformal_frac=null") in (0, 2)
    assert "Traceback" not in capsys.readouterr().err
    members = ("--member", "builtin:symbolic", "--member", "builtin:random")
    assert run("ensemble", *members, "--data", given, "--output", tmp_path / "ensemble") == 0
    assert (
        run("judge", "--judge", "builtin:symbolic", "--input", given, "--output", output / "judged", "--show", 0) == 0
    )
    assert run("attack", "builtin:symbolic", "--input", given, "--output", output / "attack", "n_max=5") == 0
    evaluation = ("eval", "--judge", "builtin:symbolic", "n_resamples=100", "n_splits=2")
    assert run(*evaluation, "--benchmark", "mine", given, "--output", output / "eval") == 0


def test_rows_without_a_source_are_read_and_eval_asks_what_numbers_mean(
    rows: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, output = tmp_path / "rows.jsonl", tmp_path / "run"
    bare = [{name: row[name] for name in ("problem", "steps", "labels")} for row in rows]
    numbered = [row | {"labels": [int(label == "ok") for label in row["labels"]]} for row in bare]

    def evaluate(rows: list[dict[str, Any]]) -> int:
        given.write_text("".join(json.dumps(row) + "\n" for row in rows))
        options = ("n_resamples=100", "n_splits=2", "--output", output)
        return run("eval", "--judge", "builtin:symbolic", *options, "--benchmark", "mine", given)

    given.write_text("".join(json.dumps(row) + "\n" for row in bare))
    assert {row.source for row in read_records(given, LabelledSolution)} == {"own"}
    options = ("--show", 0, "--input", given, "--output", tmp_path / "judged")
    assert run("judge", "--judge", "builtin:symbolic", *options) == 0
    capsys.readouterr()
    assert evaluate(numbered) == 2
    said = capsys.readouterr().err
    assert "give label_form=one_is_ok" in said
    assert f"`judgekit build labelled --input {given} --output FOLDER source=mine ...`; then name FOLDER here" in said
    assert evaluate(bare) == 0, "the folder is free after a refusal"
    read = list(read_records(output / "data" / "mine" / "rows", LabelledSolution))
    assert {row.source for row in read} == {"mine"} and len(read) == len({str(row) for row in bare})
    assert (
        run("eval", "--judge", "builtin:random", "--benchmark", "mine", "gone.jsonl", "--output", tmp_path / "b") == 2
    )
    assert "gone.jsonl does not exist: give a data set" in capsys.readouterr().err


def test_eval_says_how_many_rows_it_leaves_out(
    rows: list[dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = [{name: row[name] for name in ("problem", "steps", "labels")} for row in rows]
    bare[7]["labels"] = ["perhaps"] * len(bare[7]["steps"])
    given = tmp_path / "rows.jsonl"
    given.write_text("".join(json.dumps(row) + "\n" for row in bare))
    options = ("n_resamples=100", "n_splits=2", "--output", tmp_path / "run")
    assert run("eval", "--judge", "builtin:symbolic", *options, "--benchmark", "mine", given) == 0
    assert "rows.jsonl: 1 of 60 rows are left out (1: unknown label), see" in caplog.text


def test_rows_in_other_fields_are_told_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = tmp_path / "rows.jsonl"
    given.write_text(json.dumps({"question": "2+3?", "chain": ["6"], "marks": ["wrong"]}) + "\n")
    commands: list[Callable[[], int]] = [
        lambda: run("split", given, f"{tmp_path}/a=0.5", f"{tmp_path}/b=0.5"),
        lambda: run("curate", f"data=[{given}]", "--output", tmp_path / "curated"),
        lambda: run("prior", "--data", given, "--output", tmp_path / "prior"),
        lambda: run("judge", "--judge", "builtin:random", "--input", given, "--output", tmp_path / "judged"),
        lambda: run("eval", "--judge", "builtin:random", "--benchmark", "mine", given, "--output", tmp_path / "e"),
    ]
    for command in commands:
        assert command() == 2
        said = capsys.readouterr().err
        assert "`judgekit build labelled --input FILE --output FOLDER fields.problem=..." in said
        assert said.count("\n") == 1 and "rows.jsonl" in said
    names = ("fields.problem=question", "fields.steps=chain", "fields.labels=marks", "source=mine")
    assert run("build", "labelled", "--input", given, "--output", tmp_path / "built", *names) == 0
    assert run("prior", "--data", tmp_path / "built", "--output", tmp_path / "prior2", "n_folds=2") in (0, 2)
