"""The `sgpo` command: a table of names, each imported when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from judgekit.cli.command import Command, run_program
from judgekit.cli.start_folder import leave_start_folder
from judgekit.extensions import Registry

DESCRIPTION = "Train a policy with SGPO and any judge: online, offline on stored groups, or several arms compared."
COMMANDS: Registry[Command] = Registry(
    "sgpo.commands",
    noun="command",
    of=Command,
    own={
        "online": "sgpo.commands:ONLINE",
        "offline": "sgpo.commands:OFFLINE",
        "iterate": "sgpo.commands:ITERATE",
        "compare": "sgpo.commands:COMPARE",
        "theory": "sgpo.commands:THEORY",
        "list": "sgpo.commands:LIST",
    },
)
"""Every command by its name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `sgpo`; returns the exit status."""
    return run_program("sgpo", DESCRIPTION, COMMANDS, argv)


if __name__ == "__main__":
    leave_start_folder()
    sys.exit(main())
