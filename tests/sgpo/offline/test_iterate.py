"""Rounds of sampling and training: each begins with the policy of the last, and a kill costs no finished stage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import judgekit.cli
import sgpo.cli
import sgpo.offline.iterate
from judgekit.errors import ConfigError, JudgekitError
from judgekit.io import read_json
from sgpo.offline.iterate import run_iterate, run_stage
from sgpo.offline.iterate_config import IterateConfig
from tests.sgpo.samples import write_problems

STEPS = {"mode": "separators", "separators": ["\ufffd"]}


@pytest.fixture
def config(policy: Path, tmp_path: Path) -> IterateConfig:
    rollouts: dict[str, Any] = {
        "problems": str(write_problems(tmp_path / "problems", n=3)),
        "generation": {"type": "transformers", "model": "unset", "dtype": "float32"},
        "prompt": {"type": "raw"},
        "n_samples": 4,
        "sampling": {"max_tokens": 12, "temperature": 1.0},
        "outcome": {"type": "last_number"},
        "segmentation": STEPS,
    }
    offline: dict[str, Any] = {
        "policy": "unset",
        "groups": "unset",
        "judge": "builtin:random",
        "algorithm": {"type": "sgpo", "truncated": "judge"},
        "ratio": "behaviour",
        "max_tokens": 40,
        "token_budget": 160,
        "epochs": 1,
        "lr": 1e-2,
        "bf16": False,
        "device": "cpu",
    }
    (tmp_path / "rollouts.json").write_text(json.dumps(rollouts))
    (tmp_path / "offline.json").write_text(json.dumps(offline))
    return IterateConfig(
        policy=str(policy), rollouts=tmp_path / "rollouts.json", offline=tmp_path / "offline.json", rounds=2
    )


def test_rounds_build_on_each_other_and_resume(
    config: IterateConfig, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[str] = []

    def here(module: str, command: str, path: Path, overrides: Sequence[str], output: Path) -> None:
        stages.append(f"{output.parent.name}/{output.name}")
        if kill_at == len(stages):
            raise KeyboardInterrupt
        main = {"judgekit.cli": judgekit.cli.main, "sgpo.cli": sgpo.cli.main}[module]
        assert main([command, str(path), *overrides, "--output", str(output), "--resume"]) == 0

    monkeypatch.setattr(sgpo.offline.iterate, "run_stage", here)
    kill_at = 0
    rows = run_iterate(config, straight := tmp_path / "straight")
    assert stages == ["round-0/groups", "round-0/train", "round-1/groups", "round-1/train"]
    assert all(row["iterate/revived"] > 0 and row["iterate/steps"] > 0 for row in rows)
    assert read_json(straight / "round-1" / "train" / "config.json")["policy"] == str(straight / "round-0/train/policy")
    kill_at = len(stages) + 3
    with pytest.raises(KeyboardInterrupt):
        run_iterate(config, killed := tmp_path / "killed")
    kill_at = 0
    assert run_iterate(config, killed, resume=True) == rows
    for name, tensor in load_file(straight / "round-1/train/policy/model.safetensors").items():
        torch.testing.assert_close(load_file(killed / "round-1/train/policy/model.safetensors")[name], tensor)
    with pytest.raises(ConfigError, match="already holds a run"):
        run_iterate(config, killed)


def test_a_stage_that_fails_is_named_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(JudgekitError, match=r"nothing of round-0 ended with status 2, see .*nothing.log.*--resume"):
        run_stage("sgpo.cli", "nothing", tmp_path / "x.yaml", [], tmp_path / "round-0" / "train")
