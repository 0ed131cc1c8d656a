"""What offline training reads, and in which order: responses as tokens, assigned to optimiser steps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from judgekit.errors import ConfigError, DataError, shorten
from judgekit.groups import RolloutGroup, is_right
from judgekit.text.prompts import ChatPrompt, encode_prompt
from judgekit.types import Rollout
from sgpo.credit import mix_advantages
from sgpo.offline.config import OfflineConfig, StoredPrompt
from sgpo.offline.credit import Credit, CreditTable
from sgpo.offline.packing import Bin, GroupRows, OfflineRow, StepSize, deal_steps

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is trained on when. Lists have one item per optimiser step."""

    steps: list[list[Bin]]
    """Bins of each step."""
    sizes: list[StepSize]
    """What the divisor of each step counts."""
    epochs: list[int]
    """Epoch of each step, 0-based."""
    guided: list[bool]
    """Whether the step trains on guided advantages."""


def build_rows(
    groups: Sequence[RolloutGroup], *, tokenizer: PreTrainedTokenizerBase, config: OfflineConfig
) -> tuple[list[OfflineRow], dict[str, int]]:
    """Tokenize all responses that can be trained on, and count the others.

    `overlong` counts rows of more than `max_tokens`, `empty` responses without a token; both stay in their group's
    baseline.

    Raises:
        ConfigError: the policy has no chat template, but the prompt must be a conversation.
        DataError: a row is too long and `on_overlong=error`, the rendered prompt differs from the stored one, or
            `ratio=behaviour` finds no recorded log-probabilities, or ids that do not fit this tokenizer.
    """
    rows, dropped = [], {"overlong": 0, "empty": 0}
    if isinstance(config.prompt, StoredPrompt) and tokenizer.chat_template is not None:
        n_bare = sum(group.rollouts[0].prompt == group.problem for group in groups)
        if n_bare:
            logger.warning(
                "%s: the prompts of %d of %d groups are the bare problems, and the policy has a chat template. If it "
                "answered in that template, set prompt.type=chat",
                config.groups,
                n_bare,
                len(groups),
            )
    for group in groups:
        first = group.rollouts[0]
        prompt_ids = _prompt_ids(first, tokenizer, config)
        for rollout in group.rollouts:
            row = OfflineRow((rollout.group_id, rollout.sample), prompt_ids, ())
            if config.ratio == "behaviour":  # the sampled ids: other tokens for the same text have other probabilities
                ids, logprobs_T = _recorded(rollout, tokenizer, config)
                row = replace(row, completion_ids=ids, old_logprobs_T=logprobs_T)
            else:
                end = (tokenizer.eos_token_id,) if config.append_eos and not rollout.truncated else ()
                row = replace(row, completion_ids=token_ids(tokenizer, rollout.response) + end)
            if len(row) > config.max_tokens:
                if config.on_overlong == "error":
                    raise DataError(
                        f"{config.groups}: group {row.key[0]!r}, sample {row.key[1]} has {len(row)} tokens with its "
                        f"prompt, more than max_tokens={config.max_tokens}. Raise max_tokens, or set on_overlong=drop"
                    )
                dropped["overlong"] += 1
            elif not row.completion_ids:
                dropped["empty"] += 1
            else:
                rows.append(row)
    return rows, dropped


def _prompt_ids(rollout: Rollout, tokenizer: PreTrainedTokenizerBase, config: OfflineConfig) -> tuple[int, ...]:
    stored = token_ids(tokenizer, rollout.prompt)
    if not set(stored) & set(tokenizer.all_special_ids):
        stored = tuple(encode_prompt(tokenizer, rollout.prompt))
    if isinstance(config.prompt, StoredPrompt):
        return stored
    if isinstance(config.prompt, ChatPrompt) and tokenizer.chat_template is None:
        raise ConfigError(f"the policy {config.policy} has no chat template: set prompt.type to raw or stored")
    rendered = tuple(encode_prompt(tokenizer, config.prompt.build(rollout.problem)))
    if config.on_other_prompt == "error" and rollout.prompt != rollout.problem and rendered != stored:
        raise DataError(
            f"{config.groups}: group {rollout.group_id!r} was sampled from another prompt than "
            f"prompt.type={config.prompt.type} renders: {shorten(rollout.prompt, most=120)}, not "
            f"{shorten(tokenizer.decode(rendered), most=120)}. Set prompt.type=stored, or on_other_prompt=train if "
            "that is intended"
        )
    return rendered


