"""Answers that need no grammar of formulas: plain numbers, times of day, ratios, bases, words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from judgekit.answers.formulas import Formula, Token
from judgekit.answers.kinds import Answer, Based, Clock, Denial, Ratio, Scalar, Several, Words
from judgekit.answers.notation import TEXT_CLOSE, TEXT_OPEN
from judgekit.answers.units import read_unit, words_of
from judgekit.answers.wording import FILLER, read_number_word, read_number_words

_CLOCK = re.compile(r"(\d{1,2})(?:[:.](\d{2}))? ?([ap])\.? ?m\.?", re.IGNORECASE)
_COLON = re.compile(r"\d+(?:\.\d+)?(?: ?: ?\d+(?:\.\d+)?)+")
_BASED = re.compile(r"\(?([0-9A-Za-z]+)\)?_(?:\{(?:base)?\(?(\w+)\)?\}|(\d))", re.IGNORECASE)
_IN_BASE = re.compile(r"([0-9]+) ?\(?(?:in )?base[ -]*(\w+)\)?", re.IGNORECASE)
MARKS = re.compile(f"[{TEXT_OPEN}{TEXT_CLOSE}]")
DENIED = re.compile(r"\b(?:not|never|isn't|is ?n't|neither|cannot be|can't be|anything but|other than)\b", re.I)


def read_plain_number(text: str) -> Scalar:
    """Read digits with or without a point; the caller has seen that it is nothing else."""
    value = Fraction(text)
    return Scalar(Formula(("number", value), frozenset(), False), value, len(text.partition(".")[2]))


def read_based(text: str) -> Based | None:
    """Read a number with its base: `1011_2`, `243_{five}`, `243 in base 5`."""
    text = MARKS.sub("", text)
    match = _BASED.fullmatch(text.replace(" ", "")) or _IN_BASE.fullmatch(" ".join(text.split()))
    if match is None:
        return None
    written = next(group for group in match.groups()[1:] if group)
    named = read_number_word(written)
    base = int(written) if written.isdecimal() else named
    digits = match[1].upper().lstrip("0") or "0"
    if base is None or not 2 <= base <= 36 or (not digits[0].isdecimal() and base <= 10):
        return None
    # A digit that the base does not have makes it no number, but it is still read: it differs from every other.
    return Based(digits, base) if digits.isalnum() and any(sign.isdecimal() for sign in digits) else None


def read_clock(text: str) -> Clock | None:
    """Read a time with its half of the day: `2 pm`, `10:30 a.m.`."""
    match = _CLOCK.fullmatch(text.replace(TEXT_OPEN, "").replace(TEXT_CLOSE, "").replace("  ", " ").strip())
    if match is None:
        return None
    return Clock(int(match[1]), int(match[2] or 0), match[3].lower() + "m")


def read_colon(text: str) -> Clock | Ratio | None:
    """Read `2:41`, a time of day or a ratio, and `2:3:4`, a ratio."""
    if not _COLON.fullmatch(text):
        return None
    parts = [part.strip() for part in text.split(":")]
    if len(parts) == 2 and len(parts[1]) == 2 and parts[1].isdecimal() and len(parts[0]) < 3 and parts[0].isdecimal():
        return Clock(int(parts[0]), int(parts[1]), "")
    return Ratio(tuple(Fraction(part) for part in parts))


def read_wording(text: str) -> Answer | None:
    """Words without any mathematics, a number in words, or `None`."""
    tokens = words_of([Token("text", text.replace(TEXT_OPEN, " ").replace(TEXT_CLOSE, " "), 0, len(text))])
    if not tokens or any(not re.fullmatch(r"[^\W\d_]+(?:['-][^\W\d_]+)*", token.text) for token in tokens):
        return None
    if re.search(r"[\d\\$^=<>+*/|_%(){}\[\]]", text):
        return None
    words = [token.text.lower() for token in tokens]
    if TEXT_OPEN not in text and len(words) == 1 and words[0] != "no" and min(map(len, words[0].split("-"))) < 3:
        return None  # x, ab, p-q: mathematics
    lead = next(
        (i for i, word in enumerate(words) if word not in {"the", "is", "answer", "it"} | FILLER - {"a", "an"}), 0
    )
    if (number := _number_in_words(tokens[lead:])) is not None and words[lead - 1 : lead] != ["the"]:
        return number
    if len(words) > 1 and any(word in {"and", "or"} for word in words):
        parts = re.split(r"(?:,|\band\b|\bor\b)", text.replace(TEXT_OPEN, " ").replace(TEXT_CLOSE, " "))
        numbers = [_number_in_words(words_of([Token("text", part, 0, 0)])) for part in parts if part.strip()]
        if len(numbers) > 1 and all(number is not None for number in numbers):  # five or six
            return Several(tuple(number for number in numbers if number is not None))
        if all(len(part.split()) == 1 for part in parts):  # red or blue
            return Several(tuple(Words((part.strip().lower(),)) for part in parts))
        return Words(tuple(words))
    plain = [word for word in words if word not in {"a", "an", "the", "is", "answer", "it"}]
    if DENIED.search(" ".join(words)) and len(plain) == 2 and plain[0] == "not":
        return Denial()
    if "," in text:
        parts = text.replace(TEXT_OPEN, " ").replace(TEXT_CLOSE, " ").split(",")
        if all(len(part.split()) == 1 for part in parts):
            return Several(tuple(Words((part.strip().lower(),)) for part in parts))
        return Words(tuple(words))
    return Words(tuple(plain)) if plain else None


def _number_in_words(tokens: Sequence[Token]) -> Scalar | None:
    """`two and a half hours`, `five percent`: a number in words with its unit, and nothing else."""
    words = [token.text.lower() for token in tokens]
    found = read_number_words(words)
    if found is None:
        return None
    number, rest = found[0], list(tokens[found[1] :])
    is_percent = bool(rest) and rest[0].text.lower() in {"percent", "pct"}
    rest = rest[1:] if is_percent else rest
    unit = read_unit(rest) if rest else None
    # `half past five`, `two hours and six`: a number further on makes it another one.
    if rest and (unit is None or any(read_number_words([token.text.lower()]) for token in rest)):
        return None
    formula = Formula(("number", number), frozenset(), False)
    decimals = 0 if number.denominator == 1 else None
    return Scalar(formula, number, decimals, unit if unit and unit.dimensions else None, is_percent)
