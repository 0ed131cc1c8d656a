"""What a store promises: nothing finished is lost or made twice, whatever happens to the process or the disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from judgekit.errors import DataError
from judgekit.store import Store


class Item(BaseModel):
    name: str
    value: int = 0


def store(folder: Path) -> Store[Item]:
    return Store(folder, Item, key=lambda item: item.name)


def test_items_are_found_again_by_whoever_opens_the_folder(tmp_path: Path) -> None:
    first = store(tmp_path / "new")
    first.add([Item(name="a", value=1), Item(name="b\u2028", value=2)])
    other = store(tmp_path / "new")  # a second worker
    other.add([Item(name="c", value=3)])
    first.add([Item(name="d", value=4)])
    again = store(tmp_path / "new")
    assert {key: item.value for key, item in again.items.items()} == {"a": 1, "b\u2028": 2, "c": 3, "d": 4}
    assert "c" in again and "e" not in again


def test_a_batch_that_two_workers_made_is_there_once(tmp_path: Path) -> None:
    for worker in (store(tmp_path), store(tmp_path)):
        worker.add([Item(name="a", value=1)])
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_what_stops_a_batch_loses_nothing_that_was_there(
    failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(tmp_path).add([Item(name="a", value=1)])

    def fail(*args: object, **options: object) -> None:
        raise failure

    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else DataError
    with monkeypatch.context() as patch, pytest.raises(expected):
        patch.setattr(Path, "replace", fail)
        patch.setattr(os, "replace", fail)
        store(tmp_path).add([Item(name="b", value=2)])
    assert [*store(tmp_path).items] == ["a"]


WORKER = """
import os, signal, sys
from pathlib import Path
from tests.judgekit.test_store import Item, store

folder, kill_at, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
replace, n = os.replace, 0


def counted(*paths, **options):
    global n
    n += 1
    if n == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(*paths, **options)


os.replace = Path.replace = counted
items = store(folder)
for name in names:
    if name not in items:
        items.add([Item(name=name), Item(name=name + "2")])
"""


def work(folder: Path, *names: str, kill_at: int = 0) -> subprocess.Popen[bytes]:
    """Start a process that adds a batch a name, and is killed at the renaming of its file number `kill_at`."""
    return subprocess.Popen([sys.executable, "-c", WORKER, str(folder), str(kill_at), *names])


def test_a_killed_process_leaves_all_of_a_batch_or_none(tmp_path: Path) -> None:
    assert work(tmp_path, "a", "b", "c", kill_at=2).wait() == -signal.SIGKILL
    assert [*store(tmp_path).items] == ["a", "a2"]
    assert work(tmp_path, "a", "b", "c").wait() == 0
    assert sorted(store(tmp_path).items) == ["a", "a2", "b", "b2", "c", "c2"]
    assert len([*tmp_path.glob("part-*")]) == 3, "what was there is not written again"


def test_processes_share_a_folder(tmp_path: Path) -> None:
    workers = [work(tmp_path, *names) for names in ("abcdefgh", "hgfedcba", "ijk")]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert sorted(store(tmp_path).items) == sorted(name + end for name in "abcdefghijk" for end in ("", "2"))
    assert len([*tmp_path.iterdir()]) == 11, "one file a batch, and nothing half made"


@pytest.mark.parametrize("damage", ['{"name": "x"', '{"title": "x"}', "[]"])
def test_a_damaged_file_is_named(damage: str, tmp_path: Path) -> None:
    (tmp_path / "part-00000.jsonl").write_text('{"name": "a"}\n' + damage + "\n")
    with pytest.raises(DataError, match=r"part-00000\.jsonl, row 2 is damaged: .* Remove the file and resume"):
        store(tmp_path)


def test_files_of_earlier_releases_are_read_and_others_left_alone(tmp_path: Path) -> None:
    (tmp_path / "part-00000.jsonl").write_text('{"name": "a"}\n')
    (tmp_path / "chunk-00003.jsonl").write_text('{"name": "b"}\n')
    (tmp_path / "traceback.txt").write_text("no item")
    assert sorted(store(tmp_path).items) == ["a", "b"]


def test_reading_is_linear_work(tmp_path: Path) -> None:
    def n_calls(n: int) -> int:
        folder, calls = tmp_path / str(n), 0
        folder.mkdir()
        for start in range(0, n, 100):
            rows = (f'{{"name": "{i}", "value": 1}}\n' for i in range(start, start + 100))
            (folder / f"chunk-{start:06d}.jsonl").write_text("".join(rows))

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count)
        try:
            assert len(store(folder).items) == n
        finally:
            sys.setprofile(None)
        return calls

    assert n_calls(4000) < 11 * n_calls(400)
