"""Decides what the number format `auto` means: bfloat16 if the hardware supports it, else float32.

This is decided when a configuration is read, so that a run's `config.json`, its results and its stored files name the
format in use, and resuming on other hardware reports the difference. Imports torch only if there is a GPU driver.
"""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator

from judgekit.types import Precision

DTYPE_ENV = "JUDGEKIT_DTYPE"
"""Environment variable that says what `auto` means."""
_CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16", "sve_bf16"})
"""Names, in `/proc/cpuinfo`, of instructions that multiply bfloat16: x86 and ARM. Without them it is slower than
float32, at times by far."""
_GPU_DRIVERS = ("/proc/driver/nvidia/version", "/dev/kfd")
"""Where Linux shows the driver of an NVIDIA or AMD GPU."""


def has_fast_bfloat16() -> bool:
    """Whether the device that models run on here computes in bfloat16: the GPU where there is one, else the CPU."""
    if platform.system() != "Linux" or any(Path(driver).exists() for driver in _GPU_DRIVERS):
        import torch

        if torch.cuda.is_available():
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _cpu_has_bfloat16()


@functools.cache
def _cpu_has_bfloat16() -> bool:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux: nothing is known, and float32 is always right
        return False
    return any(
        name.strip() in ("flags", "Features") and not _CPU_FLAGS.isdisjoint(flags.split())
        for name, _, flags in (line.partition(":") for line in lines)
    )


def settle_precision(value: Any) -> Any:
    """Return the number format that `auto` stands for here; anything else as it is.

    The environment variable JUDGEKIT_DTYPE says it for a whole machine, or for all processes of a run.

    Raises:
        ValueError: the variable holds something else than a precision.
    """
    if value != "auto":
        return value
    said = os.environ.get(DTYPE_ENV)
    if said and said not in get_args(Precision):
        raise ValueError(f"{DTYPE_ENV}={said[:40]!r} is not a precision: use {' or '.join(get_args(Precision))}")
    return said or ("bfloat16" if has_fast_bfloat16() else "float32")


def settle_bf16(value: Any) -> Any:
    """Return whether `auto` means bfloat16 here, see `settle_precision`; anything else as it is."""
    return settle_precision("auto") == "bfloat16" if value == "auto" else value


AUTO: Any = "auto"
"""The default of such a choice; what a configuration holds is what it stands for."""
ChosenPrecision = Annotated[Precision, BeforeValidator(settle_precision)]
"""A precision in a configuration, which may be written as `auto`."""
ChosenBf16 = Annotated[bool, BeforeValidator(settle_bf16)]
"""Whether training computes in bfloat16, which may be written as `auto`."""
