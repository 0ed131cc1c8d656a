"""Changes that make an answer another one, and rewritings that do not, for property tests."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SIGNS = {
    "+": "-", "/": "+", "<": ">", ">": "<", "!": "^2", "\\cdot": "+", "\\times": "+", "\\cup": "\\cap", "\\le": ">",
    "\\leq": ">", "\\ge": "<", "\\leqslant": ">", "\\geqslant": "<", "\\sin": "\\cos", "\\cos": "\\sin",
    "\\ln": "\\sin", "\\arcsin": "\\arccos", "\\pi": "e", "\\pm": "+", "\\binom": "\\frac",
}  # fmt: skip
_UNITS = {
    "cm": "mm", "m": "km", "inches": "feet", "cents": "dollars", "degrees": "radians", "am": "pm", "pm": "am",
    "hours": "minutes", "minutes": "hours", "feet": "inches", "s": "h",
}  # fmt: skip


def changes(answer: str) -> Iterator[tuple[str, str]]:
    """Yield kinds of change and the changed answers: one digit, sign, unit, operator or letter is another.

    Changes that leave the value as it was are left out: a minus before zero, before the argument of a cosine or behind
    a plus-minus; and the name of a variable on its own side.
    """
    for match in re.finditer(r"\d", answer):
        digit = int(match.group())
        for other in ((digit + 1) % 10, (digit + 5) % 10):
            yield "digit", answer[: match.start()] + str(other) + answer[match.end() :]
    for match in re.finditer(r"(?<![\d.])\d+(?![\d.])", answer):
        if not re.search(r"\\sqrt *$", answer[: match.start()]):  # of \sqrt21 TeX takes the root of 2
            yield "digit", answer[: match.start()] + match.group() + "1" + answer[match.end() :]
        if len(match.group()) > 1 and match.group()[-1] != "0":
            yield "digit", answer[: match.start()] + match.group()[:-1] + answer[match.end() :]
    for match in re.finditer(r"(?<![\d.eE-])(?<!\\)(?<!\d,)\d+(?:\.\d+)?", answer):
        before = answer[: match.start()]
        if float(match.group()) != 0 and not re.search(r"\\cos ?\(?\{?$|\\pm ?$", before):
            yield "sign", before + "-" + answer[match.start() :]
    for match in re.finditer(r"-(?!\s*0\b)", answer):
        yield "sign", answer[: match.start()] + "+" + answer[match.end() :]
    for match in re.finditer(r"\\[a-zA-Z]+|[+/<>!]", answer):
        if match.group() in _SIGNS:
            yield "operator", answer[: match.start()] + _SIGNS[match.group()] + " " + answer[match.end() :]
    for mark in ("\\sqrt", "^", "\\overrightarrow"):
        for match in re.finditer(re.escape(mark), answer):
            if not re.match(r"\^\{?\\circ", answer[match.start() :]):
                yield "operator", answer[: match.start()] + answer[match.end() :]
    if re.match(r"\$?[\[(].*[\])]\$?$", answer) and "," in answer:
        for mark, other in (("[", "("), ("]", ")")):
            if mark in answer:
                yield "operator", answer.replace(mark, other)
    for match in re.finditer(r"(?<![a-zA-Z\\])[a-zA-Z]+(?![a-zA-Z])", answer):
        unit = match.group()
        in_text = re.search(r"\\(?:text|mbox|mathrm) ?\{[^{}]*$", answer[: match.start()]) or unit in {"cm", "am", "pm"}
        is_name = re.match(r"\s*(?:\\in\b|=|\|)", answer[match.end() :])
        if in_text and unit in _UNITS:
            yield "unit", answer[: match.start()] + _UNITS[unit] + answer[match.end() :]
        elif len(unit) == 1 and not in_text and not is_name:
            yield "letter", answer[: match.start()] + ("q" if unit != "q" else "w") + answer[match.end() :]
    bare = answer.replace("\\$", "").replace("$", "")
    yield "operator", f"{bare}+1"
    yield "alternative", f"{bare} or 987654"
    yield "alternative", f"987654, {bare}"


def rewritings(answer: str) -> Iterator[tuple[str, str]]:
    """Yield kinds of rewriting and the same answer written otherwise."""
    yield "spaces", answer.replace("+", " + ").replace("=", " = ").replace("}", "} ") if "{," not in answer else answer
    yield "dfrac", answer.replace("\\frac", "\\dfrac")
    if "$" not in answer:
        yield "dollars", f"${answer}$"
    yield "brackets", re.sub(r"(?<!\\left)(?<![\\a-zA-Z])\(([^()]*)\)", r"\\left(\1\\right)", answer)
    if re.fullmatch(r"\$?-?\d+\$?", answer):
        bare = answer.strip("$")
        yield "zeros", f"{bare}.0"
        yield "zeros", f"{bare}.00"
        yield "grouped", f"{int(bare):,}"
        yield "minus", bare.replace("-", "\u2212")
        yield "text", f"{bare}\\text{{ units}}"
        yield "named", f"x = {bare}"
        yield "fullwidth", "".join(chr(ord(sign) + 0xFEE0) if sign.isdigit() else sign for sign in bare)
    elif re.fullmatch(r"\$?-?\d*\.\d+\$?", answer):
        yield "zeros", answer.strip("$") + "0"
    items = re.fullmatch(r"\$?(?P<open>\\\{)?(?P<items>-?\d+(?:, ?-?\d+)+)(?P<close>\\\})?\$?", answer)
    if items and not re.fullmatch(r"-?\d{1,3}(,\d{3})+", items["items"]):
        turned = ", ".join(reversed(re.split(", ?", items["items"])))
        yield "order", f"{items['open'] or ''}{turned}{items['close'] or ''}"
