import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from eval.processbench import PUBLISHED_SUBSETS, ProcessBenchConfig, evaluate
from judgekit.errors import ConfigError, DataError, JudgeError
from judgekit.io import read_json
from judgekit.types import (
    ArgmaxRule,
    Judgement,
    LabelledSolution,
    NoVerdictReason,
    Solution,
    ThresholdRule,
    Verdict,
    labels_from_first_error,
)
from tests.eval.samples import pointing_at, sample
from tests.fakes import FakeJudge

CONFIG = ProcessBenchConfig(chunk_size=2, n_resamples=200)


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
    results = evaluate(judge, solutions, output=tmp_path / "run", config=CONFIG)
    assert results == read_json(tmp_path / "run/results.json")
    values = results["subsets"]["shop"]
    # errors: 1 of 4; correct: 2 of 3; F1 = 2 * 1/4 * 2/3 / (11/12) = 4/11
    assert values["error_accuracy"]["value"] == 25.0
    assert values["correct_accuracy"]["value"] == pytest.approx(200 / 3, abs=1e-12)
    assert values["f1"]["value"] == pytest.approx(400 / 11, abs=1e-12)
    assert values["f1"]["lo"] <= values["f1"]["value"] <= values["f1"]["hi"]
    # without the unjudged one: errors 1 of 3, so F1 = 2 * 1/3 * 2/3 = 4/9
    assert values["f1_scored"]["value"] == pytest.approx(400 / 9, abs=1e-12)
    assert (values["n"], values["n_error"], values["n_correct"]) == (7, 4, 3)
    assert (values["n_no_verdict"], values["no_verdict"]) == (1, {"too_long": 1})
    assert values["offsets"]["early"] == values["offsets"]["missed"] == 0.25
    assert values["offsets"]["false_alarm"] == pytest.approx(1 / 3)
    assert values["cost"] == {"n_tokens": 210, "seconds": 3.5}
    assert values["threshold_tuned_here"] is False
    assert results["decision"] == {"kind": "threshold", "threshold": 0.5, "origin": "default"}
    assert results["judge_id"] == "scripted"


def test_calibration_by_hand(tmp_path):
    solutions, judge = shop()
    results = evaluate(judge, solutions, output=tmp_path / "run", config=CONFIG)
    calibration = results["subsets"]["shop"]["calibration"]
    # reached steps: the errors give .75 .25x / .25 .75x / .75 .75x (x = the error), the correct ones 9 steps, one .25
    assert calibration["n_steps"] == 15
    # at .25: right 2 of 3; at .75: right 10 of 12
    expected = (3 * abs(0.25 - 2 / 3) + 12 * abs(0.75 - 10 / 12)) / 15
    assert calibration["ece"]["value"] == pytest.approx(expected, abs=1e-12)
    # squares: 2 right at .25 cost .75^2, 1 wrong .25^2; 10 right at .75 cost .25^2, 2 wrong .75^2
    assert calibration["brier"]["value"] == pytest.approx((4 * 0.5625 + 11 * 0.0625) / 15, abs=1e-12)
    nll = -(4 * math.log(0.25) + 11 * math.log(0.75)) / 15
    assert calibration["nll"]["value"] == pytest.approx(nll, abs=1e-12)
    assert [(b["count"], b["lo"]) for b in calibration["bins"] if b["count"]] == [(3, 0.2), (12, 0.7)]


def test_predictions_tell_no_error_from_no_verdict(tmp_path):
    solutions, judge = shop()
    evaluate(judge, solutions, output=tmp_path / "run", config=CONFIG)
    frame = pl.read_parquet(tmp_path / "run/predictions.parquet")
    assert frame["id"].to_list() == [s.id for s in solutions]
    assert frame["gold"].to_list() == [1, 1, 1, 1, None, None, None]
    assert frame["predicted"].to_list() == [1, 0, None, None, None, None, 2]
    assert frame["no_verdict"].to_list() == [None, None, None, "too_long", None, None, None]
    assert frame["outcome"].to_list() == ["right", "early", "missed", "no_verdict", "right", "right", "false_alarm"]
    assert frame["posterior"].to_list()[0] == list(pointing_at(1))
    assert frame["p_ok"].to_list()[0] == pytest.approx([0.75, 0.25, 0.75], abs=1e-12)
    assert frame["posterior"].to_list()[3] is None


