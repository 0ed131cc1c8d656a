"""Warns that a judge is used on data unlike those that its probabilities were fitted on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from weakref import WeakSet

from judgekit.calibration.fingerprint import Origin, unfamiliar
from judgekit.judges.base import Judge
from judgekit.types import Rollout, Solution

logger = logging.getLogger(__name__)

_WARNED: WeakSet[Judge] = WeakSet()


def warn_unfamiliar(judge: Judge, solutions: Sequence[Solution | Rollout | Origin]) -> None:
    """Log a warning, at most once for each judge, where solutions differ from its calibration data."""
    fingerprint = judge.info.fingerprint
    if fingerprint is None or judge in _WARNED:
        return
    sentences = unfamiliar(fingerprint, solutions)
    if sentences:
        _WARNED.add(judge)
        logger.warning(
            "judge %s may be off here: %s `judgekit calibrate` fits it to such data",
            judge.info.judge_id,
            " ".join(sentences),
        )
