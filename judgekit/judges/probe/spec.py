"""What the card of a probe judge holds. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from judgekit.judges.steps.layout import InputConvention
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
    input: InputConvention
    """Input convention, by which the head was fitted."""
    features: tuple[FeatureGroup, ...] = Field(min_length=1)
    """What the head is given, in this order."""
    layers: tuple[float, ...] = ()
    """Layers whose hidden states are averaged over each step, by their share of the depth; empty without `hidden`."""
    names: tuple[str, ...] = Field(min_length=1)
    """Name of each feature but the hidden states; a release that computes others refuses the judge."""
