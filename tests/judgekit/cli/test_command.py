"""A command from another package: under 40 lines, and it is one of `judgekit`'s own."""

from __future__ import annotations

from pathlib import Path

import pytest

import sgpo.cli
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


def test_lists_tell_what_is_broken_and_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groups = ("judgekit.commands", "judgekit.judges", "judgekit.sources", "judgekit.benchmarks", "sgpo.algorithms")
    points = "".join(f"[{group}]\naaa-{group[-3:]} = ends_the_program:X\n" for group in groups)
    (tmp_path / "their_words-1.0.dist-info/entry_points.txt").write_text(points)
    (tmp_path / "ends_the_program.py").write_text("raise SystemExit(7)\n")
    for program, line, known in (
        (main, ["list"], "processbench"),
        (main, ["help"], "calibrate"),
        (sgpo.cli.main, ["list"], "dr_grpo"),
    ):
        assert program(line) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "error: their-words adds the" in said and "ends the program with status 7" in said and known in said
    with pytest.raises(SystemExit) as ended:
        sgpo.cli.main(["online", "--help"])
    assert ended.value.code == 0 and "algorithm.type=dr_grpo" in capsys.readouterr().out


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
    assert (args.problem, args.step, args.settings, args.show) == ("seed=1", ["show=2", "x"], [], None)
    with pytest.raises(SystemExit):
        judge.parse("", ["--judge", "builtin:random", "--nonsense", "2"])


@pytest.mark.parametrize(
    ("command", "line", "said"),
    [
        ("judge", "--judge a judge=b --input x --output o", "--judge is given twice, a and b"),
        ("judge", "--judge a --data x --input y --output o", "--input is given twice, x and y"),
        ("eval", "--judge a --benchmark p x --output o seed=1 --seed 2", "seed is given twice"),
        ("eval", "--judge a --judges b --benchmark p x --output o", "judges is given by an argument"),
        ("eval", "--judge a --benchmark p x --output o benchmarks.q=[y]", "benchmarks is given by an argument"),
        ("eval", "--judge a --benchmark p x --output o --n_max", "--n_max has no value"),
        ("eval", "--judge a --benchmark p x --floors --output o", "--floors has no value"),
        ("train", "--model m --data a data=[b] --output o", "data is given twice"),
    ],
)
def test_two_values_for_one_option_are_refused(
    command: str, line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *line.split()]) == 2
    assert f"error: {said}" in capsys.readouterr().err
