"""The arrows of imports between the packages, and what must stay quick to import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import judgekit
import sgpo
from sgpo.algorithms.registry import ALGORITHMS

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "judgekit": {"judgekit"},
    "judgekit_datasets": {"judgekit_datasets", "judgekit"},
    "judgekit_eval": {"judgekit_eval", "judgekit"},
    "sgpo": {"sgpo", "judgekit"},
    "benchmarks": {"benchmarks", "judgekit_datasets", "judgekit_eval", "judgekit", "sgpo"},
}
FOLDERS = {"judgekit_datasets": ROOT / "datasets_builders", "judgekit_eval": ROOT / "eval"}
"""What a package lies in, where that is not the repository itself."""
FRONT_DOORS = {"judgekit": {"judgekit_eval", "judgekit_datasets"}}
"""What a package exports of another one, for type checkers alone: by name when it is asked for."""
WITHOUT_TORCH = [
    "judgekit",
    "sgpo",
    "judgekit_eval.api",
    "judgekit.training.api",
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
    "judgekit.judging.run",
    "judgekit.engines.generation.door",
    "judgekit.serving.server",
    "judgekit.serving.remote",
    "judgekit.metrics",
    "judgekit.report.terminal",
    "judgekit.training.calibrate",
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
    "judgekit_eval.speed.judge_speed",
    "judgekit_eval.speed.speed_report",
    "judgekit_eval.attacks.run",
    "judgekit_eval.evaluate",
    "judgekit_eval.report.markdown_leaderboard",
    "sgpo.cli",
    "sgpo.config",
    "sgpo.online.config",
    "sgpo.offline.config",
    "sgpo.offline.iterate_config",
    "sgpo.compare.run",
    "sgpo.theory.run",
    "judgekit_datasets.by_hand.commands",
    "judgekit_datasets.by_hand.work",
    *(
        f"judgekit_datasets.{path.stem}"
        for path in sorted((ROOT / "datasets_builders/judgekit_datasets").glob("[a-z]*.py"))
    ),
]


def package_files() -> dict[str, Path]:
    """Return every module of the packages by its name."""
    folders = {package: FOLDERS.get(package, ROOT) for package in MAY_IMPORT}
    files = {file: folder for package, folder in folders.items() for file in sorted((folder / package).rglob("*.py"))}
    names = {".".join(file.relative_to(folder).with_suffix("").parts): file for file, folder in files.items()}
    return {name.removesuffix(".__init__"): file for name, file in names.items()}


MODULES = package_files()


def imported_modules(name: str) -> Iterator[str]:
    """Yield what a module of ours imports of ours, also inside functions and for types only."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: relative imports hide where a name comes from"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in MODULES or node.module in MODULES:
                    yield full if full in MODULES else str(node.module)


