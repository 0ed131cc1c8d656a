"""`judgekit eval` from the command line: what it writes, prints and refuses."""

from __future__ import annotations

import contextlib
import csv
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import pytest

from judgekit.cli import main
from judgekit.errors import JudgeError
from judgekit.io import read_json
from judgekit.judges.rules.symbolic import SymbolicJudge
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.serving.config import RemoteConfig
from judgekit.serving.remote import RemoteJudge
from judgekit.types import Judgement, Solution
from judgekit_eval.api import evaluate
from tests.eval.samples import evaluate_all, sample
from tests.judgekit.serving.service import HashJudge, running_service

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Twenty rows as ProcessBench publishes them."""
    rows = [
        {
            "id": f"gsm8k-{i}",
            "generator": "m",
            "problem": f"{i}+1?",
            "steps": [f"{i}+1={i + 1 + i % 2}", f"So {i + 1 + i % 2}."],
            "final_answer_correct": not i % 2,
            "label": 0 if i % 2 else -1,
        }
        for i in range(20)
    ]
    path = tmp_path / "gsm8k.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs `judgekit eval`, demands its refusal in one line and returns that line."""

    def run(*argv: object) -> str:
        assert main(["eval", *map(str, argv), "n_resamples=100", "n_splits=2"]) == 2
        complaint = capsys.readouterr().err.strip().splitlines()[-1]
        assert complaint.startswith("error: ") and "Traceback" not in complaint
        return complaint

    return run


