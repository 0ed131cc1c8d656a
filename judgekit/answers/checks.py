"""Outcome checks: is the final answer of a response correct?

A check returns 1.0, 0.0, or `None` for "cannot tell". `None` becomes NaN in TRL, so the response gets no advantage and
stays outside its group's baseline: a check that ran out of time never counts as a wrong answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal, Protocol

from pydantic import Field

from judgekit.answers.comparison import compare_texts, spell_same
from judgekit.answers.extraction import extract_answer
from judgekit.answers.formulas import HugeError
from judgekit.answers.grammar import read_answer
from judgekit.answers.kinds import Condition
from judgekit.answers.notation import EXPONENT, normalise
from judgekit.answers.numbers import find_numbers, parse_number
from judgekit.answers.pool import AnswerPool, Comparison, Unchecked
from judgekit.answers.scalars import Agreement
from judgekit.config import BaseConfig
from judgekit.errors import DataError

CORRECT_ABOVE = 0.5
"""Outcomes above this count as a correct answer, unless a run says otherwise (`correct_above`)."""
_PLAIN = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_HUGE = re.compile(
    r"""\^\s*\{?[^{}]{0,40}?\^\s*\{?\s*[^{}]{0,20}?(?:\^|\d\d)  # 9^{9^{9^9}}, 2^{3^{40}}
    |\^\s*\{?\s*-?\d{5}                                       # 7^{100000}
    |\d{5}\s*\}?\s*!|!\s*[)}\]]*\s*!                            # 10000!, (9!)!
    |\d\s*\*\*[^+-]*\*\*|\\uparrow""",
    re.VERBOSE,
)
_LONG_ARGUMENT = re.compile(r"\\sqrt ?\d\d|\\[dt]?frac ?(?:\d{3}|\d?\{[^{}]*\} ?\d\d)")
"""`\\sqrt21`: people mean the root of 21, TeX the root of 2."""
_IMPROPER = re.compile(r"(?<![\w.^])\d+\s*\\[dt]?frac\s*\{\d+\}\s*\{\d+\}")
"""`2\\frac{3}{2}`: not a mixed number, and a product to few people. Proper fractions are read earlier."""

_MARKED = re.compile(r"\d\s*(?:'|\\prime)|\d\.\d+\s*(?:\.\.+|\\l?dots)\s*$")
"""`5'` and `3.14...`: feet, minutes or a derivative; digits that are not written out."""


class MathVerifyConfig(BaseConfig):
    """Mathematical equality with the correct answer, by math-verify after an exact comparison of plain numbers."""

    type: Literal["math_verify"] = "math_verify"
    """Selects this kind."""
    timeout_s: float = Field(default=5.0, gt=0)
    """Longest time for one symbolic comparison, seconds; beyond it the outcome is unknown."""
    workers: int = Field(default=1, ge=1)
    """Processes that compare in parallel, each with about 60 MB of memory."""
    budget_s: float | None = Field(default=120.0, gt=0)
    """Longest time for all symbolic comparisons of one batch, summed over the workers, seconds: a limit on what a
    policy that writes power towers can cost. Beyond it the rest of the batch is unknown; `null` is no limit."""
    memory_mb: int | None = Field(default=1024, ge=64)
    """Memory that a worker may use for a comparison, MiB; beyond it the outcome is unknown. `null` is no limit."""


class LastNumberConfig(BaseConfig):
    """The last number in the response equals the correct answer exactly. For tasks whose answers are numbers."""

    type: Literal["last_number"] = "last_number"
    """Selects this kind."""


OutcomeConfig = Annotated[MathVerifyConfig | LastNumberConfig, Field(discriminator="type")]
"""How a response's final answer is checked."""


