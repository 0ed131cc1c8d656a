"""Outcome checks: is the final answer of a response right? Imports no torch and no sympy.

A check returns 1.0, 0.0, or `None` for "cannot tell". `None` becomes NaN in TRL, so the response gets no advantage and
stays outside its group's baseline: a check that ran out of time is never a wrong answer.
"""

from __future__ import annotations

import multiprocessing
import re
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import Annotated, Literal, Protocol

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.errors import DataError, JudgeError

MAX_DIGITS = 100
"""Longest number, in characters, that is compared exactly; longer ones are no numbers to these checks."""
MAX_EXPRESSION_CHARS = 500
"""Longest expression handed to the symbolic comparison; longer ones cannot be told."""
START_TIMEOUT_S = 120.0
"""Longest wait for the symbolic checker's process to come up, seconds."""

_NUMBER = re.compile(
    r"""(?<![\w)\]}])                            # no sign and no start within a word or after a bracket
    [-\u2212]?\$?                               # minus as ASCII or Unicode
    (?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+)?  # 1,234.5 or 1234.5 or .5
    (?:(?<=\d)/\d+)?                           # 1/2""",
    re.VERBOSE,
)
_FRACTION = re.compile(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}")
_PHRASE = re.compile(r"####[ \t]*|\banswer(?:[ \t]+is\b|[ \t]*:)[ \t:]*", re.IGNORECASE)
_MARKUP = re.compile(r"[\\^%(){}\[\]*+!]|\d[a-zA-Z]|hundred|thousand|million|billion|dozen|percent", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\n|[.!?](?=\s|$)")


class MathVerifyConfig(BaseConfig):
    """Mathematical equality with the right answer, by math-verify behind an exact comparison of plain numbers."""

    type: Literal["math_verify"] = "math_verify"
    """Tells the checks apart."""
    timeout_s: float = Field(default=5.0, gt=0)
    """Longest time for one symbolic comparison, seconds; beyond it the outcome is unknown."""


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

    def close(self) -> None:
        """Free what the check holds; it may be used again."""


def build_outcome(config: MathVerifyConfig | LastNumberConfig) -> OutcomeCheck:
    """Return the configured check."""
    return LastNumberCheck() if isinstance(config, LastNumberConfig) else MathVerifyCheck(timeout_s=config.timeout_s)


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

    def close(self) -> None:
        """Nothing to free."""


class MathVerifyCheck:
    """Compares plain numbers exactly and everything else with math-verify in a process of its own.

    The process is killed when a comparison takes too long: a power tower or a large factorial keeps the interpreter in
    C code, where neither signals nor threads reach it.

    Args:
        timeout_s: Longest time for one comparison, seconds.
    """

    def __init__(self, *, timeout_s: float = 5.0) -> None:
        self.timeout_s = timeout_s
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def check(self, response: str, *, answer: str) -> float | None:
        """See `OutcomeCheck`. A response that states no answer is wrong."""
        stated = extract_answer(response)
        if stated is None:
            return 0.0
        if stated == answer.strip():
            return 1.0
        gold = parse_number(answer)
        if gold is not None:
            value = _stated_number(stated)
            if value is not None:
                return float(value == gold)
        return self._compare(answer, stated)

    def _compare(self, answer: str, stated: str) -> float | None:
        if max(len(answer), len(stated)) > MAX_EXPRESSION_CHARS:
            return None
        connection = self._connection or self._start()
        try:
            connection.send((answer, stated))
            if connection.poll(self.timeout_s):
                reply: float | None = connection.recv()
                return reply
        except (EOFError, ConnectionError):
            pass  # the process died on this comparison, for example for want of memory
        self.close()
        return None

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve_comparisons, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        if not self._connection.poll(START_TIMEOUT_S) or self._connection.recv() != "ready":
            self.close()
            raise JudgeError(f"the process of the math_verify check did not come up within {START_TIMEOUT_S:.0f} s")
        return self._connection

    def close(self) -> None:
        """End the process; the next comparison starts another."""
        if self._process is not None and self._connection is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._connection.close()
        self._process = self._connection = None


def _stated_number(stated: str) -> Fraction | None:
    """The number that a statement such as `x = 18 dollars` gives; `None` for mathematics and words of scale."""
    result = stated.rpartition("=")[2]
    value = parse_number(result)
    if value is not None or _MARKUP.search(result):
        return value
    numbers = find_numbers(result)
    return numbers[0] if numbers else None


def _serve_comparisons(connection: Connection) -> None:
    """Answer comparisons until the other end is gone; runs in the process that may be killed."""
    import logging  # only this process pays for sympy

    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    connection.send("ready")
    while True:
        try:
            answer, stated = connection.recv()
        except (EOFError, ConnectionError):
            return
        gold = parse(f"\\boxed{{{answer}}}", parsing_timeout=None)
        response = parse(f"\\boxed{{{stated}}}", parsing_timeout=None)
        connection.send(float(verify(gold, response, timeout_seconds=None)) if gold else None)


__all__ = [
    "LastNumberCheck", "LastNumberConfig", "MathVerifyCheck", "MathVerifyConfig", "OutcomeCheck", "OutcomeConfig",
    "build_outcome", "extract_answer", "find_numbers", "parse_number",
]  # fmt: skip
