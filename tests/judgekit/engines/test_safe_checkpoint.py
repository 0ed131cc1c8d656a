"""Checkpoints that name pickles, code or files elsewhere are refused, by whatever door they come, and never opened."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import transformers

from judgekit.engines.checkpoint import fetch_from_hub, safe_checkpoint
from judgekit.engines.generation.config import OpenAIGeneration, TransformersGeneration, VllmGeneration
from judgekit.engines.generation.door import build_generator
from judgekit.engines.scoring.load import (
    load_classifier,
    load_headed_model,
    load_language_model,
    load_tokenizer,
)
from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from sgpo.policy import load_policy

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_pickle(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Notes every pickle that torch is asked to open."""
    opened: list[object] = []
    monkeypatch.setattr(torch, "load", lambda path, *_, **__: opened.append(path))
    return opened


@pytest.fixture
def language_model(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "model"))


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def sharded(folder: Path, shard: str) -> None:
    """Let an index name one shard instead of the one file of weights."""
    names = ["model.embed_tokens.weight", "model.norm.weight"]
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "part.safetensors") | {names[0]: shard}}
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def a_shard(shard: str) -> Callable[[Path], None]:
    return lambda folder: sharded(folder, shard)


def a_key(**values: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "config.json", **values)


def embedded_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "evil/x"}))
    (folder / "adapter_model.bin").write_bytes(b"pickle")


def another_configuration(**values: object) -> Callable[[Path], None]:
    """Let transformers read `config.1.0.json`, which has these values, in the place of `config.json`."""

    def make(folder: Path) -> None:
        shutil.copy(folder / "config.json", folder / "config.1.0.json")
        edit(folder / "config.1.0.json", **values)
        edit(folder / "config.json", configuration_files=["config.1.0.json"])
        (folder / "adapter_model.bin").write_bytes(b"pickle")

    return make


