"""The arrows of imports between the packages, and what must stay quick to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "judgekit": {"judgekit"},
    "datasets_builders": {"datasets_builders", "judgekit"},
    "eval": {"eval", "judgekit"},
    "sgpo": {"sgpo", "judgekit"},
}
COMPOSITION_ROOT = Path("judgekit/cli")
"""The one package that may know every package."""
WITHOUT_TORCH = [
    "judgekit.types",
    "judgekit.errors",
    "judgekit.config",
    "judgekit.io",
    "judgekit.run",
    "judgekit.cli",
    "judgekit.judges",
    "judgekit.judges.card",
    "judgekit.judges.shared",
    "judgekit.engines.scoring.packing",
    "judgekit.judging",
    "judgekit.engines.generation.openai",
    "judgekit.serving.server",
    "judgekit.serving.remote",
    "judgekit.metrics",
    "judgekit.report.terminal",
    "judgekit.calibration.calibrate",
    "judgekit.calibration.calibrators",
    "judgekit.calibration.fingerprint",
    "judgekit.training.prior",
    "judgekit.judges.doctor",
    "judgekit.judges.golden",
    "judgekit.text.segmentation",
    "judgekit.text.sentences",
    "judgekit.answers",
    "judgekit.answers.pool",
    "judgekit.answers.grammar",
    "benchmarks.answer_speed",
    "eval.speed.judge_speed",
    "eval.speed.speed_report",
    "eval.attacks.run",
    "eval.judges.evaluate",
    "eval.report.markdown_leaderboard",
    "sgpo.cli",
    "sgpo.config",
    "sgpo.online.config",
    "sgpo.offline.config",
    "sgpo.compare",
    *(f"datasets_builders.{path.stem}" for path in sorted((ROOT / "datasets_builders").glob("[a-z]*.py"))),
]


def imported_packages(path: Path) -> Iterator[str]:
    """Yield the top package of every import of a file, also of those inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide where a name comes from"
            names = [node.module or ""]
        yield from (name.partition(".")[0] for name in names)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_import_arrows(package: str) -> None:
    files = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")]
    assert files
    for path in files:
        wrong = {*imported_packages(ROOT / path)} & (MAY_IMPORT.keys() - MAY_IMPORT[package])
        assert not wrong or path.is_relative_to(COMPOSITION_ROOT), f"{path} imports {wrong}"


def test_every_package_is_checked() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == MAY_IMPORT.keys()


@pytest.mark.parametrize("leaf", ["judgekit.types", "judgekit.errors", "judgekit.config", "sgpo.online.config"])
def test_leaf_modules_import_nothing_heavy(leaf: str) -> None:
    check(f"import {leaf}", absent=["torch", "transformers", "polars", "numpy"])


def test_configurations_and_data_leave_torch_out() -> None:
    check(f"import {', '.join(WITHOUT_TORCH)}", absent=["torch", "transformers"])


def check(code: str, *, absent: list[str]) -> None:
    code += f"\nimport sys\nheavy = {absent} & sys.modules.keys()\nassert not heavy, heavy"
    code = code.replace(f"{absent} &", f"set({absent}) &")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
