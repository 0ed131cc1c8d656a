"""What every training run of ours shares: options, checkpoints that survive a kill, and metrics on disk."""

from __future__ import annotations

import copy
import json
import logging
import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from transformers import PreTrainedModel, TrainerCallback, TrainingArguments

from judgekit.engines.checkpoint import safe_checkpoint
from judgekit.engines.scoring.load import opening
from judgekit.errors import CheckpointError, boundary, one_line, shorten
from judgekit.io import weights_written_to
from judgekit.run import Run
from judgekit.training.config import LoopConfig

logger = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
CHECKPOINTING = next(
    name
    for name in ("activation_checkpointing", "gradient_checkpointing")
    if name in TrainingArguments.__dataclass_fields__
)
"""The option that trades compute for memory, renamed in transformers 5.20 or later."""
FEW_STEPS = 10
"""A run that its data, not `max_steps`, ends before so many optimiser steps is told that it will hardly learn."""


class MetricsCallback(TrainerCallback):
    """Writes the Trainer's logs to the run's `metrics.jsonl`, names under `prefix/`.

    `loss` is the mean over the optimiser steps since the row before it, `train_loss` in the last row the mean over all.
    A row comes before every checkpoint and at the end, too: what the Trainer has summed up since the last row is lost
    in a kill.
    """

    def __init__(self, run: Run, prefix: str) -> None:
        self.run = run
        self.prefix = prefix

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a row where a checkpoint is written and where training ends."""
        if control.should_save or control.should_training_stop or state.global_step >= state.max_steps:
            control.should_log = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Write one row, on the main process."""
        if not state.is_world_process_zero or not logs:
            return
        if "train_loss" in logs:
            # The Trainer divides what it summed since the last resume by all steps: too small after a kill.
            logs = logs | {"train_loss": mean_loss(state.log_history)}
        values = {
            f"{self.prefix}/{name}": value for name, value in logs.items() if _is_finite(value) and name != "epoch"
        }
        self.run.log({"step": state.global_step, "epoch": state.epoch} | values)


