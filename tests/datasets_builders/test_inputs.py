"""Where raw rows come from: files, folders and the Hub, and what happens to those that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import huggingface_hub
import polars as pl
import pytest

from judgekit.errors import DataError
from judgekit.io import file_sha256
from judgekit_datasets.build import build
from judgekit_datasets.inputs import open_input

ROWS = [{"prompt": f"P{i}", "completions": ["a"], "labels": [True]} for i in range(3)]


def rows_of(given: str | Path) -> list[tuple[int, Any]]:
    return [row for part in open_input(given) for row in part.rows()]


def test_three_formats_give_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "b.json").write_text(json.dumps(ROWS, indent=1))
    (tmp_path / "c.json").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    pl.DataFrame(ROWS).write_parquet(tmp_path / "d.parquet")
    expected = list(enumerate(ROWS, start=1))
    for name in ("a.jsonl", "b.json", "c.json", "d.parquet"):
        assert rows_of(tmp_path / name) == expected, name
    assert rows_of(tmp_path) == expected * 4
    parts = open_input(str(tmp_path))
    assert [(part.name, part.part) for part in parts][:2] == [("a.jsonl", "a"), ("b.json", "b")]
    assert parts[0].fingerprint == file_sha256(tmp_path / "a.jsonl")


def test_a_folder_is_read_with_its_subfolders_in_order(tmp_path: Path) -> None:
    for name in ("z/one.jsonl", "a/two.jsonl", "a/.hidden.jsonl", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"x": 1}\n')
    assert [part.name for part in open_input(tmp_path)] == ["a/two.jsonl", "z/one.jsonl"]


def test_an_unreadable_row_comes_with_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"x": 1}, 2]')
    assert rows_of(tmp_path / "a.json") == [(1, {"x": 1}), (2, "a JSON object is wanted, not int")]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"\n \n", "is empty"),
        ("a.json", b"[]", "is empty"),
        ("a.json", b"[1,", "is not valid JSON"),
        ("a.jsonl", b'{"x": "\xff"}', "is not UTF-8 text"),
        ("a.parquet", b"PAR1 and no more", "is not a readable parquet file"),
        ("a.csv", b"x,y", "is not one of .jsonl, .json, .parquet"),
    ],
)
def test_a_bad_file_is_an_error_that_names_it(name: str, content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.\w+ {complaint}"):
        rows_of(tmp_path / name)


def test_an_empty_parquet_file_is_an_error(tmp_path: Path) -> None:
    pl.DataFrame({"x": []}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="holds no rows"):
        rows_of(tmp_path / "a.parquet")


def test_a_missing_file_and_an_empty_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        open_input(str(tmp_path / "gone.jsonl"))
    with pytest.raises(DataError, match=r"contains no \.jsonl"):
        open_input(tmp_path)


@pytest.fixture
def pretend_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub stands in a local folder with two splits; everything but the download is the real path."""
    pl.DataFrame(ROWS).write_parquet(tmp_path / "train-0.parquet")
    pl.DataFrame(ROWS[:1]).write_parquet(tmp_path / "test-0.parquet")

    load_really = datasets.load_dataset

    def load_dataset(name: str, config: str | None, **options: Any) -> Any:
        if name != "someone/steps":
            raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{name}' doesn't exist on the Hub")
        assert options.pop("revision") == "abc123"
        return load_really(str(tmp_path), config, **options)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda self, name: SimpleNamespace(sha="abc123"))
    return tmp_path


def test_a_hub_id_gives_one_part_a_split_pinned_to_a_commit(pretend_hub: Path) -> None:
    parts = open_input("someone/steps")
    assert sorted((part.name, part.fingerprint) for part in parts) == [
        ("someone/steps/test", "abc123"),
        ("someone/steps/train", "abc123"),
    ]
    assert rows_of("someone/steps::train") == list(enumerate(ROWS, start=1))


def test_a_build_from_the_hub(pretend_hub: Path, tmp_path: Path) -> None:
    report = build("stepwise-supervision", input="someone/steps:default:train", output=tmp_path / "built")
    assert (report.rows_read, report.n_records) == (3, 3)
    manifest = json.loads((tmp_path / "built" / "manifest.json").read_text())
    assert manifest["inputs"] == {"someone/steps/train": "abc123"}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("someone/steps::validation", "has no split 'validation'; it has"),
        ("someone/else", "the Hub does not provide it"),
        ("no id at all", "nor a Hub id"),
    ],
)
def test_what_the_hub_does_not_hold_is_an_error(given: str, complaint: str, pretend_hub: Path) -> None:
    with pytest.raises(DataError, match=complaint):
        open_input(given)
