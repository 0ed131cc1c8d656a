"""Units of measurement and currencies.

A unit is a factor and the powers of base dimensions, so that 90 minutes are 1.5 hours and 12 cm are not 12 m. Nouns
that are counted (`18 eggs`) are dimensions of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from judgekit.answers.formulas import Token
from judgekit.answers.wording import BOUNDS_BEHIND, FILLER, MEANINGFUL


class Unit(NamedTuple):
    """What a number is a number of."""

    factor: Fraction
    """Size in terms of the dimensions."""
    dimensions: tuple[tuple[str, int], ...]
    """Powers of the dimensions, sorted; nouns are written as `#egg`."""

    @property
    def is_noun(self) -> bool:
        """Whether anything that is not measured is in it: then another word may mean the same."""
        return any(name.startswith("#") for name, _ in self.dimensions)


def _table(*rows: tuple[str, str, str]) -> dict[str, Unit]:
    return {name: Unit(Fraction(size), ((dimension, 1),)) for names, dimension, size in rows for name in names.split()}


UNITS = _table(
    ("mm millimeter millimetre", "length", "0.001"), ("cm centimeter centimetre", "length", "0.01"),
    ("dm decimeter decimetre", "length", "0.1"), ("m meter metre", "length", "1"),
    ("km kilometer kilometre", "length", "1000"), ("in inch inches", "length", "0.0254"),
    ("ft foot feet", "length", "0.3048"), ("yd yard", "length", "0.9144"), ("mi mile", "length", "1609.344"),
    ("nm nanometer nanometre", "length", "1/1000000000"), ("micron micrometer micrometre", "length", "1/1000000"),
    ("au", "#au", "1"), ("ly lightyear", "#lightyear", "1"), ("parsec pc", "#parsec", "1"),
    ("angstrom", "length", "1/10000000000"),
    ("mg milligram", "mass", "1/1000000"), ("g gram", "mass", "1/1000"), ("kg kilogram kilo", "mass", "1"),
    ("ton tonne", "#ton", "1"), ("lb lbs pound", "#pound", "1"), ("oz ounce", "#ounce", "1"),
    ("ms millisecond", "time", "1/1000"), ("s sec second", "time", "1"), ("min mins minute", "time", "60"),
    ("h hr hrs hour", "time", "3600"), ("day", "time", "86400"), ("week", "time", "604800"),
    ("month", "#year", "1/12"), ("year yr yrs", "#year", "1"), ("ns nanosecond", "time", "1/1000000000"),
    ("decade", "#year", "10"), ("century centuries", "#year", "100"),
    ("ml milliliter millilitre", "volume", "1/1000"), ("l liter litre", "volume", "1"),
    ("cl centiliter", "volume", "1/100"),
    ("gal gallon", "#gallon", "1"), ("qt quart", "#gallon", "1/4"), ("pint pt", "#gallon", "1/8"),
    ("cup", "#cup", "1"),
    ("dollar usd buck", "dollar", "1"), ("cent", "dollar", "1/100"), ("euro eur", "euro", "1"),
    ("gbp", "sterling", "1"),
    ("yuan rmb", "yuan", "1"), ("yen jpy", "yen", "1"), ("rupee inr", "rupee", "1"),
    ("degree deg", "degree", "1"), ("radian rad", "radian", "1"), ("celsius", "celsius", "1"),
    ("fahrenheit", "fahrenheit", "1"),
    ("n newton", "newton", "1"), ("j joule", "joule", "1"), ("kj kilojoule", "joule", "1000"), ("w watt", "watt", "1"),
    ("kw kilowatt", "watt", "1000"), ("v volt", "volt", "1"), ("a amp ampere", "ampere", "1"),
    ("pa pascal", "pascal", "1"),
    ("kpa", "pascal", "1000"), ("atm atmosphere", "#atmosphere", "1"), ("hz hertz", "hertz", "1"),
    ("k kelvin", "kelvin", "1"),
    ("mol mole", "mole", "1"), ("ohm", "ohm", "1"), ("ev", "#electronvolt", "1"), ("cal calorie", "#calorie", "1"),
    ("kcal kilocalorie", "#calorie", "1000"), ("acre", "#acre", "1"), ("hectare ha", "area", "10000"),
    ("erg", "joule", "1/10000000"),
    ("kb", "#kilobyte", "1"), ("mb", "#megabyte", "1"), ("gb", "#gigabyte", "1"), ("mhz", "hertz", "1000000"),
)  # fmt: skip
"""Units of one word by their singular and their symbol, in small letters."""
_SPEEDS = {
    "mph": ("mi", "h"),
    "kph": ("km", "h"),
    "kmh": ("km", "h"),
    "mpg": ("mi", "gal"),
    "rpm": ("revolution", "min"),
}
_CASED = {
    "Mg": "#megagram",
    "MM": "#M",
    "M": "#M",
    "G": "#G",
    "S": "#S",
    "H": "#henry",
    "MW": "#megawatt",
    "Kg": "mass",
}
"""Symbols whose capitals matter."""
CURRENCY = {"$": "dollar", "\\$": "dollar", "\u20ac": "euro", "\u00a3": "sterling", "\u00a5": "yen", "\u20b9": "rupee"}
"""Signs of currencies."""
LETTER_UNITS = frozenset("msghlLNJWVAKCFGMHS")
"""Letters that may be a unit behind a number, or a variable."""
_VOWEL = re.compile("[aeiouy]", re.IGNORECASE)


def words_of(tokens: Sequence[Token]) -> list[Token]:
    """Split the wording of text mode into words; other tokens stay."""
    found = []
    for token in tokens:
        if token.kind != "text":
            found.append(token)
            continue
        parts = re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*|[^\s.,;]", token.text)
        found += [Token("text", part, token.start, token.end) for part in parts]
    return found


def read_unit(tokens: Sequence[Token]) -> Unit | None:
    """Read all of the tokens as a unit with words around it that say nothing; `None` if that is not what they are.

    `square inches`, `cm^{2}`, `km/h`, `dollars per day`, `eggs in the basket`.
    """
    words, at = words_of(tokens), 0
    factor, dimensions = Fraction(1), dict[str, int]()
    sign, is_open, is_symbol = 1, True, False
    while at < len(words):
        token = words[at]
        word = token.text.lower()
        power = 1
        if word in {"square", "sq", "cubic", "cu"} and at + 1 < len(words):
            power, at = (2 if word[0] == "s" else 3), at + 1
            token = words[at]
            word = token.text.lower()
            if word == ".":
                return None
        if word in {"/", "per", "\\cdot", "*"}:
            if at == len(words) - 1 or (at == 0 and word != "per" and word != "/"):
                return None
            sign = sign if word in {"\\cdot", "*"} else -1
            at, is_open = at + 1, True
            continue
        if word in MEANINGFUL or word in BOUNDS_BEHIND or token.kind in {"number", "end"} or word in CURRENCY:
            return None
        if token.kind == "command" and word == "\\degree":
            unit: Unit | None = Unit(Fraction(1), (("degree", 1),))
            following = words[at + 1].text if at + 1 < len(words) else ""
            if following in {"C", "F"}:
                unit, at = Unit(Fraction(1), (("celsius" if following == "C" else "fahrenheit", 1),)), at + 1
        elif token.kind not in {"word", "letter", "text"}:
            return None
        else:
            unit = find_unit(token)
        if unit is None and len(word) == 1 and word != "a":
            return None  # a variable, also where it stands in text mode
        at += 1
        if unit is None and (word in FILLER or word in {"a", "left", "each", "together"}):
            is_open = is_symbol = False
            continue
        at, exponent = _exponent(words, at)
        if unit is None:
            # A noun that is counted. In mathematics `abc` is a product, so that a noun has to look like one.
            if dimensions and not is_open:
                continue
            if token.kind == "word" and not _is_noun(word, words[at:]):
                return None
            unit = Unit(Fraction(1), (("#" + _singular(word), 1),))
        elif not is_open and dimensions and unit.dimensions[0][0] != "degree" and not (is_symbol and len(word) < 3):
            continue  # 18 eggs a day: the first unit is what was asked
        is_symbol = len(word) < 3  # symbols side by side are a product: m s^{-2}
        is_open = False
        for name, times in unit.dimensions:
            dimensions[name] = dimensions.get(name, 0) + sign * times * power * exponent
        factor *= unit.factor ** (sign * power * exponent)
    if "length" in dimensions and "volume" in dimensions:
        return None
    return Unit(factor, tuple(sorted((name, times) for name, times in dimensions.items() if times)))


def _is_noun(word: str, following: Sequence[Token]) -> bool:
    """Whether letters are a word of a sentence: four of them, or three in front of such a word (`5 red apples`)."""
    if not _VOWEL.search(word) or len(word) < 3:
        return False
    return len(word) > 3 or any(token.kind == "word" and _is_noun(token.text.lower(), ()) for token in following)


def find_unit(token: Token) -> Unit | None:
    """Return the known unit that a word is."""
    text = token.text
    if text in _CASED:
        name = _CASED[text]
        return Unit(Fraction(1), ((name, 1),))
    word = text.lower()
    if word in _SPEEDS:
        above, below = _SPEEDS[word]
        upper, lower = (UNITS.get(name, Unit(Fraction(1), (("#" + name, 1),))) for name in (above, below))
        dimensions = (*upper.dimensions, *((name, -times) for name, times in lower.dimensions))
        return Unit(upper.factor / lower.factor, tuple(sorted(dimensions)))
    if len(text) == 1 and text not in "msghlLNJWVAK":
        return None
    found = UNITS.get(word)
    if found is None and len(word) > 3:
        found = UNITS.get(_singular(word))
    if found is not None and found.dimensions == (("volume", 1),):
        # Litres are cubic decimetres.
        return Unit(found.factor / 1000, (("length", 3),))
    if found is not None and found.dimensions == (("area", 1),):
        return Unit(found.factor, (("length", 2),))
    return found


def _exponent(words: Sequence[Token], at: int) -> tuple[int, int]:
    """Pass `^2`, `^{-1}` or the words `squared`, `cubed`; returns the place behind and the exponent."""
    texts = [word.text for word in words[at : at + 5]] + [""] * 5
    if texts[0].lower() in {"squared", "cubed"}:
        return at + 1, 2 if texts[0].lower() == "squared" else 3
    if texts[0] != "^":
        return at, 1
    if texts[1] == "{":
        sign, digits, close = (-1, texts[3], texts[4]) if texts[2] == "-" else (1, texts[2], texts[3])
        behind = at + (5 if sign < 0 else 4)
    else:
        sign, digits, close = (-1, texts[2], "}") if texts[1] == "-" else (1, texts[1], "}")
        behind = at + (3 if sign < 0 else 2)
    if close != "}" or not digits.isdecimal() or len(digits) > 1:
        return at, 1  # the `^` that is left is not a unit, so the whole is none
    return behind, sign * int(digits)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
