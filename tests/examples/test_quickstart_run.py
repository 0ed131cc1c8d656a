"""The driver of the quick start, with stages of a moment: what it shows, where it logs, and how it ends."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import judgekit.cli
import sgpo.cli
from judgekit.io import write_json

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples/quickstart"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, in a folder of its own."""
    monkeypatch.syspath_prepend(str(QUICKSTART))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs/quickstart").mkdir(parents=True)
    handler = signal.getsignal(signal.SIGTERM)
    yield importlib.import_module("run")
    signal.signal(signal.SIGTERM, handler)
    for name in ("run", "stages"):
        del sys.modules[name]


def stages(driver: Any, *scripts: str) -> tuple[Any, ...]:
    return tuple(driver.Stage(f"stage {script}", 5.0, f"python -c {shlex.quote(script)}") for script in scripts)


def test_it_says_which_stage_runs_with_its_command_and_ends_with_the_headline(
    driver: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(driver, "STAGES", stages(driver, "print('of the log')", "print('SGPO less GRPO')"))
    assert driver.main() == 0
    said, log = capsys.readouterr().out, Path("runs/quickstart/log.txt").read_text()
    assert "[0:00] 1 of 2: stage print('of the log')" in said and "  python -c" in said
    assert "of the log\n" not in said and "\nof the log\n" in log
    assert "\nSGPO less GRPO\n" in said and said.rstrip().endswith("done")


def test_a_failure_ends_it_with_its_status_and_what_was_said_last(
    driver: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripts = stages(driver, "import sys; print('the disk is full'); sys.exit(3)", "print('never')")
    monkeypatch.setattr(driver, "STAGES", scripts)
    assert driver.main() == 3
    said = capsys.readouterr().out
    assert "ended with status 3, see runs/quickstart/log.txt: the disk is full" in said and "never\n" not in said


def test_an_interrupt_ends_the_command_and_says_that_it_can_go_on(tmp_path: Path) -> None:
    """In a process of its own, which is sent what Ctrl-C sends."""
    (tmp_path / "configs/quickstart").mkdir(parents=True)
    script = (
        f"import sys; sys.path.insert(0, {str(QUICKSTART)!r}); import run; "
        "run.STAGES = (run.Stage('waits', 5.0, 'python -c \"import time; print(1, flush=True); time.sleep(60)\"'),); "
        "sys.exit(run.main())"
    )
    driver = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    log = tmp_path / "runs/quickstart/log.txt"
    while not (log.is_file() and "\n1\n" in log.read_text()):
        assert driver.poll() is None
        time.sleep(0.05)
    driver.send_signal(signal.SIGINT)
    said, _ = driver.communicate(timeout=30)
    assert driver.returncode == 130 and "what is finished is kept, and make quickstart goes on" in said


def test_how_much_of_a_training_is_done(driver: Any) -> None:
    stage = driver.Stage("a base", 5.0, "judgekit pretrain base.yaml --output runs/base --resume")
    assert driver.share_done(stage) == 0.0
    run = Path("runs/base")
    write_json(run / "config.json", {"max_steps": 400})
    (run / "metrics.jsonl").write_text("".join(json.dumps({"step": step}) + "\n" for step in (50, 100)) + '{"ste')
    assert driver.share_done(stage) == 0.25
    for damaged in (b"\xff\x00", b'{"loss": 1}\n'):  # the stage tells, and not in a traceback of what shows it
        (run / "metrics.jsonl").write_bytes(damaged)
        assert driver.share_done(stage) is None
    assert driver.share_done(driver.Stage("data", 1.0, "judgekit build procedural --output runs/base")) is None


@pytest.mark.parametrize("program", ["judgekit", "sgpo"])
def test_its_commands_are_commands(driver: Any, program: str) -> None:
    """Each is parsed as it stands, with the configuration that it names."""
    commands = {"judgekit": judgekit.cli.COMMANDS, "sgpo": sgpo.cli.COMMANDS}[program]
    os.symlink(ROOT / "configs/quickstart", "configs/quickstart/of")
    parsed = 0
    for stage in driver.STAGES:
        name, *words = shlex.split(stage.command)
        if name == program:
            command = commands.load(words[0])
            args = command.parse(
                name, [word.replace("configs/quickstart", "configs/quickstart/of") for word in words[1:]]
            )
            if command.config is not None:
                command.read_config(args)
            parsed += 1
    assert parsed == {"judgekit": 12, "sgpo": 1}[program]
