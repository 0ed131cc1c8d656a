"""Every command that writes a folder, on tiny inputs: what the tests of killed and of stored runs are led through."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

ROUNDS = ("generation.type=transformers", "generation.model=in/policy", "generation.batch_size=4",
          "generation.threads=1", "generation.dtype=float32", "prompt.type=raw", "sampling.max_tokens=6",
          "sampling.temperature=1.0")  # fmt: skip
RL = ("policy=in/policy", "judge=builtin:random", "device=cpu", "lr=1e-3", "save_every=1")
ONLINE = ("problems=in/problems.jsonl", "group_size=2", "prompts_per_step=1", "max_steps=2",
          "max_completion_length=6", "threads=1", "bf16=false")  # fmt: skip
MODEL = ("threads=1", "bf16=false", "lr=1e-3", "log_every=1")


class Stage(NamedTuple):
    """One command on inputs in the folder `in`, writing below `out`."""

    arguments: tuple[str, ...]
    """What stands behind the command's name, before `--output out`; `split` names its folders itself."""
    input: str | None = None
    """A file it reads; the test changes it."""
    option: tuple[str, ...] = ()
    """Other options than it was begun with, put behind the arguments."""
    weights: bool = False
    """Whether it needs or makes a language model: stored runs of it are not kept."""
    program: str = "judgekit"
    """The program the command is of."""
    typed: str = ""
    """What somebody types into it."""


STAGES: dict[str, Stage] = {
    "build": Stage(("labelled", "--input", "in/raw.jsonl", "source=own"), "in/raw.jsonl", ("source=other",)),
    "split": Stage(("in/labelled", "out/a=0.5", "out/b=0.5"), "in/labelled/data/part-00000.parquet", ("--seed", "1")),
    "mix": Stage(
        ("parts=[{source: labelled, input: in/raw.jsonl, options: {source: own}}, "
         "{source: procedural, options: {n: 8}}]",),
        "in/raw.jsonl", ("seed=1",),
    ),
    "curate": Stage(
        ("data=[in/labelled.jsonl]", "workers=1", "splits={train: 0.5, test: 0.5}"),
        "in/labelled.jsonl", ("seed=1",),
    ),
    "rollouts": Stage(
        ("problems=in/problems.jsonl", "outcome.type=last_number", "n_samples=2", "chunk_size=2", *ROUNDS),
        "in/problems.jsonl", ("seed=1",), weights=True,
    ),
    "monte-carlo": Stage(
        ("data=in/few.jsonl", "n_completions=2", "truncated=wrong", "chunk_size=2",
         "outcome.type=last_number", *ROUNDS),
        "in/few.jsonl", ("seed=1",), weights=True,
    ),
    "judge-labels": Stage(
        ("data=in/labelled.jsonl", "judge=builtin:symbolic", "chunk_size=8"),
        "in/labelled.jsonl", ("show_reference=true",),
    ),
    "consensus": Stage(
        ("monte_carlo=in/monte_carlo.jsonl", "judge=in/labelled.jsonl"),
        "in/monte_carlo.jsonl", ("gold=in/labelled.jsonl",),
    ),
    "label": Stage(
        ("--input", "in/labelled.jsonl", "n_max=6", "--judge", "builtin:symbolic"),
        "in/labelled.jsonl", ("seed=1",), typed="n\n" * 6,
    ),
    "train": Stage(
        ("model=in/policy", "data=[in/labelled.jsonl]", "epochs=1", "batch_size=16", *MODEL),
        "in/labelled.jsonl", ("seed=1",), weights=True,
    ),
    "pretrain": Stage(
        ("data=in/labelled.jsonl", "preset={vocab_size: 270, hidden_size: 16, n_layers: 1, n_heads: 2}", "epochs=1",
         "batch_size=16", *MODEL),
        "in/labelled.jsonl", ("seed=1",), weights=True,
    ),
    "fit": Stage(
        ("model=in/policy", "data=[in/labelled.jsonl]"),
        "in/labelled.jsonl", ("n_max=39",), weights=True,
    ),
    "calibrate": Stage(
        ("--judge", "builtin:symbolic", "--data", "in/labelled.jsonl"),
    ),
    "ensemble": Stage(
        ("--member", "builtin:symbolic", "--member", "builtin:random", "--data", "in/labelled.jsonl"),
    ),
    "cascade": Stage(
        ("--member", "builtin:symbolic", "--member", "builtin:random", "--data", "in/labelled.jsonl", "max_error=0.3"),
    ),
    "prior": Stage(("--data", "in/labelled.jsonl")),
    "judge": Stage(
        ("--judge", "builtin:symbolic", "--input", "in/labelled.jsonl", "chunk_size=8"),
        "in/labelled.jsonl", ("chunk_size=9",),
    ),
    "eval": Stage(
        ("judges=[builtin:symbolic, builtin:random]", "benchmarks={additions: [in/labelled.jsonl]}", "n_resamples=100",
         "chunk_size=8"),
        "in/labelled.jsonl", ("seed=1",),
    ),
    "attack": Stage(
        ("builtin:symbolic", "--input", "in/labelled.jsonl", "n_max=6"),
        "in/labelled.jsonl", ("n_max=5",),
    ),
    "best-of-n": Stage(
        ("--judge", "builtin:symbolic", "--groups", "in/groups.jsonl", "n_resamples=100"),
        "in/groups.jsonl", ("seed=1",),
    ),
    "policy": Stage(
        ("n_samples=2", *ROUNDS, "--benchmark", "own", "in/problems.jsonl"),
        "in/problems.jsonl", ("seed=1",), weights=True,
    ),
    "online": Stage((*RL, *ONLINE), "in/problems.jsonl", ("seed=1",), True, "sgpo"),
    "offline": Stage(
        (*RL, "groups=in/groups.jsonl", "prompt.type=raw", "epochs=1", "max_tokens=110", "token_budget=110"),
        "in/groups.jsonl", ("seed=1",), True, "sgpo",
    ),
    "compare": Stage(
        (*(f"base.{item}" for item in (*RL, *ONLINE) if not item.startswith("judge=")),
         "arms={grpo: {judge: null}, sgpo: {judge: 'builtin:random'}}", "reference=grpo", "seeds=[0]",
         "base.eval.problems=in/problems.jsonl", "base.eval.every=1", "base.eval.temperature=1.0"),
        "in/problems.jsonl", ("reference=sgpo",), True, "sgpo",
    ),
}  # fmt: skip
"""By command. `calibrate`, `cascade`, `ensemble` and `prior` make a judge's directory in seconds and resume nothing."""
NO_FOLDER = {
    "push": "uploads a folder",
    "adapt": "killed and resumed in tests/judgekit/training/probe/test_fit.py, beside the probe judge that it needs",
    "iterate": "killed and resumed in tests/sgpo/offline/test_iterate.py",
    "theory": "reads nothing and takes seconds",
    "doctor": "writes nothing",
    "trust": "writes a record of the user",
    "serve": "writes nothing",
    "leaderboard": "writes files anew from what others wrote",
    "list": "writes nothing",
    "bench": "measures time, which no second run gives again",
}
"""Commands that have no stage here, and why."""


