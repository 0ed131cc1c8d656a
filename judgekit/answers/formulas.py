r"""Short formulas in LaTeX or plain text, read completely into a tree or not at all; `values` evaluates them."""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from judgekit.answers.notation import TEXT_CLOSE, TEXT_OPEN
from judgekit.answers.wording import MEANINGFUL

Node: TypeAlias = tuple[Any, ...]
"""A tree: `("number", Fraction)`, `("letter", name)`, or an operation with its operands."""

MAX_TOKENS = 400
"""Longer formulas are not read; bounds time."""
MAX_DEPTH = 40
"""Deeper nesting is not read; bounds recursion."""

_TOKEN = re.compile(
    rf"""{TEXT_OPEN}(?P<text>[^{TEXT_CLOSE}]*){TEXT_CLOSE}
    |(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)
    |(?P<command>\\[a-zA-Z]+)
    |(?P<escaped>\\.)
    |(?P<word>[^\W\d_]{{2,}}(?:['-][^\W\d_]{{2,}})*)
    |(?P<letter>[^\W\d_])
    |(?P<sign>\S)""",
    re.VERBOSE,
)
_GREEK = frozenset((
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
    "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi",
    "Sigma", "Upsilon", "Phi", "Psi", "Omega", "hbar", "ell", "mho", "aleph", "nabla",
))  # fmt: skip
_MODIFIERS = frozenset((
    "vec", "overrightarrow", "overline", "bar", "hat", "dot", "ddot", "tilde", "underline", "widehat", "mathbb",
    "mathbf", "overset",
))  # fmt: skip
NAMED_FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh,
    "arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan, "ln": cmath.log, "exp": cmath.exp,
    "cot": lambda x: 1 / cmath.tan(x), "sec": lambda x: 1 / cmath.cos(x), "csc": lambda x: 1 / cmath.sin(x),
}  # fmt: skip
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}
_WORD_COMMANDS = frozenset({*NAMED_FUNCTIONS, "sqrt", "log", "pi", "lg", "infty"})
_OPENS = {"(": ")", "{": "}", "[": "]"}
_ENDS = frozenset({"", "+", "-", ")", "}", "]", "|", "\\rfloor", "\\rceil", ",", "\\pm", "\\mp"})
_CONSTANTS: dict[str, Node] = {"e": ("constant", math.e), "i": ("constant", 1j)}


class Token(NamedTuple):
    """One token of normalised text."""

    kind: str
    """`number`, `command`, `escaped`, `word`, `letter`, `text` (of text mode), `sign`, or `end`."""
    text: str
    """As it stands; what is between the marks for text mode."""
    start: int
    """Offset in the text."""
    end: int
    """Offset behind it."""


END = Token("end", "", -1, -1)


class UncoveredError(Exception):
    """The formula has a part that the grammar does not know."""


class HugeError(Exception):
    """The formula has a power or factorial that is too large to compute."""


class Formula(NamedTuple):
    """A formula that was read completely."""

    node: Node
    """The tree."""
    letters: frozenset[str]
    """Names of its variables."""
    is_doubtful: bool
    """Whether it can be read in another way (`u(t)` as a product): a difference then proves nothing."""


def tokenize(text: str) -> list[Token]:
    """Split normalised text; nothing but white space is left out.

    Raises:
        UncoveredError: there are more than `MAX_TOKENS`.
    """
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        tokens.append(Token(kind, match[kind], *match.span()))
        if len(tokens) > MAX_TOKENS:
            raise UncoveredError
    return tokens


