"""NTHR: tokens that wrong responses share with correct ones are pushed down less.

Source:
    NTHR (2505.18830), section 5, algorithm 1 and appendix 7.3: the score s of a token is how much it moves the correct
    responses of its group (see `sgpo.influence`). Tokens of wrong responses with s > tau keep eta times their
    advantage; tau is beta times the lowest mean score among the correct responses, beta is 1, and eta is 2 |0.5 - p|
    with p the fraction of correct responses; clipping at 0.2, mean over tokens. We had the paper's text without its
    displayed equations; that a correct response's mean score includes itself is second-hand, where the prose says
    "other". Differs
    in: tokens are averaged over the batch, not the group; only a penalty is reduced (with objectives, a wrong response
    may gain); p is over known outcomes; constant groups are not resampled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Need, Scale

if TYPE_CHECKING:
    import torch


class NTHR(Algorithm):
    """GRPO that spares tokens of wrong responses whose penalty would make the correct ones less likely."""

    type: Literal["nthr"] = "nthr"
    """Name of the algorithm."""
    beta: float = Field(default=1.0, ge=0)
    """How high a token's score must be to be spared, as a multiple of the lowest mean score of a correct response."""
    eta: float | None = Field(default=None, ge=0, lt=1)
    """Fraction of the penalty that such tokens keep; `null`: 2 |0.5 - p|, which is nothing if half of the group is
    correct."""

    needs: ClassVar[frozenset[Need]] = frozenset({"influence"})

    @property
    def loss_rule(self) -> LossRule:
        """Mean over all tokens; clipped as in GRPO."""
        return LossRule("token_mean", (0.2, 0.2))

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> list[torch.Tensor]:
        """Return one advantage per token. Shapes (T,)."""
        from sgpo.rewards import compute_advantages, group_rows  # need torch

        assert batch.influences_N is not None
        plain_N = compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale=scale)
        given = [plain_N[row].repeat(n_tokens) for row, n_tokens in enumerate(batch.n_tokens_N.tolist())]
        is_wrong_N = ~batch.right_N & ~batch.outcomes_N.isnan()
        for rows in group_rows(batch.group_ids_N):
            right, wrong = rows[batch.right_N[rows]].tolist(), rows[is_wrong_N[rows]].tolist()
            anchors = [batch.influences_N[row].mean().item() for row in right if len(batch.influences_N[row])]
            if not anchors or not wrong:
                continue
            eta = abs(2 * len(right) / (len(right) + len(wrong)) - 1) if self.eta is None else self.eta
            for row in wrong:
                is_spared_T = (batch.influences_N[row] > self.beta * min(anchors)).to(plain_N.device)
                if plain_N[row] < 0:
                    given[row][is_spared_T] *= eta
        return given
