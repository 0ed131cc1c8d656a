"""The position prior: hazards counted by hand, a decision chosen honestly, and an ordinary judge directory."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from judgekit.cli import main
from judgekit.errors import ConfigError, DataError
from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.card import read_card
from judgekit.judges.position_prior import PositionPriorSpec, prior_verdict
from judgekit.judges.problem_lists import calibration_problems, train_problems
from judgekit.ties import rounded
from judgekit.training.calibrate import calibrate_judge
from judgekit.training.config import CalibrationConfig, PriorConfig
from judgekit.training.floors import count_hazards
from judgekit.training.prior import build_prior
from judgekit.types import (
    ArgmaxRule,
    LabelledSolution,
    NoVerdictReason,
    Solution,
    ThresholdRule,
    labels_from_first_error,
)


def made(first_error: int | None, n_steps: int, *, problem: str = "p", copy: int = 0) -> LabelledSolution:
    return LabelledSolution(
        problem_id=problem,
        problem=f"problem {problem}",
        steps=tuple(f"step {k} of copy {copy}" for k in range(n_steps)),
        labels=labels_from_first_error(first_error, n_steps=n_steps),
        source="test",
        generator="model-a",
        label_method=None,
    )


def stored(folder: Path, solutions: list[LabelledSolution]) -> Path:
    write_records(folder, solutions, record_type=LabelledSolution)
    return folder


def drawn(n: int, *, hazards: list[float], first_problem: int = 0, seed: int = 0) -> list[LabelledSolution]:
    """Return solutions of 2 to 5 steps whose first errors follow the hazards, each of a problem of its own."""
    rng = random.Random(seed)
    solutions = []
    for row in range(n):
        n_steps = rng.randint(2, 5)
        wrong = next((k for k in range(n_steps) if rng.random() < hazards[min(k, len(hazards) - 1)]), None)
        solutions.append(made(wrong, n_steps, problem=f"p{first_problem + row}", copy=row))
    return solutions


def test_hazards_by_hand() -> None:
    solutions = [made(0, 3), made(1, 3), made(None, 3), made(3, 4)]
    # Reached and wrong by step: 4 and 1, 3 and 1, 2 and 0, 1 and 1: 3 wrong of 10, so a pseudo-step is 0.3 wrong.
    hazards = count_hazards(solutions, PriorConfig(n_bins=3, smoothing=2.0))
    assert hazards == pytest.approx([(1 + 0.6) / 6, (1 + 0.6) / 5, (0 + 1 + 0.6) / 5])
    # By thirds: steps 0, 1, 2 of three, and 0, 0, 1, 2 of four steps.
    by_thirds = count_hazards(solutions, PriorConfig(n_bins=3, by="relative", smoothing=2.0))
    assert by_thirds == pytest.approx([(1 + 0.6) / 7, (1 + 0.6) / 5, (1 + 0.6) / 4])
    assert count_hazards(solutions, PriorConfig(n_bins=6))[5] == pytest.approx(0.3), "nobody came there"


def test_a_prior_is_an_ordinary_judge(tmp_path: Path) -> None:
    data = stored(tmp_path / "data", drawn(300, hazards=[0.1, 0.3, 0.2]))
    card = build_prior(data, tmp_path / "prior", PriorConfig(n_bins=3))
    assert card == read_card(tmp_path / "prior")
    judge = load_judge(tmp_path / "prior")
    assert isinstance(judge, Judge)
    spec = card.spec_as(PositionPriorSpec)
    h = spec.hazards
    assert h == pytest.approx([0.1, 0.3, 0.2], abs=0.06)
    long, none = judge.judge([Solution(problem="?", steps=("a", "b", "c", "d")), Solution(problem="?", steps=())])
    assert long.verdict is not None
    expected = [h[0], (1 - h[0]) * h[1], (1 - h[0]) * (1 - h[1]) * h[2]]
    expected += [math.prod(1 - x for x in h) * h[2], math.prod(1 - x for x in h) * (1 - h[2])]
    assert long.verdict.posterior == pytest.approx(expected)
    assert none.no_verdict is NoVerdictReason.EMPTY
    assert {name for _, name in train_problems(tmp_path / "prior").pairs} == {f"p{i}" for i in range(300)}
    assert calibration_problems(tmp_path / "prior") == train_problems(tmp_path / "prior"), "of its threshold"
    fingerprint = spec.fingerprint
    assert (fingerprint.n_problems, fingerprint.min_steps, fingerprint.max_steps) == (300, 2, 5)


def test_the_rule_with_the_better_cross_fitted_figure_is_taken(tmp_path: Path) -> None:
    """Errors are rare at every step, so that argmax never names one and has F1 0."""
    data = stored(tmp_path / "late", drawn(300, hazards=[0.02, 0.1, 0.12]))
    card = build_prior(data, tmp_path / "prior", PriorConfig())
    assert card.metrics["f1_argmax_cross_fitted"] == 0
    assert card.metrics["f1_threshold_cross_fitted"] == pytest.approx(0.34, abs=0.05)
    assert isinstance(card.decision, ThresholdRule)
    assert card.decision.origin == "best ProcessBench F1 on late"


def test_argmax_is_taken_where_a_threshold_is_no_better(tmp_path: Path) -> None:
    """Two steps are always right and four always wrong at step 2: both rules know all."""
    solutions = [made(2 if row % 2 else None, 4 if row % 2 else 2, problem=f"p{row}") for row in range(40)]
    card = build_prior(stored(tmp_path / "data", solutions), tmp_path / "prior", PriorConfig())
    assert card.metrics == {"f1_argmax_cross_fitted": 1.0, "f1_threshold_cross_fitted": 1.0}
    assert card.decision == ArgmaxRule()


def test_a_prior_reads_nothing_so_no_calibrator_is_kept_for_it(tmp_path: Path) -> None:
    """Data with other error rates want another prior: a calibrator of this one would only count positions anew."""
    data = stored(tmp_path / "data", drawn(200, hazards=[0.02, 0.2], seed=2))
    build_prior(data, tmp_path / "prior", PriorConfig(n_bins=2))
    with pytest.raises(DataError, match="200 of 200 solutions belong to problems the judge prior was trained on"):
        calibrate_judge(tmp_path / "prior", data, CalibrationConfig())
    harder = stored(tmp_path / "harder", drawn(400, hazards=[0.3, 0.7], first_problem=500, seed=1))
    report = calibrate_judge(tmp_path / "prior", harder, CalibrationConfig())
    assert report.after == report.before
    assert set(report.chosen_by_fold) == {"identity"}
    assert "probabilities are unchanged" in report.warnings[0]
    [before] = load_judge(tmp_path / "prior").judge([made(0, 4)])
    assert before.verdict is not None and before.verdict.p_none > 0.5


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = stored(tmp_path / "data", drawn(60, hazards=[0.3, 0.3]))
    assert main(["prior", "--data", str(data), "--output", str(tmp_path / "prior"), "by=relative", "n_bins=2"]) == 0
    assert "first error, by relative, in percent: 3" in capsys.readouterr().out
    judge = ["judge", "--judge", str(tmp_path / "prior")]
    assert main([*judge, "--problem", "What is 1 + 1?", "--step", "1 + 1 = 2"]) == 0
    assert main(["prior", "--data", str(data), "--output", str(tmp_path / "prior")]) == 2
    assert "holds files of something else, for example judge.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("solutions", "complaint"),
    [
        ([made(None, 2, problem=f"p{i}") for i in range(4)], "0 wrong ones of 4, on 4 problems"),
        ([made(0, 2, problem=f"p{i}") for i in range(4)], "4 wrong ones of 4, on 4 problems"),
        ([made(0, 2), made(None, 3)], "1 wrong ones of 2, on 1 problems"),
    ],
)
def test_data_that_make_no_prior_are_refused(solutions: list[LabelledSolution], complaint: str, tmp_path: Path) -> None:
    data = stored(tmp_path / "data", solutions)
    with pytest.raises(DataError, match=complaint):
        build_prior(data, tmp_path / "prior", PriorConfig())
    assert not (tmp_path / "prior").exists()


def test_slips_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file, but a run needs a folder"):
        build_prior(tmp_path / "data", tmp_path / "file", PriorConfig())


def test_a_threshold_is_not_put_between_places_that_only_rounding_tells_apart(tmp_path: Path) -> None:
    # Equally many errors at each of four places: all hazards are equal, so no threshold tells any step from another.
    solutions = [made(k, 4, problem=f"w{i}{k}") for i in range(3) for k in range(4)]
    solutions += [made(None, 4, problem=f"r{i}") for i in range(12)]
    hazards = count_hazards(solutions, PriorConfig(n_bins=1))
    verdict = prior_verdict(hazards, by="position", n_steps=4)
    assert len(set(verdict.p_ok_S)) == 1
    assert verdict.p_ok_S[0] == rounded(1 - hazards[0])
    card = build_prior(stored(tmp_path / "data", solutions), tmp_path / "prior", PriorConfig(n_bins=1))
    for metric in card.metrics.values():
        assert metric == 0.0, "whoever flags the first step of all, or none, has no F1"
    # With real steps between places the threshold lies between them, not beside one.
    card = build_prior(
        stored(tmp_path / "more", drawn(600, hazards=[0.5, 0.1, 0.1, 0.1, 0.1])), tmp_path / "prior2", PriorConfig()
    )
    spec = card.spec_as(PositionPriorSpec)
    assert isinstance(card.decision, ThresholdRule)
    assert min(abs(1 - hazard - card.decision.threshold) for hazard in spec.hazards) > 1e-6
