"""The whole offline run on a tiny policy: what is trained, what a kill leaves, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import sgpo.offline.run
from judgekit.calibration.card import Fingerprint
from judgekit.config import parse_config
from judgekit.errors import CheckpointError, ConfigError, DataError
from judgekit.groups import load_groups
from judgekit.io import read_json, write_json
from judgekit.judges.stored import StoredJudge
from judgekit.run import Run
from judgekit.types import Rollout
from sgpo.offline.config import OfflineConfig, StoredPrompt
from sgpo.offline.credit import assign_credit
from sgpo.offline.packing import OfflineRow
from sgpo.offline.plan import Plan, build_rows, plan_steps
from sgpo.offline.run import run_offline
from sgpo.offline.trainer import compute_row_values
from sgpo.policy import Policy, load_policy
from tests.processes import run_on_two
from tests.sgpo.offline.offline_samples import SampleJudge, make_rollout, three_groups, write_groups, write_policy
from tests.sgpo.samples import write_problems

SETTINGS: dict[str, Any] = {
    "judge": "sample",
    "prompt": {"type": "raw"},
    "max_tokens": 110,
    "token_budget": 110,
    "bins_per_step": 2,
    "epochs": 2,
    "lr": 1e-3,
    "save_every": 2,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def policy_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def policy(policy_path: Path) -> Policy:
    return load_policy(str(policy_path))


@pytest.fixture(scope="module")
def groups_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_groups(tmp_path_factory.mktemp("data") / "groups", three_groups())


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> SampleJudge:
    judge = SampleJudge()
    monkeypatch.setattr(sgpo.offline.run, "load_judge", lambda *_, **__: judge)
    return judge


def _config(policy_path: Path, groups_path: Path, **changes: Any) -> OfflineConfig:
    values = SETTINGS | {"policy": str(policy_path), "groups": str(groups_path)} | changes
    return parse_config(OfflineConfig, values, where="test")


def _metrics(output: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "offline/seconds"} for row in rows]


def _weights(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "policy" / "model.safetensors")


def _assert_same_weights(left: Path, right: Path, atol: float) -> None:
    for name, tensor in _weights(left).items():
        torch.testing.assert_close(tensor, _weights(right)[name], rtol=0, atol=atol)


def test_a_run_trains_reports_and_saves(
    policy_path: Path, groups_path: Path, judge: SampleJudge, tmp_path: Path
) -> None:
    config = _config(policy_path, groups_path, report_to=["tensorboard"])
    report = run_offline(config, tmp_path)
    assert list((tmp_path / "tensorboard").iterdir())
    assert (report["all_negative"], report["revived"], report["judge_calls"]) == (1, 1, 5)
    assert (report["zero_advantage_rows"], report["overlong"], report["rows_trained"]) == (4, 0, 8)
    head, *steps = _metrics(tmp_path)
    assert head == {"step": 0} | {f"prepare/{name}": value for name, value in report.items() if name != "guards"}
    assert [row["step"] for row in steps] == list(range(1, report["steps"] + 1))
    assert [row["offline/epoch"] for row in steps] == sorted([0, 1] * (report["steps"] // 2))
    assert sum(row["offline/tokens"] for row in steps) == report["tokens_trained"]
    assert steps[0]["offline/ratio_mean"] == pytest.approx(1.0, abs=1e-6)
    assert steps[0]["offline/clip_frac"] == 0.0
    assert steps[-1]["offline/ratio_mean"] != pytest.approx(1.0, abs=1e-4)
    assert all(row["offline/grad_norm"] > 0 for row in steps)
    assert read_json(tmp_path / "manifest.json")["results"] == report
    assert not list((tmp_path / "policy").glob("*.bin"))
    trained, before = load_policy(str(tmp_path / "policy")).model, load_policy(str(policy_path)).model
    assert trained.dtype == torch.float32
    assert any(not torch.equal(new, old) for new, old in zip(trained.parameters(), before.parameters(), strict=True))
    assert run_offline(config, tmp_path, resume=True) == report
    assert len(judge.judged) == 5, "four, and a right one for the guards"


def test_a_policy_that_the_judge_was_not_calibrated_on_is_named(
    policy_path: Path, groups_path: Path, judge: SampleJudge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = {"data": "split", "sha256": "0", "n_solutions": 9, "n_problems": 3, "sources": ["elsewhere"]}
    fingerprint = Fingerprint.model_validate(known | {"generators": ["another policy"]})
    judge.info = replace(judge.info, fingerprint=fingerprint)
    run_offline(_config(policy_path, groups_path, epochs=1), tmp_path)
    [warning] = [record.getMessage() for record in caplog.records if record.name == "judgekit.judges.unfamiliar"]
    assert "12 of 12 solutions come from sources that the calibration data split lack" in warning
    assert "12 of 12 solutions are by generators that the calibration data split lack" in warning


def test_resumed_run_equals_straight_run(
    policy_path: Path, groups_path: Path, judge: SampleJudge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(policy_path, groups_path, bins_per_step=1, epochs=3)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    n_steps = run_offline(config, straight)["steps"]
    assert n_steps > 5
    log = Run.log

    def kill_after_five(run: Run, metrics: dict[str, Any]) -> None:
        log(run, metrics)
        if metrics["step"] == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", kill_after_five)
        with pytest.raises(KeyboardInterrupt):
            run_offline(config, killed)
    assert [row["step"] for row in _metrics(killed)] == [0, 1, 2, 3, 4, 5]
    half_written = killed / "checkpoints" / "checkpoint-5"
    half_written.mkdir()
    (half_written / "model.safetensors").write_bytes(b"half")
    with (killed / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "offline/lo')
    run_offline(config, killed, resume=True)
    assert _metrics(killed) == _metrics(straight)
    assert _weights(killed).keys() == _weights(straight).keys()
    _assert_same_weights(killed, straight, atol=0.0)
    assert len(judge.judged) == 10  # four and one for the guards a folder: the resumed run judged none


@pytest.mark.parametrize("moment", ["rollout", "step"])
def test_two_processes_equal_one(moment: str, policy_path: Path, groups_path: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"judge": "builtin:random", "epochs": 1}
    if moment == "step":  # a group fills a bin
        options |= {"judge": None, "algorithm": {"type": "rebel"}, "token_budget": 200, "max_tokens": 110}
    config = _config(policy_path, groups_path, **options)
    report = run_offline(config, tmp_path / "one")
    assert report["steps"] == 2  # three bins, so that an empty one stands beside the last
    (tmp_path / "config.json").write_text(config.model_dump_json())
    (tmp_path / "run.py").write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from sgpo.offline.run import OfflineConfig, run_offline\n"
        "run_offline(OfflineConfig.model_validate_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))\n"
    )
    run_on_two(tmp_path / "run.py", tmp_path / "config.json", tmp_path / "two")
    assert read_json(tmp_path / "two" / "manifest.json")["results"] == report
    for one, two in zip(_metrics(tmp_path / "one"), _metrics(tmp_path / "two"), strict=True):
        unknown = {name for name, value in one.items() if value is None}
        assert {name for name, value in two.items() if value is None} == unknown
        one, two = ({name: row[name] for name in row.keys() - unknown} for row in (one, two))
        assert two == pytest.approx(one, rel=1e-4, abs=1e-6)
    _assert_same_weights(tmp_path / "one", tmp_path / "two", atol=1e-5)


def _prepare(policy: Policy, config: OfflineConfig, folder: Path) -> tuple[list[OfflineRow], dict[str, int], Plan]:
    groups = load_groups(config.groups)
    judge = None if config.judge is None else StoredJudge(SampleJudge(), folder)
    rows, dropped = build_rows(groups, tokenizer=policy.tokenizer, config=config)
    table = assign_credit(
        groups,
        judge=judge,
        algorithm=config.resolved_algorithm,
        guards=config.guards,
        trained={},
        count_tokens=len,
    )
    return rows, dropped, plan_steps(rows, table.credits_N, config=config)


def _trained(plan: Plan, epoch: int) -> set[str]:
    steps = [step for step, at in zip(plan.steps, plan.epochs, strict=True) if at == epoch]
    return {row.key[0] for step in steps for packed in step for row in packed}


@pytest.mark.parametrize(
    ("window", "guided_epochs"),
    [
        ({}, {0, 1, 2, 3}),
        ({"unit": "fraction", "stop": 0.25}, {0}),
        ({"unit": "epochs", "start": 1, "stop": 3}, {1, 2}),
        ({"unit": "steps", "start": 2}, {2, 3}),  # an epoch without the judge is one step: the mixed group
    ],
)
def test_the_judge_counts_in_the_epochs_of_its_window(
    window: dict[str, Any],
    guided_epochs: set[int],
    policy: Policy,
    policy_path: Path,
    groups_path: Path,
    tmp_path: Path,
) -> None:
    config = _config(policy_path, groups_path, epochs=4, algorithm={"type": "sgpo", "window": window}, bins_per_step=1)
    _, _, plan = _prepare(policy, config, tmp_path)
    for epoch in range(4):
        expected = {"negative", "mixed"} if epoch in guided_epochs else {"mixed"}
        assert _trained(plan, epoch) == expected
    assert {epoch for epoch, guided in zip(plan.epochs, plan.guided, strict=True) if guided} == guided_epochs


def test_the_judge_fades_over_the_epochs_of_its_window(
    policy: Policy, policy_path: Path, groups_path: Path, tmp_path: Path
) -> None:
    """Three epochs to the end of the window: all, two thirds, one third; the fourth is plain."""
    window = {"unit": "epochs", "stop": 3, "fade": "linear"}
    algorithm = {"type": "sgpo", "scope": "every_wrong", "window": window}
    config = _config(policy_path, groups_path, epochs=4, algorithm=algorithm, bins_per_step=1)
    _, _, plan = _prepare(policy, config, tmp_path)
    assert plan.guided == [epoch < 3 for epoch in plan.epochs]
    advantages: list[dict[tuple[str, int], Any]] = [{}, {}, {}, {}]
    for epoch, step in zip(plan.epochs, plan.steps, strict=True):
        advantages[epoch] |= {row.key: row.advantage for packed in step for row in packed}
    own, *faded, plain = advantages
    assert {group for group, _ in plain} == {"mixed"} and {group for group, _ in own} == {"mixed", "negative"}
    for weight, found in zip((2 / 3, 1 / 3), faded, strict=True):
        mixed = {key: weight * own[key] + (1 - weight) * plain.get(key, 0.0) for key in own}
        assert found == pytest.approx(mixed)


def test_every_row_with_an_advantage_is_trained_once_an_epoch(
    policy: Policy, policy_path: Path, groups_path: Path, tmp_path: Path
) -> None:
    rows, _, plan = _prepare(policy, _config(policy_path, groups_path, epochs=1), tmp_path)
    assert len(rows) == 12
    trained = sorted(row.key for step in plan.steps for packed in step for row in packed)
    assert trained == [(group, i) for group in ("mixed", "negative") for i in range(4)]
    for step in plan.steps:  # as many passes in each, and advantages that add up to nothing
        assert len(step) == len(plan.steps[0])
        assert sum(row.advantage for packed in step for row in packed) == pytest.approx(0, abs=1e-6)
    assert sum(size.n_responses for size in plan.sizes) == 12, "the all-positive group counts, as in TRL"


@pytest.mark.parametrize(("train_on", "kept"), [("positive", [0]), ("negative", [1, 2, 3]), ("all", [0, 1, 2, 3])])
def test_right_or_wrong_responses_alone_may_be_trained_on(
    train_on: str, kept: list[int], policy: Policy, policy_path: Path, groups_path: Path, tmp_path: Path
) -> None:
    config = _config(policy_path, groups_path, judge=None, epochs=1, train_on=train_on, divisor="with_advantage")
    _, _, plan = _prepare(policy, config, tmp_path)
    assert [row.key[1] for step in plan.steps for packed in step for row in packed] == kept
    assert [size.n_responses for size in plan.sizes] == [len(kept)]


def test_a_prompt_that_is_not_the_stored_one_is_refused(policy: Policy, policy_path: Path, tmp_path: Path) -> None:
    """What was sampled from the problem and a line break is not trained behind the problem alone, or a chat turn."""
    rollouts = [make_rollout("g", i, float(i), prompt="What is g?\n") for i in range(2)]
    groups = write_groups(tmp_path / "groups", rollouts)

    def prompt(**changes: Any) -> str:
        config = _config(policy_path, groups, judge=None, **{"prompt": {"type": "stored"}, **changes})
        rows, _ = build_rows(load_groups(groups), tokenizer=policy.tokenizer, config=config)
        return str(policy.tokenizer.decode(rows[0].prompt_ids))

    default = {name: value for name, value in SETTINGS.items() if name != "prompt"} | {"judge": None}
    assert parse_config(OfflineConfig, default | {"policy": "p", "groups": "g"}, where="test").prompt == StoredPrompt()
    assert prompt() == prompt(prompt={"type": "raw"}) == "What is g?\n"
    other = {"type": "raw", "template": "Q: {problem}"}
    with pytest.raises(DataError, match=r"group 'g' was sampled from another prompt than prompt.type=raw.*Q: What is"):
        prompt(prompt=other)
    assert prompt(prompt=other, on_other_prompt="train") == "Q: What is g?"


def test_steps_of_an_earlier_release_are_not_mixed_with_todays(
    policy_path: Path, groups_path: Path, tmp_path: Path
) -> None:
    config = _config(policy_path, groups_path, judge=None, epochs=1, save_every=1)
    run_offline(config, tmp_path)
    manifest = read_json(tmp_path / "manifest.json")
    write_json(tmp_path / "manifest.json", {key: manifest[key] for key in manifest.keys() - {"finished", "results"}})
    (tmp_path / "plan.json").unlink()
    with pytest.raises(ConfigError, match="an earlier release assigned the responses to other optimiser steps"):
        run_offline(config, tmp_path, resume=True)


def test_the_policy_is_measured_on_held_out_problems_while_it_trains(
    policy_path: Path, groups_path: Path, judge: SampleJudge, tmp_path: Path
) -> None:
    held_out = {"problems": str(write_problems(tmp_path / "problems", n=6)), "every": 1, "max_completion_length": 4}
    plain = _config(policy_path, groups_path, judge="sample", epochs=2)
    config = _config(policy_path, groups_path, judge="sample", epochs=2, eval=held_out)
    run_offline(plain, tmp_path / "plain")
    report = run_offline(config, tmp_path / "measured")
    evaluated = [row for row in _metrics(tmp_path / "measured") if "eval/accuracy" in row]
    assert [row["step"] for row in evaluated] == list(range(report["steps"] + 1))
    assert {row["eval/n"] for row in evaluated} == {6}
    assert report["final_accuracy"] == evaluated[-1]["eval/accuracy"]
    _assert_same_weights(tmp_path / "plain", tmp_path / "measured", atol=0)


def test_max_steps_cuts_the_plan(policy: Policy, policy_path: Path, groups_path: Path, tmp_path: Path) -> None:
    _, _, plan = _prepare(policy, _config(policy_path, groups_path, epochs=5, max_steps=3), tmp_path)
    assert (len(plan.steps), plan.epochs, plan.guided) == (3, [0, 0, 1], [True] * 3)


def test_rows_are_prompt_response_and_end(policy: Policy, policy_path: Path, tmp_path: Path) -> None:
    truncated = [False, True, None]
    rollouts = [make_rollout("g", i, float(i == 0), truncated=value) for i, value in enumerate(truncated)]
    config = _config(policy_path, write_groups(tmp_path / "groups", rollouts), judge=None)
    rows, _ = build_rows(load_groups(config.groups), tokenizer=policy.tokenizer, config=config)
    decoded = [policy.tokenizer.decode(row.completion_ids) for row in rows]
    assert decoded == [rollouts[0].response + "<|eos|>", rollouts[1].response, rollouts[2].response + "<|eos|>"]
    assert policy.tokenizer.decode(rows[0].prompt_ids) == "What is g?\n"
    stored = config.model_copy(update={"prompt": StoredPrompt()})
    rows, _ = build_rows(load_groups(config.groups), tokenizer=policy.tokenizer, config=stored)
    assert policy.tokenizer.decode(rows[0].prompt_ids) == "What is g?"


def test_overlong_and_empty_rows_are_counted(policy: Policy, policy_path: Path, tmp_path: Path) -> None:
    rollouts = [make_rollout("g", 0, 1.0), make_rollout("g", 1, 0.0, steps=["x " * 200]), make_rollout("g", 2, 0.0, [])]
    config = _config(policy_path, write_groups(tmp_path / "groups", rollouts), judge=None, append_eos=False)
    rows, dropped, plan = _prepare(policy, config, tmp_path)
    assert [row.key for row in rows] == [("g", 0)]
    assert dropped == {"overlong": 1, "empty": 1}
    (row,) = plan.steps[0][0]
    assert row.advantage == pytest.approx((1 - 1 / 3) / (0.57735 + 1e-4), rel=1e-4)  # the dropped two still count
    refusing = config.model_copy(update={"on_overlong": "error"})
    with pytest.raises(DataError, match=r"group 'g', sample 1 has \d+ tokens .* more than max_tokens=110"):
        build_rows(load_groups(config.groups), tokenizer=policy.tokenizer, config=refusing)


def _recorded(policy: Policy, sample: int, outcome: float, shift: int = 0) -> Rollout:
    plain = make_rollout("g", sample, outcome)
    ids = [token + shift for token in policy.tokenizer(plain.response, add_special_tokens=False)["input_ids"]]
    logprobs = [-2.0 - index / 100 for index in range(len(ids))]
    return make_rollout("g", sample, outcome, behaviour_token_ids=ids, behaviour_logprobs=logprobs)


def test_behaviour_ratio_uses_what_was_recorded(policy: Policy, policy_path: Path, tmp_path: Path) -> None:
    rollouts = [_recorded(policy, 0, 1.0), _recorded(policy, 1, 0.0)]
    groups = write_groups(tmp_path / "groups", rollouts)
    config = _config(policy_path, groups, judge=None, ratio="behaviour", bins_per_step=1, max_steps=1)
    rows, _ = build_rows(load_groups(groups), tokenizer=policy.tokenizer, config=config)
    assert [row.completion_ids for row in rows] == [rollout.behaviour_token_ids for rollout in rollouts]
    assert [row.old_logprobs_T for row in rows] == [rollout.behaviour_logprobs for rollout in rollouts]
    run_offline(config, tmp_path / "run")
    ratio_T = []
    for row, logprobs_T in zip(rows, compute_row_values(policy.model, rows, token_budget=110), strict=True):
        assert row.old_logprobs_T is not None
        ratio_T += [math.exp(new - old) for new, old in zip(logprobs_T, row.old_logprobs_T, strict=True)]
    step = _metrics(tmp_path / "run")[1]
    assert step["offline/ratio_mean"] == pytest.approx(sum(ratio_T) / len(ratio_T), rel=1e-5)
    assert not (tmp_path / "run" / "old_logprobs.parquet").exists()


@pytest.mark.parametrize(
    ("shift", "complaint"), [(None, "has no behaviour_logprobs"), (1, "do not spell the response")]
)
def test_behaviour_ratio_refuses_what_does_not_fit(
    shift: int | None, complaint: str, policy: Policy, policy_path: Path, tmp_path: Path
) -> None:
    other = make_rollout("g", 1, 0.0) if shift is None else _recorded(policy, 1, 0.0, shift=shift)
    groups = write_groups(tmp_path / "groups", [_recorded(policy, 0, 1.0), other])
    config = _config(policy_path, groups, judge=None, ratio="behaviour")
    with pytest.raises(DataError, match=rf"group 'g', sample 1.*{complaint}"):
        build_rows(load_groups(groups), tokenizer=policy.tokenizer, config=config)


def test_no_ratio_never_clips(policy_path: Path, groups_path: Path, tmp_path: Path) -> None:
    config = _config(policy_path, groups_path, judge=None, ratio="none", lr=0.05)
    run_offline(config, tmp_path)
    steps = _metrics(tmp_path)[1:]
    assert [(row["offline/clip_frac"], row["offline/ratio_mean"]) for row in steps] == [(0.0, 1.0)] * len(steps)


def test_clipping_sets_in_when_the_policy_moves(policy_path: Path, groups_path: Path, tmp_path: Path) -> None:
    config = _config(policy_path, groups_path, judge=None, lr=0.05, epochs=4)
    run_offline(config, tmp_path)
    clip_fracs = [row["offline/clip_frac"] for row in _metrics(tmp_path)[1:]]
    assert clip_fracs[0] == 0.0
    assert clip_fracs[-1] > 0.1


@pytest.mark.parametrize(("changes", "rel"), [({"gradient_checkpointing": True}, 1e-5), ({"bf16": True}, 0.1)])
def test_options_of_compute_train_too(
    changes: dict[str, Any], rel: float, policy_path: Path, groups_path: Path, tmp_path: Path
) -> None:
    base = _config(policy_path, groups_path, judge=None, epochs=1)
    run_offline(base, tmp_path / "base")
    run_offline(base.model_copy(update=changes), tmp_path / "changed")
    expected, step = _metrics(tmp_path / "base")[1], _metrics(tmp_path / "changed")[1]
    assert step["offline/grad_norm"] == pytest.approx(expected["offline/grad_norm"], rel=rel)
    assert {tensor.dtype for tensor in _weights(tmp_path / "changed").values()} == {torch.float32}


def test_nothing_to_train_on_is_an_error(policy_path: Path, tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "groups", [make_rollout("g", i, 0.0) for i in range(4)])
    with pytest.raises(DataError, match="nothing to train on"):
        run_offline(_config(policy_path, groups, judge=None), tmp_path / "run")


def test_no_response_that_fits_is_the_same_error(policy_path: Path, tmp_path: Path) -> None:
    rollouts = [make_rollout("g", i, float(i), steps=["x " * 200]) for i in range(2)]
    with pytest.raises(DataError, match=r"no response that fits max_tokens=110 has an advantage.*nothing to train on"):
        run_offline(_config(policy_path, write_groups(tmp_path / "groups", rollouts), judge=None), tmp_path / "run")


def test_policy_that_is_not_there(groups_path: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist and is not a Hub id"):
        run_offline(_config(tmp_path / "missing", groups_path, judge=None), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_policy_without_chat_template(policy_path: Path, groups_path: Path, tmp_path: Path) -> None:
    config = _config(policy_path, groups_path, judge=None, prompt={"type": "chat"})
    with pytest.raises(ConfigError, match="has no chat template: set prompt"):
        run_offline(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_rows_longer_than_the_context(policy_path: Path, groups_path: Path, tmp_path: Path) -> None:
    config = _config(policy_path, groups_path, judge=None, max_tokens=300, token_budget=300)
    with pytest.raises(ConfigError, match="max_tokens=300 is more than the 256 tokens of context"):
        run_offline(config, tmp_path)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"max_tokens": 200}, "token_budget 110 is below max_tokens 200"),
        (
            {"algorithm": {"type": "sgpo", "window": {"unit": "epochs", "start": 2}}},
            "not active in any of the 2 epochs",
        ),
        ({"lr": 0}, "greater than 0"),
        ({"group_scale": "batch"}, "unknown key 'group_scale'"),
    ],
)
def test_configurations_that_cannot_be(changes: dict[str, Any], complaint: str, policy_path: Path) -> None:
    with pytest.raises(ConfigError, match=complaint):
        _config(policy_path, Path("groups"), **changes)


def test_a_judge_that_is_not_shown_the_reference(
    policy_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watching(SampleJudge):
        def judge(self, solutions: Any) -> Any:
            references.append({solution.reference for solution in solutions})
            return super().judge(solutions)

    references: list[set[str | None]] = []
    answered = [rollout.model_copy(update={"answer": "4"}) for rollout in three_groups()]
    groups_path = write_groups(tmp_path / "groups", answered)
    monkeypatch.setattr("sgpo.offline.run.load_judge", lambda *args, **options: Watching())
    for shown in (True, False):
        changes = {
            "judge": "builtin:random",
            "judgements": str(tmp_path / "shared"),
            "show_reference": shown,
            "epochs": 1,
        }
        run_offline(_config(policy_path, groups_path, **changes), tmp_path / str(shown))
    assert references == [{"4"}, {None}], "and what was said of the one is not the other's"
    monkeypatch.setattr(Watching, "info", replace(SampleJudge.info, needs_reference=True))
    with pytest.raises(ConfigError, match="show_reference=false, but the judge sample gives no verdict"):
        run_offline(_config(policy_path, groups_path, judge="builtin:random", show_reference=False), tmp_path / "needs")


def test_runs_that_share_judgements_ask_a_judge_once(
    policy_path: Path, groups_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Counting(SampleJudge):
        def judge(self, solutions: Any) -> Any:
            asked.extend(solution.id for solution in solutions)
            return super().judge(solutions)

    monkeypatch.setattr("sgpo.offline.run.load_judge", lambda *args, **options: Counting())
    reports = []
    for number, options in enumerate(({}, {"beta": 3.0, "scope": "all_negative"}, {"rts": "expected"})):
        algorithm = {"type": "sgpo", **options}
        changes = {"judge": "builtin:random", "judgements": str(tmp_path / "shared"), "algorithm": algorithm}
        config = _config(policy_path, groups_path, **changes, epochs=1)
        reports.append(run_offline(config, tmp_path / str(number)))
    assert len(asked) == len({*asked}) == 5, "other options of the algorithm do not ask again"
    assert [report["judge_calls"] for report in reports] == [5, 5, 5]
    assert not (tmp_path / "0" / "judgements").exists()
