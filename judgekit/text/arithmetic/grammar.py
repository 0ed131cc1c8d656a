"""Reads one side of an equality and computes it exactly: a number, or linear in letters (`2x + 3`).

Anything beyond that is read to its end but has no value, so that no part of a longer formula is taken for the whole.
Nothing is evaluated as code; sizes and nesting are bounded.
"""

from __future__ import annotations

from fractions import Fraction
from math import factorial

from judgekit.text.arithmetic import values
from judgekit.text.arithmetic.tokens import (
    CURRENCY,
    MAX_DIGITS,
    MULTIPLIERS,
    OPERAND_WORDS,
    Token,
    tokenize,
    word_value,
)
from judgekit.text.arithmetic.values import Linear, Side

WORD_RELATIONS = frozenset({"is", "equals", "gives", "makes", "equal", "are"})
"""Words that may stand for a sign of equality."""
_WORD_OPERATORS = {"plus": "+", "minus": "-", "times": "*", "of": "*", "multiplied": "*", "divided": "/"}
_MAX_DEPTH = 25
_MAX_FACTORIAL = 20
_MAX_UNIT_WORDS = 8
_MINUS_ONE = {"": Fraction(-1)}
_CLOSING_COMMANDS = frozenset((
    "\\Rightarrow", "\\implies", "\\rightarrow", "\\to", "\\therefore", "\\le", "\\leq", "\\ge", "\\geq",
))  # fmt: skip


class NoSideError(Exception):
    """No expression stands here."""


