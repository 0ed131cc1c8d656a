"""Edits that do not change whether a solution is correct: order, wording, spelling of arithmetic, layout.

Erroneous and correct solutions get them by the same random draw, so that an edit says nothing about the label.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from judgekit.text.arithmetic.calculations import OPERATORS, parse_step
from judgekit_datasets.injection.error_types import elide
from judgekit_datasets.injection.worked_solution import CONSTANTS, WorkedSolution


class HarmlessEdit(StrEnum):
    """What is changed."""

    REORDER = "reorder"
    """Two neighbouring steps of which neither uses the other change places."""
    INLINE = "inline"
    """A step is left out, and its expression stands in brackets where its result was used."""
    CONCLUDE = "conclude"
    """The last step is left out, and its calculation stands in the line that states the answer."""
    ELIDE = "elide"
    """One or two steps state their result without the calculation."""
    CONNECTIVES = "connectives"
    """Words such as `so` and `then` at the beginning of steps are exchanged, added or left out."""
    OPERATORS = "operators"
    """Times is written with a star, an x or its own sign, operations with or without spaces."""
    NUMBERS = "numbers"
    """Thousands are written with or without a comma, decimals with or without closing zeros."""
    MERGE = "merge"
    """Two neighbouring steps become one."""
    ANSWER = "answer"
    """The line that states the answer is worded otherwise, with the currency sign where there was one."""


class Draft(NamedTuple):
    """A solution on its way: texts, and where it goes wrong."""

    steps: tuple[str, ...]
    """The steps' texts."""
    first_error: int | None
    """0-based place of the first error."""


ANSWER_LINES = (
    "The answer is {}.", "So the answer is {}.", "The final answer is {}.", "Therefore, the answer is {}.",
    "Answer: {}", "Final answer: {}.",
)  # fmt: skip
"""Wordings of the line that states the answer; the first is that of an unedited solution."""
_CONCLUSIONS = ("So ", "So, ", "Thus, ", "Therefore, ", "Hence, ")
_SEQUENCES = ("Then ", "Then, ", "Next, ", "Now ")
_CONCLUSION = re.compile(r"(?:So|Thus|Therefore|Hence),? (?=[A-Za-z])")
_SEQUENCE = re.compile(r"(?:Then|Next|Now|After that),? (?=[A-Za-z])")
_REFERS_BACK = re.compile(r"(?:So|Thus|Therefore|Hence|This|That|These|Those|Then|It|Altogether|In total|Finally)\b")
_BEGINS_LOWER = re.compile(
    r"(?:He|She|They|It|We|You|His|Her|Their|The|A|An|In|On|At|For|There|Each|Every|After|Since|If|All|Half|Both)\b"
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)")
_LONG = re.compile(r"(?<![\d.,])\d{4,}(?![\d,])")
_CLOSING_ZEROS = re.compile(r"(?<=\d)\.0+(?!\d)")


def draw_edits(rng: random.Random, kinds: Sequence[HarmlessEdit]) -> frozenset[HarmlessEdit]:
    """Draw which edits to make: each with probability 0.45, at least one."""
    drawn = frozenset(kind for kind in kinds if rng.random() < 0.45)
    return drawn or frozenset({rng.choice(kinds)})


def restructure(rng: random.Random, solution: WorkedSolution, edits: frozenset[HarmlessEdit]) -> WorkedSolution:
    """Make those of the edits that concern the flow of values: reordering and inlining, where they are possible."""
    if HarmlessEdit.REORDER in edits:
        # Two neighbouring steps of which neither uses the other, before the one that finds the answer.
        free = []
        for i in range(solution.results[-1].place[0] - 1):
            first, second = solution.steps[i : i + 2]
            results = {result.value for result in solution.results if result.place[0] in (i, i + 1)}
            shared = {first.values[e.result] for e in first.equations} & set(second.values)
            # The same value by chance counts as use, too: who reads the steps in another order would take it for one.
            back = {second.values[e.result] for e in second.equations} & set(first.values)
            is_plain = first.equations and second.equations and first.is_clean and second.is_clean
            refers = _REFERS_BACK.match(second.text) or (second.word_values & results)
            if is_plain and not (shared or back or refers):
                free.append(i)
        if free:
            i, steps = rng.choice(free), solution.steps
            solution = WorkedSolution((*steps[:i], steps[i + 1], steps[i], *steps[i + 2 :]), solution.given)
    if HarmlessEdit.INLINE not in edits:
        return solution
    for i in rng.sample(range(len(solution.steps) - 1), len(solution.steps) - 1):
        use = _only_use(solution, i)
        if use is None:
            continue
        k, number = use
        step, text = solution.steps[i], solution.steps[k].text
        items = (step.text[step.numbers[x].start : step.numbers[x].end] if isinstance(x, int) else x for x in
                 step.equations[0].expression)  # fmt: skip
        start, end, _ = solution.steps[k].numbers[number]
        inlined = parse_step(f"{text[:start].removesuffix('$')}({' '.join(items)}){text[end:]}")
        if inlined.is_clean and all(map(inlined.holds, inlined.equations)):
            kept = [inlined if j == k else other for j, other in enumerate(solution.steps) if j != i]
            return WorkedSolution(tuple(kept), solution.given)
    return solution


