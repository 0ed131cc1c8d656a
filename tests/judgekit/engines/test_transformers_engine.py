"""Batches, checkpoints that may be opened, and those that may not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from judgekit.engines import transformers_engine
from judgekit.engines.transformers_engine import (
    load_classifier,
    load_language_model,
    load_tokenizer,
    score_positions,
    token_batches,
)
from judgekit.errors import CheckpointError, JudgeError
from judgekit.judges.encoding import Encoded


def test_batches_by_hand() -> None:
    # Longest first; a batch costs its longest row times its rows: 7 | 4+3 -> 8 | 2+1 -> 4
    assert list(token_batches([3, 7, 1, 4, 2], token_budget=8)) == [[1], [3, 0], [4, 2]]
    assert list(token_batches([9, 9], token_budget=1)) == [[0], [1]], "a row beyond the budget goes alone"
    assert list(token_batches([], token_budget=8)) == []


@given(lengths=st.lists(st.integers(1, 50), max_size=40), token_budget=st.integers(1, 200))
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], token_budget: int) -> None:
    batches = list(token_batches(lengths, token_budget=token_budget))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= token_budget


def test_padding_does_not_matter(tiny_judge: Path) -> None:
    model = load_classifier(str(tiny_judge), dtype="float32")
    encoded = [Encoded([5, 6, 7], [1, 2]), Encoded(list(range(10, 40)), [0, 29]), Encoded([8], [0])]
    together = score_positions(model, encoded, token_budget=1000, pad_id=0)
    assert [logits.shape for logits in together] == [(2, 2), (2, 2), (1, 2)]
    for item, logits in zip(encoded, together, strict=True):
        for pad_id, token_budget in ((0, 1), (3, 1000)):
            (row, *_) = score_positions(model, [item, encoded[1]], token_budget=token_budget, pad_id=pad_id)
            np.testing.assert_allclose(row, logits, atol=1e-5)


def test_running_out_of_memory_names_the_option(tiny_judge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_classifier(str(tiny_judge), dtype="float32")

    def full(**_: Any) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(model.base_model, "forward", full)
    with pytest.raises(JudgeError, match="out of memory on a batch of 3 tokens: lower token_budget"):
        score_positions(model, [Encoded([5, 6, 7], [2])], token_budget=100, pad_id=0)


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