def mean_loss(log_history: list[dict[str, Any]]) -> float | None:
    """Return the mean loss over all optimiser steps of a Trainer's log, which checkpoints keep; `None` without rows.

    Args:
        log_history: Rows with `step` and, of those that count, `loss`: the mean since the row before.

    Example:
        >>> mean_loss([{"step": 10, "loss": 3.0}, {"step": 10, "eval_loss": 9.0}, {"step": 15, "loss": 1.5}])
        2.5
    """
    last, total = 0, 0.0
    for row in log_history:
        if "loss" in row:
            total += row["loss"] * (row["step"] - last)
            last = row["step"]
    return total / last if last else None


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def training_arguments(config: LoopConfig, run: Run, **overrides: Any) -> TrainingArguments:
    """Translate our options into transformers' arguments; `overrides` win."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    options: dict[str, Any] = {
        "output_dir": str(run.output / CHECKPOINTS),
        "learning_rate": config.lr,
        "lr_scheduler_type": config.schedule,
        "warmup_steps": config.warmup_frac,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps or -1,
        "per_device_train_batch_size": config.batch_size,
        "per_device_eval_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.grad_accumulation,
        "bf16": config.bf16,
        "logging_steps": config.log_every,
        "save_strategy": "no" if config.save_every is None else "steps",
        "save_steps": config.save_every or 500,
        "save_total_limit": 2,
        "seed": config.seed,
        "data_seed": config.seed,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
        "report_to": "none",
        "remove_unused_columns": False,
    }
    if config.gradient_checkpointing:
        options[CHECKPOINTING] = True
    return TrainingArguments(**(options | overrides))


def warn_of_few_steps(config: LoopConfig, *, n_rows: int) -> None:
    """Warn of a run that its data end after a handful of optimiser steps; `max_steps` is somebody's wish.

    Args:
        config: Options of the run.
        n_rows: Solutions to train on.
    """
    n_steps = math.ceil(config.epochs * math.ceil(n_rows / (config.batch_size * config.grad_accumulation)))
    if config.max_steps is None and n_steps < FEW_STEPS:
        logger.warning(
            "%d solutions are %d optimiser steps, in which hardly anything is learned: give more data or epochs, a "
            "smaller batch_size, or fit a likelihood judge, which needs few (judgekit fit)",
            n_rows,
            n_steps,
        )


def last_checkpoint(output: Path) -> Path | None:
    """Return the newest whole checkpoint below a run folder; damaged ones are passed over and named in the log."""
    numbered = {path: path.name.removeprefix("checkpoint-") for path in (output / CHECKPOINTS).glob("checkpoint-*")}
    found = [path for path, number in numbered.items() if number.isdecimal()]
    for path in sorted(found, key=lambda path: int(numbered[path]), reverse=True):
        damage = _damage(path)
        if damage is None:
            return path
        logger.warning("%s is not whole (%s): the one before it is tried", path, damage)
    return None


def _damage(checkpoint: Path) -> str | None:
    """Say what about a checkpoint cannot be read, without loading it; `None` where it is whole.

    The Trainer writes its state last, so a kill shows there. A full or failing disk shows in the files: a safetensors
    header states how long the file is, and a file of torch is a zip archive, whose directory is at its end.
    """
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text())
        step, history = state["global_step"], state["log_history"]
        rows = [(row["step"], row.get("loss", 0.0)) for row in history]
        state["stateful_callbacks"]["TrainerControl"]  # which the Trainer writes to
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return "its trainer_state.json cannot be read"
    if step != int(checkpoint.name.removeprefix("checkpoint-")):
        return f"its trainer_state.json is of step {shorten(step)}"
    if not all(isinstance(number, int | float) for row in rows for number in row):
        return "its trainer_state.json holds losses that are no numbers"
    weights = sorted(checkpoint.glob("*.safetensors"))
    if not weights:
        return "it holds no safetensors"
    for path in weights:
        try:
            with safe_open(path, framework="pt"):
                pass
        except (OSError, SafetensorError) as error:
            return f"{path.name}: {error}"
    torn = [path.name for path in sorted(checkpoint.glob("*.pt*")) if not zipfile.is_zipfile(path)]
    return f"{torn[0]} is cut off" if torn else None


def restore_weights(model: Any, checkpoint: Path) -> None:
    """Put the weights of a checkpoint into the model that is trained, all of them, or refuse.

    The Trainer does so too, but leaves a tensor as it is where the file calls it otherwise. transformers stores some
    architectures (the experts of Mixtral) under other names than the model in memory has, and the Trainer would go on
    with the experts of the base.

    Raises:
        CheckpointError: the checkpoint is of another model, or what it names may not be opened, see `safe_checkpoint`.
    """
    directory = safe_checkpoint(checkpoint)
    with opening(str(checkpoint), "checkpoint"):
        if isinstance(model, PreTrainedModel):
            stored, info = type(model).from_pretrained(
                directory,
                config=copy.deepcopy(model.config),
                dtype=model.dtype,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                trust_remote_code=False,
                attn_implementation=None,
                output_loading_info=True,
            )
            other = sorted(
                {*info["missing_keys"], *info["unexpected_keys"], *(key for key, *_ in info["mismatched_keys"])}
            )
            tensors = stored.state_dict()
        else:
            tensors = load_file(directory / "model.safetensors")
            # One tensor that a model uses at several places is stored once.
            state = model.state_dict()
            there = {state[name].data_ptr() for name in tensors if name in state}
            other = sorted(
                {name for name in tensors if name not in state or tensors[name].shape != state[name].shape}
                | {name for name in state if name not in tensors and state[name].data_ptr() not in there}
            )
        if not other:
            model.load_state_dict(tensors, strict=False)
    if other:
        raise CheckpointError(
            f"{checkpoint} is no checkpoint of the model that is trained (tensor {other[0]}): remove it and resume"
        )


def _told(load: Callable[..., Any], checkpoint: Path) -> Callable[..., Any]:
    """Let what the Trainer says of a damaged or hostile file of a checkpoint be one line."""

    def loaded(*args: Any, **options: Any) -> Any:
        with boundary(
            CheckpointError,
            f"cannot resume from {checkpoint}",
            explain=lambda error: f"{one_line(error)[:150]}. Remove it and resume",
        ):
            return load(*args, **options)

    return loaded


def train(trainer: Any, run: Run) -> None:
    """Train from the newest whole checkpoint of the run, or from the start; metrics are rewound to it.

    Raises:
        CheckpointError: the checkpoint is of another model, or a file of it is not what it must be.
        DataError: the disk is full.
    """
    checkpoint = last_checkpoint(run.output)
    run.rewind(int(checkpoint.name.removeprefix("checkpoint-")) if checkpoint else -1)
    if checkpoint:
        restore_weights(trainer.model, checkpoint)
        for name in (
            "_load_from_checkpoint", "_load_optimizer_and_scheduler", "_load_scaler", "_load_rng_state",
            "_load_callback_state",
        ):  # fmt: skip
            if hasattr(trainer, name):
                setattr(trainer, name, _told(getattr(trainer, name), checkpoint))
    with weights_written_to(run.output / CHECKPOINTS), _tf32():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


@contextmanager
def _tf32() -> Iterator[None]:
    """Let a GPU multiply float32 as TF32 while it trains: several times faster, and finer than bfloat16 by three bits.

    Afterwards it is as before: scores in float32 are full float32, as golden scores need it.
    """
    if not torch.cuda.is_available():
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


__all__ = [
    "CHECKPOINTING", "CHECKPOINTS", "MetricsCallback", "last_checkpoint", "mean_loss", "restore_weights", "train",
    "training_arguments", "warn_of_few_steps",
]  # fmt: skip
