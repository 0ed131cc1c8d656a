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
from sgpo.compare.report import (
    Curve,
    build_report,
    describe_difference,
    final_value,
    mean_curve,
    print_table,
    read_curve,
    updates_to_reach,
)
from sgpo.compare.run import PLOT, REPORT, run_compare
from sgpo.compare.runs import ArmRun
from tests.sgpo.samples import write_problems

ACCURACIES = {
    ("grpo", 0): [0.0, 0.1, 0.2, 0.4, 0.3],
    ("grpo", 1): [0.0, 0.1, 0.2, 0.2, 0.4],
    ("sgpo", 0): [0.0, 0.3, 0.4, 0.5, 0.5],
    ("sgpo", 1): [0.0, 0.2, 0.4, 0.5, 0.7],
    ("random", 0): [0.0, 0.0, 0.1, 0.1, 0.2],
    ("random", 1): [0.0, 0.1, 0.1, 0.3, 0.2],
}
"""At steps 0, 10, 20, 30, 40."""


def settings(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    base = {
        "policy": "p",
        "problems": write_problems(tmp_path / "data", n=3),
        "max_steps": 40,
        "eval": {"problems": tmp_path / "data", "every": 10},
    }
    arms = {"grpo": {"judge": None}, "sgpo": {"judge": "j"}, "random": {"judge": "builtin:random"}}
    return {"base": base, "arms": arms, "reference": "grpo", "workers": 2} | changes


def write_run(folder: Path, accuracies: list[float]) -> None:
    folder.mkdir()
    rows: list[dict[str, Any]] = [{"step": 10 * i, "eval/accuracy": value} for i, value in enumerate(accuracies)]
    rows += [{"step": 10, "sgpo/accuracy": 0.1, "sgpo/frac_all_negative": 0.8, "train/step_time": 2.0}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = {"first_frac_all_negative": 0.75, "judge_calls": 12.0, "judge_seconds": 1.0}
    (folder / "manifest.json").write_text(json.dumps({"finished": "now", "results": results}))


@pytest.fixture
def runs(tmp_path: Path) -> list[ArmRun]:
    found = [ArmRun(arm, seed, tmp_path / f"{arm}-seed{seed}") for arm, seed in ACCURACIES]
    for run in found:
        write_run(run.folder, ACCURACIES[run.arm, run.seed])
    return found


def test_updates_to_the_reference_by_hand(runs: list[ArmRun]) -> None:
    report = build_report(runs, reference="grpo", n_steps=40)
    # mean of grpo: 0, .1, .2, .3, .35; final accuracy (.2 + .3 + .35) / 3 = .2833, reached at step 30
    assert report["level"] == pytest.approx(0.85 / 3)
    grpo, sgpo, chance = (report["arms"][arm] for arm in ("grpo", "sgpo", "random"))
    assert (grpo["updates_to_reach"], grpo["ratio"], grpo["ratio_of_all"]) == (30, 1.0, 0.75)
    # mean of sgpo: 0, .25, .4, .5, .6: reached at step 20
    assert (sgpo["updates_to_reach"], sgpo["ratio"], sgpo["ratio_of_all"]) == (20, pytest.approx(2 / 3), 0.5)
    assert sgpo["final_accuracy"] == pytest.approx(0.5)
    assert [seed["updates_to_reach"] for seed in sgpo["seeds"].values()] == [10, 20]
    assert (chance["updates_to_reach"], chance["ratio"], chance["ratio_of_all"]) == (None, None, None)
    assert [seed["updates_to_reach"] for seed in chance["seeds"].values()] == [None, 30]
    assert sgpo["first_frac_all_negative"] == 0.75
    assert sgpo["seeds"]["0"]["seconds_per_step"] == 2.0
    assert sgpo["seeds"]["0"]["training"]["frac_all_negative"] == {"steps": [10], "values": [0.8]}


def test_a_level_that_is_there_at_the_start_is_not_one_that_is_never_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [ArmRun(arm, 0, tmp_path / f"{arm}-seed0") for arm in ("grpo", "sgpo")]
    write_run(runs[0].folder, [0.4, 0.3, 0.3, 0.3])
    write_run(runs[1].folder, [0.4, 0.5, 0.5, 0.5])
    report = build_report(runs, reference="grpo", n_steps=40)
    assert [report["arms"][arm]["updates_to_reach"] for arm in ("grpo", "sgpo")] == [0, 0]
    print_table(report)
    said = capsys.readouterr().out
    assert "never" not in said and "grpo ends no higher than it begins" in said


def test_two_seeds_do_not_tell_arms_apart(runs: list[ArmRun]) -> None:
    """By seed: grpo .3 and .26667, sgpo .46667 and .53333. Half a width is t(1) = 12.7062 times sd / sqrt(2)."""
    arms = build_report(runs, reference="grpo", n_steps=40)["arms"]
    assert arms["sgpo"]["final_interval"] == pytest.approx({"lo": 0.5 - 0.42354, "hi": 0.5 + 0.42354}, abs=1e-5)
    difference = arms["sgpo"]["difference"]  # .16667 and .26667, paired by seed
    assert difference == pytest.approx({"value": 0.21667, "lo": -0.41864, "hi": 0.85198, "n_seeds": 2}, abs=1e-5)
    assert arms["sgpo"]["finding"].startswith("+0.217 [-0.419, +0.852] to grpo over 2 seeds: the interval holds 0")
    assert arms["grpo"]["finding"] is None and arms["grpo"]["difference"]["lo"] is None
    assert arms["random"]["final_interval"]["lo"] == 0.0, "an accuracy is not below 0"
    several = arms["sgpo"] | {"difference": {"value": -0.2, "lo": -0.3, "hi": -0.1, "n_seeds": 6}}
    assert describe_difference(several, reference="grpo") == "-0.200 [-0.300, -0.100] to grpo over 6 seeds: below it"


def test_seeds_that_end_alike_have_no_interval(tmp_path: Path) -> None:
    """Two equal differences are no certainty: 0.1 twice would be an interval of no width, "above" the reference."""
    ends = {
        ("grpo", 0): 0.2,
        ("grpo", 1): 0.3,
        ("sgpo", 0): 0.3,
        ("sgpo", 1): 0.4,
        ("worse", 0): 0.0,
        ("worse", 1): 0.0,
    }
    runs = [ArmRun(arm, seed, tmp_path / f"{arm}-seed{seed}") for arm, seed in ends]
    for run in runs:
        write_run(run.folder, [ends[run.arm, run.seed]] * 3)
    arms = build_report(runs, reference="grpo", n_steps=40)["arms"]
    assert arms["sgpo"]["difference"]["lo"] is None
    assert arms["sgpo"]["finding"].startswith("2 seeds that all end +0.100 apart: no interval")
    assert arms["worse"]["final_interval"] == {"lo": None, "hi": None}


def test_findings_count_the_seeds_that_both_arms_have(tmp_path: Path, runs: list[ArmRun]) -> None:
    empty = ArmRun("sgpo", 2, tmp_path / "sgpo-seed2")
    write_run(empty.folder, [])
    finding = build_report([*runs, empty], reference="grpo", n_steps=40)["arms"]["sgpo"]["finding"]
    assert "over 2 seeds" in finding


def test_one_seed_has_no_interval(runs: list[ArmRun]) -> None:
    arms = build_report([run for run in runs if run.seed == 0], reference="grpo", n_steps=40)["arms"]
    assert arms["sgpo"]["final_interval"] == {"lo": None, "hi": None}
    assert "1 seed: no interval" in arms["sgpo"]["finding"]


def test_curves_keep_to_the_steps_that_all_seeds_have() -> None:
    mean = mean_curve([Curve([0, 10, 20], [0.0, 0.2, 0.4]), Curve([0, 20], [0.1, 0.5])])
    assert mean == Curve([0, 20], [pytest.approx(0.05), pytest.approx(0.45)])
    rows = [{"step": 0, "a": 1.0}, {"step": 5, "b": 2.0}, {"step": 10, "a": None}, {"step": 15, "a": 3.0}]
    assert read_curve(rows, "a") == Curve([0, 15], [1.0, 3.0])
    assert final_value(Curve([], [])) is None
    assert final_value(Curve([0, 1], [0.2, 0.4])) == pytest.approx(0.3)
    assert updates_to_reach(Curve([0, 1], [0.2, 0.4]), 0.5) is None


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
        write_run(run.folder, ACCURACIES[run.arm, run.seed])
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
        write_run(run.folder, ACCURACIES[run.arm, run.seed])
        return subprocess.Popen([sys.executable, "-c", ""])

    monkeypatch.setattr(sgpo.compare.runs, "_start", start_fixed)
    report = run_compare(config, output, resume=True)
    assert started == ["random-seed0", "random-seed1"]
    assert json.loads((output / REPORT).read_text()) == report
    assert (output / PLOT).read_bytes().startswith(b"\x89PNG")


def test_table_shows_every_arm(runs: list[ArmRun], capsys: pytest.CaptureFixture[str]) -> None:
    print_table(build_report(runs, reference="grpo", n_steps=40))
    shown = capsys.readouterr().out
    assert "level to reach: 0.283" in shown
    lines = {line.split("│")[1].strip(): line for line in shown.splitlines() if "│" in line and "seed" not in line}
    assert "20" in lines["sgpo"]
    assert "67%" in lines["sgpo"]
    assert "never" in lines["random"]


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
    assert report["arms"]["random"]["mean"]["steps"] == [0, 1]
    assert report["arms"]["random"]["seeds"]["3"]["training"]["accuracy"]["steps"] == [1]
    stored = json.loads((tmp_path / "out" / "random-seed3" / "config.json").read_text())
    assert (stored["seed"], stored["threads"], stored["judge"]) == (3, 1, "builtin:random")
