"""Pretraining the tiny language model: what is learned from, and that the loss falls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from judgekit.errors import ConfigError, DataError
from judgekit.io import read_records
from judgekit.training.config import LanguageModelConfig
from judgekit.training.language_model import IGNORED, Collator, solution_text, train_language_model
from judgekit.types import LabelledSolution
from tests.judgekit.samples import addition, tiny_config


def config(data: Path, **fields: Any) -> LanguageModelConfig:
    values = {"data": data, "preset": tiny_config(), "batch_size": 8, "lr": 1e-2, "log_every": 1, "threads": 1}
    return LanguageModelConfig.model_validate(values | fields)


def rows(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_prompt_and_completion() -> None:
    prompt, completion = solution_text(addition(4), separator="\n")
    assert (prompt, completion) == ("Start with 4 and add 1 to 3.\n", "4+1=5\n5+2=7\n7+3=10")


def test_a_batch_is_padded_on_the_right_without_loss() -> None:
    short, long = {"input_ids": [5], "labels": [5]}, {"input_ids": [6, 7, 0], "labels": [IGNORED, 7, 0]}
    batch = Collator(pad_id=0)([short, long])
    assert batch["input_ids"].tolist() == [[5, 0, 0], [6, 7, 0]]
    assert batch["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]], "a pad id inside a text is text"
    assert batch["labels"].tolist() == [[5, IGNORED, IGNORED], [IGNORED, 7, 0]]


def test_the_first_loss_is_that_of_completions_alone(labelled_data: Path, tmp_path: Path) -> None:
    """One batch of all right solutions; its loss is recomputed from the initial checkpoint, token by token."""
    output = tmp_path / "run"
    train_language_model(config(labelled_data, only_correct=True, batch_size=20, max_steps=1, save_every=None), output)
    model = AutoModelForCausalLM.from_pretrained(output / "init").eval()
    tokenizer = AutoTokenizer.from_pretrained(output / "init")
    losses: list[float] = []
    right = [s for s in read_records(labelled_data, LabelledSolution) if s.first_error is None]
    assert len(right) == 20
    for solution in right:
        prompt, completion = (tokenizer.encode(text) for text in solution_text(solution, separator="\n"))
        ids = [*prompt, *completion, tokenizer.eos_token_id]
        with torch.no_grad():
            logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        losses += [-float(logprobs[place - 1, ids[place]]) for place in range(len(prompt), len(ids))]
    assert rows(output)[0]["pretrain/loss"] == pytest.approx(sum(losses) / len(losses), abs=1e-4)
    results = json.loads((output / "manifest.json").read_text())["results"]
    assert results["n_solutions"] == 20


def test_training_lowers_the_loss_and_writes_a_checkpoint(labelled_data: Path, tmp_path: Path) -> None:
    settings = config(labelled_data, max_steps=20, save_every=None, report_to=["tensorboard"])
    folder = train_language_model(settings, tmp_path / "run")
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    losses = [row["pretrain/loss"] for row in rows(tmp_path / "run") if "pretrain/loss" in row]
    assert len(losses) == 20 and losses[-1] < losses[0] - 1
    assert AutoModelForCausalLM.from_pretrained(folder).config.vocab_size == len(AutoTokenizer.from_pretrained(folder))
    assert train_language_model(settings, tmp_path / "run", resume=True) == folder
    with pytest.raises(ConfigError, match="already holds a run"):
        train_language_model(config(labelled_data, max_steps=20, save_every=None), tmp_path / "run")


def test_training_goes_on_from_a_given_checkpoint(labelled_data: Path, tiny_base: Path, tmp_path: Path) -> None:
    folder = train_language_model(
        config(labelled_data, model=str(tiny_base), max_steps=1, lr=1e-9, save_every=None), tmp_path / "r"
    )
    before, after = (AutoModelForCausalLM.from_pretrained(place) for place in (tiny_base, folder))
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(new, old, atol=1e-7, rtol=0)
    assert not (tmp_path / "r" / "init").exists()


def test_a_solution_beyond_the_length_limit_is_refused(labelled_data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a solution has \d+ tokens, more than preset\.max_tokens=16: raise it"):
        train_language_model(config(labelled_data, preset=tiny_config(max_tokens=16)), tmp_path / "run")


def test_missing_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        train_language_model(config(tmp_path / "gone"), tmp_path / "run")
