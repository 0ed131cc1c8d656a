"""Splits by problem: disjoint, complete, the same every time, and about as large as asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from judgekit.errors import ConfigError, DataError
from judgekit.io import read_json, read_records, write_records
from judgekit.types import LabelledSolution, Rollout
from judgekit_datasets.build import build
from judgekit_datasets.split import choose_side, split
from tests.datasets_builders.fake_source import COUNTING, CountingConfig


@pytest.fixture
def built(tmp_path: Path) -> Path:
    build(COUNTING, output=tmp_path / "all", options=CountingConfig(n=600, n_problems=200), rows_per_shard=100)
    return tmp_path / "all"


def test_sides_are_disjoint_complete_and_of_about_the_size_asked_for(built: Path, tmp_path: Path) -> None:
    train, test = tmp_path / "train", tmp_path / "test"
    counts = split(built, {train: 0.8, test: 0.2}, seed=3, rows_per_shard=100)
    sides = {path: list(read_records(path, LabelledSolution)) for path in (train, test)}
    problems = {path: {record.problem_id for record in records} for path, records in sides.items()}
    assert not problems[train] & problems[test]
    assert counts == {path: len(records) for path, records in sides.items()}
    ids = {record.id for records in sides.values() for record in records}
    assert ids == {record.id for record in read_records(built, LabelledSolution)}
    assert 25 <= len(problems[test]) <= 55  # 40 expected of 200, standard deviation 5.7
    manifest = read_json(test / "manifest.json")
    assert manifest["split"] == {"of": "all", "seed": 3, "fractions": {"train": 0.8, "test": 0.2}}
    assert len(manifest["inputs"]) == 6


def spelled(problem_id: str, problem: str, n: int) -> LabelledSolution:
    return LabelledSolution(
        problem_id=problem_id, problem=problem, steps=(f"step {n}",), labels=("ok",), source="s", label_method=None
    )


def test_one_problem_is_on_one_side_however_it_is_spelled_and_whatever_ids_it_has(tmp_path: Path) -> None:
    rows = []
    for i in range(40):
        texts = (f"Find $x$, if x = {i}.", f"find  x, if $x={i}$", f"The number {i}?")
        rows += [spelled("", texts[0], i), spelled("", texts[1], i), spelled(f"p{i}", texts[1], i)]
        rows.append(spelled(f"p{i}", texts[2], i))
    write_records(tmp_path / "all", rows, record_type=LabelledSolution)
    for seed in range(3):
        one, other = tmp_path / f"a{seed}", tmp_path / f"b{seed}"
        counts = split(tmp_path / "all", {one: 0.5, other: 0.5}, seed=seed)
        steps = [{record.steps[0] for record in read_records(side, LabelledSolution)} for side in (one, other)]
        assert not steps[0] & steps[1] and sum(counts.values()) == 160


def test_the_split_depends_on_the_seed_and_on_nothing_else(built: Path, tmp_path: Path) -> None:
    counts = [
        split(built, {tmp_path / f"{name}-a": 0.5, tmp_path / f"{name}-b": 0.5}, seed=seed)
        for name, seed in (("one", 0), ("two", 0), ("three", 1))
    ]
    first_ids = [
        [record.id for record in read_records(tmp_path / f"{name}-a", LabelledSolution)]
        for name in ("one", "two", "three")
    ]
    assert first_ids[0] == first_ids[1] != first_ids[2]
    assert all(sum(count.values()) == 600 for count in counts)


def test_shares_are_cut_in_the_order_given() -> None:
    everything_first = {"a": 1.0 - 1e-12, "b": 1e-12}
    assert {choose_side(str(i), everything_first, seed=0) for i in range(50)} == {"a"}
    shares = [choose_side(str(i), {"a": 0.25, "b": 0.75}, seed=0) for i in range(4000)]
    assert abs(shares.count("a") / 4000 - 0.25) < 0.03


def test_the_responses_of_one_problem_stay_together(fixture_rows: Path, tmp_path: Path) -> None:
    build("groups", input=fixture_rows / "groups.jsonl", output=tmp_path / "all")
    with pytest.raises(DataError, match="would be empty"):  # both groups ask the same question
        split(tmp_path / "all", {tmp_path / "a": 0.5, tmp_path / "b": 0.5})
    assert split(tmp_path / "all", {tmp_path / "c": 1.0}) == {tmp_path / "c": 5}
    assert len(list(read_records(tmp_path / "c", Rollout))) == 5


@pytest.mark.parametrize("fractions", [(0.5, 0.4), (1.0, 0.0), (1.5, -0.5), ()])
def test_fractions_must_be_positive_and_sum_to_one(fractions: tuple[float, ...], built: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fractions must be above 0 and sum to 1"):
        split(built, {tmp_path / str(i): fraction for i, fraction in enumerate(fractions)})


def test_an_unfinished_folder_is_refused_and_a_used_one_too(built: Path, tmp_path: Path) -> None:
    split(built, {tmp_path / "a": 0.5, tmp_path / "b": 0.5})
    with pytest.raises(ConfigError, match="already holds a run: add --resume"):
        split(built, {tmp_path / "a": 0.5, tmp_path / "b": 0.5})
    assert split(built, {tmp_path / "a": 0.5, tmp_path / "b": 0.5}, resume=True)
    (built / "manifest.json").unlink()
    with pytest.raises(DataError, match="its build did not finish"):
        split(built, {tmp_path / "c": 1.0})
