"""Fitting probe judges: what is learned, what is promised, and the whole run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from judgekit.cli import main
from judgekit.errors import CheckpointError, DataError
from judgekit.io import read_json, read_records, write_json, write_records
from judgekit.judges import load_judge
from judgekit.judges.card import read_card
from judgekit.judges.exposure import find_exposure
from judgekit.judges.golden import golden_difference
from judgekit.judges.probe.heads import DomainHead, domain_of
from judgekit.judges.probe.judge import ProbeJudge
from judgekit.judges.probe.spec import HEAD_FILE, ProbeSpec
from judgekit.training.config import ProbeConfig
from judgekit.training.floors import FLOORS
from judgekit.training.probe.fit import honest_metrics, measure_groups, train_probe
from judgekit.training.probe.heads import (
    STRENGTH_OF_PRIOR,
    Labelled,
    cross_fit,
    fit_heads,
    fit_probe,
    log_losses,
    nested,
    project,
    verdicts_of,
)
from judgekit.types import LabelledSolution, Solution, WeakLabel, WeaklyLabelledSolution
from tests.judgekit.samples import addition, labelled_solutions


def config(base: Path, *data: Path, **fields: Any) -> ProbeConfig:
    return ProbeConfig.model_validate({"model": str(base), "data": data, "n_folds": 2} | fields)


def planted(n: int, *, seed: int = 0, n_hidden: int = 0, weight: float = 3.0) -> Labelled:
    """Solutions of four steps, two a problem; a step is wrong as the first feature, and hidden state 0, say."""
    rng = np.random.default_rng(seed)
    features_N, gold_N = [], []
    for _ in range(n):
        features = rng.normal(size=(4, 3 + n_hidden))
        signal = features[:, 0] + (features[:, 3] if n_hidden else 0)
        wrong = np.flatnonzero(rng.random(4) < 1 / (1 + np.exp(2.0 + weight * signal)))
        features_N.append(features)
        gold_N.append(int(wrong[0]) if len(wrong) else None)
    return Labelled(features_N, gold_N, [i // 2 for i in range(n)], signs_F=(1, 0, 0))


def test_what_is_planted_is_found_and_what_is_noise_is_worth_nothing() -> None:
    data = planted(300, n_hidden=20)
    worth = measure_groups(data, ["a/signal", "b/noise", "b/more"], kind="mean", n_folds=4, seed=0)
    assert list(worth) == ["a", "b", "hidden"]
    lo = {group: interval.lo for group, interval in worth.items()}
    assert min(lo["a"], lo["hidden"]) > 0.05 > 0.02 > worth["b"].value
    promised = honest_metrics(data, nested(data, kinds=("linear", "mean"), n_folds=4))
    fresh = planted(2000, seed=1, n_hidden=20)
    fitted = fit_probe(data, kinds=("linear", "mean"), n_folds=4)
    verdicts = verdicts_of(fitted.head, fresh.features_N)
    # what is promised is of heads fitted on three quarters of the problems, so it may be a little worse than what comes
    assert promised["log_loss"].lo - 0.03 < log_losses(verdicts, fresh.gold_N).mean() < promised["log_loss"].hi
    right = [verdict.decide(fitted.rule) == gold for verdict, gold in zip(verdicts, fresh.gold_N, strict=True)]
    assert np.mean(right) > 0.5


def test_noise_promises_nothing() -> None:
    """A procedure that chose on the problems that it reports on would promise something here."""
    data = planted(200, n_hidden=300, weight=0.0)
    prior = [np.ones((4, 1)) for _ in data.features_N]
    known = log_losses(
        cross_fit(Labelled(prior, data.gold_N, data.group_N, (0,)), ["linear"], n_folds=4, seed=0)["linear"],
        data.gold_N,
    )
    found = log_losses(nested(data, kinds=("linear", "mean"), n_folds=4).verdicts_N, data.gold_N)
    assert found.mean() > known.mean() - 0.02


def test_problems_are_never_parted() -> None:
    """Twins with one label each: whoever sees one twin in fitting knows the other's label."""
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(2, 40)) for _ in range(40)]
    gold = [int(rng.integers(2)) if rng.random() < 0.5 else None for _ in range(40)]
    rows = [i for i in range(40) for _ in (0, 1)]
    twins = Labelled([features[i] for i in rows], [gold[i] for i in rows], rows, [0] * 40)
    apart = Labelled(twins.features_N, twins.gold_N, list(range(80)), twins.signs_F)
    together, leaked = (
        log_losses(cross_fit(data, ["linear"], n_folds=4, seed=0)["linear"], data.gold_N).mean()
        for data in (twins, apart)
    )
    assert leaked < together - 0.1


