"""vLLM beside the trainer: refused before anything is opened, and evaluation by the engine that rollouts come from.

TRL hands vLLM new weights name by name. vLLM's products on CPUs keep a packed copy and throw the weight away, which
that cannot reach: in the test of the real engine they are the plain ones of torch.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

import sgpo.online.run
from judgekit.engines.generation.config import SamplingConfig
from judgekit.errors import ConfigError
from judgekit.training.config import TinyConfig
from judgekit.training.tiny import build_tiny
from sgpo.online.config import OnlineConfig
from sgpo.online.run import run_online
from sgpo.online.vllm_rollouts import VllmRollouts, check_vllm
from tests.sgpo.samples import SEGMENTATION, write_problems

IS_THERE = importlib.util.find_spec("vllm") is not None


def config_of(policy: Path, tmp_path: Path, **changes: Any) -> OnlineConfig:
    problems = write_problems(tmp_path / "problems", n=4)
    values: dict[str, Any] = {
        "policy": str(policy),
        "problems": problems,
        "judge": "builtin:random",
        "algorithm": {"type": "sgpo", "truncated": "judge"},
        "segmentation": SEGMENTATION,
        "eval": {"problems": problems, "every": 2},
        "group_size": 4,
        "prompts_per_step": 2,
        "max_steps": 2,
        "max_completion_length": 12,
        "lr": 1e-2,
        "bf16": False,
        "device": "cpu",
        "threads": 1,
    }
    return OnlineConfig.model_validate(values | changes)


class EchoEngine:
    """Stands for TRL's `VLLMGeneration`: answers with the last tokens of the prompt, and notes how it was asked."""

    def __init__(self) -> None:
        self.temperature, self.top_p, self.top_k, self.min_p, self.repetition_penalty = 1.0, 0.9, 5, None, 1.1
        self.max_completion_length, self.structured_outputs_regex = 7, "x"
        self.generation_kwargs: dict[str, Any] = {"seed": 3}
        self.n_synced = 0
        self.asked: list[dict[str, Any]] = []

    def sync_weights(self) -> None:
        self.n_synced += 1

    def generate(self, prompts: Sequence[list[int]], images: None, num_generations: int) -> tuple[Any, ...]:
        self.asked.append(dict(vars(self), prompts=list(prompts), n=num_generations))
        return None, [ids[-2:] for ids in prompts], None, None


def test_an_evaluation_samples_its_own_way_and_leaves_the_engine_as_it_was(policy: Path) -> None:
    engine, tokenizer = EchoEngine(), AutoTokenizer.from_pretrained(policy)
    trainer = SimpleNamespace(
        model=SimpleNamespace(config=SimpleNamespace(max_position_embeddings=8)),
        processing_class=tokenizer,
        vllm_generation=engine,
        state=SimpleNamespace(global_step=4),
        _last_loaded_step=3,
        eos_token_ids=[tokenizer.eos_token_id],
    )
    before = {name: value for name, value in vars(engine).items() if name not in ("asked", "n_synced")}
    rollouts = VllmRollouts(trainer, generator_id="p")
    sampling = SamplingConfig(max_tokens=5, temperature=None)
    short, long, other = rollouts.generate(["1+1", "1234567890", "2+2"], sampling, n=2)
    (asked,) = engine.asked
    assert (asked["temperature"], asked["top_p"], asked["max_completion_length"]) == (0.0, 1.0, 5)
    assert asked["generation_kwargs"] == {} and asked["structured_outputs_regex"] is None and asked["n"] == 2
    assert [completion.text for completion in short + other] == ["+1", "+1", "+2", "+2"]
    assert [completion.finish_reason for completion in long] == ["failed", "failed"]
    assert {name: getattr(engine, name) for name in before} == before
    rollouts.generate(["1+1"], sampling)
    assert engine.n_synced == 1 and trainer._last_loaded_step == 4
    with pytest.raises(ConfigError, match="cannot constrain completions to choices"):
        rollouts.generate(["1"], sampling, choices_P=[["a"]])


