"""Offline SGPO: judge the all-negative groups of a stored file once, then train on the packed responses.

Stages that a killed run finds finished on disk: judgements and credits, old log-probabilities, checkpoints. Start it
with `torchrun` to train on several processes; the result does not depend on their number.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence, Set
from datetime import timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from rich.table import Table
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

from judgekit.answers import build_outcome
from judgekit.errors import ConfigError
from judgekit.groups import RolloutGroup, is_right
from judgekit.io import atomic_path, read_json, shard_paths, write_json
from judgekit.judges import load_judge
from judgekit.judges.stored import StoredJudge, shared_folder
from judgekit.judges.unfamiliar import warn_unfamiliar
from judgekit.progress import track
from judgekit.report.terminal import console
from judgekit.run import METRICS, Run, read_rows
from judgekit.text.identity import content_id
from judgekit.training.loop import MetricsCallback, last_checkpoint, save_policy, train, training_arguments
from judgekit.training.sharding import start_process
from sgpo.algorithms.grpo import GRPO
from sgpo.credit import StepCredit, token_spans
from sgpo.divergence import group_divergence
from sgpo.held_out import Evaluator, HeldOut, read_problems
from sgpo.influence import group_influences
from sgpo.offline.config import OfflineConfig
from sgpo.offline.credit import (
    GUARDS,
    CreditTable,
    Trained,
    assign_credit,
    load_credits,
    read_step_credit,
    write_credits,
)
from sgpo.offline.packing import OfflineRow, PackedSteps, fill_old_logprobs
from sgpo.offline.plan import Plan, build_rows, plan_steps, report_plan, token_ids
from sgpo.offline.rows import load_offline_groups
from sgpo.offline.trainer import OfflineTrainer, OldValue, can_pack, compute_row_values, packed_policy
from sgpo.online.totals import held_out_ends
from sgpo.policy import Policy, load_policy

logger = logging.getLogger(__name__)

PLAN = "plan.json"
POLICY_DIR = "policy"
"""The trained policy, an ordinary checkpoint directory."""
PREPARE_TIMEOUT = timedelta(days=7)
"""How long other processes wait while the first one judges."""


def run_offline(config: OfflineConfig, output: Path, *, resume: bool = False) -> dict[str, Any]:
    """Train a policy on stored groups and return the report.

    `output` then holds `policy/` (safetensors and tokenizer), `credit/` (each response's RTS, reward and advantages),
    `judgements/`, `metrics.jsonl` and the manifest with the report. The first row of metrics is the report as
    `prepare/...`, see `sgpo.offline.credit.report_credits`, `build_rows` and `report_plan` in `sgpo.offline.plan`. Each
    later row covers `log_every` optimiser steps as `offline/...`, see `Recorder`, or is a held-out evaluation as
    `eval/...`; the report also has the first and last accuracy.

    Args:
        config: Policy, data and options.
        output: Folder of the run.
        resume: Continue a run that was killed; the result equals that of an uninterrupted run.

    Raises:
        ConfigError: see `judgekit.run.Run`; also when the policy cannot read rows of `max_tokens`.
        DataError: the groups are not usable, see `load_offline_groups`, or no response has an advantage.
        CheckpointError: policy or judge cannot be opened.
        JudgeError: the judge fails, or gives too few verdicts.
    """
    state = _start_process(config)
    shard_paths(config.groups)  # a missing file is reported before the policy is loaded
    policy = load_policy(config.policy, dtype=config.dtype, lora=config.lora, seed=config.seed, lr=config.lr)
    groups, left_out = load_offline_groups(config, policy.tokenizer)
    context = getattr(policy.model.config, "max_position_embeddings", None)
    if context is not None and config.max_tokens > context:
        raise ConfigError(
            f"max_tokens={config.max_tokens} is more than the {context} tokens of context that {config.policy} has"
        )
    rows, dropped = build_rows(groups, tokenizer=policy.tokenizer, config=config)
    with state.main_process_first():
        card = Path(config.judge or "") / "judge.json"
        inputs = [config.groups, card] if config.judge and card.is_file() else [config.groups]
        inputs += [] if config.eval is None else [config.eval.problems]
        run = Run(output, config, inputs=inputs, resume=resume or not state.is_main_process)
    needs, of_initial = config.resolved_algorithm.needs, dict[OldValue, dict[tuple[str, int], list[float]]]()
    if config.ratio == "initial" and "old_logprobs" in needs:
        of_initial["logprob"] = _load_or_compute_initial(config, policy.model.to(state.device), rows, run)
    asked: tuple[OldValue, ...] = ("entropy", "divergence", "influence")
    right = {
        (r.group_id, r.sample)
        for group in groups
        for r in group.rollouts
        if is_right(r.outcome, above=group.correct_above)
    }
    for value in asked:
        if value in needs:
            model = policy.model.to(state.device)
            of_initial[value] = _load_or_compute_initial(config, model, rows, run, value=value, right=right)
    with state.main_process_first():
        trained = _trained_tokens(config, groups, rows, policy.tokenizer, of_initial=of_initial)
        table = _load_or_assign_credit(config, groups, trained, policy.tokenizer, run)
    if table.report.get("judge_off"):
        config = config.model_copy(update={"algorithm": GRPO(), "judge": None})
    report = run.results
    if not run.finished:
        longest = max(map(len, rows), default=0)  # empty if all are too long, which the plan then refuses
        alone = not can_pack(policy.model, longest=longest)
        if alone:
            logger.warning(
                "%s (model type %s) cannot separate several responses in one forward pass: each bin holds one, so "
                "bins_per_step counts responses",
                config.policy,
                policy.model.config.model_type,
            )
        plan = plan_steps(rows, table.credits_N, config=config, alone=alone, n_processes=state.num_processes)
        report = table.report | left_out | dropped | report_plan(plan, table)
        with state.main_process_first():
            _check_plan(plan, output)
        if state.is_main_process:
            print_report(report)
        step_credit = None
        if config.resolved_algorithm.when == "step":
            step_credit = read_step_credit(
                groups,
                table.credits_N,
                algorithm=config.resolved_algorithm,
                trained=trained,
                objectives=config.objectives,
                scale=config.scale_rewards,
            )
        _train(config, run, policy, plan, report, step_credit)
        if state.is_main_process:
            if config.eval is not None:
                report |= held_out_ends(read_rows(output / METRICS))
            run.finish(report)
    state.wait_for_everyone()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return report


def _start_process(config: OfflineConfig) -> PartialState:
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    cpu = config.device == "cpu" or not torch.cuda.is_available()
    if not cpu and torch.cuda.device_count() > 1 and "WORLD_SIZE" not in os.environ:
        raise ConfigError(
            f"one process sees {torch.cuda.device_count()} GPUs: start the run with `torchrun --nproc_per_node=N`, "
            "or show it only one with CUDA_VISIBLE_DEVICES"
        )
    options = {"timeout": PREPARE_TIMEOUT, "backend": "gloo" if cpu else "nccl"} if "WORLD_SIZE" in os.environ else {}
    state = start_process(cpu=cpu, **options)
    if config.groups_per_step is None and config.bins_per_step % state.num_processes:
        raise ConfigError(
            f"bins_per_step={config.bins_per_step} cannot be split evenly over {state.num_processes} processes"
        )
    return state


def _check_plan(plan: Plan, output: Path) -> None:
    """Store the layout of the steps; refuse to resume from a checkpoint whose steps were laid out otherwise."""
    steps = [[[row.key for row in packed] for packed in step if packed] for step in plan.steps]
    digest, path = content_id(steps=steps), output / PLAN
    if path.is_file() or last_checkpoint(output) is not None:
        if not path.is_file() or read_json(path) != {"steps": digest}:
            raise ConfigError(
                f"cannot resume {output}: an earlier release assigned the responses to other optimiser steps. Train "
                "into a new folder"
            )
    else:
        write_json(path, {"steps": digest})


def _trained_tokens(
    config: OfflineConfig,
    groups: Sequence[RolloutGroup],
    rows: Sequence[OfflineRow],
    tokenizer: PreTrainedTokenizerBase,
    *,
    of_initial: Mapping[OldValue, Mapping[tuple[str, int], Sequence[float]]],
) -> dict[tuple[str, int], Trained]:
    """What the algorithm may ask about trained tokens, by group id and sample; spans only if it needs them.

    Recorded log-probabilities take precedence over those of the policy before training, which exist only if needed.
    """
    rollouts = {(rollout.group_id, rollout.sample): rollout for group in groups for rollout in group.rollouts}
    trained = {}
    for row in rows:
        spans_S: tuple[tuple[int, int], ...] = ()
        if "spans" in config.resolved_algorithm.needs:
            rollout = rollouts[row.key]
            spans_S = token_spans(
                row.completion_ids,
                list(zip(rollout.step_start, rollout.step_end, strict=True)),
                text=rollout.response,
                decode=lambda ids: tokenizer.decode(ids, skip_special_tokens=True),
            )
        old_T = row.old_logprobs_T or of_initial.get("logprob", {}).get(row.key)
        trained[row.key] = Trained(
            n_tokens=len(row.completion_ids),
            spans_S=spans_S,
            n_prompt_tokens=len(row.prompt_ids),
            old_logprob=math.nan if old_T is None else math.fsum(old_T),
            entropies_T=tuple(of_initial.get("entropy", {}).get(row.key, ())),
            divergences_T=tuple(of_initial.get("divergence", {}).get(row.key, ())),
            influences_T=tuple(of_initial.get("influence", {}).get(row.key, ())),
        )
    return trained


def _load_or_assign_credit(
    config: OfflineConfig,
    groups: Sequence[RolloutGroup],
    trained: Mapping[tuple[str, int], Trained],
    tokenizer: PreTrainedTokenizerBase,
    run: Run,
) -> CreditTable:
    credit_folder = run.output / "credit"
    if (table := load_credits(credit_folder)) is not None:
        return table
    judge = None
    if config.judge is not None:
        opened = load_judge(config.judge, dtype=config.judge_dtype, votes=config.judge_votes)
        config.check_judge(opened.info)
        warn_unfamiliar(opened, [rollout for group in groups for rollout in group.rollouts])
        shared = None
        if config.judgements is not None:
            shared = shared_folder(config.judgements, name=config.judge, info=opened.info, votes=config.judge_votes)
        judge = StoredJudge(opened, shared or run.output / "judgements", raw=shared is not None)
    table = assign_credit(
        groups,
        judge=judge,
        algorithm=config.resolved_algorithm,
        guards=config.guards,
        seed=config.seed,
        listeners=[
            lambda firing: logger.warning("%s", firing),
            lambda firing: run.log_firings([firing.model_dump(mode="json")]),
        ],
        count_tokens=lambda text: len(token_ids(tokenizer, text)),
        trained=trained,
        objectives=config.objectives,
        scale=config.scale_rewards,
        chunk=config.judge_chunk,
    )
    write_credits(credit_folder, table)
    return table


def print_report(report: Mapping[str, Any]) -> None:
    """Show the report as a table of names and values."""
    table = Table("", "", title="offline groups", show_header=False)
    for name, value in report.items():
        if name == GUARDS:
            continue  # logged when it happened
        shown = "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
        table.add_row(name.replace("_", " "), shown)
    console().print(table)


class Recorder(MetricsCallback):
    """Writes the report and then the Trainer's rows to `metrics.jsonl`, on the main process.

    A row has `loss`, `grad_norm` (before clipping), `learning_rate`, what `OfflineTrainer` adds, `epoch` (0-based,
    integer) and `guided` (1 if the row's last step trained on guided advantages, else 0).
    """

    def __init__(self, run: Run, plan: Plan, report: Mapping[str, Any]) -> None:
        super().__init__(run, "offline", bare=(), needs="grad_norm")
        self.plan = plan
        self.report = report

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the report, unless an earlier process did before the checkpoint."""
        if state.is_world_process_zero and state.global_step == 0:
            numbers = {f"prepare/{name}": value for name, value in self.report.items() if name != GUARDS}
            self.run.log({"step": 0} | numbers)
            self.run.log_firings(self.report.get(GUARDS, ()))  # the start of training is a clean slate

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Write a row, with what the plan says about its last step."""
        index = state.global_step - 1
        extra = {"epoch": self.plan.epochs[index], "guided": int(self.plan.guided[index])}
        super().on_log(args, state, control, logs=(logs or {}) | extra)


def _train(
    config: OfflineConfig,
    run: Run,
    policy: Policy,
    plan: Plan,
    report: Mapping[str, Any],
    step_credit: StepCredit | None,
) -> None:
    state = PartialState()
    steps = plan.steps
    rules = [config.rule_of(guided=guided) for guided in plan.guided]
    needs_old = any(rule.clip for rule in rules) or "old_logprobs" in config.resolved_algorithm.needs
    if config.ratio == "initial" and needs_old:
        planned = list({row.key: row for step in plan.steps for packed in step for row in packed}.values())
        old = _load_or_compute_initial(config, policy.model.to(state.device), planned, run)
        steps = fill_old_logprobs(steps, old)
    trainer = OfflineTrainer(
        model=policy.model,
        args=training_arguments(
            TrainingArguments,
            config,
            run.output,
            n_per_step=len(steps[0]),
            micro_batch=1,
            batch="packed passes per step",
            n_processes=state.num_processes,
            max_steps=len(steps),
            train_sampling_strategy="sequential",
            logging_nan_inf_filter=False,  # `OfflineTrainer` stops there
        ),
        train_dataset=PackedSteps(steps, sizes=plan.sizes, rules=rules, max_tokens=config.max_tokens),
        step_credit=step_credit,
        callbacks=[Recorder(run, plan, report)],
    )
    check = None if config.eval is None else build_outcome(config.eval.outcome)
    try:
        if config.eval is not None and check is not None:
            held_out = HeldOut(
                read_problems(config.eval.problems, n_max=config.eval.n_problems),
                config.eval,
                prompt=config.eval.prompt,
                max_tokens=config.eval.max_completion_length,
                check=check,
            )
            trainer.add_callback(Evaluator(trainer, run, held_out, config=config, tokenizer=policy.tokenizer))
        longest = max(len(row) for step in plan.steps for packed in step for row in packed)
        with packed_policy(policy.model, longest=longest):
            train(trainer, run, report_to=config.report_to)
    finally:
        if check is not None:
            check.close()
    reopen = partial(load_policy, config.policy, lora=config.lora, seed=config.seed)
    save_policy(trainer, policy.tokenizer, run.output / POLICY_DIR, reopen=lambda: reopen().model)


def _load_or_compute_initial(
    config: OfflineConfig,
    model: PreTrainedModel,
    rows: Sequence[OfflineRow],
    run: Run,
    *,
    value: OldValue = "logprob",
    right: Set[tuple[str, int]] = frozenset(),
) -> dict[tuple[str, int], list[float]]:
    """Values of the trained tokens of responses under the policy before training, by row key, nats.

    Stored values in the run's folder are read, for whichever rows; a run that needs them before there is a plan has
    those of all rows. `right` holds the keys of correct responses, for influences.
    """
    names: Mapping[OldValue, str] = {
        "logprob": "old_logprobs",
        "entropy": "old_entropies",
        "divergence": "old_divergences",
        "influence": "old_influences",
    }
    path = run.output / f"{names[value]}.parquet"
    state = PartialState()
    if not path.is_file():
        told: dict[str, Any] = {"what": f"old {value}", "disable": not state.is_main_process}
        if value == "divergence" or value == "influence":  # computed over whole groups
            groups = [list(found) for _, found in groupby(rows, key=lambda row: row.key[0])]
            groups = groups[state.process_index :: state.num_processes]
            mine, values = [row for group in groups for row in group], list[list[float]]()
            was_training = model.training
            model.eval()
            for group in track(groups, **told):
                prompt_ids, completions_G = group[0].prompt_ids, [row.completion_ids for row in group]
                right_G = [row.key in right for row in group]
                with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=config.bf16):
                    if value == "divergence":
                        found_T = group_divergence(model, prompt_ids=prompt_ids, completions_G=completions_G)
                        found_G = [found_T] * len(group)
                    elif any(right_G) and not all(right_G):
                        found_G = group_influences(
                            model, prompt_ids=prompt_ids, completions_G=completions_G, is_right_G=right_G
                        )
                    else:
                        found_G = [torch.zeros(0)] * len(group)
                values += [found_T.tolist() for found_T in found_G]
            model.train(was_training)
        else:
            mine = list(rows[state.process_index :: state.num_processes])
            values = compute_row_values(
                model,
                mine,
                token_budget=config.token_budget,
                value=value,
                bf16=config.bf16,
                track=lambda bins: track(bins, **told),
            )
        found = gather_object([(*row.key, logprobs) for row, logprobs in zip(mine, values, strict=True)])
        if state.is_main_process:
            schema = pl.Schema({"group_id": pl.String(), "sample": pl.Int64(), "logprobs": pl.List(pl.Float64())})
            with atomic_path(path) as partial:
                pl.DataFrame(found, schema=schema, orient="row").write_parquet(partial)
        state.wait_for_everyone()
    return {(group_id, sample): values for group_id, sample, values in pl.read_parquet(path).iter_rows()}
