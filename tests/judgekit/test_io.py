"""Files between the stages: nothing half written, nothing read that is not what it should be."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import polars as pl
import pytest

from judgekit.errors import ConfigError, DataError
from judgekit.io import (
    ShardWriter,
    atomic_path,
    file_sha256,
    input_hashes,
    parquet_schema,
    read_json,
    read_records,
    shard_paths,
    write_json,
    write_records,
    write_text,
)
from judgekit.reading.rows import read_jsonl
from judgekit.text.identity import exact_problem_id, problem_id
from judgekit.types import LabelledSolution, LabelMethod, Problem, Rollout, StepLabel, labels_from_first_error


def problem(i: int) -> Problem:
    return Problem(problem_id=f"p{i}", problem=f"What is {i} + {i}?", answer=str(2 * i), source="test")


def problems(n: int) -> list[Problem]:
    return [problem(i) for i in range(n)]


def solution(first_error: int | None) -> LabelledSolution:
    return LabelledSolution(
        problem="What is 1 + 1?",
        steps=("1 + 1 = 2.", "Ж and ∑ are no numbers.", "So 2."),
        labels=labels_from_first_error(first_error, n_steps=3),
        source="test",
        label_method=None,
        n_success=(8, 4, 0),
        n_rollouts=(8, 8, 8),
    )


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# Atomic writes


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert files(tmp_path) == []
    write_text(path, "whole")
    with pytest.raises(ValueError, match="later"), atomic_path(path) as partial:
        partial.write_text("half of the next")
        raise ValueError("later")
    assert path.read_text() == "whole"
    assert files(tmp_path) == ["new/a.txt"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), pl.exceptions.ComputeError("full")]
)
def test_a_full_disk_is_an_error_that_names_the_file(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write .*a\.txt: .*Free the space"), atomic_path(tmp_path / "a.txt"):
        raise error
    assert files(tmp_path) == []


def test_a_full_disk_in_the_middle_of_a_shard_leaves_the_finished_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ShardWriter(tmp_path, Problem, rows_per_shard=2) as writer:
        for record in problems(2):
            writer.write(record)

        def write_parquet(frame: pl.DataFrame, path: Path) -> None:
            path.write_bytes(b"half a shard")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(pl.DataFrame, "write_parquet", write_parquet)
        writer.write(problem(2))
        with pytest.raises(DataError, match=r"cannot write .*part-00001\.parquet"):
            writer.write(problem(3))
        monkeypatch.undo()
        assert files(tmp_path) == ["data/part-00000.parquet"]


def test_json_is_written_without_nan_and_read_with_a_named_complaint(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": None, "a": "Ж"})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n  "b": null,\n  "a": "Ж"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json") == {"b": None, "a": "Ж"}
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(DataError, match=r"b\.json is not valid JSON"):
        read_json(tmp_path / "b.json")
    with pytest.raises(DataError, match=r"cannot read .*c\.json"):
        read_json(tmp_path / "c.json")


# JSON lines


def test_json_lines_come_with_their_row_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n\n{"x": \n[1]\n{"x": 2}')
    rows = list(read_jsonl(tmp_path / "a.jsonl"))
    assert [row for row, _ in rows] == [1, 3, 4, 5]
    assert rows[0][1] == {"x": 1}
    assert str(rows[1][1]).startswith("malformed JSON: ")
    assert """'{"x":'""" in str(rows[1][1])
    assert rows[2][1] == "a JSON object is wanted, not list"
    assert rows[3][1] == {"x": 2}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b" \n\n", "is empty"), (b'{"x": "\xff"}', "is not UTF-8"), (None, "cannot read")],
)
def test_json_lines_that_cannot_be_read(content: bytes | None, complaint: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        list(read_jsonl(tmp_path / "a.jsonl"))


# Data set folders


def test_records_survive_the_round_trip(tmp_path: Path) -> None:
    given = [solution(None), solution(0), solution(2)]
    assert write_records(tmp_path, given, record_type=LabelledSolution, info={"why": "test"}) == 3
    assert list(read_records(tmp_path, LabelledSolution)) == given
    manifest = read_json(tmp_path / "manifest.json")
    assert (manifest["record"], manifest["schema_version"], manifest["n_rows"]) == ("LabelledSolution", 1, 3)
    assert manifest["why"] == "test"
    assert manifest["shards"] == {"data/part-00000.parquet": file_sha256(tmp_path / "data/part-00000.parquet")}
    assert input_hashes(tmp_path) == {
        f"{tmp_path.name}/data/part-00000.parquet": manifest["shards"]["data/part-00000.parquet"]
    }


def test_the_same_records_are_read_from_json_lines(tmp_path: Path) -> None:
    given = [solution(None), solution(1)]
    (tmp_path / "a.jsonl").write_text("".join(s.model_dump_json() + "\n" for s in given), "utf-8")
    assert list(read_records(tmp_path / "a.jsonl", LabelledSolution)) == given


def test_the_schema_is_declared_for_every_field() -> None:
    schema = parquet_schema(LabelledSolution)
    assert schema["labels"] == pl.List(pl.String)
    assert schema["final_answer_correct"] == pl.Boolean
    assert schema["label_method"] == pl.String
    assert schema["n_success"] == pl.List(pl.Int64)
    assert parquet_schema(Rollout)["behaviour_logprobs"] == pl.List(pl.Float64)


def test_columns_keep_their_type_where_every_value_is_missing(tmp_path: Path) -> None:
    write_records(tmp_path, [solution(None).model_copy(update={"n_success": None})], record_type=LabelledSolution)
    frame = pl.read_parquet(tmp_path / "data/part-00000.parquet")
    assert frame.schema["n_success"] == pl.List(pl.Int64)
    assert frame.schema["generator"] == pl.String


def test_rows_are_cut_into_shards(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, Problem, rows_per_shard=2) as writer:
        for record in problems(5):
            writer.write(record)
    assert [pl.read_parquet(shard).height for shard in shard_paths(tmp_path)] == [2, 2, 1]
    assert list(read_records(tmp_path, Problem)) == problems(5)


def test_no_rows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows for"):
        write_records(tmp_path, [], record_type=Problem)


# Resuming


def interrupted(folder: Path, n: int) -> None:
    """Write n rows in shards of two and stop as a killed run would: whole shards, a half file, no manifest."""
    with pytest.raises(KeyboardInterrupt), ShardWriter(folder, Problem, rows_per_shard=2) as writer:
        for record in problems(n):
            writer.write(record)
        raise KeyboardInterrupt
    (folder / "data" / ".part-00009.parquet.1.partial").write_bytes(b"half")


def test_an_unfinished_folder_cannot_be_read_and_can_be_finished(tmp_path: Path) -> None:
    interrupted(tmp_path, 5)
    with pytest.raises(DataError, match="its build did not finish"):
        list(read_records(tmp_path, Problem))
    with pytest.raises(ConfigError, match="already holds a run: add --resume"):
        ShardWriter(tmp_path, Problem)
    with ShardWriter(tmp_path, Problem, rows_per_shard=2, resume=True) as writer:
        for record in problems(7):
            writer.write(record)
    assert list(read_records(tmp_path, Problem)) == problems(7)
    assert files(tmp_path) == [*(f"data/part-{i:05d}.parquet" for i in range(4)), "manifest.json"]


def test_resuming_with_other_rows_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path, 4)
    with (
        pytest.raises(DataError, match="row 1 was p1 and is p9 now"),
        ShardWriter(tmp_path, Problem, resume=True) as writer,
    ):
        writer.write(problem(0))
        writer.write(problem(9))
    with (
        pytest.raises(DataError, match="it holds 4 rows but the input now gives 1"),
        ShardWriter(tmp_path, Problem, resume=True) as writer,
    ):
        writer.write(problem(0))
    assert not (tmp_path / "manifest.json").exists()


# What cannot be read


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    write_records(tmp_path, problems(3), record_type=Problem)
    shard = tmp_path / "data/part-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(DataError, match=r"part-00000\.parquet is not a readable parquet file"):
        list(read_records(tmp_path, Problem))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_records(tmp_path, problems(3), record_type=Problem)
    (tmp_path / "data/part-00000.parquet").unlink()
    with pytest.raises(DataError, match=r"part-00000\.parquet is not a readable parquet file"):
        list(read_records(tmp_path, Problem))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    pl.DataFrame([p.model_dump() for p in problems(2)]).drop("answer").write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet has no column 'answer': it holds no Problem rows"):
        list(read_records(tmp_path / "a.parquet", Problem))


def test_an_unknown_column_and_a_bad_value_are_named_with_their_row(tmp_path: Path) -> None:
    rows = [p.model_dump() for p in problems(2)]
    pl.DataFrame(rows).with_columns(colour=pl.lit("red")).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet, row 1: .*'colour'"):
        list(read_records(tmp_path / "a.parquet", Problem))
    rows[1]["answer"] = ""
    pl.DataFrame(rows).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet, row 2: .*'answer'"):
        list(read_records(tmp_path / "b.parquet", Problem))


def test_an_unknown_schema_version_is_refused(tmp_path: Path) -> None:
    row = problem(1).model_dump() | {"schema_version": 2}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"row 1: schema_version 2 of Problem is not 1: rebuild the file"):
        list(read_records(tmp_path / "a.jsonl", Problem))


def test_a_malformed_line_stops_the_reading_of_records(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(problem(1).model_dump_json() + "\n{\n")
    with pytest.raises(DataError, match=r"a\.jsonl, row 2: malformed JSON"):
        list(read_records(tmp_path / "a.jsonl", Problem))


def test_an_undecidable_solution_is_refused(tmp_path: Path) -> None:
    row = solution(None).model_dump(mode="json") | {"labels": [StepLabel.OK, StepLabel.UNLABELLED, StepLabel.OK]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match="step 1 is unlabelled although no error comes before it"):
        list(read_records(tmp_path / "a.jsonl", LabelledSolution))


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        shard_paths(tmp_path / "gone")


def test_label_method_may_be_unknown_but_not_left_out() -> None:
    row = solution(None).model_dump()
    assert LabelledSolution.model_validate(row).label_method is None
    assert LabelledSolution.model_validate(row | {"label_method": "human"}).label_method is LabelMethod.HUMAN
    with pytest.raises(ValueError, match="label_method"):
        LabelledSolution.model_validate({key: value for key, value in row.items() if key != "label_method"})


def old_problems(folder: Path, texts: list[str]) -> None:
    """Write a data set as earlier releases did: problems known by their exact text."""
    rows = [{"problem_id": exact_problem_id(text), "problem": text, "answer": "1", "source": "test"} for text in texts]
    shard = folder / "data" / "part-00000.parquet"
    shard.parent.mkdir(parents=True)
    pl.DataFrame([{"schema_version": 1} | row for row in rows], schema=parquet_schema(Problem)).write_parquet(shard)
    write_json(folder / "manifest.json", {"shards": {"data/part-00000.parquet": ""}, "record": "Problem"})


def test_old_ids_of_problems_are_replaced_when_read_and_mentioned_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old_problems(tmp_path / "old", ["Find  $x$.", "find x", "Find y."])
    for _ in range(2):
        one, same, other = read_records(tmp_path / "old", Problem)
        assert one.problem_id == same.problem_id == problem_id("find x") != other.problem_id
    (message,) = caplog.messages
    assert "3 of 3 rows identify their problem by its exact text" in message and "NEW=1" in message


def test_a_folder_that_an_earlier_release_began_is_not_mixed(tmp_path: Path) -> None:
    old_problems(tmp_path, ["What is 0 + 0?"])
    (tmp_path / "manifest.json").unlink()
    row = Problem(problem_id=problem_id("What is 0 + 0?"), problem="What is 0 + 0?", answer="0", source="test")
    with (
        pytest.raises(DataError, match=r"An earlier release started it, .*; build into a new folder"),
        ShardWriter(tmp_path, Problem, resume=True) as writer,
    ):
        writer.write(row)
