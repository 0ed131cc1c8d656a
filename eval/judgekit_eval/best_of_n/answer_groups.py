"""Which responses of a group give the same final answer, for voting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from judgekit.answers import MathVerifyCheck, extract_answer


class AnswerGroups(NamedTuple):
    """The answers of the responses to one problem."""

    answer_G: tuple[int | None, ...]
    """Which response gives which answer: equal numbers are equal answers, `None` is not an answer. Shape (G,)."""
    n_uncheckable: int
    """Pairs of answers that could not be compared; they count as different."""


def group_answers(responses_P_G: Sequence[Sequence[str]], check: MathVerifyCheck) -> list[AnswerGroups]:
    """Put the responses to each problem into groups of equal answers, all problems at once.

    An answer joins the first earlier one that it equals, in the order of the responses: mathematical equality as it is
    checked (units, rounding) is not transitive.

    Args:
        responses_P_G: Texts of the responses, problem by problem.
        check: Compares answers.
    """
    stated_P_G = [[extract_answer(response) for response in responses] for responses in responses_P_G]
    asked = [pair for stated_G in stated_P_G for pair in _pairs(stated_G)]
    compared = check.compare_many([(f"\\boxed{{{later}}}", earlier) for earlier, later in asked])
    outcomes = dict(zip(asked, (result.outcome for result in compared), strict=True))
    return [_group(stated_G, outcomes) for stated_G in stated_P_G]


def _pairs(stated_G: Sequence[str | None]) -> Iterator[tuple[str, str]]:
    """Yield every answer with every other that was first stated later."""
    distinct = [text for text in dict.fromkeys(stated_G) if text is not None]
    for index, earlier in enumerate(distinct):
        yield from ((earlier, later) for later in distinct[index + 1 :])


def _group(stated_G: Sequence[str | None], outcomes: dict[tuple[str, str], float | None]) -> AnswerGroups:
    first: list[str] = []
    number: dict[str, int] = {}
    for text in dict.fromkeys(stated_G):
        if text is not None:
            same = next((i for i, earlier in enumerate(first) if outcomes[earlier, text] == 1.0), None)
            number[text] = len(first) if same is None else same
            first += [text] if same is None else []
    n_uncheckable = sum(outcomes[pair] is None for pair in _pairs(stated_G))
    return AnswerGroups(tuple(None if text is None else number[text] for text in stated_G), n_uncheckable)
