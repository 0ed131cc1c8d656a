"""Offline credit: judges the stored groups once and stores each response's advantages row by row.

A killed run loses little: every judgement is on disk before the next chunk is judged, and a finished table of credits
is read back instead of being computed again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from judgekit.answers.checks import CORRECT_ABOVE
from judgekit.groups import RolloutGroup, count_groups
from judgekit.io import MANIFEST, read_json, read_records, write_records
from judgekit.judges.stored import StoredJudge
from judgekit.progress import track
from judgekit.types import Judgement, Record, Rollout
from sgpo.algorithms.base import Algorithm, GroupBatch, Response, Scale, Scored, Shaped
from sgpo.algorithms.grpo import GRPO
from sgpo.credit import (
    StepCredit,
    give_credit,
    mean_advantage,
    plain_advantages,
    put_back,
    shape_groups,
    step_lengths,
    sum_rewards,
    with_scores,
    without_judge,
)
from sgpo.guards import Firing, GuardsConfig, Observation
from sgpo.objectives import Objective
from sgpo.watch import Guards, asked_counts, observe

GUARDS = "guards"
"""Key in a report for the guards that have fired."""


class Credit(Record):
    """Credit of one response, with and without the judge."""

    id: str
    """Id of the rollout."""
    group_id: str
    """Its group."""
    sample: int = Field(ge=0)
    """Its index within the group."""
    outcome: float
    """Raw outcome reward."""
    rts: float | None = None
    """Fraction of the response before its first error, in [0, 1]; `None` if it was not judged or got no verdict."""
    reward: float | None = None
    """Reward after guidance; `None` if it is outside the group's baseline."""
    guided_advantage: float
    """Advantage by the algorithm; the mean over tokens if it gives one per token, 0 if it is computed at every
    optimiser step."""
    token_advantages_T: tuple[float, ...] | None = None
    """Advantage of each trained token, if the algorithm gives one per token."""
    plain_advantage: float
    """Advantage from raw outcomes and objectives."""


@dataclass(frozen=True)
class Trained:
    """What algorithms may ask about the trained tokens of one response; by default it is not trained."""

    n_tokens: int = 0
    """Number of trained tokens, end token included."""
    spans_S: tuple[tuple[int, int], ...] = ()
    """First token of each step and one past its last. Shape (n_steps, 2)."""
    n_prompt_tokens: int = 0
    """Number of tokens before them."""
    old_logprob: float = math.nan
    """Their summed log-probability under the old policy, nats; NaN if unknown."""
    entropies_T: tuple[float, ...] = ()
    """Entropy of the policy before training at each of them, nats; empty if not needed."""
    divergences_T: tuple[float, ...] = ()
    """Divergence of the group at each position, see `GroupBatch.divergences_N`; empty if not needed."""
    influences_T: tuple[float, ...] = ()
    """How much each moves the group's correct responses, see `GroupBatch.influences_N`; empty if not needed."""


@dataclass(frozen=True)
class CreditTable:
    """The credits of a groups file, and the report about them."""

    credits_N: tuple[Credit, ...]
    """One per response, group by group. Shape (N,)."""
    report: dict[str, Any]
    """Numbers of `report_credits`, by name; `judge_off`, 1 if a guard switched the judge off; and the guards that
    fired."""


def load_credits(folder: Path) -> CreditTable | None:
    """Read what `write_credits` wrote; `None` if it has not finished.

    Raises:
        DataError: the folder is damaged.
    """
    if not (folder / MANIFEST).is_file():
        return None
    return CreditTable(tuple(read_records(folder, Credit)), read_json(folder / MANIFEST)["report"])


def write_credits(folder: Path, table: CreditTable) -> None:
    """Write credits as a data set folder of `Credit` rows, the report in its manifest."""
    write_records(folder, table.credits_N, record_type=Credit, info={"report": table.report}, resume=True)


