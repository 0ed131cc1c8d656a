"""The command `judgekit cascade`: what it writes, promises, refuses, and goes on with."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from judgekit.cli import main
from judgekit.errors import ConfigError, DataError, JudgeError
from judgekit.io import read_json, write_records
from judgekit.judges import load_judge
from judgekit.judges.builtin import BuiltinJudge
from judgekit.judges.card import read_card
from judgekit.judges.cascade import CascadeSpec, Stage
from judgekit.judges.problem_lists import ProblemList, calibration_problems
from judgekit.text.identity import group_problems
from judgekit.training.calibrate import calibrate_judge
from judgekit.training.cascade import Split, build_cascade
from judgekit.training.config import CalibrationConfig, CascadeConfig
from judgekit.types import Judgement, LabelledSolution, Solution
from tests.judgekit.samples import labelled_solutions

ROWS = list(labelled_solutions(range(150)))
MEMBERS = ["builtin:symbolic", "builtin:random"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cascade") / "data"
    write_records(folder, ROWS, record_type=LabelledSolution)
    return folder


def test_the_command_promises_an_error_and_eval_takes_the_judge(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The symbolic judge is right about every addition, with P(none) 0.9 or so and its errors surer."""
    members = ["--member", MEMBERS[0], "--member", MEMBERS[1]]
    argv = ["cascade", *members, "--data", str(data), "--output", str(tmp_path / "c")]
    assert main([*argv, "max_error=0.1", "costs=[1, 20]"]) == 0
    out = capsys.readouterr().out
    assert "guarantee: error at most 0.1 with probability 0.9; tested on 75 problems" in out
    card = read_card(tmp_path / "c")
    spec = card.spec_as(CascadeSpec)
    assert spec.promise is not None and spec.promise.n_tested == 75
    assert (spec.promise.n_sure, spec.promise.n_wrong) == (75, 0)
    assert spec.promise.shown == pytest.approx(1 - 0.1 ** (1 / 75))
    assert spec.relative_cost == pytest.approx(1 / 20)
    assert (card.metrics["f1"], card.metrics["answered/builtin:symbolic"]) == (1.0, 1.0)
    judge = load_judge(tmp_path / "c")
    assert (judge.info.members, judge.info.relative_cost) == (tuple(MEMBERS), pytest.approx(0.05))
    for row, judgement in zip(ROWS, judge.judge(ROWS), strict=True):
        assert judgement.verdict is not None and judgement.verdict.decide(judge.info.decision) == row.first_error


def test_a_promised_cost_is_what_is_asked(data: Path, tmp_path: Path) -> None:
    config = CascadeConfig(max_cost=0.95, costs=(1.0, 10.0))
    card = build_cascade(MEMBERS[::-1], data, tmp_path / "c", config)
    spec = card.spec_as(CascadeSpec)
    assert spec.promise is not None and spec.promise.shown is not None and spec.promise.shown <= 0.95
    answers = load_judge(tmp_path / "c").judge(ROWS)
    share = sum(len(judgement.asked) == 2 for judgement in answers) / len(ROWS)
    assert 0.3 < share < 0.9, "it answers the one outcome that it is more often right about"
    assert sum(card.metrics[f"answered/{name}"] or 0.0 for name in MEMBERS) == pytest.approx(1.0)
    with pytest.raises(DataError, match=r"no thresholds keep the mean cost below 0\.05 .*: 0\.13\d is the lowest"):
        build_cascade(MEMBERS[::-1], data, tmp_path / "d", config.model_copy(update={"max_cost": 0.05}))
    with pytest.raises(DataError, match="the judgements of the last member report no seconds"):
        build_cascade(MEMBERS, data, tmp_path / "d", CascadeConfig(max_cost=0.5))
    with pytest.raises(DataError, match=r"builtin:symbolic has no price for 300 of 300 judgements"):
        build_cascade(MEMBERS, data, tmp_path / "d", CascadeConfig(max_cost=0.5, cost_unit="usd"))


def test_the_commands_of_the_guide(
    tiny_judge: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_judge, "runs/probe/judge")
    shutil.copytree(data, "data/promise")
    write_records(Path("data/check"), labelled_solutions(range(200, 220)), record_type=LabelledSolution)
    block = (Path(__file__).parents[3] / "docs" / "cascade.md").read_text().split("```")[1]
    commands = [shlex.split(line.replace("SOURCE", "additions")) for line in block.strip().splitlines()]
    assert [command[1] for command in commands] == ["cascade", "cascade", "eval", "judge"]
    for program, *arguments in commands:
        assert (program, main(arguments)) == ("judgekit", 0), capsys.readouterr().err
    assert "builtin:symbolic: 40 judged, 40 answered" in capsys.readouterr().out
    assert read_json(Path("runs/judged/manifest.json"))["results"]["asked"][0]["n_answered"] == 40
    assert read_card(Path("runs/half")).spec_as(CascadeSpec).members == ("builtin:symbolic", "../probe/judge")


