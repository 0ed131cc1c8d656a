"""Opening a policy for training."""

from __future__ import annotations

from typing import Any, NamedTuple

from judgekit.engines.scoring.load import check_sizes, load_language_model, load_tokenizer
from judgekit.errors import CheckpointError
from judgekit.training.lora import LoraOptions, add_lora


class Policy(NamedTuple):
    """A causal language model with its tokenizer."""

    model: Any
    """The model; what is trained is in float32."""
    tokenizer: Any
    """Its tokenizer; pads on the left and has a padding token."""


def load_policy(name: str, *, lora: LoraOptions | None = None, seed: int = 0) -> Policy:
    """Open a policy from a directory or the Hub: safetensors only, no remote code, weights in float32.

    With `lora` adapters, which begin by `seed`, are trained and the weights, in the precision that it says, are not.

    Raises:
        CheckpointError: model or tokenizer is missing, or has no end-of-text token.
        ConfigError: the model has not the linear maps that are to have adapters.
    """
    tokenizer = load_tokenizer(name, padding_side="left")
    if tokenizer.eos_token_id is None:
        raise CheckpointError(f"the tokenizer of {name} has no end-of-text token, so responses would never end")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = load_language_model(name, dtype="float32" if lora is None else lora.dtype)
    check_sizes(model, tokenizer)
    return Policy(model if lora is None else add_lora(model, lora, seed=seed), tokenizer)