def read_formula(tokens: Sequence[Token]) -> Formula:
    """Read all of the tokens as one formula.

    Raises:
        UncoveredError: part of it is beyond the grammar.
    """
    parser = _Parser(tokens)
    node = parser.sum()
    if parser.next is not END:
        raise UncoveredError
    return Formula(node, frozenset(parser.letters), parser.is_doubtful)


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.letters: set[str] = set()
        self.is_doubtful = False

    @property
    def next(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else END

    @property
    def sign(self) -> str:
        """The next token where it is not a word and no letter, else nothing that the grammar asks for."""
        return self.next.text if self.next.kind in {"sign", "command", "escaped", "end"} else "\0"

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else END

    def pop(self) -> Token:
        if self.at >= len(self.tokens):
            raise UncoveredError
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, sign: str) -> None:
        if self.pop().text != sign:
            raise UncoveredError

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UncoveredError
        node = self.product()
        while self.sign in {"+", "-"}:
            operator = self.pop().text
            node = (operator, node, self.product())
        self.depth -= 1
        return node

    def product(self) -> Node:
        node = self.signed()
        while self.sign not in _ENDS:
            if self.sign in {"*", "/", "\\cdot"}:
                operator = self.pop().text
                node = ("/" if operator == "/" else "*", node, self.signed())
            elif self.next.kind == "number":
                raise UncoveredError  # `1 2`, `x 2`: who knows
            elif self.sign == "\\frac" and self.tokens[self.at - 1].kind == "number":
                # An integer before a fraction of numbers that is not a mixed one (those are read as one atom).
                before = self.at
                fraction = self.power()
                if fraction[0] == "/" and fraction[1][0] == fraction[2][0] == "number":
                    raise UncoveredError
                self.at = before
                node = ("*", node, self.power())
            else:
                node = ("*", node, self.power())
        return node

    def signed(self) -> Node:
        minus = False
        for _ in range(3):
            if self.sign not in {"+", "-"}:
                break
            minus ^= self.pop().text == "-"
        node = self.power()
        return ("-", ("number", Fraction(0)), node) if minus else node

    def power(self) -> Node:
        node = self.atom()
        while True:
            if self.sign == "^":
                self.pop()
                exponent = self.argument(is_power=True)
                node = ("^", node, exponent)
                if self.sign == "^":
                    raise UncoveredError
            elif self.sign == "!":
                self.pop()
                if self.sign == "!":
                    raise UncoveredError
                node = ("!", node)
            elif self.sign == "\\degree":
                self.pop()
                node = ("*", node, ("constant", math.pi / 180))
            elif self.sign == "%":
                self.pop()
                node = ("/", node, ("number", Fraction(100)))
            else:
                return node

    def argument(self, *, is_power: bool = False) -> Node:
        r"""What a command or a power takes: a group, a letter, or one digit; of `\sqrt12` nobody can tell.

        In `x^10` people mean ten, although TeX takes the one.
        """
        if self.sign == "{":
            return self.group()
        if is_power and self.sign == "-":
            self.pop()
            return ("-", ("number", Fraction(0)), self.argument())
        if self.next.kind == "number" and len(self.next.text) > 1:
            if not is_power:
                raise UncoveredError
            return ("number", Fraction(self.pop().text))
        return self.atom()

    def group(self) -> Node:
        close = _OPENS[self.pop().text]
        node = self.sum()
        self.expect(close)
        return node

    def atom(self) -> Node:
        token = self.next
        if token.kind == "number":
            return self.number()
        if token.kind == "letter" or (token.kind == "text" and len(token.text) == 1):
            return self.letter()
        if token.kind == "word":
            return self.word()
        if token.kind == "command":
            return self.command()
        if token.text in _OPENS:
            return self.group()
        if token.text == "|":
            self.pop()
            node = self.sum()
            self.expect("|")
            return ("abs", node)
        raise UncoveredError

    def number(self) -> Node:
        token = self.pop()
        value = Fraction(token.text)
        if self.sign == "_":
            raise UncoveredError  # a number in another base
        if "." in token.text or self.sign in {"^", "!"}:
            return ("number", value)
        part = self.mixed_part()
        return ("number", value if part is None else value + part)

    def mixed_part(self) -> Fraction | None:
        r"""Pass the proper fraction that makes a mixed number: `3\frac{2}{7}`, `2 1/2`, `1\frac45`."""
        texts = [self.peek(i).text for i in range(7)]
        if texts[0] == "\\frac":
            if texts[1].isdecimal() and len(texts[1]) == 2:
                above, below, n = texts[1][0], texts[1][1], 2
            elif texts[1].isdecimal() and len(texts[1]) == 1 and texts[2] == "{":
                above, below, n = texts[1], texts[3], 5 if texts[4] == "}" else 0
            elif texts[1] == "{" and texts[3] == "}" and texts[4] == "{":
                above, below, n = texts[2], texts[5], 7 if texts[6] == "}" else 0
            elif texts[1] == "{" and texts[3] == "}":
                above, below, n = texts[2], texts[4][:1], 5 if len(texts[4]) == 1 else 0
            else:
                return None
        elif self.next.kind == "number" and texts[1] == "/":
            above, below, n = texts[0], texts[2], 3
        else:
            return None
        if not n or not (above.isdecimal() and below.isdecimal() and 0 < int(above) < int(below)):
            return None
        self.at += n
        return Fraction(int(above), int(below))

    def letter(self) -> Node:
        name = self.pop().text
        if name == "C" and self.sign == "_" and (choose := self.choose()) is not None:
            return choose
        name = self.decorated(name)
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if self.sign == "(" and self.next.start == self.tokens[self.at - 1].end:
            inside, behind = self.peek(), self.peek(2)
            is_whole = inside.kind == "letter" or inside.text == "0"
            if behind.text == ")" and is_whole:  # x(t), I(0): a function rather than a product
                name, self.at, self.is_doubtful = f"{name}({inside.text})", self.at + 3, True
        self.letters.add(name)
        return ("letter", name)

    def choose(self) -> Node | None:
        """Pass `C_{400}^{40}`, a binomial coefficient, behind the letter."""
        before = self.at
        self.pop()
        below = self.argument()
        if self.sign != "^":
            self.at = before
            return None
        self.pop()
        return ("binom", below, self.argument())

    def decorated(self, name: str) -> str:
        """Pass the subscript and the primes of a name, in either order."""
        while True:
            if self.sign == "_":
                self.pop()
                name += "_" + self.name_group()
            elif self.sign == "'":
                self.pop()
                name += "'"
            elif self.sign == "^" and self.peek().text == "\\prime":
                self.at += 2
                name += "'"
            elif self.sign == "^" and [self.peek(i).text for i in range(1, 4)] == ["{", "\\prime", "}"]:
                self.at += 4
                name += "'"
            else:
                return name

    def name_group(self) -> str:
        """Pass a group, or one token, that is a name and has no value."""
        if self.sign != "{":
            token = self.pop()
            if (token.kind == "number" and len(token.text) > 1) or token.text in _OPENS.values():
                raise UncoveredError
            return token.text
        texts, depth = list[str](), 0
        while True:
            token = self.pop()
            depth += {"{": 1, "}": -1}.get(token.text, 0)
            if not depth:
                return "".join(texts[1:])
            texts.append(token.text)

    def word(self) -> Node:
        token = self.pop()
        if token.text in _WORD_COMMANDS:
            return self.function("\\" + token.text)
        if len(token.text) > 2 and token.text.lower() in MEANINGFUL:
            raise UncoveredError  # `more` and `half` are not products of letters
        if not token.text.isascii() or not token.text.isalpha() or len(token.text) > 4 or self.sign in {"_", "(", "'"}:
            raise UncoveredError
        self.letters |= {*token.text} - _CONSTANTS.keys()
        factors: list[Node] = [_CONSTANTS.get(name, ("letter", name)) for name in token.text]
        if self.sign == "^":  # ab^2 is a b^2
            self.pop()
            factors[-1] = ("^", factors[-1], self.argument(is_power=True))
        node = factors[0]
        for factor in factors[1:]:  # letters without a space between them are a product
            node = ("*", node, factor)
        return node

    def command(self) -> Node:
        return self.function(self.pop().text)

    def function(self, command: str) -> Node:
        name = command[1:]
        if name == "pi":
            return ("constant", math.pi)
        if name == "infty":
            return ("infinity",)
        if name == "frac":
            return self.fraction()
        if name in {"sqrt", "surd", "cbrt"}:
            return self.root(name)
        if name == "binom":
            return ("binom", self.argument(), self.argument())
        if name in {"lfloor", "lceil"}:
            node = self.sum()
            self.expect("\\r" + name[1:])
            return ("floor" if name == "lfloor" else "ceil", node)
        if name in _GREEK:
            name = self.decorated(command)
            if self.sign == "(" and self.peek().kind == "letter" and self.peek(2).text == ")":
                name, self.at, self.is_doubtful = f"{name}({self.peek().text})", self.at + 3, True
            self.letters.add(name)
            return ("letter", name)
        if name in _MODIFIERS:
            name = self.decorated(f"{command}{{{self.name_group()}}}")
            self.letters.add(name)
            return ("letter", name)
        if name in {"log", "lg"}:
            return self.logarithm(name)
        if name in NAMED_FUNCTIONS:
            return self.named(name)
        raise UncoveredError

    def fraction(self) -> Node:
        if self.next.kind == "number" and len(self.next.text) == 2 and self.next.text.isdecimal():  # \frac34
            digits = self.pop().text
            return ("/", ("number", Fraction(digits[0])), ("number", Fraction(digits[1])))
        start = self.at
        above = self.argument()
        middle = self.at
        if self.next.kind == "number" and len(self.next.text) > 1:
            raise UncoveredError
        below = self.argument()
        first, second = self.differential(start, middle), self.differential(middle, self.at)
        if first and second:  # a derivative and no quotient
            name = f"\\frac{{{first}}}{{{second}}}"
            self.letters.add(name)
            return ("letter", name)
        return ("/", above, below)

    def differential(self, start: int, end: int) -> str:
        r"""Return the tokens of a group where it is `dx`, `d^2 x` or `\partial x`, else nothing."""
        inside = [token.text for token in self.tokens[start:end] if token.text not in {"{", "}"}]
        is_differential = len(inside) > 1 and inside[0] in {"d", "\\partial"}
        is_glued = len(inside) == 1 and len(inside[0]) == 2 and inside[0][0] == "d"
        return "".join(inside) if is_differential or is_glued else ""

    def root(self, name: str) -> Node:
        degree: Node = ("number", Fraction(3 if name == "cbrt" else 2))
        if name != "sqrt":
            return ("root", self.atom(), degree)
        if self.sign == "[":
            self.pop()
            degree = self.sum()
            self.expect("]")
        if self.sign == "(":
            return ("root", self.group(), degree)
        return ("root", self.argument(), degree)

    def logarithm(self, name: str) -> Node:
        base: Node = ("number", Fraction(10)) if name == "lg" else ("base",)
        if self.sign == "_":
            self.pop()
            base = self.argument() if self.next.kind != "number" else ("number", Fraction(self.pop().text))
        if self.sign == "^":
            raise UncoveredError
        return ("log", self.function_argument(), base)

    def named(self, name: str) -> Node:
        exponent: Node | None = None
        if self.sign == "^":
            self.pop()
            exponent = self.argument(is_power=True)
            if exponent == ("-", ("number", Fraction(0)), ("number", Fraction(1))):
                if name not in _INVERSE:
                    raise UncoveredError
                name, exponent = _INVERSE[name], None
        node: Node = ("call", name, self.function_argument())
        return node if exponent is None else ("^", node, exponent)

    def function_argument(self) -> Node:
        if self.sign in _OPENS or self.sign == "|":
            node = self.power()  # sin(x)^2: of the sine or of x, who knows
            if node[0] == "^":
                raise UncoveredError
            return node
        if self.sign in _ENDS or self.sign in {"*", "/", "\\cdot"}:
            raise UncoveredError
        node = self.power()
        while self.next.kind in {"letter", "word"} or self.sign in {"\\pi", "\\frac", "\\sqrt"} or self.is_greek():
            if self.next.kind == "word" and self.next.text in _WORD_COMMANDS - {"pi"}:
                break
            node = ("*", node, self.power())
        if self.sign in {"/", "\\cdot", "*"}:
            raise UncoveredError  # sin x / 2: who knows
        return node

    def is_greek(self) -> bool:
        return self.next.kind == "command" and self.next.text[1:] in _GREEK