def test_left_out_projections_are_those_of_ridge_regressions_without_the_fold() -> None:
    rng = np.random.default_rng(0)
    hidden_K_F, group_K = rng.normal(2.0, 3.0, size=(60, 9)), np.repeat(np.arange(20), 3)
    ok_K = (hidden_K_F[:, 0] + rng.normal(size=60) > 2).astype(float)
    head, left_out_K = project(hidden_K_F, ok_K, group_K)
    standard_K_F = (hidden_K_F - hidden_K_F.mean(axis=0)) / hidden_K_F.std(axis=0)
    for rest, fold in GroupKFold(5).split(group_K, groups=group_K):
        # sklearn's own ridge centres its rows anew, which is what an unpenalised intercept does
        ridge = Ridge(alpha=STRENGTH_OF_PRIOR).fit(standard_K_F[rest], ok_K[rest])
        np.testing.assert_allclose(left_out_K[fold], ridge.predict(standard_K_F[fold]), rtol=1e-9)
    whole = Ridge(alpha=STRENGTH_OF_PRIOR).fit(standard_K_F, ok_K)
    np.testing.assert_allclose(head.logits(hidden_K_F), whole.predict(standard_K_F), rtol=1e-9)


def test_a_judge_that_sees_what_stands_out_knows_another_level_again() -> None:
    """Features of another domain lie elsewhere and are spread otherwise: without labels of it, the figures stay."""
    here, there = planted(400), planted(400, seed=1)
    moved = [5.0 + 4.0 * features for features in there.features_N]
    head = fit_heads(here, ["linear"])["linear"]
    assert isinstance(head, DomainHead)
    at_home, lost, adapted = (
        log_losses(verdicts_of(head, features_N), there.gold_N).mean()
        for head, features_N in (
            (head, there.features_N),
            (head, moved),
            (replace(head, mean_F=domain_of(moved)[0], scale_F=domain_of(moved)[1]), moved),
        )
    )
    assert adapted == pytest.approx(at_home, abs=0.02) and lost > at_home + 0.5


def test_trees_obey_the_direction_of_evidence() -> None:
    data = planted(200, weight=-3.0)  # the feature speaks against, and may only speak for
    head = fit_heads(data, ["trees"])["trees"]
    steps_K_F = np.zeros((50, 3))
    steps_K_F[:, 0] = np.linspace(-3, 3, 50)
    assert (np.diff(head.logits(steps_K_F)) >= 0).all()


