"""Judges and the one door to them, `load_judge`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from judgekit.errors import CheckpointError, ConfigError
from judgekit.judges.builtin import BUILTIN, BuiltinJudge
from judgekit.judges.card import CARD, read_card
from judgekit.judges.symbolic import SymbolicJudge
from judgekit.types import Judge, Precision

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def load_judge(name: str | Path, *, calibrated: bool = True, dtype: Precision = "float32") -> Judge:
    """Open any judge.

    Args:
        name: A judge directory, a hub id of one, or `builtin:random`, `builtin:no-error`, `builtin:first-step`,
            or `builtin:symbolic`, which recomputes stated arithmetic.
        calibrated: Apply the calibrator that the directory stores.
        dtype: Precision of judges with weights.

    Raises:
        CheckpointError: nothing can be opened there; says what was looked for.
        ConfigError: an unknown builtin judge or precision.

    Example:
        >>> from judgekit.types import Solution
        >>> judge = load_judge("builtin:first-step")
        >>> judge.judge([Solution(problem="1+1?", steps=("1+1=3",))])[0].verdict.decide(judge.decision)
        0
    """
    text = str(name)
    if text.startswith("builtin:"):
        return _builtin(text.removeprefix("builtin:"))
    path = Path(name)
    return _open_directory(path if path.exists() else _download(text), calibrated=calibrated, dtype=dtype)


def _builtin(rule: str) -> Judge:
    if rule == "symbolic":
        return SymbolicJudge()
    if rule not in BUILTIN:
        raise ConfigError(f"no builtin judge {rule!r}: there are {', '.join(sorted([*BUILTIN, 'symbolic']))}")
    return BuiltinJudge(rule, BUILTIN[rule])


def _download(hub_id: str) -> Path:
    if not _HUB_ID.fullmatch(hub_id):
        raise CheckpointError(f"{hub_id} does not exist, and is no hub id (owner/name) either")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [CARD, "*.json", "*.safetensors", "tokenizer*", "*.jinja"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(f"{hub_id} is no directory here and cannot be fetched from the hub: {error}") from error


def _open_directory(directory: Path, *, calibrated: bool, dtype: Precision) -> Judge:
    card = read_card(directory)
    if dtype not in get_args(Precision):
        raise ConfigError(f"unknown precision {dtype!r}: use {' or '.join(get_args(Precision))}")
    from judgekit.calibration import TemperatureCalibrator
    from judgekit.judges.calibrated import CalibratedJudge
    from judgekit.judges.likelihood import LikelihoodJudge
    from judgekit.judges.step_classifier import StepClassifierJudge

    kind = LikelihoodJudge if card.kind == "likelihood" else StepClassifierJudge
    judge = kind.open(directory, card, dtype=dtype)
    if not calibrated or card.calibrator is None:
        return judge
    return CalibratedJudge(judge, TemperatureCalibrator.from_temperature(card.calibrator.temperature))


__all__ = ["load_judge"]
