"""How tokens add up and clip, by the algorithm's own rule, and what it may ask about tokens: online and offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from safetensors.torch import load_file

import sgpo.algorithms.registry as registry
from judgekit.errors import ConfigError
from sgpo.algorithms.base import GroupBatch, LossRule, Need, TokenSum
from sgpo.algorithms.grpo import GRPO
from sgpo.offline.config import OfflineConfig
from sgpo.offline.run import run_offline
from tests.sgpo.offline.offline_samples import make_rollout, write_groups
from tests.sgpo.offline.offline_samples import write_policy as write_offline_policy
from tests.sgpo.samples import GROUP, SEGMENTATION, Watched, make_trainer, mixed

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
STEPS = {"args_per_device_train_batch_size": 6, "args_steps_per_generation": 2, "args_max_steps": 4}
"""Two optimiser steps on each batch of rollouts: in the second the policy is no longer the old one."""


class Ruled(GRPO):
    """GRPO with another rule for its tokens."""

    type: Literal["ruled"] = "ruled"  # type: ignore[assignment]
    tokens: TokenSum = "token_mean"
    clip: tuple[float, float] | None = (0.02, 0.3)

    @property
    def loss_rule(self) -> LossRule:
        return LossRule(self.tokens, self.clip)


class LikelyFirstSteps(GRPO):
    """Trains the first step of a response alone, by its old likelihood; keeps what it was given."""

    type: Literal["likely_first_steps"] = "likely_first_steps"  # type: ignore[assignment]
    needs: ClassVar[frozenset[Need]] = frozenset({"spans", "old_logprobs"})
    given: ClassVar[list[GroupBatch]] = []

    def credit(self, rewards_N: torch.Tensor, *, batch: GroupBatch, **_: Any) -> list[torch.Tensor]:
        self.given.append(batch)
        assert batch.spans_N is not None and batch.old_seq_logprobs_N is not None
        advantages = [torch.zeros(n, dtype=torch.float64) for n in batch.n_tokens_N.tolist()]
        for advantages_T, spans, old in zip(advantages, batch.spans_N, batch.old_seq_logprobs_N.tolist(), strict=True):
            if spans:
                advantages_T[slice(*spans[0])] = old
        return advantages


def test_online_a_rule_is_that_of_a_trainer_configured_so(policy: Path, tmp_path: Path) -> None:
    trained = []
    for options in (
        {"algorithm": Ruled(), "args_loss_type": "grpo"},
        {"args_loss_type": "dapo", "args_epsilon": 0.02, "args_epsilon_high": 0.3},
        {"args_loss_type": "grpo"},
    ):
        trainer = make_trainer(policy, tmp_path, **STEPS, **options)
        trainer.train()
        trained.append(torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()]))
        assert trainer.loss_type == options["args_loss_type"], "what it was configured by is put back"
    torch.testing.assert_close(trained[0], trained[1], rtol=0, atol=1e-6)
    assert not torch.allclose(trained[0], trained[2], rtol=0, atol=1e-4)
    with pytest.raises(ConfigError, match="set it to token"):
        make_trainer(policy, tmp_path, algorithm=Ruled(), args_importance_sampling_level="sequence")


def test_online_without_clipping_it_is_the_plain_policy_gradient(policy: Path, tmp_path: Path) -> None:
    """By hand: minus the mean over responses of advantage times summed log-probability, in later steps too."""
    steps = []

    class Checked(Watched):
        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            loss = super()._compute_loss(model, inputs)
            mask = inputs["completion_mask"]
            ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
            ids_mask = torch.cat([inputs["prompt_mask"], mask], 1)
            logprobs, *_ = self._get_per_token_logps_and_entropies(model, ids, ids_mask, mask.size(1))
            own = -(inputs["advantages"] * (logprobs * mask).sum(1)).mean()
            parameters = list(model.parameters())
            grads = torch.autograd.grad(loss, parameters, retain_graph=True)
            for grad, expected in zip(grads, torch.autograd.grad(own, parameters), strict=True):
                torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-6)
            steps.append(max(grad.abs().max().item() for grad in grads))
            return loss

    ruled = Ruled(tokens="seq_sum", clip=None)
    make_trainer(policy, tmp_path, Checked, reward=mixed, algorithm=ruled, **STEPS).train()
    assert len(steps) == 4 and max(steps[1::2]) > 0


def _offline(tmp_path: Path, **options: Any) -> OfflineConfig:
    values = {
        "policy": str(write_offline_policy(tmp_path / "policy")),
        "groups": tmp_path / "groups",
        "prompt": {"type": "raw"},
        "max_tokens": 110,
        "token_budget": 256,
        "bins_per_step": 1,
        "epochs": 2,
        "lr": 3e-2,
        "bf16": False,
        "device": "cpu",
    }
    return OfflineConfig.model_validate(values | options)


def test_offline_a_rule_is_that_of_a_trainer_configured_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.ALGORITHMS, "_added", {"ruled": Ruled})
    lengths = (["one step"], ["a", "b b b", "c"], ["a longer one"], ["x", "y"])
    rows = [make_rollout(f"g{g}", i, float(i == 0), lengths[i]) for g in range(3) for i in range(4)]
    write_groups(tmp_path / "groups", rows)
    found = []
    plain_sum = {"type": "ruled", "tokens": "token_mean", "clip": None}
    for index, options in enumerate(
        (
            {"algorithm": {"type": "ruled"}},
            {"loss": "dapo", "clip_low": 0.02, "clip_high": 0.3},
            {"algorithm": plain_sum},
            {"loss": "dapo", "ratio": "none"},
            {},
        )
    ):
        run_offline(_offline(tmp_path, **options), tmp_path / f"run{index}")
        found.append(load_file(tmp_path / f"run{index}" / "policy" / "model.safetensors"))
        assert (tmp_path / f"run{index}" / "old_logprobs.parquet").is_file() is (index not in (2, 3))
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]) and torch.equal(found[2][name], found[3][name])
    assert any(not torch.equal(found[i][name], found[4][name]) for name in found[0] for i in (0, 2))
    with pytest.raises(ValueError, match="ruled clips the ratio to an old policy, but ratio=none has none"):
        _offline(tmp_path, algorithm={"type": "ruled"}, ratio="none")


def test_spans_and_recorded_likelihood(policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LikelyFirstSteps, "given", given := [])
    trainer = make_trainer(
        policy, tmp_path / "online", algorithm=LikelyFirstSteps(), segmentation=SEGMENTATION, args_max_steps=1
    )
    trainer.train()
    (batch,), used = given, trainer.batches[-1]["advantages"]
    assert batch.spans_N is not None and batch.old_seq_logprobs_N is not None
    assert len(batch.spans_N) == 3 * GROUP and max(map(len, batch.spans_N)) > 1, "some have several steps"
    for used_T, spans, old in zip(used, batch.spans_N, batch.old_seq_logprobs_N.tolist(), strict=True):
        assert [value for value in used_T if value] == pytest.approx(
            [old] * (spans[0][1] - spans[0][0] if spans else 0)
        )
        assert old < -1 and [first for first, _ in spans] == sorted({first for first, _ in spans})

    monkeypatch.setattr(registry.ALGORITHMS, "_added", {"likely_first_steps": LikelyFirstSteps})
    config = _offline(tmp_path, algorithm={"type": "likely_first_steps"}, ratio="behaviour", append_eos=False)
    from sgpo.policy import load_policy

    tokenizer = load_policy(config.policy).tokenizer
    rows = [make_rollout("g", i, float(i == 0), [f"try {i}", "caf\u00e9 \u2192 then", "end"]) for i in range(4)]
    ids = [tokenizer(row.response, add_special_tokens=False)["input_ids"] for row in rows]
    more = [{"behaviour_token_ids": tuple(i), "behaviour_logprobs": (-0.5,) * len(i)} for i in ids]
    write_groups(tmp_path / "groups", [row.model_copy(update=extra) for row, extra in zip(rows, more, strict=True)])
    run_offline(config, tmp_path / "offline")
    batch = given[-1]
    assert batch.spans_N is not None and batch.old_seq_logprobs_N is not None
    assert batch.old_seq_logprobs_N.tolist() == [-0.5 * len(tokens) for tokens in ids]
    for row, tokens, spans in zip(rows, ids, batch.spans_N, strict=True):
        assert [tokenizer.decode(tokens[slice(*span)]).strip() for span in spans] == list(row.steps)
    with pytest.raises(ValueError, match="likely_first_steps needs old_logprobs, which this trainer does not provide"):
        _offline(tmp_path, algorithm={"type": "likely_first_steps"}, ratio="none")
