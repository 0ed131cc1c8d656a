"""Runs the notebooks of examples/, each in a kernel of its own, as Jupyter does.

`python -m tests.notebooks [NAME.ipynb ...]` runs them as they stand and stores what they print and draw: after a change
that shows in them. Progress bars and warnings of libraries are not stored.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_notebook(path: Path, folder: Path, **parameters: object) -> nbformat.NotebookNode:
    """Run a notebook in a folder and return it with what it printed, without progress bars and warnings.

    Args:
        path: The notebook.
        folder: Working directory of its kernel.
        parameters: Values in place of those in its cell that is tagged `parameters`, as papermill gives them.

    Raises:
        CellExecutionError: a cell raises.
    """
    notebook = nbformat.read(path, as_version=4)
    [place] = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ())]
    unknown = [name for name in parameters if f"\n{name} = " not in notebook.cells[place].source]
    assert not unknown, f"{path.name} has no parameters {unknown}"
    if parameters:
        lines = [f"{name} = {value!r}" for name, value in parameters.items()]
        notebook.cells.insert(place + 1, nbformat.v4.new_code_cell("\n".join(lines)))
    client = NotebookClient(notebook, timeout=None, record_timing=False, resources={"metadata": {"path": str(folder)}})
    client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                output
                for output in cell.outputs
                if output.get("name") != "stderr" and "<progress" not in str(output.get("data", {}).get("text/html"))
            ]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.name for path in EXAMPLES.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(run_notebook(EXAMPLES / name, Path(folder)), EXAMPLES / name)
        print(f"{name}: run and stored")
