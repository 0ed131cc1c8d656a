"""Commands work wherever they are started: folders there that are named as our packages are do not stand for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from judgekit.cli.packages import ROOT
from judgekit.io import write_records
from judgekit.types import Rollout

FINDER = f"""
import sys
from importlib.machinery import PathFinder


class ByName:
    def find_spec(self, name, path=None, target=None):
        first, _, rest = name.partition(".")
        if first in ("judgekit", "datasets_builders", "eval", "sgpo") and "." not in rest:
            return PathFinder.find_spec(name, [{str(ROOT)!r} + (f"/{{first}}" if rest else "")])


sys.meta_path.insert(sys.meta_path.index(PathFinder) + 1, ByName())
"""
"""A `sitecustomize.py` that finds our packages as an editable installation does: by name, behind the path."""
STARTS = {
    "module": ["-m", "judgekit.cli"],
    "code": ["-c", "import sys; from judgekit.cli import main; sys.exit(main())"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to start in, with the data of an evaluation."""
    here = tmp_path / "here"
    here.mkdir()
    rows = [
        {"id": f"gsm8k-{i}", "generator": "m", "problem": f"{i}+1?", "steps": [f"{i}+1={i + 1 + i % 2}", "So."],
         "final_answer_correct": not i % 2, "label": 0 if i % 2 else -1}
        for i in range(10)
    ]  # fmt: skip
    (here / "gsm8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return here


def started(here: Path, *argv: str, found: str = "by name") -> subprocess.CompletedProcess[str]:
    """Run Python in a folder; our packages are found by name alone, or on the path behind that folder."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    site = here.parent / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(FINDER if found == "by name" else "")
    env["PYTHONPATH"] = os.pathsep.join([str(site)] if found == "by name" else [str(site), str(ROOT)])
    return subprocess.run([sys.executable, *argv], cwd=here, env=env, capture_output=True, text=True, check=False)


EVAL = ["eval", "--judge", "builtin:symbolic", "--benchmark", "processbench", "gsm8k.jsonl", "--output", "run"]
SMALL = ["n_resamples=100", "n_splits=2"]


def test_plain_folders_of_our_names_do_not_hide_the_packages(folder: Path) -> None:
    for name in ("eval", "datasets_builders", "sgpo", "judgekit"):
        (folder / name).mkdir()
    done = started(folder, *STARTS["module"], *EVAL, *SMALL)
    assert done.returncode == 0, done.stderr
    assert (folder / "run/report.html").exists() and (folder / "run/leaderboard.md").exists()


@pytest.mark.parametrize("start", STARTS)
def test_modules_of_others_do_not_hide_the_packages(folder: Path, start: str) -> None:
    (folder / "datasets_builders").mkdir()
    (folder / "datasets_builders/__init__.py").write_text("raise RuntimeError('not ours')")
    (folder / "eval.py").write_text("raise RuntimeError('not ours')")
    done = started(folder, *STARTS[start], *EVAL, *SMALL, found="on the path")
    assert done.returncode == 0, done.stderr
    assert (folder / "run/report.html").exists()


def test_processes_that_compare_answers_start_there_too(folder: Path) -> None:
    for name in ("eval", "datasets_builders", "judgekit", "math_verify"):
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
    done = started(folder, *STARTS["module"], *argv)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "run/results.json").read_text())["n_uncheckable_pairs"] == 0


def test_the_other_command_and_its_children_start_there_too(folder: Path) -> None:
    for name in ("eval", "sgpo", "datasets"):
        (folder / name).mkdir()
    (folder / "datasets/__init__.py").write_text("raise RuntimeError('not ours')")
    shown = "import sgpo, datasets_builders, eval\nprint(sgpo.__file__, eval.__file__)"
    code = (
        "import runpy, sys\n"
        "sys.argv = ['sgpo', 'online', '--output', 'run']\n"
        "try:\n    runpy.run_module('sgpo.cli', run_name='__main__')\n"
        f"except SystemExit as end:\n    assert end.code == 2\n{shown}\nimport datasets"
    )
    done = started(folder, "-c", code)
    assert done.returncode == 0, done.stderr
    assert "field 'policy' is missing" in done.stderr
    assert str(ROOT / "sgpo/__init__.py") in done.stdout and str(ROOT / "eval/__init__.py") in done.stdout


def test_a_package_of_that_name_that_runs_already_is_an_error_in_one_line(folder: Path) -> None:
    (folder / "eval.py").write_text("")
    code = "import sys, eval; from judgekit.cli import main; sys.exit(main())"
    done = started(folder, "-c", code, *EVAL, *SMALL, found="on the path")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "eval.py was imported as eval and hides judgekit's own" in done.stderr
    assert not (folder / "run").exists(), "said before anything is judged"


def test_a_checkout_that_is_not_installed_runs_from_its_own_folder() -> None:
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    code = "import sys; from judgekit.cli.packages import leave_start_folder; leave_start_folder(); print(sys.path[0])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "\n", "the folder of the start, as `python -c` writes it"
