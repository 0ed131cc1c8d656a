"""The benchmark of answer checking: what it checks, and that the variants agree."""

import json
from pathlib import Path

import pytest

from benchmarks.answer_speed import make_pairs, measure_speed, read_answers
from judgekit.errors import DataError


def test_pairs_are_right_rewritten_and_wrong() -> None:
    half, displayed = "\\frac{1}{2}", "\\dfrac{1}{2}"
    pairs = make_pairs(["5", half, "x"])
    of_half = [(half, half), (half, displayed), (half, "x")]
    assert pairs == [("5", "5"), ("5", "5.0"), ("5", half), *of_half, ("x", "x"), ("x", "5")]


def test_answers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps({"answer": answer}) + "\n" for answer in ["2+2=4\n#### 4", 27.0, "x"]))
    assert read_answers(path, n_max=2) == ["4", "27.0"]
    path.write_text(json.dumps({"question": "?"}))
    with pytest.raises(DataError, match=r"answers\.jsonl, row 1: no field 'answer'"):
        read_answers(path, n_max=2)


def test_variants_agree() -> None:
    speed = measure_speed(make_pairs(["5", "\\frac{1}{2}", "x+1"]), rounds=1)
    assert speed.n_pairs == 9
    assert speed.agreement_frac == 1.0
    assert min(speed.plain_per_s, speed.fast_per_s, speed.parallel_per_s) > 0