def test_the_whole_run(
    labelled_data: Path, tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_records(tmp_path / "eval", labelled_solutions(range(50, 55)), record_type=LabelledSolution)
    run = tmp_path / "my-probe"
    options = [f"model={tiny_base}", f"data=[{labelled_data}]", f"eval_data={tmp_path / 'eval'}", "n_folds=2"]
    assert main(["train", "kind=probe", *options, "--output", str(run)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"F1 .* % \[.* symbolic +\d", said, re.DOTALL) and "  hidden  " in said
    card, judge = read_card(run / "judge"), load_judge(run / "judge", dtype="float32")
    assert isinstance(judge, ProbeJudge) and card.kind == "probe"
    assert card.training["counts"] == {"solutions": 40, "left_out": 0, "problems": 20}
    assert set(card.training["ablation"]) == {*config(tiny_base, labelled_data).features} == {*judge.spec.features}
    assert find_exposure(str(run / "judge")).unsaid == ()  # threshold and head are of the same problems
    assert card.metrics["n"] == 10 and golden_difference(judge, card.golden) <= 1e-4
    # wrong additions are what the check of arithmetic sees
    assert card.training["cross_fitted"]["f1"]["value"] > 0.8 and card.metrics["f1"] > 0.7
    # and what no floor knows
    for name, floor in FLOORS.items():
        figures = card.training[name]
        assert figures["f1"]["value"] < 0.7 and f"  {100 * figures['f1']['value']:.1f} % [" in said and name in said
        assert figures["log_loss"]["lo"] > card.training["cross_fitted"]["log_loss"]["hi"]
        assert card.metrics[f"f1_{floor.key}"] < card.metrics["f1"]
    one, many = judge.judge([addition(60)]), judge.judge([addition(60), addition(61, first_error=1)])
    np.testing.assert_allclose(one[0].verdict.p_ok_S, many[0].verdict.p_ok_S, atol=1e-4)
    features = sorted((run / "features").iterdir())
    assert main(["train", "kind=probe", *options, "--output", str(run), "--resume"]) == 0
    assert sorted((run / "features").iterdir()) == features


def test_outcomes_of_other_problems_are_learned_from(
    labelled_data: Path, tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = list(labelled_solutions(range(60, 80)))
    weak = [
        WeaklyLabelledSolution(
            problem=row.problem,
            steps=row.steps,
            known="unlabelled" if row.first_error is None else "some_error",
            final_answer_correct=row.first_error is None,
            source="own",
        )
        for row in truth
    ]
    write_records(tmp_path / "weak", weak, record_type=WeaklyLabelledSolution)
    options = [f"model={tiny_base}", f"data=[{labelled_data}]", "n_max=12", "n_folds=2", "features=[length,symbolic]"]
    options += ["heads=[linear]", "ablation=false", "weak_weights=[1.0]", "right_despite_error=0.1"]
    run = tmp_path / "run"
    assert main(["train", "kind=probe", *options, f"weak=[{tmp_path / 'weak'}]", "--output", str(run)]) == 0
    said = read_card(run / "judge").training["weak"][str(tmp_path / "weak")]
    assert (said["solutions"], said["weight"], said["right_despite_error"]) == (len(weak), 1.0, 0.1)
    # arithmetic that is wrong is seen: outcomes of forty solutions say more than labels of twelve
    assert said["worth"]["value"] > 0.1 and said["worth"]["lo"] > 0
    assert (
        "40 weak labels, weight 1, right despite error 0.1; with the choice made in every fold, they are worth 0."
        in capsys.readouterr().out
    )
    # problems whose outcomes were learned from were seen
    with pytest.raises(DataError, match="belong to training problems"):
        write_records(tmp_path / "eval", truth[:4], record_type=LabelledSolution)
        train_probe(
            config(tiny_base, labelled_data, weak=[tmp_path / "weak"], eval_data=tmp_path / "eval"), tmp_path / "no"
        )
    blank = weak[0].model_copy(update={"known": WeakLabel.UNLABELLED, "final_answer_correct": None})
    write_records(tmp_path / "nothing", [blank], record_type=WeaklyLabelledSolution)
    with pytest.raises(DataError, match="no weakly labelled solution is informative"):
        train_probe(config(tiny_base, labelled_data, weak=[tmp_path / "nothing"]), tmp_path / "neither")


def test_a_killed_run_computes_no_features_twice(
    labelled_data: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, seen = config(tiny_base, labelled_data, ablation=False, features=("length", "surprisal")), []
    features = ProbeJudge.features

    def counted(self: ProbeJudge, encoded: Any) -> Any:
        if len(seen) == 32 and not (tmp_path / "again").exists():
            raise KeyboardInterrupt
        seen.extend(encoded)
        return features(self, encoded)

    monkeypatch.setattr(ProbeJudge, "features", counted)
    with pytest.raises(KeyboardInterrupt):
        train_probe(options, tmp_path / "run")
    (tmp_path / "again").touch()
    monkeypatch.setattr("judgekit.training.probe.fit.measure_golden", lambda _: ())
    train_probe(options, tmp_path / "run", resume=True)
    assert len(seen) == 40


def test_what_does_not_fit_is_refused(labelled_data: Path, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of 40 solutions has a text of at most max_tokens=8"):
        train_probe(config(tiny_base, labelled_data, max_tokens=8), tmp_path / "short")
    rights = [row for row in read_records(labelled_data, LabelledSolution) if row.first_error is None]
    write_records(tmp_path / "rights", rights, record_type=LabelledSolution)
    with pytest.raises(DataError, match="a probe judge needs correct and wrong solutions"):
        train_probe(config(tiny_base, tmp_path / "rights"), tmp_path / "one kind")
    folder = train_probe(
        config(tiny_base, labelled_data, ablation=False, features=("position", "length")), tmp_path / "run"
    )
    stored = read_json(folder / "judge.json")
    stored["spec"]["names"][0] = "position/another"
    write_json(folder / "judge.json", stored)
    with pytest.raises(CheckpointError, match="fitted on other features than this release computes"):
        load_judge(folder).judge([addition(1)])
    stored["spec"]["names"] = stored["spec"]["names"][1:]
    write_json(folder / "judge.json", stored)
    with pytest.raises(CheckpointError, match="not made for the"):
        load_judge(folder)
    (folder / HEAD_FILE).write_bytes(b"\x80\x04no pickle is opened")
    with pytest.raises(CheckpointError, match="cannot read the probe head"):
        load_judge(folder)
    assert ProbeSpec.model_fields["kind"].default == "probe"


def test_adapting_takes_solutions_and_no_labels(
    labelled_data: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = config(tiny_base, labelled_data, ablation=False, features=("length", "symbolic", "hidden"))
    judge = train_probe(options, tmp_path / "run")
    others = [Solution(problem=f"So: {item.problem}", steps=item.steps) for item in labelled_solutions(range(90, 110))]
    write_records(tmp_path / "others", others, record_type=Solution)
    command = ["adapt", "--judge", str(judge), "--data", str(tmp_path / "others"), "--output", str(tmp_path / "new")]
    with monkeypatch.context() as patch:
        patch.setattr("judgekit.training.probe.adapt.domain_of", None)  # killed once the features are there
        with pytest.raises(TypeError):
            main(command)
    monkeypatch.setattr(ProbeJudge, "features", None)  # and none is computed again
    with monkeypatch.context() as patch:
        patch.setattr("judgekit.training.probe.adapt.measure_golden", lambda judge: ())
        assert main([*command, "--resume"]) == 0
    monkeypatch.undo()
    card, before = read_card(tmp_path / "new" / "judge"), read_card(judge)
    assert card.training["adapted"] == {"from": "run", "to": "others", "solutions": 40, "left_out": 0}
    assert (card.judge_id, card.decision, card.spec, card.metrics) == ("new", before.decision, before.spec, {})
    adapted, first = load_judge(tmp_path / "new" / "judge"), load_judge(judge)
    assert isinstance(adapted, ProbeJudge) and isinstance(first, ProbeJudge)
    # What a step of the old domain is to the old judge, that is to the new one what stands out as much in the new one.
    features_N = [seen.stacked() for seen in adapted.features(adapted.encode(others))]
    assert isinstance(adapted.head, DomainHead) and isinstance(first.head, DomainHead)
    np.testing.assert_allclose(adapted.head.mean_F, np.concatenate(features_N).mean(axis=0), atol=1e-6)
    standard_K_F = (features_N[0] - adapted.head.mean_F) / adapted.head.scale_F
    same_K_F = standard_K_F * first.head.scale_F + first.head.mean_F
    np.testing.assert_allclose(adapted.head.logits(features_N[0]), first.head.logits(same_K_F), atol=1e-6)
    write_records(tmp_path / "few", others[:5], record_type=Solution)
    assert main([*command[:3], "--data", str(tmp_path / "few"), "--output", str(tmp_path / "none")]) == 2


def test_what_a_judge_is_named_by_is_told_apart(
    labelled_data: Path, tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = config(tiny_base, labelled_data, ablation=False, features=("position", "surprisal"))
    train_probe(options, tmp_path / "run")
    write_records(tmp_path / "more", labelled_solutions(range(60, 90)), record_type=LabelledSolution)
    data = ["--data", str(tmp_path / "more")]
    assert main(["adapt", "--judge", str(tmp_path / "run"), *data, "--output", str(tmp_path / "a")]) == 2
    assert f"is the folder of a run: its judge is {tmp_path / 'run' / 'judge'}" in capsys.readouterr().err
    cached = tmp_path / "cached.yaml"
    cached.write_text(f"model: {tmp_path / 'run' / 'judge'}\nfeature_cache: {tmp_path / 'cache'}\n")
    members = ["--member", "builtin:symbolic", "--member", str(cached)]
    command = ["cascade", *members, *data, "max_cost=0.9", "--output", str(tmp_path / "c")]
    assert main(command) == 2  # what was read before takes no time
    assert "its seconds are not those of reading" in capsys.readouterr().err
    assert main([*command, "costs=[1, 50]"]) == 0
