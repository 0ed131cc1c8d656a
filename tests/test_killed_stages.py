"""Every stage is stopped at any moment, and ends as if it had not been; what it must not touch is refused alike.

A kill is played by copies of the folder, taken before every renaming and removing of one straight run: what a killed
process leaves at that moment. Full disks, other options, other inputs and folders of something else are played too.
Real signals to real processes are in the tests of `build`, labelling, judging, training and evaluation.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import judgekit.io
from judgekit.cli import COMMANDS
from sgpo.cli import COMMANDS as SGPO_COMMANDS
from tests.stages import NO_FOLDER, STAGES, run_stage, write_inputs

N_KILLS = 3
FOREIGN = "holds files of something else"
TIMES = re.compile(r"started|finished|seconds|second$|_per_s$|_time|_runtime|memory|git$|commit|total_flos|created")
"""Names of what no two runs share."""
OPAQUE = {".pt", ".pth", ".bin", ".html", ".png", ".log"}
"""Kinds of files that hold times or memory layouts among the rest: their presence is compared alone."""
SLOW = {"compare"}
"""Trains in two processes that import torch first, 20 s a run."""
NOT_RESUMED = {"calibrate", "cascade", "ensemble", "prior"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stages")
    write_inputs(root)
    return root


@pytest.fixture
def root(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(inputs / "in", tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Moments:
    """Copies of `out` at each moment of a run at which a kill would leave something else, and the count of files."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.n = self.n_synced = 0
        for module, name in ((os, "replace"), (os, "rename"), (shutil, "rmtree")):
            monkeypatch.setattr(module, name, self._noting(getattr(module, name)))
        fsync = os.fsync
        monkeypatch.setattr(judgekit.io.os, "fsync", lambda file: (self._count(), fsync(file)))

    def _count(self) -> None:
        self.n_synced += 1

    def _noting(self, function: Any) -> Any:
        def note(*args: Any, **options: Any) -> Any:
            if Path("out").is_dir():
                shutil.copytree("out", self.folder / str(self.n), symlinks=True)
                self.n += 1
            return function(*args, **options)

        return note

    def restore(self, moment: int) -> None:
        clear()
        shutil.copytree(self.folder / str(moment), "out", symlinks=True)


def clear() -> None:
    if Path("out").exists():
        shutil.rmtree("out")


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if not TIMES.search(str(key))}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def contents() -> dict[str, Any]:
    """Return what is in every file of `out`, hidden ones of killed writers aside."""
    found: dict[str, Any] = {}
    for path in sorted(Path("out").rglob("*")):
        if path.is_dir() or path.name.endswith(".partial"):
            continue
        elif path.suffix in OPAQUE or path.name in {"README.md", "compare.md"}:
            found[str(path)] = None
        elif path.suffix == ".json":
            found[str(path)] = without_times(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            found[str(path)] = [without_times(json.loads(line)) for line in path.read_text().splitlines()]
        else:
            found[str(path)] = path.read_bytes()
    return found


def test_every_command_is_led_through_or_has_a_reason() -> None:
    """A command added later needs a stage in `tests.stages`."""
    assert {*STAGES, *NO_FOLDER} == {*COMMANDS.names(), *SGPO_COMMANDS.names()}
    assert not STAGES.keys() & NO_FOLDER.keys()


def refused(name: str, *more: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a stage that must be refused, and return the one line it says."""
    capsys.readouterr()
    assert run_stage(name, *more) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in STAGES])
def test_a_stage_that_was_stopped_ends_as_if_it_had_not_been(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage, rng = STAGES[name], random.Random(name)
    resume = () if name in NOT_RESUMED else ("--resume",)
    with monkeypatch.context() as patch:
        moments = Moments(root / "moments", patch)
        assert run_stage(name) == 0
    straight = contents()
    in_use = refused(name, capsys=capsys) if name != "calibrate" else FOREIGN
    assert (FOREIGN if name in NOT_RESUMED else "already holds a run: add --resume to continue it") in in_use
    if resume:
        assert run_stage(name, *resume) == 0
        assert contents() == straight, "a finished one is left as it is"

    for moment in sorted({*rng.sample(range(moments.n), min(N_KILLS, moments.n)), moments.n - 1}):
        moments.restore(moment)
        card = Path("out/judge.json")
        if name == "calibrate" and card.is_file() and json.loads(card.read_text())["calibrator"] is not None:
            continue  # the card is written, so calibrating again is another calibration
        assert run_stage(name, *resume) == 0, (moment, moments.n)
        assert contents() == straight, (moment, moments.n)

    clear()
    left, fsync = [rng.randrange(moments.n_synced)], os.fsync

    def full_disk(file: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    with monkeypatch.context() as patch:
        patch.setattr(judgekit.io.os, "fsync", full_disk)
        assert re.search(r"cannot write .*No space left on device.* Free the space", refused(name, capsys=capsys))
    assert run_stage(name, *resume) == 0
    assert contents() == straight

    folder = Path("out/a" if name == "split" else "out")
    if resume:
        assert stage.input is not None
        moments.restore(moments.n - 1)
        assert "already holds a run: add --resume to continue it" in refused(name, capsys=capsys)
        before = contents()
        assert "the configuration differs in" in refused(name, *resume, *stage.option, capsys=capsys)
        change(Path(stage.input))
        assert re.search(r"cannot resume \S*out\S*: inputs changed: ", refused(name, *resume, capsys=capsys))
        assert contents() == before, "what is refused is left as it is"
    clear()
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("kept")
    assert f"{FOREIGN}, for example thesis.tex: choose another --output" in refused(name, *resume, capsys=capsys)
    clear()
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("kept")
    assert "is a file, but a run needs a folder: choose another --output" in refused(name, *resume, capsys=capsys)
    assert folder.read_text() == "kept"
    folder.unlink()


def change(path: Path) -> None:
    """Change an input so that it can still be read."""
    if path.suffix == ".jsonl":
        path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
        return
    import polars as pl

    pl.read_parquet(path)[1:].write_parquet(path)
