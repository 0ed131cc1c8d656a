"""Online runs end to end on random weights: the folder, evaluation, and going on after a kill."""

import json
import os
import random
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import sgpo.online.run
from judgekit.answers import LastNumberCheck
from judgekit.config import load_config
from judgekit.engines.generation.config import SamplingConfig, TransformersGeneration
from judgekit.engines.generation.door import build_generator
from judgekit.errors import CheckpointError, ConfigError, DataError
from judgekit.text.prompts import ChatPrompt
from judgekit.types import Problem
from sgpo.algorithms.sgpo import SGPO
from sgpo.config import PeriodicEvalConfig
from sgpo.held_out import Evaluator, HeldOut
from sgpo.online.config import OnlineConfig
from sgpo.online.run import (
    build_trainer,
    grpo_arguments,
    outcome_reward,
    run_online,
    training_rows,
)
from sgpo.online.totals import summarise_metrics
from sgpo.policy import load_policy
from tests.sgpo.samples import SEGMENTATION, HashJudge, write_problems

MAX_STEPS = 4


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_problems(tmp_path_factory.mktemp("problems") / "data", n=5)


@pytest.fixture
def config(policy: Path, problems: Path) -> OnlineConfig:
    """Four steps of two prompts over five problems, so that a pass ends within a step."""
    return OnlineConfig(
        policy=str(policy),
        problems=problems,
        judge="builtin:random",
        algorithm={"type": "sgpo", "truncated": "judge"},
        segmentation=SEGMENTATION,
        eval=PeriodicEvalConfig(problems=problems, every=2, temperature=1.0, n_samples=2),
        group_size=4,
        prompts_per_step=2,
        max_steps=MAX_STEPS,
        max_completion_length=12,
        lr=1e-2,
        save_every=2,
        device="cpu",
        threads=1,
    )


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_run_folder_holds_metrics_samples_policy_and_results(config: OnlineConfig, tmp_path: Path) -> None:
    results = run_online(config.model_copy(update={"report_to": ("tensorboard",)}), tmp_path / "run")
    shown = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload().Scalars("eval/accuracy")
    assert [event.step for event in shown] == [0, 2, 4]
    rows = rows_of(tmp_path / "run" / "metrics.jsonl")
    training = [row for row in rows if "sgpo/judge_on" in row]
    evaluated = [row for row in rows if "eval/accuracy" in row]
    assert [row["step"] for row in training] == [1, 2, 3, 4]
    assert [row["step"] for row in evaluated] == [0, 2, 4]
    assert [row["eval/n"] for row in evaluated] == [10, 10, 10]
    assert {"train/grad_norm", "train/reward", "sgpo/frac_all_negative", "sgpo/rts_mean"} <= training[0].keys()
    assert [row["sgpo/guard_step_drift"] for row in training] == [0.0] * 4
    assert results["judge_calls"] == sum(row["sgpo/judge_calls"] for row in training) > 0
    assert results["final_accuracy"] == evaluated[-1]["eval/accuracy"]
    samples = rows_of(tmp_path / "run" / "samples.jsonl")
    assert [row["step"] for row in samples] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert list(samples[0]) == [
        *("step", "prompt", "response", "outcome", "reward", "rts", "first_error", "p_no_error", "judge_text")
    ]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["results"] == results
    policy = TransformersGeneration(model=str(tmp_path / "run" / "policy"))
    found = build_generator(policy).generate(["1+1?\n"], SamplingConfig(max_tokens=4, temperature=None))
    assert found[0][0].n_tokens > 0
    assert not list((tmp_path / "run" / "policy").glob("*.bin"))


