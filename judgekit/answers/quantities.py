"""Reads a number or formula with its surroundings: unit, currency, percent, words without meaning for the value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction

from judgekit.answers.formulas import Formula, Token, UncoveredError, read_formula
from judgekit.answers.kinds import Scalar
from judgekit.answers.units import CURRENCY, LETTER_UNITS, Unit, find_unit, read_unit, words_of
from judgekit.answers.values import Values
from judgekit.answers.wording import FILLER, FUNCTIONS_IN_WORDS, MEANINGFUL, SCALES, read_date, read_number_word

_OF_ANGLES = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))
"""Functions of an angle: degrees behind them are what they are taken of."""


def without_end(tokens: Sequence[Token]) -> Sequence[Token]:
    """Take away the punctuation at the end."""
    while tokens and tokens[-1].text in {".", ",", ";"}:
        tokens = tokens[:-1]
    return tokens


def read_scalar(tokens: Sequence[Token]) -> Scalar | None:
    """A number or formula with what stands around it.

    Raises:
        UncoveredError: there is something else around it.
    """
    tokens = list(without_end(tokens))
    currency: Unit | None = None
    minus = list[Token]()
    tokens = _without_words_in_front(tokens)
    if tokens and tokens[0].text in {"-", "+"} and len(tokens) > 1 and tokens[1].text in CURRENCY:
        minus, tokens = [tokens[0]], tokens[1:]
    if tokens and tokens[0].text in CURRENCY:
        currency, tokens = Unit(Fraction(1), ((CURRENCY[tokens[0].text], 1),)), [*minus, *tokens[1:]]
    tokens = [token for token in tokens if token.text not in {"\\$"} or currency is None]
    if currency is None and len(tokens) > 1 and tokens[-1].text in CURRENCY:  # 5 \€
        currency, tokens = Unit(Fraction(1), ((CURRENCY[tokens[-1].text], 1),)), tokens[:-1]
    tokens = _without_remark(tokens)
    if not tokens:
        raise UncoveredError
    compound = read_compound(tokens) if currency is None else None
    if compound is not None:
        return compound
    for at in _unit_starts(tokens):
        head, tail = _scaled(tokens[:at], tokens[at:])
        percent = bool(head) and head[-1].text == "%"
        head = head[:-1] if percent else head
        if not head:
            continue
        unit = read_unit(tail) if tail else Unit(Fraction(1), ())
        if unit is None:
            continue
        try:
            formula = read_formula(head)
        except UncoveredError:
            continue
        if not unit.dimensions:
            unit = None if currency is None else currency
        elif currency is not None:
            unit = currency if unit.is_noun or unit == currency or not tail or _is_per(tail) else None
            if unit is None:
                raise UncoveredError
        is_letter = unit is None and len(head) > 1 and not tail and head[-1].kind == "letter"
        letter = head[-1].text if is_letter and head[-1].text in LETTER_UNITS else ""
        exact = None
        if not formula.letters:
            with suppress(UncoveredError):
                exact = Values(formula).exact
        return Scalar(formula, exact, _decimals(head), unit, percent, letter)
    raise UncoveredError


def _is_per(tail: Sequence[Token]) -> bool:
    return any(token.text.lower() in {"/", "per", "a", "each", "an"} for token in words_of(tail)) or all(
        find_unit(token) is None for token in words_of(tail)
    )


def _unit_starts(tokens: Sequence[Token]) -> Iterator[int]:
    """Yield where the unit may begin, the longest unit first, then the place behind all.

    A lone letter in mathematics is a variable: only words of text mode, words that name a unit and nouns in a sentence
    are units.
    """
    for at in range(1, len(tokens)):
        token, before = tokens[at], tokens[at - 1]
        is_value = before.kind in {"number", "letter", "word", "text"}
        if not is_value and before.text not in {")", "}", "%", "|", "\\pi", "!"}:
            continue
        if token.text == "\\degree" and any(earlier.text.strip("\\") in _OF_ANGLES for earlier in tokens[:at]):
            continue  # \sin 30^\circ: what the sine is taken of, and no unit of the sine
        following = tokens[at + 1].kind if at + 1 < len(tokens) else ""
        is_per = token.text in {"/", "\\$", "$"} and following in {"word", "text"}
        if token.kind in {"text", "word"} or token.text == "\\degree" or is_per:
            yield at
        elif token.kind == "letter" and token.text in set("msghaNJWVKL") and at + 1 < len(tokens):
            yield at  # m^{2}, m/s, a day
    yield len(tokens)


def _scaled(head: Sequence[Token], tail: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    """Multiply by words such as `million` between the number and the unit."""
    head = list(head)
    tail = words_of(tail)
    while tail and tail[0].text.lower() in SCALES:
        factor = str(SCALES[tail[0].text.lower()])
        head += [Token("sign", "*", -1, -1), Token("number", factor, -1, -1)]
        tail = tail[1:]
    return head, tail


def _decimals(head: Sequence[Token]) -> int | None:
    r"""Digits after the point of one decimal number, also `2.5 \\cdot 10^{3}`."""
    texts = [token.text for token in head if token.text not in {"-", "+"}]
    if not texts or not re.fullmatch(r"\d*\.?\d+", texts[0]):
        return None
    decimals = len(texts[0].partition(".")[2])
    if len(texts) == 1:
        return decimals
    if texts[1:4] == ["\\cdot", "10", "^"]:
        negative = any(token.text == "-" for token in head[3:])
        digits = "".join(text for text in texts[4:] if text.isdecimal())
        return decimals + (int(digits) if negative else -int(digits)) if digits else None
    return None


def _without_words_in_front(tokens: Sequence[Token]) -> list[Token]:
    """Take away words in front of a number: `Janet makes 18 dollars`. None of them may change the value."""
    for at, token in enumerate(tokens):
        is_plain = token.kind in {"word", "text"} and all(
            word.text.lower() not in MEANINGFUL | FUNCTIONS_IN_WORDS and read_number_word(word.text) is None
            for word in words_of([token])
        )
        if is_plain and read_date(f"{token.text} 1") is not None:
            break  # June 20 is not 20
        if token.kind == "number" or token.text in CURRENCY or token.text in {"-", "\\frac", "\\sqrt", "\\surd"}:
            # A hyphen after words is punctuation or a sign; only a sign has no space behind.
            return list(tokens[at:])
        if not (is_plain and len(token.text) > 2) and token.text not in {",", "a", "I"} | FILLER:
            break
    return list(tokens)


def _without_remark(tokens: Sequence[Token]) -> list[Token]:
    """Take away words in brackets at the end: `18 (dollars)` keeps its unit, `18 (rounded)` its number."""
    if len(tokens) > 3 and tokens[-1].text == ")" and tokens[-3].text == "(" and tokens[-2].kind in {"word", "text"}:
        return [*tokens[:-3], tokens[-2]]
    return list(tokens)


def read_compound(tokens: Sequence[Token]) -> Scalar | None:
    """`3 hours 20 minutes`, `5 feet 6 inches`: numbers with units of one dimension, from large to small."""
    words = words_of(tokens)
    numbers = [i for i, word in enumerate(words) if word.kind == "number"]
    if len(numbers) < 2 or numbers[0] != 0 or len(words) > 20:
        return None
    total, last, dimensions = Fraction(0), None, None
    for start, end in zip(numbers, [*numbers[1:], len(words)], strict=True):
        inside = [word for word in words[start + 1 : end] if word.text.lower() not in {"and", ","}]
        unit = find_unit(inside[0]) if len(inside) == 1 and inside[0].kind != "sign" else None
        if unit is None or len(unit.dimensions) != 1 or (last is not None and unit.factor >= last):
            return None
        if dimensions not in (None, unit.dimensions):
            return None
        total += Fraction(words[start].text) * unit.factor
        last, dimensions = unit.factor, unit.dimensions
    formula = Formula(("number", total), frozenset(), False)
    return Scalar(formula, total, None, Unit(Fraction(1), dimensions or ()), n_units=len(numbers))
