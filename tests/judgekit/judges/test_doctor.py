"""`judgekit doctor`: what it says about every kind of judge, golden scores, and cards that it writes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
from safetensors.torch import load_file, save_file

from judgekit.calibration.split import probs_to_logits
from judgekit.cli import main
from judgekit.errors import CheckpointError, ConfigError
from judgekit.judges import load_judge
from judgekit.judges.card import read_card
from judgekit.judges.doctor import examine, store_golden, write_judge
from judgekit.judges.golden import EXAMPLES, golden_difference
from judgekit.judges.steps.specs import StepClassifierSpec
from judgekit.training.calibrate import calibrate_judge
from judgekit.training.config import CalibrationConfig
from tests.judgekit.cards import changed
from tests.judgekit.judges.miniatures import make_miniature


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_miniature("pure", tmp_path_factory.mktemp("pure"))


def status(examination_of: str) -> dict[str, bool | None]:
    return {finding.check: finding.ok for finding in examine(examination_of).findings}


@pytest.mark.parametrize("name", ["rlhflow", "skywork-prm", "reasoneval-34b", "eurusprm", "llemma-prm"])
def test_public_judges_pass(name: str, tmp_path: Path) -> None:
    examination = examine(str(make_miniature(name, tmp_path / name)))
    found = {finding.check: finding.ok for finding in examination.findings}
    assert found.pop("golden scores") is None
    assert set(found.values()) == {True}, examination.findings
    assert len(examination.golden) == len(EXAMPLES)


def test_a_judge_that_another_precision_changes_fails(
    judge_copy: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A head with large weights turns the rounding of what lies beneath into other verdicts."""
    folder = judge_copy()
    assert status(str(folder))["precision"] is True
    verdicts = [judgement.verdict for judgement in load_judge(folder).judge(EXAMPLES)]
    logits = sorted(float(x) for verdict in verdicts if verdict for x in probs_to_logits(verdict.p_ok_S))
    weights = load_file(folder / "model.safetensors")
    weights["score.bias"][1] -= logits[len(logits) // 2]  # half of the steps lie on either side of one half
    weights["score.weight"] *= 3000
    weights["score.bias"] *= 3000
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert main(["doctor", str(folder)]) == 2
    captured = capsys.readouterr()
    assert "FAILED precision: bfloat16 changes scores by" in captured.out
    assert "0.1 is allowed. Use it with dtype=float32 only" in captured.err


@pytest.mark.parametrize("name", ["builtin:random", "builtin:symbolic"])
def test_judges_without_tokens_or_cards_are_told_what_does_not_apply(name: str) -> None:
    assert status(name) == {
        "finite scores": True,
        "n steps, n scores": True,
        "batch = single": True,
        "hostile text": None,
        "precision": None,
        "day in the text": None,
        "golden scores": None,
    }


def test_the_example_shows_the_token_at_every_score_position(pure: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(pure)]) == 0
    said = capsys.readouterr().out
    assert "recognised by: its configuration and tensors (family token-classification)" in said
    assert "9 * 2 = 18, so it earns $18.\n⟦2⟧" in said
    newline = load_judge(pure).tokenizer.encode("\n")[0]  # type: ignore[attr-defined]
    assert f"token {newline} '\\n'" in said and "bos token: none" in said
    assert "assumed: the separator" in said


def test_hostile_text_that_gets_through_is_a_failure(pure: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "judgekit.judges.doctor.load_judge", lambda name, **options: load_judge(name, neutralise=False, **options)
    )
    assert status(str(pure))["hostile text"] is False


# Golden scores


def test_another_separator_shows_in_the_golden_scores(
    pure: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(pure), "--write", str(tmp_path / "judge")]) == 0
    card = json.loads((tmp_path / "judge" / "judge.json").read_text())
    assert card["spec"]["model"] == str(pure) and len(card["golden"]) == len(EXAMPLES)
    assert main(["doctor", str(tmp_path / "judge")]) == 0
    assert "golden scores: largest difference 0" in capsys.readouterr().out
    card["spec"]["input"]["mark"] = "\n\n"
    (tmp_path / "judge" / "judge.json").write_text(json.dumps(card))
    assert main(["doctor", str(tmp_path / "judge")]) == 2
    assert "golden scores" in (error := capsys.readouterr().err) and "another separator" in error


def test_a_judge_that_no_longer_answers_differs_wholly(tiny_judge: Path, tmp_path: Path) -> None:
    golden = examine(str(tiny_judge)).golden
    card = read_card(tiny_judge)
    shutil.copytree(tiny_judge, tmp_path / "judge")
    layout = card.spec_as(StepClassifierSpec).input.model_dump(mode="json") | {"max_tokens": 5}
    short = changed(tmp_path / "judge", input=layout)
    (tmp_path / "judge" / "judge.json").write_text(json.dumps(short))
    assert golden_difference(load_judge(tiny_judge), golden) == 0
    assert golden_difference(load_judge(tmp_path / "judge"), golden) == 1


def test_golden_scores_are_stored_in_a_judge_directory(
    judge_copy: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = judge_copy()
    assert main(["doctor", str(folder), "--store"]) == 0
    assert f"golden scores of {len(read_card(folder).golden)} solutions stored" in capsys.readouterr().out
    assert status(str(folder))["golden scores"] is True


def test_golden_scores_are_only_stored_in_judge_directories(pure: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no judge\.json"):
        store_golden(pure, ())


# Judge directories from public checkpoints


def test_a_written_judge_can_be_calibrated(pure: Path, tmp_path: Path, labelled_data: Path) -> None:
    judge = write_judge(str(pure), tmp_path / "judge", examine(str(pure)).golden)
    calibrate_judge(judge, labelled_data, CalibrationConfig())
    card = read_card(judge)
    assert card.calibrator is not None and card.family == "token-classification"
    assert status(str(judge))["golden scores"] is True
    assert sorted(path.name for path in judge.iterdir()) == [
        "calibration_problem_ids.txt",
        "judge.json",
        "judgements",
    ]


def test_a_hub_id_is_pinned_to_its_revision(pure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = shutil.copytree(pure, tmp_path / "snapshots" / "c0ffee")
    asked = []

    def fetch(name: str, *, revision: str | None = None, **_: object) -> str:
        asked.append((name, revision))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    judge = write_judge("jinachris/PURE-PRM-7B", tmp_path / "judge", ())
    card = read_card(judge)
    assert (*(card.spec.checkpoint() or ()), card.judge_id) == (
        "jinachris/PURE-PRM-7B",
        "c0ffee",
        "jinachris/PURE-PRM-7B",
    )
    load_judge(judge)
    assert asked == [("jinachris/PURE-PRM-7B", None), ("jinachris/PURE-PRM-7B", "c0ffee")]


def test_judges_of_several_checkpoints_keep_all_their_places(tmp_path: Path) -> None:
    opened = str(make_miniature("eurusprm", tmp_path / "eurus"))
    examination = examine(opened)
    judge = write_judge(opened, tmp_path / "judge", examination.golden)
    assert golden_difference(load_judge(judge), examination.golden) == 0


def test_what_cannot_be_written_is_refused(pure: Path, tmp_path: Path) -> None:
    write_judge(str(pure), tmp_path / "judge", ())
    with pytest.raises(ConfigError, match="exists: choose another folder"):
        write_judge(str(pure), tmp_path / "judge", ())
    with pytest.raises(ConfigError, match=r"builtin:random needs no judge\.json"):
        write_judge("builtin:random", tmp_path / "other", ())
