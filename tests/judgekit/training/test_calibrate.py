"""`judgekit calibrate`: calibrator, threshold, figures, and what a judge directory says about them."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import judgekit.judges
from judgekit.calibration.calibrators import CALIBRATORS, open_calibrator
from judgekit.calibration.card import CalibrationReport, TemperatureCard, describe_after
from judgekit.calibration.conformal import fresh_problems
from judgekit.calibration.fingerprint import fingerprint_of
from judgekit.cli import main
from judgekit.errors import CheckpointError, DataError
from judgekit.io import read_records, write_records
from judgekit.judges.card import read_card, write_card
from judgekit.judges.problem_lists import TRAIN_PROBLEMS, ProblemList, calibration_problems
from judgekit.training.calibrate import calibrate_judge
from judgekit.training.config import CalibrationConfig, EnsembleConfig
from judgekit.training.ensemble import build_ensemble
from judgekit.training.floors import FLOORS, POSITION
from judgekit.types import (
    ArgmaxRule,
    Judgement,
    LabelledSolution,
    NoVerdictReason,
    Solution,
    StepLabel,
    ThresholdRule,
    Verdict,
)
from tests.fakes import FakeJudge

RIGHT, WRONG = 0.9, 0.6
"""P(step ok) that the scripted judge gives to right and to wrong steps: it finds every error but is too kind."""
CardedJudge = Callable[..., Path]
ALL_DATA = CalibrationConfig(n_folds=5, conformal_frac=None)
"""Everything goes into calibrator and threshold."""


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


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


def best_temperature(n_steps: int) -> float:
    """Return the best temperature for n steps of this judge, two thirds of them right, and ten as the judge says."""
    grid = np.exp(np.linspace(-2, 2, 40001))
    losses = np.zeros(len(grid))
    for logit, share, ok in ((math.log(9), 2 / 3, 1.0), (math.log(1.5), 1 / 3, 0.0)):
        target = (n_steps * ok + 10 * sigmoid(logit)) / (n_steps + 10)
        losses += share * (np.logaddexp(0, logit / grid) - target * logit / grid)
    return float(grid[int(np.argmin(losses))])


def test_figures_threshold_and_their_origin_by_hand(carded: CardedJudge, tmp_path: Path) -> None:
    solutions = balanced()
    folder = carded(solutions)
    config = CalibrationConfig(calibrator="temperature", n_folds=5, n_bins=10, conformal_frac=None)
    report = calibrate_judge(folder, tmp_path / "data", config)
    # Two steps of three are right at 0.9, one is wrong at 0.6; these are the bins 0.9..1 and 0.6..0.7.
    assert report.n_steps == 30
    assert report.before["ece"] == pytest.approx(2 / 3 * (1 - 0.9) + 1 / 3 * 0.6)
    assert report.before["brier"] == pytest.approx(2 / 3 * 0.1**2 + 1 / 3 * 0.6**2)
    assert report.before["nll"] == pytest.approx(-2 / 3 * math.log(0.9) - 1 / 3 * math.log(0.4))
    # what reads nothing knows that a third of the steps is wrong, in every fold
    entropy = -2 / 3 * math.log(2 / 3) - 1 / 3 * math.log(1 / 3)
    assert set(report.floors) == set(FLOORS)
    for figure, value in {"nll": entropy, "first_error_log_loss": entropy, "brier": 2 / 9, "ece": 0}.items():
        assert report.floors[POSITION][figure] == pytest.approx(value, abs=1e-9)
    assert report.before["first_error_log_loss"] == pytest.approx(report.before["nll"])  # solutions of one step
    # Every fold leaves 24 steps in the same mixture, so all cross-fitted temperatures are one; the prior's ten steps
    # weigh a little more in them than in the fit to all 30.
    in_fold, temperature = best_temperature(24), best_temperature(30)
    fold_right, fold_wrong = sigmoid(math.log(9) / in_fold), sigmoid(math.log(1.5) / in_fold)
    expected = -2 / 3 * math.log(fold_right) - 1 / 3 * math.log(1 - fold_wrong)
    assert report.after["nll"] == pytest.approx(expected, abs=1e-6)
    assert report.after["nll"] < report.before["nll"]
    assert report.after["brier"] == pytest.approx(2 / 3 * (1 - fold_right) ** 2 + 1 / 3 * fold_wrong**2, abs=1e-4)
    after_right, after_wrong = sigmoid(math.log(9) / temperature), sigmoid(math.log(1.5) / temperature)
    assert (
        sum(int(b["count"] or 0) for b in report.bins_before)
        == sum(int(b["count"] or 0) for b in report.bins_after)
        == 30
    )

    card = read_card(folder)
    assert card.calibration == report
    assert card.calibrator is not None
    assert isinstance(card.calibrator, TemperatureCard)
    assert card.calibrator.temperature == pytest.approx(temperature, rel=1e-3)
    assert ([item.kind for item in report.candidates], report.chosen_by_fold) == (["identity", "temperature"], ())
    assert (report.after_is, report.nested) == ("kept", None)
    # The log loss falls and the Brier score happens to rise, by less than this split can tell.
    assert [sentence.split(" rises ")[0] for sentence in report.warnings] == [
        "with the selected calibrator, temperature, the Brier score"
    ]
    assert isinstance(card.decision, ThresholdRule)
    # Every threshold above the wrong steps and up to the right ones is best; the middle is taken.
    assert card.decision.threshold == pytest.approx((after_right + after_wrong) / 2, abs=1e-4)
    assert card.decision.origin == "best ProcessBench F1 on data"
    fingerprint = card.calibrator.fingerprint
    assert fingerprint.sha256 == hashlib.sha256("\n".join(s.id for s in solutions).encode()).hexdigest()
    assert (fingerprint.data, fingerprint.n_solutions, fingerprint.n_problems) == ("data", 30, 10)
    assert (fingerprint.sources, fingerprint.generators) == (("test",), ("model-b", "unknown"))
    assert (fingerprint.subsets, fingerprint.min_steps, fingerprint.max_steps) == ((), 1, 1)


def test_calibrating_again_starts_from_the_bare_judge(carded: CardedJudge, tmp_path: Path) -> None:
    folder = carded(balanced())
    first = calibrate_judge(folder, tmp_path / "data", CalibrationConfig())
    card = read_card(folder)
    assert calibrate_judge(folder, tmp_path / "data", CalibrationConfig()) == first
    assert read_card(folder) == card


def test_conformal_thresholds_come_from_problems_that_nothing_else_saw(carded: CardedJudge, tmp_path: Path) -> None:
    solutions = balanced(40)
    folder = carded(solutions)
    calibrate_judge(
        folder, tmp_path / "data", CalibrationConfig(calibrator="temperature", conformal_alpha=0.2, conformal_frac=0.25)
    )
    card = read_card(folder)
    assert isinstance(card.calibrator, TemperatureCard) and card.conformal is not None
    assert (card.calibrator.fingerprint.n_problems, card.conformal.fingerprint.n_problems) == (30, 10)
    fresh = fresh_problems([solution.problem_id for solution in solutions], frac=0.25)
    mine = [solution for solution in solutions if solution.problem_id in fresh]
    assert card.conformal.fingerprint == fingerprint_of(tmp_path / "data", mine)
    # Of each problem's three solutions the wrong one has its truth below P(none), which is 0.6 before calibration. At
    # any lower threshold each of 10 problems loses 1/3, together more than the 0.2 * 11 - 1 that may be lost.
    p_none = sigmoid(math.log(WRONG / (1 - WRONG)) / card.calibrator.temperature)
    assert card.conformal.max_mass == pytest.approx(p_none)
    assert card.conformal.min_survival == card.conformal.min_survival_if_wrong == pytest.approx(p_none)
    assert (card.conformal.n_problems, card.conformal.n_problems_if_wrong, card.conformal.n_no_verdict) == (10, 10, 0)
    calibrate_judge(folder, tmp_path / "data", ALL_DATA)
    assert read_card(folder).conformal is None, "thresholds of another calibrator would promise nothing"


def test_thresholds_without_a_calibrator_are_refused(carded: CardedJudge, tmp_path: Path) -> None:
    folder = carded(balanced(40))
    calibrate_judge(folder, tmp_path / "data", CalibrationConfig())
    card = json.loads((folder / "judge.json").read_text())
    (folder / "judge.json").write_text(json.dumps(card | {"calibrator": None}))
    with pytest.raises(
        CheckpointError, match="'conformal' is about calibrated verdicts, but there is no section 'calibrator'"
    ):
        read_card(folder)


def test_problems_of_training_are_refused(carded: CardedJudge, tmp_path: Path) -> None:
    folder = carded(balanced())
    card = (folder / "judge.json").read_text()
    (folder / TRAIN_PROBLEMS).write_text("p3\np77\n")
    with pytest.raises(
        DataError, match=r"3 of 30 solutions belong to problems the judge tiny was trained on, .* problem p3"
    ):
        calibrate_judge(folder, tmp_path / "data", CalibrationConfig())
    assert (folder / "judge.json").read_text() == card
    assert calibration_problems(folder) == ProblemList()
    calibrate_judge(folder, tmp_path / "data", CalibrationConfig(n_max=9, conformal_frac=None))  # p0, p1, p2 only
    assert {name for _, name in calibration_problems(folder).pairs} == {"p0", "p1", "p2"}


@pytest.mark.parametrize(
    ("solutions", "complaint"),
    [
        ([one_step(p, 0, wrong=False) for p in range(5)], "all 5 are of one kind"),
        ([one_step(p, 0, wrong=True) for p in range(5)], "all 5 are of one kind"),
        (balanced(1), "there is only 1 problem: add data on other problems"),
    ],
)
def test_a_split_that_cannot_calibrate_is_refused(
    solutions: list[LabelledSolution], complaint: str, carded: CardedJudge, tmp_path: Path
) -> None:
    folder = carded(solutions)
    with pytest.raises(DataError, match=complaint):
        calibrate_judge(folder, tmp_path / "data", ALL_DATA)
    assert read_card(folder).calibrator is None


def test_what_is_no_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no judge\.json"):
        calibrate_judge(tmp_path, tmp_path / "data", CalibrationConfig())


def test_the_fingerprint_follows_the_solutions_and_their_order() -> None:
    a, b = one_step(0, 0, wrong=True), one_step(1, 0, wrong=False)
    prints = [fingerprint_of(Path("x/data"), rows).sha256 for rows in ([a, b], [b, a], [a])]
    assert len(set(prints)) == 3
    assert fingerprint_of(Path("x/data"), [a, b]) == fingerprint_of(Path("y/data"), [a, b])


def test_a_calibrated_judge_decides_by_its_card(carded: CardedJudge, tmp_path: Path) -> None:
    folder = carded(balanced(40))
    calibrate_judge(folder, tmp_path / "data", CalibrationConfig(calibrator="temperature"))
    card = read_card(folder)
    assert card.calibrator is not None and card.calibration is not None and card.calibrator.kind == "temperature"
    assert card.calibration.after["nll"] < card.calibration.before["nll"]


def test_a_judge_of_random_weights_is_left_as_it_is_and_says_so(
    judge_copy: Callable[..., Path], labelled_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole way with real scores, which say nothing of errors: with a free choice, and with a named kind."""
    folder = judge_copy()
    report = calibrate_judge(folder, labelled_data, CalibrationConfig())
    card, judge = read_card(folder), judgekit.judges.load_judge(folder)
    assert card.calibrator is not None and card.calibrator.kind == "identity" and judge.info.decision == card.decision
    assert report.after == report.before
    assert any("probabilities are unchanged" in sentence for sentence in report.warnings)
    assert report.warnings[0] in caplog.text
    with pytest.raises(DataError, match="calibrator=temperature is left out: "):
        calibrate_judge(folder, labelled_data, CalibrationConfig(calibrator="temperature"))


