"""Fitting a likelihood judge: the map, the steps that count, and the whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from judgekit.cli import main
from judgekit.errors import ConfigError, DataError
from judgekit.io import read_records, write_records
from judgekit.judges import load_judge
from judgekit.judges.card import read_card
from judgekit.judges.golden import EXAMPLES, golden_difference
from judgekit.judges.problem_lists import train_problems
from judgekit.judges.steps.likelihood import LikelihoodJudge
from judgekit.judges.steps.specs import LikelihoodSpec
from judgekit.training.classifier import train_classifier
from judgekit.training.config import ClassifierConfig, LikelihoodConfig
from judgekit.training.floors import POSITION, fit_floor
from judgekit.training.likelihood import find_odd_direction, fit_likelihood, fit_map, reached_features
from judgekit.types import LabelledSolution
from tests.judgekit.samples import addition, labelled_solutions


def config(base: Path, *data: Path, **fields: Any) -> LikelihoodConfig:
    return LikelihoodConfig.model_validate({"model": str(base), "data": data} | fields)


def test_a_known_map_is_found_again() -> None:
    rng = np.random.default_rng(0)
    features_K = rng.exponential(2.0, (20_000, 2))
    prob_ok = 1 / (1 + np.exp(-(3.0 - 1.0 * features_K[:, 0] - 0.5 * features_K[:, 1])))
    fitted = fit_map(features_K, ok_K=rng.random(20_000) < prob_ok)
    found = (fitted.bias, fitted.max_weight, fitted.mean_weight)
    # Standard errors are below 0.03 with 20,000 steps.
    assert found == pytest.approx((3.0, -1.0, -0.5), abs=0.15)


def test_steps_of_one_kind_are_refused() -> None:
    for ok, word in ((True, "correct"), (False, "wrong")):
        with pytest.raises(DataError, match=f"all 3 steps are {word}: a judge needs both kinds"):
            fit_map(np.zeros((3, 2)), ok_K=np.array([ok] * 3))


def test_a_fit_the_wrong_way_round_or_of_nothing_is_called_that() -> None:
    rng = np.random.default_rng(0)
    features_K = rng.exponential(2.0, (400, 2))
    ok_K = rng.random(400) < 1 / (1 + np.exp(-(3.0 - features_K.sum(axis=1))))
    assert find_odd_direction(fit_map(features_K, ok_K=ok_K), features_K, ok_K=ok_K) is None
    turned = find_odd_direction(fit_map(features_K, ok_K=~ok_K), features_K, ok_K=~ok_K)
    assert turned is not None and turned.startswith("the fit is reversed")
    coins_K = np.tile([True, True, False, True], 100)
    nothing = find_odd_direction(fit_map(features_K, ok_K=coins_K), features_K, ok_K=coins_K)
    assert nothing is not None


@pytest.mark.parametrize("wrong", [False, True])
def test_data_of_one_kind_are_refused_before_the_model_is_opened(
    wrong: bool, labelled_data: Path, tmp_path: Path
) -> None:
    rows = [row for row in read_records(labelled_data, LabelledSolution) if (row.first_error == 0) is wrong]
    rows = rows if wrong else [row for row in rows if row.first_error is None]
    write_records(tmp_path / "data", rows, record_type=LabelledSolution)
    kind = "wrong" if wrong else "right"
    with pytest.raises(DataError, match=f"a judge needs correct and wrong steps, and all .* are of one kind, {kind}"):
        fit_likelihood(config(tmp_path / "no such model", tmp_path / "data"), tmp_path / "run")
    options = ClassifierConfig.model_validate({"model": str(tmp_path / "none"), "data": [tmp_path / "data"]})
    with pytest.raises(DataError, match=f"a judge needs correct and wrong steps, and all .* are of one kind, {kind}"):
        train_classifier(options, tmp_path / "trained")


@pytest.mark.parametrize("command", ["pretrain", "train", "fit"])
def test_no_training_writes_into_a_folder_of_something_else(
    command: str, labelled_data: Path, tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    data = str(labelled_data) if command == "pretrain" else f"[{labelled_data}]"
    assert main([command, f"model={tiny_base}", f"data={data}", "--output", str(tmp_path)]) == 2
    assert f"{tmp_path} holds files of something else, for example thesis.tex" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_whole_run(labelled_data: Path, tiny_base: Path, tmp_path: Path) -> None:
    write_records(tmp_path / "eval", labelled_solutions(range(50, 55)), record_type=LabelledSolution)
    options = config(tiny_base, labelled_data, eval_data=tmp_path / "eval")
    folder = fit_likelihood(options, tmp_path / "my-judge")
    card, judge = read_card(folder), load_judge(folder)
    assert isinstance(judge, LikelihoodJudge)
    # Right and wrong solutions to 0..19, wrong at step i % 3: steps up to the first error count.
    assert card.training["counts"] == {"solutions": 40, "steps_ok": 60 + 7 * 0 + 7 * 1 + 6 * 2, "steps_error": 20}
    assert (card.judge_id, card.kind, card.metrics["n"]) == ("my-judge", "likelihood", 10)
    below, rule = fit_floor(POSITION, list(read_records(labelled_data, LabelledSolution)))
    held_out = list(read_records(tmp_path / "eval", LabelledSolution))
    hits = [verdict.decide(rule) == item.first_error for verdict, item in zip(below(held_out), held_out, strict=True)]
    found, passed = sum(hits[1::2]) / 5, sum(hits[::2]) / 5  # each problem once right, then once wrong
    assert card.metrics["f1_floor_position"] == pytest.approx(2 * found * passed / (found + passed))
    assert len(train_problems(folder)) == 20
    features_K, ok_K = reached_features(judge, list(read_records(labelled_data, LabelledSolution)))
    assert features_K.shape == (99, 2) and ok_K.sum() == 79
    assert card.spec_as(LikelihoodSpec).fitted == fit_map(features_K, ok_K=ok_K)
    assert len(card.golden) == len(EXAMPLES) and golden_difference(judge, card.golden) <= 1e-5
    (judgement,) = judge.judge([addition(60)])
    assert judgement.verdict is not None and judgement.verdict.n_steps == 3
    assert fit_likelihood(options, tmp_path / "my-judge", resume=True) == folder
    with pytest.raises(ConfigError, match="already holds a run"):
        fit_likelihood(options, tmp_path / "my-judge")


def test_evaluation_on_training_problems_is_refused(labelled_data: Path, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="40 of 40 evaluation solutions belong to training problems"):
        fit_likelihood(config(tiny_base, labelled_data, eval_data=labelled_data), tmp_path / "run")


def test_solutions_that_are_all_too_long_are_refused(labelled_data: Path, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 40 solutions are longer than max_tokens=8"):
        fit_likelihood(config(tiny_base, labelled_data, max_tokens=8), tmp_path / "run")
