"""The precision of a policy: opened, trained, resumed and written in it, and what it loses said."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from judgekit.errors import ConfigError
from judgekit.training.lora import LoraOptions
from sgpo.offline.run import run_offline
from sgpo.online.config import OnlineConfig
from sgpo.online.run import run_online
from sgpo.policy import load_policy, lost_share
from tests.sgpo.samples import SEGMENTATION, write_problems
from tests.sgpo.test_lora import offline


def dtypes(folder: Path) -> set[torch.dtype]:
    return {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()}


@pytest.mark.parametrize("lr", [1e-6, 1e-4, 1e-2])
def test_lost_share_is_what_adamw_leaves_as_it_is(lr: float) -> None:
    torch.manual_seed(0)
    weights = torch.nn.Parameter((0.02 * torch.randn(4000)).bfloat16())
    before = weights.detach().clone()
    optimizer = torch.optim.AdamW([weights], lr=lr, weight_decay=0.0)
    (-weights.abs().sum()).backward()  # the first step of AdamW is lr in every direction; this one leads away from 0
    optimizer.step()
    found = (weights.detach() == before).float().mean().item()
    assert lost_share([before], lr=lr) == pytest.approx(found, abs=0.02)
    assert lost_share([before.float()], lr=lr) == 0.0


def test_bfloat16_weights_with_a_small_rate_are_warned_of(policy: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="sgpo.policy"):
        assert load_policy(str(policy), dtype="bfloat16", lr=1e-6).model.dtype == torch.bfloat16
    assert "% of the weights of" in caplog.text and "set dtype=float32 and bf16=true" in caplog.text
    caplog.clear()
    load_policy(str(policy), dtype="bfloat16", lr=0.1)
    load_policy(str(policy), dtype="float32", lr=1e-6)
    load_policy(str(policy), lora=LoraOptions(dtype="bfloat16"), lr=1e-6)
    assert not caplog.text


def test_adapters_have_a_precision_of_their_own(policy: Path) -> None:
    with pytest.raises(ValidationError, match="dtype=bfloat16 applies when all weights are trained"):
        OnlineConfig(policy=str(policy), problems=policy, dtype="bfloat16", lora={})


def test_online_trains_and_writes_in_it(policy: Path, tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems", n=4)
    config = OnlineConfig(
        policy=str(policy),
        problems=problems,
        judge="builtin:random",
        algorithm={"type": "sgpo", "truncated": "judge"},
        segmentation=SEGMENTATION,
        eval={"problems": problems, "every": 2},
        dtype="bfloat16",
        bf16=False,
        beta_kl=0.1,
        group_size=4,
        prompts_per_step=2,
        max_steps=1,
        max_completion_length=12,
        lr=1e-2,
        device="cpu",
        threads=1,
    )
    run_online(config, tmp_path / "run")
    assert dtypes(tmp_path / "run" / "policy") == {torch.bfloat16}
    assert json.loads((tmp_path / "run" / "config.json").read_text())["dtype"] == "bfloat16"
    assert json.loads((tmp_path / "run" / "policy" / "config.json").read_text())["dtype"] == "bfloat16"


def test_offline_trains_resumes_and_writes_in_it(tmp_path: Path) -> None:
    config = offline(tmp_path, lora=None, dtype="bfloat16", bf16=False)
    run_offline(config, tmp_path / "whole")
    before, after = (
        load_file(folder / "model.safetensors") for folder in (Path(config.policy), tmp_path / "whole/policy")
    )
    assert dtypes(tmp_path / "whole" / "policy") == {torch.bfloat16}
    assert any(not torch.equal(before[name].bfloat16(), after[name]) for name in before)
    killed = shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    shutil.rmtree(killed / "policy")
    shutil.rmtree(killed / "checkpoints" / "checkpoint-4")
    manifest = json.loads((killed / "manifest.json").read_text())
    (killed / "manifest.json").write_text(json.dumps({k: v for k, v in manifest.items() if k != "finished"}))
    run_offline(config, killed, resume=True)
    again = load_file(killed / "policy" / "model.safetensors")
    assert all(torch.equal(after[name], again[name]) for name in after)
    with pytest.raises(ConfigError, match="differs in dtype"):
        run_offline(config.model_copy(update={"dtype": "float32"}), tmp_path / "whole", resume=True)
