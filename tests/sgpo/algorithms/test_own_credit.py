"""Advantages of an algorithm of its own, one a token: used online as they are, and shown so in the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from sgpo.algorithms.base import GroupBatch
from sgpo.algorithms.grpo import GRPO
from sgpo.credit import give_credit
from tests.sgpo.samples import GROUP, make_trainer, mixed

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


class LateTokens(GRPO):
    """Outcome minus the group's mean, growing from 1/T at the first token to the whole at the last."""

    type: Literal["late_tokens"] = "late_tokens"  # type: ignore[assignment]

    def credit(self, rewards_N: torch.Tensor, **_: Any) -> list[torch.Tensor]:
        centred = (rewards_N.view(-1, GROUP) - rewards_N.view(-1, GROUP).mean(1, keepdim=True)).flatten()
        n_tokens_N = _["batch"].n_tokens_N.tolist()
        return [value * (torch.arange(n) + 1) / n for value, n in zip(centred, n_tokens_N, strict=True)]


def test_own_credit_reaches_the_loss_and_the_log(policy: Path, tmp_path: Path) -> None:
    """Also where the algorithm derives from `GRPO`, which by itself leaves everything to TRL."""
    trainer = make_trainer(policy, tmp_path, reward=mixed, algorithm=LateTokens(), args_max_steps=1)
    trainer.train()
    batch, logged_N = trainer.batches[-1], list(trainer._logs["advantages"])
    outcomes_N = torch.tensor(batch["outcomes"])
    centred_N = (outcomes_N.view(-1, GROUP) - outcomes_N.view(-1, GROUP).mean(1, keepdim=True)).flatten()
    for used_T, full, logged in zip(batch["advantages"], centred_N.tolist(), logged_N, strict=True):
        n_tokens = sum(value != 0 for value in used_T)
        assert used_T[:n_tokens] == pytest.approx([full * (i + 1) / n_tokens for i in range(n_tokens)])
        assert logged == pytest.approx(sum(used_T) / max(n_tokens, 1))
    assert centred_N.abs().max() > 0


def test_another_number_of_advantages_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rewards_N, zeros_N = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.zeros(4)
    batch = GroupBatch(rewards_N, zeros_N, zeros_N.bool(), n_tokens_N=torch.tensor([2, 3, 1, 2]))

    def given(advantages: object) -> object:
        monkeypatch.setattr(LateTokens, "credit", lambda *_, **__: advantages)
        return give_credit(rewards_N, batch=batch, algorithm=LateTokens(), std_floor_N=zeros_N, scale="none")

    with pytest.raises(ValueError, match=r"late_tokens.credit gave 1 advantages for the 2 tokens of response 3"):
        given([torch.ones(2), torch.ones(3), torch.ones(1), torch.ones(1)])
    with pytest.raises(ValueError, match=r"shape \(4, 1\) for 4 responses"):
        given(torch.ones(4, 1))
