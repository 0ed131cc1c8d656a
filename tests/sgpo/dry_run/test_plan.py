"""Dry runs: sizes against the models themselves, memory and steps by hand, and the plan against what a run does."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from judgekit.config import load_config
from judgekit.errors import ConfigError
from judgekit.io import write_records
from judgekit.training.lora import LoraOptions, add_lora
from judgekit.types import Problem
from sgpo.assumed import Sizes
from sgpo.cli import main
from sgpo.dry_run.known import KNOWN, policy_sizes
from sgpo.dry_run.memory import RUNTIME, estimate_memory
from sgpo.dry_run.plan import plan_offline, plan_online
from sgpo.offline.config import OfflineConfig
from sgpo.online.config import OnlineConfig
from tests.sgpo.offline.offline_samples import three_groups, write_groups, write_policy

PAPER = Path(__file__).parents[3] / "configs" / "paper"
SMALL = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
         "intermediate_size": 16, "vocab_size": 100}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_parameters_are_those_of_the_model(name: str) -> None:
    sizes = KNOWN[name]
    family = "qwen2" if sizes.attention_bias else "llama"
    config = AutoConfig.for_model(family, **sizes.model_dump(exclude={"head_dim", "attention_bias"}))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == sizes.n_parameters


def test_memory_by_hand() -> None:
    sizes = Sizes.model_validate(SMALL)
    # 2 layers of 8x8 + 2 of 8x4 + 8x8 + 3 of 8x16 + 2 norms of 8, 2 embeddings of 100x8, the last norm
    assert sizes.n_parameters == 2 * (64 + 2 * 32 + 64 + 3 * 128 + 16) + 1600 + 8 == 2792
    estimate = partial(
        estimate_memory,
        sizes,
        checkpointing=True,
        n_pass_tokens=10,
        n_logits=5,
        n_cached_tokens=7,
        has_reference=True,
        n_shards=2,
    )
    memory, half = estimate(bf16=True), estimate(bf16=False, dtype="bfloat16")
    assert (half.weights, half.gradients, half.optimizer) == (2792, 2792, 2 * 2792)
    assert (half.autocast, half.reference, half.activations) == (0, 2792, memory.activations)
    assert (memory.weights, memory.gradients, memory.optimizer) == (2 * 2792, 2 * 2792, 4 * 2792)
    assert (memory.autocast, memory.reference) == (2792, 2 * 2792)
    layer = 2 * (10 * 8 + 2 * 3 * 4 + 4 * 16)
    assert memory.activations == 10 * (2 * 8 * 2 + layer)
    assert memory.logits == 5 * 100 * 12
    assert memory.cache == 7 * 2 * 2 * 1 * 4 * 2
    assert memory.training == pytest.approx(11 * 2792 + memory.activations + memory.logits + RUNTIME)
    assert memory.sampling == pytest.approx(10 * 2792 + memory.cache + RUNTIME)
    assert memory.peak == memory.training


def test_adapters_are_those_of_peft() -> None:
    name, lora = "HuggingFaceTB/SmolLM2-135M-Instruct", LoraOptions(rank=8, dtype="bfloat16")
    with torch.device("meta"):
        config = AutoConfig.for_model("llama", **KNOWN[name].model_dump(exclude={"head_dim", "attention_bias"}))
        model = add_lora(AutoModelForCausalLM.from_config(config), lora, seed=0)
    n_trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert KNOWN[name].n_adapter_parameters(lora) == n_trained
    few = KNOWN[name].n_adapter_parameters(lora.model_copy(update={"targets": ("q_proj",)}))
    assert few == 30 * 8 * (576 + 576)
    memory = estimate_memory(
        KNOWN[name],
        bf16=True,
        checkpointing=True,
        n_pass_tokens=1,
        n_logits=1,
        n_cached_tokens=0,
        has_reference=False,
        n_shards=1,
        lora=lora,
    )
    assert memory.weights == 2 * KNOWN[name].n_parameters + 4 * n_trained
    assert (memory.gradients, memory.optimizer, memory.autocast) == (4 * n_trained, 8 * n_trained, 2 * n_trained)


def test_sizes_of_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL | {"model_type": "qwen2", "rope_theta": 1e6}))
    assert policy_sizes(str(tmp_path), assumed=None) == Sizes.model_validate(SMALL | {"attention_bias": True})
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
    with pytest.raises(ConfigError, match=r"config.json has no field num_hidden_layers"):
        policy_sizes(str(tmp_path), assumed=None)
    with pytest.raises(ConfigError, match="the sizes of who/knows are unknown here"):
        policy_sizes("who/knows", assumed=None)


def online(tmp_path: Path, **values: Any) -> OnlineConfig:
    given: dict[str, Any] = {
        "policy": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "problems": tmp_path / "problems",
        "judge": "builtin:random",
        "group_size": 4,
        "prompts_per_step": 2,
        "max_steps": 20,
        "max_completion_length": 100,
        "assume": {"n_problems": 10, "prompt_tokens": 20, "frac_all_negative": 0.5, "response_tokens": 60},
    }
    return OnlineConfig.model_validate(given | values)


def test_steps_and_judgements_online(tmp_path: Path) -> None:
    window = {"type": "sgpo", "window": {"unit": "epochs", "stop": 3}}
    plan = plan_online(online(tmp_path, algorithm=window, micro_batch=2))
    assert (plan.steps, plan.epochs, plan.guided_steps) == (20, 4.0, 15)  # 5 steps of 2 prompts an epoch
    assert (plan.responses, plan.passes_per_step, plan.pass_tokens) == (160, 4, 2 * 120)
    # Beside 4 responses of a batch, guards ask about one of the others: a quarter, where they are right.
    assert plan.judge is not None and plan.judge.judgements == 15 * (8 // 2 + 1)
    assert plan.judge.for_guards == 15 and plan.judge.prompt_tokens == 75 * (20 + 60)
    unguarded = plan_online(online(tmp_path, algorithm=window, guards={"judge_auc": None})).judge
    assert unguarded is not None and (unguarded.judgements, unguarded.for_guards) == (60, 0)
    # Two updates a batch of rollouts: half as many rollouts, and an epoch of twice as many updates.
    twice = plan_online(online(tmp_path, algorithm=window, trl={"num_iterations": 2}))
    assert (twice.guided_steps, twice.epochs) == (20, 2.0)
    assert twice.judge is not None and twice.judge.judgements == 10 * (8 // 2 + 1)
    assert plan_online(online(tmp_path, judge=None)).judge is None
    # One that judges every wrong response: 4 of a dead group, 3 of one with a right response.
    every = plan_online(online(tmp_path, algorithm={"type": "sgpo", "scope": "every_wrong"})).judge
    assert every is not None and every.judgements == 20 * (4 + 3 + 1)
    refilled = plan_online(online(tmp_path, judge=None, algorithm={"type": "dapo", "max_refills": 2}))
    assert (refilled.responses, refilled.sampled) == (160, 480)
    # The problems themselves count where they are here.
    rows = [Problem(problem_id=str(i), problem=f"{i}?", answer="1", source="own") for i in range(5)]
    write_records(tmp_path / "problems", rows, record_type=Problem)
    assert plan_online(online(tmp_path)).epochs == 8.0
    with pytest.raises(ConfigError, match="8 responses per step cannot be split over 3 devices"):
        plan_online(online(tmp_path, assume={"n_devices": 3}))


def test_a_critic_costs_votes_times_tokens(tmp_path: Path) -> None:
    card = (PAPER / "critic_deepseek_v3.yaml").read_text()
    card = card.replace("votes: 1", "votes: 4").replace("temperature: null", "temperature: 1.0")
    (tmp_path / "critic.yaml").write_text(card)
    judge = plan_online(online(tmp_path, judge=str(tmp_path / "critic.yaml"), guards={"judge_auc": None})).judge
    assert judge is not None and judge.answer_tokens is not None
    assert (judge.judgements, judge.requests) == (80, 320)
    assert (judge.prompt_tokens, judge.answer_tokens) == (320 * 80, 320 * 4096)
    assert judge.usd == pytest.approx((320 * 80 * 0.27 + 320 * 4096 * 1.10) / 1e6)


def test_steps_and_judgements_offline(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "policy": str(write_policy(tmp_path / "policy")),
        "groups": tmp_path / "groups",
        "judge": "builtin:random",
        "epochs": 2,
        "max_tokens": 100,
        "token_budget": 100,
        "bins_per_step": 1,
        "algorithm": {"type": "sgpo", "window": {"unit": "epochs", "stop": 1}},
    }
    assumed = {"n_problems": 10, "group_size": 4, "prompt_tokens": 20, "response_tokens": 30, "frac_all_negative": 0.5}
    plan = plan_offline(OfflineConfig.model_validate(given | {"assume": assumed}))
    # With the judge 40 responses of 50 tokens live, without it 20: a group of 4 fills two passes and is a step.
    assert (plan.steps, plan.guided_steps, plan.responses, plan.epochs) == (15, 10, 60, 1.5)
    assert plan.passes_per_step == 2
    assert plan.trained_tokens == 60 * 30
    assert plan.judge is not None and (plan.judge.judgements, plan.judge.for_guards) == (
        25,
        5,
    )  # a right one in each of 5
    cut = plan_offline(OfflineConfig.model_validate(given | {"assume": assumed, "max_steps": 5}))
    assert (cut.steps, cut.responses) == (5, 20)
    with pytest.raises(ConfigError, match=r"groups is not here: give its number of groups as assume.n_problems"):
        plan_offline(OfflineConfig.model_validate(given))
    write_groups(tmp_path / "groups", three_groups())
    there = plan_offline(OfflineConfig.model_validate(given))
    assert there.judge is not None and (there.judge.judgements, there.judge.for_guards) == (4 + 1, 1)
    assert there.responses == 8 + 4  # the negative and the mixed group, then the mixed one alone
    wrong = plan_offline(OfflineConfig.model_validate(given | {"train_on": "negative"}))
    assert wrong.responses == 7 + 3
    # Plain rows, prompts as conversations among them, need no tokenizer here.
    turns = [{"role": "user", "content": "1+1?"}]
    row = {"prompt": turns, "responses": ["It is 3.", "It is 4."], "rewards": [0.0, 0.0]}
    (tmp_path / "plain.jsonl").write_text(json.dumps(row) + "\n")
    plain = plan_offline(OfflineConfig.model_validate(given | {"groups": tmp_path / "plain.jsonl", "epochs": 1}))
    assert plain.judge is not None and plain.judge.judgements == plain.responses == 2


@pytest.mark.parametrize("path", sorted(PAPER.glob("o*line_*.yaml")), ids=lambda path: path.stem)
def test_the_paper_fits_as_it_says(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = path.name.partition("_")[0]
    assert main([command, str(path), "--dry-run"]) == 0
    assert " fits " in " ".join(capsys.readouterr().out.replace("│", " ").split())
    if command == "online":
        config = load_config(OnlineConfig, path)
        plan = plan_online(config)
        assert (round(plan.epochs), plan.guided_steps / plan.steps) == (12, pytest.approx(0.25, abs=0.01))
        assert (config.group_size, config.max_completion_length) == (8, 8192)
    else:
        offline = load_config(OfflineConfig, path)
        plan = plan_offline(offline)
        assert (offline.epochs, plan.epochs) == (3, 3.0)
        assert offline.lr == (2e-6 if offline.lora is None else 2e-5)


def test_an_output_or_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["online", "policy=x", "problems=y"]) == 2
    assert "--output is missing: name the output folder, or use --dry-run" in capsys.readouterr().err
