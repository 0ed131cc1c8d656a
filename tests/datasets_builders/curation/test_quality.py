import polars as pl
import pytest

from judgekit.io import parquet_schema
from judgekit.types import LabelledSolution
from judgekit_datasets.curation.config import QualityConfig
from judgekit_datasets.curation.quality import complaints, with_first_error


def complain(config=None, **values):
    row = {"id": "a", "problem_id": "p", "problem": "How many?", "steps": ["one", "two"], "source": "s"} | values
    row = {"labels": ["ok"] * len(row["steps"] or ())} | row
    frame = with_first_error(pl.DataFrame([row], schema=parquet_schema(LabelledSolution)))
    return complaints(frame, config or QualityConfig()).row(0)


def test_a_sound_row_passes():
    assert complain() == (None, None)


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"problem": None}, "a required field is null"),
        ({"steps": None}, "a required field is null"),
        ({"steps": []}, "0 steps and 0 labels"),
        ({"labels": ["ok"]}, "2 steps and 1 labels"),
        ({"labels": ["ok", "good"]}, "a label is not known"),
        ({"labels": ["unlabelled", "error"]}, "a step is unlabelled although no error comes before it"),
        ({"labels": ["ok", "unlabelled"]}, "a step is unlabelled although no error comes before it"),
        ({"steps": ["one", None]}, "a step is null"),
    ],
)
def test_rows_that_are_no_labelled_solutions(values, detail):
    assert complain(**values) == ("invalid", detail)


def test_unlabelled_after_the_error_is_sound():
    assert complain(labels=["error", "unlabelled"]) == (None, None)


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        ({"min_steps": 3}, {}, ("too few steps", "2 steps")),
        ({"max_steps": 1}, {}, ("too many steps", "2 steps")),
        ({}, {"steps": ["one", " \n"]}, ("step too short", "0 characters")),
        ({"max_step_chars": 3}, {"steps": ["one", "four"]}, ("step too long", "4 characters")),
        ({"max_problem_chars": 5}, {}, ("problem too long", "9 characters")),
        ({"max_repeated_steps": 0}, {"steps": ["one", "two", "one"]}, ("repeated steps", "1 repeated steps")),
        ({}, {"steps": ["o\x00e", "\ufffd\ufffd"]}, ("unprintable characters", "3 characters")),
        ({"require_final_answer": True}, {}, ("no final answer", "two")),
    ],
)
def test_each_filter_names_its_reason(options, values, expected):
    assert complain(QualityConfig(**options), **values) == expected


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"min_steps": 2, "max_steps": 2, "max_step_chars": 3, "max_problem_chars": 9}, {}),
        ({"max_repeated_steps": 1}, {"steps": ["one", "two", "one"]}),
        ({"min_step_chars": None}, {"steps": ["", "x"]}),
        ({"max_garbage_frac": None}, {"steps": ["\x00"]}),
        ({"require_final_answer": True}, {"steps": ["so $\\boxed{x}$"]}),
        ({}, {"steps": ["tab\tand\nline", "é ∑ 漢 🙂"]}),
    ],
)
def test_limits_are_inclusive_and_can_be_off(options, values):
    assert complain(QualityConfig(**options), **values) == (None, None)


def test_first_error():
    labels = [["ok", "error", "error"], ["ok"], ["neutral", "error"]]
    frame = with_first_error(pl.DataFrame({"labels": labels}))
    assert frame["first_error"].to_list() == [1, None, 1]


@pytest.mark.parametrize("share", [0.07, 0.14, 0.29, 0.57])
def test_a_share_of_garbage_at_the_limit_passes(share):
    n_garbage = round(100 * share)
    steps = ["\x00" * n_garbage + "x" * (100 - n_garbage - len("?\n"))]
    assert complain(QualityConfig(max_garbage_frac=share), problem="?", steps=steps)[0] is None
    steps = ["\x00" * (n_garbage + 1) + "x" * (99 - n_garbage - len("?\n"))]
    assert complain(QualityConfig(max_garbage_frac=share), problem="?", steps=steps)[0] == "unprintable characters"