def test_an_upside_down_judge_is_called_that(carded: CardedJudge, tmp_path: Path) -> None:
    """The labels of a judge that finds every error, the other way round."""
    folder = carded(balanced(30))
    flipped = [
        s.model_copy(update={"labels": (StepLabel.OK,) if s.first_error is not None else (StepLabel.ERROR,)})
        for s in read_records(tmp_path / "data", LabelledSolution)
    ]
    write_records(tmp_path / "flipped", flipped, record_type=LabelledSolution)
    report = calibrate_judge(folder, tmp_path / "flipped", ALL_DATA)
    assert report.warnings[0].startswith("the judge is reversed on these data: of 1800 pairs")
    assert {item.kind for item in report.candidates if item.reason is None} == {"identity"}
    assert report.after == report.before and report.nested == report.before
    assert read_card(folder).calibration == report
    with pytest.raises(DataError, match=r"calibrator=temperature is left out: .*; the judge is reversed on these"):
        calibrate_judge(folder, tmp_path / "flipped", ALL_DATA.model_copy(update={"calibrator": "temperature"}))


def test_figures_after_are_those_of_the_calibrator_kept(carded: CardedJudge, tmp_path: Path) -> None:
    folder = carded(balanced(20))
    report = calibrate_judge(folder, tmp_path / "data", ALL_DATA)
    card = read_card(folder)
    assert card.calibrator is not None and report.nested is not None and len(report.chosen_by_fold) == 5
    named = CalibrationConfig(calibrator=card.calibrator.kind, conformal_frac=None)
    assert report.after == calibrate_judge(folder, tmp_path / "data", named).after
    assert describe_after(report, card.calibrator.kind) == f"after ({card.calibrator.kind}, cross-fitted)"


