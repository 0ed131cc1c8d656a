"""Writes `docs/changelog.md` and, as `docs/reference/*.md`, the help of every command and source and all file formats.

`make docs` runs it before it builds the pages, so that they say what the code says.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import os
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from judgekit.cli import COMMANDS, DESCRIPTION
from judgekit.cli.command import Command
from judgekit.cli.options import models_in, value_in_words
from judgekit.extensions import Registry
from judgekit.judges.card import KINDS, JudgeCard, JudgeSpec
from judgekit.rejections import Rejection
from judgekit.types import Judgement, LabelledSolution, Problem, Rollout, Solution, WeaklyLabelledSolution
from judgekit_datasets.labelling.pairs import PreferencePair
from judgekit_datasets.registry import SOURCES
from judgekit_eval.attacks.schema import AttackResults
from judgekit_eval.best_of_n.schema import BestOfNResults
from judgekit_eval.judges.comparisons import Comparisons
from judgekit_eval.judges.schema import EvalResults
from judgekit_eval.policy.schema import PolicyResults
from sgpo.cli import COMMANDS as SGPO_COMMANDS
from sgpo.cli import DESCRIPTION as SGPO_DESCRIPTION
from sgpo.compare.results import Comparison
from sgpo.guards import Firing
from sgpo.offline.credit import Credit

FOLDER = Path(__file__).parent / "reference"
WIDTH = "100"
"""Columns of the help."""


def help_of(command: Command, prog: str, *before: str) -> str:
    """Return what `prog --help` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        command.parse(prog, [*before, "--help"])
    return printed.getvalue()


def page(program: str, description: str, commands: Registry[Command]) -> str:
    """Return the page of a program."""
    parts = [f"# {program}\n", f"{description}\n"]
    for name in commands.names():
        parts.append(f"## {program} {name}\n\n```text\n{help_of(commands.load(name), f'{program} {name}')}```\n")
    return "\n".join(parts)


def sources_page() -> str:
    """Return the page of the sources that `judgekit build` and `judgekit mix` read."""
    parts = ["# Data sources\n", "`judgekit build SOURCE` makes a data set of each; see also [data](../data.md).\n"]
    build = COMMANDS.load("build")
    for name in SOURCES.names():
        parts.append(f"## {name}\n\n```text\n{help_of(build, 'judgekit build', name)}```\n")
    return "\n".join(parts)


FORMATS: dict[str, tuple[str, tuple[type[BaseModel], ...]]] = {
    "Data sets": (
        "Rows of `data/part-*.parquet` in a data set's folder, of a parquet file, or of a JSON-lines file.",
        (Solution, LabelledSolution, WeaklyLabelledSolution, Problem, Rollout, PreferencePair),
    ),
    "Rejected rows": ("Lines of `rejected.jsonl`.", (Rejection,)),
    "Judgements": ("Lines of `judgements.jsonl`, and of the files below `judgements/` and `chunks/`.", (Judgement,)),
    "Judge": ("`judge.json` in a judge's directory, and cards in YAML.", (JudgeCard,)),
    "Evaluation of a judge": (
        "`judges/JUDGE/BENCHMARK/results.json` and `comparisons.json` in the folder of `judgekit eval`.",
        (EvalResults, Comparisons),
    ),
    "Other evaluations": (
        "`results.json` in the folders of `judgekit attack`, `best-of-n` and `policy`.",
        (AttackResults, BestOfNResults, PolicyResults),
    ),
    "Training a policy": (
        "Rows of `credit/` of `sgpo offline`; lines of `guards.jsonl`; `compare.json` and lines of `results.jsonl` of "
        "`sgpo compare`.",
        (Credit, Firing, Comparison),
    ),
}
"""What is on disk, in the order of the page: a sentence, and the types; those that they hold follow them."""
UNKNOWN = {"forbid": "refused", "allow": "kept", "ignore": "left out", None: "left out"}
"""What becomes of a field that a type does not have."""


def sentences_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the text under each field, of the base classes too."""
    found: dict[str, str] = {}
    for base in (base for base in reversed(model.__mro__) if issubclass(base, BaseModel) and base is not BaseModel):
        [tree] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                found[field.target.id] = " ".join(inspect.cleandoc(ast.literal_eval(text.value)).split())
    return found


def schema_of(model: type[BaseModel], titles: dict[type[BaseModel], str]) -> str:
    """Return a type's part of the page: what it is, and a table of its fields."""
    about = inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0]
    unknown = UNKNOWN[model.model_config.get("extra")]
    lines = [f"### {titles[model]}\n", " ".join(about.split()), f"Unknown fields are {unknown}.\n"]
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
    sentences = sentences_of(model)
    for name, field in model.model_fields.items():
        kind = value_in_words(field.annotation, field.metadata)
        inside = models_in(field.annotation, field.metadata)
        if JudgeSpec in inside:  # any of the kinds
            kind, inside = "one of these", [KINDS.load(kind) for kind in KINDS.names()]
        for word in ("the keys below", "one of these"):
            kind = kind.replace(
                word, ", ".join(f"[{titles[part]}](#{titles[part].lower().replace(' ', '-')})" for part in inside)
            )
        default = "required"
        if not field.is_required():
            value = field.get_default(call_default_factory=True)
            default = "see there" if isinstance(value, BaseModel) else f"`{json.dumps(value, default=str)}`"
        kind = kind.replace(f" and < {2**63}", "")  # as 64 bits hold it
        cells = (f"`{field.alias or name}`", kind, default, sentences.get(name, "").replace("`None`", "`null`"))
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def with_parts(models: Sequence[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """Yield types, each followed by what its fields hold."""
    for model in models:
        yield model
        for field in model.model_fields.values():
            inside = models_in(field.annotation, field.metadata)
            yield from with_parts([KINDS.load(kind) for kind in KINDS.names()] if JudgeSpec in inside else inside)


def formats_page() -> str:
    """Return the page of all types that lie on disk."""
    listed = {title: [*dict.fromkeys(with_parts(models))] for title, (_, models) in FORMATS.items()}
    titles: dict[type[BaseModel], str] = {}
    for model in (model for models in listed.values() for model in models):
        name = model.__name__.lstrip("_")
        # Two stages may call a part of theirs alike.
        titles.setdefault(model, f"{name} of {model.__module__.split('.')[-2]}" if name in titles.values() else name)
    parts = [
        "# Formats\n",
        "Every type that lies on disk, read off the code; see [files](../files.md) for what lies where.\n",
    ]
    told: set[type[BaseModel]] = set()
    for title, (sentence, _) in FORMATS.items():
        parts += [f"## {title}\n", f"{sentence}\n"]
        parts += [schema_of(model, titles) for model in listed[title] if model not in told]
        told.update(listed[title])
    return "\n".join(parts)


if __name__ == "__main__":
    os.environ["COLUMNS"] = WIDTH
    FOLDER.mkdir(exist_ok=True)
    pages = {
        "judgekit": page("judgekit", DESCRIPTION, COMMANDS),
        "sgpo": page("sgpo", SGPO_DESCRIPTION, SGPO_COMMANDS),
        "sources": sources_page(),
        "formats": formats_page(),
    }
    changes = (FOLDER.parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    (FOLDER.parent / "changelog.md").write_text(changes.replace("](docs/", "]("), encoding="utf-8")
    for name, text in pages.items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
