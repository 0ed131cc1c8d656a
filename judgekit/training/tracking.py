"""Shows the rows of `metrics.jsonl` in TensorBoard, Trackio or Weights & Biases during a run.

The trackers get what `Run.log` writes, so the names are those on disk and rows of evaluations are included. The
integrations of transformers would rename them and only see the Trainer's own rows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from judgekit.io import read_json
from judgekit.run import MANIFEST, Run
from judgekit.training.optim import Tracker

PROJECT = "judgekit"
"""Project under which runs are shown; WANDB_PROJECT and TRACKIO_PROJECT name another."""


@contextmanager
def tracking(run: Run, report_to: Sequence[Tracker], *, step: int) -> Iterator[None]:
    """Let trackers hear each row that the run logs. Only numbers are shown.

    Args:
        run: The run; TensorBoard's files and those of Weights & Biases lie in folders of their own below it.
        report_to: Where to show the rows.
        step: Optimiser step at which the run begins or goes on. Rows beyond it, of a process that was killed, give way
            in TensorBoard; the other two go on with the same run and keep what they were told.
    """
    with ExitStack() as stack:
        for tracker in report_to:
            send = stack.enter_context(_open(tracker, run, step))

            def tell(row: Mapping[str, Any], send: Callable[[dict[str, float], int], None] = send) -> None:
                numbers = {name: float(value) for name, value in row.items() if isinstance(value, int | float)}
                send(numbers, int(numbers.pop("step", 0)))

            run.listeners.append(tell)
            stack.callback(run.listeners.remove, tell)
        yield


@contextmanager
def _open(tracker: Tracker, run: Run, step: int) -> Iterator[Callable[[dict[str, float], int], None]]:
    if tracker == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(run.output / tracker), purge_step=step + 1 if step else None) as writer:

            def send(numbers: dict[str, float], step: int) -> None:
                for name, value in numbers.items():
                    writer.add_scalar(name, value, step)
                writer.flush()  # a killed run keeps its rows

            yield send
        return
    # A resumed run is the same run there, one begun again in the same folder is another.
    here, started = run.output.resolve(), read_json(run.output / MANIFEST)["started"]
    identity = hashlib.sha256(f"{here} {started}".encode()).hexdigest()[:8]
    options: dict[str, Any] = {"name": f"{here.name}-{identity}", "config": run.config, "resume": "allow"}
    if tracker == "wandb":
        import wandb as package  # optional, and heavy

        options |= {"dir": str(here), "id": options["name"]}
    else:
        import trackio as package  # optional, and heavy
    package.init(project=os.environ.get(f"{tracker.upper()}_PROJECT", PROJECT), **options)
    try:
        yield lambda numbers, step: package.log(numbers, step=step)
    finally:
        package.finish()
