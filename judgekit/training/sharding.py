"""Training that accelerate shards over processes, by FSDP2 or DeepSpeed: what is refused, and whole weights.

FSDP2 leaves each process a part of every weight, and gathers the weights layer by layer in a pass, in which all
processes must take part. DeepSpeed up to stage 2 shards only gradients and moments.
"""

from __future__ import annotations

import importlib.util
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType, parse_flag_from_env
from torch.distributed.fsdp import FSDPModule

from judgekit.errors import ConfigError
from judgekit.io import read_json

_whole: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
"""Models whose weights are all on every process at the moment."""


def start_process(*, cpu: bool, **options: Any) -> PartialState:
    """Join the processes of the launcher, and refuse what `accelerate launch` asks for and training cannot do.

    Args:
        cpu: Whether models run on the CPU.
        options: As for accelerate's `PartialState`.

    Raises:
        ConfigError: FSDP or DeepSpeed is requested in another way than those of configs/accelerate, or on CPUs.
    """
    if uses_deepspeed := parse_flag_from_env("ACCELERATE_USE_DEEPSPEED"):
        if importlib.util.find_spec("deepspeed") is None:
            raise ConfigError("accelerate was told to use DeepSpeed, which is not installed: pip install deepspeed")
        stage, file = (
            os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE"),
            os.environ.get("ACCELERATE_DEEPSPEED_CONFIG_FILE"),
        )
        if file:
            stage = str(read_json(Path(file)).get("zero_optimization", {}).get("stage", 0))
        if stage not in (None, "0", "1", "2"):
            raise ConfigError(
                f"zero_stage={stage} also shards the weights: use FSDP2 for that, see configs/accelerate/fsdp.yaml"
            )
    uses_fsdp = parse_flag_from_env("ACCELERATE_USE_FSDP")
    if uses_fsdp:
        wanted = {
            "fsdp_version": "2",
            "fsdp_state_dict_type": "FULL_STATE_DICT",
            "fsdp_cpu_ram_efficient_loading": "false",
        }
        why = {
            "fsdp_version": "evaluation and judges run between two passes, which version 1 does not allow",
            "fsdp_state_dict_type": "checkpoints hold the whole policy as safetensors",
            "fsdp_cpu_ram_efficient_loading": "it would leave judge and reference model empty in all processes but one",
        }
        for name, value in wanted.items():
            given = os.environ.get(name.upper(), value)
            if given.lower() != value.lower():
                raise ConfigError(
                    f"{name}={given}: set it to {value} ({why[name]}), as configs/accelerate/fsdp.yaml has it"
                )
    state = PartialState(cpu=cpu, **options)
    if (uses_fsdp or uses_deepspeed) and state.distributed_type in (DistributedType.NO, DistributedType.MULTI_CPU):
        raise ConfigError(
            "accelerate shards weights only over GPUs, and would silently not do so on CPUs: launch with torchrun, or "
            "with a configuration of accelerate without FSDP and DeepSpeed"
        )
    return state


@contextmanager
def whole_weights(model: torch.nn.Module, accelerator: Accelerator) -> Iterator[None]:
    """Have all weights of a model on every process for a while, so that each runs it by itself, as often as it likes.

    All processes have to enter, and leave. Within another such context, and where weights are not spread, nothing
    happens. Gradients of what runs within are not shared between processes.

    Raises:
        ConfigError: the weights are spread in a way that they cannot be gathered from here.
    """
    if not isinstance(model, FSDPModule) or model in _whole:
        is_zero3 = accelerator.distributed_type == DistributedType.DEEPSPEED and (
            accelerator.state.deepspeed_plugin.zero_stage == 3
        )
        if is_zero3 or (accelerator.distributed_type == DistributedType.FSDP and not accelerator.is_fsdp2):
            raise ConfigError(
                "weights sharded by FSDP1 or ZeRO-3 cannot be gathered for a judge or an evaluation: use FSDP2"
            )
        yield
        return
    parts = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    _whole.add(model)
    try:
        yield
    finally:
        _whole.discard(model)
        for part in parts:
            part.set_reshard_after_forward(bool(accelerator.state.fsdp_plugin.reshard_after_forward), recurse=False)
            part.reshard()
