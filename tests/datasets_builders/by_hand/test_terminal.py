"""Labelling in a terminal: what is typed, what is shown, and a kill at any moment."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from judgekit.io import read_records
from judgekit.types import LabelledSolution
from judgekit_datasets.by_hand.terminal import label_in_terminal
from tests.datasets_builders.by_hand.work import opened, write_solutions


def typed_into(folder: Path, typed: str, **options: object) -> str:
    """Type lines and return what the terminal showed."""
    shown = io.StringIO()
    with opened(folder, **options) as work:
        label_in_terminal(work, typed=io.StringIO(typed), console=Console(file=shown, width=100))
    return shown.getvalue()


def test_lines_become_labels(tmp_path: Path) -> None:
    shown = typed_into(tmp_path, "7\nx\n2\ne an odd one\nn\ns\nu\nu\nf\n0\nq\nn\n")
    records = list(read_records(tmp_path / "out" / "labelled", LabelledSolution))
    assert sorted(str(record.first_error) for record in records) == ["0", "2"]
    assert "there is no step 7: choose one of 0..2" in shown
    assert "You had: skipped." in shown
    assert "You had: no error. Note: an odd one" in shown
    assert "more labels: after 10 labels" in shown
    assert typed_into(tmp_path, "n\n" * 9, resume=True).endswith("Everything is labelled.\n")


def test_hostile_texts_are_shown_as_characters(tmp_path: Path) -> None:
    write_solutions(tmp_path / "rows.jsonl", hostile=True)
    shown = typed_into(tmp_path, "")
    assert "\\x1b[2J\\u202e" in shown.replace("\n", "") and "<img src=x" in shown
    assert not {"\x1b", "\u202e"} & {*shown}


class Terminal:
    """`judgekit label` in a terminal of its own."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.end, inside = pty.openpty()
        command = [sys.executable, "-m", "judgekit.cli", "label", "--input", str(folder / "rows.jsonl")]
        command += ["--output", str(folder / "out"), *more]
        # The terminal of its session, so that Ctrl-C reaches it; and a child of a background job ignores Ctrl-C.
        take = "import fcntl, os, signal, sys, termios; signal.signal(2, signal.SIG_DFL)\n"
        take += "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-c", take, *command]
        self.process = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, start_new_session=True)
        os.close(inside)

    def until(self, text: str) -> str:
        """Read until a text is shown."""
        shown = ""
        while text not in shown:
            assert select.select([self.end], [], [], 120)[0], f"waited for {text!r}, got {shown!r}"
            shown += os.read(self.end, 65536).decode()
        return shown

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())


def test_a_killed_terminal_loses_no_label(tmp_path: Path) -> None:
    write_solutions(tmp_path / "rows.jsonl")
    terminal = Terminal(tmp_path)
    terminal.until("?, q> ")
    for number, answer in enumerate(("1", "n", "2")):
        terminal.type(f"{answer}\n")
        terminal.until(f"labelled {number + 1} of 8")
    os.kill(terminal.process.pid, signal.SIGKILL)
    terminal.process.wait()
    os.close(terminal.end)
    assert not (tmp_path / "out" / "labelled").exists()

    terminal = Terminal(tmp_path, "--resume")
    assert "labelled 3 of 8" in terminal.until("?, q> ")
    terminal.type("\x03")
    terminal.until("3 labelled solutions: ")
    assert terminal.process.wait() == 0
    os.close(terminal.end)
    records = list(read_records(tmp_path / "out" / "labelled", LabelledSolution))
    assert sorted(str(record.first_error) for record in records) == ["1", "2", "None"]
