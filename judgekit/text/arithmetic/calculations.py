"""Finds the calculations that a step states, and the position of each of their digits, so that numbers can be replaced.

A step such as `In all, 4 houses * 3 gnomes = $12.` contains the calculation 4 * 3 = 12. It is read like a claim, from
the original text, and kept if it consists of the four operations on numbers in digits. Anything beyond that is reported
(`is_clean`, `has_algebra`), because a number may only be changed if everything that depends on it is understood.
Nothing is evaluated as code: expressions are tokens, computed by operator precedence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

from judgekit.text.arithmetic.chains import ChainReader
from judgekit.text.arithmetic.tokens import CURRENCY, QUANTITY_WORDS, SIGNS

Value: TypeAlias = int | Fraction
"""An exact value: an integer wherever it is whole, since that is much faster than a fraction."""

OPERATORS = SIGNS | {"x": "*", "X": "*", "of": "*"}
"""Spellings of the four operations."""
_OPENING = CURRENCY | {"("}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
_MAX_DIGITS = 15
_MAX_NUMBER_CHARS = 40


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
        for item in (*expression, ")"):  # the last one closes the whole
            if isinstance(item, int):
                stack.append(values[item])
            elif item == "%":
                stack.append(Fraction(stack.pop(), 100))
            elif item == "(":
                pending.append(item)
            else:
                while pending and pending[-1] != "(" and _PRECEDENCE[pending[-1]] >= _PRECEDENCE.get(item, 0):
                    symbol, right, left = pending.pop(), stack.pop(), stack.pop()
                    if symbol == "+":
                        stack.append(left + right)
                    elif symbol == "-":
                        stack.append(left - right)
                    else:
                        stack.append(left * right if symbol == "*" else Fraction(left) / right)
                if item != ")":
                    pending.append(item)
                elif pending:
                    pending.pop()
    except ZeroDivisionError:
        return None
    return exact(stack[0])


@lru_cache(maxsize=4096)
def parse_step(text: str) -> Step:
    """Find the numbers and equations of a step; equations are found whether they hold or not.

    Example:
        >>> step = parse_step("She sold 48/2 = 24 clips.")
        >>> [int(value) for value in step.values], step.holds(step.equations[0])
        ([48, 2, 24], True)
    """
    return _StepReader(text).step()


class _StepReader(ChainReader):
    """Reads chains in a text as it stands, and keeps those of one calculation and its result in digits."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.numbers = list[Number]()
        self.places = dict[int, int]()
        """Place among the numbers, by token."""
        for i, token in enumerate(self.tokens):
            if token.kind == "opaque" or (token.kind == "number" and not self._is_glued(i)):
                self.places |= {i: len(self.numbers)} if token.kind == "number" else {}
                # The numbers of a time or ratio may be quoted elsewhere, but nothing is calculated with them.
                for part in re.finditer(r"[\d.,]+", token.text):
                    self.numbers.append(Number(token.start + part.start(), token.start + part.end(), _value(part[0])))

    def _is_glued(self, i: int) -> bool:
        """Tell whether a number is part of a word, or of a product with a letter: 20th, 5pm, A4, 2S."""
        before, token, following = self.tokens[i - 1], self.tokens[i], self.tokens[i + 1]
        is_times = following.text in ("x", "X") and self._is_times(i + 1)
        return (following.kind in ("letter", "word") and following.start == token.end and not is_times) or (
            before.kind in ("letter", "word") and before.end == token.start and before.text not in ("x", "X")
        )

    def step(self) -> Step:
        tokens, equations, is_clean, i = self.tokens, list[Equation](), True, 0
        has_algebra = self._pass_letters()
        last_equals = max((i for i, token in enumerate(tokens) if token.text == "="), default=-1)
        while i < len(tokens):
            may_begin = i < last_equals and (i in self.places or tokens[i].text in _OPENING)
            if may_begin and (found := self._equation_from(i)) is not None:
                equations.append(found[0])
                i = found[1]
                continue
            before, second = tokens[i - 1] if i else tokens[-1], tokens[i - 2] if i > 1 else tokens[-1]
            is_glued = before.kind in ("letter", "word") and second.kind == "number" and second.end == before.start
            is_operand = before.kind == "number" or before.text in ("%", ")") or is_glued
            is_clean &= tokens[i].text != "=" and not (is_operand and self._is_operation(i))
            i += 1
        words = {part for token in tokens if token.kind == "word" for part in token.text.lower().split("-")}
        return Step(
            text=self.text,
            numbers=tuple(self.numbers),
            equations=tuple(equations),
            is_clean=is_clean,
            has_algebra=has_algebra,
            word_values=frozenset(exact(QUANTITY_WORDS[word]) for word in words & QUANTITY_WORDS.keys()),
        )

    def _pass_letters(self) -> bool:
        """Make words of the letters, as in `5 m/s`; returns whether one stands for a number: `S = 20`, `2S`."""
        has_algebra, tokens = False, self.tokens
        for i, token in enumerate(tokens):
            if token.kind != "letter" or self._is_operation(i):
                continue
            before, following = tokens[i - 1] if i else tokens[-1], tokens[i + 1]
            is_factor = before.kind == "number" and before.end == token.start
            around = {OPERATORS.get(mark.text, mark.text) for mark in (before, following)}
            has_algebra |= is_factor or (token.text not in "aAIs" and not around.isdisjoint("=+*/"))
            if not is_factor:
                tokens[i] = token._replace(kind="word")
        return has_algebra

    def _equation_from(self, first: int) -> tuple[Equation, int] | None:
        """Read an equation that begins at this token; returns it and the token behind it."""
        tokens, (chain, behind) = self.tokens, self.chain_from(first)
        if chain is None or len(chain.sides) != 2 or tokens[self.behind_currency(behind)].text == "=":
            return None
        left, right = chain.sides
        equals, result = self.behind_currency(left.tokens.stop), right.tokens.start
        if tokens[equals].text != "=" or right.operations or result not in self.places:
            return None
        # A claim may also hold signs, powers, letters, products without a sign or numbers in words, which cannot be
        # replaced. With one, operands and operations in digits do not take turns, or are fewer than were computed.
        expression, operators = list[int | str](), list[Operator]()
        for i in left.tokens:
            _, text, start, end = tokens[i]
            is_open = not expression or expression[-1] in ("(", "+", "-", "*", "/")
            is_operation = self._is_operation(i)
            if not is_operation and i not in self.places and text not in ("(", ")", "%"):
                continue
            if is_open is not (i in self.places or text == "("):
                return None
            if is_operation:
                operators.append(Operator(start, end, OPERATORS[text]))
            expression.append(OPERATORS[text] if is_operation else self.places.get(i, text))
        is_mixed = tokens[result + 1].kind == "number" and tokens[result + 2].text == "/"  # = 1 1/2
        if is_mixed or not len(operators) == left.operations > 0:
            return None
        operators.append(Operator(tokens[equals].start, tokens[equals].end, "="))
        start, result_start, is_percent = tokens[first].start, tokens[equals + 1].start, tokens[result + 1].text == "%"
        equation = Equation(start, tuple(expression), tuple(operators), self.places[result], result_start, is_percent)
        return equation, result + 1 + is_percent

    def _is_operation(self, i: int) -> bool:
        """Tell whether this token is an operation with an operand to its right."""
        text, before = self.tokens[i].text, self.tokens[i - 1] if i else self.tokens[-1]
        if text not in OPERATORS or (text == "of" and before.kind != "number" and before.text not in ("%", ")")):
            return False
        i += 1
        while self.tokens[i].text in _OPENING:
            i += 1
        return i in self.places

    def _is_unit_word(self, i: int, *, is_first: bool) -> bool:
        return self.tokens[i].kind == "word" and not self._is_operation(i)  # nothing is calculated in words here


def _value(text: str) -> Value:
    """Read a number; of absurdly long ones only the beginning, which makes their equations false."""
    digits = ("0" + text.replace(",", ""))[: _MAX_DIGITS + 1].rstrip(".")
    return exact(Fraction(digits)) if "." in digits else int(digits)


def parse_number(text: str) -> Value | None:
    """Return the one number that a text consists of, with or without currency sign; `None` if it is none."""
    if len(text) > _MAX_NUMBER_CHARS:
        return None
    found = parse_step(text.strip())
    rest = text.strip().strip("$.% ")
    is_number = len(found.numbers) == 1 and found.numbers[0].end - found.numbers[0].start == len(rest)
    return found.values[0] if is_number else None


def quantities(text: str) -> frozenset[Value]:
    """Return the values that a text states, in digits or words."""
    step = parse_step(text)
    return step.word_values | set(step.values)


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
