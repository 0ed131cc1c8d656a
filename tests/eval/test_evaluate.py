"""Evaluations by hand, and what becomes of runs that were cut off."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from judgekit.errors import ConfigError, DataError, JudgeError
from judgekit.io import read_json
from judgekit.judges.base import JudgeInfo
from judgekit.types import (
    Judgement,
    LabelledSolution,
    NoVerdictReason,
    Solution,
    ThresholdRule,
    labels_from_first_error,
)
from judgekit_eval.evaluate import check_benchmark
from judgekit_eval.judges.schema import Headline
from tests.eval.samples import evaluate_all, pointing_at, sample
from tests.fakes import FakeJudge

OF_SCRIPTED = "judges/scripted/orchard"


def results_of(judge: Any, solutions: Sequence[LabelledSolution], output: Path, **options: Any) -> Any:
    """Evaluate one judge and return what its `results.json` holds."""
    return evaluate_all([judge], solutions, output=output, **options).runs[0].results.as_stored()


def shop():
    """Seven solutions: errors judged right, early, missed and not at all; correct ones judged right, right, wrong."""
    solutions = [sample(i, first_error=1) for i in range(4)] + [sample(i, first_error=None) for i in range(4, 7)]
    places = dict(zip([s.id for s in solutions], [1, 0, None, 1, None, None, 2], strict=True))
    judge = FakeJudge(
        {id_: pointing_at(place) for id_, place in places.items()},
        no_verdict={solutions[3].id: NoVerdictReason.TOO_LONG},
        judge_id="scripted",
    )
    return solutions, judge


def test_results_by_hand(tmp_path):
    solutions, judge = shop()
    results = results_of(judge, solutions, tmp_path / "run")
    assert results == read_json(tmp_path / "run" / OF_SCRIPTED / "results.json")
    values = results["subsets"]["shop"]
    scores = values["scores"]
    # errors: 1 of 4; correct: 2 of 3; F1 = 2 * 1/4 * 2/3 / (11/12) = 4/11
    assert scores["error_accuracy"]["value"] == 25.0
    assert scores["correct_accuracy"]["value"] == pytest.approx(200 / 3, abs=1e-12)
    assert scores["f1"]["value"] == pytest.approx(400 / 11, abs=1e-12)
    assert scores["f1"]["lo"] <= scores["f1"]["value"] <= scores["f1"]["hi"]
    # without the unjudged one: errors 1 of 3, so F1 = 2 * 1/3 * 2/3 = 4/9
    assert scores["f1_scored"]["value"] == pytest.approx(400 / 9, abs=1e-12)
    assert (scores["accuracy"]["value"], scores["accuracy_scored"]["value"]) == (pytest.approx(300 / 7), 50.0)
    assert (values["n"], values["n_error"], values["n_correct"]) == (7, 4, 3)
    assert (values["n_no_verdict"], values["no_verdict"]) == (1, {"too_long": 1})
    assert values["cost"] == results["cost"] == {"n_tokens": 210, "seconds": 3.5, "cost_usd": None}
    assert values["threshold_tuned_here"] is False
    assert results["headline"] == {"name": "pooled F1"} | results["overall"]["scores"]["f1"]
    decision = {"kind": "threshold", "threshold": 0.5, "thresholds": None, "n_default": 0, "origin": "default"}
    assert results["decision"] == decision
    assert (results["benchmark"], results["judge"]["judge_id"]) == ("orchard", "scripted")
    assert any("untouched default" in note for note in results["comparability"])
    assert any(note.startswith("1 of 7 solutions got no verdict") for note in results["comparability"])


def test_step_figures_are_of_the_steps_up_to_the_error(tmp_path):
    solutions, judge = shop()
    steps = results_of(judge, solutions, tmp_path / "run")["subsets"]["shop"]["steps"]
    # reached steps: the errors give .75 .25x / .25 .75x / .75 .75x (x = the error), the correct ones 9 steps, one .25
    assert steps["n_steps"] == 15
    nll = -(4 * math.log(0.25) + 11 * math.log(0.75)) / 15
    assert steps["nll"]["value"] == pytest.approx(nll, abs=1e-12)
    assert [(b["count"], b["lo"]) for b in steps["bins"] if b["count"]] == [(3, 0.2), (12, 0.7)]


def test_predictions_tell_no_error_from_no_verdict(tmp_path):
    solutions, judge = shop()
    evaluate_all([judge], solutions, output=tmp_path / "run")
    frame = pl.read_parquet(tmp_path / "run" / OF_SCRIPTED / "predictions.parquet")
    assert frame["id"].to_list() == [s.id for s in solutions]
    assert frame["gold"].to_list() == [1, 1, 1, 1, None, None, None]
    assert frame["predicted"].to_list() == [1, 0, None, None, None, None, 2]
    assert frame["no_verdict"].to_list() == [None, None, None, "too_long", None, None, None]
    assert frame["outcome"].to_list() == ["right", "early", "missed", "no_verdict", "right", "right", "false_alarm"]
    assert frame["labels"].to_list()[0] == ["ok", "error", "unlabelled"]
    assert frame["threshold"].to_list() == [0.5] * 7
    assert frame["posterior"].to_list()[0] == list(pointing_at(1))
    assert frame["p_ok"].to_list()[0] == pytest.approx([0.75, 0.25, 0.75], abs=1e-12)
    assert frame["posterior"].to_list()[3] is None


def of_source(source: str, solutions: Sequence[LabelledSolution]) -> list[LabelledSolution]:
    return [solution.model_copy(update={"source": source}) for solution in solutions]


def unequal() -> list[LabelledSolution]:
    """Two solutions of `shop`, five of `mill`."""
    solutions = [sample(0, first_error=0), sample(1, first_error=None)]
    return (
        solutions
        + [sample(i, first_error=0, subset="mill") for i in range(2, 6)]
        + [sample(6, first_error=None, subset="mill")]
    )


def test_processbench_is_the_unweighted_mean_of_its_subsets_with_the_pooled_figures_beside_it(tmp_path):
    solutions = of_source("processbench", unequal())
    places = dict(zip([s.id for s in solutions], [0, None, 0, 1, 1, 1, None], strict=True))
    judge = FakeJudge({id_: pointing_at(place) for id_, place in places.items()})
    results = results_of(judge, solutions, tmp_path / "run")
    # shop: 1 and 1, F1 1; mill: 1/4 and 1, F1 0.4; mean 0.7, whatever the sizes
    assert results["overall"]["scores"]["f1"]["value"] == pytest.approx(70.0, abs=1e-12)
    assert results["overall"]["scores"]["error_accuracy"]["value"] == pytest.approx(62.5, abs=1e-12)
    assert list(results["subsets"]) == ["shop", "mill"]
    assert results["overall"]["n"] == 7
    # all at once: 2 of 5 errors and 2 of 2 correct ones, F1 4/7
    assert results["pooled"]["scores"]["f1"]["value"] == pytest.approx(400 / 7)
    # one's own data have no convention of their own: pooled
    own = results_of(FakeJudge(judge.posteriors), unequal(), tmp_path / "own")
    assert own["headline"] == {"name": "pooled F1"} | own["pooled"]["scores"]["f1"]
    assert own["headline"]["value"] == pytest.approx(400 / 7)
    assert own["subsets"]["mill"]["scores"]["f1"]["value"] == pytest.approx(40.0)


def test_a_subset_of_one_class_takes_the_average_and_not_the_pooled_figure_and_that_is_said(tmp_path):
    solutions = [sample(0, first_error=0), sample(1, first_error=None), sample(2, first_error=None, subset="mill")]
    judge = FakeJudge({s.id: pointing_at(s.first_error) for s in solutions}, judge_id="scripted")
    results = results_of(judge, of_source("processbench", solutions), tmp_path / "run")
    nothing = {"value": None, "lo": None, "hi": None}
    assert results["subsets"]["shop"]["scores"]["f1"]["value"] == 100.0
    assert results["subsets"]["mill"]["scores"]["f1"] == results["overall"]["scores"]["f1"] == nothing
    assert results["headline"]["value"] is None
    assert results["overall"]["scores"]["correct_accuracy"]["value"] == 100.0
    assert results["pooled"]["scores"]["f1"]["value"] == 100.0
    reason = "No F1 for mill, erroneous or correct solutions alone, and so no average; pooled figures exist."
    assert results["undefined"] == [reason]
    for name in ("leaderboard.md", "report.html"):
        assert reason in (tmp_path / "run" / name).read_text()
    own = results_of(judge, solutions, tmp_path / "own")
    assert own["headline"]["value"] == 100.0, "of one's own data the pooled figure is the headline"
    assert own["undefined"] == ["No F1 for mill, erroneous or correct solutions alone."]
    alone = results_of(judge, solutions[1:], tmp_path / "alone")
    assert alone["headline"]["value"] is None
    assert alone["undefined"] == ["All 2 solutions are correct: F1, and whatever compares both kinds, does not exist."]


def test_many_subsets_of_a_mixture_stand_below_each_other(tmp_path):
    # 38 subsets of two solutions, 27 of which hold one class
    solutions = [
        sample(2 * k + i, first_error=1 if i and k < 11 else None, subset=f"part-{k}")
        for k in range(38)
        for i in (0, 1)
    ]
    mixed = [row.model_copy(update={"source": ("orchard", "meadow")[i % 2]}) for i, row in enumerate(solutions)]
    judge = FakeJudge({s.id: pointing_at(s.first_error if i % 4 else 0) for i, s in enumerate(mixed)})
    evaluation = evaluate_all([judge], mixed, output=tmp_path / "run", benchmark="mixture", threshold="held-out")
    results = evaluation.runs[0].results.as_stored()
    # wrong on every other of the right solutions of even subsets: 19 of 65; all 11 errors found
    assert results["headline"]["value"] == pytest.approx(200 * (46 / 65) / (1 + 46 / 65))
    assert results["pooled"]["steps"]["auroc"]["value"] is not None
    text = (tmp_path / "run/leaderboard.md").read_text()
    assert "part-11, part-12, part-13, part-14, part-15 and 22 more: 27 of 38 subsets" in text
    body = text.split("By subset:")[1].split("Caveats")[0].strip().splitlines()
    assert body[0].startswith("| subset | erroneous | correct | ") and len(body) == 2 + 38 + 1
    assert body[2].startswith("| part-0 | 1 | 1 | ") and body[-1].startswith("| pooled | 11 | 65 | ")


def test_rows_of_every_source_must_be_those_of_the_benchmark_they_are_given_as():
    def given(name, *sources):
        rows = [sample(i, first_error=0).model_copy(update={"source": source}) for i, source in enumerate(sources)]
        check_benchmark(name, rows, threshold="judge")

    given("processbench", "processbench")
    given("BIGBENCH_MISTAKE", "bigbench-mistake")
    given("mine", "mine")
    given("mine", "gsm8k", "processbench")
    given("mixed-2", "gsm8k", "prm800k")
    for name, sources, complaint in (
        (
            "processbench",
            ("processbench", "gsm8k"),
            "of 'gsm8k' .1 rows., 'processbench' .1 rows.; the first that is not",
        ),
        ("prmbench", ("gsm8k", "prm800k"), "rows given as prmbench are of 'gsm8k'"),
        ("gsm8k", ("gsm8k", "mine"), "leave out those of other sources"),
        ("procesbench", ("gsm8k", "prm800k"), "'procesbench' is not a benchmark; did you mean 'processbench'"),
        ("prm-bench", ("gsm8k", "prm800k"), "did you mean 'prmbench'"),
        ("mr_gsm_8k", ("mine", "prm800k"), "did you mean 'mr-gsm8k'"),
        ("procesbench", ("processbench",), "of the source 'processbench': name that as the benchmark$"),
        ("processbench", ("mine",), "of the source 'mine': name that as the benchmark$"),
        ("my set", ("mine",), "of the source 'mine': name that as the benchmark$"),
        ("procesbench", ("mine",), "of the source 'mine': name that .* nearest that is known .* is 'processbench'"),
    ):
        with pytest.raises(DataError, match=complaint):
            given(name, *sources)


def test_intervals_are_clustered_by_problem(tmp_path):
    # two problems with the same six solutions: every resample is the data itself, however much solutions differ
    solutions = [sample(i, first_error=None if i % 2 else 0, problem=f"Plums {i // 6}?") for i in range(12)]
    judge = FakeJudge({s.id: pointing_at(i % 3) for i, s in enumerate(solutions)})
    values = results_of(judge, solutions, tmp_path / "run")["subsets"]["shop"]
    assert values["n_problems"] == 2
    for interval in (values["scores"]["f1"], *(values["steps"][name] for name in ("ece", "brier", "nll"))):
        assert interval["lo"] == interval["hi"] == pytest.approx(interval["value"], abs=1e-12)


def test_versions_of_one_prmbench_problem_are_never_on_both_sides_of_a_split(tmp_path):
    # every class spoils the same two problems, each in a wording of its own: two clusters, no others to calibrate on
    def spoilt(index, subset):
        solution = sample(index, first_error=2, subset=subset)
        return solution.model_copy(update={"source": "prmbench", "source_id": f"prm_test_{index % 2}"})

    solutions = [spoilt(i, "circular") for i in range(4)] + [spoilt(i, "deception") for i in range(4, 8)]
    judge = FakeJudge({s.id: pointing_at(i % 3) for i, s in enumerate(solutions)}, judge_id="scripted")
    results = results_of(judge, solutions, tmp_path / "run")
    assert results["bootstrap"]["clustered_by"] == "source_id"
    assert results["conformal"]["shift"] == []
    assert results["conformal"]["subsets"]["circular"]["n_problems"] == 2
    one = [s for s in solutions if s.source_id == "prm_test_0"]
    values = results_of(judge, one, tmp_path / "one")["subsets"]["circular"]
    assert values["steps"]["brier"]["value"] is not None
    assert values["steps"]["brier"]["lo"] is None, "one cluster alone has no interval"


def test_judge_without_any_verdict(tmp_path):
    solutions, judge = shop()
    judge.no_verdict = {s.id: NoVerdictReason.TRUNCATED for s in solutions}
    results = results_of(judge, solutions, tmp_path / "run")
    values = results["subsets"]["shop"]
    assert (values["scores"]["f1"]["value"], values["steps"], values["n_no_verdict"]) == (0.0, None, 7)
    assert values["scores"]["f1_scored"]["value"] is None
    assert results["protocol"]["n_truncated"] == 7


def test_judge_sees_neither_labels_nor_reference(tmp_path):
    solution = sample(0, first_error=1).model_copy(update={"reference": "the answer is 3"})
    judge = FakeJudge({solution.id: pointing_at(1)})
    results_of(judge, [solution], tmp_path / "hidden")
    assert type(judge.seen[0]) is Solution
    assert judge.seen[0].reference is None
    results = results_of(judge, [solution], tmp_path / "shown", show_reference=True)
    assert judge.seen[1].reference == "the answer is 3"
    assert results["protocol"]["reference_shown"] is True
    assert any("see the reference" in note for note in results["comparability"])


class Forgetful:
    """Gives what another judge says, but nothing for every tenth solution that it is asked about."""

    info = JudgeInfo("forgetful", ThresholdRule())

    def __init__(self, inner: FakeJudge) -> None:
        self.inner = inner
        self.n_asked = 0

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        return [self._forgotten(item) or item for item in self.inner.judge(solutions)]

    def _forgotten(self, judgement: Judgement) -> Judgement | None:
        self.n_asked += 1
        if self.n_asked % 10:
            return None
        reason = NoVerdictReason.UNPARSABLE
        return judgement.model_copy(update={"verdict": None, "no_verdict": reason, "judge_id": self.info.judge_id})


def test_a_tenth_without_verdict_changes_the_count_and_not_the_others(tmp_path):
    # 40 erroneous and 40 correct solutions in turn; the judge is right on three of four of either class
    solutions = [sample(i, first_error=None if i % 2 else 1) for i in range(80)]
    places = {s.id: s.first_error if i % 8 < 6 else 2 for i, s in enumerate(solutions)}
    whole = FakeJudge({id_: pointing_at(place) for id_, place in places.items()}, judge_id="forgetful")
    complete = results_of(whole, solutions, tmp_path / "complete")["subsets"]["shop"]
    with_gaps = results_of(Forgetful(whole), solutions, tmp_path / "gaps")["subsets"]["shop"]
    assert (complete["n_no_verdict"], with_gaps["n_no_verdict"]) == (0, 8)
    assert with_gaps["no_verdict"] == {"unparsable": 8}
    rows = [
        pl.read_parquet(tmp_path / name / "judges/forgetful/orchard/predictions.parquet")
        for name in ("complete", "gaps")
    ]
    kept = rows[1]["no_verdict"].is_null()
    assert rows[1].filter(kept).equals(rows[0].filter(kept))
    # the forgotten ones are the 10th, 20th, ...: all correct solutions (odd index), of which index 39 and 79 mod 8 = 7
    # were wrong anyway and 9, 19, 29, 49, 59, 69 (mod 8: 1, 3, 5, 1, 3, 5) were right
    scores = {name: figure["value"] for name, figure in with_gaps["scores"].items()}
    assert scores["error_accuracy"] == complete["scores"]["error_accuracy"]["value"] == 75.0
    assert scores["correct_accuracy"] == pytest.approx(100 * (30 - 6) / 40)  # without a verdict is wrong
    scored = 100 * (30 - 6) / 32
    assert scores["f1_scored"] == pytest.approx(2 * 75 * scored / (75 + scored), abs=1e-9)
    assert scores["accuracy"] == pytest.approx(100 * 54 / 80)
    assert scores["accuracy_scored"] == pytest.approx(100 * 54 / 72)


# What is refused


def test_empty_double_and_foreign_input_is_refused_before_anything_is_judged(tmp_path):
    solutions, judge = shop()
    with pytest.raises(DataError, match="no solutions of orchard"):
        evaluate_all([judge], [], output=tmp_path / "a")
    with pytest.raises(DataError, match=f"first is {solutions[0].id}"):
        evaluate_all([judge], [*solutions, solutions[0]], output=tmp_path / "b")
    with pytest.raises(DataError, match="given as prmbench are of the source 'orchard'"):
        check_benchmark("prmbench", solutions, threshold="judge")
    with pytest.raises(ConfigError, match="orchard has no subset gsm8k, but shop"):
        evaluate_all([judge], solutions, output=tmp_path / "c", threshold="tuned:gsm8k")
    assert judge.judged == [] and not list(tmp_path.iterdir())


def test_judge_that_mixes_up_its_answers_is_caught(tmp_path):
    solutions, judge = shop()

    class Reversed(FakeJudge):
        def judge(self, solutions):
            return super().judge(solutions)[::-1]

    with pytest.raises(JudgeError, match="not theirs in the same order"):
        evaluate_all([Reversed(judge.posteriors)], solutions, output=tmp_path / "a")
    short = FakeJudge(dict.fromkeys(judge.posteriors, (0.5, 0.5)))
    with pytest.raises(JudgeError, match="verdict on 1 steps"):
        evaluate_all([short], solutions, output=tmp_path / "b")


# Resuming


class Interrupted(FakeJudge):
    """Fails at its third call, as a judge whose server is gone."""

    def judge(self, solutions):
        if len(self.judged) >= 4:
            raise JudgeError("server gone")
        return super().judge(solutions)


def test_resumed_run_equals_a_straight_one_and_judges_nothing_twice(tmp_path):
    solutions, judge = shop()
    early = FakeJudge(judge.posteriors, judge_id="early")
    straight = evaluate_all([early, judge], solutions, output=tmp_path / "straight")
    first = Interrupted(judge.posteriors, no_verdict=judge.no_verdict, judge_id="scripted")
    failed = evaluate_all([early, first], solutions, output=tmp_path / "run")
    assert [failure.line for failure in failed.failures] == ["scripted failed on orchard: server gone"]
    assert failed.runs[0].results == straight.runs[0].results, "what is finished stays, and is scored"
    for name in ("leaderboard.md", "report.html"):
        assert "scripted failed on orchard: server gone" in (tmp_path / "run" / name).read_text()
    with pytest.raises(JudgeError, match="scripted failed on orchard: server gone"):
        evaluate_all([Interrupted(judge.posteriors, judge_id="scripted")], solutions, output=tmp_path / "none")
    second = FakeJudge(judge.posteriors, no_verdict=judge.no_verdict, judge_id="scripted")
    resumed = evaluate_all([early, second], solutions, output=tmp_path / "run", resume=True)
    assert resumed.comparisons == straight.comparisons
    assert [run.results for run in resumed.runs] == [run.results for run in straight.runs]
    assert first.judged + second.judged == judge.judged
    assert len(early.judged) == 2 * len(solutions), "once for each of the two folders"
    assert products(tmp_path / "run") == products(tmp_path / "straight")


def products(run: Path) -> dict[str, bytes]:
    """Everything a run leaves but what names times or the folder: the manifest, the foot of the report."""
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name != "manifest.json")
    found = {str(path.relative_to(run)): path.read_bytes() for path in files}
    return found | {"report.html": re.sub(rb"<footer>.*?</footer>", b"", found["report.html"], flags=re.DOTALL)}


def test_resuming_with_other_judges_or_solutions_is_refused(tmp_path):
    solutions, judge = shop()
    evaluate_all([judge], solutions, output=tmp_path / "run")
    with pytest.raises(ConfigError, match="add --resume"):
        evaluate_all([judge], solutions, output=tmp_path / "run")
    other = FakeJudge(judge.posteriors, judge_id="another")
    with pytest.raises(ConfigError, match="configuration differs in judges"):
        evaluate_all([other], solutions, output=tmp_path / "run", resume=True)
    chunk = sorted((tmp_path / "run" / OF_SCRIPTED / "judgements").glob("part-*"))[1]
    chunk.write_text(chunk.read_text()[:-30])
    with pytest.raises(DataError, match="is damaged"):
        evaluate_all([judge], solutions, output=tmp_path / "run", resume=True)


def test_judge_text_with_unusual_line_ends_survives_storage(tmp_path):
    solution = sample(0, first_error=1)

    class Talking(FakeJudge):
        def judge(self, solutions):
            return [
                Judgement.model_validate(j.model_dump() | {"raw": "a\u2028b\x85c\nd"}) for j in super().judge(solutions)
            ]

    judge = Talking({solution.id: pointing_at(1)})
    evaluate_all([judge], [solution], output=tmp_path / "run")
    evaluate_all([judge], [solution], output=tmp_path / "run", resume=True)
    assert judge.judged == [solution.id]


@pytest.mark.skipif("JUDGEKIT_REAL_DATA" not in os.environ, reason="needs JUDGEKIT_REAL_DATA, the folder of real data")
def test_real_processbench_rows_with_a_perfect_and_a_silent_judge(tmp_path):
    rows = []
    for subset in ("gsm8k", "olympiadbench"):
        path = Path(os.environ["JUDGEKIT_REAL_DATA"]) / "processbench" / f"{subset}.jsonl"
        rows += [(subset, json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    solutions = [
        LabelledSolution(
            problem=row["problem"],
            steps=tuple(row["steps"]),
            labels=labels_from_first_error(None if row["label"] < 0 else row["label"], n_steps=len(row["steps"])),
            source="processbench",
            subset=subset,
            source_id=row["id"],
            generator=row["generator"],
            label_method="human",
        )
        for subset, row in rows
    ]
    perfect = FakeJudge({s.id: pointing_at(s.first_error, n_steps=len(s.steps)) for s in solutions})
    silent = FakeJudge({s.id: pointing_at(None, n_steps=len(s.steps)) for s in solutions}, judge_id="silent")
    options = {"chunk_size": 500, "n_browsed": 0}
    runs = evaluate_all([perfect, silent], solutions, output=tmp_path / "run", **options).runs
    counts = {name: (v.n, v.n_error, v.n_problems) for name, v in runs[0].results.subsets.items()}
    assert counts == {"gsm8k": (400, 207, 375), "olympiadbench": (1000, 661, 561)}
    assert runs[0].results.headline == Headline(name="average F1", value=100.0, lo=100.0, hi=100.0)
    assert runs[1].results.headline.value == 0.0
    assert runs[1].results.overall.scores["correct_accuracy"].value == 100.0
    text = (tmp_path / "run/leaderboard.md").read_text()
    assert "*quoted* Qwen2.5-Math-PRM-72B" in text and "Published ProcessBench figures are over 3,400" in text
