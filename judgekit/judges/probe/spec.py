"""The content of a probe judge's card. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from judgekit.errors import shorten
from judgekit.judges.steps.specs import StepSpec
from judgekit.types import FeatureGroup

HEAD_FILE = "probe.safetensors"
"""Arrays of the head, in the judge directory."""

READS_TEXT: tuple[FeatureGroup, ...] = ("position", "length", "wording", "numbers", "symbolic")
"""Groups that need no language model."""


class ProbeSpec(StepSpec):
    """A small head on features of a frozen language model and on a check of the arithmetic."""

    opened_by = "judgekit.judges.probe.judge:ProbeJudge"
    kind: Literal["probe"] = "probe"
    features: tuple[FeatureGroup, ...] = Field(min_length=1)
    """Groups of features, in this order."""
    layers: tuple[float, ...] = ()
    """Layers whose hidden states are averaged over each step, as fractions of the depth; empty without `hidden`."""
    names: tuple[str, ...] = Field(min_length=1)
    """Name of each feature except the hidden states; a release that computes other features refuses the judge."""
    frozen_model: str | None = None
    """Id of the frozen model, see `judgekit.engines.scoring.identity`; `null` in cards of earlier releases."""
    feature_cache: Path | None = None
    """Folder that stores the frozen model's output on every text, so that no text goes through it twice, whichever head
    asks; a relative path starts where commands run. `null` stores nothing. Set in a YAML card, see
    docs/own_judge.md."""

    def powers(self) -> Iterator[str]:
        """Say where features are written."""
        if self.feature_cache is not None:
            yield f"the folder {shorten(str(self.feature_cache))} to write"
