"""The page about Python: its code runs as it stands, one block after another, on additions and a tiny model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from judgekit.io import write_records
from judgekit.training.config import TinyConfig
from judgekit.training.tiny import build_tiny
from judgekit.types import LabelledSolution
from tests.judgekit.samples import labelled_solutions

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_the_code_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, numbers in {"train": range(40), "calibration": range(40, 100), "test": range(100, 120)}.items():
        write_records(Path("data") / name, labelled_solutions(numbers), record_type=LabelledSolution)
    build_tiny(Path("model"), ["1 + 1 = 2"], TinyConfig(vocab_size=260, hidden_size=8, n_layers=1, n_heads=1))
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    names: dict[str, object] = {"__name__": "__main__"}
    said = []
    for block in blocks:
        exec(compile(block.replace("MODEL", "model").replace("SOURCE", "additions"), str(PAGE), "exec"), names)
        said.append(capsys.readouterr().out)
    assert said[0].splitlines()[-1] == "0", "the first step is wrong"
    assert "▶ judge's first error" in said[2]
    assert [line.split()[0] for line in said[3].splitlines() if line.startswith(("judge", "doubtful"))][
        -1
    ] == "doubtful"
    assert said[4].splitlines() == ["right None", "wrong None", "unchecked huge"]
    assert Path("runs/eval/report.html").is_file()
