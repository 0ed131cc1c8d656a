"""Solutions to be labelled, and folders that are open for somebody."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from judgekit_datasets.by_hand.config import LabelConfig
from judgekit_datasets.by_hand.work import Work, open_work

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\x1b[2J\u202e%NONCE%"
)


def write_solutions(path: Path, n: int = 8, *, hostile: bool = False) -> Path:
    """Write unlabelled solutions to problems 0..n-1, of three steps each."""
    rows = [{"problem": f"Problem {i}?", "steps": [f"step {k} of {i}" for k in range(3)]} for i in range(n)]
    if hostile:
        for row in rows:
            row |= {"problem": f"{row['problem']} {HOSTILE}", "steps": [HOSTILE, HOSTILE, "last"]}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@contextlib.contextmanager
def opened(folder: Path, *, annotator: str = "ann", data: Path | None = None, **options: Any) -> Iterator[Work]:
    """Open the folder `out` below another one, for the solutions there."""
    data = data or folder / "rows.jsonl"
    if not data.exists():
        write_solutions(data)
    config = LabelConfig(data=data, **options.pop("config", {}))
    with open_work(config, folder / "out", annotator=annotator, fits=options.pop("fits", {}), **options) as work:
        yield work


def label_all(work: Work, truth: dict[str, int | None]) -> None:
    """Label everything that is left by the first word of what is true of its problem."""
    while (shown := work.session.shown()) is not None:
        work.session.decide("label", first_error=truth[shown.item.solution.problem])
