"""Weights that FSDP2 spreads over two processes: the same figures and policy as without; what is refused beforehand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file

from judgekit.errors import ConfigError
from judgekit.io import write_json
from sgpo.offline.run import run_offline
from sgpo.online.config import OnlineConfig
from sgpo.online.run import run_online
from tests.processes import REPOSITORY, run_on_two
from tests.sgpo.samples import SEGMENTATION, write_problems
from tests.sgpo.test_lora import LORA, offline

CONFIGS = REPOSITORY / "configs" / "accelerate"
FSDP = CONFIGS / "fsdp.yaml"
ON_CPU = Path(__file__).with_name("sharded.py")


def launch(command: str, config: Any, output: Path, *flags: str, sharded: bool = True) -> None:
    write_json(output.with_suffix(".json"), config.model_dump(mode="json"))
    arguments = [command, output.with_suffix(".json"), "--output", output, *flags]
    run_on_two(ON_CPU, *arguments, accelerate=FSDP if sharded else None)


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Tensors of a policy; FSDP2 writes a tied output embedding a second time."""
    found = load_file(run / "policy" / "model.safetensors")
    return {name: tensor for name, tensor in found.items() if name != "lm_head.weight"}


def equal(one: Path, other: Path, *, atol: float = 0.0) -> bool:
    old, new = weights(one), weights(other)
    return old.keys() == new.keys() and all(torch.allclose(old[name], new[name], rtol=0, atol=atol) for name in old)


@pytest.mark.slow  # starts two processes three times, the quarter of a minute each
def test_online_is_that_of_whole_weights_and_resumes(policy: Path, tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems", n=3)  # of which one process evaluates two, and one the third
    config = OnlineConfig(
        policy=str(policy),
        problems=problems,
        judge="builtin:random",
        algorithm={"type": "sgpo", "truncated": "judge"},
        segmentation=SEGMENTATION,
        eval={"problems": problems, "every": 2, "temperature": 1.0},
        beta_kl=0.1,
        group_size=4,
        prompts_per_step=2,
        max_steps=2,
        max_completion_length=12,
        save_every=1,
        lr=1e-2,
        bf16=False,
        device="cpu",
        threads=1,
    )
    whole, spread = tmp_path / "whole", tmp_path / "spread"
    launch("online", config, whole, sharded=False)
    launch("online", config, spread)
    names = ("step", "train/loss", "train/grad_norm", "sgpo/rts_mean", "eval/accuracy", "eval/n")
    rows = [list(map(json.loads, (run / "metrics.jsonl").read_text().splitlines())) for run in (whole, spread)]
    for one, other in zip(*rows, strict=True):
        assert [other.get(name) for name in names] == pytest.approx([one.get(name) for name in names], abs=1e-5)
    assert equal(whole, spread, atol=1e-6)
    # As if it had been killed behind the first checkpoint.
    killed = shutil.copytree(spread, tmp_path / "killed")
    for gone in ("policy", "checkpoints/checkpoint-2"):
        shutil.rmtree(killed / gone)
    manifest = json.loads((killed / "manifest.json").read_text())
    write_json(killed / "manifest.json", {name: value for name, value in manifest.items() if name != "finished"})
    launch("online", config, killed, "--resume")
    assert equal(spread, killed)


def test_offline_adapters_are_those_of_whole_weights(tmp_path: Path) -> None:
    config = offline(tmp_path, bf16=False, token_budget=220)
    run_offline(config, tmp_path / "whole")
    launch("offline", config, tmp_path / "spread")
    assert equal(tmp_path / "whole", tmp_path / "spread", atol=1e-6)
    old, new = (load_file(tmp_path / run / "adapter" / "adapter_model.safetensors") for run in ("whole", "spread"))
    assert old.keys() == new.keys() and LORA["rank"] in next(iter(old.values())).shape


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"ACCELERATE_USE_FSDP": "true"}, "would silently not do so on CPUs"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "fsdp_version=1: set it to 2"),
        (
            {"ACCELERATE_USE_FSDP": "true", "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT"},
            "fsdp_state_dict_type=SHARDED_STATE_DICT: set it to FULL_STATE_DICT",
        ),
        (
            {"ACCELERATE_USE_FSDP": "true", "FSDP_CPU_RAM_EFFICIENT_LOADING": "true"},
            "would leave judge and reference model empty",
        ),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed, which is not installed: pip install deepspeed"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_opened(
    variables: dict[str, str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    nowhere = str(tmp_path / "nowhere")
    online = OnlineConfig(policy=nowhere, problems=Path(nowhere), device="cpu")
    with pytest.raises(ConfigError, match=complaint):
        run_online(online, tmp_path / "run")
    with pytest.raises(ConfigError, match=complaint):
        run_offline(offline(tmp_path).model_copy(update={"policy": nowhere}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_zero_3_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)  # as if it were installed
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    config = OnlineConfig(policy="nowhere", problems=tmp_path, device="cpu")
    with pytest.raises(ConfigError, match="zero_stage=3 also shards the weights: use FSDP2 for that"):
        run_online(config, tmp_path / "run")
    write_json(tmp_path / "zero.json", {"zero_optimization": {"stage": 3}})
    monkeypatch.delenv("ACCELERATE_DEEPSPEED_ZERO_STAGE")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_CONFIG_FILE", str(tmp_path / "zero.json"))
    with pytest.raises(ConfigError, match="zero_stage=3"):
        run_online(config, tmp_path / "run")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_configurations_of_accelerate_are_read(path: Path) -> None:
    config = load_config_from_file(str(path))
    assert config.num_processes == 2 and config.mixed_precision == "no"
    options = config.fsdp_config if path == FSDP else config.deepspeed_config
    assert options["fsdp_version" if path == FSDP else "zero_stage"] == 2
