"""Labelling runs: what they write, and that it is the same whoever labels, whatever fails and whenever."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from judgekit.errors import ConfigError, DataError, JudgeError
from judgekit.io import read_records
from judgekit.store import claim
from judgekit.types import LabelledSolution
from judgekit_datasets.labelling.chunks import CHUNK_DIR, Chunk, open_labels
from tests.datasets_builders.labelling.labelling_run import (
    CountingLabeller,
    CountingLabelsConfig,
    counted_solutions,
    files,
    run,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture
def straight(tmp_path: Path) -> Path:
    """Return the output of an undisturbed run over 30 solutions."""
    run(tmp_path / "straight", counted_solutions(30))
    return tmp_path / "straight"


def test_records_and_rejected_rows_keep_the_order_of_the_items(tmp_path: Path) -> None:
    items = counted_solutions(11)
    report = run(tmp_path / "out", [*items, items[2]], labeller={"work_log": tmp_path / "log"})
    assert (tmp_path / "log").read_text().split() == [str(k) for k in range(11)], "the duplicate costs nothing"
    records = list(read_records(tmp_path / "out", LabelledSolution))
    assert [(record.problem, record.first_error) for record in records] == [
        ("Count to 0.", 0), ("Count to 1.", 1), ("Count to 2.", 2), ("Count to 3.", None), ("Count to 4.", 0),
        ("Count to 5.", 1), ("Count to 6.", 2), ("Count to 7.", None), ("Count to 8.", 0), ("Count to 10.", 2),
    ]  # fmt: skip
    rejected = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert [(row["row"], row["id"], row["reason"], row["detail"]) for row in rejected] == [
        (10, items[9].id, "every tenth", "9"),
        (12, items[2].id, "duplicate", "duplicate of row 3"),
    ]
    assert rejected[0]["raw"]["problem"] == "Count to 9."
    assert (report.rows_read, report.rows_accepted, report.n_records) == (12, 10, 10)
    assert report.rejected == {"every tenth": 1, "duplicate": 1}
    assert report.first_errors == {"none": 2, "0": 3, "1": 2, "2": 3}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json", "data", "manifest.json", "rejected.jsonl",
    ]  # fmt: skip


def test_a_finished_run_does_no_work_again(tmp_path: Path) -> None:
    log, items = tmp_path / "log", counted_solutions(9)
    first = run(tmp_path / "out", items, labeller={"work_log": log})
    before = files(tmp_path / "out")
    assert run(tmp_path / "out", items, labeller={"work_log": log}, resume=True) == first
    assert log.read_text().split() == [str(k) for k in range(9)]
    assert files(tmp_path / "out") == before


def test_a_folder_in_use_is_not_written_to_without_resume(straight: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="add --resume"):
        run(straight, counted_solutions(30))
    (tmp_path / "other/data").mkdir(parents=True)
    with pytest.raises(ConfigError, match="holds files of something else, for example data"):
        run(tmp_path / "other", counted_solutions(3), resume=True)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["data"]


def test_other_settings_items_and_inputs_are_named(tmp_path: Path) -> None:
    data, items = tmp_path / "data.jsonl", counted_solutions(6)
    data.write_text("{}\n")
    with pytest.raises(JudgeError):
        run(tmp_path / "out", items, inputs=[data], labeller={"fail_at": 5})
    with pytest.raises(ConfigError, match=r"config\.shift: 0 -> 1"):
        run(tmp_path / "out", items, inputs=[data], config=CountingLabelsConfig(shift=1), resume=True)
    with pytest.raises(DataError, match=r"inputs changed: items\.n: 6 -> 5"):
        run(tmp_path / "out", items[:5], inputs=[data], resume=True)
    data.write_text("{} \n")
    with pytest.raises(DataError, match=r"inputs changed: data\.jsonl"):
        run(tmp_path / "out", items, inputs=[data], resume=True)


def test_an_engine_that_fails_stops_the_run_and_keeps_finished_chunks(straight: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(JudgeError, match="the server is gone"):
        run(tmp_path / "out", counted_solutions(30), labeller={"fail_at": 13, "work_log": log})
    stored = list((tmp_path / "out/chunks").glob("*.jsonl"))
    assert len(stored) == 3
    rows = [json.loads(line) for line in stored[0].read_text().splitlines()]
    rows = [{key: value for key, value in row.items() if value not in (None, "")} for row in rows]
    stored[0].with_name("chunk-000001.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stored[0].unlink()  # an earlier release named and wrote it so
    assert not (tmp_path / "out/manifest.json").exists()
    log.unlink()
    run(tmp_path / "out", counted_solutions(30), labeller={"work_log": log}, resume=True)
    assert log.read_text().split() == [str(k) for k in range(12, 30)]
    assert files(tmp_path / "out") == files(straight)


def test_a_run_that_fails_at_once_can_be_begun_anew_with_other_settings(tmp_path: Path) -> None:
    with pytest.raises(JudgeError):
        run(tmp_path / "out", counted_solutions(5), labeller={"fail_at": 0})
    report = run(tmp_path / "out", counted_solutions(5), config=CountingLabelsConfig(shift=1))
    assert report.first_errors == {"none": 1, "0": 3, "1": 1}


def test_a_run_without_items_workers_or_records_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to label"):
        run(tmp_path / "none", [])
    with pytest.raises(ConfigError, match="workers=0: give 1 or more"):
        run(tmp_path / "none", counted_solutions(3), workers=0)
    with pytest.raises(DataError, match="every item was rejected"):
        run(tmp_path / "out", counted_solutions(20)[9::10])
    assert len((tmp_path / "out/rejected.jsonl").read_text().splitlines()) == 2


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ConfigError, match="file is a file, but a run needs a folder"):
        run(tmp_path / "file", counted_solutions(3))
    with pytest.raises(DataError, match=r"cannot make the folder .*below: .*Choose another output"):
        run(tmp_path / "file/below", counted_solutions(3))
    assert (tmp_path / "file").read_text() == "kept"


def test_a_relative_output_is_one_folder_wherever_a_worker_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    run(Path("out"), counted_solutions(9), labeller={"folder": tmp_path / "elsewhere"})
    assert len(list(read_records(tmp_path / "out", LabelledSolution))) == 9
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    with pytest.raises(JudgeError):
        run(tmp_path / "out", counted_solutions(8), labeller={"fail_at": 7})
    (chunk,) = (tmp_path / "out/chunks").glob("*.jsonl")
    content = chunk.read_text()
    for damaged in (content[:-40], content.replace('"reason"', '"raisin"').replace('"records"', '"wreckords"')):
        chunk.write_text(damaged)
        with pytest.raises(DataError, match=rf"{chunk.name}, row \d is damaged.* Remove the file"):
            run(tmp_path / "out", counted_solutions(8), resume=True)
    chunk.write_text("".join(content.splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match=f"{chunk.name} lacks labels of its items: remove it"):
        run(tmp_path / "out", counted_solutions(8), resume=True)
    chunk.unlink()
    assert run(tmp_path / "out", counted_solutions(8), resume=True).n_records == 8


def test_workers_that_fail_or_die_stop_the_run_which_then_ends_as_if_one_process_had_done_all(
    straight: Path, tmp_path: Path
) -> None:
    with pytest.raises(JudgeError, match="the server is gone"):
        run(tmp_path / "out", counted_solutions(30), workers=2, labeller={"fail_at": 9})
    with pytest.raises(JudgeError, match="a labelling worker was killed"):
        run(tmp_path / "out", counted_solutions(30), workers=2, labeller={"die_at": 29}, resume=True)
    report = run(tmp_path / "out", counted_solutions(30), workers=2, resume=True)
    assert report.n_records == 27
    assert files(tmp_path / "out") == files(straight)


def test_a_chunk_belongs_to_one_process_until_that_dies(tmp_path: Path) -> None:
    chunk = Chunk(tmp_path, 0, counted_solutions(3))
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    assert chunk.label(CountingLabeller) is None
    with claim(tmp_path / CHUNK_DIR, 2) as claimed:
        assert claimed, "another chunk is free"
    with claim(tmp_path / CHUNK_DIR, None) as claimed:
        assert not claimed, "somebody is at work"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert chunk.label(CountingLabeller) == 0
    assert len(open_labels(tmp_path).items) == 3


def test_a_full_disk_leaves_finished_chunks_and_a_way_out(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("needs user namespaces, to mount a small disk")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-e", "-c", _ON_A_SMALL_DISK, "sh", sys.executable, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr and "Free the space" in done.stderr
    n_before = int((tmp_path / "n_chunks").read_text())
    assert 3 <= n_before < 100
    assert len((tmp_path / "log").read_text().split()) == 400 + 4, "only the chunk at which it was full is done again"
    run(tmp_path / "straight", counted_solutions(400))
    assert files(tmp_path / "disk/out") == files(tmp_path / "straight")


_ON_A_SMALL_DISK = """
python=$1 here=$2 run="-m tests.datasets_builders.labelling.labelling_run"
mkdir $here/small $here/disk
mount -t tmpfs -o size=64k tmpfs $here/small
! $python $run $here/small/out --n 400 --work-log $here/log
ls $here/small/out/chunks/*.jsonl | wc -l > $here/n_chunks
mount -o remount,size=8m $here/small
$python $run $here/small/out --n 400 --work-log $here/log
cp -r $here/small/out $here/disk/
"""
"""Fills a small disk, makes it larger and resumes; the disk is gone when this ends, so the result is copied."""


def test_a_shard_that_cannot_be_written_leaves_every_chunk(tmp_path: Path) -> None:
    command = (
        f"ulimit -f 3 && {sys.executable} -m tests.datasets_builders.labelling.labelling_run {tmp_path}/out --n 400"
    )
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "File too large" in done.stderr and "then resume" in done.stderr
    assert len(list((tmp_path / "out/chunks").glob("*.jsonl"))) == 100
    assert not list((tmp_path / "out").rglob(".*.partial"))
    run(tmp_path / "out", counted_solutions(400), labeller={"fail_at": 0}, resume=True)
    assert len(list(read_records(tmp_path / "out", LabelledSolution))) == 360


_HOLD = """
import multiprocessing, sys, time
from pathlib import Path
from judgekit.store import claim

with claim(Path(sys.argv[1]) / "chunks", 1) as claimed:
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(3,), daemon=True).start()
    print("held" if claimed else "refused", flush=True)
    time.sleep(60)
"""
"""Holds a chunk, with a forked child that outlives it, as a pool of checking processes may."""