def assign_credit(
    groups: Sequence[RolloutGroup],
    *,
    judge: StoredJudge | None,
    algorithm: Algorithm,
    guards: GuardsConfig,
    count_tokens: Callable[[str], int],
    trained: Mapping[tuple[str, int], Trained],
    objectives: Mapping[str, Objective] | None = None,
    scale: Scale = "group",
    chunk: int = 64,
    seed: int = 0,
    listeners: Sequence[Callable[[Firing], None]] = (),
) -> CreditTable:
    """Score the responses that the algorithm wants scored; compute every advantage, with the algorithm and without.

    Args:
        groups: The groups of one file.
        judge: Source of judgements; `None` for algorithms that need none.
        algorithm: The algorithm; its window is ignored here.
        guards: Checked after every chunk; if one switches the judge off, no further response is judged and everything
            is plain GRPO.
        count_tokens: Number of the policy's tokens in a text.
        trained: The trained tokens of each response, by group id and sample; absent if it is not trained.
        objectives: Rewards besides the outcome, by name.
        scale: See `sgpo.rewards.compute_advantages`; `batch` means all rewards of the file.
        chunk: Responses judged between two writes.
        seed: Seed of the choice of responses that are judged for the guards.
        listeners: Called with each guard that fires.

    Raises:
        JudgeError: a guard stopped the run.
    """
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    batch = build_batch(groups, trained, objectives=objectives or {})
    chosen: list[Rollout] = []

    def score_rows(rows_M: torch.Tensor) -> list[Scored]:
        rows, scored = rows_M.tolist(), dict[int, Scored]()
        for start in track(range(0, len(rows), chunk), "judging", disable=not rows):
            if watch.judge_off:
                return [scored.get(row, Scored(None, judged=False)) for row in rows]
            part = rows[start : start + chunk]
            chosen.extend(rollouts[row] for row in part)
            responses = [
                Response(
                    rollout.solution,
                    step_lengths(rollout.steps, unit=algorithm.unit, count_tokens=count_tokens),
                    key=f"{rollout.group_id}:{rollout.sample}",
                )
                for rollout in chosen[start:]
            ]
            found = dict(zip(part, algorithm.score(responses, judge=judge), strict=True))
            scored |= found
            counts = asked_counts(batch, wanted.intersection(part), found)
            watch.look(Observation(step=0, **counts))
        return [scored[row] for row in rows]

    fired: list[Firing] = []
    watch = Guards(guards, asks_judge="judge" in algorithm.needs, seed=seed)
    watch.listeners += [*listeners, fired.append]
    wanted = set(algorithm.rows_to_score(batch).tolist())
    credit = shape_groups(batch, algorithm, score_rows, ask_more=partial(watch.rows_to_ask, batch, step=0))
    n_steps_N = [len(rollout.steps) for rollout in rollouts]
    rows_M = credit.rows_M if type(algorithm).score is not Algorithm.score else None
    everything = observe(batch, step=0, rows_M=rows_M, scored=credit.scored, n_steps_N=n_steps_N)
    watch.look(
        everything.model_copy(update={"n_judged": 0, "n_unscored": 0, "n_by_reason": {}, "known": ()})
    )  # shown by the chunks
    watch.finish()
    if watch.judge_off:
        algorithm, credit = GRPO(), without_judge(credit)
    batch, std_floor_N = credit.batch, credit.shaped.std_floor_N
    rewards_N = sum_rewards(put_back(credit.shaped.rewards_N, batch), batch)
    guided: torch.Tensor | list[torch.Tensor] = torch.zeros_like(rewards_N)
    if algorithm.when == "rollout":
        guided = give_credit(rewards_N, batch=batch, algorithm=algorithm, std_floor_N=std_floor_N, scale=scale)
    plain_N = plain_advantages(batch, scale=scale)
    by_token_N = [None] * len(rollouts) if isinstance(guided, torch.Tensor) else [tuple(t.tolist()) for t in guided]
    guided_N = guided.tolist() if isinstance(guided, torch.Tensor) else [mean_advantage(t) for t in guided]
    columns = zip(rollouts, credit.rts_N, rewards_N.tolist(), guided_N, by_token_N, plain_N.tolist(), strict=True)
    credits_N = tuple(
        Credit(
            id=rollout.id,
            group_id=rollout.group_id,
            sample=rollout.sample,
            outcome=rollout.outcome,
            rts=rts,
            reward=None if math.isnan(reward) else reward,
            guided_advantage=advantage,
            token_advantages_T=advantages_T,
            plain_advantage=plain,
        )
        for rollout, rts, reward, advantage, advantages_T, plain in columns
    )
    # From a folder that runs share, the judgements that this run used.
    used = {rollout.solution.id for rollout in chosen}
    judgements = [found for key, found in judge.judgements.items() if key in used] if judge is not None else []
    report = report_credits(groups, stats=credit.stats, judgements=judgements)
    for index, name in enumerate(objectives or {}, start=1):
        assert batch.rewards_NF is not None
        report |= {f"objective_{name}_mean": batch.rewards_NF[:, index].mean().item()}
        report |= {f"objective_{name}_std": batch.rewards_NF[:, index].std().item()}
    watched = {"judge_off": int(watch.judge_off), GUARDS: [firing.model_dump(mode="json") for firing in fired]}
    return CreditTable(credits_N, report | watched)


