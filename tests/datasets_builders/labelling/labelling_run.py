"""A labelling run whose labels are known by heart, as a function and as a program that can be killed."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judgekit.config import BaseConfig
from judgekit.errors import JudgeError, JudgekitError
from judgekit.types import LabelledSolution, LabelMethod, Solution, labels_from_first_error
from judgekit_datasets.build_report import BuildReport
from judgekit_datasets.labelling.chunks import Label
from judgekit_datasets.labelling.run import run_labelling
from judgekit_datasets.source import RowRejected


class CountingLabelsConfig(BaseConfig):
    """Options of the run."""

    shift: int = 0
    """Moves the first error; changes the labels and nothing else."""


def counted_solutions(n: int) -> list[Solution]:
    """Return solutions of 1, 2, 3, 4, 1, ... steps."""
    return [Solution(problem=f"Count to {k}.", steps=("one more",) * (k % 4 + 1)) for k in range(n)]


class CountingLabeller:
    """The first error of a solution of n steps is step n - 1 - shift; one of 4 steps has none, every tenth is rejected.

    Args:
        shift: See the configuration.
        work_log: Gets the number of every labelled solution, one a line.
        delay_s: Time that a chunk takes.
        fail_at: Number of a solution at which the engine fails; `None` for never.
        die_at: Number of a solution at which the process is killed, the first time; `None` for never.
        folder: The process goes there, as a worker of a cluster stands anywhere; `None` to stay.
    """

    def __init__(
        self,
        shift: int = 0,
        *,
        work_log: Path | None = None,
        delay_s: float = 0.0,
        fail_at: int | None = None,
        die_at: int | None = None,
        folder: Path | None = None,
    ) -> None:
        if folder is not None:
            os.chdir(folder)
        self.shift, self.work_log, self.delay_s = shift, work_log, delay_s
        self.fail_at, self.die_at = fail_at, die_at

    def label(self, items: Sequence[Solution]) -> list[Label]:
        time.sleep(self.delay_s)
        numbers = [number(item) for item in items]
        if self.work_log is not None:
            with self.work_log.open("a") as file:
                file.write("".join(f"{k}\n" for k in numbers))
        if self.fail_at in numbers:
            raise JudgeError("the server is gone")
        if self.die_at in numbers:
            os.kill(os.getpid(), signal.SIGKILL)
        return [self._label(item, k) for item, k in zip(items, numbers, strict=True)]

    def _label(self, item: Solution, k: int) -> Label:
        if k % 10 == 9:
            return RowRejected("every tenth", f"{k}")
        n_steps = len(item.steps)
        first_error = None if n_steps == 4 else max(n_steps - 1 - self.shift, 0)
        labels = labels_from_first_error(first_error, n_steps=n_steps)
        values = item.model_dump() | {"id": "", "labels": labels, "source": "counting", "label_method": LabelMethod.LLM}
        return [LabelledSolution.model_validate(values)]


def number(item: Solution) -> int:
    """Return the number in the problem of a counted solution."""
    return int(item.problem.removeprefix("Count to ").removesuffix("."))


def run(
    output: Path,
    items: Sequence[Solution],
    *,
    config: CountingLabelsConfig = CountingLabelsConfig(),  # noqa: B008 (frozen)
    inputs: Sequence[Path] = (),
    labeller: dict[str, Any] | None = None,
    **options: Any,
) -> BuildReport:
    """Label counted solutions in chunks of four."""
    return run_labelling(
        items,
        functools.partial(CountingLabeller, config.shift, **(labeller or {})),
        output,
        name="counting",
        config=config,
        record_type=LabelledSolution,
        inputs=inputs,
        chunk_size=4,
        **options,
    )


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file; the manifest's git state and the folder's name are no part of the result."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    content = {name: path.read_bytes() for name, path in found.items()}
    if "manifest.json" in content:
        lines = content["manifest.json"].splitlines()
        content["manifest.json"] = b"\n".join(
            line for line in lines if not line.strip().startswith((b'"sha"', b'"dirty"', b'"output"'))
        )
    return content


def main() -> int:
    """Run as a program; the exit status is 2 after one of our own errors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    parser.add_argument("--n", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--work-log", type=Path)
    args = parser.parse_args()
    labeller = {"delay_s": args.delay, "work_log": args.work_log}
    try:
        report = run(args.output, counted_solutions(args.n), labeller=labeller, workers=args.workers, resume=True)
    except JudgekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
