"""Which label of a head means that a step is right: the card, the names in the checkpoint, and contradictions."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from judgekit.cli import main
from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from judgekit.judges.card import JudgeCard
from judgekit.judges.recognise import families, make_card
from judgekit.judges.steps.label_names import is_ok_name, read_label_names, settle_ok_labels
from judgekit.judges.steps.layout import TemplateInput
from judgekit.judges.steps.specs import StepClassifierSpec
from judgekit.types import Solution
from tests.judgekit.judges.miniatures import make_miniature

STEPS = Solution(problem="2x = 4", steps=("x = 2", "The answer is: 18"))


@pytest.mark.parametrize(
    "names",
    ["incorrect correct", "bad good", "NEGATIVE POSITIVE", "Wrong Right", "error ok", "- +", "invalid valid",
     "False True", "no yes", "NEG POS", "step_incorrect step_correct", "not correct;correct", "error;no error",
     "HasError;NoError", "not_ok ok", "fail pass", "is-wrong is-right", "incorrect-step correct-step", "✗ ✓",
     "The solution contains an error;the step is fine"],
)  # fmt: skip
def test_pairs_of_names_in_several_spellings(names: str) -> None:
    error, ok = names.split(";") if ";" in names else names.split(" ")
    assert (is_ok_name(error), is_ok_name(ok)) == (False, True)


@pytest.mark.parametrize(
    "name", ["LABEL_1", "1", "", "entailment", "correct or wrong", "maybe", "step 2 correct", "0.5"]
)
def test_names_that_say_neither(name: str) -> None:
    assert is_ok_name(name) is None


def card(**fields: Any) -> JudgeCard:
    layout = TemplateInput(layout="template", begin="{problem}\n", mark="\n")
    return JudgeCard(judge_id="judge", spec=StepClassifierSpec(input=layout, **fields))


def config(*names: str, **fields: Any) -> dict[str, Any]:
    return {"id2label": {str(index): name for index, name in enumerate(names)}} | fields


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("correct", "incorrect"), (0,)),
        (("incorrect", "correct"), (1,)),
        (("LABEL_0", "LABEL_1"), (1,)),
        (("0", "1"), (1,)),
        ((), (1,)),
        (("good", "neutral", "bad"), (0, 1)),
        (("score",), (1,)),
    ],
)
def test_names_decide_where_the_card_does_not(names: tuple[str, ...], expected: tuple[int, ...]) -> None:
    assert settle_ok_labels(card(), config(*names)) == expected


@pytest.mark.parametrize(
    "names", [("a", "b"), ("correct", "other"), ("correct", "right"), ("LABEL_0", "correct"), ("1", "0")]
)
def test_names_that_do_not_say_which_are_an_error_that_names_the_option(names: tuple[str, ...]) -> None:
    with pytest.raises(CheckpointError, match=r"do not say which means that a step is correct.*ok_labels"):
        settle_ok_labels(card(), config(*names))
    assert settle_ok_labels(card(ok_labels=(0,)), config(*names)) == (0,)


def test_a_card_of_ones_own_wins_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert settle_ok_labels(card(ok_labels=(1,)), config("correct", "incorrect")) == (1,)
    assert "the card counts" in caplog.text and "0 'correct', 1 'incorrect'" in caplog.text


def test_a_family_that_is_contradicted_is_an_error_that_names_the_option() -> None:
    values = dict(families()["qwen2.5-math-prm"].card)
    own = make_card(values, where="here", judge_id="q")
    with pytest.raises(CheckpointError, match=r"the family qwen2\.5-math-prm says ok_labels \[1\].*ok_labels: \[0\]"):
        settle_ok_labels(own, config("correct", "incorrect"))
    assert settle_ok_labels(own, config("incorrect", "correct")) == (1,)


def test_label2id_counts_too_and_must_agree() -> None:
    inverted = {"correct": 0, "incorrect": 1}
    assert settle_ok_labels(card(), config("LABEL_0", "LABEL_1", label2id=inverted)) == (0,)
    assert settle_ok_labels(card(), config("correct", "incorrect", label2id=inverted)) == (0,)
    assert settle_ok_labels(card(), config("correct", "incorrect", label2id={"LABEL_0": 0, "LABEL_1": 1})) == (0,)
    with pytest.raises(CheckpointError, match=r"config\.json contradicts itself: .*ok_labels"):
        settle_ok_labels(card(), config("incorrect", "correct", label2id=inverted))
    assert settle_ok_labels(card(ok_labels=(1,)), config("incorrect", "correct", label2id=inverted)) == (1,)
    for odd in ({"id2label": "x"}, {"id2label": {"a": "correct"}}, {"label2id": {"correct": None}}):
        with pytest.raises(CheckpointError, match="id2label"):
            read_label_names(odd)


def renamed(folder: Path, **fields: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return folder


def test_a_checkpoint_that_names_its_labels_the_other_way_round_is_read_that_way_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = make_miniature("pure", tmp_path / "plain")
    named = make_miniature("pure", tmp_path / "named")
    renamed(named, id2label={"0": "correct", "1": "incorrect"}, label2id={"correct": 0, "incorrect": 1})
    [one], [other] = (load_judge(folder, dtype="float32").judge([STEPS]) for folder in (plain, named))
    assert one.verdict is not None and other.verdict is not None
    assert other.verdict.p_ok_S == pytest.approx([1 - p_ok for p_ok in one.verdict.p_ok_S], abs=1e-6)
    assert main(["doctor", str(named), "--write", str(tmp_path / "written")]) == 0
    assert "ok labels of the head: 0; the checkpoint has 0 'correct', 1 'incorrect'" in capsys.readouterr().out
    assert json.loads((tmp_path / "written" / "judge.json").read_text())["spec"]["ok_labels"] == [0]
    hand = {"family": "token-classification", "model": str(named), "ok_labels": 1}
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(hand))
    [by_hand] = load_judge(tmp_path / "card.yaml", dtype="float32").judge([STEPS])
    assert by_hand.verdict == one.verdict


def test_cards_written_before_labels_were_read_count_as_they_are(judge_copy: Callable[..., Path]) -> None:
    folder = renamed(judge_copy(ok_labels=[1]), id2label={"0": "correct", "1": "incorrect"})
    assert load_judge(folder, dtype="float32").spec.ok_labels == (1,)  # type: ignore[attr-defined]


def test_label2id_alone_decides_too(tmp_path: Path) -> None:
    """Transformers forgets it where there is no id2label."""
    plain = make_miniature("pure", tmp_path / "plain")
    named = make_miniature("pure", tmp_path / "named")
    renamed(named, id2label=None, label2id={"correct": 0, "incorrect": 1})
    [one], [other] = (load_judge(folder, dtype="float32").judge([STEPS]) for folder in (plain, named))
    assert one.verdict is not None and other.verdict is not None
    assert other.verdict.p_ok_S == pytest.approx([1 - p_ok for p_ok in one.verdict.p_ok_S], abs=1e-6)


@pytest.mark.parametrize(
    "labels", [{"1": "correct", "2": "incorrect"}, {"0": "incorrect", "5": "correct"}, {"-1": "correct", "0": "wrong"}]
)
def test_labels_that_are_not_numbered_from_0_up_are_an_error(labels: dict[str, str]) -> None:
    with pytest.raises(CheckpointError, match=r"are not numbered from 0 up.*ok_labels"):
        settle_ok_labels(card(), {"id2label": labels})
    assert settle_ok_labels(card(ok_labels=(0,)), {"id2label": labels}) == (0,)
    assert settle_ok_labels(card(), {"id2label": {"1": "LABEL_1", "2": "LABEL_2"}}) == (1,)


def test_one_output_that_is_called_an_error_is_not_read_as_the_logit_of_a_right_step() -> None:
    with pytest.raises(CheckpointError, match=r"the one output of the head is called 0 'incorrect'.*ok_labels"):
        settle_ok_labels(card(), config("incorrect"))
    assert settle_ok_labels(card(ok_labels=(0,)), config("incorrect")) == (0,)
    assert settle_ok_labels(card(), config("correct")) == (1,)
