"""Clipped policy-gradient losses on single tokens, and how tokens add up to the loss of one optimiser step.

Axis: `_T` the trained tokens of any number of responses, one after the other. The loss of an optimiser step is
sum_T(weight * loss) / sum(units), over every response of that step.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

LossType = Literal["grpo", "dapo", "dr_grpo"]
"""`grpo`: mean over responses of each one's token mean; `dapo`: mean over tokens; `dr_grpo`: as `grpo`, with one fixed
length in place of each response's own."""


class TokenLoss(NamedTuple):
    """The loss of each token with what the log needs beside it. Each of shape (T,)."""

    loss_T: torch.Tensor
    """Loss, to be minimised."""
    ratio_T: torch.Tensor
    """Probability under the policy by probability under the old one; 1 without old log-probabilities."""
    clipped_T: torch.Tensor
    """Tokens whose gradient the clipping switches off, bool."""


def policy_loss(
    logprobs_T: torch.Tensor,
    *,
    old_logprobs_T: torch.Tensor | None,
    advantages_T: torch.Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> TokenLoss:
    """Return -min(ratio * A, clip(ratio, 1 - clip_low, 1 + clip_high) * A), or -A * logprob without an old policy.

    Args:
        logprobs_T: Log-probabilities of the tokens under the policy in training, nats. Shape (T,).
        old_logprobs_T: The same under the old policy; `None` for the plain policy gradient. Shape (T,).
        advantages_T: Advantage of each token's response. Shape (T,).
        clip_low: How far the ratio may fall below 1, >= 0.
        clip_high: How far the ratio may rise above 1, >= 0.

    Source:
        GRPO (2402.03300), clipped objective without its KL term; two bounds as in DAPO (2503.14476). The same as in
        TRL's GRPOTrainer.
    """
    if old_logprobs_T is None:
        ones = torch.ones_like(logprobs_T)
        return TokenLoss(-advantages_T * logprobs_T, ones, torch.zeros_like(ones, dtype=torch.bool))
    ratio_T = torch.exp(logprobs_T - old_logprobs_T)
    bounded_T = torch.clamp(ratio_T, 1 - clip_low, 1 + clip_high)
    loss_T = -torch.minimum(ratio_T * advantages_T, bounded_T * advantages_T)
    too_high = (ratio_T > 1 + clip_high) & (advantages_T > 0)
    too_low = (ratio_T < 1 - clip_low) & (advantages_T < 0)
    return TokenLoss(loss_T, ratio_T.detach(), too_high | too_low)


def token_weight(n_tokens: int, *, loss_type: LossType, max_tokens: int) -> float:
    """Return the weight of each token of a response with `n_tokens` tokens.

    Args:
        n_tokens: Trained tokens of the response, at least 1.
        loss_type: See `LossType`.
        max_tokens: The fixed length that `dr_grpo` divides by.

    Source:
        `grpo`: GRPO (2402.03300); `dapo`: DAPO (2503.14476); `dr_grpo`: Dr. GRPO (2503.20783), with a length chosen
        beforehand as in TRL's GRPOTrainer.
    """
    return {"grpo": 1 / n_tokens, "dapo": 1.0, "dr_grpo": 1 / max_tokens}[loss_type]


def response_units(n_tokens: int, *, loss_type: LossType) -> int:
    """Return what a response adds to the divisor of its optimiser step: its tokens for `dapo`, else 1."""
    return n_tokens if loss_type == "dapo" else 1
