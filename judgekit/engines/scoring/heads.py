"""Computes logits over the vocabulary, or over some tokens, from hidden states, as the model itself would."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch.distributed.fsdp import FSDPModule

from judgekit.errors import CheckpointError

HEAD_ROWS, HEAD_ROWS_CPU = 512, 64
"""Positions that go through the full vocabulary at a time, on an accelerator and on a CPU; bounds the logits' memory. A
CPU's allocator fetches larger blocks from the system and gives them back each time, which takes as long as the work."""
_PROBE_IDS = (0, 1)
"""Tokens, in any vocabulary, on which the logits are compared with the model's own."""
_TOLERANCE = 0.02
"""Largest difference that rounding explains, relative to the largest logit."""
_checked: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
"""Models whose logits have been compared."""


def head_blocks(n_positions: int, device: torch.device) -> Iterator[slice]:
    """Yield the blocks in which positions go through the full vocabulary."""
    rows = HEAD_ROWS_CPU if device.type == "cpu" else HEAD_ROWS
    return (slice(start, start + rows) for start in range(0, n_positions, rows))


@dataclass(frozen=True)
class OutputHead:
    """A causal language model's output embedding and what the model does to the logits.

    logits = softcap * tanh(factor * (hidden @ weight.T + bias) / softcap), without the tanh where there is no softcap.
    """

    weight_V: torch.Tensor
    """Rows of the output embedding. Shape (V, n_hidden)."""
    bias_V: torch.Tensor | None
    """Shape (V,)."""
    factor: float
    """Granite divides logits by `logits_scaling`, Cohere multiplies them by `logit_scale`; 1 elsewhere."""
    softcap: float | None
    """`final_logit_softcapping` of the Gemma family."""

    @classmethod
    def of(cls, model: Any) -> Self:
        """Read a model's head, and compare its logits with the model's own, once for each model.

        Raises:
            CheckpointError: there is no plain output embedding, or the model does something else to its logits.
        """
        layer, config = model.get_output_embeddings(), model.config.get_text_config()
        # FSDP2 makes a class of its own of each that it spreads; no adapter and no quantised layer is of either.
        if torch.nn.Linear not in (type(layer), *(type(layer).__bases__ if isinstance(layer, FSDPModule) else ())):
            raise CheckpointError(
                f"{type(model).__name__} has a {type(layer).__name__} as output embedding, not a linear layer: "
                "merge its adapter or undo its quantisation first"
            )
        factor = (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
        head = cls(layer.weight, layer.bias, factor, getattr(config, "final_logit_softcapping", None))
        if model not in _checked:
            head._check(model)
            _checked.add(model)
        return head

    @torch.inference_mode()
    def _check(self, model: Any) -> None:
        ids = torch.tensor([_PROBE_IDS], device=model.device)
        # the class's: a trainer may have wrapped this model's forward in a lower precision
        expected = type(model).forward(model, input_ids=ids, use_cache=False).logits
        found = self.logits(model.base_model(input_ids=ids, use_cache=False)[0])
        if not (found - expected).abs().max() <= _TOLERANCE * expected.abs().max():
            raise CheckpointError(
                f"{type(model).__name__} (model_type {model.config.model_type}) changes its logits after the output "
                "embedding in an unknown way: its token probabilities would be wrong. Use another model type"
            )

    def logits(self, hidden: torch.Tensor, *, token_ids: Sequence[int] | None = None) -> torch.Tensor:
        """Compute logits.

        Args:
            hidden: The body's last hidden states. Shape (..., n_hidden).
            token_ids: Which tokens; `None` is the whole vocabulary.

        Returns:
            Shape (..., n_tokens), in the precision of the weights.
        """
        weight, bias = self.weight_V, self.bias_V
        if token_ids is not None:
            weight, bias = weight[list(token_ids)], None if bias is None else bias[list(token_ids)]
        logits = torch.nn.functional.linear(hidden, weight, bias)
        logits = logits if self.factor == 1 else self.factor * logits
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)
