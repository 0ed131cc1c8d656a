"""Checks that a model reads a text from left to right, so that a later step cannot change an earlier step's score."""

from __future__ import annotations

from typing import Any

import torch

from judgekit.errors import CheckpointError

_N_BEFORE = 8
"""Tokens of the probe that stay."""
_N_AFTER = 8
"""Tokens of the probe behind them, which are exchanged."""
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05}
"""Largest change of an earlier hidden state that is rounding, relative to its length. Measured on random models in
float32: 0 on dense ones and 8e-8 on mixtures of experts, whose products change shape with the tokens; 1e-3 and more on
encoders, untrained, where it is least."""


def refuse_bidirectional(body: Any, *, name: str) -> None:
    """Refuse a model in which what comes later changes what is read before: by its configuration, then by trying.

    P(step ok | earlier steps ok) is read at the end of every step, all steps in one pass. In an encoder the later steps
    would be part of it, so the same step would be judged otherwise in a longer solution, or while it is being written.

    Args:
        body: Transformer without a head, in evaluation mode; its configuration next to it.
        name: Directory or Hub id, for the message.

    Raises:
        CheckpointError: it is an encoder, or an encoder with a decoder.
    """
    refuse_by_configuration(body.config, name=name)
    if _is_seen_to_look_ahead(body):
        raise _refusal(body.config, "later text changes how it reads earlier text", name=name)


def refuse_by_configuration(config: Any, *, name: str) -> None:
    """Refuse a model whose configuration says that it is not a causal decoder, before its weights are opened.

    Raises:
        CheckpointError: see `refuse_bidirectional`.
    """
    # What else a configuration says proves nothing: GPT-NeoX states `is_decoder: false` and is causal.
    reason = None
    if getattr(config, "is_encoder_decoder", False):
        reason = "it is an encoder with a decoder"
    elif getattr(config, "is_causal", None) is False:
        reason = "its configuration says is_causal: false"
    elif getattr(config.get_text_config(), "use_bidirectional_attention", None) in (True, "all"):
        reason = "its configuration says use_bidirectional_attention"
    if reason:
        raise _refusal(config, reason, name=name)


def _refusal(config: Any, reason: str, *, name: str) -> CheckpointError:
    return CheckpointError(
        f"{name} (model_type {config.model_type}) cannot judge step by step: {reason}, so a later step would change "
        "an earlier step's score. Use a causal decoder, such as Llama, Qwen, Gemma, OLMo or Mamba"
    )


@torch.inference_mode()
def _is_seen_to_look_ahead(body: Any) -> bool:
    """Exchange the end of a text, all else the same, and compare the hidden states before it.

    Both texts have one length and run in one batch, so that the same products are formed in the same order, and the
    states of a causal model differ by nothing, or by rounding where experts share a product.
    """
    n_rows, n = body.get_input_embeddings().weight.shape[0], _N_BEFORE + 2 * _N_AFTER
    first, rest = n_rows // 3, max(n_rows - n_rows // 3 - 1, 1)  # the front of a vocabulary is full of special tokens
    ids = [min(first + token * rest // n, n_rows - 1) for token in range(n)]
    before, one, other = ids[:_N_BEFORE], ids[_N_BEFORE : _N_BEFORE + _N_AFTER], ids[_N_BEFORE + _N_AFTER :]
    texts = torch.tensor([[*before, *one], [*before, *other]], device=body.device)
    options = {"use_cache": False} if hasattr(body.config, "use_cache") else {}
    hidden = body(input_ids=texts, attention_mask=torch.ones_like(texts), **options)[0][:, :_N_BEFORE].float()
    change = (hidden[0] - hidden[1]).norm(dim=-1).max() / hidden[0].norm(dim=-1).max()
    # NaN is larger than nothing: scores that are not numbers are told where they are read
    return bool(change > _TOLERANCE[body.dtype])
