"""Opens a policy for training."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from judgekit.engines.scoring.load import check_sizes, load_language_model, load_tokenizer
from judgekit.errors import CheckpointError
from judgekit.training.lora import LoraOptions, add_lora
from judgekit.types import Precision

logger = logging.getLogger(__name__)


class Policy(NamedTuple):
    """A causal language model with its tokenizer."""

    model: Any
    """The model, in the requested precision; adapters are in float32."""
    tokenizer: Any
    """Its tokenizer; pads on the left and has a padding token."""


def load_policy(
    name: str,
    *,
    dtype: Precision = "float32",
    lora: LoraOptions | None = None,
    seed: int = 0,
    lr: float | None = None,
) -> Policy:
    """Open a policy from a directory or the Hub: safetensors only, no remote code.

    Args:
        name: Directory or Hub id.
        dtype: Precision of the weights; with `lora`, `lora.dtype`.
        lora: Adapters to train instead of the weights; `seed` initialises them.
        seed: Seed of the initial values of adapters.
        lr: Peak learning rate, for a warning if rounding would undo the updates.

    Raises:
        CheckpointError: model or tokenizer is missing, or has no end-of-text token.
        ConfigError: the model lacks the linear layers that the adapters need.
    """
    tokenizer = load_tokenizer(name, padding_side="left")
    if tokenizer.eos_token_id is None:
        raise CheckpointError(
            f"the tokenizer of {name} has no end-of-text token, so responses would never end: add one to the tokenizer"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = load_language_model(name, dtype=dtype if lora is None else lora.dtype)
    check_sizes(model, tokenizer)
    if lora is not None:
        return Policy(add_lora(model, lora, seed=seed), tokenizer)
    if lr is not None and dtype != "float32" and (lost := lost_share(model.parameters(), lr=lr)) > 0.5:
        logger.warning(
            "%.1f %% of the weights of %s are too large in %s for an update of lr=%g, which is rounded away: set "
            "dtype=float32 and bf16=true (float32 weights, passes in bfloat16), or train adapters with lora",
            100 * lost,
            name,
            dtype,
            lr,
        )
    return Policy(model, tokenizer)


@torch.no_grad()
def lost_share(weights: Iterable[torch.Tensor], *, lr: float) -> float:
    """Return the fraction of weights that rounding leaves unchanged after an update of `lr`, about AdamW's. In [0, 1].

    Example:
        >>> lost_share([torch.tensor([1.0, 1e-4], dtype=torch.bfloat16)], lr=1e-4)
        0.5
    """
    n_lost = n_weights = 0
    for weight in weights:
        # away from 0, where the next number is further off than towards it
        moved = weight + torch.where(weight < 0, -lr, lr).to(weight.dtype)
        n_lost, n_weights = n_lost + int((moved == weight).sum()), n_weights + weight.numel()
    return n_lost / n_weights
