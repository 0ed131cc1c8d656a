"""Low-rank adapters (LoRA) with PEFT: matrices trained next to frozen weights. peft is imported when used.

Source:
    LoRA (2106.09685): W x becomes W x + alpha / rank * B A x, with B zero at the start, so that training starts at the
    original model.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.engines.precision import AUTO, ChosenPrecision
from judgekit.errors import CheckpointError, ConfigError, one_line

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

ADAPTER = "adapter_model.safetensors"
"""Where a checkpoint of PEFT has what was trained."""


class LoraOptions(BaseConfig):
    """Low-rank matrices next to a model's linear layers; its own weights are frozen."""

    rank: int = Field(default=32, ge=1)
    """Rank of the matrices."""
    alpha: int = Field(default=64, ge=1)
    """Their output is scaled by `alpha` / `rank`."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on their inputs, in training."""
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Names of the linear layers to adapt, such as `q_proj`; `all-linear`: every one except the output embedding."""
    dtype: ChosenPrecision = AUTO
    """Precision of the model's own weights, and of the policy that is written at the end. The matrices are float32."""


def add_lora(model: Any, options: LoraOptions, *, seed: int) -> Any:
    """Return the model with fresh adapters, which alone will be trained.

    Args:
        model: A causal language model.
        options: Which adapters.
        seed: Of their first values. torch's own generator is left as it was.

    Raises:
        ConfigError: there is no linear map of a name that is requested.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=options.targets if isinstance(options.targets, str) else list(options.targets),
    )
    try:
        with warnings.catch_warnings(), torch.random.fork_rng():
            torch.manual_seed(seed)
            warnings.filterwarnings(
                "ignore", message="`is_gradient_checkpointing`", category=FutureWarning
            )  # peft's own
            return get_peft_model(model, config)
    except ValueError as error:
        raise ConfigError(f"lora.targets: {one_line(error)}") from error


def merge_adapters(model: Any) -> Any:
    """Add the adapters to the model's own weights and return the model without them.

    Warns where the precision of the weights is too coarse for what was trained: of the weights that should change, more
    than a tenth stay as they are.

    Args:
        model: A model with adapters. It cannot be trained any further.
    """
    import torch
    from peft.tuners.lora import Linear

    n_lost = n_changed = 0
    with torch.no_grad():
        for layer in model.modules():
            if not isinstance(layer, Linear):
                continue
            before: Any = layer.get_base_layer().weight
            for name in layer.lora_A.keys() & set(layer.active_adapters):  # not every adapter is at every layer
                delta = layer.get_delta_weight(name)
                n_changed += int((delta != 0).sum())
                n_lost += int(((before + delta.to(before.dtype) == before) & (delta != 0)).sum())
    if n_lost > 0.1 * n_changed:
        logger.warning(
            "%.0f %% of the adapted weights do not change when the adapters are merged into them, because %s is too "
            "coarse: the merged model is not the trained one. Load the adapter on top of the original model, or set "
            "lora.dtype=float32",
            100 * n_lost / n_changed,
            str(before.dtype).removeprefix("torch."),
        )
    return model.merge_and_unload()


def language_model(model: Any) -> Any:
    """Return the language model below a wrapper for several processes and one for adapters; adapters stay in it."""
    from accelerate.utils import is_peft_model

    inner = getattr(model, "module", model)
    return inner.get_base_model() if is_peft_model(inner) else inner


def restore_adapters(model: Any, checkpoint: Path) -> None:
    """Put the adapters of a checkpoint into a model with adapters, all of them, or refuse.

    Raises:
        CheckpointError: it holds none, or those of another model.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    path = checkpoint / ADAPTER
    stored: dict[str, torch.Tensor] = load_file(path) if path.is_file() else {}
    wanted = get_peft_model_state_dict(model)
    other = sorted(name for name in stored.keys() | wanted.keys() if _shape(stored, name) != _shape(wanted, name))
    if other:
        raise CheckpointError(
            f"{checkpoint} is not a checkpoint of the adapters in training (tensor {other[0]}): remove it and resume"
        )
    set_peft_model_state_dict(model, stored)


def _shape(tensors: dict[str, Any], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None
