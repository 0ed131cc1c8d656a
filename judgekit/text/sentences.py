r"""Finds sentence ends in mathematical prose, and the positions of formulas and code.

Rules, no model: white space ends a sentence if the text before it can end one and the text after it can start one. In
scripts without spaces between sentences (Chinese, Japanese, ...) the gap is empty and comes after the full stop. In
doubt there is no end: a sentence that is too long does less harm than half a formula.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from judgekit.text.identity import RANGES_WITHOUT_SPACES

Span = tuple[int, int]
"""First character and one past the last."""

_WINDOW = 48
"""Characters looked at on either side of a gap; keeps the time linear."""
_WHITE_SPACE = re.compile(r"\s+")
_CLOSERS, _OPENERS = " \t\n$\\)]\"'\u201d\u2019\u00bb*_）】》」』", "([\"'\u201c\u2018\u00ab*_（【《「『"
_STOPS = (".", "!", "?", "\u2026")
_FULL_STOPS = "。｡；！？．؟۔।॥։።។៕။།"
"""Stops of other scripts than Latin, Greek and Cyrillic. What follows them may have neither capital nor space."""
_NO_SPACES = "".join(f"{chr(begin)}-{chr(end)}" for begin, end in RANGES_WITHOUT_SPACES)
_UNSPACED_STOP = re.compile(
    rf"(?<![{_FULL_STOPS}])[{_FULL_STOPS}]++[）)】》\]*_]*+(?=\S)|(?<![.!?;])[.!?;]++(?=[{_NO_SPACES}（【《「『])"
)
"""A stop with the next sentence right behind it; a Latin one only before a script that puts no spaces."""
_GOES_ON = "，,、：:;)）]】」』”’\"'=+-*/<>^_%"
"""What follows a stop that is none, or that a quotation ends with."""
_CARRIES_ON = "，,、：:"
"""What no sentence ends with, though its line does."""
_UNSPACED = re.compile(f"[{_NO_SPACES}]")
_LISTED = re.compile(r"(?:^|[\s（(、，,。；])(?:\d{1,3}|[A-Za-z])$")
"""What stands before the point of an item: `1.`, `A.`"""
_LIST_ITEM = re.compile(r"[-*\u2022][ \t]|#{1,6}[ \t]|(?:\d{1,3}[.)]|\(\d{1,3}\))[ \t]")
_DOTTED = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_LINE_START = re.compile(r"[\s#*_>-]*(?:step)?\s*", re.IGNORECASE)
_ABBREVIATIONS = frozenset({
    "al", "approx", "cf", "cor", "def", "dr", "eg", "eq", "eqs", "fig", "figs", "ie", "lem", "mr", "mrs", "ms",
    "prof", "prop", "resp", "st", "thm", "viz", "vs", "wrt",
})  # fmt: skip
_BEFORE_NUMBERS = frozenset({"ch", "no", "nos", "p", "pp", "sec", "vol"})
"""Abbreviations only where a number follows: `no. 5`, but `The answer is no. Then ...`."""
_STARTERS = frozenset({
    "a", "also", "an", "and", "as", "at", "because", "both", "but", "by", "consider", "each", "finally", "first",
    "for", "from", "given", "hence", "however", "if", "in", "it", "let", "next", "note", "now", "on", "our",
    "second", "since", "so", "substituting", "suppose", "that", "the", "then", "there", "therefore", "these",
    "they", "this", "thus", "to", "we", "when", "where", "which",
})  # fmt: skip
"""Words that begin a sentence after a single capital letter, which else is the initial of a name."""

_TOKEN = re.compile(r"\\\\|\\\$|\\[()\[\]]|\\begin\{|\\end\{[^{}\n]{0,40}\}|\$\$?|```|\n[^\S\n]*\n")
_PARAGRAPH, _BEGIN, _END, _INLINE, _DOLLAR = "\n\n", "\\begin{", "\\end{", "\\(", "$"
_DISPLAYS = {"\\[": "\\]", "$$": "$$", "```": "```"}
"""What opens and closes a display formula or a code block."""
_Token = tuple[str, int, int]
"""Kind, first character, one past the last."""


def find_sentence_gaps(text: str) -> list[Span]:
    """Return the white space between two sentences, outside formulas and code; empty if there is none.

    A blank line, a line break before a list item or heading, and one behind a script without spaces always count.
    """
    gaps = [gap.span() for gap in _WHITE_SPACE.finditer(text) if _is_sentence_gap(text, gap)]
    if not text.isascii():
        ends = (stop.end() for stop in _UNSPACED_STOP.finditer(text) if _is_unspaced_end(text, stop))
        gaps = sorted([*gaps, *((end, end) for end in ends)])
    return outside_blocks(gaps, find_blocks(text))


def outside_blocks(cuts: Sequence[Span], blocks: Sequence[Span]) -> list[Span]:
    """Return the cuts that do not fall within a block; both in order, blocks disjoint."""
    starts = [start for start, _ in blocks]
    kept = []
    for start, end in cuts:
        before = bisect_right(starts, max(start, end - 1)) - 1
        if before < 0 or start >= blocks[before][1] or start == end == blocks[before][0]:
            kept.append((start, end))
    return kept


def find_blocks(text: str) -> list[Span]:
    r"""Return formulas, LaTeX environments and fenced code, in order and disjoint.

    `\[`, `$$`, `\begin{}` and a fence that are never closed reach to the end of their paragraph. `\(` and `$` that are
    not closed within their paragraph are plain text.

    Source:
        Single dollars as in Pandoc's Markdown, extension `tex_math_dollars`: the opening one has no white space to its
        right, the closing one none to its left and no digit to its right, so "$5 and $6" is not a formula. Differs in:
        `$ x $`, with white space on both inner sides, is a formula too.
    """
    tokens = [(_kind(match.group()), *match.span()) for match in _TOKEN.finditer(text)]
    ends = _block_ends(tokens, length=len(text))
    blocks: list[Span] = []
    position, dollar = 0, None
    for kind, start, end in tokens:
        if start < position:
            continue
        if kind == _PARAGRAPH:
            dollar = None
        elif kind == _DOLLAR:
            # A dollar behind white space closes only what began before white space; before a digit it is money.
            is_loose = dollar is not None and text[dollar + 1].isspace()
            is_tight = not text[start - 1].isspace() and not text[end : end + 1].isdigit()
            if dollar is not None and (is_loose or is_tight):
                while blocks and blocks[-1][0] > dollar:
                    blocks.pop()
                blocks.append((dollar, end))
                dollar = None
            else:
                # Whether a formula may begin here: not with white space, unless white space stands on both sides.
                after, before = text[start + 1 : start + 2], text[max(0, start - 1) : start]
                opens = not after.isspace() or not before.isalnum()
                dollar = start if opens else None
        elif start in ends:
            position = ends[start]
            blocks.append((start, position))
    return blocks


def _kind(token: str) -> str:
    return _PARAGRAPH if token[0] == "\n" else _END if token.startswith(_END) else token


def _block_ends(tokens: Sequence[_Token], *, length: int) -> dict[int, int]:
    """Where the block that begins at an opening token ends, single dollars apart. One pass from the end."""
    ends: dict[int, int] = {}
    following: dict[str, int] = {}
    environments: list[int] = []
    paragraph = length
    for kind, start, end in reversed(tokens):
        if kind == _PARAGRAPH:
            paragraph = start
        elif kind == _END:
            environments.append(end)
        elif kind == _BEGIN:
            ends[start] = environments.pop() if environments else paragraph
        elif kind == _INLINE and following.get("\\)", length + 1) <= paragraph:
            ends[start] = following["\\)"]
        elif kind in _DISPLAYS:
            ends[start] = following.get(_DISPLAYS[kind], paragraph)
        following[kind] = end
    return ends


def _is_sentence_gap(text: str, gap: re.Match[str]) -> bool:
    start, end = gap.span()
    n_line_breaks = gap.group().count("\n")
    if n_line_breaks > 1 or (n_line_breaks and _LIST_ITEM.match(text, end)):
        return True
    # lines are not wrapped in scripts without spaces, so a line break means something
    is_unspaced = start and (_UNSPACED.match(text, start - 1) or _UNSPACED.match(text, end))
    if n_line_breaks and is_unspaced and text[start - 1] not in _CARRIES_ON:
        return True
    before = text[max(0, start - _WINDOW) : start].rstrip(_CLOSERS)
    if before.endswith(tuple(_FULL_STOPS)):
        return not _is_factorial(before) and text[end : end + 1] not in tuple(_GOES_ON)
    return before.endswith(_STOPS) and _ends_sentence(before, text[end : end + _WINDOW].lstrip(_OPENERS))


def _is_unspaced_end(text: str, stop: re.Match[str]) -> bool:
    """Whether a sentence ends at a stop without a space behind it."""
    before = text[max(0, stop.start() - _WINDOW) : stop.start() + 1]
    if stop.group()[0] in ".;" and _LISTED.search(before[:-1]):
        return False
    return not _is_factorial(before) and text[stop.end()] not in _GOES_ON


def _is_factorial(before: str) -> bool:
    """Whether an exclamation mark at the end of the text belongs to a value; a full-width one ends a sentence."""
    return before[-1:] == "!" and before[-2:-1].isascii() and (before[-2:-1].isalnum() or before[-2:-1] == ")")


def _ends_sentence(before: str, after: str) -> bool:
    """Whether a text with a stop as its last character, and closing brackets taken off, ends a sentence."""
    first = after[:1]
    if first.islower() or not (first.isalnum() or first in {"\\", "$", "`"}):
        return False
    if before[-1] in "!?":
        return True
    if before.endswith(("..", "\u2026")):  # `and so on... Then`, but `1, 2, ... 10`
        return before.rstrip(".\u2026")[-1:].isalpha() and first.isupper()
    line = before[:-1].rpartition("\n")[2]
    word = line.split()[-1].lstrip(_OPENERS) if line.split() else ""
    if _DOTTED.fullmatch(word) or word.lower() in _ABBREVIATIONS:
        return False
    if word.lower() in _BEFORE_NUMBERS:
        return not first.isdigit()
    if word.isdigit():  # `1. First`
        return not _LINE_START.fullmatch(line[: -len(word)])
    if len(word) == 1 and word.isupper():
        return after.split()[0].rstrip(",").lower() in _STARTERS
    return True
