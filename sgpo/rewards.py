"""The SGPO reward and group-relative advantages, as pure functions.

Axis: `_N` responses. A group is the set of rows with one id; groups need not be contiguous or of equal size. NaN means
"unknown" in outcomes and "outside the baseline" in rewards; it never means zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from judgekit.ties import TIE

STD_EPS = 1e-4
"""Added to the standard deviation before dividing, as in TRL's GRPO."""


def group_rows(group_ids_N: torch.Tensor) -> list[torch.Tensor]:
    """Return the rows of each group, ascending, groups in the order of their ids. Sorts once, so O(n log n)."""
    order = torch.argsort(group_ids_N, stable=True)
    _, sizes = torch.unique(group_ids_N, return_counts=True)
    return list(order.split(sizes.tolist()))


def shape_rts(rts_N: torch.Tensor, *, beta: float = 10.0, gamma: float = 0.5) -> torch.Tensor:
    """Return the reward of wrong responses, sigmoid(beta * (RTS - gamma)), in (0, 1), increasing in RTS. Shape (N,).

    Source:
        SGPO (2505.11595), reward of a wrong response with beta = 10 and gamma = 0.5.
    """
    return torch.sigmoid(beta * (rts_N - gamma))


def flat_groups(
    rts_N: torch.Tensor,
    *,
    noise_N: torch.Tensor,
    counted_N: torch.Tensor,
    group_ids_N: torch.Tensor,
    min_spread: float = 0.0,
    min_certainty: float = 0.0,
) -> torch.Tensor:
    """Find groups whose RTS values do not distinguish their responses; shaped, they would still give advantages.

    The largest and the smallest differ by at most `min_spread`, or by the rounding of their precision, or by less than
    `min_certainty` standard errors of their difference, sqrt(noise of the one + noise of the other).

    Args:
        rts_N: RTS in [0, 1], 0 if there is none. Shape (N,).
        noise_N: Uncertainty of each, see `sgpo.algorithms.rts.RTS.noise`. Shape (N,).
        counted_N: Rows to look at. Shape (N,), bool.
        group_ids_N: Integer group of each row. Shape (N,).
        min_spread: In RTS.
        min_certainty: In standard errors; 0 ignores the noise.

    Returns:
        Rows of such groups. Shape (N,), bool.
    """
    flat_N = torch.zeros_like(counted_N)
    for rows in group_rows(group_ids_N):
        counted = rows[counted_N[rows]]
        if not len(counted):
            continue
        rts, noise = rts_N[counted], noise_N[counted]
        spread = rts.max() - rts.min()
        flat_N[rows] = spread <= min_spread + _slack(rts)
        if min_certainty:  # of equal ones the most certain, so that their order does not matter
            error = (noise[rts == rts.max()].min() + noise[rts == rts.min()].min()).sqrt()
            flat_N[rows] |= spread < min_certainty * error
    return flat_N


def shrink_rts(
    rts_N: torch.Tensor, *, noise_N: torch.Tensor, guided_N: torch.Tensor, group_ids_N: torch.Tensor
) -> torch.Tensor:
    """Shrink each RTS towards the mean of its group, more so the less certain the judge is of it. Shape (N,).

    mean + w (RTS - mean), w = signal / (signal + noise of the response), where signal is the variance of the group's
    RTS (n - 1). An expected RTS is the mean of a posterior and its noise is the variance, so signal and mean noise add
    up to the variance of the true prefixes (law of total variance), and w is the fraction that the judge explains; for
    other kinds of RTS it is a rule of thumb.

    Args:
        rts_N: RTS in [0, 1]. Shape (N,).
        noise_N: Uncertainty of each, see `sgpo.algorithms.rts.RTS.noise`. Shape (N,).
        guided_N: Rows that have one; others keep their value. Shape (N,), bool.
        group_ids_N: Integer group of each row. Shape (N,).

    Source:
        Ours.
    """
    shrunk_N = rts_N.clone()
    for rows in group_rows(group_ids_N):
        rows = rows[guided_N[rows]]
        if len(rows) < 2:
            continue
        rts, noise = rts_N[rows], noise_N[rows]
        weights = torch.where(noise > 0, rts.var() / (rts.var() + noise), 1.0)
        shrunk_N[rows] = rts.mean() + weights * (rts - rts.mean())
    return shrunk_N


def group_moments(rewards_N: torch.Tensor, group_ids_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation (n - 1) of each row's group, ignoring NaN rows. Each of shape (N,).

    Groups that are constant up to rounding are exact: their deviation is 0. So is the mean of groups that are all NaN.
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
    """Return each row's group standard deviation (n - 1), ignoring NaN rows; 0 with fewer than two rows.

    A group that is constant up to rounding gives exactly 0. Shape (N,).
    """
    return group_moments(rewards_N, group_ids_N)[1]


def compute_advantages(
    rewards_N: torch.Tensor,
    *,
    group_ids_N: torch.Tensor,
    scale: Literal["group", "batch", "none"] = "group",
    std_floor_N: torch.Tensor | None = None,
    undivided_N: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return group-relative advantages, (r - mean) / (std + 1e-4) for `scale="group"`.

    Args:
        rewards_N: Rewards; NaN rows stay outside the baseline and get 0. Shape (N,).
        group_ids_N: Integer group of each row. Shape (N,).
        scale: Divide by the group's standard deviation, by the batch's, or by nothing.
        std_floor_N: Lowest standard deviation for each row, read by `scale="group"`. Shape (N,).
        undivided_N: Rows to leave undivided, whatever `scale` says. Shape (N,), bool.

    Returns:
        Shape (N,). Zero mean within a group; exactly 0 in a group that is constant up to rounding, which a division by
        almost nothing would blow up.

    Source:
        GRPO (2402.03300), outcome supervision; n - 1 in the standard deviation and 1e-4 as in TRL.
    """
    mean_N, std_N = group_moments(rewards_N, group_ids_N)
    centred_N = torch.where(std_N == 0, torch.zeros_like(rewards_N), rewards_N - mean_N)
    centred_N = torch.nan_to_num(centred_N, nan=0.0)
    known = rewards_N[~torch.isnan(rewards_N)]
    if scale == "none" or (scale == "batch" and len(known) < 2):
        return centred_N
    divisor_N = known.std().expand_as(std_N) if scale == "batch" else std_N
    if scale == "group" and std_floor_N is not None:
        divisor_N = torch.maximum(std_N, std_floor_N)
    divided_N = centred_N / (divisor_N + STD_EPS)
    return divided_N if undivided_N is None else torch.where(undivided_N, centred_N, divided_N)


def normalize_then_sum(
    rewards_NF: torch.Tensor, *, weights_F: Sequence[float], group_ids_N: torch.Tensor
) -> torch.Tensor:
    """Return advantages: each reward function is normalised within its group, then their weighted sum over the batch.

    Args:
        rewards_NF: Value of each reward function, NaN if it gives none. Shape (N, F).
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
    """Return the factor that replaces the divisor `std + 1e-4` by `max(std, floor) + 1e-4`. Shape (N,)."""
    return (std_N + STD_EPS) / (torch.maximum(std_N, floor_N) + STD_EPS)


def _slack(values: torch.Tensor) -> float:
    """Return how far apart values may be, relative to the largest, and still be equal up to floating-point rounding.

    A few roundings: the same function of one input has different last bits at different places in a tensor.
    """
    return max(TIE, 8 * torch.finfo(values.dtype).eps)
