"""Judges are asked for what they declare, never for what they may happen to have."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("judgekit", "eval", "sgpo", "datasets_builders", "benchmarks", "tests")
JUDGES = {"judge", "inner", "member", "critic", "remote"}


def guesses(code: str) -> list[int]:
    """Return the lines with a `getattr` or `hasattr` of a judge."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            asked = node.args[0]
            # A judge's model or generator is no judge: `judge.model.config` may be asked for what it has.
            name = asked.attr if isinstance(asked, ast.Attribute) else asked.id if isinstance(asked, ast.Name) else ""
            if name.lstrip("_") in JUDGES or name.endswith("judge"):
                found.append(node.lineno)
    return found


def test_nothing_is_guessed_of_a_judge() -> None:
    assert guesses("getattr(judge, 'x', None)\nhasattr(self._inner, 'y')\ngetattr(judge.model, 'z')") == [1, 2]
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    found = {str(path.relative_to(ROOT)): lines for path in files if (lines := guesses(path.read_text()))}
    assert found == {}
