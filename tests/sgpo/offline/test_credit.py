"""From groups and a judge to advantages: numbers by hand, and what a killed run finds again."""

from __future__ import annotations

from pathlib import Path

import pytest

from judgekit.errors import DataError, JudgeError
from judgekit.groups import build_groups
from judgekit.judges.stored import StoredJudge
from judgekit.types import Judgement, NoVerdictReason, Solution
from sgpo.algorithms.grpo import GRPO
from sgpo.algorithms.sgpo import SGPO
from sgpo.guards import GuardsConfig
from sgpo.offline.credit import assign_credit, load_credits, write_credits
from tests.sgpo.offline.offline_samples import SampleJudge, make_rollout, three_groups

GROUPS = build_groups(three_groups(), where="samples")
COMMON = {"algorithm": SGPO(), "guards": GuardsConfig(judge_auc=None), "trained": {}, "count_tokens": len}

# RTS 0, 1/4, 1/2, 3/4 -> rewards sigmoid(-5), sigmoid(-2.5), sigmoid(0), sigmoid(2.5): mean 0.3766732, standard
# deviation 0.4251693 (n - 1), so for example (0.0066929 - 0.3766732) / (0.4251693 + 0.0001)
NEGATIVE = [-0.869991, -0.707353, 0.289997, 1.287347]
# outcomes 1, 0, 0, 0: mean 0.25, standard deviation 0.5
MIXED = [0.75 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001]


def test_advantages_by_hand(tmp_path: Path) -> None:
    judge = SampleJudge()
    table = assign_credit(GROUPS, judge=StoredJudge(judge, tmp_path), **COMMON, chunk=3)
    assert [c.rts for c in table.credits_N] == [0.0, 0.25, 0.5, 0.75] + [None] * 8
    assert [c.reward for c in table.credits_N[:4]] == pytest.approx([0.0066929, 0.0758582, 0.5, 0.9241418], abs=1e-6)
    assert [c.guided_advantage for c in table.credits_N[:8]] == pytest.approx(NEGATIVE + MIXED, abs=2e-6)
    assert [c.plain_advantage for c in table.credits_N[:8]] == pytest.approx([0.0] * 4 + MIXED)
    assert [c.guided_advantage for c in table.credits_N[8:]] == [0.0] * 4
    assert len(judge.judged) == 4


def test_report_by_hand(tmp_path: Path) -> None:
    judge = StoredJudge(SampleJudge(), tmp_path)
    report = assign_credit(GROUPS, judge=judge, **COMMON).report
    assert report == {
        "groups": 3,
        "responses": 12,
        "all_negative": 1,
        "all_positive": 1,
        "mixed": 1,
        "zero_advantage_before": 2,
        "zero_advantage_after": 1,
        "revived": 1,
        "judge_calls": 4,
        "judge_seconds": 2.0,
        "unscored": 0,
        "truncated": 0,
        "rts_mean": pytest.approx(0.375),
        "rts_spread": 0.75,
        "steps_mean": 4.0,
        "accuracy": pytest.approx(5 / 12),
        "judge_off": 0,
        "guards": [],
    }


def test_without_a_judge_it_is_grpo() -> None:
    table = assign_credit(GROUPS, judge=None, **(COMMON | {"algorithm": GRPO()}))
    assert [c.guided_advantage for c in table.credits_N] == [c.plain_advantage for c in table.credits_N]
    assert table.report["judge_calls"] == 0
    assert table.report["rts_mean"] is None
    assert table.report["zero_advantage_after"] == table.report["zero_advantage_before"] == 2


@pytest.mark.parametrize(("unit", "rts"), [("step", 1 / 2), ("char", 2 / 12), ("token", 4 / 24)])
def test_units_of_length(unit: str, rts: float, tmp_path: Path) -> None:
    rollouts = [make_rollout("g", k, 0.0, steps=[f" {k}"[-2:], "0123456789"]) for k in range(2)]
    options = {"algorithm": SGPO(unit=unit), "count_tokens": lambda text: 2 * len(text)}  # type: ignore[arg-type]
    table = assign_credit(
        build_groups(rollouts, where="here"),
        judge=StoredJudge(SampleJudge(), tmp_path),
        **(COMMON | options),
    )
    assert [c.rts for c in table.credits_N] == [0.0, pytest.approx(rts)]


