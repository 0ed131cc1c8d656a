"""DisCO: makes correct responses likelier than wrong ones, hard negatives first, within a bound on the KL divergence.

Source:
    DisCO (2505.12366), log-likelihood score: for each group mean s+ - tau log mean exp(s- / tau), s the mean
    log-probability of a response's tokens; groups without a correct or without a wrong response count as 0; a
    squared-hinge penalty keeps KL(old || new) below delta. Gradient as in its code (Optimization-AI/DisCO,
    `disco_logL`, KL estimator `kl`), whose `delta` and `beta` are the defaults here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Moment, Need, Scale

if TYPE_CHECKING:
    import torch


class DisCO(Algorithm):
    """A discriminative objective on the mean log-probability of responses; no ratio, no clipping."""

    type: Literal["disco"] = "disco"
    """Name of the algorithm."""
    tau: float = Field(default=10.0, gt=0)
    """Temperature of the softmax over wrong responses, nats per token: the lower, the more the likeliest ones count."""
    delta: float = Field(default=1e-4, ge=0)
    """KL divergence per token, nats, up to which there is no penalty."""
    beta: float = Field(default=1e3, ge=0)
    """Weight of the penalty above `delta`; 0 for none."""

    needs: ClassVar[frozenset[Need]] = frozenset({"seq_logps", "old_logprobs"})
    when: ClassVar[Moment] = "step"

    @property
    def loss_rule(self) -> LossRule:
        """The score of a response is its mean over tokens; no clipping."""
        return LossRule("seq_token_mean", None)

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return each response's coefficient, such that the mean over responses is the mean over groups. Shape (N,).

        1/n for each of n correct responses, minus a softmax over the wrong ones, times the group's size; plus, for all,
        the pull back to the old policy.
        """
        from sgpo.rewards import group_rows  # needs torch

        assert batch.seq_logprobs_N is not None and batch.old_seq_logprobs_N is not None
        change_N, n_tokens_N = batch.seq_logprobs_N - batch.old_seq_logprobs_N, batch.n_tokens_N
        trained_N = ~change_N.isnan()
        credit_N = rewards_N.new_zeros(len(rewards_N))
        right_N = batch.right_N
        wrong_N = ~right_N & ~batch.outcomes_N.isnan()
        for rows in group_rows(batch.group_ids_N):
            rows = rows[trained_N[rows]]
            right, wrong = rows[right_N[rows]], rows[wrong_N[rows]]
            if len(right) and len(wrong):
                scores = batch.seq_logprobs_N[wrong] / n_tokens_N[wrong]
                credit_N[right] = len(rows) / len(right)
                credit_N[wrong] = -len(rows) * (scores / self.tau).softmax(dim=0).to(credit_N)
        if trained_N.any():
            n_tokens = n_tokens_N[trained_N].sum()
            excess = (-change_N[trained_N].sum() / n_tokens - self.delta).clamp(min=0)
            credit_N += trained_N * self.beta * excess * n_tokens_N * trained_N.sum() / n_tokens
        return credit_N