def test_average_is_the_unweighted_mean_of_the_subsets(tmp_path):
    solutions = [sample(0, first_error=0), sample(1, first_error=None)]
    solutions += [sample(i, first_error=0, subset="mill") for i in range(2, 6)] + [
        sample(6, first_error=None, subset="mill")
    ]
    places = dict(zip([s.id for s in solutions], [0, None, 0, 1, 1, 1, None], strict=True))
    judge = FakeJudge({id_: pointing_at(place) for id_, place in places.items()})
    results = evaluate(judge, solutions, output=tmp_path / "run", config=CONFIG)
    # shop: 1 and 1, F1 1; mill: 1/4 and 1, F1 0.4; mean 0.7, whatever the sizes
    assert results["average"]["f1"]["value"] == pytest.approx(70.0, abs=1e-12)
    assert results["average"]["error_accuracy"]["value"] == pytest.approx(62.5, abs=1e-12)
    assert results["average"]["subsets"] == ["shop", "mill"]
    assert results["average"]["n"] == 7
    assert any("average is over shop, mill" in note for note in results["comparability"])


def test_threshold_of_the_configuration_overrides_the_judge(tmp_path):
    solutions, judge = shop()
    config = CONFIG.model_copy(update={"threshold": 0.2})
    results = evaluate(judge, solutions, output=tmp_path / "run", config=config)
    assert results["decision"] == {"kind": "threshold", "threshold": 0.2, "origin": "given in the configuration"}
    assert results["subsets"]["shop"]["correct_accuracy"]["value"] == 100.0


def test_argmax_rule_of_the_judge_is_used(tmp_path):
    solutions, judge = shop()
    judge.decision = ArgmaxRule()
    results = evaluate(judge, solutions, output=tmp_path / "run", config=CONFIG)
    assert results["decision"] == {"kind": "argmax", "origin": "default"}
    # posterior of pointing_at(None) is (.25, .1875, .140625, .421875): still "none"
    assert results["subsets"]["shop"]["correct_accuracy"]["value"] == pytest.approx(200 / 3)


def test_tuned_threshold_is_flagged_where_it_was_tuned(tmp_path):
    solutions = [sample(0, first_error=0), sample(1, first_error=None)]
    solutions += [sample(2, first_error=0, subset="mill"), sample(3, first_error=None, subset="mill")]
    probs = {0: [0.6, 0.9, 0.9], 1: [0.8, 0.9, 0.9], 2: [0.6, 0.9, 0.9], 3: [0.65, 0.9, 0.9]}
    judge = FakeJudge({s.id: Verdict.from_step_probs(probs[i]).posterior for i, s in enumerate(solutions)})
    config = CONFIG.model_copy(update={"tune_threshold_on": "shop"})
    results = evaluate(judge, solutions, output=tmp_path / "run", config=config)
    assert results["decision"]["threshold"] == pytest.approx(0.7, abs=1e-12)  # the middle of (0.6, 0.8]
    assert results["decision"]["origin"] == "best F1 on shop in this evaluation"
    flags = {name: values["threshold_tuned_here"] for name, values in results["subsets"].items()}
    assert flags == {"shop": True, "mill": False}
    assert results["average"]["threshold_tuned_here"] is True
    assert results["subsets"]["shop"]["f1"]["value"] == 100.0
    assert results["subsets"]["mill"]["f1"]["value"] == 0.0
    assert results["subsets"]["mill"]["best_threshold"]["f1"] == 100.0
    assert any("upper bound" in note for note in results["comparability"])


def test_unknown_subset_to_tune_on_is_refused(tmp_path):
    solutions, judge = shop()
    config = CONFIG.model_copy(update={"tune_threshold_on": "gsm8k"})
    with pytest.raises(ConfigError, match="no subset of the input: it has shop"):
        evaluate(judge, solutions, output=tmp_path / "run", config=config)


def test_threshold_and_tuning_exclude_each_other():
    with pytest.raises(ValueError, match="exclude each other"):
        ProcessBenchConfig(threshold=0.5, tune_threshold_on="gsm8k")


def test_subset_without_errors_has_no_f1_and_says_so(tmp_path):
    solution = sample(0, first_error=None)
    judge = FakeJudge({solution.id: pointing_at(None)})
    results = evaluate(judge, [solution], output=tmp_path / "run", config=CONFIG)
    nothing = {"value": None, "lo": None, "hi": None}
    assert results["subsets"]["shop"]["f1"] == results["average"]["f1"] == nothing
    assert any("No F1 for shop" in note for note in results["comparability"])


def test_average_is_undefined_where_a_subset_lacks_a_class(tmp_path):
    solutions = [sample(0, first_error=0), sample(1, first_error=None), sample(2, first_error=None, subset="mill")]
    judge = FakeJudge({s.id: pointing_at(s.first_error) for s in solutions})
    results = evaluate(judge, solutions, output=tmp_path / "run", config=CONFIG)
    assert results["subsets"]["shop"]["f1"]["value"] == 100.0
    assert results["average"]["f1"]["value"] is None
    assert results["average"]["correct_accuracy"]["value"] == 100.0


