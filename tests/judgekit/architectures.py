"""Random models of many architectures, two layers and some ten thousand parameters each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedTokenizerFast,
)

VOCABULARY = 300
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
_VISION: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 16}
_OWN: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256},
    "qwen3_5": {
        "text_config": _SIZES | _LINEAR,
        "vision_config": _VISION | {"depth": 1, "num_heads": 1, "out_hidden_size": 32, "num_position_embeddings": 16},
    },
    "gemma3": {
        "text_config": _SIZES,
        "vision_config": _VISION
        | {"num_hidden_layers": 1, "num_attention_heads": 1, "image_size": 28, "patch_size": 14},
    },
    "mixtral": {"num_local_experts": 2, "num_experts_per_tok": 1},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "modernbert": {"cls_token_id": 1, "sep_token_id": 2},
    "t5": {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2},
}
"""Fields of an architecture's own; a wrapper has its sizes in parts."""


def save_architecture(model_type: str, folder: Path, tokenizer: PreTrainedTokenizerFast, **fields: Any) -> Path:
    """Write a random model with a tokenizer, as a checkpoint of this type that was published would be written."""
    own = _OWN.get(model_type, {})
    config = AutoConfig.for_model(model_type, **(({} if "text_config" in own else _SIZES) | own | fields))
    torch.manual_seed(0)
    if "text_config" in own:
        model = AutoModelForImageTextToText.from_config(config)
    elif type(config) in AutoModelForCausalLM._model_mapping:
        model = AutoModelForCausalLM.from_config(config)
    else:
        model = AutoModel.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


__all__ = ["VOCABULARY", "save_architecture"]