def test_where_no_threshold_keeps_the_error_everything_is_deferred_and_it_is_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = ["--member", "builtin:first-step", "--member", "builtin:symbolic"]
    argv = ["cascade", *members, "--data", str(data), "--output", str(tmp_path / "c"), "max_error=0.02"]
    assert main(argv) == 0
    assert "warning: no thresholds keep an error of 0.02 with probability 0.9, so every" in capsys.readouterr().out
    spec = read_card(tmp_path / "c").spec_as(CascadeSpec)
    assert spec.stages == (Stage(hi=None, lo=None),)
    assert spec.promise is not None and spec.promise.shown is None
    alone = load_judge("builtin:symbolic").judge(ROWS[:9])
    found = load_judge(tmp_path / "c").judge(ROWS[:9])
    assert [item.verdict for item in found] == [item.verdict for item in alone]


def test_a_failed_member_is_named_and_what_is_finished_is_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    judge = BuiltinJudge.judge

    def fails(self: BuiltinJudge, solutions: Sequence[Solution]) -> list[Judgement]:
        asked.extend([self.info.judge_id] * len(solutions))
        if self.info.judge_id == "builtin:random" and asked.count("builtin:random") > 200:
            raise ConnectionError("connection refused")
        return judge(self, solutions)

    monkeypatch.setattr(BuiltinJudge, "judge", fails)
    names, config = ["builtin:no-error", "builtin:random"], CascadeConfig(max_error=0.6, chunk_size=100)
    with pytest.raises(JudgeError, match="judge builtin:random failed: connection refused"):
        build_cascade(names, data, tmp_path / "c", config)
    assert not (tmp_path / "c/judge.json").exists()
    asked.clear()
    build_cascade(names, data, tmp_path / "c", config)
    assert asked == ["builtin:random"] * 100, "the last chunk of three"
    with pytest.raises(ConfigError, match="holds files of something else"):
        build_cascade(names, data, tmp_path / "c", config)


def test_a_service_that_is_not_there_is_missed_before_anything_is_judged(data: Path, tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match=r"http://127\.0\.0\.1:9"):
        build_cascade(["builtin:symbolic", "http://127.0.0.1:9"], data, tmp_path / "c", CascadeConfig(max_error=0.1))
    assert not (tmp_path / "c/judgements").exists()


def test_problems_are_never_parted_and_members_problems_test_nothing() -> None:
    problem_N = group_problems(ROWS)
    unfit = ProblemList.of(ROWS[:100])
    split = Split.of(ROWS, unfit=unfit, test_frac=0.5)
    tested = {problem for problem, is_tested in zip(problem_N, split.tested_N, strict=True) if is_tested}
    choosing = {problem for problem, chooses in zip(problem_N, split.choosing_N, strict=True) if chooses}
    assert not tested & choosing and tested | choosing == set(problem_N)
    assert split.tested_N.sum() == len(tested) == 75, "one solution of each"
    assert not any(split.tested_N[:100]) and split.choosing_N[:100].all()
    assert Split.of(ROWS[200:], unfit=ProblemList(), test_frac=0.3).tested_N.sum() == 15
    with pytest.raises(
        DataError, match="none of 150 problems can test a guarantee: 150 of them were used to calibrate"
    ):
        Split.of(ROWS, unfit=ProblemList.of(ROWS), test_frac=0.5)


def test_a_cascade_can_be_calibrated_and_knows_its_problems(data: Path, tmp_path: Path) -> None:
    build_cascade(MEMBERS, data, tmp_path / "c", CascadeConfig(max_error=0.2))
    assert calibration_problems(tmp_path / "c") == ProblemList.of(ROWS)
    stages = read_card(tmp_path / "c").spec_as(CascadeSpec).stages
    others = list(labelled_solutions(range(200, 260)))
    write_records(tmp_path / "others", others, record_type=LabelledSolution)
    calibrate_judge(tmp_path / "c", tmp_path / "others", CalibrationConfig())
    card = read_card(tmp_path / "c")
    assert card.calibrator is not None and card.conformal is not None
    judge = load_judge(tmp_path / "c")
    assert judge.info.conformal == card.conformal and judge.info.members == tuple(MEMBERS)
    assert all(judgement.asked for judgement in judge.judge(others[:5])), "who was asked is known behind a calibrator"
    assert card.spec_as(CascadeSpec).stages == stages


def test_slips_are_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="at least two members, not 1"):
        build_cascade(MEMBERS[:1], data, tmp_path / "c", CascadeConfig(max_error=0.1))
    with pytest.raises(ConfigError, match="3 costs for 2 members"):
        build_cascade(MEMBERS, data, tmp_path / "c", CascadeConfig(max_error=0.1, costs=(1, 2, 3)))
    argv = ["cascade", "--member", "a", "--member", "b", "--data", str(data), "--output", str(tmp_path / "c")]
    for options in ([], ["max_error=0.1", "max_cost=0.5"]):
        assert main([*argv, *options]) == 2
        assert "give exactly one of max_error and max_cost" in capsys.readouterr().err
