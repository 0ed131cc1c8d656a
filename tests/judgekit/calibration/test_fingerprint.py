"""What is told of data that a judge was not calibrated on, and when it is logged."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from judgekit.calibration.card import Fingerprint
from judgekit.calibration.fingerprint import Origin, fingerprint_of, unfamiliar
from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.judges.card import JudgeCard, write_card
from judgekit.judges.ensemble import EnsembleSpec
from judgekit.judges.shared import SharedJudge
from judgekit.judges.unfamiliar import warn_unfamiliar
from judgekit.judging.config import JudgingConfig
from judgekit.judging.run import judge_file, judge_in_chunks
from judgekit.training.calibrate import calibrate_judge
from judgekit.training.config import CalibrationConfig
from judgekit.types import LabelledSolution, Rollout, Solution, labels_from_first_error


def made(row: int, n_steps: int = 2, **fields: object) -> LabelledSolution:
    first_error = 0 if row % 2 else None
    values = {"source": "bench", "subset": "easy", "generator": "model-a"} | fields
    return LabelledSolution.model_validate(
        {
            "problem_id": f"p{row}",
            "problem": f"{row}+1?",
            "steps": tuple(f"{row}+1={row + 1 + row % 2}." for _ in range(n_steps)),
            "labels": labels_from_first_error(first_error, n_steps=n_steps),
            "label_method": None,
        }
        | values
    )


def rollout(**fields: object) -> Rollout:
    values = {"generator": "model-a", "source": "bench"} | fields
    spans = {"response": "a b", "steps": ("a", "b"), "step_start": (0, 2), "step_end": (1, 3)}
    rest = {"group_id": "g", "sample": 0, "problem": "?", "prompt": "?", "outcome": 0.0}
    return Rollout.model_validate(values | spans | rest)


CALIBRATED_ON = [made(row, n_steps=2 + row % 3) for row in range(12)]
FINGERPRINT = fingerprint_of(Path("runs/split"), CALIBRATED_ON)


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    """Return a directory of the symbolic judge, calibrated."""
    write_records(tmp_path / "split", CALIBRATED_ON, record_type=LabelledSolution)
    section = EnsembleSpec(members=("builtin:symbolic",), rule="product", weights=(1.0,))
    (tmp_path / "judge").mkdir()
    write_card(tmp_path / "judge", JudgeCard(judge_id="symbolic", spec=section))
    calibrate_judge(tmp_path / "judge", tmp_path / "split", CalibrationConfig(conformal_frac=None))
    return tmp_path / "judge"


def test_the_fingerprint_says_what_was_there() -> None:
    assert FINGERPRINT.model_dump(exclude={"sha256"}) == {
        "data": "split",
        "n_solutions": 12,
        "n_problems": 12,
        "sources": ("bench",),
        "generators": ("model-a",),
        "subsets": ("bench/easy",),
        "min_steps": 2,
        "max_steps": 4,
    }


def test_familiar_data_give_no_sentence() -> None:
    assert unfamiliar(FINGERPRINT, CALIBRATED_ON) == []
    assert unfamiliar(FINGERPRINT, [made(99, n_steps=3), rollout(), Solution(problem="?", steps=("a", "b"))]) == []


@pytest.mark.parametrize(
    ("solution", "sentence"),
    [
        (made(0, source="other", subset=None), "come from sources that the calibration data split lack: other."),
        (made(0, subset="hard"), "come from subsets that the calibration data split lack: bench/hard."),
        (made(0, generator="model-b"), "are by generators that the calibration data split lack: model-b."),
        (made(0, generator=None), "are by generators that the calibration data split lack: unknown."),
        (rollout(generator="policy"), "are by generators that the calibration data split lack: policy."),
        (made(0, n_steps=1), "have numbers of steps (1 to 1) outside those of the calibration data split (2 to 4)."),
        (made(0, n_steps=9), "have numbers of steps (9 to 9) outside those of the calibration data split (2 to 4)."),
        (Origin(generator="policy"), "are by generators that the calibration data split lack: policy."),
    ],
)
def test_unfamiliar_data_are_named(solution: LabelledSolution | Rollout | Origin, sentence: str) -> None:
    assert unfamiliar(FINGERPRINT, [made(1), solution]) == [f"1 of 2 solutions {sentence}"]


def test_many_unfamiliar_names_are_cut() -> None:
    [sentence] = unfamiliar(FINGERPRINT, [made(0, generator=f"m{i}") for i in range(9)])
    assert sentence.endswith("lack: m0, m1, m2, m3, m4 and 4 more.")


def test_an_older_fingerprint_holds_nothing_against_what_it_does_not_say() -> None:
    old = Fingerprint(data="d", sha256="0", n_solutions=1, n_problems=1, sources=("bench",), generators=("model-a",))
    assert unfamiliar(old, [made(0, n_steps=50, subset="hard")]) == []


def test_the_fingerprint_is_found_through_what_lies_around_a_judge(calibrated: Path) -> None:
    judge = load_judge(calibrated)
    assert judge.info.fingerprint == SharedJudge(judge, 1).info.fingerprint == FINGERPRINT
    assert load_judge(calibrated, calibrated=False).info.fingerprint is None
    assert load_judge("builtin:random").info.fingerprint is None


def test_the_warning_comes_once_for_each_judge_and_only_on_unfamiliar_data(
    calibrated: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    judge = load_judge(calibrated)

    def run(name: str, solutions: list[LabelledSolution]) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="judgekit.judges.unfamiliar"):
            judge_in_chunks(judge, solutions, folder=tmp_path / name, chunk_size=4, show_reference=False)
        return [record.getMessage() for record in caplog.records]

    assert run("familiar", CALIBRATED_ON) == []
    [warning] = run("foreign", [made(row, generator="model-b") for row in range(5)])
    assert warning.startswith("judge symbolic may be off here: 5 of 5 solutions are by generators")
    assert run("again", [made(row, generator="model-c") for row in range(5)]) == []
    judge = load_judge(calibrated)
    assert len(run("another", [made(row, generator="model-c") for row in range(5)])) == 1


def test_responses_in_a_file_keep_their_policy(
    calibrated: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    write_records(tmp_path / "groups", [rollout(generator="policy-x")], record_type=Rollout)
    config = JudgingConfig(judge=str(calibrated), data=tmp_path / "groups")
    judge_file(load_judge(calibrated), config, tmp_path / "out")
    assert "1 of 1 solutions are by generators that the calibration data split lack: policy-x." in caplog.text


def test_an_uncalibrated_judge_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    warn_unfamiliar(load_judge("builtin:random"), [made(0, generator="model-b")])
    assert not caplog.records
