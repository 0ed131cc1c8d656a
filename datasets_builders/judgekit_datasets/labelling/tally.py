"""The results of sampled completions: correct, wrong, or neither with the reason. Nothing unknown counts as wrong.

Next to the records of a labelling run, the folder `tally` has one JSON line per item, in one file per chunk: what was
spent on the item, and what does not fit into a record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple

from judgekit.answers import OutcomeCheck
from judgekit.engines.generation.base import Completion
from judgekit.groups import is_right
from judgekit.io import write_text
from judgekit.reading.rows import read_jsonl
from judgekit.text.identity import content_id
from judgekit.types import Record
from judgekit_datasets.source import record_id

TALLY = "tally"
"""Folder below the output of a run."""


class Fate(StrEnum):
    """What became of one completion."""

    RIGHT = "right"
    """It reaches the correct answer."""
    WRONG = "wrong"
    """It does not."""
    TRUNCATED = "truncated"
    """It was cut off by its length limit, and what it would have come to is not known."""
    UNCHECKABLE = "uncheckable"
    """Its answer could not be compared with the correct one."""
    FAILED = "failed"
    """The engine gave none."""


class Attempt(NamedTuple):
    """One completion to be checked."""

    completion: Completion
    """What the engine gave."""
    text: str
    """The whole solution that it ends."""
    answer: str
    """The correct answer."""


def find_fates(
    attempts: Sequence[Attempt], *, check: OutcomeCheck, truncated: Literal["unscored", "wrong"]
) -> list[Fate]:
    """Check completions, all of them at once.

    Args:
        attempts: The completions.
        check: Compares answers.
        truncated: Whether a completion that was cut off is left out, or counts as wrong. It is not checked either way:
            the last number of half a solution is not an answer.

    Returns:
        One fate a completion, in order.
    """
    # All that ended are checked in one call, which shares them among processes.
    ended = [attempt for attempt in attempts if attempt.completion.finish_reason == "stop"]
    outcomes = iter(check.check_many([(attempt.text, attempt.answer) for attempt in ended]))
    fates = []
    for completion, _, _ in attempts:
        if completion.finish_reason == "failed":
            fates.append(Fate.FAILED)
        elif completion.finish_reason == "length":
            fates.append(Fate.TRUNCATED if truncated == "unscored" else Fate.WRONG)
        elif (outcome := next(outcomes)) is None:
            fates.append(Fate.UNCHECKABLE)
        else:
            fates.append(Fate.RIGHT if is_right(outcome) else Fate.WRONG)
    return fates


def write_tally(output: Path, items: Sequence[Record], rows: Sequence[Mapping[str, Any]]) -> None:
    """Store one row an item; the same items give the same file, so a chunk that is repeated counts once."""
    ids = [record_id(item) for item in items]
    lines = [json.dumps({"id": key} | dict(row), ensure_ascii=False) for key, row in zip(ids, rows, strict=True)]
    write_text(output / TALLY / f"{content_id(ids=ids)}.jsonl", "".join(line + "\n" for line in lines))


def read_tally(output: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of all chunks, an item's once.

    Raises:
        DataError: a file cannot be read.
    """
    seen: set[str] = set()
    for path in sorted((output / TALLY).glob("*.jsonl")):
        for _, row in read_jsonl(path):
            if isinstance(row, dict) and row["id"] not in seen:
                seen.add(row["id"])
                yield row
