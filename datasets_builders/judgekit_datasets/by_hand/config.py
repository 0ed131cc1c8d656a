"""Options of `judgekit label`: what is labelled. Annotator, judge and the rest may change between sessions."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from judgekit.config import BaseConfig


class LabelConfig(BaseConfig):
    """Options of `judgekit label`."""

    data: Path
    """Solutions, labelled ones (their labels are not shown) or rollouts of a groups file; `--input` on the command
    line."""
    reader: str | None = Field(default=None, min_length=1)
    """Data source that reads raw rows, such as `processbench` or `groups`; `null` where the rows are stored
    solutions or rollouts."""
    source: str | None = Field(default=None, min_length=1)
    """Source in the records of solutions that name none; `null` takes the name of the file."""
    n_max: int | None = Field(default=None, ge=1)
    """Solutions to draw at random and label at most; `null` takes all."""
    show_reference: bool = False
    """Whether annotator and judge may see the reference."""
    seed: int = 0
    """Of the random order; annotators of one folder share it, so that their labels overlap."""
