"""The notebooks of examples/: each runs from top to bottom in a kernel of its own, and what it stores is clean."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebooks import EXAMPLES, run_notebook

SMALL: dict[str, dict[str, Any]] = {
    "label_to_judge.ipynb": {"OPTIONS": {"n": 80, "seed": 2}, "SIZES": [20, 40]},
    "calibrate_and_certify.ipynb": {
        "OPTIONS": {"n": 160, "seed": 5},
        "OTHER_OPTIONS": {"n": 30, "seed": 6, "min_steps": 9, "max_steps": 12},
        "FIT": 0.25,
        "RISKS": [0.3],
    },
    "grpo_to_sgpo.ipynb": {"PRETRAIN_STEPS": 30, "UPDATES": 2, "GROUP": 4, "PROMPTS": 2, "MAX_TOKENS": 12},
}
SAYS = {
    "label_to_judge.ipynb": r"\n40 labels +F1 [\d.]+ \[(.|\n)*floor: position and length +F1 \d",
    "calibrate_and_certify.ipynb": r"promised 0\.70: held [01]\.\d+ \+- (.|\n)*promised 0\.70, other problems: held",
    "grpo_to_sgpo.ipynb": r"frac_revived +mean [01]\.\d(.|\n)*RTS [01]\.\d\d  reward 0\.\d+(.|\n)*switched off: False",
}
"""What each prints, among else."""


def texts(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or str(output.get("data", {}).get("text/plain", "")) for output in outputs)


@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    notebook = run_notebook(EXAMPLES / name, tmp_path, **SMALL[name])
    assert re.search(SAYS[name], texts(notebook)), texts(notebook)
    assert "image/png" in json.dumps(notebook)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_what_is_stored_is_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.name in SMALL, "run it in the test above, too"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)], "python -m tests.notebooks stores it"
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    stored = json.dumps([cell.outputs for cell in code])
    assert not re.search(r"/(tmp|home|root|work|Users|usr|opt)/|\\\\Users\\\\|[Ww]arning", stored)
    assert path.stat().st_size < 300_000
