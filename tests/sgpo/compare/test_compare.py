"""The comparison: curves by hand, runs as processes that may fail, and what is written about them."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sgpo.compare.runs
from judgekit.errors import ConfigError, JudgekitError
from judgekit.judges import load_judge
from judgekit.judges.mistaken import MistakenJudge
from judgekit.run import is_training
from sgpo.compare.config import CompareConfig
from sgpo.compare.curves import read_record
from sgpo.compare.report import PAGE, PLOT, REPORT, RESULTS, TABLE
from sgpo.compare.results import Curve
from sgpo.compare.run import prepare_runs, run_compare
from sgpo.compare.runs import ArmRun, train_runs
from sgpo.compare.statistics import compare_arms
from tests.sgpo.compare.samples import ACCURACIES, PER_BATCH, write_run
from tests.sgpo.offline.offline_samples import three_groups, write_groups, write_policy
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
        ({"seeds": [0, 0]}, "contain one twice"),
        ({"reference": "ppo"}, "'ppo' is not one of the arms: grpo, sgpo, random"),
        ({"arms": {"grpo": {"jugde": None}}}, "did you mean 'judge'"),
        ({"arms": {"grpo": {"lr": -1}}}, "greater than 0"),
        ({"arms": {"a/b": {}, "grpo": {}}}, "names a folder"),
        ({"seeds": []}, "at least 1 item"),
    ],
)
def test_bad_comparisons_are_refused(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        CompareConfig.model_validate(settings(tmp_path, **change))


ERRORS = {"arms": ["sgpo"]}
ERRING = ("stored", "stored_late100")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"judge_errors": {"arms": ["ppo"]}}, "'ppo' is not one of the arms"),
        ({"judge_errors": {"arms": ["grpo"]}}, "'grpo' uses no judge"),
        ({"judge_errors": ERRORS | {"rates": [1.5]}}, "less than or equal to 1"),
        ({"judge_errors": ERRORS | {"rates": [0.3, 0.3]}}, "two arms are called 'sgpo_early30'"),
        ({"arms": {"grpo": {"command": "offline"}}}, "base_offline is missing"),
        ({"arms": {"grpo": {"command": "oflfine"}}}, "online or offline, not 'oflfine'"),
    ],
)
def test_offline_arms_and_judge_errors_are_checked(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        CompareConfig.model_validate(settings(tmp_path, **change))


def test_a_judge_errs_by_a_card_and_the_first_seed_comes_first(tmp_path: Path) -> None:
    errors = {"arms": ["sgpo"], "kinds": ["late"], "rates": [0.125, 0.6], "seed": 3}
    arms = {"grpo": {}, "sgpo": {"judge": "builtin:symbolic"}, "random": {"judge": "builtin:random"}}
    config = CompareConfig.model_validate(settings(tmp_path, arms=arms, judge_errors=errors))
    prepared = prepare_runs(config, tmp_path / "out")
    names = ["grpo", "sgpo", "random", "sgpo_late12p5", "sgpo_late60"]
    assert [run.folder.name for run in prepared] == [f"{name}-seed{seed}" for seed in (0, 1) for name in names]
    wanted = json.loads(prepared[4].config_file.read_text())
    assert wanted | {"judge": None} == json.loads(prepared[1].config_file.read_text()) | {"judge": None}
    judge = load_judge(wanted["judge"])
    assert isinstance(judge, MistakenJudge)
    assert (judge.spec.errors, judge.spec.rate, judge.spec.seed) == ("late", 0.6, 3)
    assert judge.spec.members == ("builtin:symbolic",)


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
    noted = [json.loads(line)["compare/run"] for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert sorted(noted) == sorted(f"{arm}-seed{seed}" for arm in ("grpo", "sgpo", "random") for seed in (0, 1))
    assert json.loads((output / REPORT).read_text()) == report.model_dump(mode="json")
    assert (output / PLOT).read_bytes().startswith(b"\x89PNG")
    rows = [json.loads(line) for line in (output / RESULTS).read_text().splitlines()]
    assert [(row["arm"], row["seed"]) for row in rows] == list(ACCURACIES)
    assert all((output / name).stat().st_size for name in (PAGE, TABLE))


def test_a_run_that_still_trains_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a comparison that was killed leaves behind: a training that goes on."""
    folder = tmp_path / "grpo-seed0"
    hold = f"""
import sys
from pathlib import Path
from judgekit.store import claim
with claim(Path({str(folder / "checkpoints")!r}), None) as claimed:
    print(claimed, flush=True)
    sys.stdin.read()
"""
    orphan = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert orphan.stdin is not None and orphan.stdout is not None
    assert orphan.stdout.readline() == "True\n"
    assert is_training(folder)
    polls: list[float] = []

    def sleep(seconds: float) -> None:
        polls.append(seconds)
        if len(polls) == 3:
            orphan.communicate()

    started = []

    def start(run: ArmRun, *, threads: int) -> subprocess.Popen[bytes]:
        started.append(len(polls))
        write_run(run, [0.1, 0.2])
        return subprocess.Popen([sys.executable, "-c", ""])

    monkeypatch.setattr(sgpo.compare.runs.time, "sleep", sleep)
    monkeypatch.setattr(sgpo.compare.runs, "_start", start)
    run = ArmRun("grpo", 0, folder)
    with caplog.at_level(logging.INFO):
        assert train_runs([run], workers=1, threads=1) == []
    assert started == [3]
    assert "grpo-seed0 is still training" in caplog.text


