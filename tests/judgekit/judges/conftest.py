"""Miniatures of the public judge families and a tiny chat model, made and opened once a session."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from judgekit.judges.steps.by_step import StepLogitJudge

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a miniature's name to what `load_judge` opens."""
    from tests.judgekit.judges.miniatures import make_miniature

    return functools.cache(lambda name: make_miniature(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def miniature_judge(miniature: Callable[[str], Path]) -> Callable[..., StepLogitJudge]:
    """Return a function from a miniature's name, and whether it neutralises, to the judge."""
    from judgekit.judges import load_judge

    def opened(name: str, neutralise: bool = True) -> StepLogitJudge:
        judge = load_judge(miniature(name), neutralise=neutralise)
        assert isinstance(judge, StepLogitJudge)
        return judge

    return functools.cache(opened)


@pytest.fixture(scope="session")
def tiny_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint directory with ChatML turns, and with tokens for Yes and No with and without a space."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from judgekit.training.tiny import build_tiny
    from tests.judgekit.samples import tiny_config

    folder = tmp_path_factory.mktemp("tiny_chat")
    words = ["Yes No Yes No -1 0 1 2 correct incorrect", "\nYes\nNo\n0\n1"] * 20
    build_tiny(folder, words, tiny_config(vocab_size=320, max_tokens=8192))
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHAT_TEMPLATE
    model.resize_token_embeddings(len(tokenizer))
    torch.manual_seed(0)
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, std=0.2)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