class OutcomeCheck(Protocol):
    """Decides whether a response reaches the correct answer."""

    def check(self, response: str, *, answer: str) -> float | None:
        """Return 1.0 for correct, 0.0 for wrong, `None` if it cannot tell."""

    def check_many(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """Check pairs of a response and the correct answer; one outcome per pair, in order."""

    def close(self) -> None:
        """Release resources; the check may be used again afterwards."""


def build_outcome(config: MathVerifyConfig | LastNumberConfig) -> OutcomeCheck:
    """Return the configured check."""
    if isinstance(config, LastNumberConfig):
        return LastNumberCheck()
    return MathVerifyCheck(
        timeout_s=config.timeout_s, workers=config.workers, budget_s=config.budget_s, memory_mb=config.memory_mb
    )


class LastNumberCheck:
    """Compares the last number of the response with the answer, exactly; a response without a number is wrong."""

    def check(self, response: str, *, answer: str) -> float | None:
        """See `OutcomeCheck`.

        Raises:
            DataError: the correct answer is not a number.
        """
        gold = parse_number(answer)
        if gold is None:
            raise DataError(f"answer {answer!r} is not a number: use the outcome check of type math_verify")
        numbers = find_numbers(response)
        return float(bool(numbers) and numbers[-1] == gold)

    def check_many(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """See `check`."""
        return [self.check(response, answer=answer) for response, answer in pairs]

    def close(self) -> None:
        """Nothing to free."""


class MathVerifyCheck:
    """Reads both answers completely and compares them; formulas beyond that go to math-verify in worker processes.

    If a text can only be read in part, or its meaning is a matter of convention, the outcome is unknown, not a match.
    `judgekit.answers.comparison` defines what is conventional.

    Args:
        timeout_s: Longest time for one comparison by math-verify, seconds.
        workers: Processes that compare in parallel.
        budget_s: Longest time for all comparisons of one batch by math-verify, seconds; `None` is no limit.
        memory_mb: Memory that a process may use for a comparison, MiB; `None` is no limit.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 5.0,
        workers: int = 1,
        budget_s: float | None = 120.0,
        memory_mb: int | None = 1024,
    ) -> None:
        self.pool = AnswerPool(
            timeout_s=timeout_s, workers=workers, budget_s=budget_s, memory_mb=memory_mb, must_cover=True
        )
        """The worker processes."""
        self.unchecked: Counter[Unchecked] = Counter()
        """How many answers could not be checked so far, by reason."""

    def check(self, response: str, *, answer: str) -> float | None:
        """See `OutcomeCheck`. A response that states no answer is wrong."""
        return self.check_many([(response, answer)])[0]

    def check_many(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """See `OutcomeCheck`."""
        return [comparison.outcome for comparison in self.compare_many(pairs)]

    def compare_many(self, pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
        """As `check_many`, with a reason if an answer could not be checked."""
        stated = [(answer, extract_answer(response)) for response, answer in pairs]
        compared = {pair: compare_without_mathematics(pair[1], answer=pair[0]) for pair in dict.fromkeys(stated)}
        symbolic = {
            (readable(answer), readable(text)): None
            for (answer, text), result in compared.items()
            if text is not None and result is None
        }
        answers = dict(zip(symbolic, self.pool.compare_many(list(symbolic)), strict=True))
        results = [
            compared[answer, text] or _proven(answers[readable(answer), readable(text or "")], text or "", answer)
            for answer, text in stated
        ]
        self.unchecked.update(result.unchecked for result in results if result.unchecked is not None)
        return results

    def close(self) -> None:
        """End the processes; the next comparison starts new ones."""
        self.pool.close()


def _proven(result: Comparison, stated: str, answer: str) -> Comparison:
    """math-verify's result; never "wrong" if the statement is only read in part and contains the correct answer."""
    if result.outcome != 0.0 or read_answer(stated) is not None:
        return result
    bare, text = answer.strip("$ "), normalise(stated)
    is_inside = re.search(rf"(?<![\w.]){re.escape(bare)}(?![\w]|\.\d)", text) is not None
    is_grouped = re.sub(r"[ .,'_]", "", text) == bare  # 1 000, 1.000.000
    return Comparison(None, Unchecked.NOT_COVERED) if bare and (is_inside or is_grouped) else result


def compare_without_mathematics(stated: str | None, *, answer: str) -> Comparison | None:
    """Compare by what the grammar reads; `None` if math-verify is needed."""
    if stated is None:
        return Comparison(0.0)
    if _PLAIN.fullmatch(stated) and _PLAIN.fullmatch(answer):
        # Most answers are plain numbers: no need to read more than that. Rounding is for the grammar.
        if stated == answer or Fraction(stated) == Fraction(answer):
            return Comparison(1.0)
        if "." not in stated and "." not in answer:
            return Comparison(0.0)
    if spell_same(stated, answer):
        return Comparison(1.0)
    try:
        found = compare_texts(stated, answer)
        if found is Agreement.ASK:
            if any(form.search(text) for form in (_LONG_ARGUMENT, _IMPROPER, _MARKED) for text in (stated, answer)):
                return Comparison(None, Unchecked.AMBIGUOUS)
            return Comparison(None, Unchecked.HUGE) if _HUGE.search(stated) or _HUGE.search(answer) else None
    except HugeError:
        return Comparison(None, Unchecked.HUGE)
    if found is Agreement.UNSURE:
        is_spelled = isinstance(read_answer(answer), Condition)
        return Comparison(None, Unchecked.UNREADABLE_ANSWER if is_spelled else Unchecked.AMBIGUOUS)
    return Comparison(1.0 if found is Agreement.RIGHT else 0.0)


def compare_plainly(stated: str | None, *, answer: str) -> float | None:
    """Compare without math-verify: 1.0 or 0.0 if the grammar decides, else `None`."""
    found = compare_without_mathematics(stated, answer=answer)
    return None if found is None else found.outcome


def readable(text: str) -> str:
    r"""Rewrite what math-verify would misread: `4.5e33`, where it takes `e` for Euler's number.

    Example:
        >>> readable("4.5e33")
        '4.5 \\times 10^{33}'
    """
    return EXPONENT.sub(r"\1 \\times 10^{\2}", text)
