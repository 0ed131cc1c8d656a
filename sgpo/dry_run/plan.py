"""`--dry-run`: what `sgpo online` and `sgpo offline` would do with a configuration, and what it would cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from rich.table import Table

from judgekit.answers.checks import CORRECT_ABOVE
from judgekit.errors import ConfigError
from judgekit.groups import is_right
from judgekit.io import read_records
from judgekit.judges.critics.card import CriticSpec
from judgekit.judges.recognise import find_card
from judgekit.report.terminal import console
from judgekit.types import Problem
from sgpo.algorithms.base import GroupBatch
from sgpo.assumed import AssumedConfig
from sgpo.config import PolicyTrainingConfig
from sgpo.dry_run.known import policy_sizes
from sgpo.dry_run.memory import HEAD_ROWS, Memory, estimate_memory
from sgpo.offline.config import OfflineConfig
from sgpo.offline.rows import load_offline_groups
from sgpo.online.config import OnlineConfig
from sgpo.watch import Guards

HEADROOM = 0.95
"""Usable fraction of a device's memory: the rest goes to the driver and to fragmentation."""
CHARS_PER_TOKEN = 2.3
"""Characters per token in worked solutions in LaTeX, without a tokenizer: SmolLM2's on OlympiadBench."""


@dataclass(frozen=True)
class JudgePlan:
    """The judge's work."""

    judgements: int
    """Responses judged."""
    for_guards: int
    """Judgements that only guards ask for, at most: of correct responses, see `JudgeAUC.sample`."""
    requests: int
    """Requests: one per vote for a critic, one per judgement for any other judge."""
    prompt_tokens: int
    """Tokens that it reads, without its instructions."""
    answer_tokens: int | None
    """Tokens that a critic writes; `None` for judges that do not write, or if no card is here."""
    usd: float | None
    """Price of both; `None` if no card gives the price of a token."""


@dataclass(frozen=True)
class Plan:
    """The plan of a run."""

    n_parameters: int
    """Parameters of the policy."""
    n_trained: int
    """Parameters that are trained."""
    groups_per_step: float
    """Groups per optimiser step, on average."""
    responses: int
    """Responses trained on, counted each time they are used."""
    sampled: int
    """Responses sampled at most, since batches may be sampled again; 0 offline."""
    passes_per_step: int
    """Forward and backward passes per optimiser step, on each device."""
    pass_tokens: int
    """Tokens per pass at most, including prompts."""
    steps: int
    """Optimiser steps."""
    guided_steps: int
    """Optimiser steps within the algorithm's window."""
    epochs: float
    """Passes over the problems, or groups."""
    trained_tokens: int
    """Tokens of all responses trained on, counted each time they are used."""
    memory: Memory
    """Memory of one device."""
    judge: JudgePlan | None
    """The judge's work; `None` if the algorithm uses no judge."""


