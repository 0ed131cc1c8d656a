"""Every importer on rows of our own: no error, first step, last step, duplicates, malformed lines and the traps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgekit.io import read_records
from judgekit.rejections import REJECTED
from judgekit.types import LabelledSolution, LabelMethod
from judgekit_datasets.build import build
from judgekit_datasets.registry import IMPORTERS, load_source
from judgekit_datasets.source import RowRejected

MALFORMED = "malformed JSON"
EXPECTED: dict[str, tuple[str, dict[str, int], dict[int, str]]] = {
    "processbench": (
        "processbench",
        {"none": 1, "0": 1, "2": 1},
        {
            4: "duplicate",
            5: "label beyond the last step",
            6: "no steps",
            7: "empty step",
            8: "label before the first step",
            9: "field 'label' is missing",
            10: MALFORMED,
        },
    ),
    "prmbench": (
        "prmbench",
        {"none": 1, "0": 1, "2": 1},
        {
            4: "duplicate",
            5: "error_steps outside 1..n",
            6: "error_steps outside 1..n",
            7: "error_steps contradict the classification",
            8: "error_steps contradict the classification",
            9: "field 'modified_question' is missing",
            10: "a JSON object is wanted, not list",
        },
    ),
    "mr-gsm8k": (
        "mr_gsm8k",
        {"none": 1, "0": 1, "2": 1},
        {
            4: "duplicate",
            5: "label beyond the last step",
            6: "label before the first step",
            7: "first error contradicts the solution's correctness",
            8: "first error contradicts the solution's correctness",
            9: "first error is not a step number",
            10: "unknown value in field 'question_type'",
            11: MALFORMED,
        },
    ),
    "bigbench-mistake": (
        "multistep_arithmetic",
        {"none": 3, "0": 1, "1": 1, "2": 1},
        {
            7: "duplicate",
            8: "label beyond the last step",
            9: "label before the first step",
            10: "field 'mistake_index' is not an integer",
            11: "field 'mistake_index' is missing",
            12: "field 'mistake_index' is missing",
        },
    ),
    "math-shepherd": (
        "math_shepherd",
        {"none": 1, "0": 2, "2": 1},
        {
            5: "duplicate",
            6: "label does not follow the input",
            7: "label is neither + nor -",
            8: "no step tag",
            9: "text after the last step tag",
            10: "empty step",
            11: "the solution's beginning is not clear",
            12: MALFORMED,
        },
    ),
    "stepwise-supervision": (
        "stepwise_supervision",
        {"none": 1, "0": 1, "2": 1},
        {
            4: "duplicate",
            5: "label beyond the last step",
            6: "fewer labels than steps",
            7: "field 'labels' is not a list of true and false",
            8: "no steps",
            9: "field 'labels' is missing",
            10: MALFORMED,
        },
    ),
    "groups": (
        "groups",
        {},
        {
            3: "duplicate",
            4: "id of another record",
            5: "group of fewer than two responses",
            6: "responses and labels differ in number",
            7: "field 'steps' is not a list of lists",
            8: "field 'labels' is not a list of true and false",
            9: "field 'id' is missing",
            10: MALFORMED,
        },
    ),
    "gsm8k": (
        "gsm8k",
        {},
        {
            3: "duplicate",
            4: "no answer after ####",
            5: "no answer after ####",
            6: "field 'answer' is missing",
            7: "field 'question' is empty",
            8: MALFORMED,
        },
    ),
    "prm800k": (
        "phase1_train",
        {"none": 2, "0": 3, "1": 1, "2": 1},
        {
            5: "duplicate",
            6: "finish_reason give_up",
            7: "finish_reason bad_problem",
            8: "no chosen completion before the last step",
            9: "chosen_completion outside the completions",
            10: "chosen completion is unrated",
            11: "unknown rating",
            12: "no rated step",
            13: MALFORMED,
        },
    ),
}
"""Source -> (fixture, histogram of first errors, rejected row -> reason)."""


def test_every_importer_has_rows() -> None:
    own_tests = {"injection", "labelled", "policy-benchmarks", "relabel"}
    assert set(EXPECTED) == set(IMPORTERS) - own_tests


@pytest.mark.parametrize("name", EXPECTED)
def test_rows_are_accepted_or_rejected_with_their_reason(name: str, fixture_rows: Path, tmp_path: Path) -> None:
    stem, first_errors, rejected = EXPECTED[name]
    report = build(name, input=fixture_rows / f"{stem}.jsonl", output=tmp_path / "built")
    entries = [json.loads(line) for line in (tmp_path / "built" / REJECTED).read_text("utf-8").splitlines()]
    assert {entry["row"]: entry["reason"] for entry in entries} == rejected
    assert {entry["file"] for entry in entries} == {f"{stem}.jsonl"}
    assert sum(report.rejected.values()) == len(rejected)
    assert report.first_errors == first_errors
    lines = (fixture_rows / f"{stem}.jsonl").read_text("utf-8").splitlines()
    assert report.rows_read == len(lines) == report.rows_accepted + len(rejected)
    for entry in entries:
        if entry["raw"] is not None:
            assert entry["raw"] == json.loads(lines[entry["row"] - 1])
    records = list(read_records(tmp_path / "built", load_source(name).record_type))
    assert len(records) == report.n_records


def solutions(name: str, fixture_rows: Path, tmp_path: Path) -> list[LabelledSolution]:
    build(name, input=fixture_rows / f"{EXPECTED[name][0]}.jsonl", output=tmp_path / "built")
    return list(read_records(tmp_path / "built", LabelledSolution))


def test_processbench_keeps_what_the_row_says(fixture_rows: Path, tmp_path: Path) -> None:
    right, first, last = solutions("processbench", fixture_rows, tmp_path)
    assert (first.first_error, last.first_error, right.first_error) == (0, 2, None)
    assert [str(label) for label in first.labels] == ["error", "unlabelled", "unlabelled"]
    assert (first.subset, first.source_id, first.generator) == ("gsm8k", "gsm8k-1", "a-model")
    assert (first.final_answer_correct, right.final_answer_correct) == (False, True)
    assert (first.label_method, first.licence) == (LabelMethod.HUMAN, "Apache-2.0")


def test_prmbench_labels_every_step_and_counts_from_one(fixture_rows: Path, tmp_path: Path) -> None:
    right, first, last = solutions("prmbench", fixture_rows, tmp_path)
    assert [str(label) for label in first.labels] == ["error", "error", "ok"]
    assert [str(label) for label in last.labels] == ["ok", "ok", "error"]
    assert (right.subset, right.first_error, right.reference) == ("multi_solutions", None, "10")
    assert (first.subset, first.label_method) == ("confidence", LabelMethod.INJECTED)


def test_mr_gsm8k_reads_numbers_texts_and_na(fixture_rows: Path, tmp_path: Path) -> None:
    right, first, last = solutions("mr-gsm8k", fixture_rows, tmp_path)
    assert [s.first_error for s in (right, first, last)] == [None, 0, 2]
    assert [s.subset for s in (right, first, last)] == ["original", "POT", "reversed"]
    assert right.reference == "12 - 2 = 10\n#### 10"
    assert last.reference == "10", "a reversed question has no solution, only an answer"


def test_mr_gsm8k_reads_steps_kept_as_text(fixture_rows: Path) -> None:
    source = load_source("mr-gsm8k")
    row = json.loads((fixture_rows / "mr_gsm8k.jsonl").read_text("utf-8").splitlines()[1])
    (as_list,) = source.convert(row, source.config_type(), "test")
    (as_text,) = source.convert(
        row | {"model_output_steps": repr(row["model_output_steps"])}, source.config_type(), "test"
    )
    assert as_text == as_list


def test_bigbench_mistake_labels_do_not_follow_the_answer(fixture_rows: Path, tmp_path: Path) -> None:
    built = solutions("bigbench-mistake", fixture_rows, tmp_path)
    assert [s.first_error for s in built] == [None, 0, 2, 1, None, None]
    assert [s.final_answer_correct for s in built] == [True, False, False, True, None, False]
    assert {s.subset for s in built} == {"multistep_arithmetic"}


def test_math_shepherd_reads_signs_beside_arithmetic(fixture_rows: Path, tmp_path: Path) -> None:
    right, wrong, last, recovers = solutions("math-shepherd", fixture_rows, tmp_path)
    assert recovers.steps == ("Step 1: 3 - 1 = 2 and 2 + 1 = 3", "Step 2: So 4.")
    assert [str(label) for label in recovers.labels] == ["error", "ok"]
    assert [str(label) for label in wrong.labels] == ["error"] * 3
    assert [s.final_answer_correct for s in (right, wrong, last, recovers)] == [True, False, False, True]
    assert right.problem.endswith("How many books are left?")
    assert (last.subset, last.label_method, last.licence) == ("MATH", LabelMethod.MONTE_CARLO, None)


def test_stepwise_supervision_takes_the_rest_from_the_options(fixture_rows: Path, tmp_path: Path) -> None:
    source = load_source("stepwise-supervision")
    options = source.config_type(source="ours", label_method="llm", licence="MIT")
    build(source, input=fixture_rows / "stepwise_supervision.jsonl", output=tmp_path / "built", options=options)
    _, first, _ = read_records(tmp_path / "built", LabelledSolution)
    assert [str(label) for label in first.labels] == ["error", "ok", "ok"]
    assert (first.source, first.label_method, first.licence) == ("ours", LabelMethod.LLM, "MIT")


def test_stepwise_supervision_does_not_guess_where_labels_come_from(fixture_rows: Path, tmp_path: Path) -> None:
    assert {s.label_method for s in solutions("stepwise-supervision", fixture_rows, tmp_path)} == {None}


STEPS = {
    "processbench": "steps",
    "prmbench": "modified_process",
    "mr-gsm8k": "model_output_steps",
    "bigbench-mistake": "steps",
    "stepwise-supervision": "completions",
}
"""Source -> field of the steps."""


@pytest.mark.parametrize("name", STEPS)
def test_an_empty_step_counts_only_behind_the_first_error(name: str, fixture_rows: Path) -> None:
    steps_field, source, (stem, _, _) = STEPS[name], load_source(name), EXPECTED[name]
    rows = [json.loads(line) for line in (fixture_rows / f"{stem}.jsonl").read_text("utf-8").splitlines()[:3]]
    converted = [(row, source.convert(row, source.config_type(), stem)[0]) for row in rows]
    row = next(row for row, solution in converted if solution.first_error == 0)
    steps = [row[steps_field][0], "", *row[steps_field][2:]]
    (kept,) = source.convert(row | {steps_field: steps}, source.config_type(), stem)
    assert (kept.steps, kept.first_error) == (tuple(steps), 0)
    with pytest.raises(RowRejected, match="empty step"):
        source.convert(row | {steps_field: ["", *steps[1:]]}, source.config_type(), stem)


def test_math_shepherd_keeps_an_empty_step_behind_the_first_minus() -> None:
    source = load_source("math-shepherd")
    tagged = "What is 1+1? Step 1: 1+1=3 ки\nStep 2: ки\nStep 3: So 3. ки"
    row = {"input": tagged, "label": tagged.replace("ки", "-"), "task": "MATH"}
    (kept,) = source.convert(row, source.config_type(), "sample")
    assert (kept.steps[1], len(kept.steps), kept.first_error) == ("", 3, 0)
    right = row | {"label": tagged.replace("ки", "+")}
    with pytest.raises(RowRejected, match="empty step"):
        source.convert(right, source.config_type(), "sample")
