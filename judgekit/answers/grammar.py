r"""Reads an answer into a typed value that covers the whole text, or `None`.

An answer is a number or formula with its unit (`Scalar`), an interval, a set or several answers, a tuple, a named value
(`x = 5`), an equation, an ordering, a time of day, a number in another base, the letter of a choice, or words. Anything
that cannot be read to its last sign is not an answer: it is better to leave a text unchecked than to take one number in
it for the whole. `x - 5`, `not 5`, `x <= 5` and `5 or 6` are not 5.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from judgekit.answers.formulas import Formula, Token, UncoveredError, read_formula, tokenize
from judgekit.answers.kinds import (
    Answer,
    Choice,
    Condition,
    Denial,
    Equation,
    Interval,
    Named,
    Ordered,
    Ordering,
    Scalar,
    Several,
    Union,
)
from judgekit.answers.notation import EXPONENT, TEXT_CLOSE, TEXT_OPEN, normalise, without_delimiters
from judgekit.answers.plain_forms import (
    DENIED,
    MARKS,
    read_based,
    read_clock,
    read_colon,
    read_plain_number,
    read_wording,
)
from judgekit.answers.quantities import read_compound, read_scalar, without_end
from judgekit.answers.units import words_of
from judgekit.answers.wording import (
    DOUBTS,
    FILLER,
    MEANINGFUL,
    read_date,
    signs_for_words,
)

MAX_CHARS = 1_500
"""Longer texts are not read."""

_MINUS_INFINITY, _INFINITY = (Scalar(Formula((sign, ("infinity",)), frozenset(), False)) for sign in "-+")
_TIMES_SIGN = re.compile(r"(?<=\d) ?[xX*] ?(?=10 ?\^)|(?<=\d) [xX] (?=\d)")
_GROUPED = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+)(?![\d,])")
_ALL_GROUPED = re.compile(r"\D*\d{1,3}(?:,\d{3})+(?!,?\d).*", re.DOTALL)
_TRAILING = re.compile(r"(?:(?<!\\)[.,;:]|\\\\|\s)+$")
_CUT_OFF = re.compile(r"\d\.\d+\s*\.{2,}\s*$")
_SIMPLE = re.compile(r"-?(?:\d{1,40}(?:\.\d{1,40})?|\.\d{1,40})")
_ALL_REALS = re.compile(
    r"(?i:(?:(?:all|the|any|every|set|of) )*(?:reals?|real numbers?))|(?:[a-zA-Z] ?\\in ?)?\\mathbb ?(?:\{ ?R ?\}|R)"
)
_PERCENT_IN_WORDS = re.compile(
    rf"{TEXT_OPEN}\s*(percent|per cent|percentage points?|pct)\s*{TEXT_CLOSE}", re.IGNORECASE
)
_SET_BUILDER = re.compile(r"\\\{\s*(?P<name>[a-zA-Z])\s*(?:\\in\s*\\mathbb\{?R\}?\s*)?[|:]\s*(?P<condition>.+)\\\}")
_RELATION_SIGNS = {"<": "<", ">": ">", "\\le": "\\le", "\\ge": "\\ge", "\\ne": "\\ne", "=": "=", "\\approx": "="}
_TURNED = {">": "<", "\\ge": "\\le"}
_CHOICE = re.compile(r"(?:(?i:option|choice)\s+)?\(?([A-Z])\)?[.:]?")
CHOICE_WITH_TEXT = re.compile(
    r"(?:\(([A-Z])\)|([A-Z])[.:)])\s+(?P<text>(?!\s|[+*/^=<>,;\\]|(?:or|and|maybe|not)\b)(?!.*(?:\([A-Z]\)|\b[A-Z][.:)]\s)).+)",
    re.DOTALL,
)
_FUNCTIONS = frozenset("fghEFGHPpTNSuvy")
_SEPARATORS = frozenset({",", ";", "and", "or", "\\wedge", "\\vee", "&"})
_COMPARISONS = (
    (re.compile(r"\b(?:no|not) (?:less|fewer|smaller|lower) than\b|\bat least\b", re.I), "\\ge"),
    (re.compile(r"\b(?:no|not) (?:more|greater|larger|higher) than\b|\bat most\b|\bup to\b", re.I), "\\le"),
    (re.compile(r"\b(?:more|greater|larger|bigger|higher) than\b|\b(?:over|above|exceeds|exceeding)\b", re.I), ">"),
    (re.compile(r"\b(?:less|fewer|smaller|lower) than\b|\b(?:under|below)\b", re.I), "<"),
)
_CORRECTED = re.compile(
    r"\bnot\b[^.;]{1,40}?[,;]?\s+(?:but(?: rather| instead)?|(?:rather|instead|it is|it's)(?: rather| instead)?)\b",
    re.I,
)


@lru_cache(maxsize=2048)
def read_answer(text: str) -> Answer | None:
    r"""Read an answer; `None` if part of the text is beyond the grammar.

    Raises:
        HugeError: a power or factorial in it is too large to compute.

    Example:
        >>> read_answer("3\\frac{2}{7}").exact, read_answer("x - 5").exact
        (Fraction(23, 7), None)
    """
    if _SIMPLE.fullmatch(text):
        return read_plain_number(text)
    if len(text) > MAX_CHARS:
        return None
    try:
        return _read(text)
    except (UncoveredError, RecursionError):
        return None


def read_list(text: str) -> Answer | None:
    """As `read_answer`, but every comma separates: `100,200` is 100 and 200, and not 100 thousand 200.

    Raises:
        HugeError: as above.
    """
    return read_answer(re.sub(r"(?<=\d),(?=\d)", ", ", text))


def _read(text: str) -> Answer | None:
    text = without_delimiters(normalise(text))
    if _CUT_OFF.search(text):
        return None  # 3.14...: the dots are digits, and no punctuation
    text = _TRAILING.sub("", text).strip(' *\n"')
    text = _unwrap(text)
    if not text:
        return None
    bare = MARKS.sub("", text)
    if whole := _CHOICE.fullmatch(" ".join(bare.split())):
        return Choice(whole[1])
    if _ALL_REALS.fullmatch(" ".join(bare.split())):
        return Interval(_MINUS_INFINITY, _INFINITY, False, False)
    if bare[:1].isalnum() and (date := read_date(bare)) is not None:
        return date
    text = _PERCENT_IN_WORDS.sub(r" \1 ", text)
    readers: tuple[Callable[[str], Answer | None], ...] = (read_based, read_clock, read_colon, _read_condition)
    for read in readers:
        found = read(text)
        if found is not None:
            return found
    text = _TIMES_SIGN.sub(r"\\cdot ", EXPONENT.sub(r"\1\\cdot 10^{\2}", text))
    words = read_wording(text)
    if words is not None:
        return words
    text = signs_for_words(text)
    for pattern, sign in _COMPARISONS:
        if pattern.search(text):
            rest = pattern.sub(" ", text)
            return _half_line(sign, read_scalar(tokenize(_ungrouped(rest))))
    text = _CORRECTED.sub(" ", text)
    if DENIED.search(text):
        return Denial()
    if _ALL_GROUPED.fullmatch(text) or ", " in text:
        text = _ungrouped(text)
    return _read_tokens(tokenize(text))


def _ungrouped(text: str) -> str:
    """Take the commas out of `1,234`, outside of brackets, where they separate."""
    pieces, depth, start = list[str](), 0, 0
    for match in re.finditer(r"\\?[{}()\[\]]", text):
        sign = match.group()[-1]
        if depth == 0:
            pieces.append(_GROUPED.sub(_joined, text[start : match.start()]))
            start = match.start()
        depth = depth + 1 if sign in "({[" else max(depth - 1, 0)
        if depth == 0:
            pieces.append(text[start : match.end()])
            start = match.end()
    rest = text[start:]
    pieces.append(rest if depth else _GROUPED.sub(_joined, rest))
    return "".join(pieces)


def _joined(match: re.Match[str]) -> str:
    return match.group().replace(",", "")


def _unwrap(text: str) -> str:
    """Take away braces around the whole, and a box within a box."""
    for _ in range(3):
        box = re.fullmatch(r"\\(?:boxed|fbox)\s*\{(.*)\}", text, re.DOTALL)
        inner = box[1] if box else text[1:-1] if text[:1] == "{" and text[-1:] == "}" else None
        if inner is None or _depths_below_zero(inner):
            return text
        text = inner.strip()
    return text


def _depths_below_zero(text: str) -> bool:
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth < 0:
            return True
    return depth != 0


def _read_condition(text: str) -> Answer | None:
    built = _SET_BUILDER.fullmatch(text)
    if built is None:
        return None
    try:
        found = _read_tokens(tokenize(built["condition"]))
    except UncoveredError:
        found = None
    is_about_it = re.search(rf"(?<![a-zA-Z\\]){built['name']}(?![a-zA-Z])", built["condition"]) is not None
    is_range = isinstance(found, Several) and all(isinstance(item, Interval) for item in found.items)
    if is_about_it and (isinstance(found, Interval | Union) or is_range):
        return found
    return Condition(re.sub(r"\s", "", text))


def _read_tokens(tokens: Sequence[Token]) -> Answer | None:
    """Read several answers, a union, a relation, a bracket or a scalar, whichever the tokens are."""
    tokens = without_end(_without_filler(tokens))
    if not tokens:
        return None
    texts = [token.text for token in tokens]
    if texts[:2] == ["\\begin", "{"] and texts[3:4] == ["}"]:
        return _matrix(tokens)
    if texts[0] == "\\{" and texts.count("\\}") < texts.count("\\{"):
        return _read_tokens(tokens[1:])  # a brace in front of a system of equations
    parts, separators = _split(tokens, _is_separator)
    if len(parts) > 1:
        return _several(parts, separators)
    parts, _ = _split(tokens, lambda token: token.text == "\\cup")
    if len(parts) > 1:
        ranges = [_read_tokens(part) for part in parts]
        if not all(isinstance(part, Interval | Several | Ordered) for part in ranges):
            return None
        return Union(tuple(_as_interval(part) for part in ranges if part is not None))
    parts, signs = _split(tokens, lambda token: token.text in _RELATION_SIGNS and token.kind != "text")
    if len(parts) > 1:
        return _relation(parts, [_RELATION_SIGNS[sign.text] for sign in signs])
    if len(tokens) > 2 and texts[1] == "\\in" and tokens[0].kind in {"letter", "command"}:
        inside = _read_tokens(tokens[2:])
        if isinstance(inside, Interval):
            return inside._replace(name=tokens[0].text)
        return inside if isinstance(inside, Union | Several | Ordered) else None
    bracketed = _bracketed(tokens)
    if bracketed is not None:
        return bracketed
    if texts[0] in {"\\emptyset"} and len(tokens) == 1:
        return Several((), in_braces=True)
    if any(text in {"\\pm", "\\mp"} for text in texts):
        # The two answers of `1 \pm \sqrt{2}`.
        if sum(token.text in {"\\pm", "\\mp"} for token in tokens) > 1:
            return None
        found = []
        for sign in "+-":
            swapped = [
                token._replace(kind="sign", text=sign) if token.text in {"\\pm", "\\mp"} else token for token in tokens
            ]
            found.append(read_scalar(swapped))
        return None if None in found else Several(tuple(item for item in found if item is not None))
    return read_scalar(tokens)


def _without_filler(tokens: Sequence[Token]) -> Sequence[Token]:
    """Take away the words in front that say nothing: `the total is about`, `either`."""
    at = 0
    for token in tokens:
        # A word of another alphabet, or one that has a meaning for numbers, is left for the reader to refuse.
        is_word = token.kind == "word" and token.text.isascii() and len(token.text) > 1
        if token.kind == "text":
            is_filler = all(word.text.lower() in FILLER for word in words_of([token]))
        elif is_word:
            is_filler = token.text.lower() in FILLER or token.text.lower() in {"either", "both"}
        else:
            is_filler = token.text in {"\\approx", ":", "="} or (
                token.text in {"a", "I"} and at + 1 < len(tokens) and tokens[at + 1].kind == "word"
            )
        if not is_filler:
            break
        at += 1
    return tokens[at:]


def _split(tokens: Sequence[Token], is_mark: Callable[[Token], bool]) -> tuple[list[Sequence[Token]], list[Token]]:
    """Split at the marks that stand in no bracket."""
    parts, marks, start, depth = list[Sequence[Token]](), list[Token](), 0, 0
    for i, token in enumerate(tokens):
        if token.kind != "text" and token.text in {"(", "[", "{", "\\{", "\\langle"}:
            depth += 1
        elif token.kind != "text" and token.text in {")", "]", "}", "\\}", "\\rangle"}:
            depth -= 1
        elif depth == 0 and is_mark(token):
            parts.append(tokens[start:i])
            marks.append(token)
            start = i + 1
    parts.append(tokens[start:])
    return parts, marks


def _is_separator(token: Token) -> bool:
    text = token.text.strip().lower()
    if token.kind == "text":
        return text in {"and", "or", ",", "", "und", "et", "y", "ou"} and text != ""
    return text in _SEPARATORS or text == "\\\\"


def _several(parts: Sequence[Sequence[Token]], separators: Sequence[Token]) -> Answer | None:
    """Several answers: `3, 5 and 7`, `x = 1 or x = 2`, `x = 1, y = 2`, `-3 < x and x < 5`."""
    if not parts[-1] and separators[-1].text.strip().lower() not in {",", ";", "\\\\"}:
        return None  # a last word such as `or`, or the `y` of a text: nothing is joined
    kept = list[Sequence[Token]]()
    for part in parts:
        while part and part[0].kind in {"word", "text"} and part[0].text.strip().lower() in DOUBTS:
            part = part[1:]  # `5, or maybe 6`: one of several answers all the same
        kept += [part] if part else []  # `, and` leaves nothing between
    parts = kept
    if len(parts) == 1:
        return _read_tokens(parts[0])
    has_gap = any([token.text for token in part] in (["\\ldots"], [".", ".", "."]) for part in parts)
    if len(parts) == 2:  # `3 hours and 20 minutes`, `5 feet, 6 inches`
        with contextlib.suppress(UncoveredError):
            compound = read_compound([*parts[0], *parts[1]])
            if compound is not None:
                return compound
    items = [
        _read_tokens(part) for part in parts if [token.text for token in part] not in (["\\ldots"], [".", ".", "."])
    ]
    if any(item is None or isinstance(item, Denial | Choice) for item in items):
        return None if not all(isinstance(item, Choice) for item in items) else Several(tuple(filter(None, items)))
    found = [item for item in items if item is not None]
    flat = list[Answer]()
    for item in found:
        flat += item.items if isinstance(item, Several) and not item.in_braces else [item]
    is_union = all(isinstance(item, Interval) for item in flat)
    if is_union and len({item.name for item in flat if isinstance(item, Interval)}) == 1:
        marks = {mark.text.strip().lower() for mark in separators}
        if marks <= {"or", "\\vee"}:
            return Union(tuple(flat))
        ranges = [item for item in flat if isinstance(item, Interval)]
        if marks <= {"and", "\\wedge"} and len(ranges) == 2 and (both := _both_ends(*ranges)) is not None:
            return both
        return Several(tuple(flat))
    return Several(tuple(flat), has_gap=has_gap)


def _both_ends(first: Interval, second: Interval) -> Interval | None:
    """`x > 1 and x < 3` as one interval; `None` if they are no lower and upper bound."""
    if first.high != _INFINITY:
        first, second = second, first
    is_lower = first.high == _INFINITY and first.low != _MINUS_INFINITY
    if not is_lower or second.low != _MINUS_INFINITY or second.high == _INFINITY:
        return None
    return Interval(first.low, second.high, first.low_closed, second.high_closed, first.name)


def _as_interval(answer: Answer) -> Answer:
    if isinstance(answer, Ordered) and len(answer.items) == 2:
        low, high = answer.items
        if isinstance(low, Scalar) and isinstance(high, Scalar):
            return Interval(low, high, False, False)
    return answer


def _relation(parts: Sequence[Sequence[Token]], signs: Sequence[str]) -> Answer | None:
    if all(sign == "=" for sign in signs):
        return _equality(parts)
    if "=" in signs:
        return None
    if len(parts) == 2 and not parts[0] and signs[0] != "\\ne":
        return _half_line(signs[0], read_scalar(parts[1]))  # \ge 5
    sides = [_side(part) for part in parts]
    turned = {*signs} <= {">", "\\ge", "\\ne"} and {*signs} != {"\\ne"}
    if not turned and {*signs} & {">", "\\ge"}:
        return None
    if turned:
        sides, signs = sides[::-1], [_TURNED.get(sign, sign) for sign in reversed(signs)]
    # A lone variable between numbers makes an interval.
    names = [i for i, side in enumerate(sides) if side.formula.node[0] == "letter"]
    numbers = [i for i, side in enumerate(sides) if not side.formula.letters]
    if len(names) == 1 and len(numbers) == len(sides) - 1 and len(sides) < 4 and "\\ne" not in signs:
        at = names[0]
        if at == 1 or len(sides) == 2:
            low = sides[at - 1] if at > 0 else _MINUS_INFINITY
            high = sides[at + 1] if at + 1 < len(sides) else _INFINITY
            low_closed = at > 0 and signs[at - 1] == "\\le"
            high_closed = at + 1 < len(sides) and signs[at] == "\\le"
            return Interval(low, high, low_closed, high_closed, str(sides[at].formula.node[1]))
    return Ordering(tuple(side.formula for side in sides), tuple(signs))


def _side(tokens: Sequence[Token]) -> Scalar:
    """One side of an inequality.

    Raises:
        UncoveredError: it is not a scalar.
    """
    infinity = _infinity(tokens)
    found = infinity or read_scalar(tokens)
    if found is None:
        raise UncoveredError
    return found


def _half_line(sign: str, end: Answer | None) -> Interval | None:
    """`more than 5` as an interval."""
    if not isinstance(end, Scalar):
        return None
    if sign in {">", "\\ge"}:
        return Interval(end, _INFINITY, sign == "\\ge", False)
    return Interval(_MINUS_INFINITY, end, False, sign == "\\le")


def _equality(parts: Sequence[Sequence[Token]]) -> Answer | None:
    """`x = 5` and `3 * 6 = 18` name or compute a value; `x + y = 4` is an equation."""
    last = _read_tokens(parts[-1])
    if last is None:
        return None
    first, label = without_end(parts[0]), _label(parts[0])
    if label:
        left: Formula | None = None
        with contextlib.suppress(UncoveredError):
            left = read_formula(first)
        # What stands between (`x = 2 + 3 = 5`) was computed on the way, but must be mathematics.
        for part in parts[1:-1]:
            if _read_tokens(part) is None:
                raise UncoveredError
        return Named(label, last, left)
    formula = read_formula(first)
    if not formula.letters:
        if len(parts) == 2 and isinstance(last, Scalar) and last.formula.node[0] == "letter":
            value = _read_tokens(parts[0])  # 5 = x
            return None if value is None else Named(str(last.formula.node[1]), value, last.formula)
        return Named("", last)
    if len(parts) > 2 or not isinstance(last, Scalar) or last.unit is not None:
        return None
    return Equation(formula, last.formula)


def _label(tokens: Sequence[Token]) -> str:
    r"""The name that a left side is: `x`, `x_1`, `f(x)`, `m_{\max}`, `AB`, `\angle ABC`, `the total`; or nothing."""
    texts = [token.text for token in tokens]
    if not tokens:
        return "it"
    if all(token.kind in {"text", "word"} or token.text in {"a", ".", "'"} for token in tokens):
        return " ".join(texts).lower() if not any(text.lower() in MEANINGFUL for text in texts) else ""
    if texts[0] == "\\angle" or texts[0] in {"\\triangle"}:
        return "".join(texts)
    try:
        formula = read_formula(tokens)
    except UncoveredError:
        # P(X=6), f(g(x)), E[X], |AB|: a name with something in brackets.
        is_function = tokens[0].kind in {"letter", "word"} and len(texts) > 2 and texts[1] in {"(", "["}
        is_whole = is_function and texts[-1] in {")", "]"} and len(_split(tokens[1:], lambda token: True)[0]) == 1
        return "".join(texts) if is_whole else ""
    if formula.node[0] == "letter":
        return str(formula.node[1])
    is_capitals = all(token.kind in {"letter", "word"} and token.text.isupper() for token in tokens)
    is_length = formula.node[0] == "abs" and len(texts) < 6 and texts[1] not in {"x", "y", "n", "t"}  # |AB|, |z|
    brackets = texts[1:2] + texts[3:]  # f(2), E[X]
    is_function = tokens[0].text in _FUNCTIONS and len(texts) == 4 and brackets in (["(", ")"], ["[", "]"])
    return "".join(texts) if is_capitals or is_length or is_function else ""


def _bracketed(tokens: Sequence[Token]) -> Answer | None:
    """A tuple, interval or set in its brackets; `None` for brackets around one formula."""
    first, last = tokens[0].text, tokens[-1].text
    if tokens[0].kind not in {"sign", "escaped", "command"} or len(tokens) < 2:
        return None
    kinds = {
        ("(", ")"): "tuple", ("[", "]"): "interval", ("(", "]"): "interval", ("[", ")"): "interval",
        ("\\{", "\\}"): "set", ("]", "["): "interval", ("[", "["): "interval",
        ("]", "]"): "interval", ("(", "["): "interval", ("\\langle", "\\rangle"): "tuple",
    }  # fmt: skip
    kind = kinds.get((first, last))
    inside = tokens[1:-1]
    if kind is None or not _is_closed(inside):
        return None
    parts, marks = _split(inside, lambda token: token.text in {",", ";"} and token.kind == "sign")
    if kind == "set":
        if not inside:
            return Several((), in_braces=True)
        has_gap = any([token.text for token in part] == ["\\ldots"] for part in parts)
        items = [_read_tokens(part) for part in parts if [token.text for token in part] != ["\\ldots"]]
        if any(item is None for item in items):
            raise UncoveredError
        flat = list[Answer]()
        for item in items:
            flat += item.items if isinstance(item, Several) and not item.in_braces else [item] if item else []
        return Several(tuple(flat), in_braces=True, has_gap=has_gap)
    if len(parts) == 1:
        if kind == "interval":
            raise UncoveredError
        found = _read_tokens(inside)
        if isinstance(found, Scalar | None):
            return None  # brackets of mathematics: the formula reads them
        return found
    if kind == "interval" and len(parts) == 2 and marks[0].text in {",", ";"}:
        low, high = (_infinity(part) or read_scalar(part) for part in parts)
        if low is None or high is None:
            raise UncoveredError
        return Interval(low, high, first == "[", last == "]")
    if kind == "interval" and (first, last) != ("[", "]"):
        raise UncoveredError
    ends = [_infinity(part) for part in parts]
    if any(ends):
        if len(parts) != 2:
            raise UncoveredError
        low, high = (end or read_scalar(part) for end, part in zip(ends, parts, strict=True))
        if low is None or high is None:
            raise UncoveredError
        return Interval(low, high, False, False)
    items = [_read_tokens(part) for part in parts]
    if any(item is None or (isinstance(item, Several) and not item.in_braces) for item in items):
        raise UncoveredError
    found_items = tuple(item for item in items if item is not None)
    if all(isinstance(item, Named) for item in found_items):
        return Several(found_items)  # (x = 1, y = 2): the names make the order
    return Ordered(found_items)


def _is_closed(tokens: Sequence[Token]) -> bool:
    """Whether the brackets within are in order, so that the first and the last around them belong together.

    Half-open intervals within a tuple are not foreseen.
    """
    depth = 0
    for token in tokens:
        if token.kind in {"sign", "escaped"}:
            depth += (token.text in {"(", "[", "{", "\\{"}) - (token.text in {")", "]", "}", "\\}"})
        if depth < 0:
            return False
    return depth == 0


def _infinity(tokens: Sequence[Token]) -> Scalar | None:
    texts = [token.text for token in tokens]
    if texts in (["\\infty"], ["+", "\\infty"], ["infinity"], ["infty"], ["oo"], ["inf"]):
        return _INFINITY
    return _MINUS_INFINITY if texts in (["-", "\\infty"], ["-", "infinity"], ["-", "inf"], ["-", "oo"]) else None


def _matrix(tokens: Sequence[Token]) -> Ordered | None:
    r"""`\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}`."""
    texts = [token.text for token in tokens]
    if texts[2] not in {"pmatrix", "bmatrix"} or texts[-4:] != ["\\end", "{", texts[2], "}"]:
        return None
    rows, _ = _split(tokens[4:-4], lambda token: token.text == "\\\\")
    found = list[Answer]()
    for row in rows:
        if not row and row is rows[-1]:
            continue
        cells = [read_scalar(cell) for cell in _split(row, lambda token: token.text == "&")[0]]
        if any(cell is None for cell in cells):
            return None
        found.append(Ordered(tuple(cell for cell in cells if cell is not None)))
    return Ordered(tuple(found), "matrix") if found else None
