"""Splitting a response into steps: what a step is when nobody has marked them.

Pure text, no tokenizer: a judge reads texts, and a stored groups file keeps the spans beside the response.
"""

from __future__ import annotations

import re
from typing import NamedTuple

BLANK_LINE = "\n\n"
"""The usual separator: a blank line, whatever white space is on it."""


class StepSpan(NamedTuple):
    """One step and where it stands in the response."""

    start: int
    """First character, 0-based."""
    end: int
    """One past the last character."""
    text: str
    """`response[start:end]`, without white space at either end."""


def split_steps(text: str, *, separator: str = BLANK_LINE) -> list[StepSpan]:
    r"""Split a response at every separator and drop the white space around each step.

    The blank line means two or more line breaks with only white space between them; any other separator is taken
    literally. Pieces of nothing but white space are no steps, so an empty response has no steps, and a response without
    a separator has one. What stands between two steps is white space and separators, nothing else.

    Args:
        text: The whole response.
        separator: Non-empty text between two steps, for example a blank line or `"\n"`.

    Raises:
        ValueError: the separator is empty.

    Example:
        >>> split_steps("1 + 1 = 2\n\n 2 * 3 = 6 ")
        [StepSpan(start=0, end=9, text='1 + 1 = 2'), StepSpan(start=12, end=21, text='2 * 3 = 6')]
    """
    if not separator:
        raise ValueError("the step separator is empty: give the text between two steps, for example a blank line")
    pattern = r"\n[^\S\n]*\n\s*" if separator == BLANK_LINE else re.escape(separator)
    cuts = [match.span() for match in re.finditer(pattern, text)]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(text)]
    spans = (_trimmed(text, start, end) for start, end in zip(starts, ends, strict=True))
    return [span for span in spans if span.text]


def _trimmed(text: str, start: int, end: int) -> StepSpan:
    piece = text[start:end]
    step = piece.strip()
    start += len(piece) - len(piece.lstrip())
    return StepSpan(start, start + len(step), step)


__all__ = ["BLANK_LINE", "StepSpan", "split_steps"]
