"""What people import: judges opened, trained, calibrated and benchmarked from Python, as the commands do."""

from __future__ import annotations

from pathlib import Path

import pytest

import judgekit
from judgekit import JudgeInfo, Judgement, LabelledSolution, NoVerdictReason, Solution, Verdict, load_judge
from judgekit.errors import ConfigError
from judgekit.io import write_records
from judgekit.types import ThresholdRule
from tests.eval.samples import sample

SMALL: dict[str, object] = {"n_resamples": 100, "n_splits": 2, "floors": False}


class PlumJudge:
    """A judge of one's own, which doubts even sentences and says nothing of long solutions."""

    info = JudgeInfo("plum", ThresholdRule())

    def judge(self, solutions: list[Solution]) -> list[Judgement]:
        said = Verdict.from_step_probs([0.9, 0.2, 0.9])
        judgements = []
        for solution in solutions:
            about = {"solution_id": solution.id, "judge_id": self.info.judge_id}
            is_long = len(solution.steps) > 3
            found = {"no_verdict": NoVerdictReason.TOO_LONG} if is_long else {"verdict": said}
            judgements.append(Judgement(**about, **found))
        return judgements


@pytest.fixture
def solutions() -> list[LabelledSolution]:
    return [sample(i, first_error=(None, 1, 0)[i % 3], n_steps=4 if i == 9 else 3) for i in range(12)]


def test_an_open_judge_and_a_named_one_are_benchmarked(tmp_path: Path, solutions: list[LabelledSolution]) -> None:
    judges = [PlumJudge(), "builtin:random"]
    done = judgekit.evaluate(judges, {"orchard": solutions}, output=tmp_path / "run", threshold="judge", **SMALL)
    plum, other = (run.results for run in done.runs)
    assert (plum.judge.judge_id, other.judge.judge_id) == ("plum", "builtin:random")
    # Of 4 with an error at 1 all are found; of 4 at 0 none; of 4 right ones none is left, one of which has no verdict.
    assert plum.overall.scores["error_accuracy"].value == 50.0
    assert plum.overall.scores["correct_accuracy"].value == 0.0
    assert plum.overall.n_no_verdict == 1
    assert (tmp_path / "run/report.html").is_file()
    again = judgekit.evaluate(
        judges, {"orchard": solutions}, output=tmp_path / "run", resume=True, threshold="judge", **SMALL
    )
    assert again.runs[0].results.overall == plum.overall
    write_records(tmp_path / "rows", solutions, record_type=LabelledSolution)
    stored = judgekit.evaluate([PlumJudge()], {"orchard": tmp_path / "rows"}, output=tmp_path / "o", **SMALL)
    assert stored.runs[0].results.overall.n == 12


def test_what_evaluate_refuses(tmp_path: Path, solutions: list[LabelledSolution]) -> None:
    with pytest.raises(ConfigError, match=r"evaluate: unknown key 'n_resample'.*n_resamples"):
        judgekit.evaluate(["builtin:random"], {"orchard": solutions}, output=tmp_path, n_resample=3)
    with pytest.raises(ConfigError, match="two judges are called plum"):
        judgekit.evaluate([PlumJudge(), PlumJudge()], {"orchard": solutions}, output=tmp_path)


def test_a_judge_is_trained_and_calibrated(tmp_path: Path) -> None:
    base = tmp_path / "base"
    for name, numbers in {"train": range(12), "held-out": range(12, 60)}.items():
        rows = [sample(i, first_error=(None, 1)[i % 2]) for i in numbers]
        write_records(tmp_path / name, rows, record_type=LabelledSolution)
    preset = {"hidden_size": 8, "n_layers": 1, "n_heads": 1, "vocab_size": 260, "max_tokens": 256}
    model = judgekit.train("language_model", output=base, data=tmp_path / "train", max_steps=1, preset=preset)
    judge = judgekit.train("likelihood", output=tmp_path / "judge", model=str(model), data=[tmp_path / "train"])
    report = judgekit.calibrate(judge, tmp_path / "held-out", n_folds=3)
    assert len(report.candidates) > 3
    opened = load_judge(judge)
    assert opened.info.fingerprint is not None, "the calibrator is in force"
    assert isinstance(opened, judgekit.Judge)


def test_what_training_refuses(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="kind 'prob' is not one of step_classifier, likelihood, probe"):
        judgekit.train("prob", output=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="train: unknown key 'learning_rate'"):
        judgekit.train("step_classifier", output=tmp_path, model="m", data=["d"], learning_rate=1)
    with pytest.raises(ConfigError, match="builtin:random has no directory to store a calibrator in"):
        judgekit.calibrate("builtin:random", tmp_path)
