"""The guides to a judge of one's own: their commands run as they stand, on additions and a tiny model."""

from __future__ import annotations

import shlex
from itertools import accumulate
from pathlib import Path

import pytest

from judgekit.cli import main
from judgekit.io import write_records
from judgekit.judges.card import read_card
from judgekit.types import LabelledSolution, Rollout
from tests.judgekit.samples import labelled_solutions

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "own_judge.md"


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


def test_the_commands_of_weak_labels(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_records(Path("data/fit"), labelled_solutions(range(15)), record_type=LabelledSolution)
    responses = [
        Rollout.model_validate(
            {"group_id": row.problem, "sample": i, "problem": row.problem, "prompt": row.problem, "steps": row.steps}
            | {"response": "".join(row.steps), "step_start": ends[:-1], "step_end": ends[1:], "source": "own"}
            | {"outcome": float(row.first_error is None)}
        )
        for i, row in enumerate(labelled_solutions(range(20, 40)))
        for ends in [[*accumulate(map(len, row.steps), initial=0)]]
    ]
    write_records(Path("data/rollouts"), responses, record_type=Rollout)
    blocks = (ROOT / "docs" / "weak_labels.md").read_text().split("```")
    for line in "\n".join((blocks[1], blocks[3])).strip().splitlines():
        if line:
            program, *arguments = shlex.split(
                line.replace("MODEL", str(tiny_base)).replace("configs/", f"{ROOT / 'configs'}/")
            )
            assert (program, main(arguments)) == ("judgekit", 0), capsys.readouterr().err
    said = capsys.readouterr().out
    assert "of which known: " in said and "data/weak: 40 weak labels, weight " in said
    assert read_card(Path("runs/probe/judge")).training["weak"]["data/weak"]["worth"]["value"] > 0
    assert read_card(Path("runs/judge/judge")).training["counts"]["weak_solutions"] == 40
