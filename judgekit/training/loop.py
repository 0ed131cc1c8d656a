"""What all training runs share: options, checkpoints that survive a kill, and metrics on disk."""

from __future__ import annotations

import copy
import json
import logging
import math
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate.utils import is_peft_model
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch.distributed.fsdp import FSDPModule
from transformers import PreTrainedModel, PrinterCallback, ProgressCallback, TrainerCallback, TrainingArguments

from judgekit.engines.checkpoint import safe_checkpoint
from judgekit.engines.scoring.load import opening
from judgekit.errors import CheckpointError, ConfigError, boundary, one_line, shorten
from judgekit.io import weights_written_to
from judgekit.progress import Progress
from judgekit.run import CHECKPOINTS, Run
from judgekit.store import claim
from judgekit.training.config import LoopConfig
from judgekit.training.lora import merge_adapters, restore_adapters
from judgekit.training.optim import OptimConfig, Tracker
from judgekit.training.tracking import tracking

logger = logging.getLogger(__name__)

CHECKPOINTING = next(
    name
    for name in ("activation_checkpointing", "gradient_checkpointing")
    if name in TrainingArguments.__dataclass_fields__
)
"""The option that trades compute for memory, renamed in transformers 5.20 or later."""
FEW_STEPS = 10
"""A run that its data, not `max_steps`, ends before so many optimiser steps is told that it will hardly learn."""


class MetricsCallback(TrainerCallback):
    """Writes the Trainer's logs to the run's `metrics.jsonl`, names under `prefix/`; what is not finite is null.

    `loss` is the mean over the optimiser steps since the row before it, `train_loss` in the last row the mean over all.
    A row comes before every checkpoint and at the end, too: what the Trainer has summed up since the last row is lost
    in a kill.

    Args:
        run: Where the rows go.
        prefix: The stage.
        bare: Beginnings of names that stand as they are, without the prefix.
        needs: A name without which a log is not a row, such as the Trainer's summary at the end; `None` takes all.
    """

    def __init__(self, run: Run, prefix: str, *, bare: tuple[str, ...] = ("epoch",), needs: str | None = None) -> None:
        self.run = run
        self.prefix = prefix
        self.bare = bare
        self.needs = needs

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a row where a checkpoint is written and where training ends."""
        if control.should_save or control.should_training_stop or state.global_step >= state.max_steps:
            control.should_log = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Write one row, on the main process."""
        if not state.is_world_process_zero or not logs or (self.needs is not None and self.needs not in logs):
            return
        if "train_loss" in logs:
            # The Trainer divides what it summed since the last resume by all steps: too small after a kill.
            logs = logs | {"train_loss": mean_loss(state.log_history)}
        names = {name: name if name.startswith(self.bare) else f"{self.prefix}/{name}" for name in logs}
        values = {names[name]: finite(value) for name, value in logs.items() if isinstance(value, int | float)}
        self.run.log({"step": state.global_step} | values)


