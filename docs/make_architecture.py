"""Writes `docs/architecture.md`: every room and module with the first sentence of its docstring, and the arrows.

`python docs/make_architecture.py` writes the file; a test fails where it is not what this writes.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("judgekit", "datasets_builders/judgekit_datasets", "eval/judgekit_eval", "sgpo", "benchmarks", "examples")
HEAD = """# Architecture

Made by `python docs/make_architecture.py` from the docstrings of the modules; do not edit by hand.

Stages meet at files: parquet shards with a manifest, a judge directory, a groups file. So each of them runs, is tested
and fails alone. `judgekit` imports none of the other packages; these import `judgekit` and not each other. Between the
rooms of one package imports go one way, and nowhere in a circle. `tests/test_imports.py` holds the house to that.

The folders `eval` and `datasets_builders` hold the packages `judgekit_eval` and `judgekit_datasets`, so that a folder
`eval` of a user's own never stands for ours. A checkout that is not installed runs with all three on the path:
`PYTHONPATH=$PWD:$PWD/eval:$PWD/datasets_builders`.

To add a judge kind, a command, a data source, a benchmark or an algorithm, from inside or from a package of your own,
see `judgekit/extensions.py`. Examples from outside, each under 40 lines: `tests/test_outside.py` (an algorithm, a data
source, a benchmark), `tests/judgekit/cli/test_command.py` (a command), `tests/judgekit/judges/test_card.py` (a judge
kind).
"""


def first_sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring, in one line; it may span several."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def architecture() -> str:
    """Return the text of `docs/architecture.md`."""
    parts = [HEAD]
    for package in PACKAGES:
        folders = sorted({path.parent for path in (ROOT / package).rglob("*.py") if "__pycache__" not in path.parts})
        for folder in folders:
            face = folder / "__init__.py"
            level = "#" * (2 + (folder != ROOT / package))
            parts.append(f"{level} {folder.relative_to(ROOT)}/\n")
            if face.is_file():
                parts.append(f"{first_sentence(face)}\n")
            modules = [path for path in sorted(folder.glob("*.py")) if path != face]
            parts += [f"- `{path.name}`: {first_sentence(path)}" for path in modules]
            if modules:
                parts.append("")
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "architecture.md").write_text(architecture(), encoding="utf-8")
