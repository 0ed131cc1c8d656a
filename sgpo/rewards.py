"""The SGPO reward and group-relative advantages, as pure functions.

Axis: `_N` responses. A group is the set of rows with one id; groups need not be contiguous
or of one size. NaN means "not known" in outcomes and "outside the baseline" in rewards; it never means zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from judgekit.ties import TIE

STD_EPS = 1e-4
"""Added to the standard deviation before dividing, as in TRL's GRPO."""


def group_rows(group_ids_N: torch.Tensor) -> list[torch.Tensor]:
    """Return the rows of each group, rising, groups in the order of their ids. Sorting once keeps this n log n."""
    order = torch.argsort(group_ids_N, stable=True)
    _, sizes = torch.unique(group_ids_N, return_counts=True)
    return list(order.split(sizes.tolist()))


def shape_rts(rts_N: torch.Tensor, *, beta: float = 10.0, gamma: float = 0.5) -> torch.Tensor:
    """Return the reward of wrong responses, sigmoid(beta * (RTS - gamma)), in (0, 1) and rising with RTS. Shape (N,).

    Source:
        SGPO (2505.11595), reward of a wrong response with beta = 10 and gamma = 0.5.
    """
    return torch.sigmoid(beta * (rts_N - gamma))


def guided_rewards(
    outcomes_N: torch.Tensor,
    *,
    rts_N: torch.Tensor,
    guided_N: torch.Tensor,
    right_N: torch.Tensor,
    group_ids_N: torch.Tensor,
    beta: float = 10.0,
    gamma: float = 0.5,
    min_spread: float = 0.0,
) -> torch.Tensor:
    """Put the shaped RTS in place of the outcome of guided rows.

    A group without a right answer whose RTS values lie within `min_spread` of each other, or differ by rounding alone,
    keeps its outcomes, so that it gets exactly no advantage; rows that were not guided count there as RTS 0.

    Args:
        outcomes_N: Raw outcome rewards, NaN where unknown. Shape (N,).
        rts_N: RTS in [0, 1]; read where `guided_N`. Shape (N,).
        guided_N: Rows that were judged and scored. Shape (N,), bool.
        right_N: Rows whose answer is right. Shape (N,), bool.
        group_ids_N: Integer group of each row. Shape (N,).
        beta: See `shape_rts`.
        gamma: See `shape_rts`.
        min_spread: In RTS, see `SGPO.min_spread`.

    Returns:
        Rewards. Shape (N,).
    """
    rewards_N = torch.where(guided_N, shape_rts(rts_N, beta=beta, gamma=gamma).to(outcomes_N.dtype), outcomes_N)
    for rows in group_rows(group_ids_N):
        if not guided_N[rows].any():
            continue
        rows = rows[~torch.isnan(outcomes_N[rows])]
        rts = torch.where(guided_N[rows], rts_N[rows], 0.0)
        if not right_N[rows].any() and rts.max() - rts.min() <= min_spread + _slack(rts):
            rewards_N[rows] = outcomes_N[rows]
    return rewards_N


def group_moments(rewards_N: torch.Tensor, group_ids_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation (n - 1) of each row's group, NaN rows left out. Each of shape (N,).

    Groups that are constant but for rounding are exact: their deviation is 0. So is the mean of groups of NaN alone.
    """
    mean_N, std_N = torch.zeros_like(rewards_N), torch.zeros_like(rewards_N)
    for rows in group_rows(group_ids_N):
        values = rewards_N[rows]
        known = values[~torch.isnan(values)]
        if not len(known):
            continue
        constant = len(known) < 2 or bool(known.max() - known.min() <= _slack(known) * known.abs().max())
        mean_N[rows] = known[0] if constant else known.mean()
        std_N[rows] = 0.0 if constant else known.std()
    return mean_N, std_N


def group_std(rewards_N: torch.Tensor, *, group_ids_N: torch.Tensor) -> torch.Tensor:
    """Return each row's group standard deviation (n - 1), NaN rows left out, 0 where fewer than two rows count.

    A group that is constant but for rounding gives exactly 0. Shape (N,).
    """
    return group_moments(rewards_N, group_ids_N)[1]


def compute_advantages(
    rewards_N: torch.Tensor,
    *,
    group_ids_N: torch.Tensor,
    scale: Literal["group", "batch", "none"] = "group",
    std_floor_N: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return group-relative advantages, (r - mean) / (std + 1e-4) for `scale="group"`.

    Args:
        rewards_N: Rewards; NaN rows stay outside the baseline and get 0. Shape (N,).
        group_ids_N: Integer group of each row. Shape (N,).
        scale: Divide by the group's standard deviation, by the batch's, or by nothing.
        std_floor_N: Lowest standard deviation for each row, read by `scale="group"`. Shape (N,).

    Returns:
        Shape (N,). Zero mean within a group; exactly 0 in a group that is constant but for rounding, which the division
        by next to nothing would blow up.

    Source:
        GRPO (2402.03300), outcome supervision; n - 1 in the standard deviation and 1e-4 as in TRL.
    """
    mean_N, std_N = group_moments(rewards_N, group_ids_N)
    centred_N = torch.where(std_N == 0, torch.zeros_like(rewards_N), rewards_N - mean_N)
    centred_N = torch.nan_to_num(centred_N, nan=0.0)
    if scale == "none":
        return centred_N
    if scale == "batch":
        known = rewards_N[~torch.isnan(rewards_N)]
        return centred_N / (known.std() + STD_EPS) if len(known) > 1 else centred_N
    divisor_N = std_N if std_floor_N is None else torch.maximum(std_N, std_floor_N)
    return centred_N / (divisor_N + STD_EPS)


def normalize_then_sum(
    rewards_NF: torch.Tensor, *, weights_F: Sequence[float], group_ids_N: torch.Tensor
) -> torch.Tensor:
    """Return advantages that normalise each reward function in its group, then the weighted sum over the whole batch.

    Args:
        rewards_NF: Value of each reward function, NaN where it gives none. Shape (N, F).
        weights_F: Weight of each. Shape (F,).
        group_ids_N: Integer group of each row. Shape (N,).

    Returns:
        Shape (N,); 0 for rows without any reward.

    Source:
        GDPO (2601.05242), as TRL's `multi_objective_aggregation="normalize_then_sum"` computes it.
    """
    unknown_N = rewards_NF.isnan().all(dim=1)
    by_function = [compute_advantages(column_N, group_ids_N=group_ids_N) for column_N in rewards_NF.unbind(dim=1)]
    total_N = torch.stack([weight * a_N for weight, a_N in zip(weights_F, by_function, strict=True)]).sum(dim=0)
    known = total_N[~unknown_N]
    if len(known) < 2:
        return torch.zeros_like(total_N)
    return torch.where(unknown_N, 0.0, (total_N - known.mean()) / (known.std() + STD_EPS))


def std_floor_factor(std_N: torch.Tensor, *, floor_N: torch.Tensor) -> torch.Tensor:
    """Return the factor that puts `max(std, floor) + 1e-4` in place of the divisor `std + 1e-4`. Shape (N,)."""
    return (std_N + STD_EPS) / (torch.maximum(std_N, floor_N) + STD_EPS)


def _slack(values: torch.Tensor) -> float:
    """Return how far apart values may lie, as a share of the largest, and be equal in the precision they are held in.

    A few roundings: the same function gives one input other last bits in another place of a tensor.
    """
    return max(TIE, 8 * torch.finfo(values.dtype).eps)