class StepProgress(TrainerCallback):
    """Shows the optimiser steps as all commands show their work, in place of the bars and dicts of transformers."""

    def __init__(self) -> None:
        self._end = ExitStack()
        self._shown: Progress | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin, at the step of the checkpoint."""
        progress = Progress("training, steps", state.max_steps, done=state.global_step)
        self._shown = self._end.enter_context(progress)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count a step."""
        if self._shown is not None:
            self._shown.update(state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Show the accuracy of what was sampled where there is one, else the loss."""
        for name, shown in (("sgpo/accuracy", "accuracy"), ("loss", "loss")):
            if self._shown is not None and logs and isinstance(logs.get(name), int | float):
                self._shown.update(self._shown.done, note=f"{shown} {logs[name]:.3f}")
                return

    def close(self) -> None:
        """End, however training ended."""
        self._end.close()


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


def finite(value: float) -> float | None:
    """Return a number as it is, and null for one that JSON does not have."""
    return value if math.isfinite(value) else None


ArgumentsT = TypeVar("ArgumentsT", bound=TrainingArguments)


def training_arguments(
    made: type[ArgumentsT],
    config: OptimConfig,
    output: Path,
    *,
    n_per_step: int,
    micro_batch: int | None,
    batch: str,
    n_processes: int = 1,
    **others: Any,
) -> ArgumentsT:
    """Translate our options into those of transformers, or of TRL, whose defaults differ: none is left to them.

    Args:
        made: `TrainingArguments` or a class that extends it.
        config: Our options.
        output: Folder of the run.
        n_per_step: Rows of one optimiser step, over all processes.
        micro_batch: Rows of one forward pass of one process; `None` takes all of a step at once.
        batch: What the rows of a step are and which options say so, for the error.
        n_processes: How many processes share a step.
        others: Options of `made` that are no part of `OptimConfig`; they win.

    Raises:
        ConfigError: the rows of a step do not divide into processes and passes.
    """
    micro_batch = micro_batch or max(n_per_step // n_processes, 1)
    n_passes, rest = divmod(n_per_step, micro_batch * n_processes)
    if rest or not n_passes:
        raise ConfigError(
            f"{n_per_step} {batch} cannot be split over {n_processes} processes with micro-batches of {micro_batch}: "
            "change one of them"
        )
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    cpu = config.device == "cpu" or not torch.cuda.is_available()
    options: dict[str, Any] = {
        "output_dir": str(output / CHECKPOINTS),
        "learning_rate": config.lr,
        "lr_scheduler_type": "constant_with_warmup" if config.schedule == "constant" else config.schedule,
        "warmup_steps": config.warmup,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "max_steps": config.max_steps or -1,
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": n_passes,
        "bf16": config.bf16,
        CHECKPOINTING: config.gradient_checkpointing,
        "logging_steps": config.log_every,
        "save_strategy": "no" if config.save_every is None else "steps",
        "save_steps": config.save_every or 500,
        "save_total_limit": 2,
        "seed": config.seed,
        "data_seed": config.seed,
        "use_cpu": cpu,
        "dataloader_pin_memory": not cpu,
        "ddp_backend": ("gloo" if cpu else "nccl") if n_processes > 1 else None,
        "ddp_find_unused_parameters": False,
        "disable_tqdm": True,  # see `StepProgress`
        "report_to": "none",  # see `judgekit.training.tracking`
        "remove_unused_columns": False,
    }
    return made(**(options | others))


def loop_arguments(config: LoopConfig, output: Path, **others: Any) -> TrainingArguments:
    """Translate the options of a training on solutions, see `training_arguments`."""
    return training_arguments(
        TrainingArguments,
        config,
        output,
        n_per_step=config.batch_size,
        micro_batch=config.micro_batch,
        batch="solutions per step (batch_size)",
        num_train_epochs=config.epochs,
        per_device_eval_batch_size=config.micro_batch or config.batch_size,
        train_sampling_strategy="group_by_length",
        **others,
    )


def warn_of_few_steps(config: LoopConfig, *, n_rows: int) -> None:
    """Warn of a run that its data end after a handful of optimiser steps; `max_steps` is somebody's wish.

    Args:
        config: Options of the run.
        n_rows: Solutions to train on.
    """
    n_steps = math.ceil(config.epochs * math.ceil(n_rows / config.batch_size))
    if config.max_steps is None and n_steps < FEW_STEPS:
        logger.warning(
            "%d solutions make only %d optimiser steps, too few to learn much: give more data or epochs, a smaller "
            "batch_size, or fit a likelihood judge, which needs little data (judgekit fit)",
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
        logger.warning("%s is incomplete (%s): trying the one before it", path, damage)
    return None


def _damage(checkpoint: Path) -> str | None:
    """Say what about a checkpoint cannot be read, without loading it; `None` if it is whole.

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
        return "its trainer_state.json has losses that are not numbers"
    weights = sorted(checkpoint.glob("*.safetensors"))
    if not weights:
        return "it has no safetensors file"
    for path in weights:
        try:
            with safe_open(path, framework="pt"):
                pass
        except (OSError, SafetensorError) as error:
            return f"{path.name}: {error}"
    torn = [path.name for path in sorted(checkpoint.glob("*.pt*")) if not zipfile.is_zipfile(path)]
    return f"{torn[0]} is truncated" if torn else None


def restore_weights(model: Any, checkpoint: Path) -> None:
    """Put the weights of a checkpoint into the model that is trained, all of them, or refuse.

    The Trainer does so too, but leaves a tensor as it is where the file calls it otherwise. transformers stores some
    architectures (the experts of Mixtral) under other names than the model in memory has, and the Trainer would go on
    with the experts of the base.

    Raises:
        CheckpointError: the checkpoint is of another model, or what it names may not be opened, see `safe_checkpoint`.
    """
    if is_peft_model(model):
        with opening(str(checkpoint), "checkpoint"):
            restore_adapters(model, checkpoint)
        return
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
            f"{checkpoint} is not a checkpoint of the model in training (tensor {other[0]}): remove it and resume"
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


def train(trainer: Any, run: Run, *, report_to: Sequence[Tracker] = ()) -> None:
    """Train from the newest whole checkpoint of the run, or from the start; metrics are rewound to it.

    Args:
        trainer: A Trainer of transformers or TRL.
        run: The run.
        report_to: Trackers that show its metrics.

    Raises:
        CheckpointError: the checkpoint is of another model, or a file of it is not what it must be.
        ConfigError: another process trains into the folder.
        DataError: the disk is full.
    """
    for shows in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(shows)
    if not trainer.is_world_process_zero():
        return _train(trainer, run)
    with claim(run.output / CHECKPOINTS, None) as claimed, closing(StepProgress()) as shown:
        trainer.add_callback(shown)
        if not claimed:
            raise ConfigError(f"another process is training into {run.output}: wait for it, or stop it and resume")
        _train(trainer, run, report_to=report_to)


def _train(trainer: Any, run: Run, *, report_to: Sequence[Tracker] = ()) -> None:
    checkpoint = last_checkpoint(run.output)
    step = int(checkpoint.name.removeprefix("checkpoint-")) if checkpoint else 0
    run.rewind(step if checkpoint else -1)
    if checkpoint:
        restore_weights(trainer.model, checkpoint)
        for name in (
            "_load_from_checkpoint", "_load_optimizer_and_scheduler", "_load_scaler", "_load_rng_state",
            "_load_callback_state",
        ):  # fmt: skip
            if hasattr(trainer, name):
                setattr(trainer, name, _told(getattr(trainer, name), checkpoint))
    with tracking(run, report_to, step=step), weights_written_to(run.output / CHECKPOINTS), _tf32():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def save_policy(trainer: Any, tokenizer: Any, folder: Path, *, reopen: Callable[[], Any]) -> None:
    """Write what was trained as a checkpoint of safetensors with its tokenizer; every process calls this.

    Adapters are written to `adapter` next to the folder, and then added to the weights.

    Args:
        trainer: The trainer.
        tokenizer: Of the policy.
        folder: Where the policy goes.
        reopen: Opens the policy with fresh adapters, for weights that are spread over processes.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    with weights_written_to(folder):
        if not is_peft_model(model):
            trainer.save_model(str(folder))
        elif isinstance(model, FSDPModule):
            adapter = folder.with_name("adapter")
            trainer.save_model(str(adapter))
            if trainer.is_world_process_zero():
                (adapter / "training_args.bin").unlink(missing_ok=True)
                model = reopen()
                restore_adapters(model, adapter)
                merge_adapters(model).save_pretrained(str(folder))
        elif trainer.is_world_process_zero():
            model.save_pretrained(str(folder.with_name("adapter")))
            merge_adapters(model).save_pretrained(str(folder))
        if trainer.is_world_process_zero():
            tokenizer.save_pretrained(folder)
            (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle, and config.json says it all


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
