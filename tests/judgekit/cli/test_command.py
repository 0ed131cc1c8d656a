"""A command from another package: under 40 lines, and it is one of `judgekit`'s own."""

from __future__ import annotations

from pathlib import Path

import pytest

from judgekit.cli import COMMANDS, main

COUNT_WORDS = '''
"""Counts words: what somebody else's package may hold."""

from pydantic import Field

from judgekit.cli.command import Argument, Command
from judgekit.config import BaseConfig


class WordsConfig(BaseConfig):
    """Options of `judgekit count-words`."""

    at_least: int = Field(default=1, ge=1)
    """Words that are shorter are not counted."""


def count(args, config):
    print(sum(len(word) >= config.at_least for word in args.text.split()), "words")


COUNT_WORDS = Command(
    summary="Count the words of a text.",
    example='judgekit count-words "two words" at_least=2',
    run=count,
    arguments=(Argument("text", help="what is counted"),),
    config=WordsConfig,
)
'''
ENTRY_POINTS = "[judgekit.commands]\ncount-words = their_words:COUNT_WORDS\nbroken = no_such_module:COMMAND\n"


@pytest.fixture(autouse=True)
def their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package: what an installer leaves of it is its module and its entry points."""
    info = tmp_path / "their_words-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-words\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "their_words.py").write_text(COUNT_WORDS)
    monkeypatch.syspath_prepend(tmp_path)


def test_it_is_listed_and_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert "  count-words     Count the words of a text." in listed
    assert "  broken          error: their-words adds the command 'broken', but it cannot be imported" in listed
    assert main(["count-words", "a longer text", "at_least=4"]) == 0
    assert capsys.readouterr().out == "2 words\n"
    with pytest.raises(SystemExit):
        main(["count-words", "--help"])
    shown = capsys.readouterr().out
    assert "at_least: integer >= 1; default 1\n      Words that are shorter are not counted." in shown


def test_what_is_wrong_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count-words", "text", "at_leats=4"]) == 2
    assert "unknown key 'at_leats'; did you mean 'at_least'?" in capsys.readouterr().err
    assert main(["broken"]) == 2
    assert "no_such_module" in capsys.readouterr().err


def test_options_and_settings_are_one_manner(capsys: pytest.CaptureFixture[str]) -> None:
    """What is an option may be given as a setting, and what is a setting as an option; texts stay texts."""
    for line in (["a longer text", "--at-least", "4"], ["--at_least=4", "a longer text"]):
        assert main(["count-words", *line]) == 0
        assert capsys.readouterr().out == "2 words\n"
    train, judge = COMMANDS.load("train"), COMMANDS.load("judge")
    args = train.parse("", ["--model", "m", "--data", "a=1/x", "--data", "b", "--seed", "3", "output=out"])
    assert args.output == Path("out")
    config = train.read_config(args)
    assert config.model_dump()["data"] == (Path("a=1/x"), Path("b")) and config.model_dump()["seed"] == 3
    args = judge.parse("", ["judge=builtin:random", "data=rows.jsonl", "--output", "o", "--chunk-size", "2"])
    assert (args.judge, args.input, args.settings) == ("builtin:random", Path("rows.jsonl"), ["chunk_size=2"])
    args = judge.parse("", ["--judge", "builtin:random", "--problem", "seed=1", "--step", "show=2", "--step", "x"])
    assert (args.problem, args.step, args.settings, args.show) == ("seed=1", ["show=2", "x"], [], 3)
    with pytest.raises(SystemExit):
        judge.parse("", ["--judge", "builtin:random", "--nonsense", "2"])
