"""Continuing a killed Trainer run: the last whole checkpoint, and metrics without the steps that will be run again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judgekit.errors import DataError
from judgekit.io import read_json, read_jsonl, write_text
from judgekit.run import METRICS, Run

STATE = "trainer_state.json"
"""The file that Trainer writes last into a checkpoint."""


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole `checkpoint-STEP` in a folder, or `None`, and remove those that a kill cut short."""
    found = {
        int(match[1]): path for path in folder.glob("*") if (match := re.fullmatch(r"checkpoint-(\d+)", path.name))
    }
    for _, path in sorted(found.items(), reverse=True):
        if _is_whole(path):
            return path
        shutil.rmtree(path)
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        read_json(checkpoint / STATE)
    except DataError:
        return False
    return True


def rewind_metrics(run: Run, head: Mapping[str, Any], step_name: str, n_done: int) -> None:
    """Rewrite a run's metrics as `head` and the rows of the steps that are done.

    Args:
        run: The run.
        head: First row of the new file.
        step_name: Metric that holds the number of a step, 1-based.
        n_done: Steps that will not be run again; later rows, other rows and a half-written line go.
    """
    path = run.output / METRICS
    written = path.is_file() and path.stat().st_size > 0
    rows = [row for _, row in read_jsonl(path) if isinstance(row, dict)] if written else []
    kept = [row for row in rows if step_name in row and row[step_name] <= n_done]
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in (dict(head), *kept)))


__all__ = ["last_checkpoint", "rewind_metrics"]
