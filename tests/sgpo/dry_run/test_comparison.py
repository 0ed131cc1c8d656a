"""Dry runs of comparisons: runs, rollouts, judgements and time by hand, before and while one goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sgpo.cli import main
from sgpo.compare.config import CompareConfig
from sgpo.compare.run import list_runs
from sgpo.dry_run.comparison import plan_comparison
from tests.sgpo.compare.samples import ACCURACIES, write_run
from tests.sgpo.offline.offline_samples import three_groups, write_groups
from tests.sgpo.samples import write_problems


def settings(tmp_path: Path) -> dict[str, Any]:
    problems = str(write_problems(tmp_path / "problems", n=5))
    shared = {"policy": "HuggingFaceTB/SmolLM2-135M-Instruct"}
    evaluation = {"problems": problems, "every": 30, "temperature": 1.0, "n_samples": 3}
    base = {"problems": problems, "group_size": 8, "prompts_per_step": 4, "max_steps": 40, "eval": evaluation}
    groups = str(write_groups(tmp_path / "groups", three_groups()))
    offline = {"groups": groups, "eval": evaluation, "max_tokens": 200, "guards": {"judge_auc": None}}
    return {
        "base": shared | base | {"guards": {"judge_auc": None}},
        "base_offline": shared | offline,
        "arms": {
            "grpo": {"judge": None},
            "sgpo": {"judge": "builtin:symbolic"},
            "dapo": {"algorithm": {"type": "dapo", "max_refills": 2}},
            "stored": {"command": "offline", "judge": "builtin:symbolic"},
            "stored_vppo": {"command": "offline", "judge": "builtin:symbolic", "algorithm": {"type": "vppo"}},
        },
        "judge_errors": {"arms": ["sgpo", "stored"], "kinds": ["late"], "rates": [0.3]},
        "reference": "grpo",
        "workers": 2,
    }


def test_runs_rollouts_judgements_and_time_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = settings(tmp_path)
    (tmp_path / "compare.yaml").write_text(json.dumps(wanted))
    config = CompareConfig.model_validate(wanted)
    plan = plan_comparison(config, None)
    assert [*plan.arms] == ["grpo", "sgpo", "dapo", "stored", "stored_vppo", "sgpo_late30", "stored_late30"]
    grpo, sgpo, dapo, stored = (plan.arms[name] for name in ("grpo", "sgpo", "dapo", "stored"))
    assert (grpo.n_runs, grpo.n_finished, grpo.steps, grpo.rollouts, grpo.judge_calls) == (2, 0, 40, 40 * 32, 0)
    assert dapo.rollouts == 3 * grpo.rollouts
    assert sgpo.judge_calls == plan.arms["sgpo_late30"].judge_calls == 40 * 32
    assert grpo.held_out == 3 * 5 * 3  # before the first update, after 30 and at the end
    assert stored.judge_calls == 4 < plan.arms["stored_vppo"].judge_calls
    online = 2 * (sgpo.judge_calls + plan.arms["sgpo_late30"].judge_calls)
    assert plan.judge_calls == online + plan.arms["stored_vppo"].judge_calls + plan.arms["stored_late30"].judge_calls
    assert plan.seconds_left is None

    assert main(["compare", str(tmp_path / "compare.yaml"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "14 runs, 0 of them finished." in said and f"{plan.judge_calls:,} judged." in said
    assert "known once a run has finished" in said
    assert main(["compare", str(tmp_path / "compare.yaml")]) == 2
    assert "--output is missing" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"compare.yaml", "problems", "groups"}


def test_time_is_that_of_the_arm_else_of_the_command(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    arms = {name: wanted["arms"][name] for name in ("grpo", "sgpo", "dapo")}
    config = CompareConfig.model_validate(wanted | {"arms": arms, "judge_errors": None, "base_offline": None})
    runs = {run.folder.name: run for run in list_runs(config, tmp_path / "out")}
    write_run(runs["grpo-seed0"], ACCURACIES["grpo", 0])  # 40 updates of 2 seconds
    write_run(runs["sgpo-seed1"], ACCURACIES["sgpo", 0], n_batches=2)  # of 4 seconds
    write_run(runs["grpo-seed1"], ACCURACIES["grpo", 0])
    (runs["grpo-seed1"].folder / "manifest.json").write_text("{}")  # killed before the end, 40 updates done
    plan = plan_comparison(config, tmp_path / "out")
    left = {name: arm.seconds_left for name, arm in plan.arms.items()}
    assert left == pytest.approx({"grpo": 0, "sgpo": 40 * 4, "dapo": 2 * 40 * 3})
    assert plan.seconds_left == pytest.approx((160 + 240) / 2)
    assert [arm.n_finished for arm in plan.arms.values()] == [1, 1, 0]