def build_batch(
    groups: Sequence[RolloutGroup],
    trained: Mapping[tuple[str, int], Trained],
    *,
    objectives: Mapping[str, Objective],
) -> GroupBatch:
    """Return the groups of a file as a batch for algorithms, with everything that one may need.

    Args:
        groups: The groups.
        trained: See `assign_credit`.
        objectives: Rewards besides the outcome, by name.
    """
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    trained_N = [trained.get((rollout.group_id, rollout.sample), Trained()) for rollout in rollouts]
    domains = Counter(group.rollouts[0].source for group in groups)
    rewards_NF = None
    if objectives:
        rows = [[r.outcome, *(objective.reward(r.response) for objective in objectives.values())] for r in rollouts]
        rewards_NF = torch.tensor(rows, dtype=torch.float64)
    return GroupBatch(
        rewards_NF=rewards_NF,
        reward_weights_F=(1.0, *(objective.weight for objective in objectives.values())),
        n_prompt_tokens_N=torch.tensor([found.n_prompt_tokens for found in trained_N]),
        entropies_N=tuple(torch.tensor(found.entropies_T, dtype=torch.float64) for found in trained_N),
        divergences_N=tuple(torch.tensor(found.divergences_T, dtype=torch.float64) for found in trained_N),
        influences_N=tuple(torch.tensor(found.influences_T, dtype=torch.float64) for found in trained_N),
        domains_N=tuple(rollout.source for rollout in rollouts),
        domain_shares_N=torch.tensor([domains[rollout.source] / len(groups) for rollout in rollouts]).double(),
        outcomes_N=torch.tensor([rollout.outcome for rollout in rollouts], dtype=torch.float64),
        group_ids_N=torch.tensor([index for index, group in enumerate(groups) for _ in group.rollouts]),
        truncated_N=torch.tensor([bool(rollout.truncated) for rollout in rollouts]),
        correct_above=groups[0].correct_above if groups else CORRECT_ABOVE,
        n_tokens_N=torch.tensor([found.n_tokens for found in trained_N]),
        spans_N=tuple(found.spans_S for found in trained_N),
        old_seq_logprobs_N=torch.tensor([found.old_logprob for found in trained_N], dtype=torch.float64),
    )


def read_step_credit(
    groups: Sequence[RolloutGroup],
    credits_N: Sequence[Credit],
    *,
    algorithm: Algorithm,
    trained: Mapping[tuple[str, int], Trained],
    objectives: Mapping[str, Objective],
    scale: Scale,
) -> StepCredit:
    """Return what computes credit at every optimiser step, from the scores in a finished table."""
    batch = build_batch(groups, trained, objectives=objectives)
    rows_M = algorithm.rows_to_score(batch)
    scored = {row: Scored(credits_N[row].rts) for row in rows_M.tolist()}
    batch = with_scores(batch, scored)
    shaped = algorithm.transform(batch, rows_M, list(scored.values()))
    rewards_N = sum_rewards(put_back(shaped.rewards_N, batch), batch)
    return StepCredit(batch, Shaped(rewards_N, shaped.std_floor_N), algorithm, scale)


def report_credits(
    groups: Sequence[RolloutGroup], *, stats: Mapping[str, float], judgements: Sequence[Judgement]
) -> dict[str, float | None]:
    """Return the numbers that show the effect of the judge on a groups file.

    `groups`, `responses`, `all_negative`, `all_positive`, `mixed`: counts on raw outcomes. `zero_advantage_before`,
    `zero_advantage_after`: groups without a learning signal, without and with the judge; `revived`: all-negative groups
    that have one with it. `judge_calls`: distinct judged responses; `judge_seconds`: their engine time, summed over all
    processes that ever worked on this run; `judge_usd` and `judge_deferred_K`: for a judge with prices, and for a
    cascade, see `credit_stats`; `unscored`, `truncated`: responses without verdict, and responses known to be
    truncated. `rts_mean`: mean over scored responses; `rts_spread`: mean over groups of the largest minus the smallest
    RTS; both `None` if nothing was scored. `steps_mean`: mean steps per response; `accuracy`: mean outcome.
    """
    counts = count_groups(groups)
    n_steps = sum(len(rollout.steps) for group in groups for rollout in group.rollouts)
    return {
        **counts._asdict(),
        "zero_advantage_before": round(stats["frac_zero_advantage_before"] * counts.groups),
        "zero_advantage_after": round(stats["frac_zero_advantage_after"] * counts.groups),
        "revived": round(stats["frac_revived"] * counts.groups),
        "judge_calls": len(judgements),
        "judge_seconds": math.fsum(judgement.seconds for judgement in judgements),
        **{name: value for name, value in stats.items() if name.startswith(("judge_deferred_", "judge_usd"))},
        "unscored": int(stats["unscored"]),
        "truncated": int(stats["truncated"]),
        "rts_mean": stats.get("rts_mean"),
        "rts_spread": stats.get("rts_spread"),
        "steps_mean": n_steps / counts.responses,
        "accuracy": stats["accuracy"],
    }