def test_reports_of_older_cards_say_that_their_figures_are_nested() -> None:
    figures = {"ece": 0.1, "brier": 0.1, "nll": 0.1, "first_error_log_loss": 0.1}
    old = {"before": figures, "after": figures, "bins_before": [], "bins_after": [], "n_steps": 3}
    report = CalibrationReport.model_validate(old | {"chosen_by_fold": ["platt", "beta"]})
    assert (report.after_is, report.nested, report.warnings) == ("nested", None, ())
    assert describe_after(report, "identity") == "after choosing and fitting a calibrator in every fold"


def test_a_chosen_calibrator_is_at_work(judge_copy: Callable[..., Path], labelled_data: Path) -> None:
    folder = judge_copy()
    report = calibrate_judge(folder, labelled_data, CalibrationConfig())
    card, judge = read_card(folder), judgekit.judges.load_judge(folder)
    assert card.calibrator is not None and card.calibration == report
    tried = {item.kind: item for item in report.candidates}
    assert set(tried) == set(CALIBRATORS) and len(report.chosen_by_fold) == 5
    chosen = tried[card.calibrator.kind]
    assert chosen.gap is not None and chosen.gap_std_error is not None and chosen.reason is None
    bare = judgekit.judges.load_judge(folder, calibrated=False)
    solutions = list(read_records(labelled_data, LabelledSolution))
    calibrator = open_calibrator(card.calibrator)
    for raw, calibrated in zip(bare.judge(solutions), judge.judge(solutions), strict=True):
        assert raw.verdict is not None
        assert calibrated.verdict == calibrator.calibrate(raw.verdict)


