r"""Splits a text into steps if nobody has marked them.

Works on the text alone, without a tokenizer: a judge reads texts, and a stored groups file keeps the spans next to the
response. Every span points into the original text and nothing is rewritten, so the steps and the gaps between them
restore the text. The time is linear in the length of the text, whatever it contains.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.text.sentences import Span, find_blocks, find_sentence_gaps, outside_blocks

Mode = Literal["auto", "paragraphs", "lines", "numbered", "sentences", "separators"]
"""Names of the rules by which a text is split."""

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_LINE_END = re.compile(r"\n")
_STEP_NUMBER = (
    r"(?:step[ \t]+\d{1,4}\b|(?:步骤|步驟|ステップ|手順|단계)[ \t]*(?:\d{1,4}|[一二三四五六七八九十]{1,3})"
    r"|第[ \t]*(?:\d{1,4}|[一二三四五六七八九十]{1,3})[ \t]*步)"
)
_MARKERS = tuple(
    re.compile(rf"^[ \t]*(?:\#{{1,6}}[ \t]+)?(?:\*\*|__)?{number}", re.IGNORECASE | re.MULTILINE)
    for number in (
        _STEP_NUMBER,
        r"\d{1,3}(?:[.)](?=\s|\*\*|__)|[、．]|\.(?=[\u0e00-\u0fff\u1000-\u109f\u3040-\u30ff\u4e00-\u9fff]))",
        r"(?:\(\d{1,3}\)(?=\s|\*\*|__)|（\d{1,3}）)",
    )
)
"""What a numbered step begins with, one kind a pattern: `Step 1` and what Chinese, Japanese and Korean say for it, `1.`
or `1)`, `(1)`; scripts without spaces need none behind."""
_HEADER = re.compile(
    rf"""\#{{1,6}}[ \t]+[^\n]*                              # a Markdown heading
    |(?:\*\*|__)[^\n*_]{{1,100}}(?:\*\*|__)[:.]?            # a line all in bold
    |{_STEP_NUMBER}[:.)：]?|[(（]?\d{{1,3}}[.):、．）：]      # a number and nothing else
    |\$\$|\\\[|\\\(|```\w*|\\begin\{{[a-z*]+\}}             # a formula or code that only opens
    """,
    re.IGNORECASE | re.VERBOSE,
)


class SegmentationConfig(BaseConfig):
    """How a text is split into steps. The default: paragraphs, unchanged."""

    mode: Mode = "paragraphs"
    """`paragraphs` ends a step at a blank line, `lines` at a line break; `numbered` starts one at a line that starts
    with `Step 1`, `1.`, `1)` or `(1)`, plain, bold or as a heading: only the first of these styles that the text has
    counts, and text before it is a step, too; `sentences` ends one at sentence ends, blank lines and before list items,
    and, in scripts without spaces, right after 。！？； and at line breaks; `separators` at the texts given in
    `separators`; `auto` is the first of numbered, paragraphs, lines and sentences that finds two steps."""
    separators: tuple[str, ...] = ()
    """Texts between two steps, taken literally and not part of any step: tags such as `<step>` and `</step>`,
    `<|step|>`, or Math-Shepherd's `ки`. Required by the mode `separators`, refused by the others."""
    keep_blocks: bool = False
    """Never split inside a formula, a LaTeX environment or a code block. `sentences` and `max_chars` never do."""
    join_headers: bool = False
    """Join a bare header (`Step 1:`, a Markdown heading, a bold line, a lone `$$`) with the step after it."""
    min_chars: int = Field(default=0, ge=0)
    """Shorter steps are joined with the step before them, at the beginning with the one after; 0 keeps all."""
    max_chars: int | None = Field(default=None, ge=1)
    """Longer steps are split at sentence ends into steps as long as this allows; a sentence stays whole, and a
    remainder shorter than `min_chars` is joined with the step before it. `null` leaves long steps alone."""
    think: Literal["keep", "drop", "only"] = "keep"
    """What to do with a block between the tags of `think_tags`: its content is split like the rest, left out, or is the
    only text that is split. The tags are not part of any step."""
    think_tags: tuple[str, str] = ("<think>", "</think>")
    """Tags that open and close a block of thinking."""

    @model_validator(mode="after")
    def _options_fit(self) -> SegmentationConfig:
        if (self.mode == "separators") != bool(self.separators):
            raise ValueError("mode 'separators' needs separators=[...]; for any other mode leave them out")
        if not all((*self.separators, *self.think_tags)):
            raise ValueError("a separator or tag is empty: give the text between two steps, for example '<step>'")
        if self.max_chars is not None and self.max_chars < self.min_chars:
            raise ValueError(f"max_chars={self.max_chars} is less than min_chars={self.min_chars}: no step fits both")
        return self


PARAGRAPHS = SegmentationConfig()
"""A blank line stands between two steps."""


class StepSpan(NamedTuple):
    """One step and where it stands in the text."""

    start: int
    """First character, 0-based."""
    end: int
    """One past the last character."""
    text: str
    """`text[start:end]`, without white space at either end."""


class ThinkBlock(NamedTuple):
    """One block of thinking, with its tags."""

    start: int
    """First character of the opening tag, or of the content where the tag stands in the prompt."""
    end: int
    """One past the closing tag, or past the text."""
    content: Span
    """What stands between the tags."""
    closed: bool
    """False where the text ends first, as it does when a response is cut off."""


def segment(text: str, config: SegmentationConfig = PARAGRAPHS) -> list[StepSpan]:
    r"""Split a text into steps and drop the white space around each.

    Spans are in order and do not overlap. Between two of them is white space, a separator or a tag, and the left-out
    thinking or answer where `think` is `drop` or `only`. Pieces of nothing but white space are no steps, so an empty
    text has none.

    Example:
        >>> segment("1 + 1 = 2\n\n 2 * 3 = 6 ")
        [StepSpan(start=0, end=9, text='1 + 1 = 2'), StepSpan(start=12, end=21, text='2 * 3 = 6')]
        >>> [span.text for span in segment("So x = 3.5. Then y = 2.", SegmentationConfig(mode="sentences"))]
        ['So x = 3.5.', 'Then y = 2.']
    """
    steps: list[StepSpan] = []
    for begin, end in _parts(text, config):
        part = text[begin:end]
        if part.strip():
            steps += [StepSpan(begin + a, begin + b, part[a:b]) for a, b in _segment_part(part, config)]
    return steps


def find_think_blocks(text: str, *, tags: tuple[str, str] = PARAGRAPHS.think_tags) -> list[ThinkBlock]:
    """Return the blocks of thinking, in order.

    A closing tag without an opening one closes what began after the block before it: chat templates put the opening tag
    into the prompt. An opening tag inside a block is plain text. A block that is never closed ends with the text.
    """
    opening, closing = tags
    blocks: list[ThinkBlock] = []
    opened: Span | None = None
    for tag in re.finditer(f"{re.escape(opening)}|{re.escape(closing)}", text):
        if tag.group() == opening:
            opened = opened or tag.span()
            continue
        before = blocks[-1].end if blocks else 0
        start, content = opened or (before, before)
        blocks.append(ThinkBlock(start, tag.end(), (content, tag.start()), closed=True))
        opened = None
    if opened:
        blocks.append(ThinkBlock(opened[0], len(text), (opened[1], len(text)), closed=False))
    return blocks


def _parts(text: str, config: SegmentationConfig) -> Iterator[Span]:
    """The parts of the text that are split, each on its own."""
    position = 0
    for block in find_think_blocks(text, tags=config.think_tags):
        if config.think != "only":
            yield position, block.start
        if config.think != "drop":
            yield block.content
        position = block.end
    if config.think != "only":
        yield position, len(text)


def _segment_part(text: str, config: SegmentationConfig) -> list[Span]:
    if config.mode == "auto":
        steps = next(steps for mode in _AUTO if len(steps := _split(text, mode, config)) > 1 or mode == _AUTO[-1])
    else:
        steps = _split(text, config.mode, config)
    longest = config.max_chars
    if longest is not None and any(end - start > longest for start, end in steps):
        gaps = find_sentence_gaps(text)
        # A gap of no length may lie where a step begins, and would leave an empty piece before itself.
        within = ((a, b, gaps[bisect_left(gaps, (a + 1,)) : bisect_left(gaps, (b,))]) for a, b in steps)
        steps = [piece for a, b, between in within for piece in _packed(a, b, between, max_chars=longest)]
    if config.join_headers:
        joined: list[Span] = []
        after_header = False
        for start, end in steps:
            if after_header:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
            after_header = _HEADER.fullmatch(text, start, end) is not None
        steps = joined
    whole: list[Span] = []
    for start, end in steps:
        if whole and min(end - start, whole[-1][1] - whole[-1][0]) < config.min_chars:
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return whole


_AUTO: tuple[Mode, ...] = ("numbered", "paragraphs", "lines", "sentences")


def _split(text: str, mode: Mode, config: SegmentationConfig) -> list[Span]:
    cuts = _find_cuts(text, mode, config)
    if config.keep_blocks and mode != "sentences":
        cuts = outside_blocks(cuts, find_blocks(text))
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(text)]
    pieces = (_trimmed(text, start, end) for start, end in zip(starts, ends, strict=True))
    return [(start, end) for start, end in pieces if start < end]


def _find_cuts(text: str, mode: Mode, config: SegmentationConfig) -> list[Span]:
    """What separates two steps; of no length where the next step begins with its number."""
    if mode == "sentences":
        return find_sentence_gaps(text)
    if mode == "numbered":
        kinds = ([(match.start(), match.start()) for match in marker.finditer(text)] for marker in _MARKERS)
        return next(filter(None, kinds), [])
    pattern = {"paragraphs": _BLANK_LINE, "lines": _LINE_END}.get(mode)
    if pattern is None:
        longest_first = sorted(config.separators, key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, longest_first)))
    return [match.span() for match in pattern.finditer(text)]


def _trimmed(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())


def _packed(start: int, end: int, gaps: Sequence[Span], *, max_chars: int) -> Iterator[Span]:
    """Put as many whole sentences together as fit."""
    last = None
    for gap in [*gaps, (end, end)]:
        if last is not None and gap[0] - start > max_chars:
            yield start, last[0]
            start = last[1]
        last = gap
    yield start, end
