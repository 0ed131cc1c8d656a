import json

import pytest

from benchmarks import curation_speed
from benchmarks.curation_speed import (
    make_rows,
    measure_curate,
    measure_decontamination,
    measure_peers,
    write_rows,
)

NOUNS = ["apples", "boxes", "coins", "dogs", "eggs", "forks", "gates", "hats", "inks", "jars"]


@pytest.fixture
def files(tmp_path):
    for name, start in (("train", 0), ("test", 50)):
        rows = [
            {
                "question": f"{noun} number {i} are in a store. Then {i + 3} {noun} more come in by the way of {noun}. "
                f"How many {noun} does the owner of the store have there at the end of day {i}?",
                "answer": f"There are {i}+{i + 3}={2 * i + 3} {noun}\nThat is all of {noun}\n#### {2 * i + 3}",
            }
            for i, noun in enumerate(NOUNS * 5, start=start)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "train.jsonl", tmp_path / "test.jsonl"


def test_rows_are_the_same_for_a_seed_and_hold_every_kind(files):
    rows = list(make_rows(*files, n_rows=400, seed=1))
    assert rows == list(make_rows(*files, n_rows=400, seed=1))
    counts = {subset: sum(row["subset"] == subset for row in rows) for subset in ("unique", "near", "contaminated")}
    assert sum(counts.values()) == 400 and 80 < counts["near"] < 160 and counts["contaminated"] > 0
    unique = [(row["problem"], *row["steps"]) for row in rows if row["subset"] == "unique"]
    assert len(set(unique)) == len(unique)


def test_measurements(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(curation_speed.importlib.util, "find_spec", lambda name: None)
    rows = list(make_rows(*files, n_rows=400, seed=1))
    write_rows(tmp_path / "data", iter(rows))
    texts, subsets = [row["problem"] + "\n" + "\n".join(row["steps"]) for row in rows], [row["subset"] for row in rows]
    ours, loop = measure_peers(texts, subsets)
    assert (ours["method"], loop["method"], ours["ratio"]) == ("judgekit", "plain Python", 1.0)
    assert ours["found"] > 0.9 and ours["wrongly_removed"] == 0.0
    assert "rensa is not installed, so it is left out" in capsys.readouterr().err
    ours, loop = measure_decontamination([row["problem"] for row in rows], subsets, files[1])
    assert ours["found"] == loop["found"] == 1.0
    result = measure_curate(tmp_path / "data", files[1], tmp_path / "out", workers=1)
    assert result["rows"] == 400 and result["contaminated_found"] == 1.0 and result["near_found"] > 0.9
