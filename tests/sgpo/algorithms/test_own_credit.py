"""Advantages of an algorithm of its own, one a token: used online as they are, and shown so in the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from judgekit.errors import ConfigError
from sgpo.algorithms.grpo import GRPO
from sgpo.algorithms.random_rts import RandomRTS
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


def test_what_is_scored_needs_a_problem(policy: Path, tmp_path: Path) -> None:
    from datasets import Dataset

    rows = Dataset.from_list([{"prompt": f"{i}+{i}?", "answer": str(2 * i)} for i in range(8)])
    with pytest.raises(ConfigError, match="no column 'problem'"):
        make_trainer(policy, tmp_path, reward=mixed, algorithm=RandomRTS(), train_dataset=rows)
