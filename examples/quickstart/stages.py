"""The stages of the quick start, in order: what `make quickstart` runs, from the root of the repository.

python examples/quickstart/stages.py     # prints the commands, to be typed one by one
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

FOLDER = Path("runs/quickstart")
"""Where everything is written; `configs/quickstart` names it, too."""


class Stage(NamedTuple):
    """One command."""

    title: str
    """What it does."""
    seconds: float
    """How long it takes on two quiet CPU cores: what is expected before it has begun."""
    command: str
    """What can be typed. It goes on where it was interrupted."""

    @property
    def output(self) -> Path | None:
        """The folder that it makes; `None` where it makes several, or adds to one."""
        words = shlex.split(self.command)
        return Path(words[words.index("--output") + 1]) if "--output" in words else None


_Q, _D, _C = FOLDER, FOLDER / "data", "configs/quickstart"
STAGES = (
    Stage(
        "right solutions for the language model",
        3,
        f"judgekit build procedural {_C}/base_data.yaml --output {_D}/base --resume",
    ),
    Stage(
        "solutions full of errors for the policy",
        2,
        f"judgekit build procedural {_C}/policy_data.yaml --output {_D}/policy --resume",
    ),
    Stage(
        "step-labelled solutions for the judge",
        4,
        f"judgekit build procedural {_C}/judge_data.yaml --output {_D}/all --resume",
    ),
    Stage(
        "some of them to fit it, to calibrate and to test it",
        3,
        f"judgekit split {_D}/all {_D}/train=0.9 {_D}/calibration=0.05 {_D}/test=0.05 --resume",
    ),
    Stage(
        "problems for the policy",
        1,
        f"judgekit build procedural-problems {_C}/problems.yaml --output {_D}/problems --resume",
    ),
    Stage(
        "some of them to train, some to test",
        1,
        f"judgekit split {_D}/problems {_D}/rl-train=0.9 {_D}/rl-test=0.1 --resume",
    ),
    Stage("the policy's language model", 38, f"judgekit pretrain {_C}/base.yaml --output {_Q}/base --resume"),
    Stage(
        "the judge's language model", 28, f"judgekit pretrain {_C}/judge_base.yaml --output {_Q}/judge_base --resume"
    ),
    Stage("the judge, of 20 labelled solutions", 5, f"judgekit fit {_C}/judge.yaml --output {_Q}/judge --resume"),
    Stage(
        "its calibration",
        8,
        f"judgekit calibrate --judge {_Q}/judge/judge --data {_D}/calibration dtype=float32",
    ),
    Stage(
        "its benchmark",
        11,
        f"judgekit eval --judge {_Q}/judge/judge --benchmark procedural {_D}/test --output {_Q}/eval --resume "
        "dtype=float32",
    ),
    Stage("a weak policy", 19, f"judgekit pretrain {_C}/policy.yaml --output {_Q}/policy --resume"),
    Stage(
        "GRPO, SGPO and a random judge",
        202,
        f"sgpo compare {_C}/compare.yaml --output {_Q}/compare --resume",
    ),
    Stage("the page", 4, f"python examples/quickstart/summary.py {_Q}"),
)


if __name__ == "__main__":
    print("\n".join(stage.command for stage in STAGES))
