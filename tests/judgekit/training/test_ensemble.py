"""Weights of an ensemble, and the command that fits them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from judgekit.cli import main
from judgekit.errors import ConfigError, DataError
from judgekit.io import read_records, write_records
from judgekit.judges import load_judge
from judgekit.judges.card import read_card
from judgekit.judges.ensemble import EnsembleSpec
from judgekit.judges.problem_lists import TRAIN_PROBLEMS, ProblemList, calibration_problems
from judgekit.training.calibrate import calibrate_judge
from judgekit.training.config import CalibrationConfig, EnsembleConfig, EnsembleRule
from judgekit.training.ensemble import build_ensemble, fit_weights
from judgekit.types import LabelledSolution, Verdict, labels_from_first_error
from tests.judgekit.samples import labelled_solutions

RULES: list[EnsembleRule] = ["product", "mixture"]


def random_verdicts(n: int, *, seed: int = 0) -> tuple[list[tuple[Verdict, ...]], list[int | None]]:
    """Return verdicts of two members that know nothing and of one in between that is right 4 times in 5."""
    rng = np.random.default_rng(seed)
    rows, gold = list[tuple[Verdict, ...]](), list[int | None]()
    for _ in range(n):
        n_steps = int(rng.integers(1, 6))
        true = int(rng.integers(0, n_steps + 1))
        said = true if rng.random() < 0.8 else int(rng.integers(0, n_steps + 1))
        good = np.full(n_steps + 1, 0.2 / (n_steps + 1))
        good[said] += 0.8
        one, two = rng.dirichlet(np.ones(n_steps + 1), size=2)
        rows.append(tuple(Verdict(posterior=tuple(row / row.sum())) for row in (one, good, two)))
        gold.append(None if true == n_steps else true)
    return rows, gold


@pytest.mark.parametrize("rule", RULES)
def test_the_good_member_gets_the_weight(rule: EnsembleRule) -> None:
    rows, gold = random_verdicts(400)
    fitted = fit_weights(rows, gold_N=gold, rule=rule)
    assert fitted.weights_M[1] > 0.8
    assert max(fitted.weights_M[0], fitted.weights_M[2]) < 0.1
    losses = [loss for loss in fitted.member_log_loss_M if loss is not None]
    assert fitted.log_loss <= min(losses) + 1e-6


def test_mixture_weights_by_hand() -> None:
    # Of 4 truths member one gives 3 the probability 1 and the other 0; member two the reverse. The loss
    # -(3 ln w + ln(1 - w)) / 4 is least at w = 3/4.
    sure, none = Verdict(posterior=(1.0, 0.0)), Verdict(posterior=(0.0, 1.0))
    fitted = fit_weights([(sure, none)] * 4, gold_N=[0, 0, 0, None], rule="mixture")
    assert fitted.weights_M == pytest.approx((0.75, 0.25), abs=1e-3)
    assert fitted.log_loss == pytest.approx(-(3 * math.log(0.75) + math.log(0.25)) / 4, abs=1e-5)


def test_product_weights_by_hand() -> None:
    # Both members say 0.8 for the first step, which is right 2 times in 3; the pooled odds 4^(w1 + w2) must be 2.
    verdict = Verdict(posterior=(0.8, 0.2))
    fitted = fit_weights([(verdict, verdict)] * 3, gold_N=[0, 0, None], rule="product")
    assert sum(fitted.weights_M) == pytest.approx(0.5, abs=1e-3)
    assert fitted.log_loss == pytest.approx(-(2 * math.log(2 / 3) + math.log(1 / 3)) / 3, abs=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_permuting_members_permutes_weights(rule: EnsembleRule) -> None:
    rows, gold = random_verdicts(100, seed=1)
    weights = fit_weights(rows, gold_N=gold, rule=rule).weights_M
    turned = fit_weights([row[::-1] for row in rows], gold_N=gold, rule=rule).weights_M
    assert turned == pytest.approx(weights[::-1], abs=5e-3)


@pytest.mark.parametrize("rule", RULES)
def test_a_member_is_weighed_where_it_speaks(rule: EnsembleRule) -> None:
    rows, gold = random_verdicts(200, seed=2)
    half = [(row[0], row[1] if i % 2 else None) for i, row in enumerate(rows)]
    fitted = fit_weights([*half, (None, None)], gold_N=[*gold, None], rule=rule)
    assert fitted.weights_M[1] > fitted.weights_M[0]
    alone = fit_weights([(row[1],) for row in rows[1::2]], gold_N=gold[1::2], rule=rule)
    assert fitted.member_log_loss_M[1] == pytest.approx(alone.member_log_loss_M[0])


def test_nobody_says_anything() -> None:
    with pytest.raises(DataError, match="no member has a verdict on any of 2 solutions"):
        fit_weights([(None, None)] * 2, gold_N=[None, 0], rule="product")


# The command


@pytest.mark.parametrize("rule", RULES)
def test_the_command_writes_a_judge_that_eval_takes(
    rule: EnsembleRule, tiny_judge: Path, labelled_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "both"
    members = ["--member", str(tiny_judge), "--member", "builtin:symbolic"]
    assert main(["ensemble", *members, "--data", str(labelled_data), f"rule={rule}", "--output", str(output)]) == 0
    assert "builtin:symbolic: weight" in capsys.readouterr().out
    card = read_card(output)
    spec = card.spec_as(EnsembleSpec)
    assert (output / spec.members[0]).resolve() == tiny_judge.resolve()
    assert spec.members[1] == "builtin:symbolic"
    assert spec.fingerprint is not None
    assert spec.fingerprint.n_solutions == 40
    assert card.decision.origin == "best ProcessBench F1 on additions"
    run = tmp_path / "eval"
    write_records(tmp_path / "test", labelled_solutions(range(50, 60)), record_type=LabelledSolution)
    command = ["eval", "--judge", str(output), "--benchmark", "additions", str(tmp_path / "test")]
    assert main([*command, "--output", str(run), "n_resamples=100"]) == 0
    results = json.loads((run / "judges" / "both" / "additions" / "results.json").read_text())
    assert results["headline"]["value"] == 100.0  # the symbolic judge finds them all, the tiny one is random


def test_figures_are_those_of_the_pool(labelled_data: Path, tmp_path: Path) -> None:
    card = build_ensemble(["builtin:symbolic", "builtin:random"], labelled_data, tmp_path / "e", EnsembleConfig())
    solutions = list(read_records(labelled_data, LabelledSolution))
    verdicts = [judgement.verdict for judgement in load_judge(tmp_path / "e").judge(solutions)]
    probs = [
        verdict.posterior[-1 if item.first_error is None else item.first_error]
        for item, verdict in zip(solutions, verdicts, strict=True)
        if verdict is not None
    ]
    assert len(probs) == 40
    assert card.training["log_loss"] == pytest.approx(-float(np.mean(np.log(probs))), rel=1e-6)


def test_problems_a_member_was_trained_on_are_refused(tiny_judge: Path, labelled_data: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    for path in tiny_judge.iterdir():
        (tmp_path / "tiny" / path.name).symlink_to(path)
    seen = next(iter(read_records(labelled_data, LabelledSolution))).problem_id
    (tmp_path / "tiny" / TRAIN_PROBLEMS).write_text(f"{seen}\n")
    members = ["builtin:symbolic", str(tmp_path / "tiny")]
    with pytest.raises(DataError, match=r"2 of 40 solutions .* the judge .*tiny was trained on"):
        build_ensemble(members, labelled_data, tmp_path / "e", EnsembleConfig())
    write_records(tmp_path / "other", labelled_solutions(range(30, 36)), record_type=LabelledSolution)
    build_ensemble(members, tmp_path / "other", tmp_path / "e", EnsembleConfig())
    with pytest.raises(DataError, match="trained on"):  # what its members know, an ensemble knows
        calibrate_judge(tmp_path / "e", labelled_data, CalibrationConfig())
    fitted_on = ProblemList.of(read_records(tmp_path / "other", LabelledSolution))
    assert calibration_problems(tmp_path / "e") == fitted_on


def test_an_ensemble_can_be_calibrated(labelled_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    build_ensemble(["builtin:random", "builtin:symbolic"], labelled_data, tmp_path / "e", EnsembleConfig())
    calibrate_judge(tmp_path / "e", labelled_data, CalibrationConfig())
    card = read_card(tmp_path / "e")
    assert card.calibrator is not None
    item = next(iter(read_records(labelled_data, LabelledSolution)))
    raw, calibrated = (load_judge(tmp_path / "e", calibrated=on).judge([item])[0].verdict for on in (False, True))
    assert raw is not None
    assert calibrated is not None
    assert (raw.posterior == calibrated.posterior) == (card.calibrator.kind == "identity")
    assert card.conformal is None, "all problems stand behind its weights"
    assert "problems is available for them, because all are behind the judge's weights" in caplog.text


def test_slips_are_refused(labelled_data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least two members, not 1"):
        build_ensemble(["builtin:symbolic"], labelled_data, tmp_path / "e", EnsembleConfig())
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("")
    with pytest.raises(ConfigError, match="holds files of something else"):
        build_ensemble(["builtin:symbolic", "builtin:random"], labelled_data, tmp_path / "used", EnsembleConfig())


def test_members_that_are_upside_down_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The symbolic judge finds the wrong sum, and here the right ones are called wrong."""
    rows = [
        LabelledSolution(
            problem_id=f"p{row}",
            problem=f"What is {row} + 1?",
            steps=(f"{row} + 1 = {row + 1 + row % 2}.",),
            labels=labels_from_first_error(None if row % 2 else 0, n_steps=1),
            source="test",
            label_method=None,
        )
        for row in range(80)
    ]
    write_records(tmp_path / "data", rows, record_type=LabelledSolution)
    argv = ["ensemble", "--member", "builtin:symbolic", "--member", "builtin:first-step"]
    argv += ["--data", str(tmp_path / "data"), "--output"]
    assert main([*argv, str(tmp_path / "product"), "rule=product"]) == 2
    complaint = capsys.readouterr().err
    assert "no member gets any weight" in complaint and "member builtin:symbolic: the judge is reversed" in complaint
    assert not (tmp_path / "product").exists()
    assert main([*argv, str(tmp_path / "mixture"), "rule=mixture"]) == 0
    out = capsys.readouterr().out
    assert "warning: member builtin:symbolic: the judge is reversed on these data" in out
    assert "warning: the ensemble's log loss" in out
    assert len(read_card(tmp_path / "mixture").training["warnings"]) == 2