def plan_online(config: OnlineConfig) -> Plan:
    """Return what `sgpo online` would do.

    Raises:
        ConfigError: sizes or the number of problems are neither here nor assumed, or a step's responses cannot be split
            evenly.
    """
    assume, sizes = config.assume, policy_sizes(config.policy, assumed=config.assume.sizes)
    counts = [n for n in (count_problems(config.problems) or assume.n_problems, config.n_problems) if n is not None]
    if not counts:
        raise ConfigError(f"{config.problems} is not here: give its number of problems as assume.n_problems")
    micro = config.micro_batch or max(config.n_responses // assume.n_devices, 1)
    n_passes, rest = divmod(config.n_responses, micro * assume.n_devices)
    if rest or not n_passes:
        raise ConfigError(
            f"{config.n_responses} responses per step cannot be split over {assume.n_devices} devices with "
            f"micro-batches of {micro}: change prompts_per_step, group_size, micro_batch or assume.n_devices"
        )
    # a draft in the prompt, and one sampled for each response
    drafts = int("drafts" in config.resolved_algorithm.needs)
    longest = assume.prompt_tokens + (1 + drafts) * config.max_completion_length
    mean = min(assume.response_tokens or config.max_completion_length, config.max_completion_length)
    # A batch of rollouts is used for this many updates.
    n_iterations = int(config.trl.get("num_iterations", 1))
    window, steps_per_epoch = config.resolved_algorithm.window, min(counts) / config.prompts_per_step * n_iterations
    guided = sum(
        window.is_open(step=step, n_steps=config.max_steps, epoch=step / steps_per_epoch)
        for step in range(config.max_steps)
    )
    n_guided = min(math.ceil(config.max_steps / n_iterations), math.ceil(guided / n_iterations))
    # A dead group, and one with a single correct response: how many responses of each are judged.
    size, algorithm = config.group_size, config.resolved_algorithm
    outcomes = [0.0] * size + [1.0] + [0.0] * (size - 1)
    scored = algorithm.rows_to_score(build_batch(["dead"] * size + ["mixed"] * size, outcomes))
    n_dead, dead_frac = int((scored < size).sum()), assume.frac_all_negative
    judged_per_batch = config.prompts_per_step * (dead_frac * n_dead + (1 - dead_frac) * (len(scored) - n_dead))
    guard = config.guards.judge_auc
    # At most, because it is unknown how many of the others are correct.
    for_guards = 0 if guard is None else math.ceil(guard.sample * judged_per_batch)
    for_guards_per_batch = min(for_guards, int(config.n_responses - judged_per_batch))
    # vLLM in the trainer's process holds a fraction of the device throughout; elsewhere, it uses nothing of this
    # device.
    uses_vllm = bool(config.trl.get("use_vllm", False))
    is_beside = uses_vllm and config.trl.get("vllm_mode", "colocate") == "colocate"
    vllm_frac = float(config.trl.get("vllm_gpu_memory_utilization", 0.3)) if is_beside else 0.0
    per_device = config.n_responses // assume.n_devices
    return Plan(
        n_parameters=sizes.n_parameters,
        n_trained=sizes.n_parameters if config.lora is None else sizes.n_adapter_parameters(config.lora),
        groups_per_step=float(config.prompts_per_step),
        responses=config.max_steps * config.n_responses,
        sampled=math.ceil(config.max_steps / n_iterations) * config.n_responses * (1 + algorithm.n_refills + drafts),
        passes_per_step=n_passes,
        pass_tokens=micro * longest,
        steps=config.max_steps,
        guided_steps=guided,
        epochs=config.max_steps / steps_per_epoch,
        trained_tokens=config.max_steps * config.n_responses * mean,
        memory=estimate_memory(
            sizes,
            bf16=config.bf16,
            checkpointing=config.gradient_checkpointing,
            n_pass_tokens=micro * longest,
            n_logits=micro * config.max_completion_length,
            n_cached_tokens=0 if uses_vllm else per_device * longest,
            has_reference=config.beta_kl > 0,
            n_vllm_bytes=vllm_frac * 1e9 * assume.device_gb,
            n_shards=assume.n_devices if assume.sharded else 1,
            lora=config.lora,
            dtype=config.dtype,
        ),
        judge=_plan_judge(
            config,
            read_N=[assume.prompt_tokens + mean] * round(n_guided * (1 + algorithm.n_refills) * judged_per_batch),
            for_guards_N=[assume.prompt_tokens + mean] * (n_guided * (1 + algorithm.n_refills) * for_guards_per_batch),
        ),
    )


def plan_offline(config: OfflineConfig) -> Plan:
    """Return what `sgpo offline` would do. Responses are assumed to fill their passes; longer ones are left out.

    Raises:
        ConfigError: sizes of the policy, or the groups, are neither here nor assumed.
        DataError: the groups are here but cannot be used.
    """
    assume, sizes = config.assume, policy_sizes(config.policy, assumed=config.assume.sizes)
    rows = _offline_rows(config)
    fitting = [row for row in rows if row.tokens <= config.max_tokens]
    group_tokens = sum(row.tokens for row in fitting) / max(len({row.group_id for row in fitting}), 1)
    # A step holds whole groups: as many as configured, or as many as fit its passes, at least one.
    taken = config.groups_per_step or max(1, int(config.token_budget * config.bins_per_step // max(group_tokens, 1)))
    trained = {
        guided: [
            row
            for row in fitting
            if (row.group == "mixed" or (row.group == "dead" and guided))
            and (
                config.train_on == "all"
                or is_right(row.outcome, above=config.correct_above) == (config.train_on == "positive")
            )
        ]
        for guided in (False, True)
    }
    steps = guided_steps = responses = tokens = 0
    for epoch in range(config.epochs):
        is_guided = config.is_guided(epoch=epoch, steps_before=steps)
        alive = trained[is_guided and config.judge is not None]
        whole = math.ceil(len({row.group_id for row in alive}) / taken)
        in_epoch = min(whole, (config.max_steps or steps + whole) - steps)
        share = in_epoch / whole if whole else 0.0
        steps, guided_steps = steps + in_epoch, guided_steps + is_guided * in_epoch
        responses += round(share * len(alive))
        tokens += round(share * sum(row.response_tokens for row in alive))
    if not steps:
        raise ConfigError(
            f"{config.groups}: every group is all correct, all wrong or too long, so there is nothing to train on"
        )
    outcomes, groups = [row.outcome for row in rows], [row.group_id for row in rows]
    batch = build_batch(groups, outcomes, correct_above=config.correct_above)
    scored = config.resolved_algorithm.rows_to_score(batch)
    guards = Guards(config.guards, asks_judge="judge" in config.resolved_algorithm.needs, seed=config.seed)
    for_guards = guards.rows_to_ask(batch, scored, step=0)
    if config.groups_per_step is None and config.bins_per_step % assume.n_devices:
        raise ConfigError(
            f"{config.bins_per_step} packed passes per step (bins_per_step) cannot be split evenly over "
            f"{assume.n_devices} devices"
        )
    n_passes = math.ceil(taken * group_tokens / config.token_budget / assume.n_devices)
    return Plan(
        n_parameters=sizes.n_parameters,
        n_trained=sizes.n_parameters if config.lora is None else sizes.n_adapter_parameters(config.lora),
        groups_per_step=len({row.group_id for row in rows}) * responses / len(rows) / steps,
        responses=responses,
        sampled=0,
        passes_per_step=n_passes,
        pass_tokens=config.token_budget,
        steps=steps,
        guided_steps=guided_steps,
        epochs=responses / len(rows),
        trained_tokens=tokens,
        memory=estimate_memory(
            sizes,
            bf16=config.bf16,
            checkpointing=config.gradient_checkpointing,
            n_pass_tokens=config.token_budget,
            n_logits=min(HEAD_ROWS, config.token_budget),
            n_cached_tokens=0,
            has_reference=False,
            n_shards=assume.n_devices if assume.sharded else 1,
            lora=config.lora,
            dtype=config.dtype,
        ),
        judge=_plan_judge(
            config,
            read_N=[rows[row].tokens for row in scored.tolist()],
            for_guards_N=[rows[row].tokens for row in for_guards.tolist()],
        ),
    )


def build_batch(
    groups_N: Sequence[str], outcomes_N: Sequence[float], *, correct_above: float = CORRECT_ABOVE
) -> GroupBatch:
    """Return responses as input for the choices of algorithms and guards, none of them truncated."""
    index = {group: number for number, group in enumerate(dict.fromkeys(groups_N))}
    return GroupBatch(
        torch.tensor(outcomes_N),
        torch.tensor([index[group] for group in groups_N]),
        truncated_N=torch.zeros(len(outcomes_N), dtype=torch.bool),
        n_tokens_N=torch.ones(len(outcomes_N), dtype=torch.int64),
        correct_above=correct_above,
    )


def count_problems(path: Path) -> int | None:
    """Return the number of problems in a data set; `None` if it is not here."""
    return sum(1 for _ in read_records(path, Problem)) if path.exists() else None


class _Row(NamedTuple):
    group_id: str
    group: Literal["dead", "mixed", "right"]
    outcome: float
    prompt_tokens: int
    response_tokens: int

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.response_tokens


def _offline_rows(config: OfflineConfig) -> list[_Row]:
    """Return the responses of the groups, or as many as are assumed, with the assumed length."""
    assume = config.assume
    if config.groups.exists():
        return [
            _Row(
                group.group_id,
                "dead" if group.all_negative else "right" if group.all_positive else "mixed",
                rollout.outcome,
                math.ceil(len(rollout.prompt) / CHARS_PER_TOKEN),
                math.ceil(len(rollout.response) / CHARS_PER_TOKEN),
            )
            for group in load_offline_groups(config, None).groups
            for rollout in group.rollouts
        ]
    if assume.n_problems is None or assume.group_size is None:
        raise ConfigError(
            f"{config.groups} is not here: give its number of groups as assume.n_problems, and the number of responses "
            "per group as assume.group_size"
        )
    longest = max(config.max_tokens - assume.prompt_tokens, 1)
    n_dead = round(assume.n_problems * assume.frac_all_negative)
    return [
        _Row(
            group_id=str(group),
            group="dead" if group < n_dead else "mixed",
            outcome=float(group >= n_dead and sample == 0),  # one correct response: the most that can be judged
            prompt_tokens=assume.prompt_tokens,
            response_tokens=assume.response_tokens or longest,
        )
        for group in range(assume.n_problems)
        for sample in range(assume.group_size)
    ]


def _plan_judge(
    config: PolicyTrainingConfig, *, read_N: Sequence[int], for_guards_N: Sequence[int]
) -> JudgePlan | None:
    """Return the cost of judging. Nothing is downloaded, so only a card on this machine gives a price.

    Args:
        config: The run.
        read_N: Tokens of each response judged for the algorithm, with its problem. Shape (N,).
        for_guards_N: The same for those judged only for guards. Shape (N,).
    """
    if config.judge is None or "judge" not in config.resolved_algorithm.needs:
        return None
    n_for_guards = len(for_guards_N)
    n_judged, n_read = len(read_N) + n_for_guards, sum(read_N) + sum(for_guards_N)
    if not Path(config.judge).exists():
        return JudgePlan(n_judged, n_for_guards, n_judged, n_read, answer_tokens=None, usd=None)
    card = find_card(config.judge).card
    if not isinstance(card.spec, CriticSpec):
        return JudgePlan(n_judged, n_for_guards, n_judged, n_read, answer_tokens=None, usd=None)
    votes, price = config.judge_votes or card.spec.votes, card.declare(dtype="float32").usd_per_mtok
    n_written = n_judged * votes * (config.assume.judge_tokens or card.spec.sampling.max_tokens)
    usd = None if price is None else (votes * n_read * price[0] + n_written * price[1]) / 1e6
    return JudgePlan(n_judged, n_for_guards, n_judged * votes, votes * n_read, n_written, usd)


def print_plan(plan: Plan, *, assume: AssumedConfig) -> None:
    """Show a plan as a table, and whether it fits the device."""
    memory, judge = plan.memory, plan.judge
    rows = [
        ("parameters, trained", f"{plan.n_parameters / 1e9:.3f} billion, {plan.n_trained / 1e9:.3f} billion"),
        ("optimiser steps, with the judge", f"{plan.steps:,}, {plan.guided_steps:,}"),
        ("passes over the problems", f"{plan.epochs:.3g}"),
        ("groups per step", f"{plan.groups_per_step:.3g}"),
        ("responses trained on", f"{plan.responses:,}"),
        ("their tokens", f"{plan.trained_tokens:,}"),
        ("responses sampled, at most", f"{plan.sampled:,}"),
        ("passes per step and device", f"{plan.passes_per_step:,} of at most {plan.pass_tokens:,} tokens"),
    ]
    rows += [
        (f"memory: {field.name}", f"{size / 1e9:.1f} GB")
        for field, size in zip(fields(memory), astuple(memory), strict=True)
        if size
    ]
    fits = "fits" if memory.peak <= HEADROOM * 1e9 * assume.device_gb else "does not fit"
    when = "a training pass" if memory.training >= memory.sampling else "sampling"
    rows.append(("memory: peak", f"{memory.peak / 1e9:.1f} GB in {when}: {fits} into {assume.device_gb:g} GB"))
    if judge is not None:
        rows += [
            ("judgements, for guards", f"{judge.judgements:,}, {judge.for_guards:,}"),
            ("requests to the judge", f"{judge.requests:,}"),
            ("tokens it reads", f"{judge.prompt_tokens:,}"),
            ("tokens it writes", "unknown: no card" if judge.answer_tokens is None else f"{judge.answer_tokens:,}"),
            ("price of judging", "unknown: no card" if judge.usd is None else f"{judge.usd:,.2f} USD"),
        ]
    table = Table("", "", title="dry run: nothing is trained, downloaded or written", show_header=False)
    for name, value in rows:
        table.add_row(name, value)
    console().print(table)