def _only_use(solution: WorkedSolution, i: int) -> tuple[int, int] | None:
    """Return (step, number) of the one place, an operand, where the result of step i is used; else `None`."""
    step = solution.steps[i]
    if not step.is_clean or len(step.equations) != 1 or step.equations[0].result_is_percent:
        return None
    value = step.values[step.equations[0].result]
    is_known = value in solution.given | CONSTANTS or sum(result.value == value for result in solution.results) > 1
    if is_known or "%" in step.equations[0].expression:
        return None
    later = range(i + 1, len(solution.steps))
    uses = [(k, n) for k in later for n, other in enumerate(solution.steps[k].values) if other == value]
    is_worded = any(value in solution.steps[k].word_values for k in later)
    if len(uses) != 1 or is_worded:
        return None
    ((k, n),) = uses
    user = solution.steps[k]
    return (k, n) if user.is_clean and any(n in equation.operands for equation in user.equations) else None


def conclude(steps: Sequence[str]) -> tuple[tuple[str, ...], str] | None:
    """Return the steps but the last, and the last one's calculation.

    `None` if it has not just one, or a percentage comes of it: the answer would lose its sign.
    """
    step = parse_step(steps[-1])
    if len(steps) < 2 or not step.is_clean or len(step.equations) != 1:
        return None
    (equation,) = step.equations
    if equation.result_is_percent:
        return None
    return tuple(steps[:-1]), step.text[equation.start : step.numbers[equation.result].end]


def edit(rng: random.Random, draft: Draft, edits: frozenset[HarmlessEdit], *, keep: int | None) -> Draft:
    """Make those of the edits that concern the text alone.

    Args:
        rng: Where chance comes from.
        draft: The solution, its last step the line that states the answer.
        edits: What to do.
        keep: Step whose calculation must stay; `None` if any may be left out.
    """
    steps = list(draft.steps)
    if HarmlessEdit.ELIDE in edits:
        n_left = rng.choice((1, 2))
        # Not the line that states the answer: that asserts its number anyway.
        for i in rng.sample(range(len(steps) - 1), len(steps) - 1):
            bare = elide(steps[i]) if i != keep and n_left else None
            if bare is not None:
                steps[i] = bare
                n_left -= 1
    if HarmlessEdit.OPERATORS in edits:
        # One spelling for the whole solution, as a writer has: mixed ones would show which steps were edited.
        times, spaced = rng.choice(("*", "x", "\u00d7")), rng.random() < 0.5
        steps = [_respell(text, times=times, spaced=spaced) for text in steps]
    if HarmlessEdit.CONNECTIVES in edits:
        steps = [_reconnect(rng, text, is_first=i == 0) for i, text in enumerate(steps[:-1])] + steps[-1:]
    if HarmlessEdit.NUMBERS in edits:
        if rng.random() < 0.5:
            # Not codes such as 0042, which are not thousands.
            steps = [_LONG.sub(lambda n: f"{int(n[0]):,}" if n[0][0] != "0" else n[0], text) for text in steps]
        else:
            steps = [_THOUSANDS.sub(lambda n: n[0].replace(",", ""), text) for text in steps]
        steps = [_CLOSING_ZEROS.sub("", text) for text in steps]
    wrong = draft.first_error
    if HarmlessEdit.MERGE in edits and len(steps) >= 3:
        # Two neighbouring steps, but not the line that states the answer; the joint step is wrong if one is.
        i = rng.randrange(len(steps) - 2)
        first = steps[i].rstrip()
        steps[i : i + 2] = [first + ("" if first.endswith((".", "!", "?", ":")) else ".") + " " + steps[i + 1]]
        wrong = wrong - 1 if wrong is not None and wrong > i else wrong
    return Draft(tuple(steps), wrong)


def answer_line(rng: random.Random, answer: str, edits: frozenset[HarmlessEdit]) -> str:
    """Return the line that states the answer."""
    wording = rng.choice(ANSWER_LINES[1:]) if HarmlessEdit.ANSWER in edits else ANSWER_LINES[0]
    return wording.format(answer)


def _respell(text: str, *, times: str, spaced: bool) -> str:
    step = parse_step(text)
    operators = [operator for equation in step.equations for operator in equation.operators]
    for start, end, symbol in reversed(operators):
        spelling = text[start:end]
        if spelling == "of":  # `half of 20` has no sign to exchange
            continue
        left, right = text[:start].rstrip(), text[end:].lstrip()
        is_word_before = left[-1:].isalpha()
        sign = times if symbol == "*" and spelling in OPERATORS else spelling
        gap = " " if spaced or is_word_before else ""
        text = f"{left}{gap}{sign}{gap}{right}"
    return text


def _reconnect(rng: random.Random, text: str, *, is_first: bool) -> str:
    if rng.random() < 0.5:
        return text
    for pattern, words in ((_CONCLUSION, _CONCLUSIONS), (_SEQUENCE, _SEQUENCES)):
        found = pattern.match(text)
        if found:
            rest = text[found.end() :]
            return rng.choice(words) + rest if rng.random() < 0.5 else rest[0].upper() + rest[1:]
    if is_first or not _BEGINS_LOWER.match(text):
        return text
    return rng.choice(_CONCLUSIONS + _SEQUENCES) + text[0].lower() + text[1:]
