"""Stored cards, changed for a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from judgekit.judges.card import JudgeCard


def changed(folder: Path, **fields: Any) -> dict[str, Any]:
    """Return what a folder's `judge.json` holds with some fields changed, those of its kind in `spec`."""
    values: dict[str, Any] = json.loads((folder / "judge.json").read_text())
    head = {name: value for name, value in fields.items() if name in JudgeCard.model_fields}
    spec = {name: value for name, value in fields.items() if name not in head}
    return values | head | {"spec": values["spec"] | spec}
