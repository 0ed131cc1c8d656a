"""The benchmarks on the published files, scored twice: by the protocols, and naively from stored predictions."""

from __future__ import annotations

import os
import random
from collections import Counter
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from judgekit.io import read_records
from judgekit.judges import load_judge
from judgekit.judging.run import as_seen
from judgekit.types import Judgement, LabelledSolution, NoVerdictReason, ThresholdRule, Verdict
from judgekit_datasets.build import build
from judgekit_eval.judges.benchmarks import (
    by_subset,
    clusters,
    comparability,
    find_benchmark,
    score_overall,
    score_subset,
    why_undefined,
)
from judgekit_eval.judges.judged_solution import JudgedSolution, decide
from tests.eval.judges import naive_benchmarks

pytestmark = pytest.mark.skipif(
    "JUDGEKIT_REAL_DATA" not in os.environ, reason="needs JUDGEKIT_REAL_DATA, the folder of real data"
)
JUDGES = ("random", "symbolic", "unsteady")


@pytest.fixture(scope="module")
def solutions(tmp_path_factory):
    @cache
    def load(source: str, given: str) -> tuple[LabelledSolution, ...]:
        output = tmp_path_factory.mktemp("built") / "data"
        build(source, input=Path(os.environ["JUDGEKIT_REAL_DATA"]) / given, output=output)
        return tuple(read_records(output, LabelledSolution))

    return load


@pytest.fixture(scope="module")
def judged(solutions):
    """Judge a benchmark's real rows; a judge is asked once for all tests."""

    @cache
    def load(source: str, given: str, judge: str) -> tuple[JudgedSolution, ...]:
        rows = solutions(source, given)
        if judge == "unsteady":
            return tuple(_unsteady(row) for row in rows)
        opened = load_judge(f"builtin:{judge}")
        judgements = opened.judge([as_seen(row, show_reference=False) for row in rows])
        return tuple(decide(row, said, opened.info.decision) for row, said in zip(rows, judgements, strict=True))

    return load


def _unsteady(solution: LabelledSolution) -> JudgedSolution:
    """A judge of chance whose threshold differs by fold and who says nothing of one solution in ten."""
    rng = random.Random(solution.id)
    rule = ThresholdRule(threshold=rng.choice([0.1, 0.25, 0.4]), origin="another fold")
    verdict = Verdict.from_step_probs([rng.random() for _ in solution.steps]) if rng.random() < 0.9 else None
    judgement = Judgement(
        solution_id=solution.id,
        judge_id="unsteady",
        verdict=verdict,
        no_verdict=None if verdict else NoVerdictReason.TIMED_OUT,
    )
    return decide(solution, judgement, rule)


def stored(path: Path, rows: tuple[JudgedSolution, ...]) -> list[dict]:
    """Write predictions and read them back: all that the second implementation sees."""
    pl.DataFrame(
        {
            "id": [row.solution.id for row in rows],
            "problem_id": [row.solution.problem_id for row in rows],
            "subset": [row.subset for row in rows],
            "gold": [row.gold for row in rows],
            "predicted": [row.predicted for row in rows],
            "no_verdict": [row.judgement.no_verdict for row in rows],
            "posterior": [row.judgement.verdict.posterior if row.judgement.verdict else None for row in rows],
            "p_ok": [row.p_ok_S for row in rows],
            "threshold": [row.threshold for row in rows],
            "labels": [[str(label) for label in row.solution.labels] for row in rows],
        },
        strict=False,
    ).write_parquet(path)
    return pl.read_parquet(path).to_dicts()


@pytest.mark.parametrize(
    ("given", "judge"),
    [("processbench", "random"), ("processbench", "unsteady"), ("processbench/gsm8k.jsonl", "symbolic")],
)
def test_processbench_twice(given, judge, judged, tmp_path):
    rows = judged("processbench", given, judge)
    scores = score_overall(find_benchmark("processbench"), rows, n_resamples=100, seed=0)
    again = naive_benchmarks.processbench(stored(tmp_path / "predictions.parquet", rows))
    for name, value in again.items():
        assert scores[name].metric(scale=100).value == pytest.approx(value, abs=1e-9)
    assert 0 < again["f1"] < 100


