"""GRPO: outcomes as rewards, relative to their group.

Source:
    GRPO (2402.03300), outcome supervision.
"""

from __future__ import annotations

from typing import Literal

from sgpo.algorithms.base import Algorithm


class GRPO(Algorithm):
    """Plain GRPO; uses no judge."""

    type: Literal["grpo"] = "grpo"
    """Name of the algorithm."""
