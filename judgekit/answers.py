"""Outcome checks: is the final answer of a response right? Imports no torch and no sympy.

A check returns 1.0, 0.0, or `None` for "cannot tell". `None` becomes NaN in TRL, so the response gets no advantage and
stays outside its group's baseline: a check that ran out of time is never a wrong answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import Field

from judgekit.answer_pool import AnswerPool, Comparison, Unchecked
from judgekit.config import BaseConfig
from judgekit.errors import DataError
from judgekit.formula_value import compute_value, has_letters

NumberT = TypeVar("NumberT", Fraction, complex)

MAX_DIGITS = 100
"""Longest number, in characters, that is compared exactly; longer ones are no numbers to these checks."""
NEAR = Fraction(1, 10**5)
"""Difference, relative to the right answer where that is above 1, up to which two numbers are no plain matter."""
FAR = Fraction(1, 100)
"""Relative difference beyond which two numbers are never near: rounding would make all tiny numbers equal."""

_NUMBER = re.compile(
    r"""(?<![\w)\]}])                            # no sign and no start within a word or after a bracket
    [-\u2212]?\$?                               # minus as ASCII or Unicode
    (?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+)?  # 1,234.5 or 1234.5 or .5
    (?:(?<=\d)/\d+)?                           # 1/2""",
    re.VERBOSE,
)
_FRACTION = re.compile(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}")
_PHRASE = re.compile(r"####[ \t]*|\banswer(?:[ \t]+is\b|[ \t]*:)[ \t:]*", re.IGNORECASE)
_MARKUP = re.compile(r"[\\^%(){}\[\]*+!_]|\d[a-zA-Z]|hundred|thousand|million|billion|dozen|percent", re.IGNORECASE)
_ORNAMENT = re.compile(
    r"""(?<![\d,])\s+|(?<=,)\s+(?!\d{3})|\s+(?!\d)   # white space, but `1 2` is not `12` and `1, 234` not `1,234`
    |\\[,;!]|\\?\$|\\(?:left|right)(?![a-zA-Z])|(?<=\\)[dt](?=frac)""",
    re.VERBOSE,
)
_EXPONENT = re.compile(r"(?<![\w.])(\d+(?:\.\d*)?|\.\d+)[eE]([-+]?\d{1,3})(?!\w|\.\d)")
_SET_BUILDER = re.compile(r"\$?\\\{\s*[a-zA-Z]\s*(?:\||:|\\(?:mid|vert)(?![a-zA-Z]))\s*(?P<condition>.+)\\\}\$?\.?")
_INEQUALITY = re.compile(r"[<>]|\\(?:leq?|geq?|leqslant|geqslant)(?![a-zA-Z])")
_SENTENCE_END = re.compile(r"\n|(?<!\\)[.!?](?=\s|$)")


class MathVerifyConfig(BaseConfig):
    """Mathematical equality with the right answer, by math-verify behind an exact comparison of plain numbers."""

    type: Literal["math_verify"] = "math_verify"
    """Tells the checks apart."""
    timeout_s: float = Field(default=5.0, gt=0)
    """Longest time for one symbolic comparison, seconds; beyond it the outcome is unknown."""
    workers: int = Field(default=1, ge=1)
    """Processes that compare at the same time, each with about 60 MB of memory."""


class LastNumberConfig(BaseConfig):
    """The last number in the response equals the right answer exactly. For tasks whose answers are numbers."""

    type: Literal["last_number"] = "last_number"
    """Tells the checks apart."""


OutcomeConfig = Annotated[MathVerifyConfig | LastNumberConfig, Field(discriminator="type")]
"""How a response's final answer is checked."""


