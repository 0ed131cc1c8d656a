"""Whether two numbers or formulas are the same, with their units; `comparison` says what counts as the same."""

from __future__ import annotations

import math
from enum import Enum
from fractions import Fraction

from judgekit.answers.formulas import Formula, Token, UncoveredError
from judgekit.answers.kinds import Scalar
from judgekit.answers.units import find_unit
from judgekit.answers.values import Point, Value, compare_formulas, evaluate

DIGITS = 6
"""Digits after the point to which decimals are compared with what they may be roundings of."""
NEAR = 1e-5
"""Relative difference beyond which numbers are not roundings of each other: six digits would make tiny ones equal."""


class Agreement(Enum):
    """What a comparison says."""

    RIGHT = "right"
    """They are the same."""
    WRONG = "wrong"
    """They are not."""
    UNSURE = "unsure"
    """Both are read whole, and nobody can tell."""
    ASK = "ask"
    """Formulas that computer algebra may tell apart."""


RIGHT, WRONG, UNSURE, ASK = Agreement


def compare_scalars(gold: Scalar, stated: Scalar) -> Agreement:
    """Compare two numbers or formulas with their units."""
    if gold.is_percent != stated.is_percent:
        if gold.exact is None or stated.exact is None:
            return _compare_values(gold, stated)
        percent, plain = (gold, stated) if gold.is_percent else (stated, gold)
        is_share = percent.exact is not None and plain.unit is None and plain.exact == percent.exact / 100
        return RIGHT if is_share else _compare_values(gold, stated)
    for lettered, other in ((gold, stated), (stated, gold)):
        if lettered.unit_letter and other.unit is not None:  # 1.2 m and 120 cm
            unit = find_unit(Token("text", lettered.unit_letter, 0, 0))
            if unit is not None and unit.dimensions == other.unit.dimensions:
                factor = other.unit.factor / unit.factor
                return _compare_with_unit_letter(lettered, _scaled(other, factor), same=RIGHT)
    if gold.unit is None or stated.unit is None:
        if _is_angle(gold, stated) or _is_angle(stated, gold):
            return UNSURE
        if gold.n_units != stated.n_units:
            # `3 hours 20 minutes` and a number without unit: 200 may be minutes, and 3 is neither.
            compound, number = (gold, stated) if gold.n_units > 1 else (stated, gold)
            if compound.exact is None or number.exact is None or not number.exact:
                return WRONG
            ratio = compound.exact / number.exact
            inches, hours = Fraction("0.0254"), Fraction(3600)
            usual = {
                Fraction(1),
                Fraction(60),
                hours,
                Fraction(86400),
                inches,
                12 * inches,
                Fraction(1, 100),
                Fraction(1, 1000),
            }
            return UNSURE if ratio in usual else WRONG
        return _compare_values(gold, stated)
    if gold.unit == stated.unit:
        return _compare_values(gold, stated)
    if gold.unit.dimensions == stated.unit.dimensions:
        return _compare_values(_converted(gold), _converted(stated))
    same = _compare_values(gold, stated)
    gold_names, stated_names = dict(gold.unit.dimensions), dict(stated.unit.dimensions)
    is_part = gold_names.items() <= stated_names.items() or stated_names.items() <= gold_names.items()
    if same is RIGHT and (gold.unit.is_noun or stated.unit.is_noun or is_part):
        return UNSURE  # apples or fruits, dollars or dollars a day
    names = {*gold_names, *stated_names}
    if names == {"degree", "radian"} or ("degree" in names and names <= {"degree", "celsius", "fahrenheit"}):
        return UNSURE
    return WRONG


def _is_angle(degrees: Scalar, plain: Scalar) -> bool:
    r"""Whether a multiple of \pi without a unit is the angle: \pi/4 for 45 degrees."""
    if degrees.unit is None or degrees.unit.dimensions != (("degree", 1),) or plain.exact is not None:
        return False
    in_radians = Formula(("*", degrees.formula.node, ("constant", math.pi / 180)), degrees.formula.letters, False)
    try:
        return compare_formulas(in_radians, plain.formula) is True
    except UncoveredError:
        return False


def _converted(scalar: Scalar) -> Scalar:
    return _scaled(scalar, scalar.unit.factor if scalar.unit is not None else Fraction(1))


def _scaled(scalar: Scalar, factor: Fraction) -> Scalar:
    formula = Formula(
        ("*", ("number", factor), scalar.formula.node), scalar.formula.letters, scalar.formula.is_doubtful
    )
    exact = None if scalar.exact is None else scalar.exact * factor
    return scalar._replace(formula=formula, exact=exact, decimals=None if factor != 1 else scalar.decimals)


def _compare_values(gold: Scalar, stated: Scalar) -> Agreement:
    if gold.exact is not None and stated.exact is not None:
        if gold.exact == stated.exact:
            return RIGHT
        return RIGHT if _are_roundings(gold.exact, stated.exact, gold, stated) else WRONG
    if gold.formula.node == stated.formula.node:
        return RIGHT  # also infinity, which has no value
    if gold.formula.letters != stated.formula.letters and (gold.unit_letter or stated.unit_letter):
        return _compare_with_unit_letter(gold, stated)
    try:
        same = compare_formulas(gold.formula, stated.formula)
        if same is None:
            return ASK
        if same:
            return RIGHT
        if not gold.formula.letters and not stated.formula.letters:
            first, second = (evaluate(scalar.formula.node, Point(0)) for scalar in (gold, stated))
            return RIGHT if _are_roundings(first, second, gold, stated) else WRONG
        near = all(
            _are_near(evaluate(gold.formula.node, Point(seed)), evaluate(stated.formula.node, Point(seed)))
            for seed in range(2)
        )
        return ASK if near else WRONG
    except UncoveredError:
        return ASK


def _compare_with_unit_letter(gold: Scalar, stated: Scalar, *, same: Agreement = UNSURE) -> Agreement:
    """`6m` and `6`: six metres, or six times a variable."""
    lettered, plain = (gold, stated) if gold.unit_letter else (stated, gold)
    letter = lettered.unit_letter
    times = Formula(
        ("*", plain.formula.node, ("letter", letter)), plain.formula.letters | {letter}, plain.formula.is_doubtful
    )
    try:
        is_same = compare_formulas(lettered.formula, times)
    except UncoveredError:
        return ASK
    return WRONG if is_same is False else same if is_same else UNSURE


def _are_roundings(first: Value, second: Value, gold: Scalar, stated: Scalar) -> bool:
    """Whether one is the other rounded to six digits or more; as many digits on both sides are not a rounding."""
    if (gold.decimals is None and stated.decimals is None) or gold.decimals == stated.decimals:
        return False
    if not _are_near(first, second):
        return False
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        return round(first, DIGITS) == round(second, DIGITS)
    if first.imag or second.imag:
        return False
    return round(float(first.real), DIGITS) == round(float(second.real), DIGITS)


def _are_near(first: Value, second: Value) -> bool:
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        return abs(first - second) <= Fraction(NEAR) * max(abs(first), abs(second))
    try:
        left, right = complex(first), complex(second)
        return abs(left - right) <= NEAR * max(abs(left), abs(right))
    except OverflowError:
        return False
