r"""When two problems are the same: by the words of their text, or by an id that their source gives both.

One data set writes `Find $x^2$.`, another `find x^2`. Both are one problem, and training on one means having seen the
other. So a problem is identified by its words: case, white space, formula delimiters and sentence punctuation do not
count. Digits, signs, operators, comparisons, brackets, primes and units do: `x<5` and `x>5`, `2.5` and `25`, `1 2` and
`12`, `5!` and `5` stay two problems. If it is not certain that two spellings mean the same, they stay separate: a
missed repeat does less harm than two problems that become one.

Plain Python; nothing here imports torch, numpy or polars.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol


def content_id(**parts: object) -> str:
    """Return a 20-digit hexadecimal id of the given values, the same in every process and on every machine.

    Example:
        >>> content_id(a=1, b="x") == content_id(b="x", a=1)
        True
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@lru_cache(maxsize=4096)  # the solutions of one problem mostly follow one another
def problem_id(text: str) -> str:
    """Return the id of a problem: equal for texts of the same words, see `problem_words`.

    Example:
        >>> problem_id("Find $x^2$.") == problem_id("find  x^2")
        True
        >>> problem_id("Is x<5?") == problem_id("Is x>5?")
        False
    """
    return content_id(problem_words=problem_words(text))


def exact_problem_id(text: str) -> str:
    """Return the id that earlier releases gave to a problem: that of its text to the letter."""
    return content_id(problem=text)


def current_problem_id(stored: str, text: str) -> str:
    """Return a stored id as it is written today: one of the exact text is replaced, one that somebody chose stays."""
    return problem_id(text) if stored == exact_problem_id(text) else stored


_MARK = "\x00"
"""Stands where the delimiter of a formula was: neither white space nor text."""
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), 127], " ")
"""Control characters, which are white space, so that none is taken for a mark of ours."""
_ESCAPED = r"\\[^A-Za-z\s]"
_COMMAND = r"\\[A-Za-z]+\*?"
_NUMBER = r"\d+(?:\.\d+)*|\.\d+"
RANGES_WITHOUT_SPACES = (
    (0xE00, 0xEFF), (0xF00, 0xFFF), (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),  # Thai, Lao, Tibetan, Myanmar
    (0x1780, 0x17FF), (0x1950, 0x19DF),  # Khmer, Tai
    (0x3005, 0x3007), (0x3031, 0x3035), (0x3041, 0x309F), (0x30A0, 0x30FF), (0x31F0, 0x31FF),  # Japanese
    (0x3105, 0x312F), (0x31A0, 0x31BF),  # Bopomofo
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF),  # Chinese
)  # fmt: skip
"""Code points, first and last, of scripts that put no space between words: each character is a word of its own."""
_SCRIPTS = "".join(f"{chr(begin)}-{chr(end)}" for begin, end in RANGES_WITHOUT_SPACES)
_HANGUL = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff"
"""Korean has spaces, and its particles follow formulas without one."""
_PIECE = re.compile(f" ?(?:[{_SCRIPTS}]|[^ {_SCRIPTS}]+)")
_GREEK = "\u0370-\u03ff\u1f00-\u1fff"
_OF_EAST_ASIA = re.compile(f"[{_SCRIPTS}{_HANGUL}]")

