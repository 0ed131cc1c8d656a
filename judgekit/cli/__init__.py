"""The `judgekit` command: a table of names, each imported when it is called.

Each package owns its commands, so this one imports none of those that build on it. `judgekit.cli.command` explains how
a package of your own adds one.
"""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.cli.command import Command, run_program
from judgekit.extensions import Registry

DESCRIPTION = "Build step-labelled data, train, calibrate and benchmark step-wise judges."
COMMANDS: Registry[Command] = Registry(
    "judgekit.commands",
    noun="command",
    of=Command,
    own={
        "build": "judgekit_datasets.commands:BUILD",
        "split": "judgekit_datasets.commands:SPLIT",
        "mix": "judgekit_datasets.commands:MIX",
        "curate": "judgekit_datasets.commands:CURATE",
        "push": "judgekit.cli.push:PUSH",
        "rollouts": "judgekit_datasets.labelling.commands:ROLLOUTS",
        "monte-carlo": "judgekit_datasets.labelling.commands:MONTE_CARLO",
        "judge-labels": "judgekit_datasets.labelling.commands:JUDGE_LABELS",
        "consensus": "judgekit_datasets.labelling.commands:CONSENSUS",
        "label": "judgekit_datasets.by_hand.commands:LABEL",
        "train": "judgekit.cli.training:TRAIN",
        "pretrain": "judgekit.cli.training:PRETRAIN",
        "fit": "judgekit.cli.training:FIT",
        "adapt": "judgekit.cli.training:ADAPT",
        "calibrate": "judgekit.cli.training:CALIBRATE",
        "ensemble": "judgekit.cli.training:ENSEMBLE",
        "cascade": "judgekit.cli.training:CASCADE",
        "prior": "judgekit.cli.training:PRIOR",
        "judge": "judgekit.cli.judging:JUDGE_SOLUTIONS",
        "doctor": "judgekit.cli.judging:DOCTOR",
        "trust": "judgekit.cli.judging:TRUST",
        "serve": "judgekit.cli.judging:SERVE",
        "eval": "judgekit_eval.commands:EVAL",
        "leaderboard": "judgekit_eval.commands:LEADERBOARD",
        "attack": "judgekit_eval.commands:ATTACK",
        "best-of-n": "judgekit_eval.commands:BEST_OF_N",
        "policy": "judgekit_eval.commands:POLICY",
        "bench": "judgekit_eval.commands:BENCH",
        "list": "judgekit.cli.listing:LIST",
    },
)
"""Every command by its name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `judgekit`; returns the exit status."""
    return run_program("judgekit", DESCRIPTION, COMMANDS, argv)


__all__ = ["COMMANDS", "main"]
