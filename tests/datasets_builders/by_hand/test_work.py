"""From decisions to a data set: who decided what, what is written, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgekit.errors import ConfigError, DataError
from judgekit.io import read_records
from judgekit.reading.rows import read_jsonl
from judgekit.types import LabelledSolution, LabelMethod
from judgekit_datasets.by_hand.annotations import Annotations, find_agreements
from judgekit_datasets.by_hand.pool import read_pool
from judgekit_datasets.by_hand.work import DATA_SET, DECISIONS
from tests.datasets_builders.by_hand.work import label_all, opened, write_solutions
from tests.stages import rollout


def labelled(folder: Path) -> list[LabelledSolution]:
    return list(read_records(folder / "out" / DATA_SET, LabelledSolution))


def rejected(folder: Path) -> list[tuple[str, str]]:
    return [(row["reason"], row["detail"]) for _, row in read_jsonl(folder / "out" / "rejected.jsonl")]


def test_labels_become_a_data_set_in_the_order_of_the_file(tmp_path: Path) -> None:
    truth = {f"Problem {i}?": None if i % 3 == 2 else i % 3 for i in range(8)}
    with opened(tmp_path) as work:
        label_all(work, truth)
    records = labelled(tmp_path)
    assert [record.problem for record in records] == list(truth)
    assert [record.first_error for record in records] == list(truth.values())
    assert {(record.label_method, record.source) for record in records} == {(LabelMethod.HUMAN, "rows")}


def test_undo_shows_the_solution_again_and_goes_back_step_by_step(tmp_path: Path) -> None:
    with opened(tmp_path) as work:
        session = work.session
        first, second = [item.solution.id for item in work.pool.items[:2]]
        session.decide("label", first_error=1, note="odd")
        session.decide("skip")
        session.undo()
        shown = session.shown()
        assert shown and shown.before and (shown.item.solution.id, shown.before.action) == (second, "skip")
        session.undo()
        shown = session.shown()
        assert shown and shown.before and (shown.item.solution.id, shown.before.note) == (first, "odd")
        with pytest.raises(DataError, match="nothing to undo"):
            session.undo()
        session.decide("label", first_error=None)
        assert (shown := session.shown()) and shown.item.solution.id == second and shown.before is None
    assert [record.first_error for record in labelled(tmp_path)] == [None]


def test_a_label_is_on_disk_before_the_next_solution_is_shown(tmp_path: Path) -> None:
    with opened(tmp_path) as work:
        for number in range(3):
            work.session.decide("label", first_error=number)
            on_disk = Annotations(tmp_path / "out" / DECISIONS).histories["ann"]
            assert list(on_disk.labels.values()) == list(range(number + 1))
        with pytest.raises(DataError, match=r"no step 3: choose one of 0\.\.2"):
            work.session.decide("label", first_error=3)


def test_a_decision_that_cannot_be_written_was_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as work:
        work.session.decide("label", first_error=0)
        shown = work.session.shown()
        with monkeypatch.context() as patch, pytest.raises(DataError, match="cannot write"):
            patch.setattr("judgekit.io.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
            work.session.decide("label", first_error=1)
        assert work.session.shown() == shown and work.session.history.n_decisions == 1


def test_a_missing_decision_is_found(tmp_path: Path) -> None:
    with opened(tmp_path) as work:
        for _ in range(3):
            work.session.decide("skip")
    next(
        path for path in (tmp_path / "out" / DECISIONS).glob("part-*") if json.loads(path.read_text())["number"] == 1
    ).unlink()
    with pytest.raises(DataError, match="lacks decision 1 of 'ann'"):
        Annotations(tmp_path / "out" / DECISIONS)


def test_annotators_share_the_order_and_what_they_disagree_on_is_left_out(tmp_path: Path) -> None:
    with opened(tmp_path) as work:
        order = [item.solution.problem for item in work.pool.items]
        for first_error in (0, 1, None, 2):
            work.session.decide("label", first_error=first_error)
        work.session.decide("skip", note="no idea")
    with opened(tmp_path, annotator="bob", resume=True) as work:
        for first_error in (0, 2, None):
            work.session.decide("label", first_error=first_error)
        (row,) = [row for row in work.figures() if "agree" in row.name]
    # Two of three agree. By chance: ann has 0, 1, none once each, bob has 0, 2, none: 2 of 9; (2/3 - 2/9) / (7/9) = 4/7
    assert row.name == "ann and bob agree" and row.value.endswith("of 3 that both labelled, kappa 0.57")
    assert {record.problem: record.first_error for record in labelled(tmp_path)} == {
        order[0]: 0, order[2]: None, order[3]: 2,
    }  # fmt: skip
    assert rejected(tmp_path) == [("skipped", "by ann: no idea"), ("annotators disagree", "ann: 1, bob: 2")]
    with opened(tmp_path, annotator="cat", disputed=True, resume=True) as work:
        assert (shown := work.session.shown()) and (shown.item.solution.problem, shown.drawn) == (order[1], False)
        work.session.decide("label", first_error=2)
        assert work.session.shown() is None
    assert {record.problem: record.first_error for record in labelled(tmp_path)}[order[1]] == 2
    assert find_agreements({"a": {"x": 1}, "b": {"y": 1}, "c": {"x": None}})[0].annotators == ("a", "c")


def test_one_annotator_is_not_in_two_sessions(tmp_path: Path) -> None:
    import subprocess
    import sys

    with opened(tmp_path) as work:
        code = f"""
