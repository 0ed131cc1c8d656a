"""Plain numbers in a text, exactly: for tasks whose answers are numbers."""

from __future__ import annotations

import re
from fractions import Fraction

from judgekit.answers.notation import normalise

MAX_DIGITS = 100
"""Longest number, in characters, that is compared exactly; longer ones do not count as numbers here."""

_NUMBER = re.compile(
    r"""(?<![\w)\]}])                            # no sign and no start within a word or after a bracket
    -?\$?                                        # normalised: every minus is a hyphen
    (?:(?P<whole>\d+)                            # 2 1/2 or 2\frac{1}{2}
        (?:\ ?\\frac\{(?P<above>\d+)\}\{(?P<below>\d+)\}|\ (?P<top>\d+)/(?P<bottom>\d+))
    |(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+)?  # 1,234.5 or 1234.5 or .5
    (?:(?<=\d)/\d+)?)                            # 1/2""",
    re.VERBOSE,
)
_FRACTION = re.compile(r"(?<![\d.]) *\\[dt]?frac\{(-?\d+)\}\{(\d+)\}")


def parse_number(text: str) -> Fraction | None:
    r"""Return the exact value of a text that is one plain number, else `None`.

    Dollar signs, thousands separators, a final full stop and surrounding white space are ignored; `\frac{a}{b}` and
    `a/b` are fractions, `3\frac{2}{7}` and `2 1/2` are mixed numbers.

    Example:
        >>> parse_number("\\$1,234.50"), parse_number("5\u00bd")
        (Fraction(2469, 2), Fraction(11, 2))
        >>> parse_number("2x") is None
        True
    """
    plain = _plain(text).strip().strip("$*").strip().removesuffix(".")
    match = _NUMBER.fullmatch(plain)
    return _value(match) if match else None


def find_numbers(text: str) -> list[Fraction]:
    """Return the plain numbers in a text, in order. A minus after a digit, letter or bracket is not a sign.

    Example:
        >>> [str(number) for number in find_numbers("12-5 = 7, not -3.5")]
        ['12', '5', '7', '-7/2']
    """
    values = (_value(match) for match in _NUMBER.finditer(_plain(text)))
    return [value for value in values if value is not None]


def _plain(text: str) -> str:
    if not text.isascii():
        text = normalise(text)
    text = text.replace("{,}", ",").replace("\\,", "").replace("\\!", "").replace("\\$", "$")
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    return _FRACTION.sub(r"\1/\2", text)


def _value(match: re.Match[str]) -> Fraction | None:
    digits = match.group().replace(",", "").replace("$", "")
    if not digits.strip("-") or len(digits) > MAX_DIGITS:
        return None
    if match["whole"]:
        above, below = int(match["above"] or match["top"]), int(match["below"] or match["bottom"])
        if not 0 < above < below:
            return None
        value = int(match["whole"]) + Fraction(above, below)
        return -value if digits[0] == "-" else value
    numerator, _, denominator = digits.partition("/")
    below = int(denominator or 1)
    return Fraction(numerator) / below if below else None
