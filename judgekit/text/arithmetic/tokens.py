"""The tokens of arithmetic in a text, and the words that stand for numbers.

Claims are read from text whose mark-up `readable` has removed; calculations, whose numbers may be replaced, from the
original text.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

MAX_CHARS = 20_000
"""Only so much of a text is read for what it claims."""
MAX_DIGITS = 18
"""Longer numbers have no value in a claim."""
ANNOTATION = re.compile(r"<<[^<>]*>>")
"""A calculator annotation of GSM8K (2110.14168), as in `48/2 = <<48/2=24>>24`."""
CURRENCY = frozenset("$\u20ac\u00a3\u20b9")
"""Signs in front of an amount; behind LaTeX, `$` is left of formulas, too."""
SIGNS = {
    "+": "+", "-": "-", "*": "*", "/": "/", "\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u00b7": "*", "\u00f7": "/",
}  # fmt: skip
"""Signs of the four operations: the mathematical minus, the dash and the signs of times and division, too."""
NUMBER_WORDS = {
    word: value
    for value, word in enumerate((
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    ))
} | {
    word: 20 + 10 * i
    for i, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"))
}  # fmt: skip
"""Numbers in words up to ninety, one word each."""
_COMMON_WORDS = {word: Fraction(value) for word, value in NUMBER_WORDS.items()} | {
    "half": Fraction(1, 2), "quarter": Fraction(1, 4), "twice": Fraction(2), "double": Fraction(2),
}  # fmt: skip
MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12, "dozens": 12}
"""Words that multiply the number before them."""
OPERAND_WORDS = {word: value for word, value in _COMMON_WORDS.items() if value <= 60} | {
    "third": Fraction(1, 3), "one-third": Fraction(1, 3), "two-thirds": Fraction(2, 3), "one-fourth": Fraction(1, 4),
    "three-quarters": Fraction(3, 4), "three-fourths": Fraction(3, 4), "one-half": Fraction(1, 2),
    "one-fifth": Fraction(1, 5),
}  # fmt: skip
"""Words that a claim calculates with: `third` is a share there. Tens above sixty are not among them, as the rules'
rates of true alarms were measured without."""
QUANTITY_WORDS = _COMMON_WORDS | {
    "first": Fraction(1), "once": Fraction(1), "second": Fraction(2), "doubled": Fraction(2), "couple": Fraction(2),
    "third": Fraction(3), "triple": Fraction(3), "thrice": Fraction(3), "fourth": Fraction(4),
    "dozen": Fraction(12), "hundred": Fraction(100), "thousand": Fraction(1000), "million": Fraction(10**6),
}  # fmt: skip
"""Words that mention a number, so that it may not be changed in digits alone. `third` is a place in an order there."""
_PARTS = {
    "third": Fraction(3), "fourth": Fraction(4), "quarter": Fraction(4), "fifth": Fraction(5), "sixth": Fraction(6),
    "seventh": Fraction(7), "eighth": Fraction(8), "ninth": Fraction(9), "tenth": Fraction(10),
}  # fmt: skip

_TOKEN = re.compile(
    r"""
    (?P<opaque>\d+(?::\d+)+)                                    # 3:45, 1:2:3
    | (?P<number>(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)?|\.\d++)
    | (?P<command>\\[a-zA-Z]++)
    | (?P<word>[^\W\d_]{2,}+(?:['\u2019-][^\W\d_]++)*+)
    | (?P<letter>[^\W\d_])
    | (?P<newline>\n)
    | (?P<mark>\S)
    """,
    re.VERBOSE,
)
_SAME = SIGNS | {
    "\\times": "*", "\\cdot": "*", "\\div": "/", "\\approx": "\u2248", "\\simeq": "\u2248", "\\dfrac": "\\frac",
    "\\tfrac": "\\frac", "\\cfrac": "\\frac", "\u2217": "*", "\u22c5": "*", "[": "(", "{": "(", "]": ")", "}": ")",
    "\u00b2": "^2", "\u00b3": "^3", "\\%": "%",
}  # fmt: skip
_REWRITES = (
    (re.compile(r"<<[^<>\n]*>>"), " "),
    (re.compile(r"(?<![0-9)])!="), "\u2260"),  # behind a digit it is a factorial
    (re.compile(r"\\sqrt\s?\["), r"\\root["),  # not a square root: has no value here
    (re.compile(r",\\!"), ","),
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|operatorname)\s?\{([^{}]{0,200})\}"), r" \1 "),
    (re.compile(r"\\(?:left|right|big|Big|displaystyle|quad|qquad|limits)(?![a-zA-Z])|\\[,;:! ]|\^\{?\\circ\}?"), " "),
    (re.compile(r"\\[()\[\]]|\\\\|&"), " $ "),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<=[0-9)])\*\*(?=[0-9(])"), "^"),
    (re.compile(r"\*\*|__"), " "),
    (re.compile(r"\\([%${}#])"), r"\1"),
)
_UNICODE_NUMBER = re.compile(
    "(?P<fraction>[\u00bc-\u00be\u2150-\u215e])"
    "|(?P<power>[\u2070\u2074-\u2079]|[\u00b9\u00b2\u00b3\u2070\u2074-\u2079]{2,})|(?P<digit>(?![0-9])\\d)"
)


class Token(NamedTuple):
    """One token of a text."""

    kind: str
    """Name of the group that matched, or `end`."""
    text: str
    """As it stands, brackets and signs of operations in their common spelling."""
    start: int
    """Offset of its first character."""
    end: int
    """Offset behind its last character."""


def readable(text: str) -> str:
    """Return the text, cut to `MAX_CHARS`, without LaTeX mark-up that has no bearing on values."""
    text = text[:MAX_CHARS]
    if not text.isascii():
        text = _UNICODE_NUMBER.sub(_ascii_number, text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return text


def _ascii_number(match: re.Match[str]) -> str:
    """Write digits of other scripts, ready-made fractions and raised numbers as what they are; none is a letter."""
    sign = match.group()
    if match.lastgroup == "digit":
        return str(unicodedata.decimal(sign))
    plain = unicodedata.normalize("NFKC", sign).replace("\u2044", "/")
    return f" {plain}" if match.lastgroup == "fraction" else f"^{plain}"


def tokenize(text: str) -> list[Token]:
    """Split a text; four tokens of kind `end` close it, so that a look ahead needs no check."""
    found = [Token(str(m.lastgroup), _SAME.get(m.group(), m.group()), *m.span()) for m in _TOKEN.finditer(text)]
    return found + [Token("end", "", len(text), len(text))] * 4


def word_value(word: str) -> Fraction | None:
    """Return what a word is worth in a calculation, `twenty-five`, `dozen`; `None` for other words, and for `zero`."""
    word = word.lower()
    head, _, tail = word.partition("-")
    if tail in OPERAND_WORDS and head in OPERAND_WORDS and word not in OPERAND_WORDS:
        return OPERAND_WORDS[head] + OPERAND_WORDS[tail]
    return OPERAND_WORDS.get(word) or (Fraction(MULTIPLIERS[word]) if word in MULTIPLIERS else None)


def find_numbers(text: str) -> set[Fraction]:
    """Return the values of the numbers in a text, in digits or words.

    A word counts for all that it may stand for: `twenty-five`, the parts of `six-sided` and `one-sixth`, `fifths` as 5.
    """
    found = set()
    for token in tokenize(readable(text)):
        if token.kind in ("number", "opaque") and len(token.text) <= MAX_DIGITS:
            found |= {Fraction(part) for part in token.text.replace(",", "").split(":")}
        elif token.kind == "word":
            word = token.text.lower()
            parts = [word] if word_value(word) is not None else word.split("-")
            found |= {value for part in parts if (value := word_value(part)) is not None}
            found |= {_PARTS[part] for part in word.removesuffix("s").split("-") if part in _PARTS}
    return found
