"""GSM8K: grade-school problems with a worked solution; imported as problems with a checkable answer.

Source:
    Cobbe et al., Training Verifiers to Solve Math Word Problems (2110.14168); `openai/gsm8k` on the Hub
    (configurations `main` and `socratic`), MIT. The final answer is the text after `####`. The test split overlaps
    with ProcessBench and MR-GSM8K: equal problem texts get equal problem ids, so the overlap can be found.
"""

from __future__ import annotations

from judgekit.text.identity import problem_id
from judgekit.types import Problem
from judgekit_datasets.importers.fields import text
from judgekit_datasets.source import NoOptions, Row, RowRejected, Source

ANSWER_MARK = "####"
"""Stands before the final answer."""


def convert(row: Row, config: NoOptions, part: str) -> list[Problem]:
    """Convert one row; the worked solution is left out."""
    question, solution = text(row, "question"), text(row, "answer")
    _, mark, answer = solution.rpartition(ANSWER_MARK)
    if not mark or not answer.strip():
        raise RowRejected(f"no answer after {ANSWER_MARK}", repr(solution[-80:]))
    return [Problem(problem_id=problem_id(question), problem=question, answer=answer.strip(), source=SOURCE.name)]


SOURCE = Source("gsm8k", Problem, NoOptions, convert)
