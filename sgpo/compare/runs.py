"""The runs of a comparison: one process per arm and seed, `workers` at a time. Imports no torch.

Processes cannot share state, and a failure in one does not affect the others.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from judgekit.io import last_words, read_json
from judgekit.progress import Progress
from judgekit.run import MANIFEST, METRICS, is_training, read_rows
from sgpo.compare.config import Command

logger = logging.getLogger(__name__)

POLL_S = 0.5


class ArmRun(NamedTuple):
    """One arm with one seed."""

    arm: str
    """Name of the arm."""
    seed: int
    """Seed of the run."""
    folder: Path
    """Its run folder; the configuration and the log are next to it, as `.json` and `.log`."""
    command: Command = "online"
    """The `sgpo` command that runs it."""

    @property
    def log(self) -> Path:
        """The output that the run printed."""
        return self.folder.with_name(self.folder.name + ".log")

    @property
    def config_file(self) -> Path:
        """Its resolved configuration."""
        return self.folder.with_name(self.folder.name + ".json")

    @property
    def finished(self) -> bool:
        """Whether the run has finished."""
        manifest = self.folder / MANIFEST
        return manifest.is_file() and "finished" in read_json(manifest)

    @property
    def step(self) -> int:
        """Optimiser steps logged so far."""
        return max((row["step"] for row in self.rows()), default=0)

    @property
    def n_steps(self) -> int | None:
        """Optimiser steps of the whole run; `None` until an offline run has counted the steps that its groups make."""
        if self.command == "online":
            return int(read_json(self.config_file)["max_steps"])
        return next((int(row["prepare/steps"]) for row in self.rows() if "prepare/steps" in row), None)

    @property
    def last_words(self) -> str:
        """The last lines of its log."""
        return last_words(self.log)

    def rows(self) -> list[dict[str, Any]]:
        """Rows of `metrics.jsonl`; a half-written line is left out."""
        path = self.folder / METRICS
        return read_rows(path) if path.is_file() and path.stat().st_size else []


def train_runs(
    runs: Sequence[ArmRun], *, workers: int, threads: int, on_finished: Callable[[ArmRun], None] = lambda run: None
) -> list[str]:
    """Train the unfinished runs, `workers` at a time, and return a message for each that failed.

    If a comparison was killed and left a run training, it waits for that run.

    Args:
        runs: The runs; their configurations have been written.
        workers: Runs at the same time.
        threads: CPU threads per run.
        on_finished: Called with each run that finishes.
    """
    waiting = [run for run in runs if not run.finished]
    active: dict[ArmRun, subprocess.Popen[bytes]] = {}
    failures: dict[ArmRun, str] = {}
    for name in [run.folder.name for run in waiting if is_training(run.folder)]:
        logger.info("%s is still training, left by a comparison that was killed: waiting for it", name)
    if waiting:
        logger.info("each run writes a log of its own beside its folder, for example %s", waiting[0].log)
    with Progress("runs", len(runs), done=len(runs) - len(waiting)) as progress, _ended_with_us(active):
        while waiting or active:
            while len(active) < workers and (run := next((it for it in waiting if not is_training(it.folder)), None)):
                waiting.remove(run)
                active[run] = _start(run, threads=threads)
            time.sleep(POLL_S)
            at = [f"{run.folder.name} at step {run.step or 0} of {run.n_steps or '?'}" for run in active]
            progress.advance(0, note=", ".join(at))
            for run in list(active):
                if active[run].poll() is None:
                    continue
                status = active.pop(run).returncode
                if status or not run.finished:
                    failures[run] = f"{run.folder.name} ended with status {status}, see {run.log}: {run.last_words}"
                    logger.warning(failures[run])  # at once: the other runs may take hours
                else:
                    on_finished(run)
                progress.advance()
    return [failures[run] for run in runs if run in failures]  # in the order of the runs, not of their failures


def _start(run: ArmRun, *, threads: int) -> subprocess.Popen[bytes]:
    module = [sys.executable, "-m", "sgpo.cli", run.command]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)) | {"TOKENIZERS_PARALLELISM": "false"}
    with run.log.open("ab") as log:
        return subprocess.Popen(
            [*module, str(run.config_file), "--output", str(run.folder), "--resume"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | limits,
        )


@contextmanager
def _ended_with_us(active: Mapping[ArmRun, subprocess.Popen[bytes]]) -> Iterator[None]:
    """Stop all runs when the comparison is interrupted, by Ctrl-C or, in a main thread, by SIGTERM."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)  # the exit status that a shell reports

    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, end) if is_main else None
    try:
        yield
    finally:
        for process in active.values():
            process.terminate()
        for process in active.values():
            process.wait()
        if is_main:
            signal.signal(signal.SIGTERM, before)
