"""Runs a classifier body over encoded solutions in length-sorted batches; only step positions go through the head."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from tqdm import tqdm
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from judgekit.errors import CheckpointError, JudgeError
from judgekit.judges.checkpoint import missing_weights, tensor_names
from judgekit.judges.encoding import Encoded
from judgekit.types import Precision

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
    _refuse_unreadable(name)
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
    return to_fastest_device(model)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from warning."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _refuse_unreadable(name: str) -> None:
    """Refuse a directory without weights that may be read; transformers would fetch the base of an adapter."""
    reason = missing_weights(Path(name)) if Path(name).is_dir() else None
    if reason:
        raise CheckpointError(f"cannot open the model {name}: {reason}")


class HeadedModel(torch.nn.Module):
    """A body with a head of its own, read like a token-classification model.

    Args:
        base_model: Transformer without a head.
        score: From hidden states (..., hidden_size) to outputs (..., n_outputs).
    """

    def __init__(self, base_model: Any, score: torch.nn.Module) -> None:
        super().__init__()
        self.base_model = base_model
        self.score = score
        self.config = base_model.config

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device


def load_headed_model(directory: Path, *, head: str, dtype: Precision, mean: bool = False) -> Any:
    """Open a checkpoint whose head transformers does not know, without remote code.

    Args:
        directory: Checkpoint directory with safetensors.
        head: Name of the head's tensors: `head.weight` and `head.bias` of one linear layer, or `head.0.weight`, ... of
            several with ReLU between them. A bias may be missing.
        dtype: Precision of the weights.
        mean: Take the mean of the last layer's outputs as the one output.

    Raises:
        CheckpointError: the body cannot be opened or lacks weights, or no tensor has the head's name.
    """
    _refuse_unreadable(str(directory))
    try:
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
        with _quiet():  # to the body alone, the tensors of the head are unexpected
            body, info = AutoModel.from_pretrained(
                directory,
                config=config,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except _UNUSABLE as error:
        raise CheckpointError(f"cannot open the model {directory}: {error}") from error
    if info["missing_keys"]:
        raise CheckpointError(f"{directory} lacks the weights {sorted(info['missing_keys'])[:5]} of its body")
    score = _linear_layers(read_tensors(directory, f"{head}."), directory=directory, head=head)
    if mean:
        score = torch.nn.Sequential(*list(score)[:-1], _mean_output(score[-1]))
    return to_fastest_device(HeadedModel(body, score.to(getattr(torch, dtype))))


def _linear_layers(tensors: Mapping[str, torch.Tensor], *, directory: Path, head: str) -> torch.nn.Sequential:
    """Build linear layers, ReLU between them, from tensors named `weight`, `bias` or `0.weight`, `0.bias`, ..."""
    names = sorted(
        {name.rpartition(".")[0] for name in tensors if name.endswith("weight")}, key=lambda name: int(name or 0)
    )
    if not names:
        raise CheckpointError(f"{directory} has no tensor {head}.weight or {head}.0.weight: check the card's head")
    layers: list[torch.nn.Module] = []
    for name in names:
        prefix = f"{name}." if name else ""
        weight, bias = tensors[f"{prefix}weight"], tensors.get(f"{prefix}bias")
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        layer.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))
        layers += [torch.nn.ReLU(), layer]
    return torch.nn.Sequential(*layers[1:])


def _mean_output(layer: torch.nn.Module) -> torch.nn.Linear:
    """Return a layer with one output, the mean of all outputs of the given one: the mean of its rows."""
    assert isinstance(layer, torch.nn.Linear)
    mean = torch.nn.Linear(layer.in_features, 1, bias=layer.bias is not None, dtype=torch.float32)
    with torch.no_grad():
        mean.weight.copy_(layer.weight.float().mean(dim=0, keepdim=True))
        if layer.bias is not None:
            mean.bias.copy_(layer.bias.float().mean(dim=0, keepdim=True))
    return mean


def read_tensors(directory: Path, prefix: str) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint whose names begin so; the names come back without the prefix.

    Raises:
        CheckpointError: a safetensors file is damaged, or there is none.
    """
    found: dict[str, torch.Tensor] = {}
    for path, names in tensor_names(directory).items():
        with safe_open(path, framework="pt") as file:
            found |= {name.removeprefix(prefix): file.get_tensor(name) for name in names if name.startswith(prefix)}
    return found


def load_language_model(name: str, *, dtype: Precision = "float32") -> Any:
    """Open a causal language model from safetensors, in float32 where it is to be trained.

    Raises:
        CheckpointError: it is missing or damaged, only pickled weights exist, or it is no language model.
    """
    _refuse_unreadable(name)
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except _UNUSABLE as error:
        raise CheckpointError(f"cannot open the model {name}: {error}") from error
    if info["missing_keys"]:
        raise CheckpointError(f"{name} lacks the weights {sorted(info['missing_keys'])[:5]} of a language model")
    return model


def to_fastest_device(model: Any) -> Any:
    """Move a model to a GPU where there is one, in evaluation mode."""
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


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

    def read(hidden: torch.Tensor, batch: Sequence[Encoded]) -> list[np.ndarray]:
        return _at_positions(_head(model), hidden, batch)

    return _read_hidden(model, encoded_N, read, token_budget=token_budget, pad_id=pad_id, progress=progress)


