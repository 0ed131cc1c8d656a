"""What people install: the wheel, made from the sdist, in an environment without the repository.

Off by default: `make test-wheel`.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.sgpo.offline.offline_samples import three_groups, write_groups, write_policy

ROOT = Path(__file__).parents[1]
OURS = {"judgekit", "judgekit_datasets", "judgekit_eval", "sgpo"}
pytestmark = pytest.mark.wheel


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command as somebody without the repository would; returns what it printed."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    copy = folder / "repository"  # setuptools writes into the folder that it builds
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.split("\0")[:-1]:
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    build = "from setuptools.build_meta import build_sdist; print(build_sdist('..'))"
    sdist = folder / run(sys.executable, "-c", build, cwd=copy).split()[-1]
    shutil.rmtree(copy)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('..'))"
    return folder / run(sys.executable, "-c", build, cwd=folder / sdist.name.removesuffix(".tar.gz")).split()[-1]


@pytest.fixture(scope="module")
def bin(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the commands of a new environment: the wheel, and the libraries of this one, which take minutes."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    # A path in a .pth is no site folder of its own: an editable installation over there stays out.
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    return python.parent


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return a folder with modules of the user's own that are called as our folders are."""
    for name in ("eval", "datasets_builders"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not ours')")
    return tmp_path


def test_the_wheel_installs_our_packages_and_no_folder_names(wheel: Path) -> None:
    assert wheel.name.startswith("sgpo-")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == OURS
    assert {f"{package}/py.typed" for package in OURS} <= {*names}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    under = {name.removeprefix("eval/").removeprefix("datasets_builders/") for name in tracked}
    assert {name for name in under if name.split("/")[0] in OURS} == {n for n in names if ".dist-info/" not in n}


def test_judges_are_opened_in_python(bin: Path, here: Path) -> None:
    code = "import judgekit, sgpo; from judgekit import load_judge; print(judgekit.__file__, judgekit.__version__)"
    file, version = run(bin / "python", "-c", code, cwd=here).split()
    assert Path(file).is_relative_to(bin.parent)
    listed = run(bin / "python", "-c", "from importlib.metadata import version; print(version('sgpo'))", cwd=here)
    assert listed.strip() == version


def test_a_file_of_solutions_is_judged_and_benchmarked(bin: Path, here: Path) -> None:
    rows = [
        {"id": f"gsm8k-{i}", "generator": "m", "problem": f"{i}+1?", "steps": [f"{i}+1={i + 1 + i % 2}", "So."],
         "final_answer_correct": not i % 2, "label": 0 if i % 2 else -1}
        for i in range(10)
    ]  # fmt: skip
    (here / "gsm8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judge = ["--judge", "builtin:symbolic"]
    shown = run(bin / "judgekit", "judge", *judge, "--problem", "2+3-1?", "--step", "2+3=6", "--step=6-1=5", cwd=here)
    assert "2+3=6" in shown
    run(bin / "judgekit", "build", "processbench", "--input", "gsm8k.jsonl", "--output", "data", cwd=here)
    run(bin / "judgekit", "judge", *judge, "--input", "data", "--output", "judged", cwd=here)
    assert len((here / "judged/judgements.jsonl").read_text().splitlines()) == 10
    bench, small = ["eval", *judge, "--benchmark", "processbench", "gsm8k.jsonl"], ["n_resamples=100", "n_splits=2"]
    run(bin / "judgekit", *bench, "--output", "run", *small, cwd=here)
    run(bin / "python", "-m", "judgekit.cli", *bench, "--output", "as-module", *small, cwd=here)
    assert (here / "run/report.html").is_file() and (here / "as-module/report.html").is_file()


def test_a_policy_is_trained_on_stored_groups(bin: Path, here: Path) -> None:
    policy, groups = write_policy(here / "policy"), write_groups(here / "groups", three_groups())
    options = ["prompt={type: raw}", "max_tokens=110", "token_budget=110", "device=cpu"]
    given = [f"policy={policy}", f"groups={groups}", "judge=builtin:random"]
    run(bin / "sgpo", "offline", *given, *options, "--output", "run", cwd=here)
    assert (here / "run/policy/model.safetensors").is_file()


def test_a_package_from_outside_is_installed_beside_it(bin: Path, here: Path) -> None:
    copy = here / "extending"  # setuptools writes into the folder that it builds
    shutil.copytree(ROOT / "examples" / "extending", copy)
    install = ["install", "--no-deps", "--no-index", "--no-build-isolation", copy]
    run(sys.executable, "-m", "pip", "--python", bin / "python", *install, cwd=here)
    run(bin / "judgekit", "build", "margin-notes", "--input", copy / "notes.jsonl", "--output", "data", cwd=here)
    assert "words:" in run(bin / "judgekit", "telltale", "--data", "data", "--output", "judges/telltale", cwd=here)
    judge = ["--judge", "judges/telltale"]
    assert "step 0" in run(bin / "judgekit", "judge", *judge, "--problem", "3 + 4?", "--step", "Obviously 8.", cwd=here)
    run(
        bin / "judgekit",
        "eval",
        *judge,
        "--benchmark",
        "margin-notes",
        "data",
        "--output",
        "run",
        "n_splits=2",
        cwd=here,
    )
    assert "Margin Notes" in (here / "run/leaderboard.md").read_text()
    assert "algorithm.type=partial_marks" in run(bin / "sgpo", "offline", "--help", cwd=here)
