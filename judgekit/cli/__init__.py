"""The `judgekit` command: parses first, imports the heavy parts after.

This is the composition root: the only part of the package that may know data builders and benchmarks. Every command
is a function that takes the parsed arguments and imports what it runs, so `--help` answers at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from judgekit.cli.checking import add_checking_commands
from judgekit.cli.command import run_command
from judgekit.cli.data import add_data_commands
from judgekit.cli.judging import add_judging_commands
from judgekit.cli.labelling import add_labelling_commands
from judgekit.cli.policies import add_policy_commands
from judgekit.cli.serving import add_serving_commands
from judgekit.cli.training import add_training_commands

DESCRIPTION = "Build step-labelled data, train, calibrate and benchmark step-wise judges."


def main(argv: Sequence[str] | None = None) -> int:
    """Run `judgekit`; returns the exit status."""
    return run_command(_parser, argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="judgekit", description=DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_data_commands(commands)
    add_labelling_commands(commands)
    add_training_commands(commands)
    add_judging_commands(commands)
    add_checking_commands(commands)
    add_policy_commands(commands)
    add_serving_commands(commands)
    return parser


__all__ = ["main"]
