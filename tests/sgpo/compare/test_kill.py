"""A comparison whose processes are killed while they train, by real signals, and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from judgekit.io import read_json
from sgpo.cli import main
from tests.sgpo.samples import write_problems

CLOCKS = ("time", "seconds", "runtime", "per_second")


def without_clocks(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: row[key] for key in row if not any(word in key for word in CLOCKS)} for row in rows]


@pytest.mark.slow
def test_a_comparison_that_was_killed_ends_as_if_it_had_not_been(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = str(write_problems(tmp_path / "problems", n=4))
    base = {"policy": str(policy), "problems": problems, "max_steps": 12, "prompts_per_step": 1, "group_size": 2}
    base |= {"max_completion_length": 4, "device": "cpu", "bf16": False, "save_every": 1}
    arms = {"grpo": {}, "random": {"judge": "builtin:random"}}
    config = {"base": base | {"eval": {"problems": problems, "every": 3}}, "arms": arms, "reference": "grpo"}
    (tmp_path / "compare.yaml").write_text(json.dumps(config | {"seeds": [0]}))
    output = tmp_path / "out"
    command = ["compare", str(tmp_path / "compare.yaml"), "--output", str(output)]
    process = subprocess.Popen([sys.executable, "-m", "sgpo.cli", *command], start_new_session=True)
    rows = output / "grpo-seed0" / "metrics.jsonl"
    while not rows.is_file() or '"step": 3' not in rows.read_text():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)  # with the training that it has started
    assert process.wait() == -signal.SIGKILL
    assert "finished" not in read_json(output / "grpo-seed0" / "manifest.json")

    assert main(command) == 2
    assert "already holds a run: add --resume to continue it" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    finished = [json.loads(line)["compare/run"] for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert finished == ["grpo-seed0", "random-seed0"]
    straight = tmp_path / "straight"
    assert main(["online", str(output / "grpo-seed0.json"), "--output", str(straight)]) == 0
    assert without_clocks(output / "grpo-seed0") == without_clocks(straight)

    report = read_json(output / "compare.json")
    assert report["arms"]["grpo"]["seeds"]["0"]["rollouts"]["values"][-1] == 12 * 2
    (output / "compare.json").unlink()
    assert main([*command, "--resume"]) == 0, "a finished comparison is reported anew, and nothing is trained"
    assert read_json(output / "compare.json") == report
