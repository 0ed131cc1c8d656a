"""Options of `judgekit mix`; imports nothing heavy, so that a typo is reported at once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from judgekit.config import BaseConfig


class MixPart(BaseConfig):
    """One source of the mixed set."""

    source: str
    """Name of a source of labelled solutions, as in `judgekit build`."""
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of its folder and of its line in the report; null uses the name of the source. Names must be unique."""
    input: str | None = None
    """File or folder that an importer reads, relative to `data_root`; null if there is none."""
    hub: str | None = None
    """Hub id that an importer reads instead: `OWNER/NAME`, `OWNER/NAME:CONFIGURATION:SPLIT`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The source's options; anything left out has its default."""
    n_max: int | None = Field(default=None, ge=1)
    """Maximum rows, drawn uniformly from all that the source gives; null uses all."""

    @property
    def label(self) -> str:
        """Name of the part."""
        return self.name or self.source

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        if self.input is not None and self.hub is not None:
            raise ValueError(f"part {self.label!r} has an input and a Hub id: leave one out")
        return self


class MixConfig(BaseConfig):
    """Which sources make a mixed set, and how they are put together."""

    parts: tuple[MixPart, ...] = Field(min_length=1)
    """The sources. If two rows have the same id, that of the earlier part is kept."""
    data_root: Path | None = None
    """Folder of the inputs; null is the working folder."""
    seed: int = 0
    """Seed of the order of the rows, and of what `n_max` draws. Each source has its own seed in its options."""
    workers: int = Field(default=1, ge=1)
    """Sources built in parallel, each in a separate process; the result does not depend on it."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        name, n_uses = Counter(part.label for part in self.parts).most_common(1)[0]
        if n_uses > 1:
            raise ValueError(f"{n_uses} parts are called {name!r}: give them different names")
        return self
