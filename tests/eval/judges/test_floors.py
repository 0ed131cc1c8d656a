"""Judges that read nothing: fitted without the fold they judge, and beside every judge in every table."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from judgekit.errors import DataError, JudgeError
from judgekit.io import read_json
from judgekit.training.floors import LENGTH, POSITION, step_features
from judgekit.types import LabelledSolution, StepLabel, labels_from_first_error
from judgekit_eval.judges.benchmarks import clusters, find_benchmark
from judgekit_eval.judges.floors import decide_floor, floor_candidate
from judgekit_eval.judges.judged_solution import JudgedSolution
from judgekit_eval.report.markdown_leaderboard import merge_leaderboards
from tests.eval.samples import evaluate_all, pointing_at, sample
from tests.fakes import FakeJudge

PROCESSBENCH = find_benchmark("processbench")


def long_ones(n: int = 60, *, subset: str = "shop", start: int = 0) -> list[LabelledSolution]:
    """Solutions of four steps; two of three have a wrong step, at any place, which is twice as long as the others."""
    rng = random.Random(start)
    solutions = []
    for i in range(start, start + n):
        first_error = None if i % 3 == 0 else rng.randrange(4)
        steps = tuple("word " * (rng.randrange(8, 12) * (2 if k == first_error else 1)) for k in range(4))
        row = sample(i, first_error=first_error, n_steps=4, subset=subset)
        solutions.append(row.model_copy(update={"steps": steps, "id": f"{subset}-{i}"}))
    return solutions


def folds_of(rows: Sequence[JudgedSolution], *, n_folds: int = 5) -> list[list[int]]:
    """Indices of the solutions that are decided together: whole problems, in folds of about one size."""
    problems = clusters(PROCESSBENCH, [row.solution for row in rows])
    return [held_out.tolist() for _, held_out in GroupKFold(n_folds).split(problems, groups=problems)]


def test_the_floor_of_positions_is_the_rate_of_errors_in_the_other_folds() -> None:
    # two folds of two problems, whichever they are, with other rates in each
    places = {"A": [0, 0, None], "B": [1, None, 1], "C": [0, None, None], "D": [None, 1, None]}
    solutions = [
        sample(10 * k + i, first_error=place, n_steps=2, problem=problem)
        for k, (problem, found) in enumerate(places.items())
        for i, place in enumerate(found)
    ]
    rows = decide_floor(POSITION, PROCESSBENCH, solutions, n_folds=2).rows
    fold = {row.solution.problem: row.p_ok_S for row in rows}
    halves = [{p for p in fold if fold[p] == value} for value in set(fold.values())]
    assert sorted(map(len, halves)) == [2, 2]
    for half in halves:
        other = [row.solution for row in rows if row.solution.problem not in half]
        n_first = sum(item.first_error == 0 for item in other)
        n_second = sum(item.first_error == 1 for item in other)
        # six solutions reach step 0 and those that are right there step 1; one step of the mean share is added to each
        reached = 6, 6 - n_first
        share = (n_first + n_second) / sum(reached)
        of_all = (n_first + share) / (reached[0] + 1), (n_second + share) / (reached[1] + 1)
        # all have two steps: ten steps of these shares are added once more
        hazards = (n_first + 10 * of_all[0]) / (reached[0] + 10), (n_second + 10 * of_all[1]) / (reached[1] + 10)
        for row in rows:
            if row.solution.problem in half:
                assert row.p_ok_S == pytest.approx([1 - hazard for hazard in hazards], abs=1e-12)


@pytest.mark.parametrize("floor", [POSITION, LENGTH])
def test_labels_of_a_fold_have_no_say_in_its_own_decisions(floor: str) -> None:
    solutions = long_ones()
    before = decide_floor(floor, PROCESSBENCH, solutions, n_folds=5).rows
    folds = folds_of(before)
    rng = random.Random(1)
    for held_out in folds:
        shuffled = [solutions[i].labels for i in held_out]
        rng.shuffle(shuffled)
        others = dict(zip(held_out, shuffled, strict=True))
        changed = [s.model_copy(update={"labels": others.get(i, s.labels)}) for i, s in enumerate(solutions)]
        assert sum(a.labels != b.labels for a, b in zip(changed, solutions, strict=True)) > 3
        after = decide_floor(floor, PROCESSBENCH, changed, n_folds=5).rows
        for i in held_out:
            assert after[i].p_ok_S == before[i].p_ok_S
            assert (after[i].threshold, after[i].predicted) == (before[i].threshold, before[i].predicted)
        if floor == LENGTH:  # its own labels do decide on the other folds
            assert all(after[i].p_ok_S != before[i].p_ok_S for i in range(len(solutions)) if i not in held_out)


def test_the_floor_of_lengths_is_a_logistic_regression_of_the_other_folds() -> None:
    solutions = long_ones()
    rows = decide_floor(LENGTH, PROCESSBENCH, solutions, n_folds=5).rows
    for held_out in folds_of(rows):
        rest = [s for i, s in enumerate(solutions) if i not in held_out]
        reached = [(s, k) for s in rest for k in range(4 if s.first_error is None else s.first_error + 1)]
        features = np.array([step_features(s.steps)[k] for s, k in reached])
        mean, sd = features.mean(axis=0), features.std(axis=0)
        sd[sd == 0] = 1
        model = LogisticRegression(tol=1e-10, max_iter=20000)  # another solver
        model.fit((features - mean) / sd, [k != s.first_error for s, k in reached])
        for i in held_out:
            p_ok_S = model.predict_proba((step_features(solutions[i].steps) - mean) / sd)[:, 1]
            assert rows[i].p_ok_S == pytest.approx(p_ok_S.tolist(), abs=1e-4)
    right = sum(row.predicted == row.gold for row in rows)
    by_position = decide_floor(POSITION, PROCESSBENCH, solutions, n_folds=5).rows
    assert right > 50 and right > sum(row.predicted == row.gold for row in by_position) + 15


def test_subsets_are_fitted_apart_where_they_can_be_and_together_where_not() -> None:
    shop, mill = long_ones(30), long_ones(30, subset="mill", start=500)
    wrong = [sample(i, first_error=0, n_steps=4, subset="wrong") for i in range(900, 906)]
    apart = decide_floor(LENGTH, PROCESSBENCH, [*shop, *mill, *wrong], n_folds=5)
    alone = decide_floor(LENGTH, PROCESSBENCH, shop, n_folds=5)
    assert [row.p_ok_S for row in apart.rows[:30]] == [row.p_ok_S for row in alone.rows]
    assert apart.notes[1] == "Too few correct or wrong solutions in wrong: fitted over the whole benchmark."
    together = decide_floor(LENGTH, find_benchmark("mine"), [*shop, *mill], n_folds=5)
    assert len({row.threshold for row in together.rows}) == 5 and len(together.notes) == 1


def test_wordings_of_one_prmbench_problem_are_in_one_fold() -> None:
    def wording(index: int, of: int) -> LabelledSolution:
        row = sample(index, first_error=None if of % 3 == 0 else index % 3, subset="circular")
        return row.model_copy(update={"source_id": f"row-{of}"})

    solutions = [wording(10 * of + i, of) for of in range(12) for i in range(3)]
    rows = decide_floor(POSITION, find_benchmark("prmbench"), solutions, n_folds=4).rows
    by_problem: dict[str | None, set[float | None]] = {}
    for row in rows:
        by_problem.setdefault(row.solution.source_id, set()).add(row.threshold)
    assert all(len(thresholds) == 1 for thresholds in by_problem.values())


@pytest.mark.parametrize(
    "solutions",
    [
        [sample(i, first_error=0) for i in range(8)],
        [sample(i, first_error=None) for i in range(8)],
        [sample(i, first_error=0 if i % 2 else None, problem="one") for i in range(8)],
        [sample(0, first_error=0), *(sample(i, first_error=None) for i in range(1, 8))],
    ],
    ids=["wrong alone", "right alone", "one problem", "errors in one fold"],
)
def test_what_cannot_be_fitted_is_said(solutions: list[LabelledSolution], tmp_path: Path) -> None:
    for floor in (POSITION, LENGTH):
        with pytest.raises(DataError, match=f"no {floor}: correct and wrong solutions must remain"):
            decide_floor(floor, PROCESSBENCH, solutions, n_folds=5)
    judge = FakeJudge({s.id: pointing_at(s.first_error) for s in solutions})
    evaluation = evaluate_all([judge], solutions, output=tmp_path / "run")
    assert evaluation.floors == [] and evaluation.comparisons.benchmarks["orchard"].floors.pairs == []
    for name in ("leaderboard.md", "report.html"):
        assert f"orchard: no {LENGTH}: correct and wrong solutions must" in (tmp_path / "run" / name).read_text()


def test_floors_stand_beside_the_judges_and_are_compared_with_them(tmp_path: Path) -> None:
    solutions = [row.model_copy(update={"source": "processbench", "subset": "gsm8k"}) for row in long_ones(90)]
    places = {s.id: s.first_error for s in solutions}
    judges = [
        FakeJudge({id_: pointing_at(place, n_steps=4) for id_, place in places.items()}, judge_id="knows"),
        FakeJudge({id_: pointing_at(0, n_steps=4) for id_ in places}, judge_id="first"),
    ]
    evaluation = evaluate_all(judges, solutions, output=tmp_path / "run", n_resamples=500)
    assert [run.results.judge.judge_id for run in evaluation.runs] == ["knows", "first"]
    assert [run.results.judge.judge_id for run in evaluation.floors] == [POSITION, LENGTH]
    length = evaluation.floors[1].results.as_stored()
    stored = tmp_path / "run/floors/floor-position-and-length/processbench/results.json"
    assert length == read_json(stored) and (stored.parent / "predictions.parquet").exists()
    assert length["judge"]["kind"] == "floor" and length["protocol"]["contamination"]["status"] == "cross-fitted"
    assert length["decision"]["origin"].startswith("cross-fitted over problems, 5 folds, with the model")
    steps = [
        (p, label is StepLabel.OK)
        for row in evaluation.floors[1].rows
        for p, label in zip(row.p_ok_S or (), row.solution.labels, strict=True)
        if label is not StepLabel.UNLABELLED
    ]
    auroc = roc_auc_score([ok for _, ok in steps], [p for p, _ in steps])
    assert length["subsets"]["gsm8k"]["steps"]["auroc"]["value"] == pytest.approx(auroc, abs=1e-6)
    assert auroc > 0.95

    compared = read_json(tmp_path / "run/comparisons.json")["processbench"]
    assert [(pair["a"], pair["b"]) for pair in compared["pairs"]] == [("knows", "first")]
    pairs = {(pair["a"], pair["b"]): pair for pair in compared["floors"]["pairs"]}
    assert list(pairs) == [(judge, floor) for judge in ("knows", "first") for floor in (POSITION, LENGTH)]
    knows, first = (pairs[judge, LENGTH] for judge in ("knows", "first"))
    assert knows["difference"] == pytest.approx(100 - length["headline"]["value"])
    assert first["difference"] < -50 and first["hi"] < 0 and first["p_holm"] < 0.05

    text = (tmp_path / "run/leaderboard.md").read_text()
    mark = "(reads nothing; fitted on this benchmark's labels, cross-fitted)"
    assert f"| *floor* position and length {mark} | **" in text and f"| *floor* position {mark} | **" in text
    against = text.split("Better than what reads nothing?")[1]
    lines = [line.strip("| ").split(" | ") for line in against.splitlines() if line.startswith("| ")]
    assert next(line for line in lines if line[:2] == ["first", "position and length"])[-1] == "no, worse"
    page = (tmp_path / "run/report.html").read_text()
    assert (
        "Better than what reads nothing?" in page and 'floor: position <span class="tag">reads nothing</span>' in page
    )


def test_floors_are_the_same_in_every_run_and_merged_once(tmp_path: Path) -> None:
    solutions = [row.model_copy(update={"source": "processbench", "subset": "gsm8k"}) for row in long_ones()]
    for name in ("one", "two"):
        judge = FakeJudge({s.id: pointing_at(1, n_steps=4) for s in solutions}, judge_id=name)
        evaluate_all([judge], solutions, output=tmp_path / name)
    file = "floors/floor-position/processbench/results.json"
    assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    merge_leaderboards([tmp_path / "one", tmp_path / "two"], tmp_path / "all.md")
    main = (tmp_path / "all.md").read_text()
    assert main.count("| *floor* position (reads nothing") == 1 and "| one |" in main and "| two |" in main
    judge = FakeJudge({s.id: pointing_at(1, n_steps=4) for s in solutions}, judge_id="three")
    without = evaluate_all([judge], solutions, output=tmp_path / "three", floors=False)
    assert without.floors == [] and not (tmp_path / "three/floors").exists()
    assert "| *floor*" not in (tmp_path / "three/leaderboard.md").read_text()


def test_a_floor_is_no_judge_that_can_be_opened() -> None:
    with pytest.raises(JudgeError, match="fitted to the reported benchmark"):
        floor_candidate(LENGTH).load(None)


def test_labels_behind_the_first_error_are_not_learnt_from() -> None:
    solutions = long_ones()
    labelled = [
        row.model_copy(update={"labels": tuple(StepLabel.ERROR if k else label for k, label in enumerate(row.labels))})
        if row.first_error == 0
        else row.model_copy(update={"labels": labels_from_first_error(row.first_error, n_steps=4)})
        for row in solutions
    ]
    assert [row.p_ok_S for row in decide_floor(LENGTH, PROCESSBENCH, labelled, n_folds=3).rows] == [
        row.p_ok_S for row in decide_floor(LENGTH, PROCESSBENCH, solutions, n_folds=3).rows
    ]