_SPACES = re.compile(
    r"\\n(?![a-z]|Left|Right|V)|\\[,;:!> ]|\\(?:q?quad|displaystyle|textstyle|limits|nolimits)(?![A-Za-z])"
)
"""LaTeX that only moves things, and a line break that somebody escaped twice."""
_SIZES = re.compile(r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])\s*(?P<none>\.)?")
"""LaTeX that only makes brackets larger; behind `\\left` and `\\right` a point is a bracket that is not there."""
_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))")
_ENVIRONMENTS = re.compile(
    r"\\(?:begin|end)\{(?:equation|displaymath|math|align|aligned|gather|gathered|multline|eqnarray|flalign)\*?\}"
)
"""LaTeX that begins or ends a formula."""
_SAME_COMMANDS = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\dbinom": r"\binom", r"\tbinom": r"\binom",
    r"\le": "≤", r"\leq": "≤", r"\leqslant": "≤", r"\ge": "≥", r"\geq": "≥", r"\geqslant": "≥", r"\lt": "<",
    r"\gt": ">", r"\ne": "≠", r"\neq": "≠", r"\times": "×", r"\cdot": "⋅", r"\div": "÷", r"\pm": "±", r"\mp": "∓",
    r"\infty": "∞", r"\in": "∈", r"\to": "→", r"\rightarrow": "→", r"\approx": "≈", r"\equiv": "≡", r"\mid": "|",
    r"\ldots": "…", r"\cdots": "…", r"\dots": "…", r"\dotsc": "…", r"\dotsb": "…", r"\prime": "'", r"\circ": "∘",
    r"\degree": "°", r"\angle": "∠", r"\triangle": "△", r"\lbrace": "{", r"\rbrace": "}", r"\lbrack": "[",
    r"\rbrack": "]", r"\colon": ":", r"\ast": "*", r"\sim": "∼", r"\perp": "⟂", r"\parallel": "∥", r"\cup": "∪",
    r"\cap": "∩", r"\subset": "⊂", r"\subseteq": "⊆", r"\notin": "∉", r"\forall": "∀", r"\exists": "∃",
    r"\alpha": "α", r"\beta": "β", r"\gamma": "γ", r"\delta": "δ", r"\theta": "θ", r"\lambda": "λ", r"\mu": "μ",
    r"\pi": "π", r"\rho": "ρ", r"\sigma": "σ", r"\tau": "τ", r"\omega": "ω", r"\Gamma": "Γ", r"\Delta": "Δ",
    r"\Theta": "Θ", r"\Lambda": "Λ", r"\Pi": "Π", r"\Sigma": "Σ", r"\Phi": "Φ", r"\Omega": "Ω",
}  # fmt: skip
_SAME_CHARACTERS = {
    "\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-",
    "\u2018": "'", "\u2019": "'", "\u201b": "'", "\u2032": "'", "\u02b9": "'", "\u2033": "''", "\u2034": "'''",
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"',
    "\u2044": "/", "\u2215": "/", "\u2236": ":", "\u2223": "|", "\u00b7": "⋅", "\u2219": "⋅", "\u2217": "*",
    "\u2a7d": "≤", "\u2a7e": "≥", "\u2266": "≤", "\u2267": "≥", "\u2026": "…", "\u22ef": "…", "\u00ba": "°",
    "\u066b": ".", "\u066c": ",", "\u060c": ",", "\u061b": ";", "\u061f": "?", "\u06d4": "。", "\u0964": "。",
    "\u0965": "。", "\u0589": "。", "\u1362": "。", "\u104a": "。", "\u104b": "。", "\u17d4": "。", "\uff61": "。",
    "\uff0e": ".", "\u3001": ",", "\uff64": ",", "\u00bf": " ", "\u00a1": " ", "\u00ad": "", "\u200c": "",
    "\u200d": "", "\ufeff": "", "\u2060": "", "\ufe0e": "", "\ufe0f": "",
}  # fmt: skip
"""Characters that are another one, or none: typographic dashes and quotes, primes, foreign commas and full stops."""
_STOPS = frozenset(".,;:?!。")
_AFTER_STOP = re.compile(r"[\"')\]}*_]*+(?:[\s\x00]|\Z|\\\\|\\(?:begin|end|text)(?![A-Za-z]))")
"""What follows punctuation at the end of a word: white space, LaTeX before which none is needed, or a formula that
begins or ends."""
_LOWERED_DIGIT = re.compile(r"(\\[A-Za-z]+\s*[_^]\s*\d)(?=\d)")
r"""LaTeX lowers and raises one digit alone: `\log_264` is `\log_2 64`."""
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}\s+[A-Za-z]{2,}")
_MEGA = frozenset(["MW", "MWh", "MHz", "MPa", "MJ", "MV", "MA", "MN", "MPa", "Mg", "Mm", "Ml", "ML", "MeV", "Mbit"])
"""Units whose capital M makes them another unit: `5 MW` are not `5 mW`."""


def problem_words(text: str) -> str:
    r"""Return the words of a text, one space between two of them: what makes a problem the one it is.

    A word is a run of letters without case, a number with its decimal point, a LaTeX command or any other single
    character; each character of a script that has no spaces (Chinese, Thai, ...) is one. Left out are white space, the
    delimiters of formulas (`$`, `$$`, `\(`, `\[`, `\begin{equation}`, ...), LaTeX that only moves or enlarges, and
    `. , ; : ? !` where they end a word of two letters or more (`:` and `!` not in a formula); a full stop behind
    anything where white space or nothing follows. A dollar sign without a partner is an amount of money and stays.

    Unicode's form NFKC is applied with care: ligatures and full-width digits become plain ones, but `x²` becomes
    `x ^ 2`, and `½` and `⑤` stay the one character that they are. Digits of all scripts are digits; all kinds of dash
    are a minus.

    A text of nothing but punctuation is returned as it is, without the white space around it.

    Example:
        >>> problem_words("Find $x^{2}$, if x\u2212\uff11 < 2.5.")
        'find x ^ 2 , if x - 1 < 2.5'
        >>> problem_words("It costs $5; what is 5!?")
        'it costs $ 5 ; what is 5 !'
    """
    plain = _without_delimiters(_plain_characters(text))
    words: list[str] = []
    n_marks, seen = 0, 0  # delimiters up to the word that was looked at last
    find = _word_pattern(_marks(plain)).finditer
    for match in find(plain):
        word = match.group()
        if word in _STOPS:
            n_marks, seen = n_marks + plain.count(_MARK, seen, match.start()), match.start()
            # In a formula a factorial or a ratio may stand behind several letters, as in `$ab!$`.
            is_operator = word in "!:" and n_marks % 2 == 1
            if is_operator or not _ends_sentence(word, words[-1] if words else "", plain, match.end()):
                words.append(word)
        elif word in _MEGA and words and words[-1][-1].isdigit():
            words.append(word)
        else:
            words.append(_spelled(word))
    return " ".join(_without_idle_braces(words) if "{" in plain else words) or text.strip()


