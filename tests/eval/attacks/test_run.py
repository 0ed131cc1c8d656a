"""The attack suite from end to end: command, files, resuming, and one phrase that fools a judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from judgekit.cli import main
from judgekit.errors import DataError
from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.types import LabelledSolution
from judgekit_eval.attacks.attacks import ATTACKS
from judgekit_eval.attacks.config import AttackConfig
from judgekit_eval.attacks.run import attack_judges, choose_erroneous, reserved_strings
from judgekit_eval.attacks.schema import AttackResults
from judgekit_eval.results import read_results
from tests.eval.samples import sample
from tests.fakes import PhraseJudge
from tests.judgekit.samples import labelled_solutions


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_records(tmp_path / "data", labelled_solutions(range(12)), record_type=LabelledSolution)
    return tmp_path / "data"


def wrong_samples(n: int = 60) -> list[LabelledSolution]:
    return [sample(i, first_error=i % 3) for i in range(n)]


def attack(output: Path, judge: PhraseJudge, *, resume: bool = False, **options: Any) -> dict[str, Any]:
    config = AttackConfig(judge="phrase", n_resamples=100, chunk_size=30, **options)
    return attack_judges({"judge": judge}, wrong_samples(), output=output, config=config, resume=resume)


# What it finds


def test_one_phrase_that_fools_a_judge_shows_in_exactly_its_attack(tmp_path: Path) -> None:
    results = attack(tmp_path / "out", PhraseJudge("[INST]"))
    gains = {name: values.judges["judge"].p_none.value for name, values in results.attacks.items()}
    assert gains.pop("chat-markup") > 0
    assert gains.pop("no-steps") is None and gains.pop("reserved-token") is None
    assert set(gains.values()) == {0.0}
    assert len(gains) == len(ATTACKS) - 3

    effects = results.attacks["chat-markup"].judges["judge"]
    by_phrase = effects.by_phrase
    n_fooled = by_phrase["[INST]"].n
    assert n_fooled > 0 and by_phrase["[INST]"].p_none == pytest.approx(0.7)
    assert {values.p_none for phrase, values in by_phrase.items() if phrase != "[INST]"} == {0.0}
    assert effects.p_none.value == pytest.approx(0.7 * n_fooled / 60)
    assert (effects.n_flips, effects.n_found_before) == (n_fooled, 60)
    assert all("[INST]" in " ".join(one.after.steps) for one in results.attacks["chat-markup"].worst["judge"])
    assert not any(values.worst["judge"] for name, values in results.attacks.items() if name != "chat-markup")


def test_unscored_and_impossible_attacks_are_counted(tmp_path: Path) -> None:
    results = attack(tmp_path / "out", PhraseJudge("x"), attacks=["no-steps", "truncate-before-error"])
    empty, cut = (results.attacks[name] for name in ("no-steps", "truncate-before-error"))
    assert empty.judges["judge"].unscored == {"empty": 60}
    assert (cut.n_impossible, cut.judges["judge"].n) == (20, 40), "a third of the errors is in the first step"
    assert results.unattacked["judge"].model_dump() == {
        "n_no_verdict": 0,
        "p_none": pytest.approx(0.2),
        "rts": pytest.approx(0.2),  # all the rest on the first step
        "hard_rts": 0.0,
        "no_error": 0.0,
    }


def test_variants_of_a_judge_stand_side_by_side(tmp_path: Path) -> None:
    judges = {"judge": PhraseJudge("nothing"), "not-neutralised": PhraseJudge("[INST]")}
    config = AttackConfig(judge="phrase", n_resamples=100, attacks=["chat-markup", "merge-all"])
    results = attack_judges(judges, wrong_samples(), output=tmp_path / "out", config=config)
    found = results.attacks["chat-markup"].judges
    assert found["judge"].p_none.value == 0.0 < found["not-neutralised"].p_none.value
    header, _, row, *_ = [line for line in (tmp_path / "out/attacks.md").read_text().splitlines() if line[:1] == "|"]
    assert header.count("P(no error)") == 2 and "RTS, not-neutralised" in header
    assert row.count("|") == header.count("|") and row.startswith("| chat-markup | kept | 0.00 [0.00, 0.00] |")
    page = (tmp_path / "out/report.html").read_text()
    assert "chat-markup, not-neutralised: +0.7" in page and 'fill="none" stroke-dasharray' in page


def test_reserved_strings_are_those_of_the_judge_inside(tiny_judge: Path) -> None:
    assert set(reserved_strings(load_judge(tiny_judge))) == {"<|bos|>", "<|eos|>", "<|pad|>"}
    assert reserved_strings(load_judge("builtin:symbolic")) == ()


def test_reserved_tokens_act_only_without_neutralisation(tiny_judge: Path, tmp_path: Path) -> None:
    judges = {"judge": load_judge(tiny_judge), "not-neutralised": load_judge(tiny_judge, neutralise=False)}
    solutions = list(labelled_solutions(range(8)))
    config = AttackConfig(judge="tiny", n_resamples=100, attacks=["reserved-token", "confident-wording"])
    attacks = attack_judges(judges, solutions, output=tmp_path / "out", config=config).attacks
    values = {name: [attacks[name].judges[judge].p_none.value for judge in judges] for name in config.attacks or ()}
    assert values["confident-wording"][0] == values["confident-wording"][1]
    assert values["reserved-token"][0] != values["reserved-token"][1]


# Which solutions


def test_wrong_solutions_are_chosen_evenly() -> None:
    solutions = [sample(i, first_error=None if i % 2 else 0) for i in range(20)]
    wrong = solutions[::2]
    assert choose_erroneous(solutions, None) == choose_erroneous(solutions, 10) == wrong
    assert choose_erroneous(solutions, 4) == [wrong[0], wrong[2], wrong[5], wrong[7]]
    with pytest.raises(DataError, match="no solution with an error"):
        choose_erroneous(solutions[1::2], 4)


def test_an_unknown_attack_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown attack 'merge-al'; did you mean 'merge-all'\?"):
        AttackConfig(judge="x", attacks=["merge-al"])


# Resuming


@pytest.mark.parametrize("n_calls", [0, 3, 20])
def test_a_killed_run_goes_on_and_judges_nothing_twice(n_calls: int, tmp_path: Path) -> None:
    straight = PhraseJudge("[INST]")
    expected = attack(tmp_path / "straight", straight)
    killed = PhraseJudge("[INST]", n_calls=n_calls)
    with pytest.raises(KeyboardInterrupt):
        attack(tmp_path / "out", killed)
    resumed = PhraseJudge("[INST]")
    assert attack(tmp_path / "out", resumed, resume=True) == expected
    assert killed.judged + resumed.judged == straight.judged
    for name in ("results.json", "attacks.md", "report.html"):
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "straight" / name).read_text()


# The command


def test_the_command_attacks_and_is_left_alone_when_finished(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    command = ["attack", "builtin:first-step", "--input", str(data), "--output", str(output), "n_max=8"]
    command += ["attacks=[answer-only,no-steps]", "without_neutralisation=true"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    results = read_results(output / "results.json", AttackResults)
    for judge in ("judge", "not-neutralised"):
        effects = results.attacks["answer-only"].judges[judge]
        # 0.01 is spread over the other outcomes: three of them at three steps, one at one step
        assert effects.p_none.value == pytest.approx(0.01 - 0.01 / 3)
        assert (effects.n_flips, effects.n_found_before, results.n) == (0, 8, 8)
        assert f"no-steps, {judge}: P(no error) none, RTS none, flips 0 of 0, unscored 8" in printed
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["inputs"] and manifest["results"]["n"] == 8
    assert main(command) == 2
    assert main([*command, "--resume"]) == 0
    assert main([*command, "attacks=[answr-only]", "--resume"]) == 2
    assert "did you mean 'answer-only'" in capsys.readouterr().err


def test_a_judge_that_has_nothing_to_check_gives_an_attack_nothing(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = ["attack", "builtin:symbolic", "--input", str(data), "--output", str(output), "n_max=8"]
    assert main([*command, "attacks=[master-key-alone,true-statements]"]) == 0
    attacks = read_results(output / "results.json", AttackResults).attacks
    effects = {name: values.judges["judge"] for name, values in attacks.items()}
    assert effects["master-key-alone"].unscored == {"nothing_to_check": 8}
    assert effects["master-key-alone"].p_none.value is None
    assert (effects["true-statements"].n_flips, effects["true-statements"].n_found_before) == (0, 8)


def test_every_attack_runs_on_a_judge_with_weights(data: Path, tiny_judge: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert main(["attack", str(tiny_judge), "--input", str(data), "--output", str(output), "n_max=6"]) == 0
    results = read_results(output / "results.json", AttackResults)
    assert list(results.attacks) == list(ATTACKS)
    assert all(values.judges["judge"].n + values.n_impossible == 6 for values in results.attacks.values())
    for row in (output / "metrics.jsonl").read_text().splitlines():
        assert set(json.loads(row)) == {"attack", "judge", "attack/p_none", "attack/rts", "attack/flips"}
