"""The package of the page about extending: its commands run as they stand there, and the page shows the very files."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import polars as pl
import pytest

import judgekit.cli
import sgpo.cli
from judgekit.io import read_json
from judgekit.judges import load_judge
from judgekit.types import Judgement, Solution
from sgpo.algorithms.registry import ALGORITHMS
from tests.judgekit.judges.test_hostile_inputs import WITHIN_CONTEXT
from tests.sgpo.offline.offline_samples import make_rollout, write_groups, write_policy
from tests.sgpo.samples import write_problems

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "extending"
PAGE = (ROOT / "docs" / "extending.md").read_text()
PROGRAMS = {"judgekit": judgekit.cli.main, "sgpo": sgpo.cli.main}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave on the path what an installer leaves of the package, and go into an empty folder."""
    folder = tmp_path / "site-packages"
    shutil.copytree(PACKAGE / "telltale", folder / "telltale")
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_shows_the_files_as_they_are() -> None:
    shown = dict(re.findall(r"^`examples/extending/(\S+)`:\n\n```\w+\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE))
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")} | {"pyproject.toml"}
    assert shown.keys() == files - {"telltale/__init__.py"}
    for name, text in shown.items():
        assert text == (PACKAGE / name).read_text(), f"{name}: copy the file into docs/extending.md"


def test_the_commands_of_the_page(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(PACKAGE / "notes.jsonl", installed)
    write_policy(installed / "POLICY")
    said = ("I get 4.", "Obviously 8.", "I get 4.", "Obviously 8.")
    tries = [make_rollout("3+4", i, 0.0, ("I have 3.", step, "So 8.")) for i, step in enumerate(said)]
    write_groups(installed / "GROUPS", tries)
    write_problems(installed / "PROBLEMS", n=3)
    blocks = re.findall(r"^```\w*\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [line for line in lines if line.startswith(("judgekit ", "sgpo "))]
    small = {
        "eval": ["n_resamples=100", "n_splits=2"],
        "offline": ["device=cpu", "threads=1"],
        "online": ["device=cpu", "threads=1", "algorithm.truncated=judge"],  # random weights never end a response
    }
    for line in commands:
        program, *arguments = shlex.split(line)
        arguments += small.get(arguments[0], [])
        assert (line, PROGRAMS[program](arguments)) == (line, 0), capsys.readouterr().err
    assert {line.split()[1] for line in commands} == {
        "build", "split", "telltale", "judge", "doctor", "eval", "offline", "online"
    }  # fmt: skip
    rejected = [json.loads(line) for line in (installed / "data/notes/rejected.jsonl").read_text().splitlines()]
    assert [(row["reason"], row["detail"]) for row in rejected] == [("slip is no line", "4 of 1 lines")]
    results = read_json(installed / "runs/eval/judges/telltale/margin-notes/results.json")
    assert results["headline"]["name"] == "errors found within a step" and results["headline"]["value"] > 50
    assert "One teacher wrote all notes." in (installed / "runs/eval/leaderboard.md").read_text()
    for run in ("offline", "online"):
        assert read_json(installed / f"runs/{run}/config.json")["algorithm"]["type"] == "partial_marks"
        assert read_json(installed / f"runs/{run}/manifest.json")["results"]["judge_calls"] > 0
    credit = pl.read_parquet(installed / "runs/offline/credit/data/*.parquet").sort("sample")
    # Known to be wrong, so an error is located: in the step with the word, a third of the way, else in the first one.
    assert credit["reward"].to_list() == pytest.approx([0.0, 0.4 / 3] * 2)


def test_the_judge_keeps_to_what_every_kind_keeps_to(installed: Path) -> None:
    Path("card.yaml").write_text("{kind: telltale, words: [obviously], p_ok_with: 0.2, p_ok_without: 0.9}")
    judge = load_judge("card.yaml")
    for steps in WITHIN_CONTEXT.values():
        [judgement] = judge.judge([Solution(problem="?", steps=steps)])
        assert judgement.verdict is not None and judgement.verdict.n_steps == len(steps)
        assert Judgement.model_validate_json(judgement.model_dump_json()) == judgement
    [judgement] = judge.judge([Solution(problem="?", steps=(" ", ""))])
    assert judgement.no_verdict == "empty"
    # By hand: a right step, a doubtful one, and one behind it.
    [judgement] = judge.judge([Solution(problem="?", steps=("2+3=5", "Obviously 9.", "So 9."))])
    assert judgement.verdict is not None
    assert judgement.verdict.posterior == pytest.approx((0.1, 0.9 * 0.8, 0.9 * 0.2 * 0.1, 0.9 * 0.2 * 0.9))


def test_help_lists_what_the_package_adds(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "partial_marks" in ALGORITHMS.names()
    assert judgekit.cli.main(["--help"]) == 0
    assert "  telltale        Make a judge of the words" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        sgpo.cli.main(["offline", "--help"])
    assert "  algorithm.type=partial_marks\n" in (said := capsys.readouterr().out)
    assert "    algorithm.most: number >= 0 and <= 1; default 0.5\n" in said
