"""Words around numbers, and words that are numbers or days: `two and a half`, `one hundred and five`, `June 20th`.

Words that say nothing about a value may stand next to a number; those that change it may not, or `5 sixths` and
`a factor of 5` would be 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from judgekit.text.arithmetic.tokens import NUMBER_WORDS

FILLER = frozenset((
    "a", "an", "the", "is", "are", "was", "be", "been", "it", "its", "this", "that", "there", "so", "thus", "hence",
    "therefore", "then", "equals", "equal", "to", "exactly", "about", "approximately", "approx", "around",
    "roughly", "nearly", "almost", "total", "of", "just", "only", "i", "we", "he", "she", "they", "you", "has",
    "have", "had", "will", "gets", "get", "makes", "costs", "cost", "value", "answer", "result", "which", "in",
    "for", "on", "at", "with", "final", "simply", "and", "our", "my", "his", "her", "their", "your",
))  # fmt: skip
"""Words in front of a number that say nothing about its value."""
DOUBTS = frozenset(("maybe", "perhaps", "possibly", "probably", "else", "also", "either", "both"))
"""Words in front of one of several answers: they make it no less an answer."""
MEANINGFUL = frozenset((
    "not", "no", "none", "never", "nor", "neither", "than", "more", "less", "fewer", "greater", "larger", "bigger",
    "smaller", "lower", "higher", "least", "most", "half", "third", "thirds", "quarter", "quarters", "fourth",
    "fourths", "fifth", "double", "twice", "triple", "thrice", "times", "squared", "square", "cubed", "cube",
    "root", "power", "plus", "minus", "negative", "over", "under", "above", "below", "between", "from", "until",
    "except", "without", "hundred", "thousand", "million", "billion", "trillion", "dozen", "dozens", "score", "mod",
    "modulo", "remainder", "base", "factorial", "choose", "percent", "percentage", "and", "or", "either", "if",
    "unless", "log", "sine", "cosine", "tangent", "multiple", "divided", "multiplied", "added", "subtracted", "by",
    "up", "additional", "extra", "another", "other", "else", "wrong", "incorrect", "isn't", "aren't", "cannot",
    "can't", "don't", "doesn't", "won't", "wasn't", "false", "untrue", "but", "maybe", "perhaps", "possibly",
    "versus", "vs", "any", "all", "both", "every", "neither", "sum", "product", "difference", "ratio", "inverse",
    "reciprocal", "opposite", "exceeds", "exceeding", "beyond", "before", "after", "through", "within", "hundreds",
    "thousands", "millions", "billions", "point", "impossible", "undefined", "unlike", "excluding", "raised",
    "exponent", "infinity", "infinite", "pi", "tau", "am", "pm", "o'clock", "noon", "midnight", "ago", "few",
    "several", "odd", "even", "something", "rather", "instead", "halves", "repeating", "recurring", "quadrillion",
    "lakh", "lakhs", "crore", "crores", "gross", "grand", "onward", "onwards", "upward", "upwards", "tops",
    "factor", "factors", "divisor", "divisors", "logarithm", "multiples", "powers", "roots", "complement",
    "conjugate", "negation", "successor", "predecessor",
))  # fmt: skip
"""Words that change what a number next to them says; with one of them left over, a text is not covered."""
FUNCTIONS_IN_WORDS = frozenset((
    "sqrt", "cbrt", "log", "ln", "lg", "exp", "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh",
    "arcsin", "arccos", "arctan", "asin", "acos", "atan", "floor", "ceil", "ceiling", "round", "abs", "gcd", "lcm",
    "det", "frac", "binom", "min", "max", "phi", "gamma",
))  # fmt: skip
"""Words that are functions in front of a number: `sqrt 2` is no 2."""
BOUNDS_BEHIND = frozenset(("minimum", "maximum", "max", "tops"))
"""Words that make a bound of the number in front of them, though `the maximum is 5` states one."""
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
"""Words that multiply the number in front of them."""
_PARTS = {"half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
          "eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "twentieth": 20, "hundredth": 100,
          "thousandth": 1000}  # fmt: skip
PARTS = _PARTS | {f"{name}s": value for name, value in _PARTS.items()}
"""What a whole is divided into: `thirds` is 3."""
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)}|{'|'.join(name[:3] for name in _MONTHS)}|sept)\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_DATES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?:on )?{_MONTH} (?:the )?{_DAY}(?:,? {_YEAR})?",
        rf"(?:on )?(?:the )?{_DAY} (?:of )?{_MONTH}(?:,? {_YEAR})?",
        rf"(?:in )?{_MONTH},? {_YEAR}",
    )
)


_FEW = {name: value for name, value in NUMBER_WORDS.items() if 0 < value < 10} | {"a": 1, "an": 1}
_PART_NAMES = "|".join(sorted(PARTS, key=len, reverse=True))


_OPERATIONS_IN_WORDS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(rf"(?<![\w.])(\d+) and ({'|'.join(_FEW)})[ -]({_PART_NAMES})\b", re.I),
        lambda found: f"{found[1]}\\frac{{{_FEW[found[2].lower()]}}}{{{PARTS[found[3].lower()]}}}",
    ),
    (
        re.compile(rf"(?<![\w.])(\d+)[ -]({_PART_NAMES})\b", re.I),
        lambda found: f"(\\frac{{{found[1]}}}{{{PARTS[found[2].lower()]}}})",
    ),
    (re.compile(r"\b(?:the )?square of\s+(\d+(?:\.\d+)?)", re.I), r"\1^2"),
    (re.compile(r"\b(?:the )?cube of\s+(\d+(?:\.\d+)?)", re.I), r"\1^3"),
    (re.compile(r"\b(?:the )?cube root of\s+(?=[\d(])", re.I), "\\\\cbrt "),
    (re.compile(r"\b(?:twice|double)\s+(?=\d)", re.I), "2\\\\cdot "),
    (re.compile(r"(?<=\d) divided by (?=\d)", re.I), "/"),
    (re.compile(r"(?<=\d) minus (?=\d)", re.I), "-"),
    (re.compile(r"\b(sq|cu|ft|in|hr|hrs|min|sec|lb|lbs|oz|yd|mi|cm|km|mm|kg)\.(?=\s|$)", re.I), r"\1 "),
    (re.compile(r"\b(?:minus|negative)\s+(?=[\d\\$.])", re.I), "-"),
    (re.compile(r"(?<=[\d})])\s+squared\b(?! *(?:in|f|m|c|y|k))", re.I), "^2"),
    (re.compile(r"(?<=[\d})])\s+cubed\b(?! *(?:in|f|m|c|y|k))", re.I), "^3"),
    (re.compile(r"\b(?:the )?square root of\s+(?=[\d(])", re.I), "\\\\surd "),
    (re.compile(r"(?<=\d)\s*(?:percent|per cent|percentage points?|pct)\b", re.I), "%"),
    (re.compile(r"\bhalf of\s+(?=\d)", re.I), "\\\\frac{1}{2}\\\\cdot "),
    (re.compile(r"(?<=\d) times (?=\d)", re.I), "\\\\cdot "),
    (re.compile(r"(?<=\d) plus (?=\d)", re.I), "+"),
    (re.compile(r"(?<=\d) pi\b", re.I), "\\\\pi "),
)


class Date(NamedTuple):
    """A day of a year, or a month of one."""

    month: int
    """From 1 to 12."""
    day: int | None
    """Day of the month."""
    year: int | None
    """Year, if it is written."""


def read_date(text: str) -> Date | None:
    """Read `June 20`, `20 June 2020`, `the 20th of June`, `June 2020`.

    Example:
        >>> read_date("June 20th")
        Date(month=6, day=20, year=None)
    """
    text = re.sub(r"\s+", " ", text).strip()
    for form in _DATES:
        if match := form.fullmatch(text):
            parts = match.groupdict()
            month = next(i for i, name in enumerate(_MONTHS, 1) if name.startswith(parts["month"].lower()[:3]))
            day, year = parts.get("day"), parts["year"]
            return Date(month, None if day is None else int(day), None if year is None else int(year))
    return None


def read_number_word(word: str) -> int | None:
    """Return the number that a word such as `twelve` or `twenty-five` is."""
    head, _, tail = word.lower().partition("-")
    value = NUMBER_WORDS.get(head)
    if not tail or value is None:
        return value
    ones = NUMBER_WORDS.get(tail, 0)
    return value + ones if value >= 20 and 0 < ones < 10 else None


def read_number_words(words: Sequence[str]) -> tuple[Fraction, int] | None:
    """Return the number that words in small letters begin with, and how many of them say it.

    Example:
        >>> read_number_words(["two", "and", "a", "half", "hours"])
        (Fraction(5, 2), 4)
    """
    # `two-thirds` is two words here; the place of each in what was given is kept.
    pieces = [(piece, at) for at, word in enumerate(words) for piece in word.split("-")]
    texts = [piece for piece, _ in pieces]
    start = 1 if texts[:1] in (["minus"], ["negative"]) else 0
    value, at = _cardinal(texts, start)
    part, behind = _part(texts, start)
    if part is not None:
        value, at = part, behind
    elif value is None:
        return None
    elif texts[at : at + 1] == ["and"]:
        part, behind = _part(texts, at + 1)
        if part is not None and part < 1:
            value, at = value + part, behind
    if at < len(pieces) and pieces[at][1] == pieces[at - 1][1]:
        return None  # within a word: `two-fold`
    return (-value if start else value), pieces[at - 1][1] + 1


def _cardinal(texts: Sequence[str], at: int) -> tuple[Fraction | None, int]:
    """`one hundred and five`, `two thousand`, `a dozen`: the number and the place behind it."""
    start = at
    total, current, scale = 0, None, 10**18
    if texts[at : at + 1] in (["a"], ["an"]) and texts[at + 1 : at + 2] != [] and texts[at + 1] in SCALES:
        current, at = 1, at + 1
    while at < len(texts):
        word = texts[at]
        if word == "and" and at > start and texts[at - 1] in SCALES and texts[at + 1 : at + 2]:
            follows = NUMBER_WORDS.get(texts[at + 1])
            if not follows or (texts[at + 2 : at + 3] and texts[at + 2] in PARTS):
                break
            word, at = texts[at + 1], at + 1
        if word in NUMBER_WORDS:
            number = NUMBER_WORDS[word]
            if current is not None:
                # Behind hundreds there is room for two digits, behind tens for one.
                room = 100 if current % 100 == 0 else 10 if current % 100 >= 20 and current % 10 == 0 else 0
                if not 0 < number < room:
                    return None, start  # `one two`
            current = (current or 0) + number
        elif word in {"hundred", "dozen"} and current is not None and current < 100:
            current *= SCALES[word]
        elif word in SCALES and SCALES[word] > 100 and current is not None and SCALES[word] < scale:
            scale = SCALES[word]
            total, current = total + current * scale, 0
        else:
            break
        at += 1
    return (None, start) if at == start or current is None else (Fraction(total + current), at)


def _part(texts: Sequence[str], at: int) -> tuple[Fraction | None, int]:
    """`half`, `a third`, `three quarters`."""
    if texts[at : at + 1] == ["half"]:
        return Fraction(1, 2), at + 1
    above, behind = (Fraction(1), at + 1) if texts[at : at + 1] in (["a"], ["an"]) else _cardinal(texts, at)
    if above is None or behind >= len(texts) or texts[behind] not in PARTS:
        return None, at
    return above / PARTS[texts[behind]], behind + 1


def signs_for_words(text: str) -> str:
    r"""Write operations next to numbers as signs: `minus 5`, `5 squared`, `half of 10`, `5 and a quarter`.

    Example:
        >>> signs_for_words("the square of 5 plus 2 and a half")
        '5^2+2\\frac{1}{2}'
    """
    for pattern, replacement in _OPERATIONS_IN_WORDS:
        text = pattern.sub(replacement, text)
    return text
