"""Options of `judgekit judge` on a file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.engines.precision import AUTO, ChosenPrecision


class JudgingConfig(BaseConfig):
    """Options of `judgekit judge` on a file."""

    judge: str
    """Judge directory, Hub id, URL of a service or builtin judge; `--judge` on the command line."""
    data: Path
    """Solutions or labelled solutions: a data set folder, a parquet or a JSON-lines file; `--input` on the
    command line."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the judge runs; `auto`: bfloat16 if the hardware supports it, else float32."""
    chunk_size: int = Field(default=256, ge=1)
    """Solutions that are judged, and stored, at once."""
    show_reference: bool = False
    """Whether the judge may see the reference."""
