r"""One spelling for the many ways to write mathematics: Unicode digits, signs and fractions, LaTeX with its variants.

`normalise` returns ASCII text in which every sign has one name (`\le`, `\cdot`, `-`), fractions are `\frac{a}{b}`, and
words of text mode are between `TEXT_OPEN` and `TEXT_CLOSE`. It never drops anything meaningful: a superscript becomes a
power, not a digit, and `5½` is `5\frac{1}{2}`, not `51/2`.
"""

# ruff: noqa: RUF001 -- the signs that are easily confused are what this table is about
from __future__ import annotations

import re
import unicodedata

TEXT_OPEN, TEXT_CLOSE = "\x02", "\x03"
"""Around words of text mode; neither stands in any other text once it is normalised."""

_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙₖₐₓₘ", "0123456789+-()nkaxm", strict=True))
_SUPER_RUN = re.compile(f"[{''.join(_SUPER)}]+")
_SUB_RUN = re.compile(f"[{''.join(_SUB)}]+")
_LONG_DASH = re.compile("[—―](?=[^\\s—―])")
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("−–‒﹣－‐‑⁃", "-"),
        **dict.fromkeys("×✕✖⨯⨉·⋅∙∗", "\\cdot "),
        **dict.fromkeys("÷⁄∕", "/"),
        **dict.fromkeys("≤⩽≦", "\\le "),
        **dict.fromkeys("≥⩾≧", "\\ge "),
        "≠": "\\ne ", "≡": "\\equiv ", "±": "\\pm ", "∓": "\\mp ", "∞": "\\infty ", "√": "\\surd ", "∛": "\\cbrt ",
        **dict.fromkeys("≈≅≃", "\\approx "),
        "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "∉": "\\notin ", "∅": "\\emptyset ",
        **dict.fromkeys("°˚º", "\\degree "), "′": "'", "″": "''", "’": "'", "‘": "'", "“": '"', "”": '"',
        "⌊": "\\lfloor ", "⌋": "\\rfloor ", "⌈": "\\lceil ", "⌉": "\\rceil ", "∠": "\\angle ",
        "ℝ": "\\mathbb{R}", "ℤ": "\\mathbb{Z}", "ℕ": "\\mathbb{N}", "ℚ": "\\mathbb{Q}", "ℂ": "\\mathbb{C}",
        "¢": " cents ", "…": "\\ldots ", "⋯": "\\ldots ", "∣": "|", "，": ", ", "、": ", ", "；": "; ", "：": ": ",
        "π": "\\pi ", "ϕ": "\\phi ", "φ": "\\phi ", "θ": "\\theta ", "α": "\\alpha ", "β": "\\beta ", "γ": "\\gamma ",
        "δ": "\\delta ", "ε": "\\epsilon ", "λ": "\\lambda ", "ρ": "\\rho ", "σ": "\\sigma ", "τ": "\\tau ",
        "ω": "\\omega ", "Δ": "\\Delta ", "Ω": "\\Omega ", "Σ": "\\Sigma ", "⟨": "\\langle ", "⟩": "\\rangle ",
        "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "", "\x02": " ", "\x03": " ",
    }
)  # fmt: skip