def token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """Return the tokens of a text, without any special token around it."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _recorded(
    rollout: Rollout, tokenizer: PreTrainedTokenizerBase, config: OfflineConfig
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    where = f"{config.groups}: group {rollout.group_id!r}, sample {rollout.sample}"
    ids, logprobs_T = rollout.behaviour_token_ids, rollout.behaviour_logprobs
    if ids is None or logprobs_T is None:
        raise DataError(f"{where} has no behaviour_logprobs, which ratio=behaviour needs: set ratio=initial")
    if tokenizer.decode(ids, skip_special_tokens=True).strip() != rollout.response.strip():
        raise DataError(
            f"{where}: behaviour_token_ids do not spell the response with the tokenizer of {config.policy}. It was "
            "sampled by another kind of policy: set ratio=initial"
        )
    return ids, logprobs_T


def plan_steps(
    rows: Sequence[OfflineRow],
    credits_N: Sequence[Credit],
    *,
    config: OfflineConfig,
    alone: bool = False,
    n_processes: int = 1,
) -> Plan:
    """Plan every optimiser step of the run: which responses, in which epoch, with or without the judge.

    Rows without an advantage are left out, steps hold whole groups, and no step extends past the end of an epoch.

    Args:
        rows: What `build_rows` returned.
        credits_N: Credits of all responses of the file. Shape (N,).
        config: How steps are formed.
        alone: Give every response its own bin, for policies that cannot separate several in one.
        n_processes: The number of bins per step is a multiple of this.

    Raises:
        DataError: no response has an advantage in any epoch.
    """
    plan = Plan([], [], [], [])
    for epoch in range(config.epochs):
        weight = config.weight(epoch=epoch, steps_before=len(plan.steps))
        dealt = deal_steps(
            _trained_groups(rows, credits_N, weight=weight, config=config),
            bins_per_step=config.bins_per_step,
            groups_per_step=config.groups_per_step,
            token_budget=config.token_budget,
            seed=config.seed * config.epochs + epoch,
            alone=alone,
        )
        plan.steps.extend(bins for bins, _ in dealt)
        plan.sizes.extend(size for _, size in dealt)
        plan.epochs.extend([epoch] * len(dealt))
        plan.guided.extend([weight > 0] * len(dealt))
    if not plan.steps:
        raise DataError(
            f"{config.groups}: no response that fits max_tokens={config.max_tokens} has an advantage, so there is "
            "nothing to train on. Raise max_tokens, or use a judge"
        )
    n_steps = config.max_steps or len(plan.steps)
    # The Trainer needs the same number of passes in each step. Empty ones pad a step, so that no sampler repeats a real
    # one.
    n_bins = max(map(len, plan.steps[:n_steps]))
    n_bins += -n_bins % n_processes
    padded = [[*bins, *[()] * (n_bins - len(bins))] for bins in plan.steps[:n_steps]]
    return Plan(padded, plan.sizes[:n_steps], plan.epochs[:n_steps], plan.guided[:n_steps])


def _trained_groups(
    rows: Sequence[OfflineRow], credits_N: Sequence[Credit], *, weight: float, config: OfflineConfig
) -> list[GroupRows]:
    """Return which responses of each group train, and what the group counts in the divisor."""
    every_step = weight > 0 and config.resolved_algorithm.when == "step"
    alive: dict[str, list[OfflineRow]] = {}
    sizes: dict[str, StepSize] = {}
    credit_of: dict[tuple[str, int], tuple[int, Credit]] = {}
    for index, credit in enumerate(credits_N):
        credit_of[credit.group_id, credit.sample] = index, credit
        # A response that is too long for training counts as one without trained tokens, as TRL masks them.
        sizes[credit.group_id] = sizes.get(credit.group_id, StepSize()) + StepSize(1, 0)
    for row in rows:
        group_id = row.key[0]
        index, credit = credit_of[row.key]
        sizes[group_id] += StepSize(0, len(row.completion_ids))
        sign = "positive" if is_right(credit.outcome, above=config.correct_above) else "negative"
        if config.train_on not in ("all", sign):
            continue
        plain = credit.plain_advantage
        advantage: float | tuple[float, ...] = mix_advantages(credit.guided_advantage, plain, weight=weight)
        if weight and credit.token_advantages_T is not None:
            advantage = tuple(mix_advantages(own, plain, weight=weight) for own in credit.token_advantages_T)
        if every_step:  # their credit is not known in advance
            alive.setdefault(group_id, []).append(replace(row, batch_row=index))
        elif any(advantage) if isinstance(advantage, tuple) else advantage:
            alive.setdefault(group_id, []).append(replace(row, advantage=advantage))
    if every_step:  # a single row cannot be compared
        alive = {group_id: members for group_id, members in alive.items() if len(members) > 1}
    if config.divisor == "with_advantage":
        sizes = {group_id: StepSize.of(members) for group_id, members in alive.items()}
    return [GroupRows(tuple(alive.get(group_id, ())), size) for group_id, size in sizes.items()]


def report_plan(plan: Plan, table: CreditTable) -> dict[str, float]:
    """Return what training will read.

    `zero_advantage_rows`: responses without advantage in the first epoch, which are not trained on. `rows_trained`:
    distinct responses in all steps; `tokens_trained`: their tokens without the prompts, counted each time they are
    used; `steps`: optimiser steps; `guided_steps`: those with guided advantages.
    """
    first = plan.guided[0]
    dead = sum(
        not (any(c.token_advantages_T or (c.guided_advantage,)) if first else c.plain_advantage)
        for c in table.credits_N
    )
    rows = [row for step in plan.steps for packed in step for row in packed]
    if rows[0].batch_row is not None:  # credit is computed at every step, so only left-out rows have none for certain
        dead = len(table.credits_N) - len({row.key for row in rows})
    return {
        "zero_advantage_rows": dead,
        "rows_trained": len({row.key for row in rows}),
        "tokens_trained": sum(len(row.completion_ids) for row in rows),
        "steps": len(plan.steps),
        "guided_steps": sum(plan.guided),
    }