def test_intervals_are_clustered_by_problem(tmp_path):
    # two problems with the same six solutions: every resample is the data itself, however much solutions differ
    solutions = [sample(i, first_error=None if i % 2 else 0, problem=f"Plums {i // 6}?") for i in range(12)]
    judge = FakeJudge({s.id: pointing_at(i % 3) for i, s in enumerate(solutions)})
    values = evaluate(judge, solutions, output=tmp_path / "two", config=CONFIG)["subsets"]["shop"]
    assert values["n_problems"] == 2
    for interval in (values["error_accuracy"], *(values["calibration"][name] for name in ("ece", "brier", "nll"))):
        assert interval["lo"] == interval["hi"] == pytest.approx(interval["value"], abs=1e-12)


def test_one_problem_alone_has_no_interval(tmp_path):
    solutions = [sample(i, first_error=None if i % 2 else 0, problem="How many plums?") for i in range(8)]
    judge = FakeJudge({s.id: pointing_at(i % 3) for i, s in enumerate(solutions)})
    values = evaluate(judge, solutions, output=tmp_path / "one", config=CONFIG)["subsets"]["shop"]
    assert values["n_problems"] == 1
    for interval in (values["f1"], *(values["calibration"][name] for name in ("ece", "brier", "nll"))):
        assert interval["value"] is not None
        assert (interval["lo"], interval["hi"]) == (None, None)


def test_judge_without_any_verdict(tmp_path):
    solutions, judge = shop()
    judge.no_verdict = {s.id: NoVerdictReason.REFUSED for s in solutions}
    results = evaluate(judge, solutions, output=tmp_path / "run", config=CONFIG)
    values = results["subsets"]["shop"]
    assert (values["f1"]["value"], values["calibration"], values["n_no_verdict"]) == (0.0, None, 7)
    assert values["f1_scored"]["value"] is None


def test_judge_sees_neither_labels_nor_reference(tmp_path):
    solution = sample(0, first_error=1).model_copy(update={"reference": "the answer is 3"})
    judge = FakeJudge({solution.id: pointing_at(1)})
    evaluate(judge, [solution], output=tmp_path / "hidden", config=CONFIG)
    assert type(judge.seen[0]) is Solution
    assert judge.seen[0].reference is None
    shown = CONFIG.model_copy(update={"show_reference": True})
    results = evaluate(judge, [solution], output=tmp_path / "shown", config=shown)
    assert judge.seen[1].reference == "the answer is 3"
    assert any("see the reference" in note for note in results["comparability"])


def test_empty_and_double_input_is_refused(tmp_path):
    solutions, judge = shop()
    with pytest.raises(DataError, match="no solutions"):
        evaluate(judge, [], output=tmp_path / "a", config=CONFIG)
    with pytest.raises(DataError, match=f"first is {solutions[0].id}"):
        evaluate(judge, [*solutions, solutions[0]], output=tmp_path / "b", config=CONFIG)


def test_judge_that_mixes_up_its_answers_is_caught(tmp_path):
    solutions, judge = shop()

    class Reversed(FakeJudge):
        def judge(self, solutions):
            return super().judge(solutions)[::-1]

    with pytest.raises(JudgeError, match="not theirs in the same order"):
        evaluate(Reversed(judge.posteriors), solutions, output=tmp_path / "a", config=CONFIG)
    short = FakeJudge(dict.fromkeys(judge.posteriors, (0.5, 0.5)))
    with pytest.raises(JudgeError, match="verdict on 1 steps"):
        evaluate(short, solutions, output=tmp_path / "b", config=CONFIG)


class Interrupted(FakeJudge):
    """Fails at its third call."""

    def judge(self, solutions):
        if len(self.judged) >= 2 * CONFIG.chunk_size:
            raise JudgeError("server gone")
        return super().judge(solutions)