def addition(number: int, wrong: int | None) -> dict[str, Any]:
    """Add 1, 2 and 3 to a number; the step `wrong` is one too high."""
    steps, total = [], number
    for step in range(3):
        before, total = total, total + step + 1 + (step == wrong)
        steps.append(f"{before}+{step + 1}={total}")
    labels = [
        "ok" if wrong is None or step < wrong else "error" if step == wrong else "unlabelled" for step in range(3)
    ]
    problem = f"Start with {number} and add 1 to 3."
    return {"problem": problem, "steps": steps, "labels": labels, "source": "additions", "label_method": None}


def rollout(number: int, sample: int) -> dict[str, Any]:
    """One of several responses to a problem; the first is right."""
    steps = [f"try {sample}", f"{number}+1={number + 1 + sample}"]
    ends = [len(steps[0]), len(steps[0]) + 1 + len(steps[1])]
    problem = f"What is {number}+1?"
    return {
        "group_id": f"g{number}", "sample": sample, "problem": problem, "prompt": problem, "response": "\n".join(steps),
        "steps": steps, "step_start": [0, ends[0] + 1], "step_end": ends, "outcome": float(sample == 0),
        "source": "own", "answer": str(number + 1),
    }  # fmt: skip


def write_inputs(root: Path) -> None:
    """Write everything that the stages read into the folder `in`."""
    from judgekit.io import read_records, write_records
    from judgekit.training.config import TinyConfig
    from judgekit.training.tiny import build_tiny
    from judgekit.types import LabelledSolution

    folder = root / "in"
    folder.mkdir(parents=True)
    labelled = [addition(number, wrong) for number in range(20) for wrong in (None, number % 3)]
    raw: list[Any] = [{name: row[name] for name in ("problem", "steps", "labels")} for row in labelled[:12]]
    raw += [raw[0], {"problem": "no steps", "steps": [], "labels": []}]
    groups = [rollout(number, sample) for number in range(6) for sample in range(4)]
    problems = [
        {"problem_id": f"p{i}", "problem": f"{i}+{i}?", "answer": str(2 * i), "source": "own"} for i in range(6)
    ]
    monte_carlo = [row | {"label_method": "monte_carlo"} for row in labelled[:30]]
    few = [row | {"reference": "3"} for row in labelled[:6]]
    files: dict[str, Sequence[Any]] = {
        "raw": raw, "labelled": labelled, "few": few, "monte_carlo": monte_carlo, "groups": groups,
        "problems": problems,
    }  # fmt: skip
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_records(
        folder / "labelled", read_records(folder / "labelled.jsonl", LabelledSolution), record_type=LabelledSolution
    )
    texts = ["Start with 1 and add 1 to 3.\n1+1=2\n"]
    build_tiny(folder / "policy", texts, TinyConfig(vocab_size=270, hidden_size=16, n_layers=1, n_heads=2))


def run_stage(name: str, *more: str) -> int:
    """Run a stage in the working folder, by the command line; returns the exit status."""
    from judgekit import cli
    from sgpo import cli as sgpo_cli

    mains: dict[str, Callable[[Sequence[str]], int]] = {"judgekit": cli.main, "sgpo": sgpo_cli.main}
    output = () if name == "split" else ("--output", "out")
    with mock.patch("sys.stdin", io.StringIO(STAGES[name].typed)):
        return mains[STAGES[name].program]([name, *STAGES[name].arguments, *output, *more])
