"""Token losses and weights against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from sgpo.offline.losses import policy_loss, token_weight


@pytest.mark.parametrize(("old_T", "clip"), [(None, (0.0, 0.0)), (torch.tensor([-3.0, -4.0]), None)])
def test_plain_policy_gradient(old_T: torch.Tensor | None, clip: tuple[float, float] | None) -> None:
    loss = policy_loss(
        torch.tensor([-1.0, -2.0]), old_logprobs_T=old_T, advantages_T=torch.tensor([0.5, -1.5]), clip=clip
    )
    assert loss.loss_T.tolist() == [0.5, -3.0]
    assert loss.ratio_T.tolist() == [1.0, 1.0]
    assert not loss.clipped_T.any()


# ratio 1.5 and 0.5 against bounds 0.8 and 1.3, each with an advantage of 2 and of -2
@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "clipped"),
    [
        (1.5, 2.0, -2.6, True),  # min(3.0, 2.6)
        (1.5, -2.0, 3.0, False),  # min(-3.0, -2.6)
        (0.5, 2.0, -1.0, False),  # min(1.0, 1.6)
        (0.5, -2.0, 1.6, True),  # min(-1.0, -1.6)
        (1.1, 2.0, -2.2, False),
    ],
)
def test_clipping(ratio: float, advantage: float, loss: float, clipped: bool) -> None:
    logprobs_T = torch.tensor([-1.0 + math.log(ratio)], dtype=torch.float64, requires_grad=True)
    token = policy_loss(
        logprobs_T,
        old_logprobs_T=torch.tensor([-1.0], dtype=torch.float64),
        advantages_T=torch.tensor([advantage], dtype=torch.float64),
        clip=(0.2, 0.3),
    )
    assert token.loss_T.item() == pytest.approx(loss)
    assert token.ratio_T.item() == pytest.approx(ratio)
    assert token.clipped_T.item() is clipped
    (grad,) = torch.autograd.grad(token.loss_T.sum(), logprobs_T)
    assert grad.item() == pytest.approx(0.0 if clipped else -ratio * advantage)


def test_weights_of_tokens() -> None:
    assert token_weight(5, tokens="seq_token_mean", max_tokens=20) == 0.2
    assert token_weight(5, tokens="token_mean", max_tokens=20) == 1.0
    assert token_weight(5, tokens="fixed", max_tokens=20) == 0.05
    assert token_weight(5, tokens="seq_sum", max_tokens=20) == 1.0
