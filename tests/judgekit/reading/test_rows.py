"""Files as people hand them in: byte-order marks, printed JSON, folders of `datasets`, clones, hidden copies."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from judgekit.config import BaseConfig, load_config
from judgekit.errors import CheckpointError, DataError, JudgekitError
from judgekit.io import checkpoint_files, input_hashes, read_json, read_records, shard_paths
from judgekit.judges.card import read_card
from judgekit.judges.critics.prompt import BUILTIN_PROMPTS, load_prompt
from judgekit.judges.problem_lists import read_problems
from judgekit.judges.recognise import read_yaml
from judgekit.reading.rows import data_files, part_name, read_fields, read_jsonl, read_rows
from judgekit.types import Problem

ROWS = [{"x": i, "text": f"größer {i}"} for i in range(3)]
MARK = b"\xef\xbb\xbf"


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize(
    "content",
    [
        MARK + lines(ROWS),
        MARK + lines(ROWS[:1]) + MARK + lines(ROWS[1:]),
        MARK + b"\r\n" + lines(ROWS).replace(b"\n", b"\r\n"),
        MARK + json.dumps(ROWS, indent=2).encode(),
        json.dumps(ROWS).encode(),
        b"\n".join(json.dumps(row, indent=4).encode() for row in ROWS),
        b"\n\n" + MARK.join(json.dumps(row, indent=1).encode() for row in ROWS),
    ],
)
def test_rows_are_read_however_they_are_written(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert [row for _, row in read_rows(tmp_path / name)] == ROWS


def test_one_printed_object_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(ROWS[0], indent=4))
    assert list(read_rows(tmp_path / "a.json")) == [(1, ROWS[0])]


@pytest.mark.parametrize("damaged", ['{"x": 1, "text": "cut', '{"x": 1,', "{'x': 1}", "[" * 9999, "[1, 2", '{"x": 1e'])
def test_a_damaged_first_line_costs_one_row(damaged: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(damaged.encode() + b"\n" + lines(ROWS))
    (_, first), *rest = read_jsonl(tmp_path / "a.jsonl")
    assert isinstance(first, str) and first.startswith("malformed JSON")
    assert [row for _, row in rest] == ROWS


def test_a_damaged_printed_object_is_a_complaint_behind_the_good_ones(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(ROWS[0], indent=1) + '\n{\n "x": }')
    (number, first), (_, second) = read_jsonl(tmp_path / "a.jsonl")
    assert (number, first) == (1, ROWS[0])
    assert isinstance(second, str) and second.startswith("malformed JSON")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_said(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS).decode().encode(encoding))
    (tmp_path / "a.yaml").write_bytes("size: 3\n".encode(encoding))
    for read in (lambda: list(read_jsonl(tmp_path / "a.jsonl")), lambda: read_json(tmp_path / "a.jsonl")):
        with pytest.raises(DataError, match="is UTF-16 or UTF-32, not UTF-8: save it as UTF-8"):
            read()
    with pytest.raises(JudgekitError, match="is UTF-16 or UTF-32"):
        load_config(Sized, tmp_path / "a.yaml")


class Sized(BaseConfig):
    size: int = 1


def test_a_mark_before_json_and_yaml_is_no_part_of_a_key(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(MARK + b'{"size": 3}')
    (tmp_path / "a.yaml").write_bytes(MARK + b"size: 3\n")
    assert read_json(tmp_path / "a.json") == {"size": 3}
    assert load_config(Sized, tmp_path / "a.yaml").size == 3


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "size: " + "[" * 20_000])
def test_deep_nesting_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(DataError, match="is not valid JSON"):
        read_json(tmp_path / "a")
    with pytest.raises(JudgekitError, match="is not a valid configuration"):
        load_config(Sized, tmp_path / "a")


def test_hidden_files_and_folders_are_no_data(tmp_path: Path) -> None:
    folder = tmp_path / ".cache" / "data"  # where the folder itself lies does not matter
    for name in ("b.jsonl", "a/c.jsonl", ".git/x.jsonl", "a/.ipynb_checkpoints/c-checkpoint.jsonl", "._b.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(lines(ROWS))
    assert [str(file.relative_to(folder)) for file in data_files(folder)] == ["a/c.jsonl", "b.jsonl"]
    assert sorted(input_hashes(folder)) == ["data/a/c.jsonl", "data/b.jsonl"]
    (folder / "config.json").write_text("{}")
    (folder / "._config.json").write_text("{}")
    assert [file.name for file in checkpoint_files(folder)] == ["config.json"]


def test_a_folder_of_save_to_disk_is_read(tmp_path: Path) -> None:
    whole = datasets.Dataset.from_list(ROWS)
    whole.save_to_disk(tmp_path / "plain", num_shards=2)
    datasets.DatasetDict({"train": whole, "test": whole.select([0])}).save_to_disk(tmp_path / "splits")
    (tmp_path / "plain" / "data-00009-of-00010.arrow").write_bytes(b"left over from a save that was cut off")
    assert [row for file in data_files(tmp_path / "plain") for _, row in read_rows(file)] == ROWS
    files = data_files(tmp_path / "splits")
    assert [part_name(file) for file in files] == ["test", "train"]
    assert [row for file in files for _, row in read_rows(file)] == ROWS[:1] + ROWS
    files[0].unlink()
    with pytest.raises(DataError, match=r"is missing, though .*state\.json names it"):
        data_files(tmp_path / "splits")


def test_a_saved_choice_of_rows_is_not_read_as_all_of_them(tmp_path: Path) -> None:
    state = {"_data_files": [{"filename": "a.arrow"}], "_indices_data_files": [{"filename": "i.arrow"}]}
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match="flatten_indices"):
        data_files(tmp_path)


def test_what_a_clone_says_about_its_data_is_no_data(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pl.DataFrame(ROWS).write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    (tmp_path / "dataset_infos.json").write_text('{"default": {"features": {}}}')
    (tmp_path / "README.md").write_text("# Steps")
    (file,) = shard_paths(tmp_path)
    assert part_name(file) == "train"
    assert [row for _, row in read_rows(file)] == ROWS


def test_feather_is_read_too(tmp_path: Path) -> None:
    pl.DataFrame(ROWS).write_ipc(tmp_path / "a.arrow")
    assert [row for _, row in read_rows(tmp_path / "a.arrow")] == ROWS


def test_a_pointer_of_git_lfs_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(DataError, match="is a Git LFS pointer, not the data: run `git lfs pull`"):
        list(read_rows(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"\xff\x00"], pa.binary()),
        pa.array([10**8], pa.date32()),
        pa.array([2**52], pa.timestamp("s")),
        pa.array([[[{"a": [1]}]]]),
        pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([1.5]).cast(pa.decimal128(10, 2)),
        pa.array([None], pa.null()),
    ],
    ids=lambda column: str(column.type)[:20],
)
def test_columns_of_any_type_give_rows_or_one_line(column: pa.Array, tmp_path: Path) -> None:
    table = {"problem_id": pa.array(["p"]), "problem": column, "answer": pa.array(["1"]), "source": pa.array(["mine"])}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet(, row 1| is not a readable parquet file)"):
        list(read_records(tmp_path / "a.parquet", Problem))


def test_a_file_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS))
    (tmp_path / "a.jsonl").chmod(0)
    if os.access(tmp_path / "a.jsonl", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(DataError, match="cannot read"):
        list(read_jsonl(tmp_path / "a.jsonl"))


def test_cards_prompts_and_lists_of_problems_may_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_bytes(MARK + b"family: math-shepherd\n")
    prompt = (BUILTIN_PROMPTS / "direct-1.yaml").read_bytes()
    (tmp_path / "mine.yaml").write_bytes(MARK + prompt)
    (tmp_path / "ids.txt").write_bytes(MARK + b"0123\r\n4567\r\n")
    assert read_yaml(tmp_path / "card.yaml") == {"family": "math-shepherd"}
    assert load_prompt("mine.yaml", directory=tmp_path).prompt == load_prompt("direct-1", directory=tmp_path).prompt
    assert read_problems(tmp_path / "ids.txt").old == {"0123", "4567"}


def test_a_card_of_thousands_of_brackets_is_one_line(tmp_path: Path) -> None:
    for name in ("judge.json", "card.yaml"):
        (tmp_path / name).write_text("[" * 20_000)
    with pytest.raises(CheckpointError, match=r"judge\.json is not valid JSON"):
        read_card(tmp_path)
    with pytest.raises(CheckpointError, match=r"card\.yaml is not valid YAML"):
        read_yaml(tmp_path / "card.yaml")


@pytest.mark.parametrize("indent", [None, 2])
def test_one_object_that_holds_the_rows_in_lists_is_said(indent: int | None, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"train": ROWS, "test": ROWS[:1]}, indent=indent))
    with pytest.raises(
        DataError, match=r"one object with rows in lists, 'train', 'test': save each list as a separate file"
    ):
        list(read_rows(tmp_path / "a.json"))
    talks = [{"turns": ROWS}, {"turns": ROWS}]  # several such objects are rows
    (tmp_path / "b.jsonl").write_bytes(lines(talks))
    assert [row for _, row in read_rows(tmp_path / "b.jsonl")] == talks


@pytest.mark.parametrize("flags", [0, 8])
def test_a_compressed_file_is_said(flags: int, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(bytes([0x1F, 0x8B, 8, flags]) + gzip.compress(lines(ROWS))[4:])
    with pytest.raises(DataError, match=r"is not UTF-8 text.*Is it compressed"):
        list(read_rows(tmp_path / "a.jsonl"))


def test_a_mark_in_the_name_of_the_first_column_is_no_part_of_it(tmp_path: Path) -> None:
    marked = [{"\ufeffx": row["x"], "text": row["text"]} for row in ROWS]
    pl.DataFrame(marked).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_bytes(lines(marked))
    for file in (tmp_path / "a.parquet", tmp_path / "a.jsonl"):
        assert [row for _, row in read_rows(file)] == ROWS
        assert read_fields(file) == {"x", "text"}


def test_files_that_nobody_reads_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.jsonl", "B.JSONL", "c.jsonl.gz", "d.csv", "README.md", "LICENSE", ".git/e.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(lines(ROWS))
    for _ in range(2):
        assert [file.name for file in data_files(tmp_path)] == ["a.jsonl"]
    (said,) = caplog.messages
    assert (
        "3 files are not of the types .jsonl, .json, .parquet, .arrow and were left out: B.JSONL, c.jsonl.gz, d.csv;"
        in said
    )


def test_a_link_that_leads_nowhere_is_no_missing_row(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS))
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match=r"b\.jsonl is a broken link"):
        data_files(tmp_path)


def test_a_pointer_of_git_lfs_is_said_of_every_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    for read in (read_json, lambda path: list(read_rows(path))):
        with pytest.raises(DataError, match="is a Git LFS pointer, not the data: run `git lfs pull`"):
            read(tmp_path / "a.json")
