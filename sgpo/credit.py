"""Turns groups and a judge into credit: shared by online and offline training and by every algorithm.

`shape_groups` asks the algorithm which responses to score and has them scored by whoever holds a judge (one process, a
store, or all processes of a run, which split the work); `give_credit` turns rewards into advantages.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch

from judgekit.errors import DataError
from sgpo.algorithms.base import Algorithm, GroupBatch, Scale, Scored, Shaped, Unit
from sgpo.algorithms.grpo import GRPO
from sgpo.rewards import compute_advantages, group_rows, group_std

Advantage = TypeVar("Advantage", float, torch.Tensor)


class GroupCredit(NamedTuple):
    """The result for a batch of groups."""

    shaped: Shaped
    """Rewards, and the floors of their standard deviations."""
    rts_N: list[float | None]
    """RTS of each response; `None` if it was not scored or got no verdict. Shape (N,)."""
    batch: GroupBatch
    """The groups, with the scores added."""
    stats: Mapping[str, float]
    """Metrics, see `credit_stats`."""
    rows_M: torch.Tensor
    """Responses that the algorithm wanted scored. Shape (M,)."""
    scored: Mapping[int, Scored]
    """Their scores by row, and those of the responses that were judged only for the guards."""


def step_lengths(steps: Sequence[str], *, unit: Unit, count_tokens: Callable[[str], int]) -> tuple[float, ...]:
    """Return the length of each step in a unit. Shape (n_steps,).

    Args:
        steps: Steps of one response.
        unit: Unit of the length.
        count_tokens: Number of the policy's tokens in a text; called only by `unit="token"`.

    Example:
        >>> step_lengths(["ab", "c"], unit="char", count_tokens=len)
        (2.0, 1.0)
    """
    if unit == "step":
        return (1.0,) * len(steps)
    measure = len if unit == "char" else count_tokens
    return tuple(float(measure(step)) for step in steps)


def token_spans(
    token_ids: Sequence[int], chars_S: Sequence[tuple[int, int]], *, text: str, decode: Callable[[Sequence[int]], str]
) -> tuple[tuple[int, int], ...]:
    """Return the first token of each step and one past its last. A token belongs to the step in which it starts.

    Args:
        token_ids: Tokens of one response. Shape (T,).
        chars_S: First character of each step and one past its last. Shape (n_steps, 2).
        text: The response that the characters refer to.
        decode: Returns the text of tokens, without special ones.

    Raises:
        DataError: the tokens do not spell the text.

    Example:
        >>> token_spans([97, 98, 99], [(0, 1), (2, 3)], text="abc", decode=lambda ids: bytes(ids).decode())
        ((0, 1), (2, 3))
    """
    if decode(token_ids) != text:
        raise DataError(
            f"the tokens of a response spell {decode(token_ids)[:60]!r} and not {text[:60]!r}, so its steps cannot be "
            "found among them: take an algorithm that needs no spans"
        )

    # Tokens do not align with text: one character may take several. So each boundary is searched among decoded
    # prefixes.
    def tokens_before(char: int) -> int:
        return bisect_left(range(len(token_ids)), char, key=lambda n: len(decode(token_ids[:n])))

    return tuple((tokens_before(start), tokens_before(end)) for start, end in chars_S)


def shape_groups(
    batch: GroupBatch,
    algorithm: Algorithm,
    score_rows: Callable[[torch.Tensor], Sequence[Scored]],
    *,
    ask_more: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> GroupCredit:
    """Have the responses scored that the algorithm wants scored, and let it shape the rewards.

    Args:
        batch: Whole groups.
        algorithm: The algorithm; `GRPO()` outside its window.
        score_rows: Scores the responses with these indices, in order; called exactly once, even for none, so that every
            process of a run takes part.
        ask_more: Given the rows to score, returns more rows to score in the same call, which the algorithm does not
            see.
    """
    rows_M = algorithm.rows_to_score(batch)
    asked = rows_M if ask_more is None else torch.cat([rows_M, ask_more(rows_M)]).sort().values
    scored = dict(zip(asked.tolist(), score_rows(asked), strict=True))
    scored_M = [scored[row] for row in rows_M.tolist()]
    rts_N: list[float | None] = [None] * len(batch.outcomes_N)
    for row, item in zip(rows_M.tolist(), scored_M, strict=True):
        rts_N[row] = item.rts
    batch = with_scores(batch, {row: scored[row] for row in rows_M.tolist()})
    shaped = algorithm.transform(batch, rows_M, scored_M)
    stats = credit_stats(
        batch, shaped.rewards_N, rts_N=rts_N, scored_M=scored_M, asked=[item for item in scored.values() if item.judged]
    )
    return GroupCredit(shaped, rts_N, batch, stats, rows_M, scored)


def without_judge(credit: GroupCredit) -> GroupCredit:
    """Return plain GRPO's credit of the same batch; its metrics still include what the judge has cost."""
    plain = shape_groups(credit.batch, GRPO(), lambda rows_M: [])
    cost = {name: value for name, value in credit.stats.items() if name.startswith("judge_") or name == "unscored"}
    return plain._replace(stats={**plain.stats, **cost})


