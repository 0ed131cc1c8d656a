"""The runs of a comparison: one process for each arm with each seed, so many at a time. Imports no torch.

Processes cannot share state, and one that fails takes no other with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from judgekit.io import read_json
from judgekit.reading.rows import read_jsonl
from judgekit.run import MANIFEST, METRICS
from sgpo.compare.config import CompareConfig

POLL_S = 0.5


class ArmRun(NamedTuple):
    """One arm with one seed."""

    arm: str
    """Name of the arm."""
    seed: int
    """Seed of the run."""
    folder: Path
    """Its run folder; the configuration and the log lie beside it, as `.json` and `.log`."""

    @property
    def log(self) -> Path:
        """What the run printed."""
        return self.folder.with_name(self.folder.name + ".log")

    @property
    def config_file(self) -> Path:
        """Its resolved configuration."""
        return self.folder.with_name(self.folder.name + ".json")

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        manifest = self.folder / MANIFEST
        return manifest.is_file() and "finished" in read_json(manifest)

    @property
    def step(self) -> int:
        """Optimiser steps logged so far."""
        return max((row["step"] for row in self.rows()), default=0)

    def rows(self) -> list[dict[str, Any]]:
        """Rows of `metrics.jsonl`; a line that is only half written is left out."""
        path = self.folder / METRICS
        if not path.is_file() or not path.stat().st_size:
            return []
        return [row for _, row in read_jsonl(path) if isinstance(row, dict)]


def train_runs(runs: Sequence[ArmRun], config: CompareConfig) -> list[str]:
    """Train the unfinished runs, `config.workers` at a time, and return a complaint for each that failed."""
    waiting = [run for run in runs if not run.finished]
    active: dict[ArmRun, subprocess.Popen[bytes]] = {}
    failures: dict[ArmRun, str] = {}
    with _progress(runs, config.base.max_steps) as tasks, _ended_with_us(active):
        while waiting or active:
            while waiting and len(active) < config.workers:
                run = waiting.pop(0)
                active[run] = _start(run, threads=config.threads)
            time.sleep(POLL_S)
            for run in [run for run, process in active.items() if process.poll() is not None]:
                status = active.pop(run).returncode
                if status or not run.finished:
                    lines = run.log.read_text(encoding="utf-8", errors="replace").split("\n")
                    # Progress bars write over their line; what stands last is what was said last.
                    said = [line.split("\r")[-1] for line in lines if line.strip()] or ["it printed nothing"]
                    failures[run] = f"{run.folder.name} ended with status {status}, see {run.log}: {said[-1]}"
            for run, (progress, task) in tasks.items():
                progress.update(task, completed=run.step)
    return [failures[run] for run in runs if run in failures]  # in the order of the runs, whichever ended first


def _start(run: ArmRun, *, threads: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "sgpo.cli",
        "online",
        str(run.config_file),
        "--output",
        str(run.folder),
        "--resume",
    ]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)) | {"TOKENIZERS_PARALLELISM": "false"}
    with run.log.open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | limits)


@contextmanager
def _ended_with_us(active: Mapping[ArmRun, subprocess.Popen[bytes]]) -> Iterator[None]:
    """Leave no run behind when the comparison is interrupted."""
    try:
        yield
    finally:
        for process in active.values():
            process.terminate()
        for process in active.values():
            process.wait()


@contextmanager
def _progress(runs: Sequence[ArmRun], n_steps: int) -> Iterator[dict[ArmRun, tuple[Progress, TaskID]]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield {run: (progress, progress.add_task(run.folder.name, total=n_steps)) for run in runs}
