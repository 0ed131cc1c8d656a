r"""Decides whether two answers are the same, as far as the grammar reads them.

There are four results: correct, wrong, unsure (the texts are read, but their meanings cannot be matched: `am` or `pm`
is missing, `x = 3` stands for `n = 3`), and ask (computer algebra may know). These conventions are decided here:

- A unit, currency, percent sign or base may be left out of an answer, and may be added to one. A different unit is
  wrong; one that converts exactly is right (90 minutes, 1.5 hours). `0.5` is `50\%`, and so is `50`.
- `x = 5` is right for 5, and 5 for `x = 5`.
- Decimals are right for a number that rounds to the same six digits after the point, unless both are written with
  equally many digits: then every digit counts.
- The order of several answers does not matter, their number does. A list in the order of a tuple is right for it.
- `2 and 1/2` is right for 2.5, and for the two answers 2 and 1/2; `2-1/2`, `1.234,5` and `5k` may be other numbers, so
  that an agreement with one of them is unsure.
- The letter of a choice, with or without its text, is right for the letter; the text alone is right for both together.
- `2x = 10` is no statement of `x = 5` (unsure); a day without its month or year is unsure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from judgekit.answers.formulas import UncoveredError
from judgekit.answers.grammar import CHOICE_WITH_TEXT, read_answer, read_list
from judgekit.answers.kinds import (
    Answer,
    Based,
    Choice,
    Clock,
    Condition,
    Denial,
    Equation,
    Interval,
    Named,
    Ordered,
    Ordering,
    Ratio,
    Scalar,
    Several,
    Union,
    Words,
)
from judgekit.answers.notation import TEXT_CLOSE, TEXT_OPEN, normalise
from judgekit.answers.readings import other_readings
from judgekit.answers.scalars import ASK, RIGHT, UNSURE, WRONG, Agreement, compare_scalars
from judgekit.answers.values import Point, are_same, compare_formulas, evaluate
from judgekit.answers.wording import Date

MAX_ITEMS = 60
"""Longest lists that are compared item by item."""


_ORNAMENT = re.compile(
    r"""(?<![\d,a-zA-Z])\s+|(?<=,)\s+(?!\d{3})|\s+(?![\da-zA-Z])   # `1 2` is not `12` and `1, 234` not `1,234`
    |\\[,;!]|\\?\$|\\(?:left|right)(?![a-zA-Z])|(?<=\\)[dt](?=frac)""",
    re.VERBOSE,
)
_LEADING_ZERO = re.compile(r",-?0\d")


def spell_same(stated: str, answer: str) -> bool:
    """Whether two texts differ only in what never changes the meaning: dollars, spaces, sizes of brackets."""
    first, second = _bare(stated), _bare(answer)
    return first == second != "" or (first != "" and _bare(normalise(stated)) == _bare(normalise(answer)))


def _bare(text: str) -> str:
    return _ORNAMENT.sub("", text).strip().removesuffix(".")


def compare_texts(stated: str, answer: str) -> Agreement:
    """Compare a stated answer with the correct one.

    Raises:
        HugeError: one of them has a power or factorial that is too large to compute.
    """
    if spell_same(stated, answer):
        return RIGHT
    gold, given = read_answer(answer), read_answer(stated)
    if isinstance(given, Denial):
        return WRONG
    if (by_letter := _compare_choices(gold, given, stated, answer)) is not None:
        return by_letter
    found = ASK if gold is None or given is None else compare_answers(gold, given)
    if found in {WRONG, ASK} and (other := _compare_other_readings(gold, given, stated, answer)) is not None:
        return other
    if gold is None or given is None:
        return ASK
    if found is not RIGHT and "," in answer and "," in stated and not _LEADING_ZERO.search(answer + " " + stated):
        # 100,200 is one number or two; 120,000 is one. The stated answer may be meant the way the correct answer is
        # written, but if the correct answer is ambiguous, nobody can tell.
        as_list, stated_list = read_list(answer), read_list(stated)
        if stated_list is not None and compare_answers(gold, stated_list) is RIGHT:
            return RIGHT
        if as_list is not None and compare_answers(as_list, given) is RIGHT:
            return UNSURE
    return found


def _compare_choices(gold: Answer | None, given: Answer | None, stated: str, answer: str) -> Agreement | None:
    """Compare by the letter of a choice where one has it with the text of the choice: `(C) 14`; else `None`."""
    chosen, right = (_choice_with_text(text) for text in (stated, answer))
    if chosen is None and right is None:
        return None
    letters = [
        read.letter if isinstance(read, Choice) else with_text[0] if with_text is not None else None
        for read, with_text in ((gold, right), (given, chosen))
    ]
    if None not in letters:
        return RIGHT if letters[0] == letters[1] else WRONG
    # One of them has the text alone.
    text, other = (chosen[1], answer) if chosen is not None else (right[1] if right is not None else "", stated)
    return compare_texts(other, text) if chosen is None else compare_texts(text, other)


def _choice_with_text(text: str) -> tuple[str, str] | None:
    r"""The letter and the text of `(C) 14`, `\textbf{(C)}\ 14`."""
    if not any("A" <= sign <= "Z" for sign in text) or len(text) > 200:
        return None
    match = CHOICE_WITH_TEXT.fullmatch(text.strip(" $*"))
    if match is None and "\\" in text:
        bare = normalise(text).replace(TEXT_OPEN, "").replace(TEXT_CLOSE, "").strip(" $*")
        # There are spaces here around what was in text mode, so that a minus may be one of mathematics.
        match = CHOICE_WITH_TEXT.fullmatch(bare)
        match = None if match is not None and match["text"][0] == "-" else match
    return None if match is None else (match[1] or match[2], match["text"])


def _compare_other_readings(gold: Answer | None, given: Answer | None, stated: str, answer: str) -> Agreement | None:
    """Compare other meanings that the texts have for some readers; `None` if they do not agree in these either."""
    if gold is not None:
        for text, is_sure in other_readings(stated):
            if (read := read_answer(text)) is not None and compare_answers(gold, read) is RIGHT:
                return RIGHT if is_sure else UNSURE
    if given is not None:
        for text, _ in other_readings(answer):
            if (read := read_answer(text)) is not None and compare_answers(read, given) is RIGHT:
                return UNSURE
    return None


def compare_answers(gold: Answer, stated: Answer) -> Agreement:
    """Compare two answers that were read; see `compare_texts`."""
    if isinstance(gold, Condition) or isinstance(stated, Condition):
        return RIGHT if gold == stated else UNSURE
    if isinstance(stated, Denial) or isinstance(gold, Denial):
        return UNSURE if isinstance(gold, Denial) else WRONG
    if isinstance(gold, Named) or isinstance(stated, Named):
        if isinstance(gold, Named) and isinstance(stated, Named):
            same = compare_answers(gold.value, stated.value)
            if gold.name == stated.name or _is_loose(gold.name) or _is_loose(stated.name):
                return same
            return _unless(same, right=UNSURE) if same is not WRONG else _as_equations(gold, stated, default=WRONG)
        named, other = (gold, stated) if isinstance(gold, Named) else (stated, gold)
        assert isinstance(named, Named)
        if isinstance(other, Equation):
            return _as_equations(gold, stated, default=ASK)
        if isinstance(other, Several) and not isinstance(named.value, Several) and not other.in_braces:
            return (
                compare_answers(Several((gold,)), stated)
                if named is gold
                else compare_answers(gold, Several((stated,)))
            )
        return compare_answers(named.value, other) if named is gold else compare_answers(other, named.value)
    if isinstance(gold, Scalar) and isinstance(stated, Scalar):
        return compare_scalars(gold, stated)
    if isinstance(gold, Equation) and isinstance(stated, Scalar):
        return WRONG if not stated.formula.letters else UNSURE
    if {type(gold), type(stated)} == {Based, Scalar}:
        # A base may be left out; a base that the correct answer does not have is another matter.
        based, scalar = (gold, stated) if isinstance(gold, Based) else (stated, gold)
        assert isinstance(based, Based) and isinstance(scalar, Scalar)
        if scalar.exact is None or scalar.exact.denominator != 1:
            return WRONG
        if str(scalar.exact) == based.digits:
            return RIGHT if based is gold else UNSURE
        return UNSURE if scalar.exact == _value_in_base(based) else WRONG
    if type(gold) is type(stated):
        return _COMPARE[type(gold)](gold, stated)
    compare = _COMPARE_MIXED.get((type(gold), type(stated)))
    if compare is not None:
        return compare(gold, stated)
    compare = _COMPARE_MIXED.get((type(stated), type(gold)))
    if compare is not None:
        return compare(stated, gold)
    return UNSURE if {type(gold), type(stated)} & {Choice, Words, Equation, Ordering, Date} else WRONG


def _both(outcomes: Iterable[Agreement]) -> Agreement:
    """The outcome of parts that must all agree."""
    found = {*outcomes}
    return next((outcome for outcome in (WRONG, UNSURE, ASK) if outcome in found), RIGHT)


def _unless(outcome: Agreement, *, right: Agreement) -> Agreement:
    """The outcome, but another one for correct."""
    return right if outcome is RIGHT else outcome


# Equations and names


def _is_loose(name: str) -> bool:
    """Whether a name is a wording or nothing, so that another one may mean the same."""
    return name in {"", "it"} or " " in name or (len(name) > 2 and name.isalpha() and name.islower())


def _as_equations(gold: Answer, stated: Answer, *, default: Agreement) -> Agreement:
    first, second = _equation(gold), _equation(stated)
    if first is None or second is None:
        return default
    if _compare_equations(first, second) is not RIGHT:
        return default
    # `2x = 10` leaves it to the reader to find the 5 of `x = 5`.
    is_left_unsolved = isinstance(gold, Named) and isinstance(stated, Equation) and not first.right.letters
    return UNSURE if is_left_unsolved and len(first.left.letters) == 1 else RIGHT


def _equation(answer: Answer) -> Equation | None:
    if isinstance(answer, Equation):
        return answer
    if isinstance(answer, Named) and answer.left is not None and isinstance(answer.value, Scalar):
        return Equation(answer.left, answer.value.formula)
    return None


def _compare_equations(gold: Equation, stated: Equation) -> Agreement:
    """Equations are the same where the difference of one's sides is a multiple of the other's.

    Otherwise algebra may turn one into the other, but not if they are about other letters.
    """
    names = [{*"".join(equation.left.letters | equation.right.letters)} for equation in (gold, stated)]
    if {name for name in names[0] if name.isalpha()} != {name for name in names[1] if name.isalpha()}:
        return WRONG
    try:
        ratios = []
        for seed in range(3):
            point = Point(seed)
            first, second = (
                complex(evaluate(equation.left.node, point)) - complex(evaluate(equation.right.node, point))
                for equation in (gold, stated)
            )
            if abs(first) < 1e-12 or abs(second) < 1e-12:
                return ASK
            ratios.append(first / second)
    except (UncoveredError, OverflowError):
        return ASK
    return RIGHT if all(are_same(ratio, ratios[0]) for ratio in ratios) else ASK


def _compare_orderings(gold: Ordering, stated: Ordering) -> Agreement:
    if gold.signs != stated.signs or len(gold.sides) != len(stated.sides):
        return ASK
    try:
        sides = zip(gold.sides, stated.sides, strict=True)
        return RIGHT if all(compare_formulas(first, second) for first, second in sides) else ASK
    except UncoveredError:
        return ASK


# Sets, lists, tuples, intervals


def _compare_several(gold: Several, stated: Several) -> Agreement:
    if gold.has_gap or stated.has_gap:
        if gold.has_gap != stated.has_gap or len(gold.items) != len(stated.items):
            return UNSURE
        in_order = _both(compare_answers(a, b) for a, b in zip(gold.items, stated.items, strict=True))
        return RIGHT if in_order is RIGHT else UNSURE
    first, second = _without_names(gold), _without_names(stated)
    names = [{item.name for item in several.items if isinstance(item, Named)} for several in (gold, stated)]
    if names[0] == names[1] and all(len(names[0]) == len(items) for items in (first, second)):
        # x = 1, y = 2: each by its name.
        by_name = [{item.name: item for item in items if isinstance(item, Named)} for items in (first, second)]
        return _both(compare_answers(by_name[0][name], by_name[1][name]) for name in names[0])
    if all(len(found) == 1 for found in names) and names[0] != names[1]:
        return _unless(match_items(first, second), right=UNSURE)
    if _has_names(first) != _has_names(second):
        # x = 1, y = 2 and the list 1, 2: the order of the names is not known.
        unnamed = [[item.value if isinstance(item, Named) else item for item in items] for items in (first, second)]
        is_numbered = len({name.partition("_")[0] for name in names[0] | names[1]}) == 1  # x_1 = 1, x_2 = 2
        if is_numbered and len(first) == len(second):
            in_order = _both(compare_answers(a, b) for a, b in zip(*unnamed, strict=True))
            if in_order is RIGHT:
                return RIGHT
        return _unless(match_items(*unnamed), right=UNSURE)
    if len(first) != len(second) and (gold.in_braces or stated.in_braces):
        first, second = _distinct(first), _distinct(second)
    return match_items(first, second)


def _without_names(several: Several) -> Sequence[Answer]:
    """The values where all have one name: `x = 1 or x = 2`, `x = 1, 2`."""
    names = {item.name for item in several.items if isinstance(item, Named)}
    if len(names) > 1:
        return several.items
    return [item.value if isinstance(item, Named) else item for item in several.items]


def _has_names(items: Sequence[Answer]) -> bool:
    return any(isinstance(item, Named) for item in items)


def _distinct(items: Sequence[Answer]) -> list[Answer]:
    found = list[Answer]()
    for item in items:
        if not any(compare_answers(earlier, item) is RIGHT for earlier in found):
            found.append(item)
    return found


def match_items(gold: Sequence[Answer], stated: Sequence[Answer]) -> Agreement:
    """Compare lists in no order."""
    if len(gold) != len(stated):
        return WRONG
    if len(gold) > MAX_ITEMS:
        return UNSURE
    left, doubt = list(stated), RIGHT
    for item in gold:
        outcomes = [compare_answers(item, other) for other in left]
        if RIGHT in outcomes:
            del left[outcomes.index(RIGHT)]
        elif all(outcome is WRONG for outcome in outcomes) and doubt is RIGHT:
            return WRONG
        else:
            doubt = UNSURE if UNSURE in outcomes or doubt is UNSURE else ASK
    return doubt


def _compare_ordered(gold: Ordered, stated: Ordered) -> Agreement:
    if len(gold.items) != len(stated.items) and gold.kind == stated.kind:
        return WRONG
    if gold.kind != stated.kind:
        return UNSURE  # a column is a point to some
    return _both(compare_answers(a, b) for a, b in zip(gold.items, stated.items, strict=True))


def _compare_intervals(gold: Interval, stated: Interval) -> Agreement:
    if (gold.low_closed, gold.high_closed) != (stated.low_closed, stated.high_closed):
        return WRONG
    same = _both((_compare_ends(gold.low, stated.low), _compare_ends(gold.high, stated.high)))
    return _unless(same, right=UNSURE) if gold.name and stated.name and gold.name != stated.name else same


def _compare_ends(gold: Scalar, stated: Scalar) -> Agreement:
    if "infinity" in str(gold.formula.node) or "infinity" in str(stated.formula.node):
        return RIGHT if gold.formula.node == stated.formula.node else WRONG
    return compare_scalars(gold, stated)


def _ordered_interval(ordered: Ordered, interval: Interval) -> Agreement:
    """`(1, 3)` is a point or an open interval."""
    if len(ordered.items) != 2 or interval.low_closed or interval.high_closed:
        return WRONG
    ends = zip(ordered.items, (interval.low, interval.high), strict=True)
    return _both(compare_answers(item, end) for item, end in ends if isinstance(end, Scalar))


def _ordered_several(ordered: Ordered, several: Several) -> Agreement:
    if len(several.items) == 1:
        return compare_answers(ordered, several.items[0])
    if len(ordered.items) != len(several.items) or ordered.kind == "matrix":
        return WRONG if ordered.kind == "tuple" else UNSURE
    items = _without_names(several)
    in_order = _both(compare_answers(a, b) for a, b in zip(ordered.items, items, strict=True))
    if in_order is RIGHT and not several.in_braces and not _has_names(items):
        return RIGHT
    return _unless(match_items(ordered.items, [i.value if isinstance(i, Named) else i for i in items]), right=UNSURE)


def _several_one(several: Several, other: Answer) -> Agreement:
    """A list of one is that one; a list of several is not one of them."""
    if not several.items and isinstance(other, Words):
        return UNSURE  # no solution, and the empty set
    if len(several.items) == 1 and not several.has_gap:
        return compare_answers(several.items[0], other)
    if several.items and all(compare_answers(item, several.items[0]) is RIGHT for item in several.items):
        return _unless(compare_answers(several.items[0], other), right=UNSURE)  # -2, -2: a double root
    return WRONG


# Times, ratios, bases, words


def _compare_clocks(gold: Clock, stated: Clock) -> Agreement:
    if gold == stated:
        return RIGHT
    first, second = _minutes(gold), _minutes(stated)
    if first is not None and second is not None:
        return RIGHT if first == second else WRONG
    same = (gold.hour % 12, gold.minute) == (stated.hour % 12, stated.minute) or _proportional(
        (Fraction(gold.hour), Fraction(gold.minute)), (Fraction(stated.hour), Fraction(stated.minute))
    )
    return UNSURE if same else WRONG


def _minutes(clock: Clock) -> int | None:
    """Minutes since midnight, if the half of the day is known."""
    if clock.half:
        return (clock.hour % 12 + 12 * (clock.half == "pm")) * 60 + clock.minute
    return clock.hour * 60 + clock.minute if clock.hour > 12 or clock.hour == 0 else None


def _compare_dates(gold: Date, stated: Date) -> Agreement:
    """A year may be left out, or the day where the month is asked; nobody can tell."""
    if gold == stated:
        return RIGHT
    known = all(a == b or a is None or b is None for a, b in zip(gold, stated, strict=True))
    return UNSURE if known else WRONG


def _proportional(first: Sequence[Fraction], second: Sequence[Fraction]) -> bool:
    if len(first) != len(second) or not any(first) or not any(second):
        return False
    return all(first[i] * second[j] == first[j] * second[i] for i in range(len(first)) for j in range(i))


def _clock_scalar(clock: Clock, scalar: Scalar) -> Agreement:
    if scalar.exact is None:
        return WRONG
    is_hour = clock.minute == 0 and scalar.exact == clock.hour
    is_quotient = not clock.half and clock.minute and scalar.exact == Fraction(clock.hour, clock.minute)
    return UNSURE if is_hour or is_quotient or scalar.n_units > 1 else WRONG


def _ratio_scalar(ratio: Ratio, scalar: Scalar) -> Agreement:
    is_quotient = len(ratio.parts) == 2 and ratio.parts[1] != 0 and scalar.exact == ratio.parts[0] / ratio.parts[1]
    return UNSURE if is_quotient else WRONG


def _value_in_base(based: Based) -> int | None:
    try:
        return int(based.digits, based.base)
    except ValueError:
        return None


def _compare_based(gold: Based, stated: Based) -> Agreement:
    if gold == stated:
        return RIGHT
    if gold.base == stated.base:
        return WRONG
    value = _value_in_base(gold)
    return UNSURE if value is not None and value == _value_in_base(stated) else WRONG


def _compare_words(gold: Words, stated: Words) -> Agreement:
    if gold == stated:
        return RIGHT
    first, second = {*gold.words}, {*stated.words}
    if {"yes", "no"} <= first | second or {"true", "false"} <= first | second:
        return WRONG if len(first) == len(second) == 1 else UNSURE
    return UNSURE if first & second or max(len(first), len(second)) > 2 else WRONG


def _words_scalar(words: Words, scalar: Scalar) -> Agreement:
    if words.words in {("none",), ("nothing",), ("nil",)}:
        return UNSURE if scalar.exact == 0 else WRONG
    return UNSURE if scalar.formula.letters or len(words.words) > 1 else WRONG


def _equation_other(equation: Equation, other: Scalar) -> Agreement:
    """`x + y = 4` and 4: what was asked may be the sum, or the equation."""
    try:
        same = compare_formulas(equation.right, other.formula)
    except UncoveredError:
        return UNSURE
    return WRONG if same is False else UNSURE


_COMPARE: dict[type, Callable[..., Agreement]] = {
    Interval: _compare_intervals,
    Union: lambda gold, stated: match_items(gold.parts, stated.parts),
    Several: _compare_several,
    Ordered: _compare_ordered,
    Equation: _compare_equations,
    Ordering: _compare_orderings,
    Clock: _compare_clocks,
    Date: _compare_dates,
    Ratio: lambda gold, stated: RIGHT if _proportional(gold.parts, stated.parts) else WRONG,
    Based: _compare_based,
    Choice: lambda gold, stated: RIGHT if gold == stated else WRONG,
    Words: _compare_words,
}
_COMPARE_MIXED: dict[tuple[type, type], Callable[..., Agreement]] = {
    (Ordered, Interval): _ordered_interval,
    (Ordered, Several): _ordered_several,
    (Union, Several): lambda union, several: _unless(match_items(union.parts, several.items), right=UNSURE),
    (Clock, Ratio): lambda clock, ratio: (
        RIGHT
        if not clock.half and _proportional((Fraction(clock.hour), Fraction(clock.minute)), ratio.parts)
        else WRONG
    ),
    (Clock, Scalar): _clock_scalar,
    # `June 20` and 20: which day of June may have been asked.
    (Date, Scalar): lambda date, scalar: (
        UNSURE if scalar.exact is not None and scalar.exact in (date.day, date.year) else WRONG
    ),
    (Ratio, Scalar): _ratio_scalar,
    (Words, Scalar): _words_scalar,
    (Equation, Scalar): _equation_other,
    **{(Several, kind): _several_one for kind in (Scalar, Interval, Clock, Ratio, Based, Words, Choice, Equation)},
}