class SideReader:
    """The tokens of one text and a position among them, from which a side is read by recursive descent."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.at = 0
        """The token to be read next."""
        self.limit = 0
        """The token that is not read any more."""
        self._side = Side()
        self._depth = 0
        self._n_percent = 0
        self._has_sum = False

    def read_side(self) -> Side:
        """Read the side that begins here, and stay behind it.

        Raises:
            NoSideError: none begins here, or it does not end.
        """
        side = self._side = Side()
        self._depth, self._n_percent, self._has_sum = 0, 0, False
        first = self.at
        side.value = self._sum()
        side.tokens = range(first, self.at)
        # 100 - 20% = 80, colloquially
        side.is_doubtful |= self._has_sum and 0 < self._n_percent < len(side.operands)
        side.text = " ".join(self.text[self.tokens[first].start : self.tokens[self.at - 1].end].split())
        return side

    @property
    def _next(self) -> Token:
        if self.at >= self.limit:
            raise NoSideError
        return self.tokens[self.at]

    def skip_currency(self) -> None:
        """Pass signs of currency.

        Raises:
            NoSideError: nothing is behind them.
        """
        while self._next.text in CURRENCY:
            self.at += 1

    def behind_currency(self, i: int) -> int:
        """Return the first token from here on that is not a sign of currency."""
        while self.tokens[i].text in CURRENCY:
            i += 1
        return i

    def _sum(self) -> Linear | None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise NoSideError
        value = self._product()
        while (symbol := self._operator("+-")) is not None:
            self._has_sum = True
            value = values.add(value, self._product(), 1 if symbol == "+" else -1)
        self._depth -= 1
        return value

    def _product(self) -> Linear | None:
        value, divided = self._signed(), False
        while True:
            symbol = self._operator("*/")
            if symbol is not None:
                factor = self._signed()
                value = values.multiply(value, factor) if symbol == "*" else values.divide(value, factor)
                divided = divided or symbol == "/"
            elif self._is_implicit():
                self._side.is_doubtful |= divided  # 6/2(1+2)
                self._side.operations += 1
                value = values.multiply(value, self._power())
            else:
                return value

    def _operator(self, symbols: str) -> str | None:
        """Pass an operator among the symbols if one is next."""
        i = self.behind_currency(self.at)
        token, word = self.tokens[i], self.tokens[i].text.lower()
        symbol = token.text if token.text in ("+", "-", "*", "/") else _WORD_OPERATORS.get(word)
        if word in ("x", "\u0445") and self._is_times(i):
            symbol = "*"
        if symbol is None or symbol not in symbols:
            return None
        i += 1
        if self.tokens[i].kind == "word" and word_value(self.tokens[i].text) is None:
            is_glued = self.tokens[i - 2].end == token.start and token.end == self.tokens[i].start
            if token.text == "/" or (token.text == "-" and is_glued):
                return None  # $100/day, a 25-foot rope
        if word in ("multiplied", "divided"):
            if self.tokens[i].text.lower() != "by":
                return None
            i += 1
        if token.kind == "word":
            following = self.tokens[i + (self.tokens[i].text in CURRENCY)]
            if following.kind != "number" and following.text.lower() not in OPERAND_WORDS and following.text != "(":
                return None
            before, second = self.tokens[self.at - 1], self.tokens[self.at - 2]
            # `of` multiplies a share: 40% of 60, (1/2) of 8, half of 8, 3/4 of 8, but not 3 of 8
            is_share = before.text in ("%", ")") or before.text.lower() in OPERAND_WORDS
            if before.kind == "number":
                is_share = second.text == "/"
            if word == "of" and self._side.operands and not is_share:
                return None
        self.at = i
        self._side.operations += 1
        return symbol

    def _is_times(self, i: int) -> bool:
        """Tell whether the `x` at this token is a sign of times: `2 x 3`, `5% x $4`, `4 x (2 + 1)`."""
        before, token, following = self.tokens[i - 1], self.tokens[i], self.tokens[i + 1]
        if following.text in CURRENCY:
            following = self.tokens[i + 2]
        if before.kind not in ("number", "word") and before.text not in (")", "%"):
            return False
        is_apart = token.end < following.start and before.end < token.start
        return following.kind == "number" or (following.text == "(" and is_apart)

    def _is_implicit(self) -> bool:
        """Tell whether a factor follows without a sign, as in `2x`, `3(4)` and `(2)(3)`."""
        token, before = self._next, self.tokens[self.at - 1]
        is_close, is_simple = before.end == token.start, before.kind in ("number", "letter")
        if token.text == "(":
            return before.text == ")" or (is_simple and is_close)
        if token.kind == "letter":
            return is_close and is_simple and self.tokens[self.at + 1].text != "'"
        if token.text in ("\\frac", "\\sqrt", "\\pi"):
            self._side.is_doubtful |= token.text == "\\frac" and before.kind == "number"  # a mixed number or a product
            return is_simple or before.text == ")"
        return False

    def _signed(self) -> Linear | None:
        self.skip_currency()
        is_negative = False
        for _ in range(3):
            if self._next.text not in ("+", "-"):
                break
            is_negative ^= self._next.text == "-"
            self.at += 1
            self.skip_currency()
        value = self._power()
        return values.multiply(value, _MINUS_ONE) if is_negative else value

    def _power(self) -> Linear | None:
        value, sign = self._atom(), self._next.text
        if sign not in ("^", "^2", "^3"):
            return value
        self.at += 1
        self._side.operations += 1
        if sign != "^":
            return values.power(value, {"": Fraction(sign[1])})
        is_negative = self._next.text == "-"
        self.at += is_negative
        exponent = self._group() if self._next.text == "(" and not is_negative else self._atom()
        self._side.has_power_of_ten |= values.constant(value) == 10
        return values.power(value, values.multiply(exponent, _MINUS_ONE) if is_negative else exponent)

    def _atom(self) -> Linear | None:
        self.skip_currency()
        token = self._next
        if token.kind == "number":
            return self._number()
        if token.text == "(":
            return self._behind_operand(self._group())
        if token.kind == "letter":
            return self._letter()
        if token.kind == "command":
            return self._command()
        value = word_value(token.text) if token.kind == "word" else None
        if token.kind != "opaque" and value is None:
            raise NoSideError
        self.at += 1
        if value is None:  # the time of day, or a ratio
            return self._behind_operand(None)
        self._side.is_doubtful |= token.text.lower() == "third"
        self._side.operands.append(value)
        return self._behind_operand({"": value})

    def _group(self) -> Linear | None:
        """Read brackets."""
        if self._next.text != "(":
            raise NoSideError
        self.at += 1
        value = self._sum()
        self.skip_currency()
        if self._next.text != ")":
            raise NoSideError
        self.at += 1
        return value

    def _number(self) -> Linear | None:
        token, side = self._next, self._side
        self.at += 1
        if len(token.text) > MAX_DIGITS:
            return self._behind_operand(None)
        number = Fraction(token.text.replace(",", ""))
        side.decimals = len(token.text.partition(".")[2])
        side.has_decimals |= "." in token.text
        top, slash, bottom = self._next, *self.tokens[self.at + 1 : self.at + 3]
        if top.kind == "number" and slash.text == "/" and "." not in token.text:  # a mixed number such as 1 1/2
            digits = [t.text for t in (top, bottom) if t.kind == "number" and t.text.isdigit() and len(t.text) < 4]
            if len(digits) < 2 or not int(digits[0]) < int(digits[1]):
                raise NoSideError
            self.at += 3
            side.has_decimals = True
            number += Fraction(int(digits[0]), int(digits[1]))
        following = self._next
        word = following.text.lower()
        if word in ("th", "st", "nd", "rd", "pm", "am") and following.start == token.end:
            self.at += 1
            return self._behind_operand(None)
        if word in MULTIPLIERS:
            side.is_doubtful |= word.startswith("dozen")
            side.has_decimals = True
            side.units.add(word)
            number *= MULTIPLIERS[word]
            self.at += 1
        side.operands.append(number)
        if following.text == "!" and (  # a factorial rather than a cry
            self.tokens[self.at + 1].text in ("=", "*", "/", "+", "-", ")", "\\frac", "\u2248") or self._depth > 1
        ):
            self.at += 1
            side.operations += 1
            if number.denominator != 1 or number > _MAX_FACTORIAL:
                return self._behind_operand(None)
            number = Fraction(factorial(int(number)))
        return self._behind_operand({"": number})

    def _letter(self) -> Linear | None:
        name = self._next.text
        self.at += 1
        if self._next.text == "_":
            self.at += 1
            start, is_group = self.at, self._next.text == "("
            self._skip_argument()
            name += "_" + "".join(token.text for token in self.tokens[start + is_group : self.at - is_group])
        if self._next.text in ("'", "\u2019"):
            raise NoSideError
        if self._next.text == "(" and self._next.start == self.tokens[self.at - 1].end:  # a function
            self._skip_argument()
            return None
        self._side.is_doubtful |= self._next.text == "\u03c0"
        return self._behind_operand({name: Fraction(1)})

    def _skip_argument(self) -> None:
        """Pass a token, or brackets with all that is in them."""
        depth = 0
        while True:
            depth += (self._next.text == "(") - (self._next.text == ")" and depth > 0)
            self.at += 1
            if not depth:
                return

    def _command(self) -> Linear | None:
        name = self._next.text
        self.at += 1
        if name == "\\boxed":
            return self._behind_operand(self._group())
        if name == "\\frac":
            self._side.operations += 1
            top = self._group()
            return self._behind_operand(values.divide(top, self._group()))
        if name == "\\sqrt" and self._next.text == "(":
            self._side.operations += 1
            value, is_cut = values.root(self._group())
            self._side.is_irrational |= is_cut
            return self._behind_operand(value)
        if name == "\\pi":
            return self._behind_operand({"\u03c0": Fraction(1)})
        if name in _CLOSING_COMMANDS:
            raise NoSideError
        while self._next.text in ("_", "^"):
            self.at += 1
            self._skip_argument()
        if self._next.text == "(":
            self._skip_argument()
            if self._next.text == "(":
                self._skip_argument()
        elif self._next.kind in ("number", "letter"):
            self.at += 1
        return None

    def _behind_operand(self, value: Linear | None) -> Linear | None:
        """Pass a percent sign, and the words of a unit if an operation, a sign of equality or a bracket follows."""
        self._side.is_percent = self._next.text == "%" or self._next.text.lower() in ("percent", "percents")
        if self._side.is_percent:
            self.at += 1
            self._n_percent += 1
            value = values.multiply(value, {"": Fraction(1, 100)})
        i, words = self.at, set()
        for _ in range(_MAX_UNIT_WORDS):
            token, following = self.tokens[i], self.tokens[i + 1]
            if self._is_unit_word(i, is_first=i == self.at):
                words.add(token.text.lower())
                i += 1
            elif token.text in ("/", "-") and following.kind == "word":
                words.add(following.text.lower())
                i += 2
            else:
                break
        if not words:
            return value
        self._side.units |= words
        before = self.tokens[self.at - 1]  # \frac{1}{3}Bh: letters rather than a word
        self._side.is_doubtful |= before.text == ")" and before.end == self.tokens[self.at].start
        while self.tokens[i].text in CURRENCY and i - self.at < _MAX_UNIT_WORDS + 2:
            i += 1
        after = self.tokens[i].text
        is_sign = after in ("=", "\u2248", ")", "+", "-", "*", "/") or after.lower() in WORD_RELATIONS
        if is_sign or (after in ("x", "X") and self._is_times(i)):
            self.at = i
        return value

    def _is_unit_word(self, i: int, *, is_first: bool) -> bool:
        token, following = self.tokens[i], self.tokens[i + 1]
        word = token.text.lower()
        if token.kind != "word" or word in WORD_RELATIONS or word in MULTIPLIERS:
            return False
        if word == "of":  # 3 tubes of lip gloss
            return not is_first and following.kind == "word" and following.text.lower() not in OPERAND_WORDS
        return word not in _WORD_OPERATORS or (word == "times" and following.text in ("/", "="))
