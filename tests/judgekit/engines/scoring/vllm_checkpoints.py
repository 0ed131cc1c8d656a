"""Small random checkpoints that vLLM's CPU build runs: its attention takes heads of 32 dimensions and up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, Qwen2Config, Qwen2Model

from judgekit.training.tiny import build_tokenizer
from tests.judgekit.samples import TEXTS

CONTEXT = 256
CHAT_TEMPLATE = (
    "{% for message in messages %}<|bos|>{{ message.role }}\n{{ message.content }}<|eos|>{% endfor %}"
    "{% if add_generation_prompt %}<|bos|>assistant\n{% endif %}"
)


def save_tokenizer(folder: Path) -> Any:
    tokenizer = build_tokenizer(TEXTS, vocab_size=270)
    tokenizer.model_max_length = CONTEXT
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


def body_config(kind: type[LlamaConfig] | type[Qwen2Config], tokenizer: Any) -> Any:
    return kind(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


@torch.no_grad()
def randomise(model: torch.nn.Module, *, seed: int = 0) -> Any:
    """Draw weights and biases large enough that outputs differ between tokens, and a lost bias shows."""
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.normal_(mean=0.0 if weight.dim() == 2 else 0.5, std=0.3, generator=generator)
    return model


def save_model(model_class: type, config_class: Any, folder: Path) -> Path:
    """Write a checkpoint of a class that transformers knows."""
    tokenizer = save_tokenizer(folder)
    randomise(model_class(body_config(config_class, tokenizer))).save_pretrained(folder)
    return folder


def save_process_reward_model(folder: Path) -> Path:
    """Write a checkpoint as Qwen2.5-Math-PRM is published: a class of remote code, which is not there to be run."""
    config = body_config(Qwen2Config, save_tokenizer(folder))
    hidden = config.hidden_size
    head = torch.nn.Sequential(torch.nn.Linear(hidden, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 2))
    tensors = {f"model.{name}": weight for name, weight in randomise(Qwen2Model(config)).state_dict().items()}
    tensors |= {f"score.{name}": weight for name, weight in randomise(head, seed=1).state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    code = {"AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig", "AutoModel": "modeling_qwen2_rm.Qwen2ForPRM"}
    values = config.to_dict() | {"architectures": ["Qwen2ForProcessRewardModel"], "auto_map": code}
    (folder / "config.json").write_text(json.dumps(values))
    return folder