def test_tokens_are_those_of_all_rollouts(tmp_path: Path) -> None:
    run = write_run(ArmRun("dapo", 0, tmp_path / "dapo-seed0"), [0.0, 0.1, 0.2], n_batches=2)
    path, rows = run.folder / "metrics.jsonl", run.rows()
    sampled = [row for row in rows if "sgpo/batches" in row]
    for length, row in zip((5.0, 3.0), sampled, strict=True):
        row["train/completions/mean_length"] = length
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = read_record(run)
    n = 10 * 2 * PER_BATCH
    assert record.training["tokens"] == Curve(steps=(0, 10, 20), values=(0.0, 5.0 * n, 8.0 * n))
    rows_out = compare_arms({"dapo": {0: record}}, reference="dapo", n_steps=20).rows()
    assert (rows_out[0]["tokens"], rows_out[0]["rollouts"]) == (8.0 * n, 2 * n)


def test_what_ends_the_comparison_ends_its_runs(tmp_path: Path) -> None:
    script = """
import subprocess, sys, time
from pathlib import Path
import sgpo.compare.runs as runs
children, sleep = [], time.sleep
def start(run, *, threads):
    children.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
    return children[-1]
def poll(seconds):
    print(children[-1].pid, flush=True)
    sleep(seconds)
runs._start, runs.time.sleep = start, poll
runs.train_runs([runs.ArmRun("grpo", 0, Path(sys.argv[1]))], workers=1, threads=1)
"""
    (tmp_path / "grpo-seed0.json").write_text('{"max_steps": 2}')
    command = [sys.executable, "-c", script, str(tmp_path / "grpo-seed0")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.terminate()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, said
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_offline_and_online_arms_end_to_end(tmp_path: Path) -> None:
    policy = write_policy(tmp_path / "policy")
    problems = write_problems(tmp_path / "data", n=4)
    groups = write_groups(tmp_path / "groups", three_groups())
    base = {"policy": str(policy), "device": "cpu", "bf16": False, "max_steps": 1}
    settings = {
        "base": base
        | {"problems": str(problems), "prompts_per_step": 1, "group_size": 2, "max_completion_length": 4}
        | {"eval": {"problems": str(problems)}},
        "base_offline": base
        | {"groups": str(groups), "max_tokens": 110, "token_budget": 110, "prompt": {"type": "raw"}}
        | {"eval": {"problems": str(problems), "max_completion_length": 4}},
        "arms": {"grpo": {}, "stored": {"command": "offline", "judge": "builtin:first-step"}},
        "reference": "grpo",
        "seeds": [3],
        "judge_errors": {"arms": ["stored"], "kinds": ["late"], "rates": [1.0]},
    }
    output = tmp_path / "out"
    report = run_compare(CompareConfig.model_validate(settings), output)
    assert set(report.arms) == {"grpo", "stored", "stored_late100"}
    assert report.arms["stored"].mean.steps == report.arms["grpo"].mean.steps == (0, 1)
    run = report.arms["grpo"].seeds["3"]
    assert (run.training["accuracy"].steps, run.rollouts.values) == ((1,), (0.0, 2.0))
    stored = json.loads((output / "grpo-seed3" / "config.json").read_text())
    assert (stored["seed"], stored["threads"], stored["judge"]) == (3, 1, None)
    assert (output / "judgements").is_dir()
    assert report.arms["stored"].seeds["3"].rollouts.values == (0.0, 12.0, 12.0)
    rts = [json.loads((output / f"{arm}-seed3/manifest.json").read_text())["results"]["rts_mean"] for arm in ERRING]
    assert rts[0] == 0 < rts[1]
