"""Find the arithmetic that a step of a solution states, and write numbers into its text.

A step such as `In all, 4 houses * 3 gnomes = $12.` holds the equation 4 * 3 = 12. Units, currency signs and percent
signs may stand in between, `of` and `x` between numbers mean times. Values are fractions, so that nothing is rounded.
Nothing here is evaluated as code: expressions are tokens, worked out by operator precedence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

Value: TypeAlias = int | Fraction
"""An exact value: an integer wherever it is whole, since that is much faster than a fraction."""

ANNOTATION = re.compile(r"<<[^<>]*>>")
"""A calculator annotation of GSM8K (2110.14168), as in `48/2 = <<48/2=24>>24`."""
OPERATORS = {
    "+": "+", "-": "-", "\u2212": "-", "\u2013": "-", "*": "*", "\u00d7": "*", "\u00b7": "*", "x": "*", "X": "*",
    "of": "*", "/": "/", "\u00f7": "/",
}  # fmt: skip
"""Spellings of the four operations: the mathematical minus, the dash and the signs of times and division, too."""
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
_MAX_UNIT_WORDS = 6
_MAX_DIGITS = 15
_MAX_NUMBER_CHARS = 40

_TOKEN = re.compile(
    r"""
    (?P<glued>\d[\d,.]*+(?![xX]\s*[$(]?[.\d])[^\W\d_]\w*)       # 2S, 20th, 5pm
    | (?P<number>(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)?|\.\d++)
    | (?P<word>[xX](?=[.\d])|[^\W\d_][\w'\u2019]*+)
    | (?P<mark>\S)
    """,
    re.VERBOSE,
)
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
NUMBER_WORDS: dict[str, Value] = {
    **{word: value for value, word in enumerate(_SMALL)},
    "first": 1, "second": 2, "third": 3, "fourth": 4, "once": 1,
    "twice": 2, "double": 2, "doubled": 2, "couple": 2, "half": Fraction(1, 2),
    "triple": 3, "thrice": 3, "quarter": Fraction(1, 4), "dozen": 12,
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60,
    "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100,
    "thousand": 1000, "million": 1_000_000,
}  # fmt: skip
"""Values of the words that stand for numbers."""


class Number(NamedTuple):
    """A number as it stands in a text."""

    start: int
    """Offset of its first character."""
    end: int
    """Offset behind its last character."""
    value: Value
    """What it says; of `40%` it is 40."""


class Operator(NamedTuple):
    """An operator as it stands in a text."""

    start: int
    """Offset of its first character."""
    end: int
    """Offset behind its last character."""
    symbol: str
    """`+`, `-`, `*` or `/`, whatever its spelling; `=` for the sign of equality."""


@dataclass(frozen=True)
class Equation:
    """One stated calculation: an expression, the sign of equality and a number."""

    start: int
    """Offset of the expression, its currency sign included."""
    expression: tuple[int | str, ...]
    """In order: an operand as its place among the step's numbers, else an operation, a bracket or `%`."""
    operators: tuple[Operator, ...]
    """The operations in order, and last the sign of equality."""
    result: int
    """Place of the result among the step's numbers."""
    result_start: int
    """Offset of the result, its currency sign included."""
    result_is_percent: bool
    """Whether a percent sign follows the result."""

    @property
    def operands(self) -> tuple[int, ...]:
        """Places of the operands among the step's numbers."""
        return tuple(item for item in self.expression if isinstance(item, int))


@dataclass(frozen=True)
class Step:
    """A step's text and the arithmetic in it."""

    text: str
    """The text as it stands."""
    numbers: tuple[Number, ...]
    """All numbers in digits, in order."""
    equations: tuple[Equation, ...]
    """All equations found, in order."""
    is_clean: bool
    """Whether every operation and every sign of equality belongs to an equation that was found."""
    has_algebra: bool
    """Whether a letter stands for a number."""
    word_values: frozenset[Value]
    """Values of the numbers that are written as words."""

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """The numbers' values in order."""
        return tuple(number.value for number in self.numbers)

    def holds(self, equation: Equation) -> bool:
        """Tell whether an equation of this step is true."""
        return compute_result(equation, self.values) == self.numbers[equation.result].value


def exact(value: Value) -> Value:
    """Return an integer for a fraction that is whole."""
    return value.numerator if value.denominator == 1 else value


def compute_result(equation: Equation, values: Sequence[Value]) -> Value | None:
    """Return what the result must be for the given values of the step's numbers; `None` for a division by zero."""
    value = compute_value(equation.expression, values)
    return exact(value * 100) if value is not None and equation.result_is_percent else value


def compute_value(expression: Sequence[int | str], values: Sequence[Value]) -> Value | None:
    """Work out an expression by precedence, from left to right; `None` for a division by zero."""
    stack: list[Value] = []
    pending: list[str] = []
    try:
        for item in expression:
            if isinstance(item, int):
                stack.append(values[item])
            elif item == "%":
                stack.append(Fraction(stack.pop(), 100))
            elif item == "(":
                pending.append(item)
            elif item == ")":
                while pending[-1] != "(":
                    _apply(pending.pop(), stack)
                pending.pop()
            else:
                while pending and pending[-1] != "(" and _PRECEDENCE[pending[-1]] >= _PRECEDENCE[item]:
                    _apply(pending.pop(), stack)
                pending.append(item)
        while pending:
            _apply(pending.pop(), stack)
    except ZeroDivisionError:
        return None
    return exact(stack[0])


def _apply(symbol: str, stack: list[Value]) -> None:
    right, left = stack.pop(), stack.pop()
    if symbol == "+":
        stack.append(left + right)
    elif symbol == "-":
        stack.append(left - right)
    else:
        stack.append(left * right if symbol == "*" else Fraction(left) / right)


@lru_cache(maxsize=4096)
def parse_step(text: str) -> Step:
    """Find the numbers and equations of a step; equations are found whether they hold or not.

    Example:
        >>> step = parse_step("She sold 48/2 = 24 clips.")
        >>> [int(value) for value in step.values], step.holds(step.equations[0])
        ([48, 2, 24], True)
    """
    return _Scanner(text).step()


class _Scanner:
    """The tokens of one text, and what is found among them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [(str(match.lastgroup), match.group(), *match.span()) for match in _TOKEN.finditer(text)]
        self.tokens += [("end", "", len(text), len(text))] * 4
        self.number_places = {
            i: place for place, i in enumerate(i for i, token in enumerate(self.tokens) if token[0] == "number")
        }
        self.last_equals = max((i for i, token in enumerate(self.tokens) if token[1] == "="), default=-1)

    def step(self) -> Step:
        numbers = [Number(self.tokens[i][2], self.tokens[i][3], _value(self.tokens[i][1])) for i in self.number_places]
        equations, covered, i = [], set[int](), 0
        while i < len(self.tokens):
            found = self._equation_from(i) if self._may_begin(i) else None
            if found is None:
                i += 1
                continue
            equations.append(found[0])
            covered.update(range(i, found[1]))
            i = found[1]
        rest = [i for i in range(len(self.tokens)) if i not in covered]
        words = [token[1].lower() for token in self.tokens if token[0] == "word"]
        return Step(
            text=self.text,
            numbers=tuple(numbers),
            equations=tuple(equations),
            is_clean=not any(self._is_loose_operation(i) for i in rest),
            has_algebra=any(self._is_letter(i) or self._is_glued_letter(i) for i in range(len(self.tokens))),
            word_values=frozenset(NUMBER_WORDS[word] for word in words if word in NUMBER_WORDS),
        )

    def _may_begin(self, i: int) -> bool:
        return i < self.last_equals and (self.tokens[i][0] == "number" or self.tokens[i][1] in ("$", "("))

    def _equation_from(self, first: int) -> tuple[Equation, int] | None:
        """Read an equation that begins at this token; returns it and the token behind it."""
        expression: list[int | str] = []
        operators: list[Operator] = []
        depth, i = 0, first
        while True:
            while self.tokens[i][1] in ("$", "("):
                if self.tokens[i][1] == "(":
                    expression.append("(")
                    depth += 1
                i += 1
            if i not in self.number_places:
                return None
            expression.append(self.number_places[i])
            i, depth = self._behind_operand(i + 1, depth, expression)
            _, text, start, end = self.tokens[i]
            if text == "=":
                operators.append(Operator(start, end, "="))
                break
            if not self._is_operator(i):
                return None
            operators.append(Operator(start, end, OPERATORS[text]))
            expression.append(OPERATORS[text])
            i += 1
        if depth or len(operators) < 2:
            return None
        return self._with_result(first, i + 1, tuple(expression), tuple(operators))

    def _behind_operand(self, i: int, depth: int, expression: list[int | str]) -> tuple[int, int]:
        """Pass a percent sign, closing brackets and the words of a unit."""
        if self.tokens[i][1] == "%":
            expression.append("%")
            i += 1
        for _ in range(2):
            while depth and self.tokens[i][1] == ")":
                expression.append(")")
                depth, i = depth - 1, i + 1
            i = self._behind_unit(i)
        return i, depth

    def _with_result(
        self, first: int, i: int, expression: tuple[int | str, ...], operators: tuple[Operator, ...]
    ) -> tuple[Equation, int] | None:
        result_start = self.tokens[i][2]
        if self.tokens[i][1] == "$":
            i += 1
        if i not in self.number_places:
            return None
        result, is_percent = self.number_places[i], self.tokens[i + 1][1] == "%"
        i += 2 if is_percent else 1
        following = self._behind_unit(i)
        if self.tokens[following][1] == "=" or self._is_operator(following):
            return None  # the number is the beginning of another expression, not a result
        start = self.tokens[first][2]
        return Equation(start, expression, operators, result, result_start, is_percent), i

    def _behind_unit(self, i: int) -> int:
        """Pass the words of a unit if an operation, a sign of equality or a bracket follows; else stay."""
        here = i
        for _ in range(_MAX_UNIT_WORDS):
            if self.tokens[i][1] in ("=", ")") or self._is_operator(i):
                return i
            if self.tokens[i][0] == "word":
                i += 1
            elif self.tokens[i][1] in ("/", "-") and self.tokens[i + 1][0] == "word":
                i += 2
            else:
                return here
        return i if self.tokens[i][1] in ("=", ")") or self._is_operator(i) else here

    def _is_operator(self, i: int) -> bool:
        """Tell whether this token is an operation with an operand to its right."""
        text, before = self.tokens[i][1], self.tokens[i - 1] if i else ("end", "", 0, 0)
        if text not in OPERATORS or (text == "of" and before[0] != "number" and before[1] not in ("%", ")")):
            return False
        i += 1
        while self.tokens[i][1] in ("$", "("):
            i += 1
        return i in self.number_places

    def _is_loose_operation(self, i: int) -> bool:
        text = self.tokens[i][1]
        if text == "=":
            return True
        before = self.tokens[i - 1] if i else ("end", "", 0, 0)
        return self._is_operator(i) and (before[0] in ("number", "glued") or before[1] in ("%", ")"))

    def _is_letter(self, i: int) -> bool:
        kind, text, _, _ = self.tokens[i]
        if kind != "word" or len(text) > 1 or text in "aAIs" or self._is_operator(i):
            return False
        around = (self.tokens[i - 1][1] if i else "", self.tokens[i + 1][1])
        return any(mark == "=" or OPERATORS.get(mark, mark) in ("+", "*", "/") for mark in around)

    def _is_glued_letter(self, i: int) -> bool:
        kind, text, _, _ = self.tokens[i]
        return kind == "glued" and not text[-2].isalpha()


def _value(text: str) -> Value:
    """Read a number; of absurdly long ones only the beginning, which makes their equations false."""
    digits = ("0" + text.replace(",", ""))[: _MAX_DIGITS + 1].rstrip(".")
    return exact(Fraction(digits)) if "." in digits else int(digits)


def parse_number(text: str) -> Value | None:
    """Return the one number that a text consists of, with or without currency sign; `None` where it is none."""
    if len(text) > _MAX_NUMBER_CHARS:
        return None
    found = parse_step(text.strip())
    rest = text.strip().strip("$.% ")
    is_number = len(found.numbers) == 1 and found.numbers[0].end - found.numbers[0].start == len(rest)
    return found.values[0] if is_number else None


def quantities(text: str) -> frozenset[Value]:
    """Return the values that a text states, in digits or words."""
    tokens = [(match.lastgroup, match.group()) for match in _TOKEN.finditer(text)]
    in_words = {NUMBER_WORDS[word.lower()] for kind, word in tokens if kind == "word" and word.lower() in NUMBER_WORDS}
    return frozenset(in_words | {_value(digits) for kind, digits in tokens if kind == "number"})


def render_number(value: Value, *, like: str = "") -> str:
    """Write a value whose decimals are finite, in the manner of another number.

    Args:
        value: At least 0; its denominator divides a power of ten.
        like: The number that stood there: its thousands separators and its closing zeros are taken over.

    Example:
        >>> render_number(Fraction(4321, 2), like="1,000.00")
        '2,160.50'
    """
    n_decimals = len(like.partition(".")[2]) if like.endswith("0") and "." in like else 0
    while (value * 10**n_decimals).denominator != 1:
        n_decimals += 1
    whole, decimals = divmod(int(value * 10**n_decimals), 10**n_decimals)
    head = f"{whole:,}" if "," in like else str(whole)
    return f"{head}.{decimals:0{n_decimals}d}" if n_decimals else head


def replace_numbers(step: Step, values: Mapping[int, Value]) -> str:
    """Return the step's text with some of its numbers replaced, by their place."""
    text = step.text
    for place in sorted(values, reverse=True):
        start, end, old = step.numbers[place]
        if values[place] != old:
            text = text[:start] + render_number(values[place], like=text[start:end]) + text[end:]
    return text


__all__ = [
    "ANNOTATION", "Equation", "NUMBER_WORDS", "Number", "OPERATORS", "Operator", "Step", "Value", "compute_result",
    "compute_value", "exact", "parse_number", "parse_step", "quantities", "render_number", "replace_numbers",
]  # fmt: skip