def with_scores(batch: GroupBatch, scored: Mapping[int, Scored]) -> GroupBatch:
    """Return the batch with the scores of the responses that the algorithm wanted scored, by row."""

    def column(value: Callable[[Scored], float | None], missing: float) -> torch.Tensor:
        found = {row: value(item) for row, item in scored.items() if item.rts is not None}
        values = (found.get(row) for row in range(len(batch.outcomes_N)))
        return batch.outcomes_N.new_tensor([missing if value is None else value for value in values])

    return replace(
        batch,
        rts_N=column(lambda item: item.rts, math.nan),
        rts_noise_N=column(lambda item: item.rts_noise, 0.0),
        valid_steps_N=column(lambda item: item.n_valid, math.nan),
    )


def put_back(rewards_N: torch.Tensor, batch: GroupBatch) -> torch.Tensor:
    """Return every reward function's value, with shaped rewards instead of the outcomes. Shape (N, F), F at least 1.

    A response with a known outcome that shaping puts outside the baseline gets NaN from the other functions, too.
    """
    rewards_NF = batch.outcomes_N[:, None].clone() if batch.rewards_NF is None else batch.rewards_NF.clone()
    rewards_NF[:, 0] = rewards_N
    rewards_NF[rewards_N.isnan() & ~batch.outcomes_N.isnan()] = torch.nan
    return rewards_NF


def sum_rewards(rewards_NF: torch.Tensor, batch: GroupBatch) -> torch.Tensor:
    """Return the weighted sum of all reward functions, NaN if none has a value. Shape (N,)."""
    if batch.rewards_NF is None:
        return rewards_NF[:, 0]
    weights_F = rewards_NF.new_tensor(batch.reward_weights_F)
    return (rewards_NF * weights_F).nansum(dim=1).masked_fill(rewards_NF.isnan().all(dim=1), torch.nan)


def give_credit(
    rewards_N: torch.Tensor, *, batch: GroupBatch, algorithm: Algorithm, std_floor_N: torch.Tensor, scale: Scale
) -> torch.Tensor | list[torch.Tensor]:
    """Return the advantages of responses, shape (N,), or of their tokens; 0 for those that the algorithm leaves out.

    Raises:
        ValueError: the number of advantages is not the number of responses, or of tokens in a response.
    """
    advantages = algorithm.credit(rewards_N, batch=batch, std_floor_N=std_floor_N, scale=scale)
    keep_N = algorithm.keep(batch, rewards_N)
    if isinstance(advantages, torch.Tensor):
        if advantages.shape != rewards_N.shape:
            raise ValueError(
                f"{algorithm.type}.credit gave advantages of shape {tuple(advantages.shape)} for {len(rewards_N)} "
                "responses: return shape (N,), or a list of one tensor a response"
            )
        return torch.where(keep_N, advantages, torch.zeros_like(advantages))
    for row, (given_T, n_tokens) in enumerate(zip(advantages, batch.n_tokens_N.tolist(), strict=True)):
        if len(given_T) != n_tokens:
            raise ValueError(
                f"{algorithm.type}.credit gave {len(given_T)} advantages for the {n_tokens} tokens of response {row}: "
                "give one a token, as batch.n_tokens_N counts them"
            )
    return [given_T if kept else given_T * 0 for given_T, kept in zip(advantages, keep_N.tolist(), strict=True)]


def plain_advantages(batch: GroupBatch, *, scale: Scale) -> torch.Tensor:
    """Return GRPO's advantages, from outcomes and objectives as they are. Shape (N,)."""
    rewards_N = sum_rewards(put_back(batch.outcomes_N, batch), batch)
    return compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale=scale)


def mix_advantages(own: Advantage, plain: Advantage, *, weight: float) -> Advantage:
    """Return an algorithm's advantages while it fades, see `WindowConfig.fade`; exact at weights 0 and 1."""
    return weight * own + (1 - weight) * plain