HOSTILE = {
    "pickled shard": (a_shard("weights.bin"), "names the shard 'weights.bin'"),
    "shard above": (a_shard("../other.safetensors"), "names the shard '../other"),
    "absolute shard": (a_shard("/other.safetensors"), "names the shard '/other"),
    "shard below": (a_shard("sub/x.safetensors"), "names the shard 'sub/x"),
    "windows path": (a_shard("..\\x.safetensors"), "names the shard"),
    "missing shard": (a_shard("gone.safetensors"), "'gone.safetensors', which is missing"),
    "no map": (lambda f: [sharded(f, "x"), (f / "model.safetensors.index.json").write_text("{}")], "no weight_map"),
    "list": (lambda f: [sharded(f, "x"), (f / "model.safetensors.index.json").write_text("[]")], "not a JSON object"),
    "other index": (
        lambda f: (f / "x.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "x.bin"}})),
        "names the shard 'x.bin'",
    ),
    "pickle by configuration": (a_key(transformers_weights="adapter_model.bin"), "names 'adapter_model.bin' as its"),
    "weights elsewhere": (a_key(transformers_weights="../x.safetensors"), "as its weights"),
    "pickle by another configuration": (
        another_configuration(transformers_weights="adapter_model.bin"),
        r"names \['config\.1\.0\.json'\] to be read instead of it",
    ),
    "kernel by another configuration": (another_configuration(_attn_implementation="owner/kernel"), "instead of it"),
    "adapter": (embedded_adapter, r"an adapter \(PEFT\) next to its model: merge it"),
    "kernel": (a_key(_attn_implementation="owner/kernel"), "sets _attn_implementation to 'owner/kernel'"),
    "kernel, new key": (a_key(attn_implementation="owner/kernel@main:f"), "sets attn_implementation"),
    "paged kernel": (a_key(attn_implementation="paged|owner/kernel"), "sets attn_implementation"),
    "kernel of a part": (a_key(text_config={"deep": [{"_attn_implementation": "owner/kernel"}]}), "sets _attn"),
    "kernels by part": (a_key(attn_implementation={"": "sdpa", "text_config": "owner/kernel"}), "sets attn"),
    "experts": (a_key(experts_implementation="owner/kernel"), "sets experts_implementation"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_no_door_opens_a_hostile_checkpoint(what: str, language_model: Path, no_pickle: list[object]) -> None:
    make, complaint = HOSTILE[what]
    make(language_model)
    name = str(language_model)
    doors: list[Callable[[], Any]] = [
        lambda: load_language_model(name),
        lambda: load_classifier(name, dtype="float32", n_labels=2),
        lambda: load_headed_model(language_model, head="score", dtype="float32"),
        lambda: load_policy(name),
        lambda: build_generator(TransformersGeneration(model=name)),
        lambda: build_generator(VllmGeneration(model=name)),
    ]
    for door in doors:
        with pytest.raises(CheckpointError, match=complaint) as error:
            door()
        assert "\n" not in str(error.value)
    assert no_pickle == []


def test_a_judge_directory_with_such_weights_is_refused(
    judge_copy: Callable[..., Path], tmp_path: Path, no_pickle: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = judge_copy()
    sharded(folder, "weights.bin")
    with pytest.raises(CheckpointError, match=r"names the shard 'weights\.bin'"):
        load_judge(folder)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(folder))
    with pytest.raises(CheckpointError, match=r"names the shard 'weights\.bin'"):
        load_judge("evil/judge")
    assert no_pickle == []


def test_a_tokenizer_file_elsewhere_is_refused(language_model: Path, tmp_path: Path) -> None:
    shutil.copy(language_model / "tokenizer.json", tmp_path / "tokenizer.4.0.json")
    edit(language_model / "tokenizer_config.json", fast_tokenizer_files=["../tokenizer.4.0.json"])
    engine = OpenAIGeneration(base_url="http://127.0.0.1:9", model="m", tokenizer=str(language_model))
    for door in (lambda: load_tokenizer(str(language_model)), lambda: build_generator(engine)):
        with pytest.raises(CheckpointError, match="fast_tokenizer_files"):
            door()


def test_good_shards_open(language_model: Path) -> None:
    whole = load_language_model(str(language_model))
    whole.save_pretrained(language_model, max_shard_size="20KB")
    assert len(list(language_model.glob("model-*.safetensors"))) > 1
    (language_model / "model.safetensors").unlink(missing_ok=True)
    again = load_language_model(str(language_model))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_the_configuration_chooses_no_attention(language_model: Path) -> None:
    """`flash_attention_2` would be fetched from the Hub where `kernels` is installed and flash-attn is not."""
    default = load_language_model(str(language_model)).config._attn_implementation
    edit(language_model / "config.json", _attn_implementation="flash_attention_2")
    assert load_language_model(str(language_model)).config._attn_implementation == default


def test_what_is_fetched_is_named_exactly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = ["config.json", "model-00001-of-00002.safetensors", "tokenizer.json", "tokenizer.model", "sub/judge.json"]
    files += ["tokenizer_weights.bin", "tokenizer.py", "tokenizer.pkl", "modeling.py", "training_args.bin", "x.pt"]
    fetched = []

    def fetch(_: str, *, allow_patterns: list[str], **__: object) -> str:
        fetched.extend(huggingface_hub.utils.filter_repo_objects(files, allow_patterns=allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    fetch_from_hub("owner/name")
    assert fetched == files[:5]


def test_a_hub_id_is_fetched_by_us_and_opened_from_its_snapshot(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself transformers would follow an index, an adapter's base and a conversion service."""
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tiny_base))
    monkeypatch.setattr(transformers.utils.hub, "hf_hub_download", lambda *_, **__: pytest.fail("fetched"))
    assert safe_checkpoint("owner/name") == tiny_base
    assert load_policy("owner/name").tokenizer.padding_side == "left"
    assert build_generator(TransformersGeneration(model="owner/name")).generator_id == "owner/name"


def test_the_commit_of_a_snapshot_is_known(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--owner--name" / "snapshots" / commit
    shutil.copytree(tiny_base, snapshot)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(snapshot))
    assert load_language_model("owner/name").config._commit_hash == commit


def calls_of(name: str) -> list[tuple[Path, ast.Call]]:
    """Every call of a method in the packages."""
    found = []
    for package in ("judgekit", "sgpo", "eval", "datasets_builders"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                    found.append((path, node))
    return found


def test_every_model_is_opened_without_remote_code_and_with_a_given_attention() -> None:
    calls = calls_of("from_pretrained")
    assert calls
    for path, call in calls:
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        where = f"{path}:{call.lineno}"
        assert isinstance(given.get("trust_remote_code"), ast.Constant), where
        assert ast.literal_eval(given["trust_remote_code"]) is False, where
        opens_weights = ast.unparse(call.func) not in {"AutoTokenizer.from_pretrained", "AutoConfig.from_pretrained"}
        assert not opens_weights or {"attn_implementation", "use_safetensors"} <= set(given), where
        assert "safe_checkpoint" in ast.unparse(call.args[0]) or ast.unparse(call.args[0]) == "directory", where
