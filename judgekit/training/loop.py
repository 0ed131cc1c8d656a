"""What every training run of ours shares: options, checkpoints that survive a kill, and metrics on disk."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainingArguments

from judgekit.run import Run
from judgekit.training.config import LoopConfig

CHECKPOINTS = "checkpoints"


class MetricsCallback(TrainerCallback):
    """Writes the Trainer's logs to the run's `metrics.jsonl`, names under `prefix/`."""

    def __init__(self, run: Run, prefix: str) -> None:
        self.run = run
        self.prefix = prefix

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Write one row, on the main process."""
        if not state.is_world_process_zero or not logs:
            return
        values = {
            f"{self.prefix}/{name}": value for name, value in logs.items() if _is_finite(value) and name != "epoch"
        }
        self.run.log({"step": state.global_step, "epoch": state.epoch} | values)


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
        options["gradient_checkpointing"] = True
    return TrainingArguments(**(options | overrides))


def last_checkpoint(output: Path) -> Path | None:
    """Return the newest complete checkpoint below a run folder; a half-written one is passed over."""
    found = (output / CHECKPOINTS).glob("checkpoint-*")
    complete = [path for path in found if _is_complete(path)]
    return max(complete, key=lambda path: int(path.name.removeprefix("checkpoint-")), default=None)


def _is_complete(checkpoint: Path) -> bool:
    """The Trainer writes its state last, so a checkpoint with a readable state is whole."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return False
    return True


def train(trainer: Any, run: Run) -> None:
    """Train from the newest complete checkpoint of the run, or from the start; metrics are rewound to it."""
    checkpoint = last_checkpoint(run.output)
    run.rewind(int(checkpoint.name.removeprefix("checkpoint-")) if checkpoint else -1)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


__all__ = ["CHECKPOINTS", "MetricsCallback", "last_checkpoint", "train", "training_arguments"]