def test_killed_run_goes_on_to_the_same_policy(
    config: OnlineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_online(config, tmp_path / "straight")
    original = sgpo.online.run.Recorder.on_log

    def killed_at_step_3(self: Any, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        original(self, args, state, control, logs=logs, **rest)
        if state.global_step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sgpo.online.run.Recorder, "on_log", killed_at_step_3)
        with pytest.raises(KeyboardInterrupt):
            run_online(config, tmp_path / "killed")
    with (tmp_path / "killed" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "torn')
    with pytest.raises(ConfigError, match="add --resume"):
        run_online(config, tmp_path / "killed")
    run_online(config, tmp_path / "killed", resume=True)

    straight, resumed = (load_file(tmp_path / name / "policy" / "model.safetensors") for name in ("straight", "killed"))
    for name, weight in straight.items():
        assert torch.equal(weight, resumed[name]), name
    for file in ("metrics.jsonl", "samples.jsonl"):
        ours, theirs = (rows_of(tmp_path / name / file) for name in ("straight", "killed"))
        assert [row["step"] for row in theirs] == [row["step"] for row in ours]
    accuracies = [
        [row["eval/accuracy"] for row in rows_of(tmp_path / name / "metrics.jsonl") if "eval/accuracy" in row]
        for name in ("straight", "killed")
    ]
    assert accuracies[0] == accuracies[1]
    assert run_online(config, tmp_path / "killed", resume=True)["steps"] == MAX_STEPS


def test_window_in_epochs_counts_passes_over_the_problems(config: OnlineConfig, tmp_path: Path) -> None:
    window = {"unit": "epochs", "stop": 1}
    config = config.model_copy(update={"algorithm": SGPO(window=window)})
    trainer = build_trainer(config, tmp_path, check=LastNumberCheck())
    trainer.state.max_steps = MAX_STEPS
    on = []
    for trainer.state.global_step in range(MAX_STEPS):
        on.append(trainer._weight() > 0)
    assert on == [True, True, True, False]  # 5 problems, 2 a step: a pass is 2.5 steps


def test_prompts_come_in_seeded_permutations(config: OnlineConfig) -> None:
    problems = [Problem(problem_id=f"p{i}", problem=f"{i}?", answer="1", source="test") for i in range(5)]
    rows = training_rows(problems, config)
    assert len(rows) == 8
    assert set(rows["problem_id"][:5]) == {f"p{i}" for i in range(5)}
    assert rows["prompt"][0] == rows["problem"][0] + "\n"
    order = random.Random(0).sample(range(5), 5)
    assert rows["problem_id"][:5] == [f"p{i}" for i in order]
    other = training_rows(problems, config.model_copy(update={"seed": 1}))
    assert other["problem_id"] != rows["problem_id"]


def test_evaluation_leaves_the_run_untouched(config: OnlineConfig, tmp_path: Path) -> None:
    run_online(config, tmp_path / "with")
    run_online(config.model_copy(update={"eval": None}), tmp_path / "without")
    a, b = (load_file(tmp_path / name / "policy" / "model.safetensors") for name in ("with", "without"))
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_unknown_outcomes_stay_unknown(config: OnlineConfig, tmp_path: Path) -> None:
    class Unsure:
        def check(self, response: str, *, answer: str) -> float | None:
            return None if response == "?" else float(response == answer)

        def check_many(self, pairs: list[tuple[str, str]]) -> list[float | None]:
            return [self.check(response, answer=answer) for response, answer in pairs]

        def close(self) -> None: ...

    reward = outcome_reward(Unsure())
    assert reward(completions=["1", "?", "2"], answer=["1", "1", "1"]) == [1.0, None, 0.0]

    class Scripted(Unsure):
        def __init__(self, outcomes: list[float | None]) -> None:
            self.outcomes = outcomes

        def check_many(self, pairs: list[tuple[str, str]]) -> list[float | None]:
            return self.outcomes[: len(pairs)]

    rows: list[dict[str, Any]] = []
    trainer = build_trainer(config, tmp_path, check=Unsure())
    problems = [Problem(problem_id="p", problem="x", answer="1", source="test")] * 2
    for outcomes in ([1.0, None, 0.0, None], [None] * 4):
        run: Any = SimpleNamespace(log=rows.append)
        assert config.eval is not None
        held_out = HeldOut(problems, config.eval, prompt=config.prompt, max_tokens=12, check=Scripted(outcomes))
        evaluator = Evaluator(trainer, run, held_out, config=config, tokenizer=trainer.processing_class)
        evaluator.on_train_begin(None, trainer.state, None)
    keys = ("eval/accuracy", "eval/n", "eval/n_unknown")
    assert [tuple(row[key] for key in keys) for row in rows] == [(0.5, 2, 2), (None, 0, 4)]


def test_totals_count_every_step_behind_a_row(tmp_path: Path) -> None:
    row = {"sgpo/judge_on": 1.0, "sgpo/judge_seconds": 0.5, "sgpo/unscored": 1.0, "sgpo/frac_all_negative": 0.75}
    rows = [{"step": 0, "eval/accuracy": 0.1}, {"step": 5, "sgpo/judge_calls": 8.0} | row]
    rows += [{"step": 10, "sgpo/judge_calls": 2.0} | row, {"step": 10, "eval/accuracy": 0.4}]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = summarise_metrics(path)
    assert (results["judge_calls"], results["judge_seconds"], results["unscored"]) == (50.0, 5.0, 10.0)
    assert (results["first_accuracy"], results["final_accuracy"], results["steps"]) == (0.1, 0.4, 10)


def test_what_a_cascade_deferred_is_a_share_of_all_judge_calls(tmp_path: Path) -> None:
    row = {"sgpo/judge_on": 1.0, "sgpo/judge_seconds": 0.5, "sgpo/unscored": 1.0, "sgpo/frac_all_negative": 0.75}
    rows = [{"step": 5, "sgpo/judge_calls": 8.0, "sgpo/judge_deferred_1": 0.5, "sgpo/judge_usd": 0.2} | row]
    rows += [{"step": 10, "sgpo/judge_calls": 2.0, "sgpo/judge_deferred_1": 0.0} | row]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = summarise_metrics(tmp_path / "metrics.jsonl")
    assert results["judge_deferred_1"] == pytest.approx(20 / 50)
    assert results["judge_usd"] == pytest.approx(1.0)


def test_batches_that_do_not_divide_are_refused(config: OnlineConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"8 responses per step .* over 1 processes with micro-batches of 3"):
        grpo_arguments(config.model_copy(update={"micro_batch": 3}), tmp_path)
    arguments = grpo_arguments(config.model_copy(update={"micro_batch": 2}), tmp_path)
    assert (arguments.gradient_accumulation_steps, arguments.generation_batch_size) == (4, 8)
    assert not arguments.bf16
    assert not arguments.gradient_checkpointing


def test_trl_options_pass_unless_ours(config: OnlineConfig, tmp_path: Path) -> None:
    assert grpo_arguments(config.model_copy(update={"trl": {"epsilon_high": 0.28}}), tmp_path).epsilon_high == 0.28
    with pytest.raises(ConfigError, match="no_such_option"):
        grpo_arguments(config.model_copy(update={"trl": {"no_such_option": 1}}), tmp_path)
    with pytest.raises(ConfigError, match=r"trl\.num_generations is set by group_size"):
        load_config(OnlineConfig, overrides=["policy=p", "problems=q", "trl.num_generations=4"])
    with pytest.raises(ConfigError, match="3 greedy samples are all the same"):
        load_config(OnlineConfig, overrides=["policy=p", "problems=q", "eval.problems=q", "eval.n_samples=3"])


def test_missing_inputs_are_named(config: OnlineConfig, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        run_online(config.model_copy(update={"policy": str(tmp_path / "nowhere")}), tmp_path / "a")
    with pytest.raises(CheckpointError, match="no-judge"):
        run_online(config.model_copy(update={"judge": str(tmp_path / "no-judge")}), tmp_path / "b")
    with pytest.raises(DataError, match="no-problems"):
        run_online(config.model_copy(update={"problems": tmp_path / "no-problems"}), tmp_path / "c")


def test_policy_without_an_end_token_is_refused(policy: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(policy, tmp_path / "broken")
    settings = json.loads((broken / "tokenizer_config.json").read_text())
    (broken / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": None}))
    with pytest.raises(CheckpointError, match="no end-of-text token"):
        load_policy(str(broken))


def test_judges_are_asked_through_the_one_door(
    config: OnlineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, options = HashJudge(), dict[str, Any]()

    def load(name: str, **given: Any) -> HashJudge:
        options.update(given)
        return judge

    monkeypatch.setattr(sgpo.online.run, "load_judge", load)
    changes = {"judge": "runs/judge", "max_steps": 1, "eval": None}
    run_online(config.model_copy(update=changes), tmp_path / "run")
    assert judge.seen and all(solution.reference for solution in judge.seen) and options["votes"] is None
    judge.seen.clear()
    run_online(config.model_copy(update=changes | {"show_reference": False, "judge_votes": 4}), tmp_path / "hidden")
    assert judge.seen and not any(solution.reference for solution in judge.seen) and options["votes"] == 4
    with pytest.raises(ValueError, match="judge_votes=4 needs a judge, and there is none"):
        OnlineConfig(policy="p", problems=config.problems, judge_votes=4)


@pytest.mark.slow
def test_real_model_with_chat_template_and_math_verify(tmp_path: Path) -> None:
    smollm2 = os.environ.get("JUDGEKIT_SMOLLM2")
    if not smollm2:
        pytest.skip("needs SmolLM2-135M-Instruct: set JUDGEKIT_SMOLLM2 to its folder")
    problems = write_problems(tmp_path / "problems", n=2)
    file = Path(__file__).parents[3] / "configs" / "sgpo" / "online_gsm8k_smollm2.yaml"
    changes = ["max_steps=1", "prompts_per_step=1", "group_size=2", "micro_batch=2", "max_completion_length=24"]
    changes += [
        f"policy={smollm2}",
        f"problems={problems}",
        "save_every=null",
        "algorithm={type: sgpo, truncated: judge}",
        "threads=1",
    ]
    results = run_online(load_config(OnlineConfig, file, overrides=changes), tmp_path / "run")
    assert results["steps"] == 1
    (first, *_) = rows_of(tmp_path / "run" / "samples.jsonl")
    assert first["prompt"][-1]["role"] == "user"
    assert first["outcome"] in (0.0, 1.0)


def test_batches_that_serve_several_steps_are_counted_once(
    config: OnlineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = HashJudge()
    monkeypatch.setattr(sgpo.online.run, "load_judge", lambda *_, **__: judge)
    twice = config.model_copy(update={"trl": {"num_iterations": 2}, "max_steps": 3, "eval": None, "save_every": None})
    results = run_online(twice, tmp_path)
    assert results["steps"] == 3
    assert results["judge_calls"] == len(judge.seen) > 0
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert [row.get("sgpo/batches") for row in rows] == [1, None, 1]
    assert [row.get("sgpo/rollouts") for row in rows] == [8, None, 8]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"trl": {"use_vllm": True}}, "needs vLLM, which is not installed"),
        ({"prompt": ChatPrompt()}, "has no chat template: set prompt.type=raw"),
        ({"micro_batch": 3}, "cannot be split over 1 processes"),
    ],
)
def test_what_cannot_run_is_one_line(
    changes: dict[str, Any], complaint: str, config: OnlineConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        build_trainer(config.model_copy(update=changes), tmp_path, check=LastNumberCheck())
