"""Opens models and tokenizers for judges: safetensors only, no remote code."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from judgekit.errors import CheckpointError
from judgekit.judges.checkpoint import missing_weights, tensor_names
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
    except (OSError, ValueError, TypeError, KeyError) as error:
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
    model, info = _open_weights(AutoModelForTokenClassification, name, dtype=dtype, **options)
    if n_labels is None and info["missing_keys"]:
        raise CheckpointError(
            f"{name} lacks trained weights for {sorted(info['missing_keys'])}: it is no trained judge"
        )
    return to_fastest_device(model)


def _open_weights(auto_class: Any, name: str, *, dtype: Precision, **config_options: Any) -> tuple[Any, dict[str, Any]]:
    """Open a model from safetensors without remote code; returns it and what transformers says about its tensors.

    Raises:
        CheckpointError: weights or configuration are missing or damaged, or only pickled weights exist.
    """
    _refuse_unreadable(name)
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False, **config_options)
        model, info = auto_class.from_pretrained(
            name,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except _UNUSABLE as error:
        raise CheckpointError(f"cannot open the model {name}: {error}") from error
    return model, info


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

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return next(self.parameters()).dtype


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
    with _quiet():  # to the body alone, the tensors of the head are unexpected
        body, info = _open_weights(AutoModel, str(directory), dtype=dtype)
    if info["missing_keys"]:
        raise CheckpointError(f"{directory} lacks the weights {sorted(info['missing_keys'])[:5]} of its body")
    score = _linear_layers(read_tensors(directory, f"{head}."), directory=directory, head=head)
    if mean:
        score = torch.nn.Sequential(*list(score)[:-1], _mean_output(score[-1]))
    return to_fastest_device(HeadedModel(body, score.to(getattr(torch, dtype))))


def _linear_layers(tensors: Mapping[str, torch.Tensor], *, directory: Path, head: str) -> torch.nn.Sequential:
    """Build linear layers, ReLU between them, from tensors named `weight`, `bias` or `0.weight`, `0.bias`, ..."""
    found = {name.rpartition(".")[0] for name in tensors if name.endswith("weight")}
    names = sorted((name for name in found if not name or name.isdecimal()), key=lambda name: int(name or 0))
    if not names or len(names) < len(found):
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


__all__ = [
    "HeadedModel", "load_classifier", "load_headed_model", "load_language_model", "load_tokenizer", "read_tensors",
    "to_fastest_device",
]  # fmt: skip