@lru_cache(maxsize=1 << 16)
def _spelled(word: str) -> str:
    """Return a word in the one spelling that stands for all."""
    if word[0] == "\\":
        # `\{`, `\%` and `\$` are the character itself; `\\` is a line break and stays what it is
        return word[1] if word[1:] in tuple("{}%&#_$") else _SAME_COMMANDS.get(word, word)
    if len(word) > 1 and not word.strip("."):
        return "…"
    if len(word) == 1 and "\u0370" <= word <= "\u03ff":
        return word  # a single Greek letter keeps its case, for a sum is not a standard deviation
    return unicodedata.normalize("NFC", word.casefold())


def _marks(text: str) -> frozenset[str]:
    """Return the combining marks of a text: accents, and the vowels of many scripts."""
    return frozenset() if text.isascii() else frozenset(c for c in set(text) if unicodedata.category(c)[0] == "M")


@lru_cache(maxsize=256)
def _word_pattern(marks: frozenset[str]) -> re.Pattern[str]:
    """Return what finds words; `re` knows no class of combining marks, so the marks of the text are given."""
    accents = "".join(map(re.escape, sorted(marks)))
    no_script = f"(?![{_SCRIPTS}{_HANGUL}])"
    accent = "[" + accents + "]*" if marks else ""
    # Greek letters next to others are symbols, as in Δx, and no part of the word.
    words = rf"(?:[{_GREEK}]{accent})+|(?:{no_script}(?![{_GREEK}])[^\W\d_]{accent})+"
    pattern = rf"{_COMMAND}|{_ESCAPED}|{_NUMBER}|\.\.+|!=|{words}|[{_HANGUL}]+|[^\s{_MARK}]"
    return re.compile(pattern, re.DOTALL)


def _ends_sentence(stop: str, before: str, text: str, end: int) -> bool:
    """Tell whether a mark is punctuation only: which one, the word before it, and where in the text it ends."""
    if stop == "。" or not before:
        return stop == "。"
    rest = _AFTER_STOP.match(text, end)
    if stop == ".":
        # `1. 5` is not `1 5`: between two numbers it stays
        follows = text[rest.end() :].lstrip(f"{_MARK} \t\n")[:1] if rest else ""
        return rest is not None and not (before[-1].isdigit() and follows.isdigit())
    if _OF_EAST_ASIA.match(before):
        return True  # one character is a word, and no space follows its comma
    if len(before) > 1 and before[0].isalpha():
        return rest is not None
    # `What is 5?` at the very end; within a text per question mark may stand for a digit
    is_value = before[-1].isalnum() or before in ")]}|%°!'$"
    return stop == "?" and is_value and not text[end:].strip(f"{_MARK} \t\n\"')]}}*_")


def _without_idle_braces(words: list[str]) -> list[str]:
    """Drop the braces around one word behind `^` and `_`: `x^{2}` is `x^2`."""
    kept: list[str] = []
    place = 0
    while place < len(words):
        if words[place] == "{" and kept and kept[-1] in "^_" and words[place + 2 : place + 3] == ["}"]:
            kept.append(words[place + 1])
            place += 3
        else:
            kept.append(words[place])
            place += 1
    return kept


def _plain_characters(text: str) -> str:
    """Return the text in one form of Unicode, without changing what a formula says."""
    text = text.translate(_CONTROLS)
    if text.isascii():
        return text
    text = unicodedata.normalize("NFC", text)
    plain = "".join(c if c.isascii() else _plain_character(c) for c in text)
    # a power or index of several characters is one group, as LaTeX writes it
    for opening, kind in (("\x01", "^"), ("\x02", "_")):
        plain = re.sub(f"(?:{opening}[^\x01\x02])+", lambda run: f"{kind}{{{run.group()[1::2]}}}", plain)  # noqa: B023
    return unicodedata.normalize("NFC", plain)


