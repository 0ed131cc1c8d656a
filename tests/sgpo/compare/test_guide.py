"""The guide to comparisons: its configuration is one, and its commands run as they stand, as far as a dry run goes."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
import yaml

import judgekit.cli
import sgpo.cli
from sgpo.compare.config import CompareConfig
from tests.sgpo.offline.offline_samples import three_groups, write_groups
from tests.sgpo.samples import write_problems

ROOT = Path(__file__).parents[3]
BLOCKS = (ROOT / "docs" / "compare.md").read_text().split("```")[1::2]


def test_the_configuration_of_the_guide() -> None:
    (block,) = (block for block in BLOCKS if block.startswith("yaml\n"))
    config = CompareConfig.model_validate(yaml.safe_load(block.removeprefix("yaml\n")))
    assert [*config.arms] == ["grpo", "ngrpo", "sgpo", "random_judge"]


def test_the_commands_of_the_guide(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quickstart = Path("runs/quickstart")
    for folder in (quickstart, Path("runs/arithmetic")):
        shutil.copytree(policy, folder / "policy/model")
        for name in ("rl-train", "rl-test"):
            write_problems(folder / "data" / name, n=4)
    said = []
    commands = "".join(block for block in BLOCKS if not block.startswith("yaml\n")).split("\n")
    for line in filter(None, commands):
        program, command, *arguments = shlex.split(line.replace("configs/", f"{ROOT / 'configs'}/"))
        small = ["n_problems=3", "n_samples=2"] if command == "rollouts" else ["--dry-run"]
        main = {"judgekit": judgekit.cli.main, "sgpo": sgpo.cli.main}[program]
        assert main([command, *arguments, *small]) == 0, capsys.readouterr().err
        if command == "rollouts":  # nothing that this policy says is right
            shutil.rmtree(quickstart / "groups")
            write_groups(quickstart / "groups", three_groups())
        said.append(capsys.readouterr().out)
    arms = yaml.safe_load((ROOT / "configs/sgpo/compare_algorithms.yaml").read_text())["arms"]
    assert f"{5 * len(arms)} runs, 0 of them finished." in said[0]
    assert "140 runs" in said[3] and "vppo_random60" in said[3]
    assert "12 runs" in said[-1] and "sgpo_offline" in said[-1]
