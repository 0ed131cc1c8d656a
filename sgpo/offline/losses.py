"""Clipped policy-gradient losses of single tokens, and how they are combined into the loss of one optimiser step.

Axis: `_T` the trained tokens of any number of responses, concatenated. The loss of an optimiser step is
sum_T(weight * loss) / sum(units), over all responses of that step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from sgpo.algorithms.base import TokenSum


class TokenLoss(NamedTuple):
    """The loss of each token, and what the log needs. Each of shape (T,)."""

    loss_T: torch.Tensor
    """Loss, to be minimised."""
    ratio_T: torch.Tensor
    """Probability under the policy divided by that under the old policy; 1 without old log-probabilities."""
    clipped_T: torch.Tensor
    """Tokens whose gradient is zeroed by clipping, bool."""


def policy_loss(
    logprobs_T: torch.Tensor,
    *,
    old_logprobs_T: torch.Tensor | None,
    advantages_T: torch.Tensor,
    clip: tuple[float, float] | None,
) -> TokenLoss:
    """Return -min(ratio * A, clip(ratio, 1 - low, 1 + high) * A), or -A * logprob without an old policy or clipping.

    Args:
        logprobs_T: Log-probabilities of the tokens under the policy in training, nats. Shape (T,).
        old_logprobs_T: The same under the old policy; `None` for the plain policy gradient. Shape (T,).
        advantages_T: Advantage of each token. Shape (T,).
        clip: See `sgpo.algorithms.base.LossRule.clip`; both >= 0.

    Source:
        GRPO (2402.03300), clipped objective without its KL term; two bounds as in DAPO (2503.14476). The same as in
        TRL's GRPOTrainer.
    """
    if old_logprobs_T is None or clip is None:
        ones = torch.ones_like(logprobs_T)
        return TokenLoss(-advantages_T * logprobs_T, ones, torch.zeros_like(ones, dtype=torch.bool))
    clip_low, clip_high = clip
    ratio_T = torch.exp(logprobs_T - old_logprobs_T)
    bounded_T = torch.clamp(ratio_T, 1 - clip_low, 1 + clip_high)
    loss_T = -torch.minimum(ratio_T * advantages_T, bounded_T * advantages_T)
    too_high = (ratio_T > 1 + clip_high) & (advantages_T > 0)
    too_low = (ratio_T < 1 - clip_low) & (advantages_T < 0)
    return TokenLoss(loss_T, ratio_T.detach(), too_high | too_low)


def token_weight(n_tokens: int, *, tokens: TokenSum, max_tokens: int) -> float:
    """Return the weight of each token of a response with `n_tokens` tokens.

    Args:
        n_tokens: Trained tokens of the response, at least 1.
        tokens: How the losses of tokens are averaged.
        max_tokens: The length that `fixed` divides by.

    Source:
        `seq_token_mean`: GRPO (2402.03300); `token_mean`: DAPO (2503.14476); `fixed`: Dr. GRPO (2503.20783), with a
        length chosen beforehand as in TRL's GRPOTrainer.
    """
    return {"seq_token_mean": 1 / n_tokens, "token_mean": 1.0, "fixed": 1 / max_tokens, "seq_sum": 1.0}[tokens]
