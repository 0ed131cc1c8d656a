"""Checkpoints that may be opened, and those that may not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from judgekit.engines.generation.config import TransformersGeneration
from judgekit.engines.generation.door import build_generator
from judgekit.engines.scoring import load as transformers_engine
from judgekit.engines.scoring.load import (
    load_classifier,
    load_language_model,
    load_tokenizer,
)
from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from judgekit.types import Solution
from sgpo.policy import load_policy


def test_an_untrained_head_is_refused_as_a_judge_and_made_for_training(tiny_base: Path) -> None:
    with pytest.raises(CheckpointError, match=r"lacks trained weights for .*score.* it is not a trained judge"):
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
    with pytest.raises(CheckpointError, match=f"cannot open the tokenizer {tmp_path}"):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_must_be_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        is_fast = False

    monkeypatch.setattr(transformers_engine.AutoTokenizer, "from_pretrained", lambda *_, **__: Slow())
    with pytest.raises(CheckpointError, match="has no fast tokenizer"):
        load_tokenizer(str(tmp_path))


# Checkpoints that transformers refuses in ways of its own

QUANTISED = {
    "awq": {"bits": 4, "group_size": 128, "zero_point": True},
    "gptq": {"bits": 4, "group_size": 128, "desc_act": False},
    "bitsandbytes": {"load_in_4bit": True},
    "compressed-tensors": {"format": "pack-quantized", "config_groups": {}},
    "hqq": {"quant_config": {}},
    "torchao": {"quant_type": "int4_weight_only"},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "unknown rope": {"rope_parameters": {"rope_type": "spiral", "rope_theta": 10000.0}},
    "rope by its old name": {"rope_scaling": {"type": "spiral", "factor": 2.0}},
    "a size as text": {"hidden_size": "32"},
    "no size": {"hidden_size": None},
    "layers as text": {"num_hidden_layers": "two"},
    "no heads": {"num_attention_heads": 0},
    "heads that do not divide": {"num_attention_heads": 3},
    "no key heads": {"num_key_value_heads": 0},
    "unknown activation": {"hidden_act": "wobble"},
    "padding outside the vocabulary": {"pad_token_id": 10**6},
    "another width": {"hidden_size": 16},
    "another vocabulary": {"vocab_size": 7},
    "unknown model type": {"model_type": "warp"},
    "model type as list": {"model_type": ["llama"]},
    "quantised in words": {"quantization_config": "awq"},
}
FILES: dict[str, dict[str, str]] = {
    "an empty configuration": {"config.json": ""},
    "a configuration that is a list": {"config.json": "[]"},
    "a configuration that is a number": {"config.json": "3"},
    "a damaged tokenizer": {"tokenizer.json": "{"},
    "a tokenizer that is a list": {"tokenizer.json": "[]"},
    "a tokenizer without a model": {"tokenizer.json": '{"version": "1.0"}'},
    "damaged settings of the tokenizer": {"tokenizer_config.json": "{"},
    "settings of the tokenizer that are a list": {"tokenizer_config.json": "[]"},
    "weights that are text": {"model.safetensors": "weights"},
    "no weights at all": {"model.safetensors": ""},
}


def changed(source: Path, target: Path, *, config: dict[str, Any] | None = None, **files: str) -> Path:
    """Copy a checkpoint, change fields of its configuration and write files over others."""
    folder = shutil.copytree(source, target)
    if config:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def complaint(load: Callable[[str], object], folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(str(folder))
    said = str(caught.value)
    assert "\n" not in said and len(said) < 900 and str(folder) in said
    return said


def open_everywhere(tiny_judge: Path, tiny_base: Path, target: Path, **change: Any) -> dict[str, str]:
    """Return what a judge, a classifier to train, a policy and a generation engine say of a changed checkpoint."""
    judge = changed(tiny_judge, target / "judge", **change)
    base = changed(tiny_base, target / "base", **change)
    return {
        "judge": complaint(lambda name: load_judge(name, dtype="float32"), judge),
        "training": complaint(
            lambda name: (load_tokenizer(name), load_classifier(name, dtype="float32", n_labels=2)), base
        ),
        "policy": complaint(load_policy, base),
        "engine": complaint(lambda name: build_generator(TransformersGeneration(model=name, dtype="float32")), base),
    }


@pytest.mark.parametrize("method", QUANTISED)
def test_quantised_weights_are_one_line_with_the_package_that_is_missing(
    method: str, tiny_judge: Path, tiny_base: Path, tmp_path: Path
) -> None:
    section = {"quant_method": method} | QUANTISED[method]
    found = open_everywhere(tiny_judge, tiny_base, tmp_path, config={"quantization_config": section})
    for said in found.values():
        assert f"its weights are quantised ({method})" in said
        assert "Install the package" in said and "GPU" in said and "plain float32" in said


@pytest.mark.parametrize("change", CONFIGS)
def test_a_configuration_that_transformers_chokes_on_is_one_line(
    change: str, tiny_judge: Path, tiny_base: Path, tmp_path: Path
) -> None:
    for said in open_everywhere(tiny_judge, tiny_base, tmp_path, config=CONFIGS[change]).values():
        assert said.startswith("cannot open the ")
        if change == "unknown rope":
            assert "rope_parameters.rope_type is 'spiral'" in said


@pytest.mark.parametrize("change", FILES)
def test_a_damaged_file_is_one_line(change: str, tiny_judge: Path, tiny_base: Path, tmp_path: Path) -> None:
    open_everywhere(tiny_judge, tiny_base, tmp_path, **FILES[change])


def test_a_tensor_of_another_shape_is_named(tiny_judge: Path, tmp_path: Path) -> None:
    folder = changed(tiny_judge, tmp_path / "judge", config={"intermediate_size": 8})
    said = complaint(lambda name: load_classifier(name, dtype="float32"), folder)
    assert re.search(
        r"the tensor model\.layers\.0\.mlp\.\S+ has the shape \(\d+, \d+\) in the file and \(\d+, \d+\)", said
    )


def test_a_tokenizer_with_more_tokens_than_the_embedding_is_refused(
    tiny_judge: Path, tiny_base: Path, tmp_path: Path
) -> None:
    folders = [shutil.copytree(source, tmp_path / source.name) for source in (tiny_judge, tiny_base)]
    for folder in folders:
        tokenizer = load_tokenizer(str(folder))
        tokenizer.add_tokens(["<more>", "<and more>"])
        tokenizer.save_pretrained(folder)
    judge, base = folders
    for load, folder in (
        (lambda name: load_judge(name, dtype="float32"), judge),
        (load_policy, base),
        (lambda name: build_generator(TransformersGeneration(model=name, dtype="float32")), base),
    ):
        said = complaint(load, folder)
        assert "has tokens up to 271 ('<and more>'), but the model's embedding has 270 rows" in said


@pytest.mark.parametrize("field", ["separator_ids", "problem_separator_ids"])
def test_token_ids_of_a_card_beyond_the_embedding_are_refused(field: str, judge_copy: Callable[..., Path]) -> None:
    folder = judge_copy()
    card = json.loads((folder / "judge.json").read_text())
    card["spec"]["input"][field] = [270]
    (folder / "judge.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="the card names token 270, but the model's embedding has 270 rows"):
        load_judge(folder, dtype="float32")


FORMATS = {
    "a method that transformers skips": ("modelopt", torch.float8_e4m3fn, r"quantised \(modelopt\)"),
    "eight bits and no word of it": (None, torch.float8_e4m3fn, r"quantised \(model\.layers\.0\.\S+ is F8_E4M3\)"),
    "integers and no word of it": (None, torch.int8, r"quantised \(model\.layers\.0\.\S+ is I8\)"),
    "a method and plain weights": ("modelopt", torch.float32, r"quantised \(modelopt\)"),
}


@pytest.mark.parametrize("what", FORMATS)
def test_quantised_weights_are_never_read_as_if_they_were_plain(
    what: str, tiny_judge: Path, tiny_base: Path, tmp_path: Path
) -> None:
    """Without its scales a weight is another number, and the scores are those of another model."""
    method, number_format, expected = FORMATS[what]
    config = {} if method is None else {"quantization_config": {"quant_method": method}}
    for source, load in ((tiny_judge, lambda name: load_judge(name, dtype="float32")), (tiny_base, load_policy)):
        folder = changed(source, tmp_path / source.name, config=config)
        tensors = load_file(folder / "model.safetensors")
        for name in [name for name in tensors if "proj" in name]:
            scale = tensors[name].abs().max() / 100
            tensors[name] = (tensors[name] / scale).to(number_format)
            tensors[name.replace(".weight", ".weight_scale")] = scale
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        assert re.search(expected, complaint(load, folder))


@pytest.mark.parametrize("method", ["fp8", "mxfp4"])
def test_quantised_weights_that_transformers_makes_plain_open(method: str, tiny_judge: Path, tmp_path: Path) -> None:
    """Without a GPU it does so while it opens them, and no quantisation is left in the model."""
    section = {"quantization_config": {"quant_method": method}}
    folder = changed(tiny_judge, tmp_path / "judge", config=section)
    rows = [Solution(problem="1+1?", steps=("1+1=2",))]
    [one], [other] = (load_judge(name, dtype="float32").judge(rows) for name in (tiny_judge, folder))
    assert one.verdict is not None and other.verdict == one.verdict


def test_files_beside_the_weights_in_use_do_not_count(tiny_judge: Path, tmp_path: Path) -> None:
    folder = changed(tiny_judge, tmp_path / "judge")
    save_file({"x.weight": torch.zeros(2, 2, dtype=torch.int8)}, folder / "consolidated.safetensors")
    assert load_classifier(str(folder), dtype="float32").num_labels == 2


@pytest.mark.parametrize("n_layers", [1, 0, -1])
def test_layers_that_the_configuration_leaves_out_are_named(
    n_layers: int, tiny_judge: Path, tiny_base: Path, tmp_path: Path
) -> None:
    found = open_everywhere(tiny_judge, tiny_base, tmp_path, config={"num_hidden_layers": n_layers})
    for said in found.values():
        assert f"has the tensor model.layers.{max(n_layers, 0)}." in said and f"num_hidden_layers: {n_layers}" in said


def test_layers_that_predict_further_tokens_may_lie_behind_the_others(tiny_base: Path, tmp_path: Path) -> None:
    folder = changed(tiny_base, tmp_path / "base", config={"num_nextn_predict_layers": 1})
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"model.layers.2.eh_proj.weight": torch.zeros(2, 2)}, folder / "model.safetensors")
    assert load_policy(str(folder)).model.config.num_hidden_layers == 2


@pytest.mark.parametrize("kind", ["LlamaTokenizer", "GPT2Tokenizer", "Qwen2Tokenizer"])
def test_a_tokenizer_without_its_vocabulary_is_refused(kind: str, tiny_judge: Path, tmp_path: Path) -> None:
    """Transformers opens it with no words, so that all texts are alike."""
    settings = json.dumps({"tokenizer_class": kind})
    folder = changed(tiny_judge, tmp_path / "judge", **{"tokenizer_config.json": settings})
    (folder / "tokenizer.json").unlink()
    assert "vocabulary (tokenizer.json, tokenizer.model, vocab.json) is missing" in complaint(load_judge, folder)


def test_settings_with_which_a_tokenizer_cannot_work_are_told_when_it_is_opened(
    tiny_judge: Path, tmp_path: Path
) -> None:
    settings = json.loads((tiny_judge / "tokenizer_config.json").read_text()) | {"model_max_length": "long"}
    folder = changed(tiny_judge, tmp_path / "judge", **{"tokenizer_config.json": json.dumps(settings)})
    assert complaint(load_judge, folder).startswith(f"cannot open the tokenizer {folder}")
