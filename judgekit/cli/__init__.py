"""The `judgekit` command: a table of names; what a name stands for is imported when it is asked for.

Each package owns its commands, so this one imports none of those that build on it. `judgekit.cli.command` tells how a
package from outside adds one.
"""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.cli.command import Command, run_program
from judgekit.extensions import Registry

DESCRIPTION = "Build step-labelled data, train, calibrate and benchmark step-wise judges."
COMMANDS: Registry[Command] = Registry(
    "judgekit.commands",
    noun="command",
    own={
        "build": "datasets_builders.commands:BUILD",
        "split": "datasets_builders.commands:SPLIT",
        "mix": "datasets_builders.commands:MIX",
        "curate": "datasets_builders.commands:CURATE",
        "push": "datasets_builders.commands:PUSH",
        "rollouts": "datasets_builders.labelling.commands:ROLLOUTS",
        "monte-carlo": "datasets_builders.labelling.commands:MONTE_CARLO",
        "judge-labels": "datasets_builders.labelling.commands:JUDGE_LABELS",
        "consensus": "datasets_builders.labelling.commands:CONSENSUS",
        "label": "datasets_builders.by_hand.commands:LABEL",
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
        "eval": "eval.commands:EVAL",
        "leaderboard": "eval.commands:LEADERBOARD",
        "attack": "eval.commands:ATTACK",
        "best-of-n": "eval.commands:BEST_OF_N",
        "policy": "eval.commands:POLICY",
        "bench": "eval.commands:BENCH",
    },
)
"""Every command by its name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `judgekit`; returns the exit status."""
    return run_program("judgekit", DESCRIPTION, COMMANDS, argv)


__all__ = ["COMMANDS", "main"]
