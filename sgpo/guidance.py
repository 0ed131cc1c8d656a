"""From raw outcomes and a judge to SGPO rewards: who is judged, what a judgement is worth, and what is logged.

Three steps, so that the middle one can be spread over processes: `select_rows` (the same on every process),
`judge_rows` (any share of them), `apply_verdicts` (the same on every process again).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from judgekit.errors import ConfigError, JudgeError
from judgekit.judges.base import Judge
from judgekit.types import Solution
from sgpo.config import GuidanceConfig
from sgpo.rewards import (
    GroupMasks,
    classify_groups,
    compute_rts,
    group_std,
    guided_rewards,
    is_correct,
)

MIN_JUDGED_FOR_ALARM = 32
"""Judged responses before the share without verdict may stop a run."""


@dataclass(frozen=True)
class Response:
    """One sampled response as guidance reads it."""

    solution: Solution
    """Problem and steps, as the judge will see them."""
    lengths_S: tuple[float, ...]
    """Length of each step in the configured unit. Shape (n_steps,)."""
    truncated: bool = False
    """Whether the response was cut off by its length limit."""


@dataclass(frozen=True)
class Scored:
    """What became of one selected response: its RTS, or `None` where the judge gave no verdict."""

    rts: float | None
    """Valid prefix share in [0, 1]."""
    seconds: float = 0.0
    """Judge's time on this response."""
    judged: bool = True
    """Whether the judge was asked; a response without steps has RTS 0 by rule."""


@dataclass(frozen=True)
class Guided:
    """Rewards after guidance, with what the trainer and the log need beside them."""

    rewards_N: torch.Tensor
    """Reward of each row, NaN outside the baseline. Shape (N,)."""
    std_floor_N: torch.Tensor
    """Lowest standard deviation to divide by: the configured floor in guided groups, else 0. Shape (N,)."""
    stats: Mapping[str, float]
    """Metrics of this batch, names without the `sgpo/` prefix; see `guidance_stats`."""


def step_lengths(
    steps: Sequence[str], *, unit: Literal["step", "char", "token"], count_tokens: Callable[[str], int]
) -> tuple[float, ...]:
    """Return the length of each step in the unit of `GuidanceConfig.unit`. Shape (n_steps,).

    Args:
        steps: Steps of one response.
        unit: What is counted.
        count_tokens: Number of the policy's tokens in a text; called only by `unit="token"`.

    Example:
        >>> step_lengths(["ab", "c"], unit="char", count_tokens=len)
        (2.0, 1.0)
    """
    if unit == "step":
        return (1.0,) * len(steps)
    measure = len if unit == "char" else count_tokens
    return tuple(float(measure(step)) for step in steps)


def select_rows(
    outcomes_N: torch.Tensor, *, group_ids_N: torch.Tensor, truncated_N: torch.Tensor, config: GuidanceConfig
) -> torch.Tensor:
    """Return the indices of the responses to judge: wrong ones in scope, cut-off ones only if configured. (M,)."""
    rows_N = _in_scope(outcomes_N, group_ids_N=group_ids_N, config=config)
    if config.truncated != "judge":
        rows_N &= ~truncated_N
    return torch.nonzero(rows_N).flatten()


def _in_scope(outcomes_N: torch.Tensor, *, group_ids_N: torch.Tensor, config: GuidanceConfig) -> torch.Tensor:
    """Wrong responses that the configured scope covers. Shape (N,), bool."""
    wrong_N = ~torch.isnan(outcomes_N) & ~is_correct(outcomes_N)
    if config.scope == "every_wrong":
        return wrong_N
    return wrong_N & classify_groups(outcomes_N, group_ids_N=group_ids_N).all_negative_N


def judge_rows(judge: Judge, responses: Sequence[Response], *, config: GuidanceConfig) -> list[Scored]:
    """Judge responses and turn the verdicts into RTS. Responses without steps are not sent: RTS 0 by rule.

    Raises:
        ConfigError: certified prefixes are asked for, and the judge certifies none.
    """
    min_survival = certified_survival(judge) if config.rts == "certified" else 1.0
    asked = [i for i, response in enumerate(responses) if response.solution.steps]
    start = time.perf_counter()
    judgements = judge.judge([responses[i].solution for i in asked]) if asked else []
    seconds = (time.perf_counter() - start) / max(len(asked), 1)
    if len(judgements) != len(asked):
        raise JudgeError(f"judge {judge.info.judge_id} answered {len(judgements)} of {len(asked)} solutions")
    scored = [Scored(rts=0.0, judged=False)] * len(responses)
    for i, judgement in zip(asked, judgements, strict=True):
        rts = None
        if judgement.verdict is not None:
            rts = compute_rts(
                judgement.verdict,
                decision=judge.info.decision,
                lengths_S=responses[i].lengths_S,
                mode=config.rts,
                no_error=config.no_error,
                min_survival=min_survival,
            )
        scored[i] = Scored(rts=rts, seconds=seconds)
    return scored


