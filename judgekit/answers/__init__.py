r"""Checks whether the final answer of a response is correct. Verdicts: correct, wrong or unchecked, never a guess.

1. `extraction` finds where a response states its answer: a box, a tag, a phrase, the last number.
2. `grammar` reads that text, and the correct answer, into typed values (`kinds`) that cover the whole text: numbers,
   mixed numbers, fractions, percent, currency, units, intervals, sets, tuples, equations, times, dates, bases, words.
   It consists of `notation` (one spelling), `wording` and `units`, `formulas` and `values`, and `quantities`.
3. `comparison` compares the values and decides what is conventional; `readings` are other meanings a text may have.
4. `pool` sends formulas beyond the grammar to math-verify, in processes with bounded time and memory; its "equal"
   counts only if it has read the whole of both texts.

Nothing here imports torch or sympy; only the worker processes import sympy. For programs:
`MathVerifyCheck.compare_many`, see docs/python.md.
"""

from judgekit.answers.checks import (
    LastNumberCheck,
    LastNumberConfig,
    MathVerifyCheck,
    MathVerifyConfig,
    OutcomeCheck,
    OutcomeConfig,
    build_outcome,
    compare_plainly,
    readable,
)
from judgekit.answers.extraction import extract_answer
from judgekit.answers.numbers import find_numbers, parse_number
from judgekit.answers.pool import AnswerPool, Comparison, Unchecked

__all__ = [
    "AnswerPool", "Comparison", "LastNumberCheck", "LastNumberConfig", "MathVerifyCheck", "MathVerifyConfig",
    "OutcomeCheck", "OutcomeConfig", "Unchecked", "build_outcome", "compare_plainly", "extract_answer", "find_numbers",
    "parse_number", "readable",
]  # fmt: skip
