"""The `judgekit` command: parses first, imports the heavy parts after.

This is the composition root: the only module of the package that may know data builders and benchmarks. Every command
is a function that takes the parsed arguments; arguments are declared beside it, so `--help` imports nothing heavy.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from judgekit.errors import JudgekitError

Command = Callable[[argparse.Namespace], None]


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parse, run and turn our own errors into one line on stderr; returns the exit status."""
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        args.command(args)
    except JudgekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; finished work is kept, continue with --resume", file=sys.stderr)
        return 130
    return 0
