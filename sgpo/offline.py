"""Offline SGPO: judge the all-negative groups of a stored file once, then train on the packed responses.

Stages, each of which a killed run finds done on disk: judgements and credits, old log-probabilities, checkpoints. Start
it with `torchrun` to train on several processes; the result does not depend on how many there are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

from judgekit.errors import ConfigError
from judgekit.io import atomic_path
from judgekit.judges import load_judge
from judgekit.run import Run
from sgpo.checkpoints import last_checkpoint, rewind_metrics
from sgpo.credit import CreditTable, StoredJudge, assign_credit, load_credits, write_credits
from sgpo.groups import RolloutGroup, load_groups
from sgpo.offline_config import OfflineConfig
from sgpo.offline_plan import Plan, build_rows, plan_steps, report_plan, token_ids
from sgpo.offline_trainer import OfflineTrainer, compute_row_logprobs
from sgpo.packing import PackedSteps, fill_old_logprobs
from sgpo.policy import check_context, load_policy, load_tokenizer

POLICY_DIR = "policy"
"""The trained policy, an ordinary checkpoint directory."""
PREPARE_TIMEOUT = timedelta(days=7)
"""How long other processes wait while the first one judges."""


def run_offline(config: OfflineConfig, output: Path, *, resume: bool = False) -> dict[str, Any]:
    """Train a policy on stored groups and return what was reported.

    `output` then holds `policy/` (safetensors and tokenizer), `credit/` (each response's RTS, reward and advantages),
    `judgements/`, `metrics.jsonl` and the manifest with the report. Metrics of the first row are those of
    `sgpo.credit.report_credits` and `sgpo.offline_plan.report_plan`, named `prepare/...`; of each later row, one an optimiser step, those
    of `sgpo.offline_trainer.OfflineTrainer`, `epoch` and `guided`, named `offline/...`.

    Args:
        config: What to train on what.
        output: Folder of the run.
        resume: Continue a run that was killed; the result is that of an uninterrupted run.

    Raises:
        ConfigError: see `judgekit.run.Run`; also when the policy cannot read rows of `max_tokens`.
        DataError: the groups are not usable, see `load_groups`, or no response has an advantage.
        CheckpointError: policy or judge cannot be opened.
        JudgeError: the judge fails, or gives too few verdicts.
    """
    state = _start_process(config)
    groups = load_groups(config.groups)
    tokenizer = load_tokenizer(config.policy)
    check_context(config.policy, max_tokens=config.max_tokens)
    with state.main_process_first():
        run = Run(output, config, inputs=_inputs(config), resume=resume or not state.is_main_process)
        table = _load_or_assign_credit(config, groups, tokenizer, output)
    rows, dropped = build_rows(groups, tokenizer=tokenizer, config=config)
    plan = plan_steps(rows, table.credits_N, config=config)
    report = table.report | dropped | report_plan(plan, table)
    if state.is_main_process:
        print_report(report)
    if not run.finished:
        _train(config, run, plan, tokenizer, report)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return report


def _start_process(config: OfflineConfig) -> PartialState:
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    cpu = config.device == "cpu" or not torch.cuda.is_available()
    if not cpu and torch.cuda.device_count() > 1 and "WORLD_SIZE" not in os.environ:
        raise ConfigError(
            f"one process sees {torch.cuda.device_count()} GPUs: start it with `torchrun --nproc_per_node=N`, "
            "or show it one with CUDA_VISIBLE_DEVICES"
        )
    options = {"timeout": PREPARE_TIMEOUT, "backend": "gloo" if cpu else "nccl"} if "WORLD_SIZE" in os.environ else {}
    state = PartialState(cpu=cpu, **options)
    if config.bins_per_step % state.num_processes:
        raise ConfigError(
            f"bins_per_step={config.bins_per_step} cannot be shared evenly by {state.num_processes} processes"
        )
    return state


def _inputs(config: OfflineConfig) -> list[Path]:
    card = Path(config.judge or "") / "judge.json"
    return [config.groups, card] if config.judge and card.is_file() else [config.groups]


def _load_or_assign_credit(
    config: OfflineConfig, groups: Sequence[RolloutGroup], tokenizer: PreTrainedTokenizerBase, output: Path
) -> CreditTable:
    folder = output / "credit"
    if (table := load_credits(folder)) is not None:
        return table
    judge = StoredJudge(load_judge(config.judge), output / "judgements") if config.judge else None
    table = assign_credit(
        groups,
        judge=judge,
        count_tokens=lambda text: len(token_ids(tokenizer, text)),
        config=config.guidance,
        scale=config.group_scale,
        chunk=config.judge_chunk,
    )
    write_credits(folder, table)
    return table


def print_report(report: dict[str, Any]) -> None:
    """Show the report as a table of names and values."""
    table = Table("", "", title="offline groups", show_header=False)
    for name, value in report.items():
        shown = "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
        table.add_row(name.replace("_", " "), shown)
    Console().print(table)


def _train(
    config: OfflineConfig, run: Run, plan: Plan, tokenizer: PreTrainedTokenizerBase, report: dict[str, Any]
) -> None:
    state = PartialState()
    model = load_policy(config.policy)
    steps = plan.steps
    if config.ratio == "initial":
        logprobs = _load_or_compute_initial(config, model.to(state.device), plan, run.output)
        steps = fill_old_logprobs(steps, logprobs)
    with state.main_process_first():
        checkpoint = last_checkpoint(run.output / "checkpoints")
    if state.is_main_process:
        done = 0 if checkpoint is None else int(checkpoint.name.rpartition("-")[2])
        rewind_metrics(run, {f"prepare/{name}": value for name, value in report.items()}, "offline/step", done)

    def on_step(metrics: dict[str, float]) -> None:
        index = int(metrics["step"]) - 1
        extra = {"epoch": plan.epochs[index], "guided": int(plan.guided[index])}
        run.log({f"offline/{name}": value for name, value in (metrics | extra).items()})

    trainer = OfflineTrainer(
        model=model,
        args=_training_arguments(config, run.output, n_steps=len(steps), n_processes=state.num_processes),
        train_dataset=PackedSteps(steps, loss_type=config.loss, max_tokens=config.max_tokens),
        clip_low=config.clip_low,
        clip_high=config.clip_high,
        on_step=on_step,
    )
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    _save_policy(trainer, tokenizer, run.output / POLICY_DIR)
    if state.is_main_process:
        run.finish(report)


def _load_or_compute_initial(
    config: OfflineConfig, model: PreTrainedModel, plan: Plan, output: Path
) -> dict[tuple[str, int], list[float]]:
    """Log-probabilities of every response of the plan under the policy before training, by row key, nats."""
    path = output / "old_logprobs.parquet"
    state = PartialState()
    if not path.is_file():
        rows = list({row.key: row for step in plan.steps for packed in step for row in packed}.values())
        mine = rows[state.process_index :: state.num_processes]
        values = compute_row_logprobs(
            model,
            mine,
            token_budget=config.token_budget,
            bf16=config.precision == "bf16",
            track=lambda bins: track(bins, description="old log-probs", disable=not state.is_main_process),
        )
        found = gather_object([(*row.key, logprobs) for row, logprobs in zip(mine, values, strict=True)])
        if state.is_main_process:
            schema = pl.Schema({"group_id": pl.String, "sample": pl.Int64, "logprobs": pl.List(pl.Float64)})
            with atomic_path(path) as partial:
                pl.DataFrame(found, schema=schema, orient="row").write_parquet(partial)
        state.wait_for_everyone()
    return {(group_id, sample): values for group_id, sample, values in pl.read_parquet(path).iter_rows()}


def _training_arguments(config: OfflineConfig, output: Path, *, n_steps: int, n_processes: int) -> TrainingArguments:
    cpu = config.device == "cpu" or not torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(output / "checkpoints"),
        max_steps=n_steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=config.bins_per_step // n_processes,
        train_sampling_strategy="sequential",
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant_with_warmup" if config.schedule == "constant" else config.schedule,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        bf16=config.precision == "bf16",
        gradient_checkpointing=config.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=config.save_every,
        save_total_limit=2,
        seed=config.seed,
        remove_unused_columns=False,
        report_to="none",
        use_cpu=cpu,
        ddp_backend="gloo" if cpu else "nccl",
        ddp_find_unused_parameters=False,
    )


def _save_policy(trainer: OfflineTrainer, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    trainer.save_model(str(folder))
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(folder)
        (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle, and of this run alone


__all__ = ["POLICY_DIR", "OfflineConfig", "print_report", "run_offline"]
