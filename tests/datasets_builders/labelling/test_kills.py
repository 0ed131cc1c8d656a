"""Labelling runs that are killed at random moments and resumed end as if nothing had happened."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from judgekit.io import read_records
from judgekit.types import LabelledSolution
from tests.datasets_builders.labelling.labelling_run import counted_solutions, files, run

ROOT = Path(__file__).parents[3]
N_ITEMS, N_CHUNKS, WORKERS = 160, 40, 2


@pytest.mark.parametrize(
    ("seed", "n_kills"), [(1, 3), *(pytest.param(seed, 8, marks=pytest.mark.slow) for seed in range(2, 7))]
)
def test_a_run_killed_at_random_moments_loses_and_doubles_nothing(seed: int, n_kills: int, tmp_path: Path) -> None:
    output, work_log, rng = tmp_path / "out", tmp_path / "log", random.Random(seed)
    work_log.touch()
    for kill in range(n_kills):
        moment = kill_at_random(output, work_log, rng, last=kill == n_kills - 1)
        print(f"seed {seed}, kill {kill}: {moment}, {len(work_log.read_text().split())} items labelled so far")
    assert start(output, work_log).wait(timeout=120) == 0
    run(tmp_path / "straight", counted_solutions(N_ITEMS))
    assert files(output) == files(tmp_path / "straight")
    ids = [record.id for record in read_records(output, LabelledSolution)]
    assert len(ids) == len(set(ids)) == N_ITEMS * 9 // 10
    times = Counter(work_log.read_text().split())
    assert len(times) == N_ITEMS
    print(f"seed {seed}: {times.total() - N_ITEMS} of {N_ITEMS} items labelled again after {n_kills} kills")
    assert times.total() - N_ITEMS <= n_kills * WORKERS * 4, "a kill costs no more than the chunks being labelled"


def test_two_invocations_share_a_run_and_one_takes_over_when_the_other_is_killed(tmp_path: Path) -> None:
    output, logs = tmp_path / "out", [tmp_path / "one", tmp_path / "other"]
    one, other = (start(output, log, workers=1) for log in logs)
    while not all(log.is_file() for log in logs):
        assert one.poll() is None and other.poll() is None, "both take part"
        time.sleep(0.001)
    one.kill()
    assert (one.wait(), other.wait(timeout=120)) == (-signal.SIGKILL, 0)
    run(tmp_path / "straight", counted_solutions(N_ITEMS))
    assert files(output) == files(tmp_path / "straight")
    times = Counter(number for log in logs for number in log.read_text().split())
    assert len(times) == N_ITEMS
    assert times.total() - N_ITEMS in (0, 4), "no chunk is labelled twice but the one of the dead"


def kill_at_random(output: Path, work_log: Path, rng: random.Random, *, last: bool) -> str:
    """Start or resume the run, kill it or one of its workers at a random moment, and say when that was.

    Args:
        output: The run.
        work_log: Its log.
        rng: Draws the moment and the victim.
        last: Let all chunks be finished first, so that the kill falls upon the writing of the result.
    """
    process = start(output, work_log)
    target = N_CHUNKS if last else rng.randint(n_finished(output), n_finished(output) + N_CHUNKS // 4)
    while process.poll() is None and n_finished(output) < target:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.02))
    n_done, running = n_finished(output), workers(process.pid)
    victim = rng.choice([process.pid, *running])
    with contextlib.suppress(ProcessLookupError):  # the run may have just ended
        os.kill(victim, signal.SIGKILL)
    status = process.wait(timeout=60)
    wait_until_gone(running)
    who = "the run" if victim == process.pid else "a worker"
    return f"{who} killed with {n_done} of {N_CHUNKS} chunks finished, exit status {status}"


def start(output: Path, work_log: Path, *, workers: int = WORKERS) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "tests.datasets_builders.labelling.labelling_run",
        str(output),
        "--n",
        str(N_ITEMS),
    ]
    options = ["--workers", str(workers), "--delay", "0.01", "--work-log", str(work_log)]
    return subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def n_finished(output: Path) -> int:
    if (output / "manifest.json").is_file():
        return N_CHUNKS
    return len(list((output / "chunks").glob("*.jsonl")))


def workers(parent: int) -> list[int]:
    """Return the labelling processes of a run."""
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    except FileNotFoundError:
        return []


def wait_until_gone(pids: list[int], *, timeout_s: float = 20.0) -> None:
    """Wait until no process is left; a dead one that nobody has waited for counts as gone."""
    end = time.monotonic() + timeout_s
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < end, f"workers {pids} outlive their run"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
