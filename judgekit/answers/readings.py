"""Other meanings a text may have besides what the grammar reads: `2 and 1/2` is two answers, or a mixed number."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_CHARS = 100
"""Longer texts have one reading."""
_PROPER = r"(?:\d+/\d+|\\[dt]?frac\s*(?:\d\d|\{\d+\}\s*\{\d+\}))"
_OTHER_READINGS: tuple[tuple[re.Pattern[str], str, bool], ...] = (
    # Whoever states `2 and 1/2` for 2.5 means the sum, although it may be two answers.
    (re.compile(rf"([^=,;]*?\d)\s*(?:and|\\text\s*\{{\s*and\s*\}})\s*({_PROPER}.*)", re.DOTALL), r"\1 \2", True),
    (re.compile(r"([A-Z]|\\(?:text|mathrm)\{[A-Z]\})\s*(\(.*,.*\))", re.DOTALL), r"\2", True),  # the point P(1, 2)
    (re.compile(r"C\((\w+),\s*(\w+)\)|_\{?(\w+)\}?C_\{?(\w+)\}?"), r"\\binom{\1\3}{\2\4}", True),
    (re.compile(r"(\d+)\s*h\s*(\d+)\s*m(?:in)?"), r"\1 hours \2 minutes", True),
    (re.compile(r"""(\d+)\s*'\s*(\d+)\s*(?:"|''|'|\u2033)"""), r"\1 feet \2 inches", True),
    (re.compile(r"(\d+)\s*(?:to|\\text\s*\{\s*to\s*\})\s*(\d+)"), r"\1:\2", True),
    (re.compile(r"(?:\\text\s*\{\s*)?(-?)\s*(?:positive )?infinity\s*\}?", re.IGNORECASE), r"\1\\infty", True),
    *(
        (re.compile("([A-J])" * n), ", ".join(rf"\{i}" for i in range(1, n + 1)), True)  # the choices AB
        for n in (2, 3, 4)
    ),
    (
        re.compile(
            r"(?:[a-z]\s*\\in\s*)?\\mathbb\s*\{?\s*R\s*\}?\s*(?:\\setminus|\\backslash|-|\\)\s*\\\{\s*([^{},]+)\\\}"
        ),
        r"x \\ne \1",
        True,
    ),
    (
        re.compile(
            r"(-?[\d.]+)(?:\\[,; ]|\s|~)*(?:\\Omega|\u03a9|(?:\\mu|[\u00b5\u03bc])\s*(?:\\\w+\{~?)?[a-zA-Z]\}?)"
        ),
        r"\1",
        False,
    ),
    (re.compile(r"(\d+) (?:out of|in) (\d+)"), r"\1/\2", False),
    (re.compile(rf"(-?\d+)[-\u2010\u2011\u2013]({_PROPER}.*)", re.DOTALL), r"\1 \2", False),  # 2-1/2
    (re.compile(r"(.*\d/)(\d*(?:[a-z]|\\pi))"), r"\1(\2)", False),  # 1/2x
    (re.compile(r"(\\?\$?\d+(?:\.\d+)?)\s?[kK]"), r"\1 thousand", False),
    (re.compile(r"(\\?\$?\d+(?:\.\d+)?)\s?M"), r"\1 million", False),
    (re.compile(r"(-?\d{1,3}(?:[. ']\d{3})+),(\d+)(.*)"), r"\1.\2\3", False),  # 1.234,5: points taken out below
)
"""Texts that say something else, what they say, and whether whoever states them surely means it."""
_POINTS_BETWEEN_THOUSANDS = re.compile(r"(?<=\d)[. '](?=\d{3}(?!\d).*\.\d)")


def other_readings(text: str) -> Iterator[tuple[str, bool]]:
    r"""Yield other texts that say what this one may say, and whether that is surely meant where it agrees.

    Example:
        >>> [*other_readings("2 and 1/2")], [*other_readings("2-1/2")]
        ([('2 1/2', True)], [('2 1/2', False)])
    """
    text = text.strip(" $")
    if len(text) > MAX_CHARS:
        return
    for pattern, replacement, is_sure in _OTHER_READINGS:
        match = pattern.fullmatch(text)
        if match is not None:
            yield _POINTS_BETWEEN_THOUSANDS.sub("", match.expand(replacement)), is_sure