def test_resumed_run_equals_a_straight_one_and_judges_nothing_twice(tmp_path):
    solutions, judge = shop()
    straight = evaluate(judge, solutions, output=tmp_path / "straight", config=CONFIG)
    first = Interrupted(judge.posteriors, no_verdict=judge.no_verdict, judge_id="scripted")
    with pytest.raises(JudgeError, match="server gone"):
        evaluate(first, solutions, output=tmp_path / "run", config=CONFIG)
    second = FakeJudge(judge.posteriors, no_verdict=judge.no_verdict, judge_id="scripted")
    resumed = evaluate(second, solutions, output=tmp_path / "run", config=CONFIG, resume=True)
    assert resumed == straight
    assert first.judged + second.judged == judge.judged
    for name in ("results.json", "report.html", "predictions.parquet"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_resuming_with_other_judge_or_solutions_is_refused(tmp_path):
    solutions, judge = shop()
    evaluate(judge, solutions, output=tmp_path / "run", config=CONFIG)
    with pytest.raises(ConfigError, match="add --resume"):
        evaluate(judge, solutions, output=tmp_path / "run", config=CONFIG)
    other = FakeJudge(judge.posteriors, judge_id="another")
    with pytest.raises(ConfigError, match="judged by 'scripted', not 'another'"):
        evaluate(other, solutions, output=tmp_path / "run", config=CONFIG, resume=True)
    with pytest.raises(DataError, match="judgements of other solutions"):
        evaluate(judge, solutions[1:], output=tmp_path / "run", config=CONFIG, resume=True)
    chunk = tmp_path / "run/judgements/chunk-00001.jsonl"
    chunk.write_text(chunk.read_text()[:-30])
    with pytest.raises(DataError, match="is damaged"):
        evaluate(judge, solutions, output=tmp_path / "run", config=CONFIG, resume=True)


def test_judge_text_with_unusual_line_ends_survives_storage(tmp_path):
    solution = sample(0, first_error=1)

    class Talking(FakeJudge):
        def judge(self, solutions):
            return [
                Judgement.model_validate(j.model_dump() | {"raw": "a\u2028b\x85c\nd"}) for j in super().judge(solutions)
            ]

    judge = Talking({solution.id: pointing_at(1)})
    evaluate(judge, [solution], output=tmp_path / "run", config=CONFIG)
    evaluate(judge, [solution], output=tmp_path / "run", config=CONFIG, resume=True)
    assert judge.judged == [solution.id]


SLOW_RUN = """
import sys, time
from pathlib import Path
from eval.processbench import ProcessBenchConfig, evaluate
from tests.eval.samples import pointing_at, sample
from tests.fakes import FakeJudge

class Slow(FakeJudge):
    def judge(self, solutions):
        with open(sys.argv[2], "a") as log:
            for solution in solutions:
                time.sleep(float(sys.argv[3]))
                log.write(solution.id + chr(10))
                log.flush()
        return super().judge(solutions)

solutions = [sample(i, first_error=None if i % 3 else i % 2) for i in range(40)]
judge = Slow({s.id: pointing_at(i % 4 if i % 4 < 3 else None) for i, s in enumerate(solutions)})
config = ProcessBenchConfig(chunk_size=4, n_resamples=100)
evaluate(judge, solutions, output=Path(sys.argv[1]), config=config, resume="--resume" in sys.argv)
"""


def slow_run(output: Path, log: Path, *flags: str, seconds_each: float = 0.0) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SLOW_RUN, str(output), str(log), str(seconds_each), *flags]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_killed_run_resumes_to_the_same_result(tmp_path):
    assert slow_run(tmp_path / "straight", tmp_path / "straight.log").wait(timeout=60) == 0
    process = slow_run(tmp_path / "run", tmp_path / "first.log", seconds_each=0.03)
    chunks = tmp_path / "run/judgements"
    deadline = time.monotonic() + 60
    while len(list(chunks.glob("chunk-*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    n_kept = len(list(chunks.glob("chunk-*")))
    assert 3 <= n_kept < 10
    assert not (tmp_path / "run/results.json").exists()
    assert slow_run(tmp_path / "run", tmp_path / "second.log", "--resume").wait(timeout=60) == 0
    assert (tmp_path / "run/results.json").read_bytes() == (tmp_path / "straight/results.json").read_bytes()
    straight = pl.read_parquet(tmp_path / "straight/predictions.parquet")
    assert pl.read_parquet(tmp_path / "run/predictions.parquet").equals(straight)
    everything = (tmp_path / "straight.log").read_text().split()
    assert (tmp_path / "second.log").read_text().split() == everything[4 * n_kept :]


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
    results = evaluate(perfect, solutions, output=tmp_path / "perfect", config=ProcessBenchConfig(n_resamples=200))
    counts = {name: (v["n"], v["n_error"], v["n_problems"]) for name, v in results["subsets"].items()}
    assert counts == {"gsm8k": (400, 207, 375), "olympiadbench": (1000, 661, 561)}
    assert results["average"]["f1"] == {"value": 100.0, "lo": 100.0, "hi": 100.0}
    silent = FakeJudge({s.id: pointing_at(None, n_steps=len(s.steps)) for s in solutions}, decision=ThresholdRule())
    results = evaluate(silent, solutions, output=tmp_path / "silent", config=ProcessBenchConfig(n_resamples=200))
    assert results["average"]["f1"]["value"] == 0.0
    assert results["average"]["correct_accuracy"]["value"] == 100.0
    assert set(counts) < PUBLISHED_SUBSETS
