"""The guide to a judge of one's own: its commands run as they stand, on additions and a tiny model."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from judgekit.cli import main
from judgekit.io import write_records
from judgekit.judges.card import read_card
from judgekit.types import LabelledSolution
from tests.judgekit.samples import labelled_solutions

GUIDE = Path(__file__).parents[2] / "docs" / "own_judge.md"


def test_the_commands_of_the_guide(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # What comes of the first command, which waits for a person, see tests/datasets_builders/by_hand.
    write_records(Path("runs/label/labelled"), labelled_solutions(range(60)), record_type=LabelledSolution)
    write_records(Path("data/others"), labelled_solutions(range(60, 90)), record_type=LabelledSolution)
    block = GUIDE.read_text().split("```")[1]
    commands = [
        shlex.split(line.replace("MODEL", str(tiny_base)).replace("SOURCE", "additions"))
        for line in block.strip().splitlines()
    ]
    expected = ["label", "split", "train", "calibrate", "attack", "eval", "judge", "adapt"]
    assert [command[1] for command in commands] == expected
    for program, *arguments in commands[1:]:
        assert (program, main(arguments)) == ("judgekit", 0), capsys.readouterr().err
    assert '"no_verdict"' in (said := capsys.readouterr().out) or "verdict" in said
    card = read_card(Path("runs/probe/judge"))
    assert card.reading is not None and {*card.reading.tests} == {"problems-shuffled", "numbers-changed"}
    assert card.calibration is not None and card.training["cross_fitted"]["f1"]["value"] > 0.8
