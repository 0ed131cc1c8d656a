"""Checkpoints that may be opened, and those that may not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from judgekit.engines import transformers_engine
from judgekit.engines.transformers_engine import (
    load_classifier,
    load_language_model,
    load_tokenizer,
)
from judgekit.errors import CheckpointError


def test_an_untrained_head_is_refused_as_a_judge_and_made_for_training(tiny_base: Path) -> None:
    with pytest.raises(CheckpointError, match=r"lacks trained weights for .*score.* it is no trained judge"):
        load_classifier(str(tiny_base), dtype="float32")
    assert load_classifier(str(tiny_base), dtype="float32", n_labels=2).num_labels == 2


def test_precision_is_that_of_the_weights(tiny_judge: Path) -> None:
    for dtype in ("float32", "bfloat16"):
        model = load_classifier(str(tiny_judge), dtype=dtype)
        assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}
        assert not model.training


def test_pickled_weights_are_refused(tiny_judge: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_judge, tmp_path / "pickled")
    model = load_classifier(str(folder), dtype="float32")
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    for load in (lambda name: load_classifier(name, dtype="float32"), load_language_model):
        with pytest.raises(CheckpointError, match=r"cannot open the model .*safetensors"):
            load(str(folder))


def test_damaged_weights_are_a_checkpoint_error(tiny_judge: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_judge, tmp_path / "cut")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    for load in (lambda name: load_classifier(name, dtype="float32"), load_language_model):
        with pytest.raises(CheckpointError, match="cannot open the model"):
            load(str(folder))


def test_weights_that_do_not_fit_the_configuration_are_a_checkpoint_error(tiny_judge: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_judge, tmp_path / "narrow")
    config = json.loads((folder / "config.json").read_text()) | {"hidden_size": 16}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="cannot open the model"):
        load_classifier(str(folder), dtype="float32")


def test_remote_code_is_never_run(tiny_judge: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_judge, tmp_path / "remote")
    (folder / "evil.py").write_text("raise SystemExit('remote code ran')\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="cannot open the model"):
        load_classifier(str(folder), dtype="float32")


def test_a_tokenizer_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"no tokenizer at {tmp_path}"):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_must_be_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        is_fast = False

    monkeypatch.setattr(transformers_engine.AutoTokenizer, "from_pretrained", lambda *_, **__: Slow())
    with pytest.raises(CheckpointError, match="has no fast tokenizer"):
        load_tokenizer("slow")
