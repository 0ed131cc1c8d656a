"""Credit given anew at every optimiser step, from what the policy gives the responses by then: online and offline."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from judgekit.errors import ConfigError
from sgpo.algorithms.base import GroupBatch, Need, Shaped
from sgpo.algorithms.grpo import GRPO
from sgpo.algorithms.rebel import REBEL
from sgpo.credit import StepCredit
from sgpo.offline.config import OfflineConfig
from sgpo.offline.run import run_offline
from sgpo.offline.trainer import OfflineTrainer
from tests.sgpo.offline.offline_samples import make_rollout, write_groups
from tests.sgpo.offline.offline_samples import write_policy as write_offline_policy
from tests.sgpo.samples import GROUP, make_trainer, mixed

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def test_coefficients_are_the_gradient_of_the_loss_of_all_pairs() -> None:
    """By hand in the loss: half of the mean over ordered pairs of (eta(r_i - r_j) - (d_i - d_j))^2."""
    rewards_N, old_N = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), torch.tensor([-3.0, -2.0, -5.0]).double()
    logprobs_N = torch.tensor([-2.5, -2.2, -4.0], dtype=torch.float64, requires_grad=True)
    d_N = logprobs_N - old_N
    (0.5 * ((rewards_N[:, None] - rewards_N) - (d_N[:, None] - d_N)).square().mean()).backward()
    zeros_N = torch.zeros(4)
    batch = GroupBatch(torch.tensor([1.0, 0, 0, 1]), torch.tensor([0, 0, 0, 1]), zeros_N.bool(), zeros_N.long())
    shaped = Shaped(torch.tensor([1.0, 0, 0, 1]).double(), zeros_N.double())
    step_credit = StepCredit(batch, shaped, REBEL(), "none")
    nan = torch.tensor([torch.nan], dtype=torch.float64)
    given_N = step_credit.at(torch.cat([logprobs_N.detach(), nan]), old_seq_logprobs_N=torch.cat([old_N, nan]))
    assert logprobs_N.grad is not None
    torch.testing.assert_close(-given_N[:3] / 3, logprobs_N.grad)  # the trainer takes the mean over responses
    assert given_N[3] == 0, "its group was not run"


def test_online_every_optimiser_step_has_its_own(policy: Path, tmp_path: Path) -> None:
    """One generation batch of 12, cut into three optimiser steps of two micro-batches of two."""
    used: list[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]] = []
    trainer = make_trainer(
        policy,
        tmp_path,
        reward=mixed,
        algorithm=REBEL(eta=3.0),
        args_per_device_train_batch_size=2,
        args_gradient_accumulation_steps=2,
        args_steps_per_generation=6,
        args_max_steps=4,
        args_scale_rewards="none",
    )
    at = StepCredit.at

    def watched(self: StepCredit, seq_N: torch.Tensor, *, old_seq_logprobs_N: torch.Tensor) -> torch.Tensor:
        given_N = at(self, seq_N, old_seq_logprobs_N=old_seq_logprobs_N)
        used.append((trainer.state.global_step, seq_N, old_seq_logprobs_N, given_N))
        return given_N

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StepCredit, "at", watched)
        trainer.train()
    assert [step for step, *_ in used] == [0, 1, 2, 3]
    outcomes = [batch["outcomes"] for batch in trainer.batches]
    for (step, seq_N, old_N, given_N), rewards in zip(used, [outcomes[0]] * 3 + [outcomes[1]], strict=True):
        torch.testing.assert_close(seq_N, old_N) if step in (0, 3) else None
        residual = 3 * torch.tensor(rewards).double() - (seq_N - old_N)
        residual = residual.view(-1, GROUP)
        torch.testing.assert_close(
            given_N.view(-1, GROUP).double(), 2 * (residual - residual.mean(1, keepdim=True)), atol=1e-5, rtol=0
        )
    assert not torch.allclose(used[1][1], used[0][1]), "the policy has trained in between"
    assert list(trainer._logs["advantages"])[-12:] == pytest.approx(used[-1][3].tolist())


def _offline(tmp_path: Path, **options: Any) -> OfflineConfig:
    rollouts = [make_rollout(f"g{g}", i, float(i == 0 or (g == 1 and i == 2))) for g in range(5) for i in range(4)]
    values = {
        "policy": str(write_offline_policy(tmp_path / "policy")),
        "groups": write_groups(tmp_path / "groups", rollouts),
        "prompt": {"type": "raw"},
        "algorithm": {"type": "rebel", "eta": 2.0},
        "max_tokens": 110,
        "token_budget": 256,
        "bins_per_step": 2,
        "epochs": 2,
        "lr": 3e-2,
        "schedule": "constant",
        "warmup": 0.0,
        "bf16": False,
        "device": "cpu",
        "scale_rewards": "none",
    }
    return OfflineConfig.model_validate(values | options)


def test_offline_steps_are_of_whole_groups_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _offline(tmp_path, save_every=1)
    used: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    at, give = StepCredit.at, OfflineTrainer._give_step_credit

    def watched(self: StepCredit, seq_N: torch.Tensor, *, old_seq_logprobs_N: torch.Tensor) -> torch.Tensor:
        used.append((seq_N, old_seq_logprobs_N, given_N := at(self, seq_N, old_seq_logprobs_N=old_seq_logprobs_N)))
        return given_N

    monkeypatch.setattr(StepCredit, "at", watched)
    report = run_offline(config, tmp_path / "straight")
    straight = copy.deepcopy(used)
    assert report["steps"] == len(straight) > 2 and report["rows_trained"] == 20
    rewards_N = torch.tensor([float(i == 0 or (g == 1 and i == 2)) for g in range(5) for i in range(4)]).double()
    for seq_N, old_N, given_N in straight:
        there = ~seq_N.isnan().view(5, 4)
        assert ((there.sum(1) == 0) | (there.sum(1) == 4)).all(), "whole groups"
        residual = (2 * rewards_N - (seq_N - old_N)).view(5, 4)
        expected = torch.where(there, 2 * (residual - residual.mean(1, keepdim=True)), 0.0)
        torch.testing.assert_close(given_N.view(5, 4), expected)
    torch.testing.assert_close(straight[0][0], straight[0][1], atol=1e-4, rtol=0, equal_nan=True)
    assert not torch.allclose(straight[-1][0].nan_to_num(), straight[-1][1].nan_to_num(), atol=1e-2)

    def killed(self: OfflineTrainer, *args: Any) -> torch.Tensor:
        if self.state.global_step == 2:
            raise KeyboardInterrupt
        return give(self, *args)

    monkeypatch.setattr(OfflineTrainer, "_give_step_credit", killed)
    with pytest.raises(KeyboardInterrupt):
        run_offline(config, tmp_path / "killed")
    monkeypatch.setattr(OfflineTrainer, "_give_step_credit", give)
    used.clear()
    assert run_offline(config, tmp_path / "killed", resume=True) == report
    assert len(used) == report["steps"] - 2
    for now, before in zip(used, straight[2:], strict=True):
        torch.testing.assert_close(now[2], before[2], atol=1e-6, rtol=0)


def test_what_a_trainer_cannot_give_is_refused(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rebel needs old_logprobs, which this trainer does not provide"):
        _offline(tmp_path / "none", ratio="none")

    class Impatient(GRPO):
        needs: ClassVar[frozenset[Need]] = frozenset({"seq_logps"})

    with pytest.raises(ConfigError, match="grpo needs seq_logps, which online training does not provide"):
        make_trainer(policy, tmp_path, algorithm=Impatient())
