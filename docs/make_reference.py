"""Writes `docs/changelog.md` and, as `docs/reference/*.md`, the help of every command and data source.

`make docs` runs it before it builds the pages, so that they say what the code says.
"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

from judgekit.cli import COMMANDS, DESCRIPTION
from judgekit.cli.command import Command
from judgekit.extensions import Registry
from judgekit_datasets.registry import SOURCES
from sgpo.cli import COMMANDS as SGPO_COMMANDS
from sgpo.cli import DESCRIPTION as SGPO_DESCRIPTION

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


if __name__ == "__main__":
    os.environ["COLUMNS"] = WIDTH
    FOLDER.mkdir(exist_ok=True)
    pages = {
        "judgekit": page("judgekit", DESCRIPTION, COMMANDS),
        "sgpo": page("sgpo", SGPO_DESCRIPTION, SGPO_COMMANDS),
        "sources": sources_page(),
    }
    changes = (FOLDER.parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    (FOLDER.parent / "changelog.md").write_text(changes.replace("](docs/", "]("), encoding="utf-8")
    for name, text in pages.items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