class OutcomeCheck(Protocol):
    """Decides whether one response reaches the right answer."""

    def check(self, response: str, *, answer: str) -> float | None:
        """Return 1.0 for right, 0.0 for wrong, `None` where it cannot be told."""

    def check_many(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """Check pairs of a response and the right answer; one outcome a pair, in order."""

    def close(self) -> None:
        """Free what the check holds; it may be used again."""


def build_outcome(config: MathVerifyConfig | LastNumberConfig) -> OutcomeCheck:
    """Return the configured check."""
    if isinstance(config, LastNumberConfig):
        return LastNumberCheck()
    return MathVerifyCheck(timeout_s=config.timeout_s, workers=config.workers)


def parse_number(text: str) -> Fraction | None:
    r"""Return the exact value of a text that is one plain number, else `None`.

    Dollar signs, thousands separators, a closing full stop and white space around the number are looked past;
    `\frac{a}{b}` and `a/b` are fractions.

    Example:
        >>> parse_number("\\$1,234.50")
        Fraction(2469, 2)
        >>> parse_number("2x") is None
        True
    """
    plain = _plain(text).strip().strip("$*").strip().removesuffix(".")
    return _value(plain) if _NUMBER.fullmatch(plain) else None


def find_numbers(text: str) -> list[Fraction]:
    """Return the plain numbers in a text, in order. A minus after a digit, letter or bracket is no sign.

    Example:
        >>> [str(number) for number in find_numbers("12-5 = 7, not -3.5")]
        ['12', '5', '7', '-7/2']
    """
    values = (_value(match.group()) for match in _NUMBER.finditer(_plain(text)))
    return [value for value in values if value is not None]


def _plain(text: str) -> str:
    text = text.replace("{,}", ",").replace("\\,", "").replace("\\!", "").replace("\\$", "$")
    return _FRACTION.sub(r"\1/\2", text)


def _value(number: str) -> Fraction | None:
    digits = number.replace(",", "").replace("$", "").replace("\u2212", "-")
    if not digits.strip("-") or len(digits) > MAX_DIGITS:
        return None
    numerator, _, denominator = digits.partition("/")
    below = int(denominator or 1)
    return Fraction(numerator) / below if below else None


def extract_answer(response: str) -> str | None:
    r"""Return the part of a response that states its final answer, or `None` where nothing does.

    The first of these that is there: the content of the last `\boxed{}`; what follows the last `####`, "answer is" or
    "answer:" up to the end of its line or sentence; the last number.
    """
    boxed = _last_boxed(response)
    if boxed is not None:
        return boxed
    phrases = list(_PHRASE.finditer(response))
    if phrases:
        rest = response[phrases[-1].end() :]
        end = _SENTENCE_END.search(rest)
        stated = (rest[: end.start()] if end else rest).strip(" \t$*")
        if stated:
            return stated
    numbers = find_numbers(response)
    return str(numbers[-1]) if numbers else None


def _last_boxed(text: str) -> str | None:
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed")
    for position in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[begin + 1 : position].strip()
    return None


class LastNumberCheck:
    """Compares the last number of the response with the answer, exactly; a response without a number is wrong."""

    def check(self, response: str, *, answer: str) -> float | None:
        """See `OutcomeCheck`.

        Raises:
            DataError: the right answer is no number.
        """
        gold = parse_number(answer)
        if gold is None:
            raise DataError(f"answer {answer!r} is no number: use the outcome check of type math_verify")
        numbers = find_numbers(response)
        return float(bool(numbers) and numbers[-1] == gold)

    def check_many(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """See `check`."""
        return [self.check(response, answer=answer) for response, answer in pairs]

    def close(self) -> None:
        """Nothing to free."""


class MathVerifyCheck:
    """Compares plain numbers exactly and everything else with math-verify in worker processes.

    Args:
        timeout_s: Longest time for one comparison by math-verify, seconds.
        workers: Processes that compare at the same time.
    """

    def __init__(self, *, timeout_s: float = 5.0, workers: int = 1) -> None:
        self.pool = AnswerPool(timeout_s=timeout_s, workers=workers)
        """The processes behind the plain comparison."""
        self.unchecked: Counter[Unchecked] = Counter()
        """How many answers could not be checked so far, by reason."""

    def check(self, response: str, *, answer: str) -> float | None:
        """See `OutcomeCheck`. A response that states no answer is wrong."""
        return self.check_many([(response, answer)])[0]

    def check_many(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """See `OutcomeCheck`."""
        return [comparison.outcome for comparison in self.compare_many(pairs)]

    def compare_many(self, pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
        """As `check_many`, with the reason where an answer could not be checked."""
        stated = [(readable(answer), _readable_statement(response)) for response, answer in pairs]
        compared = {pair: _compare_without_mathematics(pair[1], answer=pair[0]) for pair in stated}
        symbolic = [
            (answer, text) for (answer, text), result in compared.items() if text is not None and result == _UNDECIDED
        ]
        compared |= zip(symbolic, self.pool.compare_many(symbolic), strict=True)
        results = [compared[pair] for pair in stated]
        self.unchecked.update(result.unchecked for result in results if result.unchecked is not None)
        return results

    def close(self) -> None:
        """End the processes; the next comparison starts others."""
        self.pool.close()


def readable(text: str) -> str:
    r"""Rewrite what computer algebra would misread: `4.5e33`, and sets given by an inequality.

    `e` is Euler's number to math-verify, and of a set it reads the last number.

    Example:
        >>> readable("4.5e33"), readable(r"\{x|-2<x<1\}")
        ('4.5 \\times 10^{33}', '-2<x<1')
    """
    text = _EXPONENT.sub(r"\1 \\times 10^{\2}", text)
    built = _SET_BUILDER.fullmatch(text.strip())
    return built["condition"].strip() if built and _INEQUALITY.search(built["condition"]) else text


def _readable_statement(response: str) -> str | None:
    stated = extract_answer(response)
    return None if stated is None else readable(stated)


_UNDECIDED = Comparison(None)


def _compare_without_mathematics(stated: str | None, *, answer: str) -> Comparison:
    """Compare plainly; a set given by a condition that is no inequality cannot be read by math-verify either."""
    outcome = compare_plainly(stated, answer=answer)
    if outcome is None and _SET_BUILDER.fullmatch(answer.strip()):
        return Comparison(None, Unchecked.UNREADABLE_ANSWER)
    return Comparison(outcome)


def compare_plainly(stated: str | None, *, answer: str) -> float | None:
    """Compare without mathematics: 1.0 or 0.0 where that is enough, `None` where math-verify must decide.

    The same text is right, nothing stated is wrong, two plain numbers are compared exactly, and formulas that have
    different values are wrong. What nearly agrees is left to math-verify, which rounds to six digits after the point.
    """
    if stated is None:
        return 0.0
    if _bare(stated) == _bare(answer) != "":
        return 1.0
    gold, value = parse_number(answer), _stated_number(stated)
    if gold is not None and gold == value:
        return 1.0
    if gold is not None and value is not None:
        return None if _are_near(gold, value) else 0.0
    return 0.0 if _values_differ(answer, stated) else None


def _values_differ(answer: str, stated: str) -> bool:
    """Whether both have a numeric value and it is not the same. A letter on one side only may be a unit."""
    result = stated.rpartition("=")[2]
    if has_letters(answer) != has_letters(result):
        return False
    gold, value = compute_value(answer), compute_value(result)
    return gold is not None and value is not None and not _are_near(gold, value)


def _are_near(gold: NumberT, value: NumberT) -> bool:
    """Whether rounding may have made the difference. Of tiny numbers only those of nearly the same size are near."""
    difference, size = abs(gold - value), abs(gold)
    return bool(difference <= (NEAR * size if size > 1 else NEAR) and (not size or difference <= FAR * size))


def _bare(text: str) -> str:
    """The text without what never changes its meaning: dollars, spaces, sizes of brackets and fractions."""
    return _ORNAMENT.sub("", text).removesuffix(".")


def _stated_number(stated: str) -> Fraction | None:
    """The number that a statement such as `x = 18 dollars` gives; `None` for mathematics and words of scale."""
    result = stated.rpartition("=")[2]
    value = parse_number(result)
    if value is not None or _MARKUP.search(result):
        return value
    numbers = find_numbers(result)
    return numbers[0] if len(numbers) == 1 else None


__all__ = [
    "LastNumberCheck", "LastNumberConfig", "MathVerifyCheck", "MathVerifyConfig", "OutcomeCheck", "OutcomeConfig",
    "build_outcome", "compare_plainly", "extract_answer", "find_numbers", "parse_number", "readable",
]  # fmt: skip
