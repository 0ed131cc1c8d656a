"""Raw rows of a data set on the Hub, streamed, with every split pinned to one commit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from datasets import load_dataset
from huggingface_hub import HfApi

from datasets_builders.inputs import InputPart, NumberedRow
from judgekit.errors import DataError

_SPEC = re.compile(r"(?P<id>[\w.-]+(/[\w.-]+)?)(:(?P<config>[^:]*))?(:(?P<split>[^:]+))?")


def open_hub(given: str) -> list[InputPart]:
    """Return one part a split; see `datasets_builders.inputs.open_input` for the spelling.

    Raises:
        DataError: the id is no id, there is no such data set, configuration or split, or the Hub cannot be reached.
    """
    spec = _SPEC.fullmatch(given)
    if spec is None:
        raise DataError(
            f"{given!r} is neither a file or folder here nor a Hub id such as OWNER/NAME:CONFIGURATION:SPLIT"
        )
    try:
        revision = HfApi().dataset_info(spec["id"]).sha
        splits = load_dataset(spec["id"], spec["config"] or None, revision=revision, streaming=True)
    except Exception as error:  # the boundary to the Hub: its clients raise whatever their transport raises
        raise DataError(f"{given!r} is no file or folder here, and the Hub does not give it: {error}") from error
    if spec["split"] and spec["split"] not in splits:
        raise DataError(f"{spec['id']} has no split {spec['split']!r}; it has {', '.join(map(str, splits))}")
    names = [spec["split"]] if spec["split"] else list(map(str, splits))
    return [
        InputPart(name=f"{spec['id']}/{name}", part=name, fingerprint=str(revision), rows=partial(_rows, splits[name]))
        for name in names
    ]


def _rows(split: Iterable[dict[str, Any]]) -> Iterator[NumberedRow]:
    try:
        yield from enumerate(split, start=1)
    except Exception as error:  # the same boundary
        raise DataError(f"reading from the Hub failed: {error}. Run again with --resume") from error


__all__ = ["open_hub"]