_ASCII_SIGNS = (
    (re.compile("<="), r" \\le "),
    (re.compile(">="), r" \\ge "),
    (re.compile(r"(?<![0-9)])!="), r" \\ne "),  # behind a digit it is a factorial
)
_SPACING = re.compile(
    r"\\(?:[ ;:>]|quad(?![a-zA-Z])|qquad(?![a-zA-Z])|displaystyle(?![a-zA-Z])|thinspace(?![a-zA-Z]))|~"
)
_THIN_IN_NUMBER = re.compile(r"(?<=\d)(?:\\[,!]|\{,\}|,\\!) ?(?=\d{3})")
_SIZES = re.compile(
    r"\\left\.|\\right\.|\\(?:left|right|middle|big|Big|bigg|Bigg|bigl|bigr|Bigl|Bigr|biggl|biggr|limits)(?![a-zA-Z])"
)
_RENAMED = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge",
    "neq": "ne", "times": "cdot", "ast": "cdot", "div": "/", "lt": "<", "gt": ">", "varnothing": "emptyset",
    "dots": "ldots", "cdots": "ldots", "dotsc": "ldots", "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]",
    "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "dbinom": "binom", "tbinom": "binom", "lg": "lg",
    "arctan": "arctan", "simeq": "approx", "land": "wedge", "colon": ":", "varphi": "phi", "varepsilon": "epsilon",
    "sqrt": "sqrt", "tg": "tan", "ctg": "cot", "implies": "Rightarrow", "to": "rightarrow", "euro": "\u20ac",
    "sfrac": "frac", "nicefrac": "frac", "lor": "vee", "backslash": "setminus", "smallsetminus": "setminus",
    "pounds": "\u00a3", "textdollar": "\\$", "textendash": "-", "textminus": "-", "lparen": "(", "rparen": ")",
}  # fmt: skip
_SIGN_NAMES = frozenset({"/", "<", ">", "[", "]", "|", ":", "(", ")", "-", "\u20ac", "\u00a3", "\\$"})
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\^\s*\{\s*\\degree\s*\}|\^\s*\\degree(?![a-zA-Z])")
_TEXT_MODE = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|sc)?|mathrm|mathsf|mathtt|mbox|hbox|operatorname\*?|rm|bf)\s*\{([^{}]*)\}"
)
_FONT = re.compile(r"\\(?:mathbf|boldsymbol|bm|mathit|mathcal|mathfrak|mathscr|textstyle)\s*\{([^{}]*)\}")
_ONLY_WORDS = re.compile(r"[^\W\d_][^\d_{}\\$^=<>+*|]*|")
_NOT_EQUAL = re.compile(r"\\not\s*=")
_BRACED_MINUS = re.compile(r"(?<![a-zA-Z^_}])\{-\}")  # not what a command takes: \text{-}
_BRACED_WHOLE = re.compile(r"\A(\s*-?\s*)\{(\d+)\}(?=\s*\\frac(?![a-zA-Z]))")
_BRACED_PART = re.compile(r"(?<![\w.^_{}])(\d+)\s*\{\s*(\\frac\s*\{\d+\}\s*\{\d+\}|\\frac\s*\d\d)\s*\}")
_UNIT = (
    r"\s*(?:\x02[^\x03]*\x03|(?<=\{)(?:km|cm|mm|mi|miles|ft|kg|mol|mg|mL|h|hr|s|min|sec|L))"
    r"(?:\s*\^\s*(?:\d|\{-?\d\}))?\s*"
)
_UNIT_FRACTION = re.compile(rf"(?<=[\d}} ])\s*\\frac\s*\{{({_UNIT})\}}\s*\{{({_UNIT})\}}")
_POINT = r"(?<![\d.])(?P<whole>\d{0,30})\.(?P<head>\d{0,30})"
_REPEATING = tuple(
    re.compile(form)
    for form in (
        _POINT + r"\\(?:overline|bar|overbar)\s*\{?(?P<cycle>\d{1,30})\}?",
        _POINT + r"\\dot\s*\{?(?P<cycle>\d)\}?(?:(?P<middle>\d{0,30})\\dot\s*\{?(?P<last>\d)\}?)?",
        r"(?<![\d.])(?P<whole>\d{1,30})\.(?P<head>)(?P<cycle>\d)[- ](?:repeating|recurring)\b",
        r"(?<![\d.])(?P<whole>\d{1,30})\.(?P<head>\d{0,12}?)(?P<cycle>\d{1,12}?)(?P=cycle){2,9}\s*(?:\.\.\.|\\ldots(?![a-zA-Z]))",
    )
)
_CURRENCY_BEFORE = re.compile(r"\b(?:US|USD)\s?(?=\\?\$\s?\d)|\A\$(?=\s?[\d.][^$]*\Z)")
EXPONENT = re.compile(r"(?<![\w.])(\d+(?:\.\d*)?|\.\d+)[eE]([-+]?\d{1,3})(?!\w|\.\d)")
"""`4.5e33`: digits and the power of ten."""
_POWER_STARS = re.compile(r"(?<=[\w)])\*\*(?=[\w(])")
_MATHEMATICS = re.compile(r"\\[()\[\]]|(?<!\\)\$")