def token_choice_logits(
    model: Any,
    encoded_N: Sequence[Encoded],
    *,
    token_ids: Sequence[int],
    token_budget: int,
    pad_id: int,
    progress: bool = False,
) -> list[np.ndarray]:
    """Return a language model's logits of a few next tokens at every step position, without those of all others.

    Args:
        model: Causal language model with a body and an output embedding.
        encoded_N: See `score_positions`.
        token_ids: The tokens asked about. Shape (n_choices,).
        token_budget: See `score_positions`.
        pad_id: See `score_positions`.
        progress: See `score_positions`.

    Returns:
        One array a solution, float32. Shape (n_steps, n_choices).

    Raises:
        JudgeError: see `score_positions`.
    """
    embedding = model.get_output_embeddings()
    rows = torch.tensor(list(token_ids), device=model.device)
    weight = embedding.weight[rows]
    bias = None if embedding.bias is None else embedding.bias[rows]

    def read(hidden: torch.Tensor, batch: Sequence[Encoded]) -> list[np.ndarray]:
        return _at_positions(lambda states: torch.nn.functional.linear(states, weight, bias), hidden, batch)

    return _read_hidden(model, encoded_N, read, token_budget=token_budget, pad_id=pad_id, progress=progress)


def token_logprobs(
    model: Any, encoded_N: Sequence[Encoded], *, token_budget: int, pad_id: int, progress: bool = False
) -> list[np.ndarray]:
    """Return the log-probability of every token behind the problem, given all tokens before it, in nats.

    Args:
        model: Causal language model with a body and an output embedding.
        encoded_N: Solutions, each with a problem and at least one step.
        token_budget: See `score_positions`.
        pad_id: See `score_positions`.
        progress: See `score_positions`.

    Returns:
        One array a solution, float32. Shape (n_tokens - n_problem_tokens,).

    Raises:
        JudgeError: see `score_positions`.
    """

    def read(hidden: torch.Tensor, batch: Sequence[Encoded]) -> list[np.ndarray]:
        rows = []
        for row, encoded in enumerate(batch):
            ids = torch.tensor(encoded.input_ids[encoded.n_problem_tokens :], device=hidden.device)
            before = hidden[row, encoded.n_problem_tokens - 1 : len(encoded.input_ids) - 1]
            logprobs = model.get_output_embeddings()(before).float().log_softmax(dim=-1)
            rows.append(logprobs.gather(1, ids[:, None])[:, 0].cpu().numpy())
        return rows

    return _read_hidden(model, encoded_N, read, token_budget=token_budget, pad_id=pad_id, progress=progress)


def _read_hidden(
    model: Any,
    encoded_N: Sequence[Encoded],
    read: Callable[[torch.Tensor, Sequence[Encoded]], list[np.ndarray]],
    *,
    token_budget: int,
    pad_id: int,
    progress: bool,
) -> list[np.ndarray]:
    """Run the body over all solutions in batches and read each one's last hidden states. Keeps the order."""
    found: list[np.ndarray] = [np.empty(0, dtype=np.float32)] * len(encoded_N)
    with tqdm(total=len(encoded_N), desc="judging", unit="solution", disable=not progress) as bar:
        for rows in token_batches([len(encoded.input_ids) for encoded in encoded_N], token_budget=token_budget):
            batch = [encoded_N[row] for row in rows]
            for row, values in zip(rows, _read_batch(model, batch, read, pad_id=pad_id), strict=True):
                found[row] = values
            bar.update(len(rows))
    return found


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
def _read_batch(
    model: Any,
    batch: Sequence[Encoded],
    read: Callable[[torch.Tensor, Sequence[Encoded]], list[np.ndarray]],
    *,
    pad_id: int,
) -> list[np.ndarray]:
    width = max(len(encoded.input_ids) for encoded in batch)
    ids = torch.full((len(batch), width), pad_id)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    for row, encoded in enumerate(batch):
        ids[row, : len(encoded.input_ids)] = torch.tensor(encoded.input_ids)
        mask[row, : len(encoded.input_ids)] = 1
    try:
        hidden = model.base_model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device))[0]
        return read(hidden, batch)
    except torch.OutOfMemoryError as error:
        raise JudgeError(f"out of memory on a batch of {ids.numel()} tokens: lower token_budget") from error


def _at_positions(
    head: Callable[[torch.Tensor], torch.Tensor], hidden: torch.Tensor, batch: Sequence[Encoded]
) -> list[np.ndarray]:
    """Apply a head to the hidden states at the score positions alone. Shape (n_steps, n_outputs) each."""
    rows = [row for row, encoded in enumerate(batch) for _ in encoded.positions_S]
    columns = [position for encoded in batch for position in encoded.positions_S]
    outputs = head(hidden[rows, columns]).float().cpu().numpy()
    return list(np.split(outputs, np.cumsum([len(encoded.positions_S) for encoded in batch])[:-1]))


def _head(model: Any) -> Any:
    for name in ("score", "classifier"):
        if hasattr(model, name):
            return getattr(model, name)
    raise CheckpointError(f"{type(model).__name__} has no head called score or classifier")


__all__ = [
    "HeadedModel",
    "load_classifier",
    "load_headed_model",
    "load_language_model",
    "load_tokenizer",
    "score_positions",
    "read_tensors",
    "to_fastest_device",
    "token_choice_logits",
    "token_logprobs",
    "token_batches",
]
