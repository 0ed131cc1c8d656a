"""Adapters in place of all weights, offline and online: what is trained, resumed and written at the end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from judgekit.config import parse_config
from judgekit.errors import CheckpointError, ConfigError
from judgekit.training.lora import ADAPTER, LoraOptions, merge_adapters, restore_adapters
from sgpo.offline.config import OfflineConfig
from sgpo.offline.run import run_offline
from sgpo.online.config import OnlineConfig
from sgpo.online.run import run_online
from sgpo.policy import load_policy
from tests.sgpo.offline.offline_samples import three_groups, write_groups, write_policy
from tests.sgpo.samples import SEGMENTATION, write_problems

LORA = {"rank": 4, "alpha": 8, "dtype": "float32"}


def offline(tmp_path: Path, **changes: Any) -> OfflineConfig:
    values = {
        "policy": str(write_policy(tmp_path / "policy")),
        "groups": str(write_groups(tmp_path / "groups", three_groups())),
        "judge": "builtin:random",
        "prompt": {"type": "raw"},
        "max_tokens": 110,
        "token_budget": 110,
        "bins_per_step": 2,
        "epochs": 2,
        "lr": 1e-2,
        "save_every": 1,
        "device": "cpu",
        "lora": LORA,
    }
    return parse_config(OfflineConfig, values | changes, where="test")


def changed(before: Path, after: Path) -> set[str]:
    """Return the tensors in which two checkpoints differ; both have the same."""
    old, new = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert old.keys() == new.keys()
    return {name for name in old if not torch.allclose(old[name], new[name], atol=1e-7)}


def test_adapters_start_at_the_policy_and_are_all_that_trains(tmp_path: Path) -> None:
    name = str(write_policy(tmp_path / "policy"))
    plain, adapted = load_policy(name), load_policy(name, lora=LoraOptions.model_validate(LORA))
    ids = torch.arange(5)[None]
    assert torch.equal(plain.model(ids).logits, adapted.model(ids).logits)
    trained = {name for name, parameter in adapted.model.named_parameters() if parameter.requires_grad}
    assert trained and all(".lora_" in name for name in trained)
    again = load_policy(name, lora=LoraOptions.model_validate(LORA))
    for (name_, first), (_, second) in zip(
        adapted.model.named_parameters(), again.model.named_parameters(), strict=True
    ):
        assert torch.equal(first, second), name_
    with pytest.raises(ConfigError, match=r"lora.targets: .*no_proj"):
        load_policy(name, lora=LoraOptions(targets=("no_proj",)))


@pytest.mark.parametrize(("dtype", "warns"), [("bfloat16", True), ("float32", False)])
def test_merging_warns_of_what_rounding_loses(
    dtype: str, warns: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = str(write_policy(tmp_path / "policy"))
    model = load_policy(name, lora=LoraOptions.model_validate(LORA | {"dtype": dtype})).model
    before = {key: value.clone() for key, value in model.get_base_model().state_dict().items() if "base_layer" in key}
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if ".lora_B" in key:
                parameter.fill_(3e-4)
    merged = merge_adapters(model).state_dict()
    same = sum(int((merged[key.replace(".base_layer", "")] == old).sum()) for key, old in before.items())
    share = 100 * same / sum(old.numel() for old in before.values())
    assert (share > 10) == warns
    assert [record.message.startswith(f"{share:.0f} % of the adapted weights") for record in caplog.records] == [
        True
    ] * warns


def test_adapters_of_different_layers_are_merged() -> None:
    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x))  # type: ignore[no-any-return]

    model = get_peft_model(Two(), LoraConfig(r=2, target_modules=["first"], init_lora_weights=False), "one")
    model.add_adapter("other", LoraConfig(r=2, target_modules=["second"], init_lora_weights=False))
    model.base_model.set_adapter(["one", "other"])
    x = torch.randn(3, 4)
    expected = model(x)
    torch.testing.assert_close(merge_adapters(model)(x), expected)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_offline_trains_resumes_and_merges(checkpointing: bool, tmp_path: Path) -> None:
    config = offline(tmp_path, gradient_checkpointing=checkpointing)
    run_offline(config, tmp_path / "whole")
    checkpoints = sorted((tmp_path / "whole" / "checkpoints").glob("checkpoint-*"))
    assert len(checkpoints) == 2 and not (checkpoints[0] / "model.safetensors").exists()
    # Embeddings and norms stay; the linear maps move by their adapters, which lie beside the policy.
    moved = changed(Path(config.policy), tmp_path / "whole" / "policy")
    assert moved and all(name.endswith("_proj.weight") for name in moved)
    assert (tmp_path / "whole" / "adapter" / ADAPTER).is_file()
    # As if it had been killed after the checkpoint before the last.
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path / "whole", killed)
    for gone in ("policy", "adapter", f"checkpoints/{checkpoints[-1].name}"):
        shutil.rmtree(killed / gone)
    manifest = json.loads((killed / "manifest.json").read_text())
    (killed / "manifest.json").write_text(json.dumps({k: v for k, v in manifest.items() if k != "finished"}))
    run_offline(config, killed, resume=True)
    assert not changed(tmp_path / "whole" / "policy", killed / "policy")


def test_a_checkpoint_of_other_adapters_is_refused(tmp_path: Path) -> None:
    name = str(write_policy(tmp_path / "policy"))
    load_policy(name, lora=LoraOptions(rank=2)).model.save_pretrained(tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="is not a checkpoint of the adapters in training"):
        restore_adapters(load_policy(name, lora=LoraOptions(rank=4)).model, tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="is not a checkpoint of the adapters in training"):
        restore_adapters(load_policy(name, lora=LoraOptions(rank=4)).model, tmp_path)


def test_online_trains_and_merges(policy: Path, tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems", n=4)
    config = OnlineConfig(
        policy=str(policy),
        problems=problems,
        judge="builtin:random",
        algorithm={"type": "sgpo", "truncated": "judge"},
        segmentation=SEGMENTATION,
        eval={"problems": problems, "every": 2, "temperature": 1.0},
        group_size=4,
        prompts_per_step=2,
        max_steps=2,
        max_completion_length=12,
        lr=1e-2,
        lora=LORA,
        device="cpu",
        threads=1,
    )
    run_online(config, tmp_path / "run")
    moved = changed(policy, tmp_path / "run" / "policy")
    assert moved and all(name.endswith("_proj.weight") for name in moved)
