"""Cascades: who answers, what is asked and counted, and what the door opens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from judgekit.errors import CheckpointError, JudgeError
from judgekit.judges import declare_judge, load_judge
from judgekit.judges.base import Judge, JudgeInfo, LazyJudge
from judgekit.judges.card import JudgeCard, parse_card, write_card
from judgekit.judges.cascade import CascadeJudge, CascadeSpec, Stage
from judgekit.judges.members import asked_members
from judgekit.types import Asked, Judgement, NoVerdictReason, Solution, ThresholdRule, Verdict
from tests.fakes import FakeJudge

SURE_RIGHT, SURE_WRONG, UNSURE = (0.05, 0.05, 0.9), (0.8, 0.1, 0.1), (0.4, 0.2, 0.4)
STAGE = Stage(hi=0.9, lo=0.25)


def solutions(n: int) -> list[Solution]:
    return [Solution(id=f"s{number}", problem="?", steps=("step",) * 2) for number in range(n)]


def cascade(members: Sequence[Judge], *stages: Stage) -> CascadeJudge:
    spec = CascadeSpec(members=tuple(f"m{i}" for i in range(len(members))), stages=stages)
    return CascadeJudge(JudgeCard(judge_id="cascade", spec=spec), members)


def write_cascade(folder: Path, *members: str, stage: Stage = STAGE) -> Path:
    spec = CascadeSpec(members=members, stages=(stage,) * (len(members) - 1))
    write_card(folder, JudgeCard(judge_id=folder.name, spec=spec))
    return folder


@pytest.mark.parametrize(
    ("posterior", "stage", "answers"),
    [
        (SURE_RIGHT, STAGE, True),
        ((0.06, 0.05, 0.89), STAGE, False),
        (SURE_WRONG, STAGE, True),
        ((0.25, 0.75, 0.0), STAGE, True),  # exactly lo beside the most probable step
        ((0.26, 0.74, 0.0), STAGE, False),  # there is an error for sure, and where is unsure
        (SURE_RIGHT, Stage(hi=None, lo=0.25), False),
        (SURE_WRONG, Stage(hi=0.9, lo=None), False),
        (UNSURE, Stage(hi=0.0, lo=None), True),
        (None, Stage(hi=0.0, lo=1.0), False),  # no verdict is never sure
    ],
)
def test_who_is_sure(posterior: Sequence[float] | None, stage: Stage, answers: bool) -> None:
    verdict = None if posterior is None else Verdict(posterior=tuple(posterior))
    assert stage.answers(verdict) is answers


def test_only_what_is_unsure_goes_on() -> None:
    reason = NoVerdictReason.NOTHING_TO_CHECK
    cheap = FakeJudge({"s0": SURE_RIGHT, "s1": UNSURE, "s2": SURE_WRONG}, no_verdict={"s3": reason}, judge_id="cheap")
    costly = FakeJudge({"s1": SURE_WRONG}, no_verdict={"s3": NoVerdictReason.TRUNCATED}, judge_id="costly")
    judge = cascade([cheap, costly], STAGE)
    found = judge.judge(solutions(4))
    assert costly.judged == ["s1", "s3"]
    assert [item.verdict and item.verdict.posterior for item in found] == [SURE_RIGHT, SURE_WRONG, SURE_WRONG, None]
    assert found[3].no_verdict is NoVerdictReason.TRUNCATED, "the last one's reason: its verdict was asked for"
    assert [[asked.judge_id for asked in item.asked] for item in found] == [
        ["cheap"], ["cheap", "costly"], ["cheap"], ["cheap", "costly"]
    ]  # fmt: skip
    assert [(item.n_tokens, item.seconds) for item in found] == [(20, 0.5), (40, 1.0), (20, 0.5), (40, 1.0)]
    assert "cheap: no verdict, nothing_to_check" in (found[3].raw or "")
    assert {item.judge_id for item in found} == {"cascade"}
    assert judge.judge([]) == []
    members = [(member.judge_id, member.n_asked, member.n_answered) for member in asked_members(found)]
    assert members == [("cheap", 4, 2), ("costly", 2, 2)]
    assert asked_members(FakeJudge({"s0": UNSURE}).judge(solutions(1))) == []


def test_three_members_in_turn() -> None:
    first = FakeJudge({"s0": UNSURE, "s1": UNSURE}, judge_id="1")
    second = FakeJudge({"s0": SURE_RIGHT, "s1": UNSURE}, judge_id="2")
    found = cascade([first, second, FakeJudge({"s1": UNSURE}, judge_id="3")], STAGE, STAGE).judge(solutions(2))
    assert [item.asked[-1].judge_id for item in found] == ["2", "3"]
    assert [len(item.asked) for item in found] == [2, 3]


def test_a_member_that_fails_is_named() -> None:
    class Dead(FakeJudge):
        def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
            raise ConnectionError("connection refused")

    with pytest.raises(JudgeError, match="judge dead failed: connection refused"):
        cascade([FakeJudge({"s0": UNSURE}), Dead({}, judge_id="dead")], STAGE).judge(solutions(1))


def test_what_it_declares() -> None:
    infos = [
        JudgeInfo("a", ThresholdRule(), deterministic=True, dtype="float32", reserved=("<a>",)),
        JudgeInfo("b", ThresholdRule(), deterministic=False, dtype="bfloat16", reserved=("<a>", "<b>")),
    ]
    spec = CascadeSpec(members=("a", "b"), stages=(STAGE,), relative_cost=0.25)
    info = JudgeCard(judge_id="c", spec=spec).declare(dtype="float32", members=infos)
    assert (info.members, info.relative_cost) == (("a", "b"), 0.25)
    assert (info.deterministic, info.dtype, info.reserved) == (False, "float32, bfloat16", ("<a>", "<b>"))


# The door


def test_a_member_is_opened_when_it_is_needed(
    tiny_judge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").symlink_to(tiny_judge)
    judge = load_judge(write_cascade(tmp_path / "c", "builtin:symbolic", "../tiny", stage=Stage(hi=None, lo=0.25)))
    costly = judge.members[1]
    assert isinstance(costly, LazyJudge) and costly.inner is None
    assert judge.info == declare_judge(str(tmp_path / "c"), dtype="float32")
    false, true = (Solution(problem="Start with 1.", steps=(step,)) for step in ("1+1=3", "1+1=2"))
    assert judge.judge([false])[0].asked == (Asked(judge_id="builtin:symbolic"),)
    assert costly.inner is None
    [judgement] = judge.judge([true])
    assert costly.inner is not None and judgement.asked[1].judge_id == "tiny" and judgement.n_tokens > 0
    assert judgement.verdict == load_judge(tiny_judge).judge([true])[0].verdict
    assert Judgement.model_validate_json(judgement.model_dump_json()) == judgement


def test_what_is_missing_is_missed_before_anything_is_judged(tmp_path: Path) -> None:
    for member in ("../gone", "http://127.0.0.1:9"):
        with pytest.raises((CheckpointError, JudgeError)):
            load_judge(write_cascade(tmp_path / "c", "builtin:symbolic", member))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"stages": []}, "at least 1 item"),
        ({"stages": [{"hi": 0.9, "lo": 0.1}] * 2}, "2 stages for 2 members"),
        ({"stages": [{"hi": 1.2, "lo": 0.1}]}, "less than or equal to 1"),
        ({"stages": [{"hi": 0.9}]}, "lo"),
    ],
)
def test_cards_that_do_not_fit_are_refused(fields: dict[str, object], complaint: str) -> None:
    values = {"judge_id": "c", "kind": "cascade", "members": ["builtin:symbolic", "builtin:random"]} | fields
    with pytest.raises(CheckpointError, match=complaint):
        parse_card(values, where="here")
