"""Makes candidate text unable to act as markup: reserved strings in it are broken up by a space.

The candidate's text stays readable, but nothing in it can be a special token, a chat turn, a judge's tag or a judge's
verdict. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any


class Reserved:
    """The strings that a candidate must not contain as they are.

    Spaces around a string do not count. Strings of a single character and runs of spaces are left out: they cannot be
    broken up, and they are ordinary text everywhere (`+`).

    Args:
        strings: Reserved tokens, tags and phrases. Case matters.

    Example:
        >>> Reserved(["<|im_end|>", "ки"]).neutralise("4 ки<|im_end|>")
        '4 к и< |im_end|>'
    """

    def __init__(self, strings: Iterable[str] = ()) -> None:
        kept = {text for text in (string.strip(" ") for string in strings) if len(text) > 1}
        kept = {text for text in kept if text.strip() or " " not in text}
        longest_first = sorted(kept, key=lambda text: (-len(text), text))
        self.strings = tuple(longest_first)
        """What is broken up, longest first."""
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if kept else None

    def neutralise(self, text: str) -> str:
        """Put a space behind the first character of every reserved string, until none is left."""
        if self._pattern is None:
            return text
        broken = self._pattern.sub(_break_up, text)
        while broken != text:  # an occurrence may have overlapped with one that was broken up
            text, broken = broken, self._pattern.sub(_break_up, broken)
        return text


def _break_up(match: re.Match[str]) -> str:
    return f"{match[0][0]} {match[0][1:]}"


def reserved_tokens(tokenizer: Any) -> list[str]:
    """Return all tokens that a tokenizer recognises before it reads ordinary text: special and added ones.

    Those of white space alone, which some tokenizers have for indented code, are ordinary text.
    """
    tokens = [*tokenizer.all_special_tokens, *(str(token) for token in tokenizer.added_tokens_decoder.values())]
    return [token for token in tokens if token.strip()]
