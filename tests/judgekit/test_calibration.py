"""Temperature, threshold, and what `judge.json` says about both."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import judgekit.judges
from judgekit.calibration import (
    TRAIN_PROBLEMS,
    CalibrationConfig,
    TemperatureCalibrator,
    calibrate_judge,
    calibration_problems,
    fingerprint_of,
    probs_to_logits,
)
from judgekit.errors import CheckpointError, DataError
from judgekit.io import write_records
from judgekit.judges.card import read_card
from judgekit.types import LabelledSolution, StepLabel, ThresholdRule, Verdict
from tests.fakes import FakeJudge

RIGHT, WRONG = 0.9, 0.6
"""P(step ok) that the scripted judge gives to right and to wrong steps: it finds every error but is too kind."""
CardedJudge = Callable[..., Path]


def log_loss(probs: np.ndarray, y: np.ndarray) -> float:
    return float(-np.mean(y * np.log(probs) + (1 - y) * np.log(1 - probs)))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# Temperature


def test_temperature_by_hand() -> None:
    # Every step has logit 2 and three of four are right, so sigmoid(2/T) = 3/4 and T = 2 / ln 3.
    calibrator = TemperatureCalibrator().fit([2.0] * 4, y_N=[1, 1, 1, 0])
    assert calibrator.temperature_ == pytest.approx(2 / math.log(3), rel=1e-4)
    assert calibrator.predict_proba([2.0, -2.0]) == pytest.approx([0.75, 0.25], abs=1e-5)


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_temperature_against_a_grid(factor: float) -> None:
    rng = np.random.default_rng(0)
    true_logits = rng.normal(1, 2, 400)
    y = (rng.random(400) < 1 / (1 + np.exp(-true_logits))).astype(float)
    logits = true_logits * factor
    grid = np.exp(np.linspace(-4, 4, 4001))
    losses = [log_loss(1 / (1 + np.exp(-np.clip(logits / t, -30, 30))), y) for t in grid]
    fitted = TemperatureCalibrator().fit(logits, y_N=y)
    assert fitted.temperature_ == pytest.approx(grid[int(np.argmin(losses))], rel=4e-3)
    assert log_loss(fitted.predict_proba(logits), y) <= min(losses) + 1e-9


def test_temperature_keeps_the_order_and_one_half() -> None:
    logits = np.linspace(-6, 6, 101)
    for temperature in (0.1, 1.0, 7.0):
        probs = TemperatureCalibrator.from_temperature(temperature).predict_proba(logits)
        assert (np.diff(probs) >= 0).all() and probs[0] < 0.5 < probs[-1]
        assert probs[50] == 0.5
    assert TemperatureCalibrator.from_temperature(1.0).predict_proba(probs_to_logits([0.3])) == pytest.approx([0.3])


@pytest.mark.parametrize("y", [[], [1, 1], [0, 0]])
def test_nothing_can_be_fitted_to_one_kind_of_step(y: Sequence[int]) -> None:
    with pytest.raises(DataError, match=f"all {len(y)} are of one kind"):
        TemperatureCalibrator().fit([0.5] * len(y), y_N=y)


def test_certain_probabilities_have_finite_logits() -> None:
    assert probs_to_logits([0.0, 0.5, 1.0]) == pytest.approx([-20.723, 0, 20.723], abs=1e-3)


# A judge directory


def one_step(problem: int, copy: int, *, wrong: bool, labels: tuple[StepLabel, ...] | None = None) -> LabelledSolution:
    return LabelledSolution(
        problem_id=f"p{problem}",
        problem=f"problem {problem}",
        steps=(f"step {copy}",),
        labels=labels or ((StepLabel.ERROR,) if wrong else (StepLabel.OK,)),
        source="test",
        generator="model-b" if wrong else None,
        label_method=None,
    )


def balanced(n_problems: int = 10) -> list[LabelledSolution]:
    """Return two right and one wrong solution for each problem."""
    return [one_step(p, copy, wrong=copy == 0) for p in range(n_problems) for copy in range(3)]


@pytest.fixture
def carded(judge_copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CardedJudge:
    """Return a function: solutions to a judge directory beside `data`, opened as a judge with scripted answers."""

    def make(solutions: list[LabelledSolution]) -> Path:
        posteriors = {
            s.id: Verdict.from_step_probs([RIGHT if s.first_error is None else WRONG]).posterior for s in solutions
        }

        def load(directory: Path, *, calibrated: bool, dtype: str) -> FakeJudge:
            assert not calibrated, "a calibrator is fitted to the bare judge, also the second time"
            return FakeJudge(posteriors)

        monkeypatch.setattr(judgekit.judges, "load_judge", load)
        write_records(tmp_path / "data", solutions, record_type=LabelledSolution)
        return judge_copy()

    return make


def test_figures_threshold_and_their_origin_by_hand(carded: CardedJudge, tmp_path: Path) -> None:
    solutions = balanced()
    folder = carded(solutions)
    report = calibrate_judge(folder, tmp_path / "data", CalibrationConfig(n_folds=5, n_bins=10))
    # Two steps of three are right at 0.9, one is wrong at 0.6; these are the bins 0.9..1 and 0.6..0.7.
    assert report.n_steps == 30
    assert report.before["ece"] == pytest.approx(2 / 3 * (1 - 0.9) + 1 / 3 * 0.6)
    assert report.before["brier"] == pytest.approx(2 / 3 * 0.1**2 + 1 / 3 * 0.6**2)
    assert report.before["nll"] == pytest.approx(-2 / 3 * math.log(0.9) - 1 / 3 * math.log(0.4))
    # Every fold leaves the same mixture, so each cross-fitted temperature is the one of the whole split.
    grid = np.exp(np.linspace(-2, 2, 40001))
    right, wrong = math.log(9) / grid, math.log(1.5) / grid
    losses = 2 / 3 * np.log1p(np.exp(-right)) + 1 / 3 * np.log1p(np.exp(wrong))
    temperature = float(grid[int(np.argmin(losses))])
    after_right, after_wrong = sigmoid(math.log(9) / temperature), sigmoid(math.log(1.5) / temperature)
    assert report.after["nll"] == pytest.approx(losses.min(), abs=1e-6)
    assert report.after["nll"] < report.before["nll"]
    assert report.after["brier"] == pytest.approx(2 / 3 * (1 - after_right) ** 2 + 1 / 3 * after_wrong**2, abs=1e-4)
    assert (
        sum(int(b["count"] or 0) for b in report.bins_before)
        == sum(int(b["count"] or 0) for b in report.bins_after)
        == 30
    )

    card = read_card(folder)
    assert card.calibration == report
    assert card.calibrator is not None
    assert card.calibrator.temperature == pytest.approx(temperature, rel=1e-3)
    assert isinstance(card.decision, ThresholdRule)
    # Every threshold above the wrong steps and up to the right ones is best; the middle is taken.
    assert card.decision.threshold == pytest.approx((after_right + after_wrong) / 2, abs=1e-4)
    assert card.decision.origin == "best ProcessBench F1 on data"
    fingerprint = card.calibrator.fingerprint
    assert fingerprint.sha256 == hashlib.sha256("\n".join(s.id for s in solutions).encode()).hexdigest()
    assert (fingerprint.data, fingerprint.n_solutions, fingerprint.n_problems) == ("data", 30, 10)
    assert (fingerprint.sources, fingerprint.generators) == (("test",), ("model-b", "unknown"))


def test_calibrating_again_starts_from_the_bare_judge(carded: CardedJudge, tmp_path: Path) -> None:
    folder = carded(balanced())
    first = calibrate_judge(folder, tmp_path / "data", CalibrationConfig())
    card = read_card(folder)
    assert calibrate_judge(folder, tmp_path / "data", CalibrationConfig()) == first
    assert read_card(folder) == card


def test_problems_of_training_are_refused(carded: CardedJudge, tmp_path: Path) -> None:
    folder = carded(balanced())
    card = (folder / "judge.json").read_text()
    (folder / TRAIN_PROBLEMS).write_text("p3\np77\n")
    with pytest.raises(
        DataError, match=r"3 of 30 solutions belong to problems the judge tiny was trained on, .* problem p3"
    ):
        calibrate_judge(folder, tmp_path / "data", CalibrationConfig())
    assert (folder / "judge.json").read_text() == card
    assert calibration_problems(folder) == set()
    calibrate_judge(folder, tmp_path / "data", CalibrationConfig(n_max=9))  # p0, p1, p2 only
    assert calibration_problems(folder) == {"p0", "p1", "p2"}


@pytest.mark.parametrize(
    ("solutions", "complaint"),
    [
        ([one_step(p, 0, wrong=False) for p in range(5)], "all 5 are of one kind"),
        ([one_step(p, 0, wrong=True) for p in range(5)], "all 5 are of one kind"),
        (balanced(1), "at least two problems"),
    ],
)
def test_a_split_that_cannot_calibrate_is_refused(
    solutions: list[LabelledSolution], complaint: str, carded: CardedJudge, tmp_path: Path
) -> None:
    folder = carded(solutions)
    with pytest.raises(DataError, match=complaint):
        calibrate_judge(folder, tmp_path / "data", CalibrationConfig())
    assert read_card(folder).calibrator is None


def test_what_is_no_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no judge\.json"):
        calibrate_judge(tmp_path, tmp_path / "data", CalibrationConfig())


def test_the_fingerprint_follows_the_solutions_and_their_order() -> None:
    a, b = one_step(0, 0, wrong=True), one_step(1, 0, wrong=False)
    prints = [fingerprint_of(Path("x/data"), rows).sha256 for rows in ([a, b], [b, a], [a])]
    assert len(set(prints)) == 3
    assert fingerprint_of(Path("x/data"), [a, b]) == fingerprint_of(Path("y/data"), [a, b])


def test_a_calibrated_judge_decides_by_its_card(judge_copy: Callable[..., Path], labelled_data: Path) -> None:
    """The whole way with real scores: calibrate, open, and find the stored temperature and threshold at work."""
    folder = judge_copy()
    calibrate_judge(folder, labelled_data, CalibrationConfig())
    card, judge = read_card(folder), judgekit.judges.load_judge(folder)
    assert card.calibrator is not None and card.calibration is not None
    assert judge.decision == card.decision
    assert card.calibration.after["nll"] < card.calibration.before["nll"]
