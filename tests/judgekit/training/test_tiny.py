"""The tiny preset is an ordinary checkpoint, and its tokenizer can say anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

from judgekit.judges.steps.encoding import encode_solutions, make_convention
from judgekit.training.config import TinyConfig
from judgekit.training.tiny import build_tiny, build_tokenizer
from judgekit.types import Solution
from tests.judgekit.samples import HOSTILE, TEXTS, tiny_config

TOKENIZER = build_tokenizer(TEXTS, vocab_size=270)


def test_it_opens_like_any_checkpoint(tiny_base: Path) -> None:
    assert (tiny_base / "model.safetensors").is_file()
    assert not list(tiny_base.glob("*.bin")) and not list(tiny_base.glob("*.py"))
    tokenizer, config = AutoTokenizer.from_pretrained(tiny_base), AutoConfig.from_pretrained(tiny_base)
    assert tokenizer.is_fast
    assert (config.model_type, config.vocab_size) == ("llama", len(tokenizer))
    ids = (config.pad_token_id, config.bos_token_id, config.eos_token_id)
    assert ids == (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert AutoModel.from_pretrained(tiny_base)(torch.tensor([[5, 6]])).last_hidden_state.shape == (1, 2, 32)
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight, "tied, as it was saved"


def test_the_seed_makes_the_weights(tiny_base: Path, tmp_path: Path) -> None:
    for seed, same in ((0, True), (1, False)):
        build_tiny(tmp_path / str(seed), TEXTS, tiny_config(seed=seed))
        weights = (tmp_path / str(seed) / "model.safetensors").read_bytes()
        assert (weights == (tiny_base / "model.safetensors").read_bytes()) is same


def test_parameters_are_counted(tmp_path: Path) -> None:
    n_parameters = build_tiny(tmp_path, TEXTS, tiny_config(n_layers=1, max_tokens=64))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    # Tied embedding; 4 attention matrices; 3 of the gated layer of width round(32 * 8/3 / 16) * 16 = 80; 3 norms.
    assert n_parameters == len(tokenizer) * 32 + 4 * 32 * 32 + 3 * 32 * 80 + 3 * 32
    assert tokenizer.model_max_length == 64


@given(text=st.text(max_size=60))
def test_any_text_comes_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text, add_special_tokens=False, split_special_tokens=True)) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_back_and_is_no_markup(text: str, tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert tokenizer.decode(ids) == text
    assert not {*ids} & {0, 1, 2}


def test_numbers_stand_apart_from_other_text() -> None:
    trained = build_tokenizer(["12+7=19\n"] * 50, vocab_size=400)
    assert [trained.decode([i]) for i in trained.encode("12+7=19\n19", add_special_tokens=False)] == [
        "12",
        "+",
        "7",
        "=",
        "19",
        "\n",
        "19",
    ]


def test_judging_leaves_the_tokenizer_as_it_was(tiny_base: Path) -> None:
    """Prompts of policies need their reserved tokens, also after the same tokenizer has encoded candidates."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    convention = make_convention(tokenizer, separator="\n", problem_separator="\n", max_tokens=100)
    encode_solutions(tokenizer, [Solution(problem="?", steps=("<|eos|>",))], convention)
    assert tokenizer.encode("<|eos|>", add_special_tokens=False) == [2]


@pytest.mark.parametrize("fields", [{"vocab_size": 200}, {"n_layers": 0}, {"max_tokens": 1}])
def test_sizes_that_cannot_be_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="greater than or equal"):
        TinyConfig(**fields)