def test_judges_and_benchmarks_of_one_command(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run"
    command = ["eval", "--judge", "builtin:symbolic", "--judge", "builtin:first-step", "n_resamples=100"]
    command += ["--benchmark", "processbench", str(raw), "n_splits=2", "--output", str(output)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "processbench, 20 solutions: average F1" in shown and "builtin:symbolic" in shown and "cross-fitted" in shown
    symbolic = read_json(output / "judges/builtin-symbolic/processbench/results.json")
    assert symbolic["headline"]["value"] == 100.0, "the statements are recomputed"
    assert symbolic["protocol"]["contamination"]["status"] == "unknown"
    assert "measured on PRMBench, MR-GSM8K" in symbolic["protocol"]["contamination"]["note"]
    first_step = read_json(output / "judges/builtin-first-step/processbench/results.json")
    assert first_step["protocol"]["contamination"]["status"] == "none"
    assert first_step["overall"]["scores"]["error_accuracy"]["value"] == 100.0
    (pair,) = read_json(output / "comparisons.json")["processbench"]["pairs"]
    assert (pair["a"], pair["b"], pair["difference"]) == ("builtin:symbolic", "builtin:first-step", 100.0)
    config = read_json(output / "config.json")
    assert config["judges"] == ["builtin:symbolic", "builtin:first-step"]
    assert (output / "data/processbench/gsm8k/manifest.json").exists() and (output / "report.html").exists()
    finished = (output / "manifest.json").read_bytes()
    assert main([*command, "--resume"]) == 0
    assert (output / "manifest.json").read_bytes() == finished


def test_a_configuration_may_name_everything(raw: Path, tmp_path: Path) -> None:
    config = tmp_path / "eval.yaml"
    config.write_text(f"judges: ['builtin:random']\nbenchmarks: {{processbench: ['{raw}']}}\nn_resamples: 100\n")
    assert main(["eval", str(config), "n_splits=2", "--output", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run/judges/builtin-random/processbench/results.json").exists()


def test_what_is_refused(raw: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    output = ["--output", tmp_path / "run"]
    judge, benchmark = ["--judge", "builtin:random"], ["--benchmark", "processbench", raw]
    assert "field 'judges' is missing" in refused(*benchmark, *output)
    assert "field 'benchmarks' is missing" in refused(*judge, *output)
    assert "has no input: write --benchmark processbench INPUT" in refused(
        *judge, "--benchmark", "processbench", *output
    )
    assert "--benchmark processbench is given twice" in refused(*judge, *benchmark, *benchmark, *output)
    assert "two inputs of processbench are called gsm8k" in refused(*judge, *benchmark, raw, *output)
    assert "did you mean 'processbench'" in refused(*judge, "--benchmark", "procesbench", raw, *output)
    assert "gone.jsonl" in refused(*judge, "--benchmark", "processbench", tmp_path / "gone.jsonl", *output)
    assert "unknown builtin judge 'best'" in refused(*judge, "--judge", "builtin:best", *benchmark, *output)
    assert "a/b/c failed: 'a/b/c' does not exist and is not a Hub id" in refused(
        "--judge", "a/b/c", *benchmark, *output
    )
    assert not (tmp_path / "run" / "judges").exists(), "nothing was judged"


def test_one_failing_judge_does_not_take_the_others_with_it(
    raw: Path, tmp_path: Path, tiny_judge: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Path(shutil.copytree(tiny_judge, tmp_path / "broken"))
    card = json.loads((broken / "judge.json").read_text())
    (broken / "judge.json").write_text(json.dumps(card | {"judge_id": "broken"}))
    kept = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(kept[:-100])
    command = ["eval", "--judge", str(broken), "--judge", str(tiny_judge), "--judge", "builtin:symbolic"]
    command += ["--benchmark", "processbench", str(raw), "--output", str(tmp_path / "run"), "n_resamples=100"]
    command += ["n_splits=2", "chunk_size=8"]

    n_asked = 0

    def out_of_memory(self: StepLogitJudge, solutions: Sequence[Solution]) -> list[Judgement]:
        nonlocal n_asked
        n_asked += 1
        if n_asked > 1:
            raise RuntimeError("CUDA out of memory.\nTried to allocate 2 GiB")
        return judge_really(self, solutions)

    judge_really = StepLogitJudge.judge
    with monkeypatch.context() as patched:
        patched.setattr(StepLogitJudge, "judge", out_of_memory)
        assert main(command) == 2
    shown = capsys.readouterr()
    assert "builtin:symbolic" in shown.out and "report: " in shown.out
    error = shown.err.strip().splitlines()[-1]
    assert error.startswith(f"error: 2 of 3 judges failed: {broken} failed: ") and "not a readable safetensors" in error
    assert "tiny failed on processbench: judge tiny failed: CUDA out of memory. Tried to allocate 2 GiB" in error
    assert "run again with --resume for the failed ones" in error
    assert "Traceback" not in shown.err
    run = tmp_path / "run"
    assert read_json(run / "judges/builtin-symbolic/processbench/results.json")["headline"]["value"] == 100.0
    assert len(list((run / "judges/tiny/processbench/judgements").glob("part-*"))) == 1, "what it said is kept"
    assert "RuntimeError: CUDA" in (run / "judges/tiny/processbench/judgements/traceback.txt").read_text()
    for name in ("leaderboard.md", "report.html"):
        assert "CUDA out of memory" in (run / name).read_text()
    assert (run / "comparisons.json").exists() and "finished" not in read_json(run / "manifest.json")

    (broken / "model.safetensors").write_bytes(kept)
    assert main([*command, "--resume"]) == 0
    results = {path.parts[-3] for path in run.glob("judges/*/*/results.json")}
    assert results == {"broken", "tiny", "builtin-symbolic"}
    assert len(read_json(run / "comparisons.json")["processbench"]["pairs"]) == 3
    assert "Not here" not in (run / "leaderboard.md").read_text() and not list(run.rglob("traceback.txt"))
    assert "finished" in read_json(run / "manifest.json")


def test_a_run_from_before_an_option_existed_can_be_resumed(raw: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    command = ["eval", "--judge", "builtin:symbolic", "--benchmark", "processbench", str(raw), "--output", str(output)]
    command += ["n_resamples=100", "n_splits=2"]
    assert main(command) == 0
    config = read_json(output / "config.json")
    del config["floors"]
    (output / "config.json").write_text(json.dumps(config))
    assert main([*command, "--resume"]) == 0
    assert main([*command, "--resume", "floors=false"]) == 2


class DiesBeforeItsThirdCall:
    """The judge behind a service that is stopped half way through a run."""

    def __init__(self, remote: RemoteJudge, stop: Callable[[], object]) -> None:
        self.remote, self.stop, self.n_calls = remote, stop, 0
        self.info = remote.info

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        if self.n_calls == 2:
            self.stop()
        self.n_calls += 1
        return self.remote.judge(solutions)


def test_a_service_that_dies_half_way_leaves_what_is_finished(tmp_path: Path) -> None:
    solutions = [sample(i, first_error=None if i % 2 else 1) for i in range(8)]
    limits = RemoteConfig(backoff_s=0.01, max_retries=1)
    with contextlib.ExitStack() as service:
        remote = RemoteJudge(service.enter_context(running_service(HashJudge())), limits)
        with pytest.raises(JudgeError, match="resume"):
            evaluate_all([DiesBeforeItsThirdCall(remote, service.close)], solutions, output=tmp_path / "run")
    assert len([*(tmp_path / "run/judges/hash/orchard/judgements").glob("part-*")]) == 2
    behind = HashJudge()
    with running_service(behind) as url:
        again = RemoteJudge(url, limits)
        resumed = evaluate_all([again], solutions, output=tmp_path / "run", resume=True)
    assert sum(map(len, behind.batches)) == 4, "the first two chunks are not asked for again"
    assert resumed.runs[0].results.overall.n_no_verdict == 0


def test_earlier_judgements_are_reused(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Another threshold, one more judge, two evaluations in one, a part of the rows: nobody is asked twice."""
    first = ["--judge", "builtin:symbolic", "--benchmark", "processbench", str(raw), "n_resamples=100", "n_splits=2"]
    assert main(["eval", *first, "--output", str(tmp_path / "a")]) == 0
    reuse = ["eval", "--reuse", str(tmp_path / "a"), "n_resamples=200", "n_splits=2"]
    caplog.set_level(logging.INFO)
    more = ["--judge", "builtin:no-error", "threshold=judge", "n_max=8"]
    with mock.patch.object(SymbolicJudge, "judge", side_effect=AssertionError("asked again")):
        assert main([*reuse, *more, "--output", str(tmp_path / "b")]) == 0
        assert main([*reuse, "--reuse", str(tmp_path / "b"), "--output", str(tmp_path / "both")]) == 0
    assert "judgements of" in caplog.text
    results = read_json(tmp_path / "b/judges/builtin-symbolic/processbench/results.json")
    assert results["overall"]["n"] == 8 and results["headline"]["value"] == 100.0
    assert read_json(tmp_path / "both/config.json")["judges"] == ["builtin:symbolic", "builtin:no-error"]
    rows = list(csv.DictReader((tmp_path / "both/leaderboard.csv").read_text().splitlines()))
    assert {row["judge"] for row in rows} >= {"builtin:symbolic", "builtin:no-error"}
    [f1] = [row for row in rows if (row["judge"], row["subset"], row["score"]) == ("builtin:symbolic", "overall", "f1")]
    assert float(f1["value"]) == 100.0 and f1["n"] == "20"
    assert 'href="leaderboard.csv"' in (tmp_path / "both/report.html").read_text()
    capsys.readouterr()
    assert main(["eval", "--reuse", str(tmp_path), "--output", str(tmp_path / "c")]) == 2
    assert "is not the folder of an evaluation" in capsys.readouterr().err


def test_what_may_be_another_answer_is_not_reused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Ids of the user's own say nothing of a text, nor the address of a service, or an object, of what answers."""
    rows = [sample(i, first_error=None if i % 2 else 1).model_copy(update={"id": f"row-{i}"}) for i in range(8)]
    others = [row.model_copy(update={"problem": f"Again: {row.problem}"}) for row in rows]
    for name, of in (("rows", rows), ("others", others)):
        (tmp_path / f"{name}.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in of))
    settings = {"n_resamples": 100, "n_splits": 2, "floors": False}
    once = evaluate([HashJudge()], {"orchard": rows}, output=tmp_path / "object", **settings)
    asked = HashJudge()
    evaluate([asked], {"orchard": rows}, output=tmp_path / "again", reuse=[tmp_path / "object"], **settings)
    assert once.runs and sum(map(len, asked.batches)) == 8
    page = (tmp_path / "object/report.html").read_text()
    assert "came from a program" in page and "The same again" not in page

    plain = ["n_resamples=100", "n_splits=2", "floors=false"]
    first = ["--judge", "builtin:symbolic", "--benchmark", "orchard", str(tmp_path / "rows.jsonl")]
    assert main(["eval", *first, *plain, "--output", str(tmp_path / "a")]) == 0
    (tmp_path / "b.yaml").write_text("judges: [builtin:no-error]\n")
    reuse = ["eval", str(tmp_path / "b.yaml"), "--reuse", str(tmp_path / "a"), *plain]
    caplog.clear()
    with mock.patch.object(SymbolicJudge, "judge", side_effect=AssertionError("asked again")):
        assert main([*reuse, "--output", str(tmp_path / "b")]) == 0
    assert read_json(tmp_path / "b/config.json")["judges"] == ["builtin:symbolic", "builtin:no-error"]
    assert "not reused" not in caplog.text and "The same again" in (tmp_path / "b/report.html").read_text()
    more = ["--benchmark", "orchard", str(tmp_path / "others.jsonl")]
    assert main([*reuse, *more, "--output", str(tmp_path / "c")]) == 0
    assert "are not reused: the data differ" in caplog.text

    capsys.readouterr()
    (tmp_path / "a/manifest.json").write_text("{}")
    assert main([*reuse, "--output", str(tmp_path / "d")]) == 2
    assert "manifest.json is damaged" in capsys.readouterr().err


def test_a_name_is_no_formula_of_a_spreadsheet(tmp_path: Path) -> None:
    rows = [sample(i, first_error=None if i % 2 else 1) for i in range(8)]
    rows = [row.model_copy(update={"subset": "=cmd|' /C calc'!A1, <b>"}) for row in rows]
    evaluate([HashJudge()], {"orchard": rows}, output=tmp_path / "run", n_resamples=100, n_splits=2, floors=False)
    table = list(csv.DictReader((tmp_path / "run/leaderboard.csv").read_text().splitlines()))
    assert {row["subset"] for row in table} == {"'=cmd|' /C calc'!A1, <b>", "overall"}
