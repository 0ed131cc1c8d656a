"""Policy benchmarks: answers in the fields of every file, and gold answers that judge themselves right."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from judgekit.answers import AnswerPool, MathVerifyCheck
from judgekit.io import read_records
from judgekit.rejections import REJECTED
from judgekit.text.identity import problem_id
from judgekit.types import Problem
from judgekit_datasets.build import build
from judgekit_datasets.importers.policy_benchmarks import PolicyBenchmarksConfig

COUNTS = {
    "aime24": (30, 30),
    "aime25_part1": (15, 15),
    "amc23": (40, 40),
    "math500": (500, 500),
    "minerva": (272, 272),
    "gaokao2023en": (385, 383),  # two have no answer
    "olympiadbench": (675, 675),
}
"""Rows and problems of the published files."""


def test_answers_in_the_fields_of_every_file(fixture_rows: Path, tmp_path: Path) -> None:
    build("policy-benchmarks", input=fixture_rows / "policy_benchmarks.jsonl", output=tmp_path / "built")
    problems = list(read_records(tmp_path / "built", Problem))
    assert [problem.answer for problem in problems] == [
        "36", r"$\frac{1}{4}$", "$2$, $-2$", r"\arcsin(10/13)", "-1/3", "4.5e33", "0.5",
    ]  # fmt: skip
    assert {problem.source for problem in problems} == {"policy_benchmarks"}
    assert problems[1].problem_id == problem_id("Halve one half.")
    rejected = [json.loads(line) for line in (tmp_path / "built" / REJECTED).read_text("utf-8").splitlines()]
    assert {entry["row"]: entry["reason"] for entry in rejected} == {
        8: "field 'answer' is empty",
        9: "no boxed answer in the solution",
        10: "field 'answer' is missing",
        11: "field 'final_answer' is empty",
        12: "field 'answer' is not a text or a number",
        13: "field 'question' is missing",
        14: "duplicate",
        # The same problem with its answer spelled otherwise: a build compares no mathematics, so it may be another one.
        15: "id of another record",
        16: "malformed JSON",
    }


def test_a_benchmark_can_be_named(fixture_rows: Path, tmp_path: Path) -> None:
    options = PolicyBenchmarksConfig(source="cats")
    build(
        "policy-benchmarks", input=fixture_rows / "policy_benchmarks.jsonl", output=tmp_path / "built", options=options
    )
    assert {problem.source for problem in read_records(tmp_path / "built", Problem)} == {"cats"}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_and_gold_answers(name: str, real_data: Path, tmp_path: Path) -> None:
    report = build("policy-benchmarks", input=real_data / f"policy_benchmarks/{name}.jsonl", output=tmp_path / "built")
    assert (report.rows_read, report.n_records) == COUNTS[name]
    answers = [problem.answer for problem in read_records(tmp_path / "built", Problem)]
    with closing(MathVerifyCheck(timeout_s=60.0)) as check:
        boxed = check.check_many([(rf"So \boxed{{{answer}}}.", answer) for answer in answers])
        stated = check.check_many([(f"The answer is {answer}", answer) for answer in answers])
    with closing(AnswerPool(timeout_s=60.0)) as pool:
        in_mathematics = pool.compare_many([(answer, answer) for answer in answers])
    assert boxed == [1.0] * len(answers)
    assert [answer for answer, outcome in zip(answers, stated, strict=True) if outcome != 1.0] == []
    assert [answer for answer, result in zip(answers, in_mathematics, strict=True) if result.outcome != 1.0] == []
