"""How the card of a judge is found: judge.json, YAML, family; and what is said where none fits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest

from judgekit.errors import CheckpointError, ConfigError
from judgekit.judges import load_judge
from judgekit.judges.recognise import families, find_card
from judgekit.judges.steps.layout import TemplateInput
from judgekit.judges.steps.specs import LabelTokenSpec, StepClassifierSpec
from judgekit.types import Solution


def checkpoint(folder: Path, **config: object) -> Path:
    """Make a directory that holds no more than a configuration."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_name_tells_the_family(tmp_path: Path) -> None:
    directory, card, _ = find_card(checkpoint(tmp_path / "Math-Shepherd-mistral-7b-PRM", architectures=["A"]))
    assert (directory.name, card.family, card.kind) == (card.judge_id, "math-shepherd", "label_token")


def test_a_structure_tells_the_family(tmp_path: Path) -> None:
    card = find_card(checkpoint(tmp_path / "copy", architectures=["Qwen2ForProcessRewardModel"])).card
    assert (card.family, card.judge_id, card.spec_as(StepClassifierSpec).head) == ("qwen2.5-math-prm", "copy", "score")


def test_only_the_last_part_of_a_path_is_its_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        find_card(checkpoint(tmp_path / "math-shepherd-prm" / "mine"))


def test_an_unknown_checkpoint_lists_what_was_tried(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        find_card(checkpoint(tmp_path / "mine", architectures=["NovelModel"]))
    said = str(error.value)
    assert all(name in said for name in families())
    assert "its NovelModel" in said and "kind: label_token" in said
    template = said[said.index("{kind: label_token") :]
    (tmp_path / "new.yaml").write_text(template)
    card = find_card(tmp_path / "new.yaml").card
    layout = card.spec_as(LabelTokenSpec).input
    assert isinstance(layout, TemplateInput) and layout.begin == "{problem}\n"


def test_a_card_by_hand_stands_on_its_family(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "family: math-shepherd\nmodel: owner/x\ninput: {max_tokens: 7, mark_id: null}\n"
    )
    directory, card, trust = find_card(tmp_path / "mine.yaml")
    assert trust.is_own and (directory, card.judge_id, card.spec_as(LabelTokenSpec).model) == (
        tmp_path,
        "mine",
        "owner/x",
    )
    shipped = families()["math-shepherd"].card["input"]
    assert card.spec_as(LabelTokenSpec).input.model_dump(mode="json", exclude_defaults=True) == {
        key: value for key, value in shipped.items() if key != "mark_id"
    } | {"max_tokens": 7}


def test_a_card_by_hand_stands_on_what_its_model_is(
    tiny_judge: Path, tmp_path: Path, solutions: list[Solution]
) -> None:
    shutil.copytree(tiny_judge, tmp_path / "judge")
    (tmp_path / "strict.yaml").write_text("model: judge\ndecision: {kind: threshold, threshold: 0.9}\n")
    strict = load_judge(tmp_path / "strict.yaml")
    assert strict.info.decision.model_dump() == {"kind": "threshold", "threshold": 0.9, "origin": "default"}
    expected = [judgement.verdict for judgement in load_judge(tiny_judge).judge(solutions)]
    assert [judgement.verdict for judgement in strict.judge(solutions)] == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("family: oracle\nmodel: x/y", "names the unknown family 'oracle': use one of "),
        ("- 1", "must hold keys and values"),
        ("a: [", "is not valid YAML"),
        ("!!python/object:os.system {}", "is not valid YAML"),
        ("kind: label_token\nmodel: x/y\ninput: {layout: template}", "field 'label_tokens' is missing"),
        ("family: math-shepherd\nmodel: x/y\ncolour: red", "colour"),
        ("family: math-shepherd\nmodel: x/y\ninput: {begin: none}", r"has no \{problem\}"),
    ],
)
def test_a_card_by_hand_that_is_not_one_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text(text)
    with pytest.raises((CheckpointError, ConfigError), match=complaint):
        find_card(tmp_path / "card.yaml")


def test_a_card_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot read the card .*gone\.yaml"):
        find_card(tmp_path / "gone.yaml")


def test_two_families_at_once_are_asked_back(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="could be reasoneval-7b or token-classification: name one in a YAML"):
        find_card(checkpoint(tmp_path / "PURE-PRM-7B-and-ReasonEval-7B"))


def test_a_revision_reaches_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(name: str, *, revision: str | None = None, **_: object) -> str:
        asked.append((name, revision))
        return str(checkpoint(tmp_path / "snapshot", architectures=["Qwen2ForProcessRewardModel"]))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    (tmp_path / "pinned.yaml").write_text("model: owner/name\nrevision: refs/pr/5\n")
    assert find_card(tmp_path / "pinned.yaml").card.spec_as(StepClassifierSpec).revision == "refs/pr/5"
    assert asked == [("owner/name", "refs/pr/5")]


@pytest.mark.parametrize("text", ["model: 3", "family: [x]", "model: self.yaml", "model: x/y\nrevision: 1"])
def test_fields_of_a_card_by_hand_that_cannot_be_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "self.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=r"self\.yaml"):
        find_card(tmp_path / "self.yaml")
