"""What a package from outside adds, each example in under 40 lines: written as it would be, installed, and used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sgpo.offline.run import run_offline
from sgpo.online.run import run_online
from tests.sgpo.offline import offline_samples
from tests.sgpo.samples import write_problems


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, group: str, entry: str, module: str, code: str) -> None:
    """Leave in a folder on the path what an installer leaves of a package with one entry point."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
    (folder / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(folder)


ALGORITHM = '''
"""GRPO that trains the first half of every response alone."""
from typing import ClassVar, Literal

import torch
from sgpo.algorithms.base import Algorithm


class FirstHalf(Algorithm):
    """GRPO on the first half of the tokens."""

    type: Literal["first_half"] = "first_half"
    weight: float = 1.0
    """Factor of every advantage."""
    needs: ClassVar = frozenset({"n_tokens"})

    def credit(self, rewards_N, *, batch, std_floor_N, scale):
        advantages_N = super().credit(rewards_N, batch=batch, std_floor_N=std_floor_N, scale=scale)
        is_first_N_T = [torch.arange(n) < n / 2 for n in batch.n_tokens_N.tolist()]
        return [self.weight * a * first_T for a, first_T in zip(advantages_N, is_first_N_T, strict=True)]
'''


def test_an_algorithm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = "first_half = half_rl:FirstHalf"
    install(tmp_path / "lib", monkeypatch, group="sgpo.algorithms", entry=entry, module="half_rl", code=ALGORITHM)
    from sgpo.offline.config import OfflineConfig
    from sgpo.online.config import OnlineConfig

    policy = str(offline_samples.write_policy(tmp_path / "policy"))
    groups = offline_samples.write_groups(tmp_path / "groups", offline_samples.three_groups())
    common = {"policy": policy, "algorithm": {"type": "first_half", "weight": 2.0}, "device": "cpu", "threads": 1}
    offline = {"groups": groups, "prompt": {"type": "raw"}, "max_tokens": 128, "bins_per_step": 1, "epochs": 2}
    report = run_offline(OfflineConfig.model_validate(common | offline), tmp_path / "offline")
    assert report["steps"] >= 2 and report["judge_calls"] == 0
    problems = write_problems(tmp_path / "problems", n=3)
    online = {"problems": problems, "group_size": 4, "prompts_per_step": 2, "max_steps": 2, "max_completion_length": 8}
    run_online(OnlineConfig.model_validate(common | online), tmp_path / "online")
    rows = [json.loads(line) for line in (tmp_path / "online" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
