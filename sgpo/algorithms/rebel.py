"""REBEL: regresses differences of log-ratios within a group on differences of rewards.

Source:
    REBEL (2404.16767): ((d_i - d_j) / eta - (r_i - r_j))^2, with d the log-ratio of a response to its sampling policy.
    Here it is multiplied by eta^2, which changes only the step size, and taken over all ordered pairs of a group, while
    the paper has one pair per prompt; half the gradient of their mean, averaged over groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Moment, Need, Scale

if TYPE_CHECKING:
    import torch


class REBEL(Algorithm):
    """Least squares of log-ratios on rewards over pairs; constant groups are held at the old policy."""

    type: Literal["rebel"] = "rebel"
    """Name of the algorithm."""
    eta: float = Field(default=1.0, gt=0)
    """Log-ratio, in nats, that a reward of 1 is worth."""

    needs: ClassVar[frozenset[Need]] = frozenset({"seq_logps", "old_logprobs"})
    when: ClassVar[Moment] = "step"

    @property
    def loss_rule(self) -> LossRule:
        """The log-probability of a response is the sum of its tokens'; no clipping."""
        return LossRule("seq_sum", None)

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return 2 ((eta r - d) - mean), over the responses that are trained and have a reward. Shape (N,)."""
        from sgpo.rewards import group_moments  # needs torch

        assert batch.seq_logprobs_N is not None and batch.old_seq_logprobs_N is not None
        residual_N = self.eta * rewards_N - (batch.seq_logprobs_N - batch.old_seq_logprobs_N)
        mean_N, _ = group_moments(residual_N, batch.group_ids_N)
        return (2 * (residual_N - mean_N)).nan_to_num(nan=0.0)
