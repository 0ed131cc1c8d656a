"""Cards of the release before, and kinds of judges from other packages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgekit.cli import main
from judgekit.errors import CheckpointError
from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.judges.card import JudgeCard, JudgeSpec, parse_card, read_card, write_card
from judgekit.judges.critics.card import CriticSpec
from judgekit.judges.ensemble import EnsembleSpec
from judgekit.judges.recognise import families, make_card
from judgekit.judges.steps.specs import ImplicitSpec, LabelTokenSpec, LikelihoodSpec, StepClassifierSpec
from judgekit.types import LabelledSolution, Solution
from tests.judgekit.samples import addition

OLD = Path(__file__).parents[2] / "fixtures" / "present_release" / "judges"
SECTIONS = {"likelihood", "implicit", "critic", "ensemble", "position_prior"}
UNREAD = {"ensemble": {"model", "chat_date"}, "position_prior": {"model", "chat_date"}}
"""What version 1 wrote for these kinds and never read."""
MEMBERS = {"members": ["builtin:random"], "rule": "mixture", "weights": [1.0]}


@pytest.mark.parametrize("path", sorted(OLD.glob("*.json")), ids=lambda path: path.stem)
def test_a_card_of_the_release_before_says_all_that_it_said(path: Path, tmp_path: Path) -> None:
    old = json.loads(path.read_text())
    card = parse_card(old, where=str(path))
    stored = card.model_dump(mode="json", exclude_unset=True) | {"schema_version": card.schema_version}
    assert (stored["schema_version"], card.kind) == (2, old["kind"])
    spec = stored["spec"] | stored["spec"].get("fitted", {})
    for name in old.keys() - {"schema_version", "engine"} - UNREAD.get(card.kind, set()):
        value = old[name]
        if name in SECTIONS and value is not None:
            assert value.items() <= spec.items()
        elif value not in (None, False):
            assert {**spec, **stored}[name] == value, name
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card


def test_old_cards_are_of_every_kind_and_open(tmp_path: Path) -> None:
    found = {path.stem: parse_card(json.loads(path.read_text()), where=str(path)) for path in OLD.glob("*.json")}
    assert found["quickstart"].spec_as(LikelihoodSpec).fitted.bias == pytest.approx(9.5705, abs=1e-4)
    assert found["label_token"].spec_as(LabelTokenSpec).label_tokens.error == 7
    assert found["implicit"].spec_as(ImplicitSpec).checkpoint() == ("owner/prm", "c0ffee")
    assert found["critic"].spec_as(CriticSpec).n_votes() == 4
    head = found["head"].spec_as(StepClassifierSpec)
    assert (head.head, head.head_mean, head.ok_labels) == ("v_head.summary", True, (1,))
    for name in ("ensemble", "position_prior"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "judge.json").write_text((OLD / f"{name}.json").read_text())
        judge = load_judge(tmp_path / name)
        assert judge.info == found[name].declare(dtype="float32", members=_members(found[name]))
        assert judge.judge([Solution(problem="1+1?", steps=("1+1=2", "So 2."))])[0].verdict is not None


def _members(card: JudgeCard) -> list:
    return [load_judge(member).info for member in card.spec.member_names()]


def test_the_cards_of_all_families_are_upgraded_too() -> None:
    for name, family in families().items():
        card = make_card(family.card, where=name, judge_id=name)
        assert (card.family, card.kind) == (name, family.card["kind"])
        assert isinstance(card.spec, JudgeSpec) and ("model", ".") in card.spec.places()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"kind": "ensemble", "ensemble": MEMBERS, "critic": {"prompt": "generic-1"}}, "'critic'"),
        ({"kind": "ensemble", "ensemble": MEMBERS, "engine": "vllm"}, "'engine'"),
        ({"kind": "critic", "critic": {"prompt": "generic-1"}, "input": {"layout": "template"}}, "'input'"),
        ({"kind": "critic"}, "field 'prompt' is missing"),
        ({"spec": {"kind": "crtic"}}, "did you mean 'critic'"),
        ({"spec": ["critic"]}, "field 'kind' is missing"),
        ({"kind": ["critic"]}, "field 'kind' is missing"),
    ],
)
def test_what_does_not_belong_to_a_kind_is_refused(fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(CheckpointError, match=f"here: .*{complaint}"):
        parse_card({"judge_id": "j"} | fields, where="here")


def test_a_card_is_asked_for_the_spec_that_it_has() -> None:
    spec = EnsembleSpec(members=("builtin:random",), rule="mixture", weights=(1.0,))
    with pytest.raises(CheckpointError, match="a judge of kind 'ensemble', not a CriticSpec"):
        JudgeCard(judge_id="e", spec=spec).spec_as(CriticSpec)


KIND = """
from dataclasses import replace
from typing import Literal

from judgekit.judges.card import JudgeSpec
from judgekit.types import Judgement, Verdict


class WordSpec(JudgeSpec):
    kind: Literal["bad_word"] = "bad_word"
    word: str

    def open(self, opening):
        return WordJudge(opening.card.declare(dtype=opening.dtype), self.word)

    def with_places(self, place):
        return self

    def declare(self, info, *, dtype, members):
        return replace(info, deterministic=True)


class WordJudge:
    def __init__(self, info, word):
        self.info, self.word = info, word

    def judge(self, solutions):
        p_ok = [[0.1 if self.word in step else 0.9 for step in solution.steps] for solution in solutions]
        return [
            Judgement(solution_id=s.id, judge_id=self.info.judge_id, verdict=Verdict.from_step_probs(p))
            for s, p in zip(solutions, p_ok)
        ]
"""


def test_a_package_from_outside_adds_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad_word.py").write_text(KIND)
    installed = tmp_path / "bad_word-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-word\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[judgekit.judges]\nbad_word = bad_word:WordSpec\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.yaml").write_text("kind: bad_word\nword: '='\n")
    judge = load_judge(tmp_path / "mine.yaml")
    [judgement] = judge.judge([Solution(problem="1+1?", steps=("Let us see.", "1+1=3"))])
    assert judgement.verdict is not None and judgement.verdict.decide(judge.info.decision) == 1
    rows = [addition(number, first_error=number % 2 or None) for number in range(6)]
    write_records(tmp_path / "data", rows, record_type=LabelledSolution)
    command = ["eval", "--judge", str(tmp_path / "mine.yaml"), "--benchmark", "additions", str(tmp_path / "data")]
    assert main([*command, "--output", str(tmp_path / "run"), "n_resamples=100", "n_splits=2", "floors=false"]) == 0
    results = json.loads((tmp_path / "run" / "judges" / "mine" / "additions" / "results.json").read_text())
    assert (results["judge"]["kind"], results["judge"]["deterministic"]) == ("bad_word", True)
