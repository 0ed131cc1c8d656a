"""Judges whose chat template asks for the day: they score the same on every day, and doctor says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from judgekit.engines.generation.config import TransformersGeneration
from judgekit.engines.generation.door import build_generator
from judgekit.judges import load_judge
from judgekit.judges.card import read_card
from judgekit.judges.doctor import examine, write_judge
from judgekit.judges.steps.specs import StepClassifierSpec
from judgekit.text.prompts import CHAT_DATE
from judgekit.types import Solution, Verdict
from tests.judgekit.judges.miniatures import LLAMA3_CHAT, make_miniature

SOLUTION = Solution(problem="2x = 4", steps=("x = 2", "The answer is: 18"))


@pytest.fixture
def judge_with(tmp_path: Path):
    """Return a function that makes a judge whose chat template begins with a text."""

    def make(name: str, begin: str) -> Path:
        folder = make_miniature("rlhflow", tmp_path / name)
        (folder / "chat_template.jinja").write_text(begin + LLAMA3_CHAT)
        return folder

    return make


def verdict(name: Path) -> Verdict:
    [judgement] = load_judge(name, dtype="float32").judge([SOLUTION])
    assert judgement.verdict is not None
    return judgement.verdict


def test_the_day_is_the_cards(judge_with, tmp_path: Path) -> None:
    asking = judge_with("asking", "Today is {{ strftime_now('%d %b %Y') }}. ")
    named = judge_with("named", "Today is 26 Jul 2024. ")
    other = judge_with("other", "Today is 05 Jan 1999. ")
    assert verdict(asking).posterior == verdict(named).posterior != verdict(other).posterior
    card = {"family": "rlhflow", "model": str(asking), "chat_date": "1999-01-05"}
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(card))
    assert verdict(tmp_path / "card.yaml").posterior == verdict(other).posterior
    [finding] = [item for item in examine(str(asking)).findings if item.check == "day in the text"]
    assert "uses it, and always gets 2024-07-26" in finding.text
    [finding] = [item for item in examine(str(named)).findings if item.check == "day in the text"]
    assert finding.text == "the chat template does not use it"
    written = write_judge(str(asking), tmp_path / "written", ())
    assert json.loads((written / "judge.json").read_text())["spec"]["chat_date"] == "2024-07-26"


def test_cards_without_the_field_have_the_default(tiny_judge: Path, tmp_path: Path) -> None:
    values = json.loads((tiny_judge / "judge.json").read_text())
    values["spec"].pop("chat_date")
    (tmp_path / "judge.json").write_text(json.dumps(values))
    assert read_card(tmp_path).spec_as(StepClassifierSpec).chat_date == CHAT_DATE


def test_a_generation_engine_is_told_the_day_too(tiny_chat: Path, tmp_path: Path) -> None:
    engine = build_generator(TransformersGeneration(model=str(tiny_chat), dtype="float32"), chat_date=CHAT_DATE)
    engine.tokenizer.chat_template = "{{ strftime_now('%Y-%m-%d') }}|{{ messages[0].content }}"  # type: ignore[attr-defined]
    assert engine.render([{"role": "user", "content": "1"}]) == "2024-07-26|1"