@pytest.mark.parametrize("judge", JUDGES)
def test_prmbench_twice(judge, judged, tmp_path):
    rows, benchmark = judged("prmbench", "prmbench", judge), find_benchmark("prmbench")
    overall = score_overall(benchmark, rows, n_resamples=100, seed=0)
    predictions = stored(tmp_path / "predictions.parquet", rows)
    for unjudged, suffix in (("wrong", ""), ("out", "_scored")):
        again = naive_benchmarks.prmbench(predictions, unjudged=unjudged)
        assert overall[f"prm_score{suffix}"].metric(scale=100).value == pytest.approx(again["prm_score"], abs=1e-9)
        for name, group in by_subset(rows).items():
            scores = score_subset(benchmark, group, n_resamples=100, seed=0)
            assert scores[f"prm_score{suffix}"].metric(scale=100).value == pytest.approx(again[name], abs=1e-9)
        if not suffix:
            for name in naive_benchmarks.DIMENSIONS:
                assert overall[name].metric(scale=100).value == pytest.approx(again[name], abs=1e-9)


def test_prmbench_real_rows(solutions):
    rows = solutions("prmbench", "prmbench")
    assert Counter(row.subset for row in rows) == {
        "redundency": 88,
        "circular": 89,
        "counterfactual": 88,
        "step_contradiction": 89,
        "domain_inconsistency": 90,
        "confidence": 83,
        "missing_condition": 84,
        "deception": 86,
        "multi_solutions": 80,
    }


def test_prmbench_versions_of_one_problem_are_one_cluster(judged):
    rows = judged("prmbench", "prmbench", "random")
    benchmark = find_benchmark("prmbench")
    # the text of a problem differs between classes, so its own id would split what was made from one solution;
    # and some problems stand under two ids of the source
    assert len({row.solution.source_id for row in rows}) == 138
    assert len({row.solution.problem_id for row in rows}) == 205
    clusters_N = clusters(benchmark, [row.solution for row in rows])
    assert len(set(clusters_N)) == 129
    for key in ("source_id", "problem_id"):
        of_row = {(getattr(row.solution, key), cluster) for row, cluster in zip(rows, clusters_N, strict=True)}
        assert len(of_row) == len({name for name, _ in of_row}), f"one {key} lies in two clusters"


def test_a_silent_tenth_changes_nothing_about_the_judged(judged):
    rows = judged("prmbench", "prmbench", "unsteady")
    kept = [row for row in rows if row.judged]
    assert 0.07 < 1 - len(kept) / len(rows) < 0.13
    benchmark = find_benchmark("prmbench")
    with_silence = score_overall(benchmark, rows, n_resamples=100, seed=0)
    without = score_overall(benchmark, kept, n_resamples=100, seed=0)
    assert with_silence["prm_score_scored"].value == without["prm_score_scored"].value == without["prm_score"].value
    assert with_silence["prm_score"].value < without["prm_score"].value


def test_bigbench_mistake_is_one_accuracy_over_all_tasks(judged):
    rows = judged("bigbench-mistake", "bigbench_mistake", "random")
    scores = score_overall(find_benchmark("bigbench-mistake"), rows, n_resamples=100, seed=0)
    assert scores["accuracy"].value == sum(row.predicted == row.gold for row in rows) / 900
    errors = [row.predicted == row.gold for row in rows if row.gold is not None]
    assert scores["error_accuracy"].value == sum(errors) / 792
    assert comparability(find_benchmark("bigbench-mistake"), rows)[0] == (
        "Published BIG-Bench-Mistake figures are over 2,186 solutions, these over 900 "
        "(word_sorting 0 of 300, dyck_languages 0 of 986)."
    )


def test_mr_gsm8k_sample_holds_no_right_solution(judged):
    rows = judged("mr-gsm8k", "mr_gsm8k", "random")
    scores = score_overall(find_benchmark("mr-gsm8k"), rows, n_resamples=100, seed=0)
    assert scores["step_accuracy"].value == sum(row.predicted == row.gold for row in rows) / 40
    assert scores["mcc"].value is None and scores["localization_part"].value is None
    notes = comparability(find_benchmark("mr-gsm8k"), rows)
    assert notes[0] == "Published MR-GSM8K figures are over 3,000 solutions, these over 40."
    assert why_undefined(find_benchmark("mr-gsm8k"), rows) == [
        "All 40 solutions are erroneous: F1, and whatever compares both kinds, does not exist."
    ]
