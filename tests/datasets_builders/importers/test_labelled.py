"""One's own rows: fields by name, labels in every form, and nothing guessed that could turn right into wrong."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from judgekit.config import load_config
from judgekit.errors import ConfigError, DataError
from judgekit.io import read_records
from judgekit.rejections import REJECTED
from judgekit.types import LabelledSolution
from judgekit_datasets.build import build
from judgekit_datasets.importers.labelled import LabelledConfig, convert
from judgekit_datasets.registry import load_source
from judgekit_datasets.source import RowRejected

ROW: dict[str, Any] = {"problem": "2+3-1?", "steps": ["2+3=6", "6-1=5"]}


def labels_of(row: dict[str, Any], *settings: str) -> list[str]:
    options = load_config(LabelledConfig, overrides=["source=mine", *settings])
    (solution,) = convert(ROW | row, options, "rows")
    assert solution.source == "mine"
    return [str(label) for label in solution.labels]


@pytest.mark.parametrize(
    ("labels", "settings", "read"),
    [
        (["ok", "error"], (), ["ok", "error"]),
        (["Correct", " WRONG "], (), ["ok", "error"]),
        (["+", "-"], (), ["ok", "error"]),
        (["neutral", "bad"], (), ["neutral", "error"]),
        (["incorrect", None], (), ["error", "unlabelled"]),
        ([1, 0], ("label_form=one_is_ok",), ["ok", "error"]),
        ([0, 1], ("label_form=one_is_error",), ["ok", "error"]),
        ([1.0, 0.0], ("label_form=one_is_ok",), ["ok", "error"]),
        ([True, False], ("label_form=one_is_ok",), ["ok", "error"]),
        ([True, False], ("label_form=one_is_error",), ["error", "ok"]),
        (["yes", "No"], ("label_form=one_is_error",), ["error", "ok"]),
        ([0, -1], ("label_form=ratings",), ["neutral", "error"]),
        ([1, 1], ("label_form=ratings",), ["ok", "ok"]),
        (["GOOD JOB", "oops"], ("label_values={good job: ok, oops: error}",), ["ok", "error"]),
        ([3, 1], ("label_values={3: ok, 1: error}",), ["ok", "error"]),
        ([0.9, 0.2], ("ok_from=0.5",), ["ok", "error"]),
        ([1, 0], ("ok_from=0.5",), ["ok", "error"]),
        (["0.9", "0.2"], ("ok_from=0.5",), ["ok", "error"]),
        (["1.0", "0.0"], ("label_form=one_is_ok",), ["ok", "error"]),
        ([Decimal("1"), Decimal("0.0")], ("label_form=one_is_ok",), ["ok", "error"]),
        (["+1", "\N{MINUS SIGN}1"], ("label_form=ratings",), ["ok", "error"]),
        (["\N{FULLWIDTH PLUS SIGN}", "\N{MINUS SIGN}"], (), ["ok", "error"]),
        ([0.0, float("nan")], ("label_form=one_is_ok",), ["error", "unlabelled"]),
    ],
)
def test_labels_are_read_in_every_form(labels: list[Any], settings: tuple[str, ...], read: list[str]) -> None:
    assert labels_of({"labels": labels}, *settings) == read


@pytest.mark.parametrize(
    ("row", "option"),
    [
        ({"labels": [1, 0]}, "label_form=one_is_ok"),
        ({"labels": [True, False]}, "label_form=one_is_ok"),
        ({"labels": ["1", "0"]}, "label_form=one_is_error"),
        ({"labels": ["ok", "no"]}, "label_form=one_is_error"),
        ({"labels": ["ok", -1]}, "label_form=ratings"),
        ({"labels": [0.7, 0.2]}, "ok_from=0.5"),
        ({"first_error": 1}, "index_base=0 or index_base=1"),
        ({"first_error": None}, r"no_error=\[-1\], \[null\] or \[N/A\]"),
        ({"labels": ["ok"], "steps": "one text"}, "segmentation.mode=lines"),
        ({"first_error": [0]}, "index_base=0 or index_base=1"),
    ],
)
def test_what_could_mean_either_is_asked_back_with_the_option_to_give(row: dict[str, Any], option: str) -> None:
    with pytest.raises(ConfigError, match=option):
        labels_of(row)


@pytest.mark.parametrize(("value", "base"), [(0, 0), (1, 0), (1, 1), ("2", 1), (2.0, 1)])
def test_an_index_that_also_stands_for_no_error_is_asked_back(value: Any, base: int) -> None:
    """Nothing but the user knows whether the solution is right or wrong there."""
    with pytest.raises(ConfigError, match=f"no_error says that there is none, index_base={base} that it is step"):
        labels_of({"first_error": value}, f"index_base={base}", f"no_error=[{int(value)}]")


@pytest.mark.parametrize(
    ("value", "settings", "read"),
    [
        (0, ("index_base=0", "no_error=[-1]"), ["error", "unlabelled"]),
        (1, ("index_base=0", "no_error=[-1]"), ["ok", "error"]),
        (1, ("index_base=1", "no_error=[0]"), ["error", "unlabelled"]),
        ("2", ("index_base=1", "no_error=[N/A]"), ["ok", "error"]),
        (2.0, ("index_base=1", "no_error=[null]"), ["ok", "error"]),
        (-1, ("index_base=0", "no_error=-1"), ["ok", "ok"]),
        (None, ("index_base=0", "no_error=[null]"), ["ok", "ok"]),
        ("N/A", ("index_base=1", "no_error=[null,N/A,-1]"), ["ok", "ok"]),
        (0, ("index_base=1", "no_error=[0]"), ["ok", "ok"]),
        ("2.0", ("index_base=1", "no_error=[n/a]"), ["ok", "error"]),
        (float("nan"), ("index_base=1", "no_error=[null]"), ["ok", "ok"]),
        (99, ("index_base=0", "no_error=[99]"), ["ok", "ok"]),
        ([2, 1], ("index_base=1",), ["error", "unlabelled"]),
        ([], ("index_base=1",), ["ok", "ok"]),
    ],
)
def test_a_first_error_is_read_by_base_and_word_for_none(
    value: Any, settings: tuple[str, ...], read: list[str]
) -> None:
    assert labels_of({"first_error": value}, *settings) == read
    assert labels_of({"wrong": {"at": value}}, "fields.first_error=wrong.at", *settings) == read


@pytest.mark.parametrize(
    ("row", "settings", "reason"),
    [
        ({"first_error": 2}, ("index_base=0", "no_error=[-1]"), "label beyond the last step"),
        ({"first_error": 0}, ("index_base=1", "no_error=[-1]"), "label before the first step"),
        ({"first_error": -1}, ("index_base=0", "no_error=[null]"), "label before the first step"),
        ({"first_error": None}, ("index_base=0", "no_error=[-1]"), "first error is not an index"),
        ({"first_error": True}, ("index_base=0", "no_error=[-1]"), "first error is not an index"),
        ({"first_error": "soon"}, ("index_base=0", "no_error=[-1]"), "first error is not an index"),
        ({"first_error": ["a"]}, ("index_base=0", "no_error=[-1]"), "first error is not an index"),
        ({"first_error": [1, None]}, ("index_base=0", "no_error=[-1]"), "first error is not an index"),
        ({"first_error": 1.5}, ("index_base=0", "no_error=[-1]"), "first error is not an index"),
        ({"first_error": "\u00b2"}, ("index_base=0", "no_error=[-1]"), "first error is not an index"),
        ({"labels": ["ok", "ok"], "first_error": 1}, ("index_base=0", "no_error=[-1]"), "labels contradict the first"),
        ({"labels": ["ok"]}, (), "fewer labels than steps"),
        ({"labels": ["ok"] * 3}, (), "label beyond the last step"),
        ({"labels": ["ok", "maybe"]}, (), "unknown label"),
        ({"labels": ["ok", [1]]}, (), "unknown label"),
        ({"labels": [7, 1]}, ("label_form=ratings",), "unknown rating"),
        ({"labels": [True, 1]}, ("label_form=ratings",), "unknown rating"),
        ({"labels": 5}, (), "field 'labels' is not a list"),
        ({}, (), r"no field 'labels' \(give another with fields.labels=NAME or fields.first_error=NAME\)"),
        (
            {"labels": ["ok", "ok"], "problem": None},
            (),
            r"no field 'problem' \(give another with fields.problem=NAME\)",
        ),
        ({"labels": ["ok", "ok"]}, ("fields.reference=gold",), "no field 'gold'"),
        ({"labels": ["ok", "ok"], "steps": []}, (), "no steps"),
        ({"labels": ["ok", "ok"], "steps": ["a", ""]}, (), "empty step"),
        ({"labels": ["ok", "ok"], "steps": 5}, (), "field 'steps' is not a list of texts"),
        ({"labels": ["ok", "ok"]}, ("segmentation.mode=lines",), "steps are a list already"),
        ({"labels": ["ok", "ok"], "final_answer_correct": "perhaps"}, (), "neither correct nor wrong"),
        ({"labels": ["ok", "ok"], "final_answer_correct": 0.5}, (), "neither correct nor wrong"),
    ],
)
def test_a_row_that_does_not_fit_is_rejected_with_its_reason(
    row: dict[str, Any], settings: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(RowRejected, match=reason):
        labels_of(row, *settings)


def test_an_unlabelled_step_before_the_first_error_is_no_row() -> None:
    with pytest.raises(ValueError, match="step 0 is unlabelled"):
        labels_of({"labels": [None, "error"]})


def test_fields_are_found_by_name_at_any_depth() -> None:
    row = {
        "question": {"text": "2+3-1?", "answer": 4},
        "chain": [{"say": "2+3=6", "mark": "bad"}, {"say": "", "mark": None}],
        "meta": {"uid": 17, "model": "a-7b"},
        "right": 0.0,
    }
    settings = (
        "source=mine", "fields.problem=question.text", "fields.reference=question.answer", "fields.steps=chain.say",
        "fields.labels=chain.mark", "fields.id=meta.uid", "fields.generator=meta.model",
        "fields.final_answer_correct=right", "label_method=human", "licence=MIT", "subset=hard",
    )  # fmt: skip
    (built,) = convert(row, load_config(LabelledConfig, overrides=settings), "rows")
    assert (built.problem, built.reference, built.source_id, built.generator) == ("2+3-1?", "4", "17", "a-7b")
    assert (built.steps, built.first_error) == (("2+3=6", ""), 0), "a blank step behind the error keeps its place"
    assert (built.final_answer_correct, built.label_method, built.licence, built.subset) == (
        False,
        "human",
        "MIT",
        "hard",
    )


def test_one_text_is_split_as_the_option_says() -> None:
    row = {"steps": "2+3=6\n6-1=5\n", "labels": ["wrong", "right"]}
    assert labels_of(row, "segmentation.mode=lines") == ["error", "ok"]


def test_rows_in_our_own_fields_need_no_option_and_keep_everything(tmp_path: Path) -> None:
    ours = LabelledSolution(
        problem="2+3-1?", problem_id="p1", id="row-1", steps=("2+3=6", "6-1=5"), labels=("error", "ok"), source="mine",
        label_method=None, n_success=(0, 1), n_rollouts=(4, 4),
    )  # fmt: skip
    bare = ROW | {"labels": ["ok", "ok"], "source": "mine"}
    rows = [ours.model_dump(mode="json"), bare, bare | {"labels": ["correct", "wrong"], "extra": 1}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = build("labelled", input=tmp_path / "rows.jsonl", output=tmp_path / "built")
    assert (report.n_records, report.rejected) == (3, {})
    first, second, third = read_records(tmp_path / "built", LabelledSolution)
    assert first == ours
    assert (second.first_error, third.first_error, second.label_method) == (None, 1, None)


def test_our_fields_with_ids_that_are_numbers_are_read(tmp_path: Path) -> None:
    """The commands refuse such rows and point here, so here they must go in."""
    row = ROW | {"labels": ["ok", "error"], "source": "mine", "id": 5, "problem_id": 7, "final_answer_correct": 0}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match="judgekit build labelled --input"):
        list(read_records(tmp_path / "rows.jsonl", LabelledSolution))
    build("labelled", input=tmp_path / "rows.jsonl", output=tmp_path / "built")
    (built,) = read_records(tmp_path / "built", LabelledSolution)
    assert (built.source_id, built.problem_id, built.final_answer_correct) == ("5", "7", False)


def test_a_data_set_without_a_name_is_asked_for_it(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW | {"labels": ["ok", "ok"]}) + "\n")
    with pytest.raises(ConfigError, match=r"rows\.jsonl, row 1: the data set has no name: give source=NAME"):
        build("labelled", input=tmp_path / "rows.jsonl", output=tmp_path / "built")
    with pytest.raises(ConfigError, match=r"unknown key 'fields.questoin'"):
        load_config(LabelledConfig, overrides=["fields.questoin=x"])


def test_what_the_rows_have_is_said_where_none_fits(tmp_path: Path) -> None:
    """Rows that are wrapped into an object, or have other fields, are recognised from the message alone."""
    (tmp_path / "rows.json").write_text(json.dumps({"version": 1, "data": [ROW]}))
    with pytest.raises(DataError, match=r"no field 'problem' .*: 1\), as row 1: the row has \['version', 'data'\];"):
        build("labelled", input=tmp_path / "rows.json", output=tmp_path / "built")


def test_the_example_configuration_reads_the_row_in_its_head(tmp_path: Path) -> None:
    config = Path(__file__).parents[3] / "configs" / "data" / "labelled.yaml"
    (line,) = (line for line in config.read_text().splitlines() if line.startswith("#   {"))
    (tmp_path / "rows.jsonl").write_text(line.removeprefix("#"))
    options = load_config(load_source("labelled").config_type, config)
    build("labelled", input=tmp_path / "rows.jsonl", output=tmp_path / "built", options=options)
    (built,) = read_records(tmp_path / "built", LabelledSolution)
    assert (built.first_error, built.generator) == (0, "a-7b")
    assert (tmp_path / "built" / REJECTED).read_text() == ""
