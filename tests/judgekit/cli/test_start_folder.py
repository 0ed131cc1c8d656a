"""Commands work wherever they are started: files and folders there do not stand for ours, or for libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from judgekit.cli.start_folder import ROOT
from judgekit.io import write_records
from judgekit.types import Rollout

MODULE = ["-m", "judgekit.cli"]
CODE = ["-c", "import sys; from judgekit.cli import main; sys.exit(main())"]
EVAL = ["eval", "--judge", "builtin:symbolic", "--benchmark", "processbench", "gsm8k.jsonl", "--output", "run"]
SMALL = ["n_resamples=100", "n_splits=2"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to start in, with the data of an evaluation."""
    rows = [
        {"id": f"gsm8k-{i}", "generator": "m", "problem": f"{i}+1?", "steps": [f"{i}+1={i + 1 + i % 2}", "So."],
         "final_answer_correct": not i % 2, "label": 0 if i % 2 else -1}
        for i in range(10)
    ]  # fmt: skip
    (tmp_path / "gsm8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def start(here: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *argv], cwd=here, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", [MODULE, CODE])
def test_a_user_may_have_modules_called_eval_and_datasets_builders(folder: Path, command: list[str]) -> None:
    (folder / "datasets_builders").mkdir()
    (folder / "datasets_builders" / "__init__.py").write_text("raise RuntimeError('not ours')")
    (folder / "eval.py").write_text("raise RuntimeError('not ours')")
    done = start(folder, *command, *EVAL, *SMALL)
    assert done.returncode == 0, done.stderr
    assert (folder / "run/report.html").exists() and (folder / "run/leaderboard.md").exists()


def test_processes_that_compare_answers_start_there_too(folder: Path) -> None:
    for name in ("eval", "judgekit", "judgekit_eval", "math_verify"):
        (folder / name).mkdir()
    texts = ("The answer is \\boxed{\\frac{1}{2}}.", "The answer is \\boxed{0.5}.", "The answer is \\boxed{x+1}.")
    rollouts = [
        Rollout(
            group_id="g", sample=i, problem="Half of 1?", prompt="Half of 1?", response=text, steps=(text,),
            step_start=(0,), step_end=(len(text),), outcome=float(i < 2), source="own",
        )
        for i, text in enumerate(texts)
    ]  # fmt: skip
    write_records(folder / "groups", rollouts, record_type=Rollout)
    options = ["n_resamples=100", "sizes=[1,2]"]
    argv = ["best-of-n", "--judge", "builtin:random", "--groups", "groups", "--output", "run", *options]
    done = start(folder, *MODULE, *argv)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "run/results.json").read_text())["n_uncheckable_pairs"] == 0


def test_the_other_command_and_its_children_start_there_too(folder: Path) -> None:
    (folder / "datasets").mkdir()
    (folder / "datasets/__init__.py").write_text("raise RuntimeError('not ours')")
    code = (
        "import runpy, sys\n"
        "sys.argv = ['sgpo', 'online', '--output', 'run']\n"
        "try:\n    runpy.run_module('sgpo.cli', run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 2\nimport datasets"
    )
    done = start(folder, "-c", code)
    assert done.returncode == 0, done.stderr
    assert "fields 'policy', 'problems' are missing" in done.stderr


def test_a_checkout_that_is_not_installed_runs_from_its_own_folder() -> None:
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    code = (
        "import sys; from judgekit.cli.start_folder import leave_start_folder; leave_start_folder(); print(sys.path[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "\n", "the folder of the start, as `python -c` writes it"
