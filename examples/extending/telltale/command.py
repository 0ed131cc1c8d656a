"""A command: `judgekit telltale` makes a judge of kind `telltale` out of labelled solutions."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import Field

from judgekit.cli.command import Argument, Command
from judgekit.config import BaseConfig


class FitConfig(BaseConfig):
    """Options of `judgekit telltale`."""

    n_words: int = Field(default=5, ge=1)
    """Words to keep."""


def fit(args: argparse.Namespace, config: FitConfig) -> None:
    """Keep the words that wrong steps hold more often than right ones; write the judge."""
    # Here and not above: `judgekit --help` imports this module.
    from telltale.fitting import write_judge

    spec = write_judge(args.data, args.output, n_words=config.n_words)
    print(f"judge: {args.output}, words: {', '.join(spec.words)}")


TELLTALE = Command(
    summary="Make a judge of the words that give wrong steps away.",
    example="judgekit telltale --data data/notes --output judges/telltale n_words=3",
    run=fit,
    arguments=(
        Argument("--data", type=Path, required=True, help="labelled solutions"),
        Argument("--output", type=Path, required=True, help="judge directory to write"),
    ),
    config=FitConfig,
)
