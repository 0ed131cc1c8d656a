"""The comparison: curves by hand, runs as processes that may fail, and what is written about them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sgpo.compare.runs
from judgekit.config import load_config
from judgekit.errors import ConfigError, JudgekitError
from sgpo.compare.config import CompareConfig
from sgpo.compare.report import PAGE, PLOT, REPORT, RESULTS, TABLE
from sgpo.compare.run import run_compare
from sgpo.compare.runs import ArmRun
from tests.sgpo.compare.samples import ACCURACIES, write_run
from tests.sgpo.samples import write_problems


def settings(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    base = {
        "policy": "p",
        "problems": write_problems(tmp_path / "data", n=3),
        "max_steps": 40,
        "eval": {"problems": tmp_path / "data", "every": 10},
    }
    arms = {"grpo": {"judge": None}, "sgpo": {"judge": "j"}, "random": {"judge": "builtin:random"}}
    return {"base": base, "arms": arms, "reference": "grpo", "workers": 2} | changes


def test_arms_change_the_base_and_nothing_else(tmp_path: Path) -> None:
    arms = {"grpo": {}, "soft": {"judge": "j", "guidance": {"rts": "expected"}}}
    config = CompareConfig.model_validate(settings(tmp_path, arms=arms, threads=3))
    plain, soft = (config.arm_config(arm, seed=7) for arm in ("grpo", "soft"))
    assert (plain.judge, plain.seed, plain.threads) == (None, 7, 3)
    assert (soft.judge, soft.resolved_algorithm.rts.type) == ("j", "expected")
    assert soft.model_copy(update={"judge": None, "algorithm": None}) == plain


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seeds": [0, 0]}, "name one twice"),
        ({"reference": "ppo"}, "'ppo' is none of the arms grpo, sgpo, random"),
        ({"arms": {"grpo": {"jugde": None}}}, "did you mean 'judge'"),
        ({"arms": {"grpo": {"lr": -1}}}, "greater than 0"),
        ({"arms": {"a/b": {}, "grpo": {}}}, "names a folder"),
        ({"seeds": []}, "at least 1 item"),
    ],
)
def test_bad_comparisons_are_refused(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        CompareConfig.model_validate(settings(tmp_path, **change))


def test_comparison_needs_evaluations(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    with pytest.raises(ValueError, match=r"base\.eval is null"):
        CompareConfig.model_validate(wanted | {"base": wanted["base"] | {"eval": None}})


def start_scripted(run: ArmRun, *, threads: int) -> subprocess.Popen[bytes]:
    """Stands in for a training process: writes the scripted run, or fails where the script says so."""
    code = "import sys; print('boom: no memory'); sys.exit(3)" if run.arm == "random" else "print('fine')"
    if run.arm != "random":
        write_run(run, ACCURACIES[run.arm, run.seed])
    with run.log.open("ab") as log:
        return subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log)


def test_a_failing_run_is_named_and_loses_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = CompareConfig.model_validate(settings(tmp_path))
    output = tmp_path / "out"
    monkeypatch.setattr(sgpo.compare.runs, "POLL_S", 0.02)
    monkeypatch.setattr(sgpo.compare.runs, "_start", start_scripted)
    with pytest.raises(JudgekitError, match=r"2 of 6 runs failed: random-seed0 ended with status 3, see .*boom"):
        run_compare(config, output)
    assert all(
        (output / f"{arm}-seed{seed}" / "manifest.json").is_file() for arm in ("grpo", "sgpo") for seed in (0, 1)
    )
    assert not (output / REPORT).exists()
    with pytest.raises(ConfigError, match="add --resume"):
        run_compare(config, output)

    started = []

    def start_fixed(run: ArmRun, *, threads: int) -> subprocess.Popen[bytes]:
        started.append(run.folder.name)
        write_run(run, ACCURACIES[run.arm, run.seed])
        return subprocess.Popen([sys.executable, "-c", ""])

    monkeypatch.setattr(sgpo.compare.runs, "_start", start_fixed)
    report = run_compare(config, output, resume=True)
    assert started == ["random-seed0", "random-seed1"]
    assert json.loads((output / REPORT).read_text()) == report.model_dump(mode="json")
    assert (output / PLOT).read_bytes().startswith(b"\x89PNG")
    rows = [json.loads(line) for line in (output / RESULTS).read_text().splitlines()]
    assert [(row["arm"], row["seed"]) for row in rows] == list(ACCURACIES)
    assert all((output / name).stat().st_size for name in (PAGE, TABLE))


def test_a_real_run_end_to_end(policy: Path, tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "data", n=4)
    overrides = [
        f"base.policy={policy}",
        f"base.problems={problems}",
        f"base.eval.problems={problems}",
        "base.max_steps=1",
        "base.prompts_per_step=1",
        "base.group_size=2",
        "base.max_completion_length=4",
        "base.device=cpu",
        "arms={random: {judge: 'builtin:random'}}",
        "reference=random",
        "seeds=[3]",
    ]
    report = run_compare(load_config(CompareConfig, overrides=overrides), tmp_path / "out")
    assert report.arms["random"].mean.steps == (0, 1)
    run = report.arms["random"].seeds["3"]
    assert (run.training["accuracy"].steps, run.rollouts.values) == ((1,), (0.0, 2.0))
    stored = json.loads((tmp_path / "out" / "random-seed3" / "config.json").read_text())
    assert (stored["seed"], stored["threads"], stored["judge"]) == (3, 1, "builtin:random")