def normalise(text: str) -> str:
    r"""Return the text in one spelling, ASCII but for letters of other alphabets.

    Example:
        >>> normalise("5\u00bd \u2264 \\dfrac{x\u00b2}{3}")
        '5\\frac{1}{2} \\le  \\frac {x^{2}}{3}'
    """
    if not text.isascii():
        text = _without_unicode(text)
    if "<" in text or ">" in text or "!" in text:
        for signs, name in _ASCII_SIGNS:
            text = signs.sub(name, text)
    if "{-}" in text:
        text = _BRACED_MINUS.sub("-", text)
    if "." in text:
        for form in _REPEATING:
            text = form.sub(_repeating, text)
    if "$" in text:
        text = _CURRENCY_BEFORE.sub(lambda found: "\\$" if "$" in found.group() else "", text)
    if "\\" not in text and "$" not in text and "**" not in text:
        return text.strip()
    text = _POWER_STARS.sub("^", text).replace("**", " ")
    text = _THIN_IN_NUMBER.sub(",", text)
    text = _SIZES.sub("", text)
    text = _SPACING.sub(" ", text.replace("\\,", " ").replace("\\!", ""))
    for _ in range(3):  # \text{ inside \mathbf{}} and the like
        text = _FONT.sub(r"{\1}", text)
        text = _TEXT_MODE.sub(_text_mode, text)
    text = _COMMAND.sub(_renamed, text)
    text = _BRACED_PART.sub(r"\1\2", _BRACED_WHOLE.sub(r"\1\2", _NOT_EQUAL.sub(r"\\ne ", text)))
    text = _UNIT_FRACTION.sub(r" \1/\2", text)
    text = _DEGREES.sub(r"\\degree ", text).replace("\\%", "%").replace("\\&", "&")
    return text.strip()


def without_delimiters(text: str) -> str:
    r"""Take away the dollars and brackets around mathematics; `\$` stays, a bare dollar of currency goes too."""
    return _MATHEMATICS.sub(" ", text).strip()


def _without_unicode(text: str) -> str:
    text = _SUPER_RUN.sub(lambda run: "^{" + "".join(_SUPER[sign] for sign in run.group()) + "}", text)
    text = _SUB_RUN.sub(lambda run: "_{" + "".join(_SUB[sign] for sign in run.group()) + "}", text)
    text = _LONG_DASH.sub("-", text).translate(_SIGNS)
    if text.isascii():
        return text
    return "".join(sign if sign.isascii() else _ascii(sign) for sign in text).translate(_SIGNS)


def _ascii(sign: str) -> str:
    """One sign in ASCII if it has such a form: digits of any script, ready-made fractions, wide and bold letters."""
    if unicodedata.category(sign) == "Nd":
        return str(unicodedata.decimal(sign))
    compatible = unicodedata.normalize("NFKC", sign)
    if re.fullmatch("[a-z]{1,2}[23]", compatible):
        return f" {compatible[:-1]}^{compatible[-1]} "  # one sign for square metres
    if "\u2044" in compatible:
        above, _, below = compatible.partition("\u2044")
        return f"\\frac{{{above}}}{{{below}}}"
    return compatible


def _repeating(match: re.Match[str]) -> str:
    r"""`0.1\overline{6}` as a fraction, in brackets so that it makes no mixed number with what is in front."""
    parts = match.groupdict("")
    cycle = parts["cycle"] + parts.get("middle", "") + parts.get("last", "")
    below = 10 ** len(parts["head"]) * (10 ** len(cycle) - 1)
    digits = parts["whole"] + parts["head"]
    above = int(digits + cycle) - int(digits or "0")
    return f"(\\frac{{{above}}}{{{below}}})" if len(digits + cycle) < 100 else match.group()


def _text_mode(match: re.Match[str]) -> str:
    content = match[1].replace("\\", " ").replace("~", " ").strip()
    # What is not a plain wording (a number, a formula in text mode) is read like anything else.
    is_wording = _ONLY_WORDS.fullmatch(content) is not None
    return f" {TEXT_OPEN}{content}{TEXT_CLOSE} " if is_wording else f" {match[1]} "


def _renamed(match: re.Match[str]) -> str:
    name = _RENAMED.get(match[1], match[1])
    if name in _SIGN_NAMES:
        return f" {name} "
    return f"\\{name}" if name == match[1] else f"\\{name} "