def certified_survival(judge: Judge) -> float:
    """Return the survival above which a judge certifies steps of a response that is known to be wrong.

    Raises:
        ConfigError: the judge's card has no conformal section, or one that certifies no step at all, with which every
            RTS would be 0.
    """
    card = judge.info.conformal
    if card is None:
        raise ConfigError(
            f"rts=certified needs a judge whose card has a 'conformal' section, and {judge.info.judge_id} has none: "
            "write one with `judgekit calibrate`, or use rts=expected"
        )
    if card.min_survival_if_wrong >= 1:
        raise ConfigError(
            f"rts=certified: {judge.info.judge_id} certifies no step at alpha {card.alpha:g}, learned from "
            f"{card.n_problems_if_wrong} problems with an erroneous solution, so every RTS would be 0: calibrate with "
            "more problems or a larger conformal_alpha, or use rts=expected"
        )
    return card.min_survival_if_wrong


def apply_verdicts(
    outcomes_N: torch.Tensor,
    *,
    group_ids_N: torch.Tensor,
    truncated_N: torch.Tensor,
    rows_M: torch.Tensor,
    scored_M: Sequence[Scored],
    config: GuidanceConfig,
) -> Guided:
    """Put the scores of the selected rows into rewards.

    Args:
        outcomes_N: Raw outcome rewards, NaN where unknown. Shape (N,).
        group_ids_N: Integer group of each row. Shape (N,).
        truncated_N: Responses cut off by their length limit. Shape (N,), bool.
        rows_M: Indices from `select_rows`. Shape (M,).
        scored_M: One score a selected row, in that order.
        config: Rules for rows without a verdict, the floor and the spread.
    """
    rts_N, guided_N = torch.zeros_like(outcomes_N), torch.zeros_like(outcomes_N, dtype=torch.bool)
    baseline_N = outcomes_N.clone()
    for row, scored in zip(rows_M.tolist(), scored_M, strict=True):
        if scored.rts is not None:
            rts_N[row], guided_N[row] = scored.rts, True
        elif config.on_unscored == "drop":
            baseline_N[row] = torch.nan
    groups = classify_groups(outcomes_N, group_ids_N=group_ids_N)
    if config.truncated == "drop":
        baseline_N[_in_scope(outcomes_N, group_ids_N=group_ids_N, config=config) & truncated_N] = torch.nan
    rewards_N = guided_rewards(
        baseline_N,
        rts_N=rts_N,
        guided_N=guided_N,
        group_ids_N=group_ids_N,
        beta=config.beta,
        gamma=config.gamma,
        min_spread=config.min_spread,
    )
    floor_N = torch.where(groups.all_negative_N, config.std_floor or 0.0, 0.0).to(outcomes_N.dtype)
    stats = guidance_stats(
        outcomes_N,
        rewards_N=rewards_N,
        group_ids_N=group_ids_N,
        groups=groups,
        rts_N=torch.where(guided_N, rts_N, torch.nan),
        truncated_N=truncated_N,
        scored_M=scored_M,
    )
    return Guided(rewards_N, floor_N, stats)


