"""What offline training reads, and in which order: responses as tokens, dealt out to optimiser steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from judgekit.errors import ConfigError, DataError
from judgekit.groups import RolloutGroup
from judgekit.text.prompts import ChatPrompt, encode_prompt
from judgekit.types import Rollout
from sgpo.offline.config import OfflineConfig, StoredPrompt
from sgpo.offline.credit import Credit, CreditTable
from sgpo.offline.packing import Bin, OfflineRow, deal_group_steps, deal_steps, pack_rows


@dataclass(frozen=True)
class Plan:
    """What is trained on when. Lists have one item an optimiser step."""

    steps: list[list[Bin]]
    """Bins of each step."""
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
        ConfigError: the policy has no chat template and the prompt is to be a conversation.
        DataError: a row is too long and `on_overlong=error`, or `ratio=behaviour` finds no recorded log-probabilities
            or ids that are not this tokenizer's.
    """
    rows, dropped = [], {"overlong": 0, "empty": 0}
    for group in groups:
        first = group.rollouts[0]
        if isinstance(config.prompt, StoredPrompt):
            prompt_ids = token_ids(tokenizer, first.prompt)
        elif isinstance(config.prompt, ChatPrompt) and tokenizer.chat_template is None:
            raise ConfigError(f"the policy {config.policy} has no chat template: set prompt.type to raw or stored")
        else:
            prompt_ids = tuple(encode_prompt(tokenizer, config.prompt.build(first.problem)))
        for rollout in group.rollouts:
            row = OfflineRow((rollout.group_id, rollout.sample), prompt_ids, ())
            if config.ratio == "behaviour":  # the ids as they were sampled: another spelling has other probabilities
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
    rows: Sequence[OfflineRow], credits_N: Sequence[Credit], *, config: OfflineConfig, alone: bool = False
) -> Plan:
    """Lay out every optimiser step of the run: which responses, in which epoch, with or without the judge.

    Rows without an advantage are left out, and no step reaches over the end of an epoch. `alone` gives every response
    a bin of its own, for policies that cannot keep several apart.

    Raises:
        DataError: no response has an advantage in any epoch.
    """
    bins = {guided: _pack_alive(rows, credits_N, guided=guided, config=config, alone=alone) for guided in (False, True)}
    plan = Plan([], [], [])
    for epoch in range(config.epochs):
        guided = config.is_guided(epoch=epoch, steps_before=len(plan.steps))
        seed = config.seed * config.epochs + epoch
        if guided and config.resolved_algorithm.when == "step":
            dealt = _deal_groups(rows, credits_N, config=config, seed=seed, alone=alone)
        else:
            dealt = deal_steps(bins[guided], bins_per_step=config.bins_per_step, seed=seed)
        plan.steps.extend(dealt)
        plan.epochs.extend([epoch] * len(dealt))
        plan.guided.extend([guided] * len(dealt))
    if not plan.steps:
        raise DataError(
            f"{config.groups}: no response that fits max_tokens={config.max_tokens} has an advantage, so there is "
            "nothing to train on. Raise max_tokens, or give a judge"
        )
    n_steps = config.max_steps or len(plan.steps)
    return Plan(plan.steps[:n_steps], plan.epochs[:n_steps], plan.guided[:n_steps])


def _deal_groups(
    rows: Sequence[OfflineRow], credits_N: Sequence[Credit], *, config: OfflineConfig, seed: int, alone: bool
) -> list[list[Bin]]:
    """Deal out whole groups of two rows or more: nobody knows beforehand what their credit will be."""
    batch_row = {(credit.group_id, credit.sample): index for index, credit in enumerate(credits_N)}
    groups: dict[str, list[OfflineRow]] = {}
    for row in rows:
        groups.setdefault(row.key[0], []).append(replace(row, batch_row=batch_row[row.key]))
    whole = [group for group in groups.values() if len(group) > 1]
    try:
        return deal_group_steps(
            whole, bins_per_step=config.bins_per_step, token_budget=config.token_budget, seed=seed, alone=alone
        )
    except ValueError as error:
        raise DataError(f"{config.groups}: {error}. Raise bins_per_step or token_budget") from error


def _pack_alive(
    rows: Sequence[OfflineRow], credits_N: Sequence[Credit], *, guided: bool, config: OfflineConfig, alone: bool
) -> list[Bin]:
    advantages: dict[tuple[str, int], float | tuple[float, ...]] = {}
    for credit in credits_N:
        by_token = credit.token_advantages_T if guided else None
        whole = credit.guided_advantage if guided else credit.plain_advantage
        advantages[credit.group_id, credit.sample] = whole if by_token is None else by_token
    alive = [
        replace(row, advantage=advantage)
        for row in rows
        if (any(advantage) if isinstance(advantage := advantages[row.key], tuple) else advantage)
    ]
    return pack_rows(alive, token_budget=config.token_budget, alone=alone)


def report_plan(plan: Plan, table: CreditTable) -> dict[str, float]:
    """Return what training will read.

    `zero_advantage_rows`: responses without advantage, in the first epoch; they are not trained on and count in no
    divisor. `rows_trained`: different responses in all steps; `tokens_trained`: their tokens without the prompts, once
    for every time they are read; `steps`: optimiser steps; `guided_steps`: those with guided advantages.
    """
    first = plan.guided[0]
    dead = sum(
        not (any(c.token_advantages_T or (c.guided_advantage,)) if first else c.plain_advantage)
        for c in table.credits_N
    )
    rows = [row for step in plan.steps for packed in step for row in packed]
    if rows[0].batch_row is not None:  # credit is given at every step, so only what is left out has none for sure
        dead = len(table.credits_N) - len({row.key for row in rows})
    return {
        "zero_advantage_rows": dead,
        "rows_trained": len({row.key for row in rows}),
        "tokens_trained": sum(len(row.completion_ids) for row in rows),
        "steps": len(plan.steps),
        "guided_steps": sum(plan.guided),
    }
