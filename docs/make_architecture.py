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

## Where to begin

| you want to change | look into |
|---|---|
| what a solution, a verdict or a row on disk is | `judgekit/types.py`, `judgekit/groups.py` |
| how files are written, folders resumed, rows refused | `io.py`, `run.py`, `store.py`, `rejections.py` of `judgekit/` |
| how a judge reads a solution | `judgekit/judges/`, a room a family; `judgekit/engines/` runs the models |
| how a judge is made | `judgekit/training/`; `judgekit/calibration/` makes its probabilities honest |
| how data are made | `datasets_builders/judgekit_datasets/`: read, generated, spoilt, labelled, filtered |
| what is measured of a judge | `judgekit/metrics/` has the formulas, `eval/judgekit_eval/` the benchmarks and reports |
| what a response earns | `sgpo/algorithms/`, a file an algorithm; `sgpo/credit.py`, which all of them go through |
| how a policy is trained | `sgpo/online/`, `sgpo/offline/`, `sgpo/compare/`; `sgpo/guards.py` watches |
| a command and its help | `judgekit/cli/`, and `commands.py` of the package whose command it is |

Imports go from top to bottom:

```text
judgekit_datasets   judgekit_eval   sgpo           none of the three imports another

judgekit:
  cli                                              commands; those of other packages by name alone
  training   serving                               judges are made, and served
  judging   report                                 files of solutions are judged; what is looked at
  judges                                           of all kinds, behind one door, `load_judge`
  groups                                           groups of responses
  calibration   answers                            honest probabilities; final answers
  engines   metrics                                models are run; formulas
  run   store   rejections   hub                   folders and what lies in them
  io   solution_ids                                files
  types                                            solutions, verdicts, judgements, rollouts
  text                                             prompts, steps, ids of problems
  config   extensions                              options; names that stand for code
  errors   reading   progress   ties   version
```

One arrow goes up: `judges` opens a judge behind an address by `serving/remote.py`, when one is named.

What is added from outside (a judge kind, an algorithm, a source, a benchmark, a command) goes through
`judgekit/extensions.py`: [extending](extending.md).

## The rooms
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
            level = "#" * (3 + (folder != ROOT / package))
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
