"""Options of `judgekit label`: the data. Annotator, judge and the rest may change between sessions."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from judgekit.config import BaseConfig


class LabelConfig(BaseConfig):
    """Options of `judgekit label`."""

    data: Path
    """Solutions, labelled ones (their labels are hidden) or rollouts of a groups file; `--input` on the command
    line."""
    reader: str | None = Field(default=None, min_length=1)
    """Data source that reads raw rows, such as `processbench` or `groups`; `null` if the rows are stored solutions or
    rollouts."""
    source: str | None = Field(default=None, min_length=1)
    """Source for solutions that name none; `null` uses the name of the file."""
    n_max: int | None = Field(default=None, ge=1)
    """Maximum solutions to label, drawn at random; `null` uses all."""
    show_reference: bool = False
    """Whether annotator and judge may see the reference."""
    seed: int = 0
    """Seed of the random order, which the annotators of one folder share, so that their labels overlap."""
