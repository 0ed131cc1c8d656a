"""Judging a file: what is read, what is written, and that a killed run judges nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from judgekit.errors import ConfigError, DataError, JudgeError
from judgekit.judges import load_judge
from judgekit.judging.config import JudgingConfig
from judgekit.judging.run import JUDGEMENTS, judge_file, read_solutions
from judgekit.types import Judgement, LabelledSolution, NoVerdictReason, Rollout, Solution, ThresholdRule
from tests.fakes import FakeJudge
from tests.judgekit.samples import addition

KILLED_IN_THE_THIRD_CHUNK = """
import os, signal, sys
from pathlib import Path
from judgekit.judges import load_judge
from judgekit.judging.config import JudgingConfig
from judgekit.judging.run import judge_file

class Dying:
    def __init__(self):
        self.inner, self.calls = load_judge("builtin:random"), 0
        self.info = self.inner.info
    def judge(self, solutions):
        self.calls += 1
        if self.calls == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.inner.judge(solutions)

config = JudgingConfig(judge="builtin:random", data=sys.argv[1], chunk_size=2)
judge_file(Dying(), config, Path(sys.argv[2]), resume=True)
"""


def write_lines(path: Path, solutions: Sequence[Solution]) -> list[Solution]:
    path.write_text("".join(solution.model_dump_json() + "\n" for solution in solutions), encoding="utf-8")
    return list(solutions)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_lines(
        tmp_path / "in.jsonl", [Solution(problem=f"{i}?", steps=("a\u2028b", "c"), reference="7") for i in range(5)]
    )
    return tmp_path / "in.jsonl"


def even_judge(path: Path, **options: Any) -> FakeJudge:
    return FakeJudge({solution.id: [0.25, 0.25, 0.5] for solution in read_solutions(path)}, **options)


def stored(output: Path) -> list[Judgement]:
    lines = (output / JUDGEMENTS).read_text(encoding="utf-8").split("\n")
    return [Judgement.model_validate_json(line) for line in lines if line]


def test_every_solution_gets_one_line_in_order(data: Path, tmp_path: Path) -> None:
    ids = [solution.id for solution in read_solutions(data)]
    judge = even_judge(data, no_verdict={ids[3]: NoVerdictReason.TOO_LONG})
    config = JudgingConfig(judge="fake", data=data, chunk_size=2)
    judgements = judge_file(judge, config, tmp_path / "out")
    assert stored(tmp_path / "out") == judgements
    assert [judgement.solution_id for judgement in judgements] == ids == judge.judged
    assert judgements[3].no_verdict is NoVerdictReason.TOO_LONG
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["results"] == {"n": 5, "n_no_verdict": 1, "dtype": None}


@pytest.mark.parametrize(("show", "seen"), [(False, None), (True, "7")])
def test_the_reference_is_shown_only_on_request(show: bool, seen: str | None, data: Path, tmp_path: Path) -> None:
    judge = even_judge(data)
    judge_file(judge, JudgingConfig(judge="fake", data=data, show_reference=show), tmp_path / "out")
    assert {solution.reference for solution in judge.seen} == {seen}


def test_labels_are_never_shown(tmp_path: Path) -> None:
    write_lines(tmp_path / "in.jsonl", [addition(1, first_error=1)])
    (read,) = read_solutions(tmp_path / "in.jsonl")
    assert isinstance(read, LabelledSolution)
    judge = FakeJudge({read.id: [0.25] * 4})
    judge_file(judge, JudgingConfig(judge="fake", data=tmp_path / "in.jsonl"), tmp_path / "out")
    assert [type(solution) for solution in judge.seen] == [Solution]


def test_data_sets_and_lines_are_read_alike(labelled_data: Path, tmp_path: Path) -> None:
    built = read_solutions(labelled_data)
    assert len(built) == 40
    write_lines(tmp_path / "in.jsonl", built)
    assert read_solutions(tmp_path / "in.jsonl") == built
    assert read_solutions(labelled_data / "data" / "part-00000.parquet") == built


def test_rollouts_are_read_as_solutions(tmp_path: Path) -> None:
    rollout = Rollout(
        group_id="g", sample=0, problem="1+1?", prompt="1+1?", response="One.\n\nThree.", steps=("One.", "Three."),
        step_start=(0, 6), step_end=(4, 12), outcome=0.0, answer="2", source="test",
    )  # fmt: skip
    write_lines(tmp_path / "in.jsonl", [rollout])
    assert read_solutions(tmp_path / "in.jsonl") == [Solution(problem="1+1?", steps=("One.", "Three."), reference="2")]


def test_a_killed_run_continues_and_loses_nothing(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_IN_THE_THIRD_CHUNK, str(data), str(tmp_path / "out")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list((tmp_path / "out" / "chunks").iterdir())) == 2
    assert not (tmp_path / "out" / JUDGEMENTS).exists()
    ids = [solution.id for solution in read_solutions(data)]
    judge = even_judge(data, judge_id="builtin:random")
    config = JudgingConfig(judge="builtin:random", data=data, chunk_size=2)
    judgements = judge_file(judge, config, tmp_path / "out", resume=True)
    assert judge.judged == ids[4:], "only the chunk that was not finished is judged again"
    assert [judgement.solution_id for judgement in judgements] == ids


def test_resuming_with_another_judge_is_refused(data: Path, tmp_path: Path) -> None:
    config = JudgingConfig(judge="fake", data=data, chunk_size=2)
    judge_file(even_judge(data), config, tmp_path / "out")
    with pytest.raises(ConfigError, match="already holds a run"):
        judge_file(even_judge(data), config, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"was judged by 'fake', not 'other'"):
        judge_file(even_judge(data, judge_id="other"), config, tmp_path / "out", resume=True)
    sorted((tmp_path / "out" / "chunks").iterdir())[1].write_text('{"solution_id"')
    with pytest.raises(DataError, match=r"part-\w+\.jsonl, row 1 is damaged: .*Remove the file and resume"):
        judge_file(even_judge(data), config, tmp_path / "out", resume=True)


def test_a_stored_verdict_on_other_steps_is_refused(data: Path, tmp_path: Path) -> None:
    """As if somebody had put it there, or the file had been judged when its solutions had other steps."""
    config = JudgingConfig(judge="fake", data=data, chunk_size=2)
    judge_file(even_judge(data), config, tmp_path / "out")
    path = sorted((tmp_path / "out" / "chunks").iterdir())[1]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["verdict"]["posterior"] = [0.5, 0.5]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataError, match=r"part-\w+\.jsonl holds a verdict on 1 steps .* which has 2: remove it"):
        judge_file(even_judge(data), config, tmp_path / "out", resume=True)


class Careless(FakeJudge):
    """Loses, swaps or invents, as told."""

    def __init__(self, fault: str, path: Path) -> None:
        super().__init__(even_judge(path).posteriors)
        self.fault = fault

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        judgements = super().judge(solutions)
        if self.fault == "loses":
            return judgements[1:]
        if self.fault == "swaps":
            return judgements[::-1]
        self.posteriors = {key: [0.5, 0.5] for key in self.posteriors}
        return super().judge(solutions)


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("loses", "was given 5 solutions and answered 4 judgements"),
        ("swaps", "not theirs in the same order"),
        ("invents", r"gave a verdict on 1 steps for solution \w+, which has 2"),
    ],
)
def test_a_judge_that_loses_count_is_stopped(fault: str, complaint: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match=complaint):
        judge_file(Careless(fault, data), JudgingConfig(judge="fake", data=data), tmp_path / "out")
    assert not (tmp_path / "out" / JUDGEMENTS).exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("{\n", "row 1: malformed JSON"),
        ('{"problem": "?", "steps": ["a"]}\n{"problem": "?"}\n', "row 2: field 'steps' is missing"),
        ('{"problem": "?", "steps": ["a"], "labels": ["ok", "ok"]}\n', "row 1: 2 labels for 1 steps"),
        ('{"problem": "?", "steps": ["a"], "extra": 1}\n', r"row 1: Extra inputs .*'extra', value 1"),
    ],
)
def test_files_that_cannot_be_judged_are_named(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(text)
    with pytest.raises(DataError, match=rf"in\.jsonl.*{complaint}"):
        read_solutions(tmp_path / "in.jsonl")


def test_a_file_that_is_put_right_can_be_judged_in_the_same_folder(data: Path, tmp_path: Path) -> None:
    good = data.read_text(encoding="utf-8")
    data.write_text(good + "{\n", encoding="utf-8")
    config = JudgingConfig(judge="fake", data=data)
    with pytest.raises(DataError, match="row 6: malformed JSON"):
        judge_file(FakeJudge({}), config, tmp_path / "out")
    data.write_text(good, encoding="utf-8")
    assert len(judge_file(even_judge(data), config, tmp_path / "out")) == 5


@pytest.mark.parametrize("earlier_release", [False, True])
def test_equal_steps_stay_equal_through_a_resumed_run(earlier_release: bool, tmp_path: Path) -> None:
    """Whether the first chunk was written with step probabilities or, as once, with the posterior alone."""
    questions = [f"What is 1 + 1, {word}?" for word in ("please", "child", "again", "then")]
    write_lines(tmp_path / "in.jsonl", [Solution(problem=question, steps=("1 + 1 = 2",) * 9) for question in questions])
    config = JudgingConfig(judge="builtin:symbolic", data=tmp_path / "in.jsonl", chunk_size=2)
    symbolic = load_judge("builtin:symbolic")

    class Interrupted:
        info, n_calls = symbolic.info, 0

        def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
            self.n_calls += 1
            if self.n_calls > 1:
                raise KeyboardInterrupt
            return symbolic.judge(solutions)

    with pytest.raises(KeyboardInterrupt):
        judge_file(Interrupted(), config, tmp_path / "out")
    (chunk,) = (tmp_path / "out" / "chunks").iterdir()
    rows = [json.loads(line) for line in chunk.read_text(encoding="utf-8").splitlines()]
    assert all(row["verdict"]["step_probs_S"] == [0.9] * 9 for row in rows)
    if earlier_release:
        for row in rows:
            del row["verdict"]["step_probs_S"]
        chunk.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    judge_file(symbolic, config, tmp_path / "out", resume=True)
    for judgement in stored(tmp_path / "out"):
        assert judgement.verdict is not None
        assert judgement.verdict.p_ok_S == (0.9,) * 9
        assert judgement.verdict.decide(ThresholdRule(threshold=0.9)) is None
