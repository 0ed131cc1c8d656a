r"""Finds the equalities that a text claims, in LaTeX or plain text, and computes their sides exactly.

`In all, 4 houses * 3 gnomes = $12`, `\frac{1}{2} \times 48 = 24`, `x = 2 + 3 = 5`, `half of 48 is 24`. The time grows
linearly with the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from judgekit.text.arithmetic.grammar import WORD_RELATIONS, NoSideError, SideReader
from judgekit.text.arithmetic.tokens import CURRENCY, OPERAND_WORDS, Token, readable, word_value
from judgekit.text.arithmetic.values import Side

_MAX_TOKENS = 300
_MAX_WORDS_BEHIND = 5
_MAX_LABEL_WORDS = 8
_SHARE = re.compile(r"[0-9]{1,3}/[0-9]{1,3}")
_RELATIONS = frozenset({"=", "\u2248"})
_NO_START = frozenset((
    "times", "plus", "minus", "by", "mod", "sqrt", "log", "ln", "sin", "cos", "tan", "root", "over", "remainder",
    "divided", "multiplied", "than", "per", "or",
))  # fmt: skip
"""Behind these words stands a part of an expression that begins before them, or in words."""
_NO_START_OF = frozenset((
    "average", "mean", "median", "remainder", "half", "third", "quarter", "percent", "square", "cube", "root", "sum",
    "product", "difference", "ratio", "twice", "double", "fourth", "fifth", "multiple", "factors", "thirds", "quarters",
    "fourths", "fifths", "percentage", "gcd", "lcm", "power", "logarithm",
))  # fmt: skip
"""The same of `half of`, `sum of` and so on."""
_ARE_OPERATIONS = frozenset(("divided", "multiplied", "divide", "multiply", "dividing", "multiplying", "times"))
_PREPOSITIONS = frozenset(("of", "in", "for", "at", "per", "every", "each", "on", "after", "from", "to", "over", "by"))
_NO_END = frozenset(("mod", "remainder", "r", "billion", "base", "choose", "or", "dozen", "score"))
"""Before these words an expression is not at its end."""


@dataclass(frozen=True)
class Equality:
    """A chain `a = b = c` as stated, or two statements on one quantity: `Total = 2 + 3. Total = 5`."""

    sides: tuple[Side, ...]
    """Two or more."""
    is_approximate: tuple[bool, ...]
    """For each sign of equality whether it says `about`."""
    words_behind: frozenset[str]
    """Words that follow it in the same sentence, in small letters: they may name the unit of the last side."""


def find_equalities(text: str) -> list[Equality]:
    r"""Return the equalities of a text in order, true or not.

    Example:
        >>> [side.number for side in find_equalities(r"So \(\frac{1}{2} \times 48 = 24\) are left.")[0].sides]
        [Fraction(24, 1), Fraction(24, 1)]
    """
    return ChainReader(readable(text)).equalities()


class ChainReader(SideReader):
    """Reads sides and signs of equality in turn, in a text as it stands."""

    def equalities(self) -> list[Equality]:
        """See `find_equalities`."""
        found, i = list[Equality](), 0
        label, labelled = tuple[str, ...](), Side()
        while i < len(self.tokens) - 4:
            chain, behind = self.chain_from(i) if self._may_begin(i) else (None, i + 1)
            if chain is not None:
                if len(chain.sides) > 1:
                    found.append(chain)
                name = self._label(i)
                if name and name == label and labelled.operations:  # Total = 2 + 3. Total = 5.
                    found.append(Equality((labelled, chain.sides[0]), (False,), chain.words_behind))
                label, labelled = name, chain.sides[-1]
            i = max(behind, i + 1)
        return found

    def _label(self, i: int) -> tuple[str, ...]:
        """Return the words that stand in front of the sign of equality before a token: the name of a quantity."""
        i -= 1
        while i > 0 and self.tokens[i].text in CURRENCY:
            i -= 1
        if i < 1 or self.tokens[i].text != "=":
            return ()
        words = []
        for token in reversed(self.tokens[max(i - _MAX_LABEL_WORDS, 0) : i]):
            if token.kind == "newline" or token.text in (".", ":", ",", "$"):
                break
            if token.kind not in ("word", "letter") and token.text != "'":
                return ()
            words.append(token.text.lower())
        return tuple(words) if any(len(word) > 1 for word in words) else ()

    def _may_begin(self, i: int) -> bool:
        """Tell whether an expression may begin at this token."""
        token, before = self.tokens[i], self.tokens[i - 1] if i else Token("newline", "", 0, 0)
        if token.text == "-":
            return self._is_open(before, i) and self.tokens[i + 1].start == token.end
        if token.text == "(" and before.kind == "word" and before.end == token.start:
            return False  # a function
        is_operand = token.kind in ("number", "letter", "opaque", "command") or token.text == "("
        if not is_operand and (token.kind != "word" or token.text.lower() not in OPERAND_WORDS):
            return False
        is_bullet = before.text == "-" and (i < 2 or self.tokens[i - 2].kind == "newline") and before.end < token.start
        return is_bullet or self._is_open(before, i)

    def _is_open(self, before: Token, i: int) -> bool:
        """Tell whether an expression may begin at a token behind this one."""
        if before.kind in ("newline", "end") or before.text in ("=", "\u2248", ":", ",", ";", "."):
            return True
        word = before.text.lower()
        is_open_word = before.kind == "word" and word not in _NO_START and word_value(word) is None
        if i < 2:
            return is_open_word or before.text in CURRENCY or before.text in ("(", "*", "\u2022")
        token, second = self.tokens[i], self.tokens[i - 2]
        if before.text in CURRENCY:
            return second.text == "(" or self._is_open(second, i - 1)
        if before.text == "(":  # has more than Ann (4 + 2 = 6)
            return second.kind == "word" and second.end < before.start
        if word == "of":
            words = [item.text.lower() for item in self.tokens[max(i - 4, 0) : i - 1]]
            return not (
                second.kind in ("number", "mark", "letter")
                or (i >= 3 and self.tokens[i - 3].kind == "number")  # 8 packs of 5 bags
                or words[-1] in _NO_START_OF
                or (words[-1] == "total" and "of" in words)  # 20% of the total of 50
            )
        if word == "and" and second.kind == "number" and self.tokens[i + 1].text == "/":
            return False  # 2 and 3/4
        if word in ("by", "or") and second.kind != "number":  # rose by 3 * 4 = 12
            opens = token.text == "(" or self.tokens[i + 1].text in ("*", "+", "-", "/", "x")
            return opens and second.text.lower() not in _ARE_OPERATIONS
        return is_open_word

    def chain_from(self, first: int) -> tuple[Equality | None, int]:
        """Return the chain that begins at this token, even one of a single side, and the token behind it."""
        sides, approximate = list[Side](), list[bool]()
        self.at, self.limit = first, min(first + _MAX_TOKENS, len(self.tokens))
        behind = first + 1
        try:
            while True:
                self.skip_currency()
                sides.append(self.read_side())
                behind = self.at
                sign = self._relation(sides[-1])
                if sign is None:
                    break
                approximate.append(sign)
        except NoSideError:
            if not sides:
                return None, behind
        sides[-1].is_doubtful |= not self._ends_well(behind)
        words = set()
        for token in self.tokens[behind : behind + _MAX_WORDS_BEHIND]:
            if token.kind == "newline" or token.text in (".", ";", ",", "="):
                break
            words.add(token.text.lower())
        return Equality(tuple(sides), tuple(approximate[: len(sides) - 1]), frozenset(words)), behind

    def _relation(self, side: Side) -> bool | None:
        """Pass a sign of equality; returns whether it says `about`, or `None` if there is none."""
        i = self.behind_currency(self.at)
        if self.tokens[i].text in _RELATIONS:
            self.at = i + 1
            return self.tokens[i].text == "\u2248"
        if self.tokens[i].text == "," and self.tokens[i + 1].text.lower() == "which":
            i += 2
        is_share = _SHARE.fullmatch(side.text) is not None  # 4/7 is equal to $24
        if self.tokens[i].text.lower() in WORD_RELATIONS and side.operations and not is_share:
            i += 1
            for word in ("equal", "to"):
                i += self.tokens[i].text.lower() == word
            if self.tokens[i + (self.tokens[i].text in CURRENCY)].kind == "number":
                self.at = i
                return False
        return None

    def _ends_well(self, i: int) -> bool:
        """Tell whether an expression may be complete before this token."""
        i = self.behind_currency(i)
        token, following = self.tokens[i], self.tokens[i + 1]
        if token.kind in ("number", "opaque", "command"):
            return False
        if token.text == "." and (
            following.text == "." or (following.kind == "command" and following.start == token.end)
        ):
            return False  # 5.55...
        if token.text == "," and following.kind == "number" and self.tokens[i + 2].text == ",":
            return False  # = 1, 2, 6
        words = [item.text.lower() for item in self.tokens[i : i + 4]]
        if token.kind in ("word", "letter"):
            if words[0] in _NO_END:
                return False
            for j in range(i, min(i + 3, len(self.tokens))):  # 2 hours 30 minutes, 2 hours and 30 minutes
                if self.tokens[j].kind == "number" or self.tokens[j].text.lower() in ("remainder", "r"):
                    return False
                is_word = self.tokens[j].kind in ("word", "letter")
                if not is_word or (j == i and words[0] == "and") or self.tokens[j].text.lower() in _PREPOSITIONS:
                    break
            return words[:3] != ["and", "a", "half"]
        if token.text == "/":
            return following.kind == "word"  # $1000/day
        return token.kind in ("newline", "end") or token.text in ".,;:)!?\"'*_\u2019#<>|}~\u2705\u2713\u21d2"