@lru_cache(maxsize=8192)
def _plain_character(char: str) -> str:
    """Return what a character stands for; character 1 or 2 stands before one that is raised or lowered."""
    if char in _SAME_CHARACTERS:
        return _SAME_CHARACTERS[char]
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category in ("Cc", "Cf") or category[0] == "Z":
        return " "
    kind, _, codes = unicodedata.decomposition(char).partition(" ")
    if not kind.startswith("<") or kind in ("<fraction>", "<circle>"):
        return char
    parts = [_plain_character(chr(int(code, 16))) for code in codes.split()]
    if kind in ("<super>", "<sub>"):
        return "".join(("\x01" if kind == "<super>" else "\x02") + c for c in "".join(parts))
    joined = "".join(parts)
    # `⒈` before `5` is not `1.5`: only letters and single characters may meet their neighbours
    return joined if len(joined) == 1 or joined.isalpha() else f" {joined} "


def _without_delimiters(text: str) -> str:
    """Return the text with a mark instead of each delimiter of a formula, and blanks for LaTeX that only moves."""
    if "\\" in text:
        pieces = text.split("\\\\")  # a line break takes its two characters before anything else
        for i, piece in enumerate(pieces):
            piece = _ENVIRONMENTS.sub(_MARK, piece)
            piece = _DEGREES.sub("°", _SIZES.sub("", piece))
            piece = _LOWERED_DIGIT.sub(r"\1 ", piece)
            piece = _SPACES.sub(" ", piece)
            pieces[i] = re.sub(r"\\[()\[\]]", _MARK, piece)
        text = "\\\\".join(pieces)
    text = text.replace("{,}", ",")  # how LaTeX writes the thousands of a number
    if "$" not in text:
        return text
    parts = [match.span() for match in re.finditer(r"(?<!\\)\$\$?", text)]
    out, done, place = [], 0, 0
    while place < len(parts):
        (start, begin), closing = parts[place], place + 1
        if closing < len(parts) and _is_formula(text, begin, *parts[closing]):
            end, after = parts[closing]
            out += [text[done:start], _MARK, text[begin:end], _MARK]
            done, place = after, closing + 1
        else:
            place += 1
    return "".join([*out, text[done:]])


def _is_formula(text: str, begin: int, end: int, after: int) -> bool:
    """Tell whether what stands between two dollar signs is a formula, and the signs are not amounts of money."""
    inside = text[begin:end]
    content = inside.strip()
    if not content or re.search(r"\n\s*\n", inside):
        return False
    if after - end == 2 or not content[0].isdigit():  # `$$`, or no amount
        return True
    balanced = inside[0].isspace() or not inside[-1].isspace()
    return balanced and not text[after:].lstrip(" ")[:1].isdigit() and not _PROSE.search(inside)


def split_words(text: str) -> list[str]:
    """Split a text at white space, and in scripts without spaces into characters: what is counted and cut in words.

    A word keeps one space before it where it had any, so that joined words are the text again, single-spaced.

    Example:
        >>> split_words("one  two")
        ['one', ' two']
    """
    return _PIECE.findall(" ".join(text.split()))


class HasProblem(Protocol):
    """Whatever belongs to a problem."""

    @property
    def problem_id(self) -> str:
        """Id of the problem."""

    @property
    def problem(self) -> str:
        """Text of the problem."""


class ProblemGroups:
    """Joins problems that share the words of their text, or an id that their source or user gave them.

    Two wordings under one chosen id are one problem, and so are two chosen ids of one text. A group has the name of its
    id: of several, of the smallest, so that it does not depend on the order.

    Example:
        >>> groups = ProblemGroups()
        >>> groups.add("p7", "text-1"); groups.add("p7", "text-2"); groups.add("p9", "text-2")
        >>> [groups.name(name) for name in ("p9", "text-1", "another")]
        ['p7', 'p7', 'another']
    """

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def add(self, problem_id: str, *same: str) -> None:
        """Join a problem's id with other names of it: the id of its text, or of where it comes from."""
        for other in same:
            if other == problem_id:  # most ids are those of the text, and need no memory
                continue
            first, second = self._root(problem_id), self._root(other)
            known = [name for root in (first, second) if (name := self._names.get(root)) is not None]
            self._parent[second] = first
            self._names[first] = min([problem_id, *known])

    def name(self, problem_id: str) -> str:
        """Return the name of the group that an id belongs to; the id itself where it is alone."""
        root = self._root(problem_id)
        return self._names.get(root, root)

    def _root(self, name: str) -> str:
        while (parent := self._parent.get(name, name)) != name:
            self._parent[name] = self._parent.get(parent, parent)
            name = parent
        return name


def group_problems(solutions: Iterable[HasProblem]) -> list[str]:
    """Return the problem of each solution, where those that share an id or the words of the text are one. Shape (N,).

    What is split, resampled, folded or kept out together is grouped by this.
    """
    solutions = list(solutions)
    groups = ProblemGroups()
    for solution in solutions:
        groups.add(solution.problem_id, problem_id(solution.problem))
    return [groups.name(solution.problem_id) for solution in solutions]