def room_of(name: str) -> str:
    """Return the room of a module: its folder, or the module itself where its folder has rooms of its own."""
    folder = MODULES[name].parent
    has_rooms = any(path.is_dir() and path.name != "__pycache__" for path in folder.iterdir() if any(path.glob("*.py")))
    return name if has_rooms or MODULES[name].stem == "__init__" else name.rpartition(".")[0]


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return all groups of nodes that reach each other, in order."""
    reached = {}
    for start in arrows:
        todo, seen = [start], set()
        while todo:
            new = arrows.get(todo.pop(), set()) - seen
            seen |= new
            todo += new
        reached[start] = seen
    found = {tuple(sorted({a} | {b for b in reached[a] if a in reached[b]})) for a in arrows if a in reached[a]}
    return sorted(map(list, found))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_import_arrows(package: str) -> None:
    files = {name for name in MODULES if name.partition(".")[0] == package}
    assert files
    for name in files:
        allowed = MAY_IMPORT[package] | FRONT_DOORS.get(name, set())
        wrong = {other for other in imported_modules(name) if other.partition(".")[0] not in allowed}
        assert not wrong, f"{name} imports {wrong}"


def test_every_package_is_checked() -> None:
    faces = [
        *ROOT.glob("*/__init__.py"),
        *(face for folder in FOLDERS.values() for face in folder.glob("*/__init__.py")),
    ]
    packages = {face.parent.name for face in faces} - {"tests"}
    assert packages == MAY_IMPORT.keys()


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles({name: {*imported_modules(name)} - {name} for name in MODULES}) == []


def test_arrows_between_rooms_go_one_way() -> None:
    arrows: dict[str, set[str]] = {}
    for name in MODULES:
        others = {room_of(other) for other in imported_modules(name)}
        arrows.setdefault(room_of(name), set()).update(others - {room_of(name)})
    assert circles(arrows) == []


@pytest.mark.parametrize("package", [judgekit, sgpo])
def test_what_a_package_exports_is_imported_when_it_is_asked_for(package: types.ModuleType) -> None:
    name = package.__name__
    typed = {alias.name for node in ast.walk(ast.parse(MODULES[name].read_text())) if isinstance(node, ast.ImportFrom)
             for alias in node.names if alias.asname}  # fmt: skip
    assert typed == {*package.__all__} and len(typed) > 10
    for exported in package.__all__:
        assert getattr(package, exported).__name__ == exported
    check(f"import {name}", absent=["torch", "pydantic", "numpy", "judgekit_eval", "judgekit.judges"])
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_every_algorithm_of_ours_is_exported() -> None:
    assert {target.split(":")[1] for target in ALGORITHMS.targets().values()} <= {*sgpo.__all__}


@pytest.mark.parametrize("leaf", ["judgekit.types", "judgekit.errors", "judgekit.config", "sgpo.online.config"])
def test_leaf_modules_import_nothing_heavy(leaf: str) -> None:
    check(f"import {leaf}", absent=["torch", "transformers", "polars", "numpy"])


def test_configurations_import_nothing_heavier_than_pydantic() -> None:
    """Help and checks of what is given must not wait for the libraries that a command works with."""
    bases = {
        (name, node.name): [base.id for base in node.bases if isinstance(base, ast.Name)]
        for name in MODULES
        for node in ast.walk(ast.parse(MODULES[name].read_text()))
        if isinstance(node, ast.ClassDef)
    }
    kinds, found = {"BaseConfig"}, set()
    while new := {key for key, names in bases.items() if kinds & {*names}} - found:
        found |= new
        kinds |= {kind for _, kind in new}
    modules = sorted({name for name, _ in found})
    assert len(found) > 50 and {"judgekit_eval.judges.config", "sgpo.online.config"} <= {*modules}
    heavy = [
        "torch",
        "transformers",
        "polars",
        "sklearn",
        "scipy",
        "numpy",
        "matplotlib",
        "pyarrow",
        "rich",
        "omegaconf",
    ]
    check(f"import {', '.join(modules)}", absent=heavy)


def test_configurations_and_data_leave_torch_out() -> None:
    check(f"import {', '.join(WITHOUT_TORCH)}", absent=["torch", "transformers"])


def check(code: str, *, absent: list[str]) -> None:
    code += f"\nimport sys\nheavy = {absent} & sys.modules.keys()\nassert not heavy, heavy"
    code = code.replace(f"{absent} &", f"set({absent}) &")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_rooms_import_from_top_to_bottom_as_the_page_draws_it() -> None:
    drawn = (ROOT / "docs" / "architecture.md").read_text().split("judgekit:\n")[1].split("```")[0]
    named = [re.split(r" {4,}", line.strip())[0].split() for line in drawn.strip().splitlines()]
    height = {room: -row for row, rooms in enumerate(named) for room in rooms}
    assert {name.split(".")[1] for name in MODULES if name.startswith("judgekit.")} == height.keys()
    up = {
        (name.split(".")[1], other.split(".")[1])
        for name in MODULES
        for other in imported_modules(name)
        if name.startswith("judgekit.") and other.startswith("judgekit.")
        if height[name.split(".")[1]] < height[other.split(".")[1]]
    }
    assert up == {("judges", "serving")}
