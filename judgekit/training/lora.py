"""Low-rank adapters (LoRA) by PEFT: what is trained beside weights that stay as they are. peft is imported when asked.

Source:
    LoRA (2106.09685): W x becomes W x + alpha / rank * B A x, with B zero at the start, so that training begins at the
    model itself.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.engines.precision import AUTO, ChosenPrecision
from judgekit.errors import CheckpointError, ConfigError, one_line

if TYPE_CHECKING:
    import torch

ADAPTER = "adapter_model.safetensors"
"""Where a checkpoint of PEFT has what was trained."""


class LoraOptions(BaseConfig):
    """Low-rank matrices beside a model's linear maps; its own weights stay as they are."""

    rank: int = Field(default=32, ge=1)
    """Rank of the matrices."""
    alpha: int = Field(default=64, ge=1)
    """What they add is scaled by `alpha` over `rank`."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of their inputs that training drops."""
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Names of the linear maps that get some, such as `q_proj`; `all-linear`: every one but the output embedding."""
    dtype: ChosenPrecision = AUTO
    """Precision of the model's own weights, and of the policy that is written at the end. The matrices are float32."""


def add_lora(model: Any, options: LoraOptions, *, seed: int) -> Any:
    """Return the model with fresh adapters, which alone will be trained.

    Args:
        model: A causal language model.
        options: Which adapters.
        seed: Of their first values. torch's own generator is left as it was.

    Raises:
        ConfigError: there is no linear map of a name that is asked for.
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
            f"{checkpoint} is no checkpoint of the adapters that are trained (tensor {other[0]}): remove it and resume"
        )
    set_peft_model_state_dict(model, stored)


def _shape(tensors: dict[str, Any], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None
