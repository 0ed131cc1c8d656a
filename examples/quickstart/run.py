"""Runs the stages of the quick start and shows what is being done and how long it takes: `make quickstart`.

    python examples/quickstart/run.py     # from the root of the repository

On a terminal one line is kept up to date; elsewhere a line says now and then how far it is. What the commands print
goes to `runs/quickstart/log.txt`. Interrupted or failed, it goes on where it was when it is run again.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from stages import FOLDER, STAGES, Stage

from judgekit.config import load_config
from judgekit.errors import DataError, JudgekitError, boundary
from judgekit.io import last_words, read_json
from judgekit.run import CONFIG, METRICS, read_rows
from sgpo.compare.config import CompareConfig
from sgpo.compare.run import list_runs

INTERRUPTED = 130
"""Exit status behind Ctrl-C."""
LOG = FOLDER / "log.txt"
POLL_S = 0.5
EVERY_S = 20.0
"""Seconds between two lines where there is no terminal."""
MODULES = {"judgekit": ["-m", "judgekit.cli"], "sgpo": ["-m", "sgpo.cli"], "python": []}
"""How the programs of this environment are called, whatever PATH says."""


def share_done(stage: Stage) -> float | None:
    """Return how much of a training is done, by the rows that it has logged; `None` for other stages.

    So it is where files are damaged: the stage that reads them says so, and what is shown of it does not end it.
    """
    words, output = shlex.split(stage.command), stage.output
    if output is None or words[1] not in ("pretrain", "compare"):
        return None
    try:
        with boundary(DataError, "no progress"):
            return _share_done(words, output)
    except JudgekitError:
        return None


def _share_done(words: list[str], output: Path) -> float:
    if words[1] == "compare":
        runs = list_runs(load_config(CompareConfig, Path(words[2])), output)
        return sum(run.step / (run.n_steps or 1) for run in runs if run.config_file.is_file()) / len(runs)
    if not (output / METRICS).is_file():
        return 0.0
    steps = [row["step"] for row in read_rows(output / METRICS)]
    return max(steps, default=0) / float(read_json(output / CONFIG)["max_steps"])


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds.

    >>> clock(125.4)
    '2:05'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Display:
    """One line on a terminal, elsewhere a line now and then: which stage, for how long, and how long it will take."""

    def __init__(self, console: Console) -> None:
        columns = TextColumn("{task.description}", markup=False), BarColumn(20), TextColumn("{task.fields[clock]}")
        self.progress = Progress(*columns, console=console, transient=True)
        self.task = self.progress.add_task("", total=sum(stage.seconds for stage in STAGES), clock="")
        self.began = self.said = time.monotonic()

    @property
    def passed(self) -> str:
        """The time since the begin."""
        return clock(time.monotonic() - self.began)

    def say(self, text: str) -> None:
        """Print a line that stays, in the log too."""
        self.said = time.monotonic()
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        with LOG.open("a", encoding="utf-8") as log:
            log.write(text + "\n")

    def update(self, number: int, share: float, left_s: float) -> None:
        """Show how far it is.

        Args:
            number: The stage at work, from 0.
            share: How much of it is done.
            left_s: How long it will still take.
        """
        stage = STAGES[number]
        left = clock(left_s + sum(later.seconds for later in STAGES[number + 1 :]))
        what, how_long = f"{number + 1} of {len(STAGES)}: {stage.title}", f"{self.passed}, about {left} to go"
        done_s = sum(before.seconds for before in STAGES[:number]) + stage.seconds * share
        self.progress.update(self.task, description=what, completed=done_s, clock=how_long)
        if not self.progress.console.is_terminal and time.monotonic() - self.said >= EVERY_S:
            self.say(f"{what}, {share:.0%} done, {how_long}")


def run_stage(number: int, display: Display) -> int:
    """Run one stage, counted from 0; returns the exit status of its command."""
    stage, began = STAGES[number], time.monotonic()
    display.say(f"[{display.passed}] {number + 1} of {len(STAGES)}: {stage.title}\n  {stage.command}")
    program, *words = shlex.split(stage.command)
    first, behind = share_done(stage) or 0.0, LOG.stat().st_size
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *MODULES[program], *words],
            stdout=log,
            stderr=subprocess.STDOUT,
            # Bars of libraries: what they say is shown here. And threads that wait for others by spinning, which models
            # so small gain nothing from, and which a machine with other work loses minutes by.
            env={"OMP_NUM_THREADS": "1"} | os.environ | {"TQDM_DISABLE": "1"},
        )
    try:
        while process.poll() is None:
            passed_s, share = time.monotonic() - began, share_done(stage)
            if share is None:  # only the clock tells, and never that all is done
                share = min(passed_s / stage.seconds, 0.95)
                left_s = stage.seconds * (1 - share)
            else:  # at the pace so far, once there is one
                gained = share - first
                left_s = (1 - share) * (passed_s / gained if gained > 0.05 else stage.seconds)
            display.update(number, share, left_s)
            time.sleep(POLL_S)
    finally:  # Ctrl-C has reached it, too, and it stops where it can go on
        if process.poll() is None:
            process.terminate()
            process.wait()
    if stage is STAGES[-1] and not process.returncode:  # the headline
        display.progress.stop()
        print(LOG.read_bytes()[behind:].decode(errors="replace"), end="")
    return process.returncode


def main() -> int:
    """Run all stages; returns the exit status."""
    if not Path("configs/quickstart").is_dir():
        print("error: configs/quickstart is not here: run this from the root of the repository", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    display = Display(Console())
    minutes = round(sum(stage.seconds for stage in STAGES) / 60)
    display.say(f"The quick start: about {minutes} minutes on two quiet CPU cores. What the commands print: {LOG}")
    with display.progress:
        for number, stage in enumerate(STAGES):
            try:
                status = run_stage(number, display)
            except KeyboardInterrupt:
                status = INTERRUPTED
            if status == INTERRUPTED:  # the command may have heard of it first
                display.say(f"[{display.passed}] interrupted: what is finished is kept, and make quickstart goes on")
            elif status:
                command = stage.command.split(" --")[0]
                display.say(f"error: {command} ended with status {status}, see {LOG}: {last_words(LOG)}")
            if status:
                return status
    display.say(f"[{display.passed}] done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