def test_a_judge_that_decides_by_argmax_keeps_doing_so(
    carded: CardedJudge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = carded(balanced())
    write_card(folder, read_card(folder).model_copy(update={"decision": ArgmaxRule()}))
    calibrate_judge(folder, tmp_path / "data", CalibrationConfig())
    assert read_card(folder).decision == ArgmaxRule()
    assert read_card(folder).calibrator is not None


def test_solutions_without_a_verdict_are_left_out(
    judge_copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Half as many verdicts: the figures are those of the judged solutions alone."""
    solutions = balanced()
    posteriors = {s.id: (0.1, 0.9) if s.first_error is None else (0.4, 0.6) for s in solutions}
    silent = {s.id: NoVerdictReason.TOO_LONG for s in solutions[:15]}
    folder, reports = judge_copy(), []
    for name, rows, reasons in (("all", solutions, silent), ("judged", solutions[15:], {})):
        judge = FakeJudge(posteriors, no_verdict=reasons)
        monkeypatch.setattr(judgekit.judges, "load_judge", lambda *_, judge=judge, **__: judge)
        write_records(tmp_path / name, rows, record_type=LabelledSolution)
        reports.append(calibrate_judge(folder, tmp_path / name, ALL_DATA))
    assert reports[0] == reports[1]
    judge = FakeJudge(posteriors, no_verdict={s.id: NoVerdictReason.TOO_LONG for s in solutions})
    monkeypatch.setattr(judgekit.judges, "load_judge", lambda *_, **__: judge)
    shutil.rmtree(folder / "judgements")
    with pytest.raises(DataError, match="no verdict on any of 30 solutions"):
        calibrate_judge(folder, tmp_path / "all", ALL_DATA)


def test_a_killed_calibration_goes_on_where_it_was(
    judge_copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    solutions = balanced()
    posteriors = {s.id: (0.1, 0.9) if s.first_error is None else (0.4, 0.6) for s in solutions}
    write_records(tmp_path / "data", solutions, record_type=LabelledSolution)
    folder, config = judge_copy(), CalibrationConfig(chunk_size=8)
    card = (folder / "judge.json").read_text()

    class Killed(FakeJudge):
        def judge(self, batch: Sequence[Solution]) -> list[Judgement]:
            if len(self.judged) >= 16:
                raise KeyboardInterrupt
            return super().judge(batch)

    judge: FakeJudge = Killed(posteriors)
    monkeypatch.setattr(judgekit.judges, "load_judge", lambda *_, **__: judge)
    with pytest.raises(KeyboardInterrupt):
        calibrate_judge(folder, tmp_path / "data", config)
    assert (folder / "judge.json").read_text() == card
    judge = FakeJudge(posteriors)
    resumed = calibrate_judge(folder, tmp_path / "data", config)
    assert judge.judged == [s.id for s in solutions[16:]]
    judge = FakeJudge(posteriors)
    assert calibrate_judge(folder, tmp_path / "data", config) == resumed
    other = CalibrationConfig(chunk_size=5, calibrator="platt", n_folds=3)
    assert calibrate_judge(folder, tmp_path / "data", other) != resumed
    assert judge.judged == [], "other options of the calibration ask nothing again"
    weights = next(folder.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes())
    calibrate_judge(folder, tmp_path / "data", other)
    assert judge.judged == [s.id for s in solutions], "a judge that was trained again is asked again"
    assert not list(folder.glob("calibration-*"))


@pytest.mark.parametrize("wrong", [False, True])
def test_data_of_one_kind_are_refused_before_anything_is_judged(
    wrong: bool, judge_copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_records(tmp_path / "data", [one_step(p, 0, wrong=wrong) for p in range(8)], record_type=LabelledSolution)

    def load(*_: object, **__: object) -> None:
        raise AssertionError("the judge was opened")

    monkeypatch.setattr(judgekit.judges, "load_judge", load)
    kind = "wrong" if wrong else "right"
    with pytest.raises(DataError, match=f"needs correct and wrong steps, and all 8 are of one kind, {kind}"):
        calibrate_judge(judge_copy(), tmp_path / "data", CalibrationConfig())
    with pytest.raises(DataError, match=f"an ensemble needs correct and wrong solutions, and all 8 .* {kind}"):
        build_ensemble(["builtin:random", "builtin:symbolic"], tmp_path / "data", tmp_path / "both", EnsembleConfig())
    assert not (tmp_path / "both").exists()


def sums(n: int, *, wrong_every: int = 3) -> list[LabelledSolution]:
    """Return solutions with stated arithmetic, which the symbolic judge recomputes."""
    return [
        LabelledSolution(
            problem_id=f"p{row}",
            problem=f"What is {row} + 2?",
            steps=(f"{row} + 1 = {row + 1}.", f"{row} + 2 = {row + 2 + (row % wrong_every == 0)}."),
            labels=(StepLabel.OK, StepLabel.ERROR if row % wrong_every == 0 else StepLabel.OK),
            source="test",
            label_method=None,
        )
        for row in range(n)
    ]


def test_a_builtin_judge_is_calibrated_in_a_directory_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_records(tmp_path / "data", sums(60), record_type=LabelledSolution)
    argv = ["calibrate", "--judge", "builtin:symbolic", "--data", str(tmp_path / "data")]
    assert main(argv) == 2
    assert "builtin:symbolic has no directory to store a calibrator in: add --output DIR" in capsys.readouterr().err
    argv += ["--output", str(tmp_path / "judge")]
    for _ in range(2):  # again into the same directory, as for any other judge
        assert main(argv) == 0
        out = capsys.readouterr().out
        assert "figures before -> after" in out and "with the choice made in every fold" in out
    judge = judgekit.judges.load_judge(tmp_path / "judge")
    judgements = judge.judge(sums(2, wrong_every=2))
    assert [item.verdict and item.verdict.decide(judge.info.decision) for item in judgements] == [1, None]
    assert read_card(tmp_path / "judge").calibrator is not None
    for judge_name, complaint in (
        ("builtin:random", "holds files of something else"),
        ("builtin:best", "unknown builtin judge 'best'"),
        (str(tmp_path / "judge"), "--output is for builtin judges"),
    ):
        given = [judge_name if word == "builtin:symbolic" else word for word in argv]
        assert main(given) == 2
        assert complaint in capsys.readouterr().err
    assert main(["calibrate", "--judge", "http://localhost:1", "--data", str(tmp_path / "data")]) == 2
    assert "calibrate the judge directory that it serves" in capsys.readouterr().err