def test_a_killed_judge_judges_nothing_twice(tmp_path: Path) -> None:
    first = SampleJudge(n_max=3)
    with pytest.raises(KeyboardInterrupt):
        assign_credit(GROUPS, judge=StoredJudge(first, tmp_path), **COMMON, chunk=1)
    second = SampleJudge()
    resumed = assign_credit(GROUPS, judge=StoredJudge(second, tmp_path), **COMMON, chunk=1)
    assert (len(first.judged), len(second.judged)) == (3, 1)
    assert not set(first.judged) & set(second.judged)
    straight = StoredJudge(SampleJudge(), tmp_path / "straight")
    assert resumed == assign_credit(GROUPS, judge=straight, **COMMON)


def test_the_table_reads_back(tmp_path: Path) -> None:
    assert load_credits(tmp_path / "credit") is None
    judge = StoredJudge(SampleJudge(), tmp_path / "judgements")
    table = assign_credit(GROUPS, judge=judge, **COMMON)
    write_credits(tmp_path / "credit", table)
    assert load_credits(tmp_path / "credit") == table


def test_a_damaged_judgement_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "part-00000.jsonl").write_text('{"solution_id": "x"}\n')
    with pytest.raises(DataError, match=r"part-00000.jsonl, row 1 is damaged: field 'judge_id' is missing"):
        StoredJudge(SampleJudge(), tmp_path)


class _Mute(SampleJudge):
    def _judge_one(self, solution: Solution) -> Judgement:
        reason = NoVerdictReason.UNPARSABLE
        return Judgement(solution_id=solution.id, judge_id=self.info.judge_id, no_verdict=reason)


def test_no_verdict_is_no_zero(tmp_path: Path) -> None:
    lenient = COMMON | {"guards": GuardsConfig(judge_auc=None, unscored=None)}
    table = assign_credit(GROUPS, judge=StoredJudge(_Mute(), tmp_path), **lenient)
    assert [(c.rts, c.reward, c.guided_advantage) for c in table.credits_N[:4]] == [(None, None, 0.0)] * 4
    assert (table.report["unscored"], table.report["revived"]) == (4, 0)


def test_a_mute_judge_stops_the_run(tmp_path: Path) -> None:
    groups = build_groups([make_rollout("g", k, 0.0) for k in range(40)], where="here")
    judge, fired = _Mute(), []
    with pytest.raises(JudgeError, match="no verdict for 8 of 8 responses"):
        assign_credit(groups, judge=StoredJudge(judge, tmp_path / "a"), **COMMON, chunk=8, listeners=[fired.append])
    assert len(judge.judged) == 8 and [firing.guard for firing in fired] == ["unscored"]
    with pytest.raises(JudgeError, match="no verdict for any of 4 responses"):  # too few for a share to say anything
        assign_credit(GROUPS, judge=StoredJudge(_Mute(), tmp_path / "b"), **COMMON)


def test_a_judge_that_knows_nothing_is_off_and_training_is_grpo(tmp_path: Path) -> None:
    """Eight right responses and eight wrong ones of as many mixed groups; this judge says the same of all."""
    rollouts = [make_rollout(f"g{g}", k, float(k == 0 and g % 2)) for g in range(40) for k in range(2)]
    guards = GuardsConfig.model_validate({"judge_auc": {"min_right": 5, "sample": 1.0}})
    options = COMMON | {"guards": guards, "algorithm": SGPO(scope="every_wrong")}
    judge = SampleJudge()
    table = assign_credit(build_groups(rollouts, where="here"), judge=StoredJudge(judge, tmp_path), **options, chunk=20)
    assert table.report["judge_off"] == 1 and 20 <= len(judge.judged) < 80, "judging ends where it is known"
    assert [c.guided_advantage for c in table.credits_N] == [c.plain_advantage for c in table.credits_N]
    assert {c.rts for c in table.credits_N} == {None}
    (firing,) = table.report["guards"]
    assert (firing["guard"], firing["action"], firing["value"]) == ("judge_auc", "judge_off", 0.5)