from pathlib import Path
from tests.datasets_builders.by_hand.work import opened
from judgekit.errors import ConfigError
for name in ("bob", "ann"):
    try:
        with opened(Path({str(tmp_path)!r}), annotator=name, resume=True) as work:
            work.session.decide("skip")
        print(name, "skipped")
    except ConfigError as error:
        print(error)
"""
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert said.splitlines()[0] == "bob skipped"
        assert "'ann' is labelling in" in said and "already: end that session" in said
        work.session.decide("skip")
    with pytest.raises(ConfigError, match="printable"), opened(tmp_path, annotator="\x1b", resume=True):
        pass


def test_every_kind_of_row_is_labelled_without_its_labels(tmp_path: Path) -> None:
    """What the row says of itself stays, labels and their counts go; blank and repeated solutions are left out."""
    row = {
        "problem": "P?", "steps": ["a", "b"], "labels": ["error", "unlabelled"], "label_method": "monte_carlo",
        "n_success": [0, 0], "n_rollouts": [4, 4], "source": "s", "generator": "g", "subset": "t",
    }  # fmt: skip
    right = row | {"labels": ["ok", "ok"], "n_success": [4, 4]}
    path = tmp_path / "labelled.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps(right) + "\n")
    pool = read_pool(path, seed=0)
    (item,) = pool.items
    assert pool.n_left_out == 1 and not hasattr(item.solution, "labels")
    record = item.record(1, source="unused")
    assert (record.first_error, record.n_success, record.source, record.subset) == (1, None, "s", "t")
    assert record.has_computed_id

    path = tmp_path / "groups.jsonl"
    empty = rollout(1, 2) | {"response": "", "steps": [], "step_start": [], "step_end": []}
    path.write_text("".join(json.dumps(row) + "\n" for row in (rollout(1, 0), rollout(1, 1), empty)))
    pool = read_pool(path, seed=0)
    assert len(pool.items) == 2 and pool.n_left_out == 1
    records = {item.record(None, source="unused").final_answer_correct for item in pool.items}
    assert records == {True, False}
    assert read_pool(path, seed=0, show_reference=True).items[0].solution.reference == "2"
    path.write_text(json.dumps(empty) + "\n")
    with pytest.raises(DataError, match="no solution with a step"):
        read_pool(path, seed=0)


def test_raw_rows_need_their_reader(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    row = {
        "id": "x-0",
        "generator": "g",
        "problem": "P?",
        "steps": ["a", "b"],
        "final_answer_correct": True,
        "label": -1,
    }
    data.write_text(json.dumps(row) + "\n")
    with pytest.raises(ConfigError, match=r"reader=NAME, one of .*processbench"), opened(tmp_path):
        pass
    with opened(tmp_path, config={"reader": "processbench"}) as work:
        work.session.decide("label", first_error=1)
    (record,) = labelled(tmp_path)
    assert (record.first_error, record.generator, record.label_method) == (1, "g", LabelMethod.HUMAN)


def test_the_order_is_the_seeds_and_a_smaller_pool_is_its_beginning(tmp_path: Path) -> None:
    path = write_solutions(tmp_path / "rows.jsonl", 30)
    orders = [[item.place for item in read_pool(path, seed=seed).items] for seed in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1] and sorted(orders[0]) == list(range(30))
    assert [item.place for item in read_pool(path, seed=0, n_max=5).items] == orders[0][:5]
