"""What the card of a probe judge holds. Imports no torch."""

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
    """A small head on what a frozen language model, and a check of the arithmetic, say of each step."""

    opened_by = "judgekit.judges.probe.judge:ProbeJudge"
    kind: Literal["probe"] = "probe"
    features: tuple[FeatureGroup, ...] = Field(min_length=1)
    """What the head is given, in this order."""
    layers: tuple[float, ...] = ()
    """Layers whose hidden states are averaged over each step, by their share of the depth; empty without `hidden`."""
    names: tuple[str, ...] = Field(min_length=1)
    """Name of each feature but the hidden states; a release that computes others refuses the judge."""
    frozen_model: str | None = None
    """Id of the frozen model, see `judgekit.engines.scoring.identity`; `null` in cards of earlier releases."""
    feature_cache: Path | None = None
    """Folder that keeps what the frozen model made of every text, so that none goes through it twice, whichever head
    asks; a relative path begins where commands run. `null` keeps nothing. Given in a card in YAML, see
    docs/own_judge.md."""

    def powers(self) -> Iterator[str]:
        """Say where features are written."""
        if self.feature_cache is not None:
            yield f"the folder {shorten(str(self.feature_cache))} to write"
