r"""What an answer says: a typed value that covers the whole text, or `None`.

An answer is a number or formula with its unit (`Scalar`), an interval, a set or several answers, a tuple, a named
value (`x = 5`), an equation, an ordering, a time of day, a number in another base, the letter of a choice, or words.
Whatever is not read to its last sign is no answer to this grammar: it is better to leave a text unchecked than to take
a number in it for the whole. `x - 5`, `not 5`, `x <= 5` and `5 or 6` are not 5.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from judgekit.answers.formulas import (
    Formula,
    HugeError,
    Token,
    UncoveredError,
    Values,
    read_formula,
    tokenize,
)
from judgekit.answers.notation import TEXT_CLOSE, TEXT_OPEN, normalise, without_delimiters
from judgekit.answers.units import (
    CURRENCY,
    FILLER,
    LETTER_UNITS,
    MEANINGFUL,
    SCALES,
    Unit,
    find_unit,
    read_number_word,
    read_unit,
    words_of,
)

MAX_CHARS = 1_500
"""Longer texts are not read."""


class Scalar(NamedTuple):
    """A number or formula, with what it is a number of."""

    formula: Formula
    """The number or formula."""
    exact: Fraction | None = None
    """Its value where that is a rational number."""
    decimals: int | None = None
    """Digits after the point where it is written as one decimal number (`2.50e3` has -1)."""
    unit: Unit | None = None
    """Its unit or currency."""
    is_percent: bool = False
    """Whether it is written in percent; `exact` then is the number in front of the sign."""
    unit_letter: str = ""
    """A last letter that may also be a unit: `6m`."""
    n_units: int = 1
    """Units in it: two in `5 feet 6 inches`, which is no number of either."""


class Interval(NamedTuple):
    """All numbers between two ends; `x <= 5` has an infinite one."""

    low: Scalar
    """Lower end."""
    high: Scalar
    """Upper end."""
    low_closed: bool
    """Whether the lower end belongs to it."""
    high_closed: bool
    """Whether the upper end belongs to it."""
    name: str = ""
    """The variable where it is given by an inequality."""


class Union(NamedTuple):
    """Several intervals and finite sets as one set of numbers."""

    parts: tuple[Answer, ...]
    """Intervals and sets."""


class Several(NamedTuple):
    r"""A set, or several answers, in no order. `2 or 3` and `\\pm 1` are such."""

    items: tuple[Answer, ...]
    """The answers, as often as they are stated."""
    in_braces: bool = False
    """Whether it is written as a set."""
    has_gap: bool = False
    """Whether dots stand for some of them."""


class Ordered(NamedTuple):
    """A point, tuple or matrix. `(1, 3)` may also be an open interval."""

    items: tuple[Answer, ...]
    """Its parts."""
    kind: Literal["tuple", "matrix"] = "tuple"
    """How it is written."""


class Named(NamedTuple):
    """`x = 5`, `f(x) = 2x`, `total = 18`."""

    name: str
    """What is on the left; `""` where that is an expression that was worked out."""
    value: Answer
    """What it is."""
    left: Formula | None = None
    """The left side as a formula, for comparison with equations."""


class Equation(NamedTuple):
    """An equation whose left side is no name."""

    left: Formula
    """Left side."""
    right: Formula
    """Right side."""


class Ordering(NamedTuple):
    """An inequality between formulas, turned so that it rises: `c < a < b`."""

    sides: tuple[Formula, ...]
    """From the smallest on."""
    signs: tuple[str, ...]
    """`<`, `\\le` or `\\ne` between them."""


class Clock(NamedTuple):
    """A time of day, or `2:41`, which may also be a ratio."""

    hour: int
    """As it is written."""
    minute: int
    """As it is written."""
    half: str
    """`am`, `pm` or `""`."""


class Ratio(NamedTuple):
    """`2:3:4`."""

    parts: tuple[Fraction, ...]
    """Its terms."""


class Based(NamedTuple):
    """A number in a base that is written beside it."""

    digits: str
    """As it is written, without leading zeros."""
    base: int
    """The base."""


class Choice(NamedTuple):
    """The letter of a choice."""

    letter: str
    """A capital letter."""


class Words(NamedTuple):
    """A name or a phrase."""

    words: tuple[str, ...]
    """In small letters, without articles."""


class Condition(NamedTuple):
    """A set that is given by a condition other than an inequality; known by its spelling alone."""

    spelling: str
    """Without white space."""


class Denial(NamedTuple):
    """`not 5`: says what the answer is not."""


Answer: TypeAlias = (
    Scalar | Interval | Union | Several | Ordered | Named | Equation | Ordering | Clock | Ratio | Based | Choice | Words
    | Condition | Denial
)  # fmt: skip
"""What an answer says."""

_MINUS_INFINITY, _INFINITY = (Scalar(Formula((sign, ("infinity",)), frozenset(), False)) for sign in "-+")
_EXPONENT = re.compile(r"(?<![\w.])(\d+(?:\.\d*)?|\.\d+)[eE]([-+]?\d{1,3})(?![\w]|\.\d)")
_TIMES_TEN = re.compile(r"(?<=\d) ?[xX*] ?(?=10 ?\^)")
_GROUPED = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+)(?![\d,])")
_ALL_GROUPED = re.compile(r"\D*\d{1,3}(?:,\d{3})+(?!,?\d).*", re.DOTALL)
_TRAILING = re.compile(r"(?:(?<!\\)[.,;:]|\\\\|\s)+$")
_SIMPLE = re.compile(r"-?(?:\d{1,40}(?:\.\d{1,40})?|\.\d{1,40})")
_CLOCK = re.compile(r"(\d{1,2})(?:[:.](\d{2}))? ?([ap])\.? ?m\.?", re.IGNORECASE)
_COLON = re.compile(r"\d+(?:\.\d+)?(?: ?: ?\d+(?:\.\d+)?)+")
_BASED = re.compile(r"\(?([0-9A-Za-z]+)\)?_(?:\{(?:\x02)?\s*(\w+)\s*(?:\x03)?\s*\}|(\d))")
_IN_BASE = re.compile(r"([0-9]+) ?\(?(?:in )?base[ -](\w+)\)?", re.IGNORECASE)
_SET_BUILDER = re.compile(r"\\\{\s*(?P<name>[a-zA-Z])\s*(?:\\in\s*\\mathbb\{?R\}?\s*)?[|:]\s*(?P<condition>.+)\\\}")
_RELATION_SIGNS = {"<": "<", ">": ">", "\\le": "\\le", "\\ge": "\\ge", "\\ne": "\\ne", "=": "=", "\\approx": "="}
_TURNED = {">": "<", "\\ge": "\\le"}
_CHOICE = re.compile(r"\(?\x02?\(?([A-Z])\)?\x03?\)?[.:]?")
CHOICE_WITH_TEXT = re.compile(r"(?:\(([A-Z])\)|([A-Z])[.:)])\s+(?!.*(?:\([A-Z]\)|\b[A-Z][.:)]\s)).+", re.DOTALL)
_FUNCTIONS = frozenset("fghEFGHPpTNSuvy")
_SEPARATORS = frozenset({",", ";", "and", "or", "\\wedge", "\\vee", "&"})
_COMPARISONS = (
    (re.compile(r"\b(?:no|not) (?:less|fewer|smaller|lower) than\b|\bat least\b", re.I), "\\ge"),
    (re.compile(r"\b(?:no|not) (?:more|greater|larger|higher) than\b|\bat most\b|\bup to\b", re.I), "\\le"),
    (re.compile(r"\b(?:more|greater|larger|bigger|higher) than\b|\b(?:over|above|exceeds|exceeding)\b", re.I), ">"),
    (re.compile(r"\b(?:less|fewer|smaller|lower) than\b|\b(?:under|below)\b", re.I), "<"),
)
_DENIED = re.compile(r"\b(?:not|never|isn't|is ?n't|neither|cannot be|can't be|anything but|other than)\b", re.I)
_CORRECTED = re.compile(r"\bnot\b[^.;]{1,40}?,?\s+but(?: rather)?\b", re.I)
_OPERATIONS_IN_WORDS = (
    (re.compile(r"\b(?:minus|negative)\s+(?=[\d\\$.])", re.I), "-"),
    (re.compile(r"(?<=[\d})])\s+squared\b(?! *(?:in|f|m|c|y|k))", re.I), "^2"),
    (re.compile(r"(?<=[\d})])\s+cubed\b(?! *(?:in|f|m|c|y|k))", re.I), "^3"),
    (re.compile(r"\b(?:the )?square root of\s+(?=[\d(])", re.I), "\\\\surd "),
    (re.compile(r"(?<=\d)\s*(?:percent|per cent|percentage points?|pct)\b", re.I), "%"),
    (re.compile(r"\bhalf of\s+(?=\d)", re.I), "\\\\frac{1}{2}\\\\cdot "),
    (re.compile(r"(?<=\d) times (?=\d)", re.I), "\\\\cdot "),
    (re.compile(r"(?<=\d) plus (?=\d)", re.I), "+"),
    (re.compile(r"(?<=\d) and a half\b", re.I), "\\\\frac{1}{2}"),
    (re.compile(r"(?<=\d) pi\b", re.I), "\\\\pi "),
)


@lru_cache(maxsize=2048)
def read_answer(text: str) -> Answer | None:
    r"""Read an answer; `None` where a part of the text is beyond the grammar.

    Raises:
        HugeError: a power or factorial in it is too large to be worked out.

    Example:
        >>> read_answer("3\\\\frac{2}{7}").exact, read_answer("x - 5").exact
        (Fraction(23, 7), None)
    """
    if _SIMPLE.fullmatch(text):
        return _plain_number(text)
    if len(text) > MAX_CHARS:
        return None
    try:
        return _read(text)
    except (UncoveredError, RecursionError):
        return None


def read_list(text: str) -> Answer | None:
    """As `read_answer`, but every comma separates: `100,200` is 100 and 200, and not 100 thousand 200.

    Raises:
        HugeError: as above.
    """
    return read_answer(re.sub(r"(?<=\d),(?=\d)", ", ", text))


def _plain_number(text: str) -> Scalar:
    value = Fraction(text)
    return Scalar(Formula(("number", value), frozenset(), False), value, len(text.partition(".")[2]))


def _read(text: str) -> Answer | None:
    text = without_delimiters(normalise(text))
    text = _TRAILING.sub("", text).strip(' *\n"')
    text = _unwrap(text)
    if not text:
        return None
    if whole := _CHOICE.fullmatch(text):
        return Choice(whole[1])
    readers: tuple[Callable[[str], Answer | None], ...] = (_read_based, _read_clock, _read_colon, _read_condition)
    for read in readers:
        found = read(text)
        if found is not None:
            return found
    text = _TIMES_TEN.sub(r"\\cdot ", _EXPONENT.sub(r"\1\\cdot 10^{\2}", text))
    words = _read_wording(text)
    if words is not None:
        return words
    for pattern, replacement in _OPERATIONS_IN_WORDS:
        text = pattern.sub(replacement, text)
    for pattern, sign in _COMPARISONS:
        if pattern.search(text):
            rest = pattern.sub(" ", text)
            return _half_line(sign, _scalar(tokenize(_ungrouped(rest))))
    text = _CORRECTED.sub(" ", text)
    if _DENIED.search(text):
        return Denial()
    if _ALL_GROUPED.fullmatch(text) or ", " in text:
        text = _ungrouped(text)
    return _read_tokens(tokenize(text))


def _ungrouped(text: str) -> str:
    """Take the commas out of `1,234`, outside of brackets, where they separate."""
    pieces, depth, start = list[str](), 0, 0
    for match in re.finditer(r"\\?[{}()\[\]]", text):
        sign = match.group()[-1]
        if depth == 0:
            pieces.append(_GROUPED.sub(_joined, text[start : match.start()]))
            start = match.start()
        depth = depth + 1 if sign in "({[" else max(depth - 1, 0)
        if depth == 0:
            pieces.append(text[start : match.end()])
            start = match.end()
    rest = text[start:]
    pieces.append(rest if depth else _GROUPED.sub(_joined, rest))
    return "".join(pieces)


def _joined(match: re.Match[str]) -> str:
    return match.group().replace(",", "")


def _unwrap(text: str) -> str:
    """Take away braces around the whole, and a box within a box."""
    for _ in range(3):
        box = re.fullmatch(r"\\(?:boxed|fbox)\s*\{(.*)\}", text, re.DOTALL)
        inner = box[1] if box else text[1:-1] if text[:1] == "{" and text[-1:] == "}" else None
        if inner is None or _depths_below_zero(inner):
            return text
        text = inner.strip()
    return text


def _depths_below_zero(text: str) -> bool:
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth < 0:
            return True
    return depth != 0


def _read_based(text: str) -> Based | None:
    match = _BASED.fullmatch(text.replace(" ", "")) or _IN_BASE.fullmatch(text)
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


def _read_clock(text: str) -> Clock | None:
    match = _CLOCK.fullmatch(text.replace(TEXT_OPEN, "").replace(TEXT_CLOSE, "").replace("  ", " ").strip())
    if match is None:
        return None
    return Clock(int(match[1]), int(match[2] or 0), match[3].lower() + "m")


def _read_colon(text: str) -> Clock | Ratio | None:
    if not _COLON.fullmatch(text):
        return None
    parts = [part.strip() for part in text.split(":")]
    if len(parts) == 2 and len(parts[1]) == 2 and parts[1].isdecimal() and len(parts[0]) < 3 and parts[0].isdecimal():
        return Clock(int(parts[0]), int(parts[1]), "")
    return Ratio(tuple(Fraction(part) for part in parts))


def _read_condition(text: str) -> Answer | None:
    built = _SET_BUILDER.fullmatch(text)
    if built is None:
        return None
    try:
        found = _read_tokens(tokenize(built["condition"]))
    except UncoveredError:
        found = None
    is_about_it = re.search(rf"(?<![a-zA-Z\\]){built['name']}(?![a-zA-Z])", built["condition"]) is not None
    is_range = isinstance(found, Several) and all(isinstance(item, Interval) for item in found.items)
    if is_about_it and (isinstance(found, Interval | Union) or is_range):
        return found
    return Condition(re.sub(r"\s", "", text))


def _read_wording(text: str) -> Answer | None:
    """Words without any mathematics, a number in words, or `None`."""
    tokens = words_of([Token("text", text.replace(TEXT_OPEN, " ").replace(TEXT_CLOSE, " "), 0, len(text))])
    if not tokens or any(not re.fullmatch(r"[^\W\d_]+(?:['-][^\W\d_]+)*", token.text) for token in tokens):
        return None
    if re.search(r"[\d\\$^=<>+*/|_%(){}\[\]]", text):
        return None
    words = [token.text.lower() for token in tokens]
    if len(words) > 1 and any(word in {"and", "or"} for word in words):
        parts = re.split(r"(?:,|\band\b|\bor\b)", text.replace(TEXT_OPEN, " ").replace(TEXT_CLOSE, " "))
        if all(len(part.split()) == 1 for part in parts):  # red or blue
            return Several(tuple(Words((part.strip().lower(),)) for part in parts))
        return Words(tuple(words))
    if TEXT_OPEN not in text and len(words) == 1 and len(words[0]) < 3:
        return None  # x, ab: mathematics
    plain = [word for word in words if word not in {"a", "an", "the", "is", "answer", "it"}]
    if (
        plain
        and plain[0] in {"minus", "negative"}
        and len(plain) > 1
        and (value := read_number_word(plain[1])) is not None
    ):
        return _scalar_of(-value, tokens[words.index(plain[1]) + 1 :])
    if plain and (value := read_number_word(plain[0])) is not None:
        return _scalar_of(value, tokens[words.index(plain[0]) + 1 :])
    if _DENIED.search(" ".join(words)) and len(plain) == 2 and plain[0] == "not":
        return Denial()
    if "," in text:
        parts = text.replace(TEXT_OPEN, " ").replace(TEXT_CLOSE, " ").split(",")
        if all(len(part.split()) == 1 for part in parts):
            return Several(tuple(Words((part.strip().lower(),)) for part in parts))
        return Words(tuple(words))
    return Words(tuple(plain)) if plain else None


def _scalar_of(value: int, rest: Sequence[Token]) -> Answer | None:
    words = list(rest)
    if words and words[0].text.lower() in SCALES:
        value *= SCALES[words.pop(0).text.lower()]
    unit = read_unit(words) if words else None
    if words and unit is None:
        return None
    number = Fraction(value)
    return Scalar(
        Formula(("number", number), frozenset(), False), number, 0, unit if unit and unit.dimensions else None
    )


def _read_tokens(tokens: Sequence[Token]) -> Answer | None:
    """Read several answers, a union, a relation, a bracket or a scalar, whichever the tokens are."""
    tokens = _without_end(_without_filler(tokens))
    if not tokens:
        return None
    texts = [token.text for token in tokens]
    if texts[:2] == ["\\begin", "{"] and texts[3:4] == ["}"]:
        return _matrix(tokens)
    if texts[0] == "\\{" and texts.count("\\}") < texts.count("\\{"):
        return _read_tokens(tokens[1:])  # a brace in front of a system of equations
    parts, separators = _split(tokens, _is_separator)
    if len(parts) > 1:
        return _several(parts, separators)
    parts, _ = _split(tokens, lambda token: token.text == "\\cup")
    if len(parts) > 1:
        ranges = [_read_tokens(part) for part in parts]
        if not all(isinstance(part, Interval | Several | Ordered) for part in ranges):
            return None
        return Union(tuple(_as_interval(part) for part in ranges if part is not None))
    parts, signs = _split(tokens, lambda token: token.text in _RELATION_SIGNS and token.kind != "text")
    if len(parts) > 1:
        return _relation(parts, [_RELATION_SIGNS[sign.text] for sign in signs])
    if len(tokens) > 2 and texts[1] == "\\in" and tokens[0].kind in {"letter", "command"}:
        inside = _read_tokens(tokens[2:])
        if isinstance(inside, Interval):
            return inside._replace(name=tokens[0].text)
        return inside if isinstance(inside, Union | Several | Ordered) else None
    bracketed = _bracketed(tokens)
    if bracketed is not None:
        return bracketed
    if texts[0] in {"\\emptyset"} and len(tokens) == 1:
        return Several((), in_braces=True)
    if any(text in {"\\pm", "\\mp"} for text in texts):
        return _plus_minus(tokens)
    return _scalar(tokens)


def _without_end(tokens: Sequence[Token]) -> Sequence[Token]:
    while tokens and tokens[-1].text in {".", ",", ";"}:
        tokens = tokens[:-1]
    return tokens


def _without_filler(tokens: Sequence[Token]) -> Sequence[Token]:
    """Take away the words in front that say nothing: `the total is about`, `either`."""
    at = 0
    for token in tokens:
        # A word of another alphabet, or one that has a meaning for numbers, is left for the reader to refuse.
        is_word = token.kind == "word" and token.text.isascii() and len(token.text) > 1
        if token.kind == "text":
            is_filler = all(word.text.lower() in FILLER for word in words_of([token]))
        elif is_word:
            is_filler = token.text.lower() in FILLER or token.text.lower() == "either"
        else:
            is_filler = token.text in {"\\approx", ":", "="} or (
                token.text in {"a", "I"} and at + 1 < len(tokens) and tokens[at + 1].kind == "word"
            )
        if not is_filler:
            break
        at += 1
    return tokens[at:]


def _split(tokens: Sequence[Token], is_mark: Callable[[Token], bool]) -> tuple[list[Sequence[Token]], list[Token]]:
    """Split at the marks that stand in no bracket."""
    parts, marks, start, depth = list[Sequence[Token]](), list[Token](), 0, 0
    for i, token in enumerate(tokens):
        if token.kind in {"sign", "escaped"} and token.text in {"(", "[", "{", "\\{"}:
            depth += 1
        elif token.kind in {"sign", "escaped"} and token.text in {")", "]", "}", "\\}"}:
            depth -= 1
        elif depth == 0 and is_mark(token):
            parts.append(tokens[start:i])
            marks.append(token)
            start = i + 1
    parts.append(tokens[start:])
    return parts, marks


def _is_separator(token: Token) -> bool:
    text = token.text.strip().lower()
    if token.kind == "text":
        return text in {"and", "or", ",", "", "und", "et", "y", "ou"} and text != ""
    return text in _SEPARATORS or text == "\\\\"


def _several(parts: Sequence[Sequence[Token]], separators: Sequence[Token]) -> Answer | None:
    """Several answers: `3, 5 and 7`, `x = 1 or x = 2`, `x = 1, y = 2`, `-3 < x and x < 5`."""
    parts = [part for part in parts if part]  # `, and` leaves nothing between
    if len(parts) == 1:
        return _read_tokens(parts[0])
    has_gap = any([token.text for token in part] in (["\\ldots"], [".", ".", "."]) for part in parts)
    compound = _compound(parts)
    if compound is not None:
        return compound
    items = [
        _read_tokens(part) for part in parts if [token.text for token in part] not in (["\\ldots"], [".", ".", "."])
    ]
    if any(item is None or isinstance(item, Denial | Choice) for item in items):
        return None if not all(isinstance(item, Choice) for item in items) else Several(tuple(filter(None, items)))
    found = [item for item in items if item is not None]
    flat = list[Answer]()
    for item in found:
        flat += item.items if isinstance(item, Several) and not item.in_braces else [item]
    is_union = all(isinstance(item, Interval) for item in flat)
    if is_union and len({item.name for item in flat if isinstance(item, Interval)}) == 1:
        return (
            Union(tuple(flat))
            if all(mark.text.lower() in {"or", "\\vee"} for mark in separators)
            else Several(tuple(flat))
        )
    return Several(tuple(flat), has_gap=has_gap)


def _compound(parts: Sequence[Sequence[Token]]) -> Scalar | None:
    """`3 hours and 20 minutes`, `5 feet, 6 inches`."""
    if len(parts) != 2:
        return None
    tokens = [*parts[0], *parts[1]]
    try:
        return _compound_quantity(tokens)
    except UncoveredError:
        return None


def _as_interval(answer: Answer) -> Answer:
    if isinstance(answer, Ordered) and len(answer.items) == 2:
        low, high = answer.items
        if isinstance(low, Scalar) and isinstance(high, Scalar):
            return Interval(low, high, False, False)
    return answer


def _relation(parts: Sequence[Sequence[Token]], signs: Sequence[str]) -> Answer | None:
    if all(sign == "=" for sign in signs):
        return _equality(parts)
    if "=" in signs:
        return None
    sides = [_side(part) for part in parts]
    turned = {*signs} <= {">", "\\ge", "\\ne"} and {*signs} != {"\\ne"}
    if not turned and {*signs} & {">", "\\ge"}:
        return None
    if turned:
        sides, signs = sides[::-1], [_TURNED.get(sign, sign) for sign in reversed(signs)]
    # A lone variable between numbers makes an interval.
    names = [i for i, side in enumerate(sides) if side.formula.node[0] == "letter"]
    numbers = [i for i, side in enumerate(sides) if not side.formula.letters]
    if len(names) == 1 and len(numbers) == len(sides) - 1 and len(sides) < 4 and "\\ne" not in signs:
        at = names[0]
        if at == 1 or len(sides) == 2:
            low = sides[at - 1] if at > 0 else _MINUS_INFINITY
            high = sides[at + 1] if at + 1 < len(sides) else _INFINITY
            low_closed = at > 0 and signs[at - 1] == "\\le"
            high_closed = at + 1 < len(sides) and signs[at] == "\\le"
            return Interval(low, high, low_closed, high_closed, str(sides[at].formula.node[1]))
    return Ordering(tuple(side.formula for side in sides), tuple(signs))


def _side(tokens: Sequence[Token]) -> Scalar:
    """One side of an inequality.

    Raises:
        UncoveredError: it is no scalar.
    """
    infinity = _infinity(tokens)
    found = infinity or _scalar(tokens)
    if found is None:
        raise UncoveredError
    return found


def _half_line(sign: str, end: Answer | None) -> Interval | None:
    """`more than 5` as an interval."""
    if not isinstance(end, Scalar):
        return None
    if sign in {">", "\\ge"}:
        return Interval(end, _INFINITY, sign == "\\ge", False)
    return Interval(_MINUS_INFINITY, end, False, sign == "\\le")


def _equality(parts: Sequence[Sequence[Token]]) -> Answer | None:
    """`x = 5` and `3 * 6 = 18` name or work out a value; `x + y = 4` is an equation."""
    last = _read_tokens(parts[-1])
    if last is None:
        return None
    first, label = _without_end(parts[0]), _label(parts[0])
    if label:
        left: Formula | None = None
        with contextlib.suppress(UncoveredError):
            left = read_formula(first)
        # What stands between (`x = 2 + 3 = 5`) was worked out on the way, but must be mathematics.
        for part in parts[1:-1]:
            _formula_or_wording(part)
        return Named(label, last, left)
    formula = read_formula(first)
    if not formula.letters:
        return Named("", last)
    if len(parts) > 2 or not isinstance(last, Scalar) or last.unit is not None:
        return None
    return Equation(formula, last.formula)


def _formula_or_wording(tokens: Sequence[Token]) -> None:
    if _read_tokens(tokens) is None:
        raise UncoveredError


def _label(tokens: Sequence[Token]) -> str:
    r"""The name that a left side is: `x`, `x_1`, `f(x)`, `m_{\max}`, `AB`, `\angle ABC`, `the total`; or nothing."""
    texts = [token.text for token in tokens]
    if not tokens:
        return "it"
    if all(token.kind in {"text", "word"} or token.text in {"a", ".", "'"} for token in tokens):
        return " ".join(texts).lower() if not any(text.lower() in MEANINGFUL for text in texts) else ""
    if texts[0] == "\\angle" or texts[0] in {"\\triangle"}:
        return "".join(texts)
    try:
        formula = read_formula(tokens)
    except UncoveredError:
        # P(X=6), f(g(x)), E[X], |AB|: a name with something in brackets.
        is_function = tokens[0].kind in {"letter", "word"} and len(texts) > 2 and texts[1] in {"(", "["}
        is_whole = is_function and texts[-1] in {")", "]"} and len(_split(tokens[1:], lambda token: True)[0]) == 1
        return "".join(texts) if is_whole else ""
    if formula.node[0] == "letter":
        return str(formula.node[1])
    is_capitals = all(token.kind in {"letter", "word"} and token.text.isupper() for token in tokens)
    is_length = formula.node[0] == "abs" and len(texts) < 6
    brackets = texts[1:2] + texts[3:]  # f(2), E[X]
    is_function = tokens[0].text in _FUNCTIONS and len(texts) == 4 and brackets in (["(", ")"], ["[", "]"])
    return "".join(texts) if is_capitals or is_length or is_function else ""


def _bracketed(tokens: Sequence[Token]) -> Answer | None:
    """A tuple, interval or set in its brackets; `None` for brackets around one formula."""
    first, last = tokens[0].text, tokens[-1].text
    if tokens[0].kind not in {"sign", "escaped", "command"} or len(tokens) < 2:
        return None
    kinds = {
        ("(", ")"): "tuple", ("[", "]"): "interval", ("(", "]"): "interval", ("[", ")"): "interval",
        ("\\{", "\\}"): "set", ("]", "["): "interval", ("\\langle", "\\rangle"): "tuple",
    }  # fmt: skip
    kind = kinds.get((first, last))
    inside = tokens[1:-1]
    if kind is None or not _is_closed(inside):
        return None
    parts, marks = _split(inside, lambda token: token.text in {",", ";"} and token.kind == "sign")
    if kind == "set":
        if not inside:
            return Several((), in_braces=True)
        has_gap = any([token.text for token in part] == ["\\ldots"] for part in parts)
        items = [_read_tokens(part) for part in parts if [token.text for token in part] != ["\\ldots"]]
        if any(item is None for item in items):
            raise UncoveredError
        flat = list[Answer]()
        for item in items:
            flat += item.items if isinstance(item, Several) and not item.in_braces else [item] if item else []
        return Several(tuple(flat), in_braces=True, has_gap=has_gap)
    if len(parts) == 1:
        if kind == "interval":
            raise UncoveredError
        found = _read_tokens(inside)
        if isinstance(found, Scalar | None):
            return None  # brackets of mathematics: the formula reads them
        return found
    if kind == "interval" and len(parts) == 2 and marks[0].text in {",", ";"}:
        low, high = (_infinity(part) or _scalar(part) for part in parts)
        if low is None or high is None:
            raise UncoveredError
        return Interval(low, high, first == "[", last == "]")
    if kind == "interval" and (first, last) != ("[", "]"):
        raise UncoveredError
    ends = [_infinity(part) for part in parts]
    if any(ends):
        if len(parts) != 2:
            raise UncoveredError
        low, high = (end or _scalar(part) for end, part in zip(ends, parts, strict=True))
        if low is None or high is None:
            raise UncoveredError
        return Interval(low, high, False, False)
    items = [_read_tokens(part) for part in parts]
    if any(item is None or (isinstance(item, Several) and not item.in_braces) for item in items):
        raise UncoveredError
    found_items = tuple(item for item in items if item is not None)
    if all(isinstance(item, Named) for item in found_items):
        return Several(found_items)  # (x = 1, y = 2): the names make the order
    return Ordered(found_items)


def _is_closed(tokens: Sequence[Token]) -> bool:
    """Whether the brackets within are in order, so that the first and the last around them belong together.

    Half-open intervals within a tuple are not foreseen.
    """
    depth = 0
    for token in tokens:
        if token.kind in {"sign", "escaped"}:
            depth += (token.text in {"(", "[", "{", "\\{"}) - (token.text in {")", "]", "}", "\\}"})
        if depth < 0:
            return False
    return depth == 0


def _infinity(tokens: Sequence[Token]) -> Scalar | None:
    texts = [token.text for token in tokens]
    if texts in (["\\infty"], ["+", "\\infty"], ["infinity"], ["infty"], ["oo"], ["inf"]):
        return _INFINITY
    return _MINUS_INFINITY if texts in (["-", "\\infty"], ["-", "infinity"], ["-", "inf"], ["-", "oo"]) else None


def _matrix(tokens: Sequence[Token]) -> Ordered | None:
    r"""`\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}`."""
    texts = [token.text for token in tokens]
    if texts[2] not in {"pmatrix", "bmatrix"} or texts[-4:] != ["\\end", "{", texts[2], "}"]:
        return None
    rows, _ = _split(tokens[4:-4], lambda token: token.text == "\\\\")
    found = list[Answer]()
    for row in rows:
        if not row and row is rows[-1]:
            continue
        cells = [_scalar(cell) for cell in _split(row, lambda token: token.text == "&")[0]]
        if any(cell is None for cell in cells):
            return None
        found.append(Ordered(tuple(cell for cell in cells if cell is not None)))
    return Ordered(tuple(found), "matrix") if found else None


def _plus_minus(tokens: Sequence[Token]) -> Several | None:
    r"""The two answers of `1 \pm \sqrt{2}`."""
    if sum(token.text in {"\\pm", "\\mp"} for token in tokens) > 1:
        return None
    found = []
    for sign in "+-":
        swapped = [
            token._replace(kind="sign", text=sign) if token.text in {"\\pm", "\\mp"} else token for token in tokens
        ]
        found.append(_scalar(swapped))
    return None if None in found else Several(tuple(item for item in found if item is not None))


def _scalar(tokens: Sequence[Token]) -> Scalar | None:
    """A number or formula with what stands around it.

    Raises:
        UncoveredError: there is something else around it.
    """
    tokens = list(_without_end(tokens))
    currency: Unit | None = None
    minus = list[Token]()
    tokens = _without_words_in_front(tokens)
    if tokens and tokens[0].text in {"-", "+"} and len(tokens) > 1 and tokens[1].text in CURRENCY:
        minus, tokens = [tokens[0]], tokens[1:]
    if tokens and tokens[0].text in CURRENCY:
        currency, tokens = Unit(Fraction(1), ((CURRENCY[tokens[0].text], 1),)), [*minus, *tokens[1:]]
    tokens = [token for token in tokens if token.text not in {"\\$"} or currency is None]
    tokens = _without_remark(tokens)
    if not tokens:
        raise UncoveredError
    compound = _compound_quantity(tokens) if currency is None else None
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
        letter = _unit_letter(head, tail) if unit is None else ""
        return Scalar(formula, _exact(formula), _decimals(head), unit, percent, letter)
    raise UncoveredError


def _is_per(tail: Sequence[Token]) -> bool:
    return any(token.text.lower() in {"/", "per", "a", "each", "an"} for token in words_of(tail)) or all(
        find_unit(token) is None for token in words_of(tail)
    )


def _exact(formula: Formula) -> Fraction | None:
    if formula.letters:
        return None
    try:
        return Values(formula).exact
    except UncoveredError:
        return None


def _unit_starts(tokens: Sequence[Token]) -> Iterator[int]:
    """Yield where the unit may begin, the longest unit first, then the place behind all.

    A lone letter in mathematics is a variable: only words of text mode, words that name a unit and nouns in a sentence
    are units.
    """
    for at in range(1, len(tokens)):
        token, before = tokens[at], tokens[at - 1]
        is_behind_value = before.kind in {"number", "letter", "word", "text"} or before.text in {
            ")",
            "}",
            "%",
            "|",
            "\\pi",
            "!",
        }
        is_scale = token.kind == "word" and token.text.lower() in SCALES
        if not is_behind_value:
            continue
        following = tokens[at + 1].kind if at + 1 < len(tokens) else ""
        is_per = token.text in {"/", "\\$", "$"} and following in {"word", "text"}
        if token.kind in {"text", "word"} or is_scale or token.text == "\\degree" or is_per:
            yield at
        elif (
            token.kind == "letter"
            and token.text in {"m", "s", "g", "h", "a", "N", "J", "W", "V", "K", "L"}
            and at + 1 < len(tokens)
        ):
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


def _unit_letter(head: Sequence[Token], tail: Sequence[Token]) -> str:
    is_letter = len(head) > 1 and not tail and head[-1].kind == "letter" and head[-1].text in LETTER_UNITS
    return head[-1].text if is_letter else ""


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
            word.text.lower() not in MEANINGFUL and read_number_word(word.text) is None for word in words_of([token])
        )
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


def _compound_quantity(tokens: Sequence[Token]) -> Scalar | None:
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


__all__ = [
    "CHOICE_WITH_TEXT", "MAX_CHARS", "Answer", "Based", "Choice", "Clock", "Condition", "Denial", "Equation",
    "HugeError", "Interval",
    "Named", "Ordered", "Ordering", "Ratio", "Scalar", "Several", "Union", "Words", "read_answer", "read_list",
]  # fmt: skip
