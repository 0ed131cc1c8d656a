"""Benchmarks of policies: AIME, AMC, MATH500, Minerva, OlympiadBench, GaoKao and similar.

Each is published with its own fields, and most in several versions. A question and a final answer are read: `problem`
or `question`; `answer` (a text or a number), `final_answer` (a list, all of it required), or the content of the last
box of `solution`. Worked solutions are left out.

Source:
    MATH500 (2305.20050), Minerva's OCWCourses (2206.14858), OlympiadBench (2402.14008), GaoKao2023en (2401.08190), and
    the AIME and AMC problems of one year, as collected for common harnesses of mathematical evaluation.
"""

from __future__ import annotations

import re

from judgekit.answers import extract_answer
from judgekit.config import BaseConfig
from judgekit.errors import shorten
from judgekit.text.identity import problem_id
from judgekit.types import Problem
from judgekit_datasets.importers.fields import missing, text
from judgekit_datasets.source import Row, RowRejected, Source

_PYTHON_FUNCTION = re.compile(r"\bnp\.(?=[a-z])")
_PYTHON_QUOTIENT = re.compile(r"(?<=\d)\.(?=/\d)")


class PolicyBenchmarksConfig(BaseConfig):
    """What the files do not say about themselves."""

    source: str | None = None
    """Name of the benchmark; `null` uses the file's name without its suffix, or the Hub split."""


def convert(row: Row, config: PolicyBenchmarksConfig, part: str) -> list[Problem]:
    """Convert one row into a problem with the correct answer as text."""
    problem = text(row, "problem" if row.get("problem") is not None else "question")
    # Write as LaTeX what some answers of Minerva hold as Python: `np.arcsin(10/13)`, `-1./3`.
    answer = _PYTHON_QUOTIENT.sub("", _PYTHON_FUNCTION.sub(r"\\", _answer(row)))
    return [Problem(problem_id=problem_id(problem), problem=problem, answer=answer, source=config.source or part)]


def _answer(row: Row) -> str:
    for name in ("final_answer", "answer"):
        if row.get(name) is not None:
            values = row[name] if isinstance(row[name], list) else [row[name]]
            if not values:
                raise RowRejected(f"field {name!r} is empty", shorten(row[name]))
            texts = []
            for value in values:
                # A column of numbers with gaps holds 27 as 27.0.
                exact = int(value) if isinstance(value, float) and value.is_integer() else value
                if isinstance(exact, bool) or not isinstance(exact, str | int | float):
                    raise RowRejected(f"field {name!r} is not a text or a number", shorten(exact, most=200))
                texts.append(text({name: str(exact).strip()}, name))
            return ", ".join(texts)
    if row.get("solution") is None:
        raise missing("answer", row)
    solution = text(row, "solution")
    answer = extract_answer(solution) if "\\boxed" in solution else None
    if not answer:
        raise RowRejected("no boxed answer in the solution", repr(solution[-80:]))
    return answer


SOURCE = Source("policy-benchmarks", Problem, PolicyBenchmarksConfig, convert)
