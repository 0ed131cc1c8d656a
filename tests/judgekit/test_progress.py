"""Progress in a log: lines while it goes on, one at the end, none of work inside of shown work."""

from __future__ import annotations

import logging
import re
import sys

import pytest
from rich.console import Console

from judgekit import progress
from judgekit.progress import Progress, track


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [re.sub(r"\d:\d\d:\d\d", "TIME", record.message) for record in caplog.records]


def test_a_log_gets_lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    with Progress("judging", 4, done=2) as shown:
        shown.advance(note="accuracy 0.5")
        assert list(track("ab", "inner")) == ["a", "b"]
        shown.advance()
    assert lines_of(caplog) == [
        "judging: 3 of 4 (75 %), accuracy 0.5, TIME so far, about TIME left",
        "judging: 4 of 4 (100 %), accuracy 0.5, TIME in all",
    ]


def test_short_work_gets_one_line_and_no_work_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert sum(track(iter(range(3)), "reading")) == 3
    assert list(track([], "nothing")) == []
    assert list(track([1], "hidden", disable=True)) == [1]
    with pytest.raises(ZeroDivisionError), Progress("stopped", 2) as shown:
        shown.advance()
        _ = 1 / 0
    assert lines_of(caplog) == ["reading: 3, TIME so far", "stopped: 1 of 2 (50 %), TIME so far, about TIME left"]


def test_a_notebook_gets_lines_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(progress, "Console", lambda **options: Console(force_jupyter=True, **options))
    with Progress("judging", 1) as shown:
        assert "rich" not in type(sys.stdout).__module__, "a stand-in for stdout calls itself without end in a kernel"
        shown.advance()
    assert [line.partition(":")[0] for line in lines_of(caplog)] == ["judging"]