def guidance_stats(
    outcomes_N: torch.Tensor,
    *,
    rewards_N: torch.Tensor,
    group_ids_N: torch.Tensor,
    groups: GroupMasks,
    rts_N: torch.Tensor,
    truncated_N: torch.Tensor,
    scored_M: Sequence[Scored],
) -> dict[str, float]:
    """Return the metrics of one batch.

    `frac_all_negative`, `frac_all_positive`, `frac_zero_advantage_before`, `frac_zero_advantage_after` and
    `frac_revived` are shares of groups; `accuracy` is the mean raw outcome; `judge_calls`, `judge_seconds`, `unscored`
    and `truncated` are sums; `rts_mean` is over scored responses and `rts_spread` is the mean over groups of the
    largest minus the smallest RTS, both absent where nothing was scored.

    Args:
        outcomes_N: Raw outcome rewards, NaN where unknown. Shape (N,).
        rewards_N: Rewards after guidance. Shape (N,).
        group_ids_N: Integer group of each row. Shape (N,).
        groups: From `classify_groups`.
        rts_N: RTS, NaN where not scored. Shape (N,).
        truncated_N: Responses cut off by their length limit. Shape (N,), bool.
        scored_M: What became of the selected rows.
    """
    first_rows = torch.tensor([int(torch.nonzero(group_ids_N == g)[0]) for g in torch.unique(group_ids_N)])
    dead_before = (group_std(outcomes_N, group_ids_N=group_ids_N) == 0)[first_rows]
    dead_after = ~_alive_groups(rewards_N, group_ids_N)[first_rows]
    known = outcomes_N[~torch.isnan(outcomes_N)]
    judged = [scored for scored in scored_M if scored.judged]
    stats = {
        "frac_all_negative": groups.all_negative_N[first_rows].float().mean().item(),
        "frac_all_positive": groups.all_positive_N[first_rows].float().mean().item(),
        "frac_zero_advantage_before": dead_before.float().mean().item(),
        "frac_zero_advantage_after": dead_after.float().mean().item(),
        "frac_revived": (groups.all_negative_N[first_rows] & ~dead_after).float().mean().item(),
        "judge_calls": float(len(judged)),
        "judge_seconds": sum(scored.seconds for scored in judged),
        "unscored": float(sum(scored.rts is None for scored in judged)),
        "truncated": truncated_N.float().sum().item(),
    }
    if len(known):
        stats["accuracy"] = is_correct(known).float().mean().item()
    return stats | _rts_stats(rts_N, group_ids_N)


def _alive_groups(rewards_N: torch.Tensor, group_ids_N: torch.Tensor) -> torch.Tensor:
    return group_std(rewards_N, group_ids_N=group_ids_N) > 0


def _rts_stats(rts_N: torch.Tensor, group_ids_N: torch.Tensor) -> dict[str, float]:
    scored_N = ~torch.isnan(rts_N)
    if not scored_N.any():
        return {}
    spreads = []
    for group in torch.unique(group_ids_N[scored_N]):
        values = rts_N[scored_N & (group_ids_N == group)]
        spreads.append((values.max() - values.min()).item())
    return {"rts_mean": rts_N[scored_N].mean().item(), "rts_spread": sum(spreads) / len(spreads)}


class UnscoredAlarm:
    """Stops a run whose judge gives too few verdicts.

    Args:
        max_frac: Highest share of judged responses without a verdict that passes.
    """

    def __init__(self, max_frac: float) -> None:
        self.max_frac = max_frac
        self.n_judged = 0
        self.n_unscored = 0

    def count(self, scored: Sequence[Scored]) -> None:
        """Add one batch.

        Raises:
            JudgeError: the share so far lies above the bound, over at least 32 judged responses.
        """
        self.n_judged += sum(item.judged for item in scored)
        self.n_unscored += sum(item.judged and item.rts is None for item in scored)
        if self.n_judged >= MIN_JUDGED_FOR_ALARM and self.n_unscored / self.n_judged > self.max_frac:
            raise JudgeError(
                f"the judge gave no verdict for {self.n_unscored} of {self.n_judged} responses, more than "
                f"max_unscored_frac={self.max_frac}: look at its reasons with `judgekit judge`, or raise the bound"
            )


def guide(
    outcomes_N: torch.Tensor,
    *,
    group_ids_N: torch.Tensor,
    responses: Sequence[Response],
    judge: Judge,
    config: GuidanceConfig,
) -> Guided:
    """Select, judge and apply in one process."""
    truncated_N = torch.tensor([response.truncated for response in responses], device=outcomes_N.device)
    rows_M = select_rows(outcomes_N, group_ids_N=group_ids_N, truncated_N=truncated_N, config=config)
    scored_M = judge_rows(judge, [responses[row] for row in rows_M.tolist()], config=config)
    return apply_verdicts(
        outcomes_N,
        group_ids_N=group_ids_N,
        truncated_N=truncated_N,
        rows_M=rows_M,
        scored_M=scored_M,
        config=config,
    )


__all__ = [
    "Guided", "Response", "Scored", "UnscoredAlarm", "apply_verdicts", "certified_survival", "guidance_stats", "guide",
    "judge_rows", "select_rows", "step_lengths",
]  # fmt: skip
