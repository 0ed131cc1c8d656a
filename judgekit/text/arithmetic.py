r"""Find the equalities that a text states, in LaTeX or plain text, and work out their sides exactly.

`In all, 4 houses * 3 gnomes = $12`, `\frac{1}{2} \times 48 = 24`, `x = 2 + 3 = 5`, `half of 48 is 24`. A side is a
number, or linear in letters (`2x + 3`); whatever goes beyond that is read to its end but has no value, so that no part
of a longer formula is taken for the whole. Nothing is evaluated as code; sizes and nesting are bounded, and time grows
linearly with the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import factorial, isqrt
from typing import NamedTuple, TypeAlias

Linear: TypeAlias = Mapping[str, Fraction]
"""Coefficients by letter, the constant under `""`; zeros are left out."""

MAX_CHARS = 20_000
"""Only so much of a text is read."""
_MAX_TOKENS = 300
_MAX_DEPTH = 25
_MAX_DIGITS = 18
_MAX_BITS = 200
_MAX_EXPONENT = 30
_MAX_FACTORIAL = 20
_MAX_UNIT_WORDS = 8
_MAX_WORDS_BEHIND = 5
_MAX_LABEL_WORDS = 8
_ROOT_SCALE = 10**12

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_WORD_NUMBERS = {word: Fraction(value) for value, word in enumerate(_SMALL)} | {
    "thirty": Fraction(30), "forty": Fraction(40), "fifty": Fraction(50), "sixty": Fraction(60),
    "half": Fraction(1, 2), "twice": Fraction(2), "double": Fraction(2),
    "third": Fraction(1, 3), "one-third": Fraction(1, 3), "two-thirds": Fraction(2, 3),
    "quarter": Fraction(1, 4), "one-fourth": Fraction(1, 4), "three-quarters": Fraction(3, 4),
    "three-fourths": Fraction(3, 4), "one-half": Fraction(1, 2), "one-fifth": Fraction(1, 5),
}  # fmt: skip
_PARTS = {
    "third": Fraction(3), "fourth": Fraction(4), "quarter": Fraction(4), "fifth": Fraction(5), "sixth": Fraction(6),
    "seventh": Fraction(7), "eighth": Fraction(8), "ninth": Fraction(9), "tenth": Fraction(10),
}  # fmt: skip
_MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12, "dozens": 12}
_TOKEN = re.compile(
    r"""
    (?P<opaque>[0-9]+(?::[0-9]+)+)
    | (?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++)?|\.[0-9]++)
    | (?P<command>\\[a-zA-Z]++)
    | (?P<word>[^\W\d_]{2,}+(?:['\u2019-][^\W\d_]++)*+)
    | (?P<letter>[^\W\d_])
    | (?P<newline>\n)
    | (?P<mark>\S)
    """,
    re.VERBOSE,
)
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|operatorname)\s?\{([^{}]{0,200})\}")
_REWRITES = (
    (re.compile(r"<<[^<>\n]*>>"), " "),
    (re.compile(r"(?<![0-9)])!="), "\u2260"),  # behind a digit it is a factorial
    (re.compile(r"\\sqrt\s?\["), r"\\root["),  # not a square root: has no value here
    (re.compile(r",\\!"), ","),
    (_TEXT, r" \1 "),
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
_SAME = {
    "\\times": "*", "\\cdot": "*", "\\div": "/", "\\approx": "\u2248", "\\simeq": "\u2248", "\\dfrac": "\\frac",
    "\\tfrac": "\\frac", "\\cfrac": "\\frac", "\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u00b7": "*", "\u2217": "*",
    "\u22c5": "*", "\u00f7": "/", "[": "(", "{": "(", "]": ")", "}": ")",
    "\u00b2": "^2", "\u00b3": "^3", "\\%": "%",
}  # fmt: skip
_WORD_OPERATORS = {"plus": "+", "minus": "-", "times": "*", "of": "*", "multiplied": "*", "divided": "/"}
_SHARE = re.compile(r"[0-9]{1,3}/[0-9]{1,3}")
_RELATIONS = frozenset({"=", "\u2248"})
_WORD_RELATIONS = frozenset({"is", "equals", "gives", "makes", "equal", "are"})
_CURRENCY = frozenset("$\u20ac\u00a3\u20b9")
_NO_START = frozenset((
    "times", "plus", "minus", "by", "mod", "sqrt", "log", "ln", "sin", "cos", "tan", "root", "over", "remainder",
    "divided", "multiplied", "than", "per", "or",
))  # fmt: skip
_NO_START_OF = frozenset((
    "average", "mean", "median", "remainder", "half", "third", "quarter", "percent", "square", "cube", "root", "sum",
    "product", "difference", "ratio", "twice", "double", "fourth", "fifth", "multiple", "factors", "thirds", "quarters",
    "fourths", "fifths", "percentage", "gcd", "lcm", "power", "logarithm",
))  # fmt: skip
_ARE_OPERATIONS = frozenset(("divided", "multiplied", "divide", "multiply", "dividing", "multiplying", "times"))
_PREPOSITIONS = frozenset(("of", "in", "for", "at", "per", "every", "each", "on", "after", "from", "to", "over", "by"))
_NO_END = frozenset((
    "mod", "remainder", "r", "billion", "base", "choose", "or", "dozen", "score",
))  # fmt: skip


class Token(NamedTuple):
    """One token of a text."""

    kind: str
    """Name of the group that matched, or `end`."""
    text: str
    """As it stands, in the common spelling of operators."""
    start: int
    """Offset in the readable text."""
    end: int
    """Offset behind it."""


@dataclass
class Side:
    """One side of an equality."""

    value: Linear | None
    """Its value; `None` where it has none that can be worked out."""
    operations: int = 0
    """Operations in it."""
    operands: tuple[Fraction, ...] = ()
    """Numbers in it, as they stand."""
    decimals: int = 0
    """Decimals of the last number."""
    has_decimals: bool = False
    """Whether any number has decimals."""
    is_irrational: bool = False
    """Whether a root was cut off."""
    is_percent: bool = False
    """Whether it ends in a percent sign."""
    has_power_of_ten: bool = False
    """Whether it has a factor such as `10^8`, as measured quantities do."""
    is_doubtful: bool = False
    """Whether there is more than one way to read it: a mismatch then says nothing."""
    units: frozenset[str] = frozenset()
    """Words of units in it."""
    text: str = ""
    """As it stands, without the mark-up that `readable` removes."""

    @property
    def number(self) -> Fraction | None:
        """The value where no letter is in it."""
        if self.value is None or any(letter for letter in self.value):
            return None
        return self.value.get("", Fraction(0))

    @property
    def letter(self) -> str | None:
        """The one letter that this side consists of, if it does."""
        is_letter = self.value is not None and len(self.value) == 1 and not self.operations
        return (
            next((letter for letter, factor in (self.value or {}).items() if is_letter and factor == 1), None) or None
        )


@dataclass(frozen=True)
class Equality:
    """A chain `a = b = c` as stated, or two statements on one quantity: `Total = 2 + 3. Total = 5`."""

    sides: tuple[Side, ...]
    """Two or more."""
    is_approximate: tuple[bool, ...]
    """For each sign of equality whether it says `about`."""
    words_behind: frozenset[str]
    """Words that follow it in the same sentence, in small letters: they may name the unit of the last side."""


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


def find_equalities(text: str) -> list[Equality]:
    r"""Return the equalities of a text in order, true or not.

    Example:
        >>> [side.number for side in find_equalities(r"So \(\frac{1}{2} \times 48 = 24\) are left.")[0].sides]
        [Fraction(24, 1), Fraction(24, 1)]
    """
    return _Scanner(text).equalities()


def find_numbers(text: str) -> set[Fraction]:
    """Return the values of the numbers in a text, in digits or words."""
    found = set()
    for token in _tokens(readable(text)):
        if token.kind == "number" and len(token.text) <= _MAX_DIGITS:
            found.add(Fraction(token.text.replace(",", "")))
        elif token.kind == "opaque" and len(token.text) <= _MAX_DIGITS:
            found |= {Fraction(part) for part in token.text.split(":")}
        elif token.kind == "word":
            found |= _values_in_word(token.text.lower())
    return found


def _values_in_word(word: str) -> set[Fraction]:
    """Return what a word may stand for: `twenty-five`, the parts of `six-sided` and `one-sixth`, `fifths` as 5."""
    whole = _word_value(word)
    parts = [word] if whole is not None else word.split("-")
    values = {value for part in parts if (value := _word_value(part)) is not None}
    return values | {_PARTS[part] for part in word.removesuffix("s").split("-") if part in _PARTS}


def _word_value(word: str) -> Fraction | None:
    word = word.lower()
    head, _, tail = word.partition("-")
    if tail in _WORD_NUMBERS and head in _WORD_NUMBERS and word not in _WORD_NUMBERS:
        return _WORD_NUMBERS[head] + _WORD_NUMBERS[tail]
    return _WORD_NUMBERS.get(word) or (Fraction(_MULTIPLIERS[word]) if word in _MULTIPLIERS else None)


def _tokens(text: str) -> list[Token]:
    return [
        Token(str(match.lastgroup), _SAME.get(match.group(), match.group()), *match.span())
        for match in _TOKEN.finditer(text)
    ]


class _NoSideError(Exception):
    """No expression stands here."""


@dataclass
class _Reading:
    """What has been gathered while one side is read."""

    operations: int = 0
    operands: list[Fraction] = field(default_factory=list)
    decimals: int = 0
    has_decimals: bool = False
    is_irrational: bool = False
    is_percent: bool = False
    has_power_of_ten: bool = False
    n_percent: int = 0
    has_sum: bool = False
    is_doubtful: bool = False
    units: set[str] = field(default_factory=set)


class _Scanner:
    """The tokens of one text and a position among them."""

    def __init__(self, text: str) -> None:
        self.text = readable(text)
        self.tokens = _tokens(self.text)
        self.tokens += [Token("end", "", MAX_CHARS, MAX_CHARS)] * 4
        self.at = 0
        self.limit = 0
        self.depth = 0
        self.reading = _Reading()

    def equalities(self) -> list[Equality]:
        found, i = list[Equality](), 0
        label: tuple[str, ...] = ()
        labelled = Side(None)
        while i < len(self.tokens) - 4:
            chain, behind = self._chain_from(i) if self._may_begin(i) else (None, i + 1)
            if chain is not None:
                if len(chain.sides) > 1:
                    found.append(chain)
                name = self._label(i)
                if name and name == label and labelled.operations:  # Total = 2 + 3. Total = 5.
                    found.append(Equality((labelled, chain.sides[0]), (False,), chain.words_behind))
                label, labelled = name, chain.sides[-1]
            i = max(behind, i + 1)
        return found

    def _label(self, i: int) -> tuple[str, ...]:
        """Return the words that stand in front of the sign of equality before a token: the name of a quantity."""
        i -= 1
        while i > 0 and self.tokens[i].text in _CURRENCY:
            i -= 1
        if i < 1 or self.tokens[i].text != "=":
            return ()
        words = []
        for token in reversed(self.tokens[max(i - _MAX_LABEL_WORDS, 0) : i]):
            if token.kind == "newline" or token.text in (".", ":", ",", "$"):
                break
            if token.kind not in ("word", "letter") and token.text != "'":
                return ()
            words.append(token.text.lower())
        return tuple(words) if any(len(word) > 1 for word in words) else ()

    def _may_begin(self, i: int) -> bool:
        token, before = self.tokens[i], self.tokens[i - 1] if i else Token("newline", "", 0, 0)
        word = token.text.lower()
        if token.text == "-":
            return self._is_open(before, i) and self.tokens[i + 1].start == token.end
        if token.text == "(" and before.kind == "word" and before.end == token.start:
            return False  # a function
        is_operand = token.kind in ("number", "letter", "opaque", "command") or token.text == "("
        if not is_operand and (token.kind != "word" or word not in _WORD_NUMBERS):
            return False
        if before.text == "-" and (i < 2 or self.tokens[i - 2].kind == "newline") and before.end < token.start:
            return True  # a bullet
        return self._is_open(before, i)

    def _is_open(self, before: Token, i: int) -> bool:
        """Tell whether an expression may begin behind this token."""
        if before.kind in ("newline", "end") or before.text in ("=", "\u2248", ":", ",", ";", "."):
            return True
        if before.kind == "word":
            word = before.text.lower()
            if word == "of" and i >= 2:
                return not (
                    self.tokens[i - 2].kind in ("number", "mark", "letter")
                    or (i >= 3 and self.tokens[i - 3].kind == "number")  # 8 packs of 5 bags
                    or self.tokens[i - 2].text.lower() in _NO_START_OF
                    or self._is_part_of_total(i - 2)
                )
            if word == "and" and i >= 2 and self.tokens[i - 2].kind == "number" and self.tokens[i + 1].text == "/":
                return False  # 2 and 3/4
            if word in ("by", "or") and i >= 2 and self.tokens[i - 2].kind != "number":  # rose by 3 * 4 = 12
                opens = self.tokens[i].text == "(" or self.tokens[i + 1].text in ("*", "+", "-", "/", "x")
                return opens and self.tokens[i - 2].text.lower() not in _ARE_OPERATIONS
            return word not in _NO_START and _word_value(word) is None
        if before.text in _CURRENCY:
            return i < 2 or self._is_open(self.tokens[i - 2], i - 1) or self.tokens[i - 2].text in ("(",)
        if before.text == "(" and i >= 2:  # has more than Ann (4 + 2 = 6)
            return self.tokens[i - 2].kind == "word" and self.tokens[i - 2].end < before.start
        return before.text in ("(", "*", "\u2022") and i < 2

    def _is_part_of_total(self, i: int) -> bool:
        """Tell whether a word is the total that something is a part of: `20% of the total of 50`."""
        words = [token.text.lower() for token in self.tokens[max(i - 2, 0) : i + 1]]
        return words[-1] == "total" and "of" in words

    def _chain_from(self, first: int) -> tuple[Equality | None, int]:
        """Read sides and signs of equality in turn; returns the chain, even of one side, and the token behind it."""
        sides, approximate = list[Side](), list[bool]()
        self.at, self.limit = first, min(first + _MAX_TOKENS, len(self.tokens))
        behind = first + 1
        try:
            while True:
                self._skip_currency()
                sides.append(self._side())
                behind = self.at
                sign = self._relation(sides[-1])
                if sign is None:
                    break
                approximate.append(sign)
        except _NoSideError:
            if not sides:
                return None, behind
        if not self._ends_well(behind):
            sides[-1].is_doubtful = True
        return Equality(tuple(sides), tuple(approximate[: len(sides) - 1]), self._words_behind(behind)), behind

    def _words_behind(self, i: int) -> frozenset[str]:
        words = set()
        for token in self.tokens[i : i + _MAX_WORDS_BEHIND]:
            if token.kind == "newline" or token.text in (".", ";", ",", "="):
                break
            words.add(token.text.lower())
        return frozenset(words)

    def _relation(self, side: Side) -> bool | None:
        """Pass a sign of equality; returns whether it says `about`, or `None` where there is none."""
        i = self.at
        while self.tokens[i].text in _CURRENCY:
            i += 1
        token = self.tokens[i]
        if token.text in _RELATIONS:
            self.at = i + 1
            return token.text == "\u2248"
        if token.text == "," and self.tokens[i + 1].text.lower() == "which":
            i, token = i + 2, self.tokens[i + 2]
        is_share = _SHARE.fullmatch(side.text) is not None  # 4/7 is equal to $24
        if token.kind == "word" and token.text.lower() in _WORD_RELATIONS and side.operations and not is_share:
            i += 1
            for word in ("equal", "to"):
                i += self.tokens[i].text.lower() == word
            following = self.tokens[i + 1] if self.tokens[i].text in _CURRENCY else self.tokens[i]
            if following.kind == "number":
                self.at = i
                return False
        return None

    def _ends_well(self, i: int) -> bool:
        token = self.tokens[i]
        while token.text in _CURRENCY:
            i += 1
            token = self.tokens[i]
        if token.kind in ("number", "opaque", "command") or self._is_list_or_recurring(i):
            return False
        words = [t.text.lower() for t in self.tokens[i : i + 4]]
        if token.kind in ("word", "letter"):
            if words[0] in _NO_END:
                return False
            for j in range(i, min(i + 3, len(self.tokens))):  # 2 hours 30 minutes, 2 hours and 30 minutes
                if self.tokens[j].kind == "number" or self.tokens[j].text.lower() in ("remainder", "r"):
                    return False
                is_word = self.tokens[j].kind in ("word", "letter")
                if not is_word or (j == i and words[0] == "and") or self.tokens[j].text.lower() in _PREPOSITIONS:
                    break
            return words[:3] != ["and", "a", "half"]
        if token.text == "/":
            return self.tokens[i + 1].kind == "word"  # $1000/day
        return token.kind in ("newline", "end") or token.text in ".,;:)!?\"'*_\u2019#<>|}~\u2705\u2713\u21d2"

    def _is_list_or_recurring(self, i: int) -> bool:
        """Tell whether the number that ends here is the first of a list, or goes on: `= 1, 2, 6`, `5.55...`."""
        here, following, third = self.tokens[i : i + 3]
        if here.text == ".":
            return following.text == "." or (following.kind == "command" and following.start == here.end)
        return here.text == "," and following.kind == "number" and third.text == ","

    def _side(self) -> Side:
        self.reading, self.depth = _Reading(), 0
        start = self.tokens[self.at].start
        value = self._sum()
        read = self.reading
        has_mixed_sum = read.has_sum and 0 < read.n_percent < len(read.operands)  # 100 - 20% = 80, colloquially
        return Side(
            value=value,
            operations=read.operations,
            operands=tuple(read.operands),
            decimals=read.decimals,
            has_decimals=read.has_decimals,
            is_irrational=read.is_irrational,
            is_percent=read.is_percent,
            has_power_of_ten=read.has_power_of_ten,
            is_doubtful=read.is_doubtful or has_mixed_sum,
            units=frozenset(read.units),
            text=" ".join(self.text[start : self.tokens[self.at - 1].end].split()),
        )

    @property
    def _next(self) -> Token:
        if self.at >= self.limit:
            raise _NoSideError
        return self.tokens[self.at]

    def _skip_currency(self) -> None:
        while self._next.text in _CURRENCY:
            self.at += 1

    def _operator(self, symbols: str) -> str | None:
        """Pass an operator among the symbols if one is next."""
        i = self.at
        while self.tokens[i].text in _CURRENCY:
            i += 1
        token = self.tokens[i]
        word = token.text.lower()
        symbol = token.text if token.text in ("+", "-", "*", "/") else _WORD_OPERATORS.get(word)
        if word in ("x", "\u0445") and self._is_times(i):
            symbol = "*"
        if symbol is None or symbol not in symbols:
            return None
        i += 1
        if token.text == "/" and self.tokens[i].kind == "word" and _word_value(self.tokens[i].text) is None:
            return None  # $100/day
        if word in ("multiplied", "divided"):
            if self.tokens[i].text.lower() != "by":
                return None
            i += 1
        if token.kind == "word":
            following = self.tokens[i + 1] if self.tokens[i].text in _CURRENCY else self.tokens[i]
            if following.kind != "number" and following.text.lower() not in _WORD_NUMBERS and following.text != "(":
                return None
            if word == "of" and self.reading.operands and not self._is_of(token):
                return None
        self.at = i
        self.reading.operations += 1
        return symbol

    def _is_of(self, token: Token) -> bool:
        before = self.tokens[self.at - 1]
        return (
            token.text.lower() == "of"
            and (before.text in ("%", ")") or before.kind == "number" or before.text.lower() in _WORD_NUMBERS)
            and (before.kind != "number" or self.tokens[self.at - 2].text == "/")
        )

    def _is_times(self, i: int) -> bool:
        before, token = self.tokens[i - 1] if i else self.tokens[-1], self.tokens[i]
        following = self.tokens[i + 1]
        if following.text in _CURRENCY:
            following = self.tokens[i + 2]
        if before.kind not in ("number", "word") and before.text not in (")", "%"):
            return False
        if following.kind == "number":
            return True
        return following.text == "(" and token.end < following.start and before.end < token.start

    def _sum(self) -> Linear | None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _NoSideError
        value = self._product()
        while (symbol := self._operator("+-")) is not None:
            self.reading.has_sum = True
            value = _add(value, self._product(), 1 if symbol == "+" else -1)
        self.depth -= 1
        return value

    def _product(self) -> Linear | None:
        value = self._signed()
        divided = False
        while True:
            symbol = self._operator("*/")
            if symbol is not None:
                factor = self._signed()
                value = _multiply(value, factor) if symbol == "*" else _divide(value, factor)
                divided = divided or symbol == "/"
            elif self._is_implicit():
                if divided:
                    self.reading.is_doubtful = True
                self.reading.operations += 1
                value = _multiply(value, self._power())
            else:
                return value

    def _is_implicit(self) -> bool:
        """Tell whether a factor follows without a sign, as in `2x`, `3(4)` and `(2)(3)`."""
        token, before = self._next, self.tokens[self.at - 1]
        is_close = before.end == token.start
        if token.text == "(":
            return before.text == ")" or (before.kind in ("number", "letter") and is_close)
        if token.kind == "letter":
            return is_close and before.kind in ("number", "letter") and self.tokens[self.at + 1].text != "'"
        if token.text in ("\\frac", "\\sqrt", "\\pi") or token.text == "\u03c0":
            if token.text == "\\frac" and before.kind == "number":
                self.reading.is_doubtful = True  # a mixed number or a product
            return before.kind in ("number", "letter") or before.text == ")"
        return False

    def _signed(self) -> Linear | None:
        self._skip_currency()
        sign = 1
        for _ in range(3):
            if self._next.text not in ("+", "-"):
                break
            sign = -sign if self._next.text == "-" else sign
            self.at += 1
            self._skip_currency()
        value = self._power()
        return value if sign == 1 else _multiply(value, {"": Fraction(-1)})

    def _power(self) -> Linear | None:
        value = self._atom()
        if self._next.text in ("^2", "^3"):
            self.reading.operations += 1
            exponent: Linear | None = {"": Fraction(self._next.text[1])}
            self.at += 1
            return _raise(value, exponent)
        if self._next.text == "^":
            self.at += 1
            self.reading.operations += 1
            exponent = self._group() if self._next.text == "(" else self._signed_atom()
            self.reading.has_power_of_ten |= _constant(value) == 10
            value = _raise(value, exponent)
        return value

    def _signed_atom(self) -> Linear | None:
        sign = self._next.text == "-"
        self.at += sign
        value = self._atom()
        return _multiply(value, {"": Fraction(-1)}) if sign else value

    def _atom(self) -> Linear | None:
        token = self._next
        self._skip_currency()
        token = self._next
        if token.kind == "number":
            return self._number()
        if token.kind == "opaque":
            self.at += 1
            return self._behind_operand(None)
        if token.text == "(":
            return self._behind_operand(self._group())
        if token.kind == "letter":
            return self._letter()
        if token.kind == "command":
            return self._command()
        if token.kind == "word" and (value := _word_value(token.text)) is not None:
            self.at += 1
            if token.text.lower() == "third":
                self.reading.is_doubtful = True
            self.reading.operands.append(value)
            return self._behind_operand({"": value})
        raise _NoSideError

    def _group(self) -> Linear | None:
        self.at += 1
        value = self._sum()
        self._skip_currency()
        if self._next.text != ")":
            raise _NoSideError
        self.at += 1
        return value

    def _number(self) -> Linear | None:
        token = self._next
        self.at += 1
        if len(token.text) > _MAX_DIGITS:
            return self._behind_operand(None)
        number = Fraction(token.text.replace(",", ""))
        self.reading.decimals = len(token.text.partition(".")[2])
        self.reading.has_decimals |= "." in token.text
        following = self._next
        if following.kind == "number" and self.tokens[self.at + 1].text == "/" and "." not in token.text:
            number += self._mixed()
        following = self._next
        if following.text.lower() in ("th", "st", "nd", "rd", "pm", "am") and following.start == token.end:
            self.at += 1
            return self._behind_operand(None)
        if following.text.lower() in _MULTIPLIERS:
            if following.text.lower().startswith("dozen"):
                self.reading.is_doubtful = True
            number *= _MULTIPLIERS[following.text.lower()]
            self.reading.has_decimals = True
            self.reading.units.add(following.text.lower())
            self.at += 1
        self.reading.operands.append(number)
        if following.text == "!" and (
            self.tokens[self.at + 1].text in ("=", "*", "/", "+", "-", ")", "\\frac", "\u2248") or self.depth > 1
        ):
            self.at += 1
            self.reading.operations += 1
            if number.denominator != 1 or number > _MAX_FACTORIAL:
                return self._behind_operand(None)
            number = Fraction(factorial(int(number)))
        return self._behind_operand({"": number})

    def _mixed(self) -> Fraction:
        """Pass the fraction of a mixed number such as `1 1/2`."""
        top, bottom = self.tokens[self.at], self.tokens[self.at + 2]
        digits = [t.text for t in (top, bottom) if t.kind == "number" and t.text.isdigit() and len(t.text) < 4]
        if len(digits) < 2 or not int(digits[0]) < int(digits[1]):
            raise _NoSideError
        self.at += 3
        self.reading.has_decimals = True
        return Fraction(int(digits[0]), int(digits[1]))

    def _letter(self) -> Linear | None:
        name = self._next.text
        self.at += 1
        if self._next.text == "_":
            self.at += 1
            if self._next.text == "(":
                start = self.at
                self._skip_group()
                name += "_" + "".join(token.text for token in self.tokens[start + 1 : self.at - 1])
            else:
                name += "_" + self._next.text
                self.at += 1
        if self._next.text in ("'", "\u2019"):
            raise _NoSideError
        if self._next.text == "(" and self._next.start == self.tokens[self.at - 1].end:
            self._skip_group()
            return None
        if self._next.text == "\u03c0":
            self.reading.is_doubtful = True
        return self._behind_operand({name: Fraction(1)})

    def _skip_group(self) -> None:
        depth = 0
        while True:
            depth += (self._next.text == "(") - (self._next.text == ")")
            self.at += 1
            if not depth:
                return

    def _command(self) -> Linear | None:
        name = self._next.text
        self.at += 1
        if name == "\\boxed":
            return self._behind_operand(self._group())
        if name == "\\frac":
            self.reading.operations += 1
            top = self._argument()
            return self._behind_operand(_divide(top, self._argument()))
        if name == "\\sqrt" and self._next.text == "(":
            self.reading.operations += 1
            return self._behind_operand(self._root(self._group()))
        if name == "\\pi":
            return self._behind_operand({"\u03c0": Fraction(1)})
        if name in (
            "\\Rightarrow",
            "\\implies",
            "\\rightarrow",
            "\\to",
            "\\therefore",
            "\\le",
            "\\leq",
            "\\ge",
            "\\geq",
        ):
            raise _NoSideError
        while self._next.text in ("_", "^"):
            self.at += 1
            if self._next.text == "(":
                self._skip_group()
            else:
                self.at += 1
        if self._next.text == "(":
            self._skip_group()
            if self._next.text == "(":
                self._skip_group()
        elif self._next.kind in ("number", "letter"):
            self.at += 1
        return None

    def _argument(self) -> Linear | None:
        if self._next.text == "(":
            return self._group()
        raise _NoSideError

    def _root(self, value: Linear | None) -> Linear | None:
        number = _constant(value)
        if number is None or number < 0 or number.numerator.bit_length() > _MAX_BITS:
            return None
        top, bottom = isqrt(number.numerator), isqrt(number.denominator)
        if top * top == number.numerator and bottom * bottom == number.denominator:
            return {"": Fraction(top, bottom)}
        self.reading.is_irrational = True
        return {"": Fraction(isqrt(int(number * _ROOT_SCALE * _ROOT_SCALE)), _ROOT_SCALE)}

    def _behind_operand(self, value: Linear | None) -> Linear | None:
        """Pass a percent sign and the words of a unit."""
        self.reading.is_percent = False
        if self._next.text == "%" or self._next.text.lower() in ("percent", "percents"):
            self.at += 1
            self.reading.is_percent = True
            self.reading.n_percent += 1
            value = _multiply(value, {"": Fraction(1, 100)})
        self._skip_unit()
        return value

    def _skip_unit(self) -> None:
        """Pass the words of a unit if an operation, a sign of equality or a bracket follows; else stay."""
        i, words = self.at, set()
        for _ in range(_MAX_UNIT_WORDS):
            token, following = self.tokens[i], self.tokens[i + 1]
            if self._is_unit_word(i, n_before=i - self.at):
                words.add(token.text.lower())
                i += 1
            elif token.text in ("/", "-") and following.kind == "word":
                words.add(following.text.lower())
                i += 2
            else:
                break
        if words:
            self.reading.units |= words
            before = self.tokens[self.at - 1]  # \frac{1}{3}Bh: letters rather than a word
            self.reading.is_doubtful |= before.text == ")" and before.end == self.tokens[self.at].start
        after = self.tokens[i]
        while after.text in _CURRENCY and i - self.at < _MAX_UNIT_WORDS + 2:
            i += 1
            after = self.tokens[i]
        is_times = after.text in ("x", "X") and self._is_times(i)
        is_relation = after.text.lower() in _WORD_RELATIONS and words
        if words and (after.text in ("=", "\u2248", ")", "+", "-", "*", "/") or is_times or is_relation):
            self.at = i

    def _is_unit_word(self, i: int, *, n_before: int) -> bool:
        token, following = self.tokens[i], self.tokens[i + 1]
        word = token.text.lower()
        if token.kind != "word" or word in _WORD_RELATIONS or word in _MULTIPLIERS:
            return False
        if word == "of":  # 3 tubes of lip gloss
            return n_before > 0 and following.kind == "word" and following.text.lower() not in _WORD_NUMBERS
        return word not in _WORD_OPERATORS or (word == "times" and following.text in ("/", "="))


def _constant(value: Linear | None) -> Fraction | None:
    if value is None or any(letter for letter in value):
        return None
    return value.get("", Fraction(0))


def _bounded(value: dict[str, Fraction]) -> Linear | None:
    value = {letter: factor for letter, factor in value.items() if factor}
    sizes = (max(f.numerator.bit_length(), f.denominator.bit_length()) for f in value.values())
    return value if max(sizes, default=0) <= _MAX_BITS else None


def _add(left: Linear | None, right: Linear | None, sign: int) -> Linear | None:
    if left is None or right is None:
        return None
    return _bounded({key: left.get(key, Fraction(0)) + sign * right.get(key, Fraction(0)) for key in {**left, **right}})


def _multiply(left: Linear | None, right: Linear | None) -> Linear | None:
    if left is None or right is None:
        return None
    for factor, other in ((_constant(left), right), (_constant(right), left)):
        if factor is not None:
            return _bounded({letter: factor * value for letter, value in other.items()})
    return None


def _divide(left: Linear | None, right: Linear | None) -> Linear | None:
    divisor = _constant(right)
    return _multiply(left, {"": 1 / divisor}) if divisor else None


def _raise(base: Linear | None, exponent: Linear | None) -> Linear | None:
    number, power = _constant(base), _constant(exponent)
    if number is None or power is None or power.denominator != 1 or abs(power) > _MAX_EXPONENT:
        return None
    if (not number and power < 0) or number.numerator.bit_length() * abs(power) > _MAX_BITS:
        return None
    return _bounded({"": number ** int(power)})


__all__ = ["MAX_CHARS", "Equality", "Linear", "Side", "find_equalities", "find_numbers", "readable"]