@dataclass(frozen=True)
class StepCredit:
    """Computes credit at every optimiser step: the algorithm, and what is fixed once the rollouts are scored."""

    batch: GroupBatch
    """Whole groups."""
    shaped: Shaped
    """Their rewards, and the floors of their standard deviations."""
    algorithm: Algorithm
    """The algorithm that computes credit."""
    scale: Scale
    """What the trainer's configuration divides advantages by."""

    def at(self, seq_logprobs_N: torch.Tensor, *, old_seq_logprobs_N: torch.Tensor) -> torch.Tensor:
        """Return the advantages of the responses whose groups the policy has just been run on, 0 for all others.

        Args:
            seq_logprobs_N: Summed log-probability of each response under the current policy, nats; NaN if the policy
                was not run on it. Shape (N,).
            old_seq_logprobs_N: The same under the old policy. Shape (N,).

        Raises:
            ValueError: the algorithm returned advantages per token.
        """
        ids_N = self.batch.group_ids_N
        rows_M = torch.isin(ids_N, ids_N[~seq_logprobs_N.isnan()]).nonzero().flatten()
        advantages_N = torch.zeros_like(self.shaped.rewards_N)
        batch = replace(
            self.batch,
            seq_logprobs_N=seq_logprobs_N.to(advantages_N),
            old_seq_logprobs_N=old_seq_logprobs_N.to(advantages_N),
        )
        given_M = give_credit(
            self.shaped.rewards_N[rows_M],
            batch=batch.take(rows_M),
            algorithm=self.algorithm,
            std_floor_N=self.shaped.std_floor_N[rows_M],
            scale=self.scale,
        )
        if not isinstance(given_M, torch.Tensor):
            raise ValueError(
                f"{self.algorithm.type}.credit gave advantages per token, but its moment is the step: return one per "
                "response"
            )
        advantages_N[rows_M] = given_M
        return advantages_N


def mean_advantage(advantages_T: torch.Tensor) -> float:
    """Return the mean over the tokens of a response, 0 for one without tokens; logged per response."""
    return advantages_T.mean().item() if len(advantages_T) else 0.0


def credit_stats(
    batch: GroupBatch,
    rewards_N: torch.Tensor,
    *,
    rts_N: Sequence[float | None],
    scored_M: Sequence[Scored],
    asked: Sequence[Scored],
) -> dict[str, float]:
    """Return the metrics of one batch.

    `frac_all_negative`, `frac_all_positive`, `frac_zero_advantage_before`, `frac_zero_advantage_after` and
    `frac_revived` are fractions of groups; `accuracy` is the mean raw outcome; `judge_calls`, `judge_seconds`,
    `unscored` and `truncated` are sums, and so is `judge_usd` if a price is known; `judge_deferred_K` is the fraction
    of judged responses for which a cascade called more than K members, absent with other judges; `rts_mean` is the mean
    over scored responses and `rts_spread` the mean over groups of the largest minus the smallest RTS, both absent if
    nothing was scored.

    Args:
        batch: The groups.
        rewards_N: Rewards as the algorithm shaped them. Shape (N,).
        rts_N: RTS, `None` if not scored. Shape (N,).
        scored_M: Results of scoring.
        asked: All judged responses, also those for the guards; the cost is theirs.
    """
    outcomes_N, group_ids_N = batch.outcomes_N, batch.group_ids_N
    groups = batch.classify()
    rows_of_group = group_rows(group_ids_N)
    first_rows = torch.stack([rows[0] for rows in rows_of_group])
    dead_before = (group_std(outcomes_N, group_ids_N=group_ids_N) == 0)[first_rows]
    dead_after = ~(group_std(rewards_N, group_ids_N=group_ids_N) > 0)[first_rows]
    right = batch.right_N[~torch.isnan(outcomes_N)]
    stats = {
        "frac_all_negative": groups.all_negative_N[first_rows].float().mean().item(),
        "frac_all_positive": groups.all_positive_N[first_rows].float().mean().item(),
        "frac_zero_advantage_before": dead_before.float().mean().item(),
        "frac_zero_advantage_after": dead_after.float().mean().item(),
        "frac_revived": (groups.all_negative_N[first_rows] & ~dead_after).float().mean().item(),
        "judge_calls": float(len(asked)),
        "judge_seconds": sum(scored.seconds for scored in asked),
        "unscored": float(sum(scored.judged and scored.rts is None for scored in scored_M)),
        "truncated": batch.truncated_N.float().sum().item(),
    }
    prices = [scored.cost_usd for scored in asked if scored.cost_usd is not None]
    if prices:
        stats["judge_usd"] = sum(prices)
    deferred_KJ = zip(*(scored.deferred for scored in asked if scored.deferred), strict=True)
    stats |= {f"judge_deferred_{k}": sum(went_J) / len(went_J) for k, went_J in enumerate(deferred_KJ, start=1)}
    if len(right):
        stats["accuracy"] = right.float().mean().item()
    values_N = torch.tensor([torch.nan if rts is None else rts for rts in rts_N], dtype=outcomes_N.dtype)
    scored_N = ~torch.isnan(values_N)
    if scored_N.any():
        by_group = [values_N[rows.cpu()] for rows in rows_of_group]
        known_rts = [values[~torch.isnan(values)] for values in by_group]
        spreads = [(values.max() - values.min()).item() for values in known_rts if len(values)]
        stats |= {"rts_mean": values_N[scored_N].mean().item(), "rts_spread": sum(spreads) / len(spreads)}
    return stats