@pytest.mark.skipif(IS_THERE, reason="vLLM is there")
def test_without_vllm_nothing_is_opened(policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sgpo.online.run, "load_policy", lambda *_, **__: pytest.fail("opened"))
    monkeypatch.setattr(sgpo.online.run, "load_judge", lambda *_, **__: pytest.fail("opened"))
    config = config_of(policy, tmp_path)
    for mode in ("colocate", "server"):
        config = config.model_copy(update={"trl": {"use_vllm": True, "vllm_mode": mode}})
        with pytest.raises(ConfigError, match=r"needs vLLM, which is not installed: pip install 'sgpo\[vllm\]'"):
            run_online(config, tmp_path / mode)


def test_modes_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)  # as if it were installed
    check_vllm({"use_vllm": False, "vllm_mode": "server"}, cpu=True, policy="p")
    check_vllm({"use_vllm": True}, cpu=True, policy="p")
    with pytest.raises(ConfigError, match="vllm_mode must be colocate or server, not beside"):
        check_vllm({"use_vllm": True, "vllm_mode": "beside"}, cpu=False, policy="p")
    with pytest.raises(ConfigError, match="can send weights to a server only from a GPU"):
        check_vllm({"use_vllm": True, "vllm_mode": "server"}, cpu=True, policy="p")


@pytest.mark.vllm
@pytest.mark.skipif(not IS_THERE, reason="needs vLLM: make test-vllm")
def test_a_server_that_is_not_there_is_told() -> None:
    options = {"use_vllm": True, "vllm_mode": "server", "vllm_server_port": 1, "vllm_server_timeout": 0.1}
    with pytest.raises(ConfigError, match=r"no vLLM server answers at http://0.0.0.0:1: .*trl vllm-serve --model p"):
        check_vllm(options, cpu=False, policy="p")


@pytest.mark.vllm
@pytest.mark.skipif(not IS_THERE, reason="needs vLLM: make test-vllm")
@pytest.mark.filterwarnings("default")  # vLLM's own
def test_colocated_rollouts_and_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.model_executor.layers import linear, utils
    from vllm.model_executor.layers import vocab_parallel_embedding as embedding

    def plain(layer: Any, remove_weight: bool) -> None:
        layer.cpu_linear = torch.nn.functional.linear

    for module in (linear, utils, embedding):
        if hasattr(module, "dispatch_cpu_unquantized_gemm"):
            monkeypatch.setattr(module, "dispatch_cpu_unquantized_gemm", plain)
    for name, value in (("V1_MULTIPROCESSING", "0"), ("NO_USAGE_STATS", "1"), ("LOGGING_LEVEL", "ERROR")):
        monkeypatch.setenv("VLLM_ENABLE_" + name if name == "V1_MULTIPROCESSING" else "VLLM_" + name, value)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    trl = {"use_vllm": True, "vllm_max_model_length": 64, "vllm_gpu_memory_utilization": 0.5}
    policy, heads = tmp_path / "policy", {"hidden_size": 64, "n_heads": 2}  # its attention on CPUs needs heads of 32
    build_tiny(policy, ["1 + 1 = 2\n"], TinyConfig(vocab_size=260, n_layers=2, max_tokens=64, **heads))
    by_vllm = config_of(policy, tmp_path, trl=trl)
    run_online(by_vllm, tmp_path / "vllm")
    rows = [json.loads(line) for line in (tmp_path / "vllm" / "metrics.jsonl").read_text().splitlines()]
    assert sum("eval/accuracy" in row for row in rows) == 2
    trained = [row for row in rows if "train/loss" in row]
    assert len(trained) == 2 and all(row["train/grad_norm"] > 0 for row in trained)
    # vLLM samples from the weights as they are now, in half precision: near the log-probabilities of the trainer.
    differences = [row["train/sampling/sampling_logp_difference/mean"] for row in trained]
    assert differences == pytest.approx([0.0, 0.0], abs=0.02)
