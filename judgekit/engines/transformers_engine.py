"""Runs a classifier body over encoded solutions in length-sorted batches; only step positions go through the head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from judgekit.errors import CheckpointError, JudgeError
from judgekit.judges.encoding import Encoded

Precision = Literal["float32", "bfloat16"]
_UNUSABLE = (OSError, ValueError, RuntimeError, SafetensorError)
"""What transformers raises where weights are missing, damaged or do not fit the configuration."""


def load_tokenizer(name: str) -> Any:
    """Open a tokenizer without running remote code.

    Raises:
        CheckpointError: there is none, or it cannot treat reserved tokens as plain text (no fast tokenizer).
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"no tokenizer at {name}: {error}") from error
    if not tokenizer.is_fast:
        raise CheckpointError(f"{name} has no fast tokenizer (tokenizer.json), which judging needs")
    return tokenizer


def load_classifier(name: str, *, dtype: Precision, n_labels: int | None = None) -> Any:
    """Open a token-classification model from safetensors, in evaluation mode on the fastest device here.

    Args:
        name: Directory or hub id.
        dtype: Precision of the weights.
        n_labels: Labels of a head that is made anew, for training; `None` demands a trained head.

    Raises:
        CheckpointError: weights or configuration are missing, only pickled weights exist, or the head is untrained.
    """
    options = {} if n_labels is None else {"num_labels": n_labels}
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False, **options)
        model, info = AutoModelForTokenClassification.from_pretrained(
            name,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except _UNUSABLE as error:
        raise CheckpointError(f"cannot open the model {name}: {error}") from error
    if n_labels is None and info["missing_keys"]:
        raise CheckpointError(
            f"{name} lacks trained weights for {sorted(info['missing_keys'])}: it is no trained judge"
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval()


def load_language_model(name: str) -> Any:
    """Open a causal language model from safetensors in float32, for training.

    Raises:
        CheckpointError: it is missing or damaged, or only pickled weights exist.
    """
    try:
        return AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except _UNUSABLE as error:
        raise CheckpointError(f"cannot open the model {name}: {error}") from error


def model_location(directory: Path, model: str) -> str:
    """Resolve a judge card's `model`: relative to the card, absolute, or a hub id.

    Raises:
        CheckpointError: a path is named and nothing is there.
    """
    local = (directory / model).resolve()
    if local.is_dir():
        return str(local)
    if model.startswith((".", "/")) or model.count("/") != 1:
        raise CheckpointError(f"{directory}/judge.json names the model {model!r}, and {local} does not exist")
    return model


def score_positions(
    model: Any, encoded_N: Sequence[Encoded], *, token_budget: int, pad_id: int, progress: bool = False
) -> list[np.ndarray]:
    """Return the head's logits at every step position.

    Args:
        model: Token-classification model with a body and a head called `score` or `classifier`.
        encoded_N: Solutions, each with at least one step.
        token_budget: Most tokens of one padded batch; a longer solution makes a batch of its own.
        pad_id: Token id to pad with.
        progress: Show a progress bar.

    Returns:
        One array a solution, float32. Shape (n_steps, n_labels).

    Raises:
        JudgeError: the model runs out of memory, with the option to lower.
    """
    scores: list[np.ndarray] = [np.empty((0, 0), dtype=np.float32)] * len(encoded_N)
    with tqdm(total=len(encoded_N), desc="judging", unit="solution", disable=not progress) as bar:
        for rows in token_batches([len(encoded.input_ids) for encoded in encoded_N], token_budget=token_budget):
            batch = [encoded_N[row] for row in rows]
            for row, logits in zip(rows, _score_batch(model, batch, pad_id=pad_id), strict=True):
                scores[row] = logits
            bar.update(len(rows))
    return scores


def token_batches(lengths_N: Sequence[int], *, token_budget: int) -> Iterator[list[int]]:
    """Yield batches of row indices, longest rows first, each at most `token_budget` tokens after padding.

    Example:
        >>> list(token_batches([2, 5, 3], token_budget=6))
        [[1], [2, 0]]
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths_N)), key=lambda row: -lengths_N[row]):
        if batch and lengths_N[batch[0]] * (len(batch) + 1) > token_budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def _score_batch(model: Any, batch: Sequence[Encoded], *, pad_id: int) -> list[np.ndarray]:
    width = max(len(encoded.input_ids) for encoded in batch)
    ids = torch.full((len(batch), width), pad_id)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    for row, encoded in enumerate(batch):
        ids[row, : len(encoded.input_ids)] = torch.tensor(encoded.input_ids)
        mask[row, : len(encoded.input_ids)] = 1
    rows = [row for row, encoded in enumerate(batch) for _ in encoded.positions_S]
    columns = [position for encoded in batch for position in encoded.positions_S]
    try:
        hidden = model.base_model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device))[0]
        logits = _head(model)(hidden[rows, columns]).float().cpu().numpy()
    except torch.OutOfMemoryError as error:
        raise JudgeError(f"out of memory on a batch of {ids.numel()} tokens: lower token_budget") from error
    return list(np.split(logits, np.cumsum([len(encoded.positions_S) for encoded in batch])[:-1]))


def _head(model: Any) -> Any:
    for name in ("score", "classifier"):
        if hasattr(model, name):
            return getattr(model, name)
    raise CheckpointError(f"{type(model).__name__} has no head called score or classifier")


__all__ = [
    "Precision",
    "load_classifier",
    "load_language_model",
    "load_tokenizer",
    "model_location",
    "score_positions",
    "token_batches",
]
