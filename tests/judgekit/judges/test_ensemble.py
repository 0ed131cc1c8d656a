"""Ensembles: the two pools, who is left out, and what the door opens."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from judgekit.calibration.card import Fingerprint
from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.card import JudgeCard, read_card, write_card
from judgekit.judges.ensemble import EnsembleJudge, EnsembleSpec, pool_mixture, pool_product
from judgekit.types import ArgmaxRule, NoVerdictReason, Solution, ThresholdRule
from tests.fakes import FakeJudge

THREE = ((0.6, 0.3, 0.1), (0.2, 0.2, 0.6))
POOLS = [pool_product, pool_mixture]


def solution(n_steps: int, number: int = 0) -> Solution:
    return Solution(id=f"s{number}", problem="?", steps=("step",) * n_steps)


def ensemble(members: Sequence[Judge], weights: Sequence[float], rule: str = "product") -> EnsembleJudge:
    section = EnsembleSpec(members=tuple(f"m{i}" for i in range(len(members))), rule=rule, weights=tuple(weights))
    return EnsembleJudge(JudgeCard(judge_id="pool", spec=section), members)


def write_ensemble(folder: Path, *members: str, weights: Sequence[float] | None = None, rule: str = "mixture") -> Path:
    shares = tuple(weights or [1 / len(members)] * len(members))
    section = EnsembleSpec(members=members, rule=rule, weights=shares)
    write_card(folder, JudgeCard(judge_id=folder.name, spec=section))
    return folder


# Pools


def test_product_by_hand() -> None:
    # 0.6^1 * 0.2^2 = 0.024, 0.3 * 0.04 = 0.012, 0.1 * 0.36 = 0.036; they sum to 0.072.
    assert pool_product(THREE, weights_M=[1, 2]) == pytest.approx([1 / 3, 1 / 6, 1 / 2])


def test_mixture_by_hand() -> None:
    # 0.25 * 0.6 + 0.75 * 0.2 = 0.3, 0.25 * 0.3 + 0.75 * 0.2 = 0.225, 0.25 * 0.1 + 0.75 * 0.6 = 0.475
    assert pool_mixture(THREE, weights_M=[0.25, 0.75]) == pytest.approx([0.3, 0.225, 0.475])
    assert pool_mixture(THREE, weights_M=[1, 3]) == pytest.approx([0.3, 0.225, 0.475])


@pytest.mark.parametrize("pool", POOLS)
def test_weight_one_and_zero_is_the_first_member(pool: Callable[..., np.ndarray]) -> None:
    assert pool(THREE, weights_M=[1, 0]) == pytest.approx(THREE[0])


def test_a_product_sharpens_agreement_and_a_mixture_does_not() -> None:
    same = ((0.6, 0.3, 0.1),) * 2
    assert pool_product(same, weights_M=[1, 1])[0] == pytest.approx(0.36 / 0.46)
    assert pool_mixture(same, weights_M=[0.5, 0.5])[0] == pytest.approx(0.6)


def test_no_member_rules_an_outcome_out_for_good() -> None:
    pooled = pool_product([(1.0, 0.0), (0.0, 1.0)], weights_M=[1, 1])
    assert pooled == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("seed", range(5))
def test_pools_are_distributions_whatever_the_order_of_members(pool: Callable[..., np.ndarray], seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_members, n_outcomes = rng.integers(2, 6), rng.integers(2, 200)
    posteriors = rng.dirichlet(np.full(n_outcomes, 0.05), size=n_members)
    weights = rng.dirichlet(np.ones(n_members))
    pooled, order = pool(posteriors, weights_M=weights), rng.permutation(n_members)
    assert pooled.min() >= 0
    assert math.fsum(pooled) == pytest.approx(1, abs=1e-9)
    assert pool(posteriors[order], weights_M=weights[order]) == pytest.approx(pooled, abs=1e-12)


# Missing verdicts


def test_a_member_without_a_verdict_is_left_out() -> None:
    silent = FakeJudge({}, no_verdict={"s0": NoVerdictReason.TIMED_OUT}, judge_id="silent")
    speaking = FakeJudge({"s0": THREE[0]}, judge_id="speaking")
    for rule, weights in (("mixture", (0.75, 0.25)), ("product", (2.0, 1.0))):
        [judgement] = ensemble([silent, speaking], weights, rule).judge([solution(2)])
        assert judgement.verdict is not None
        assert judgement.verdict.posterior == pytest.approx(THREE[0])
        assert "silent, weight" in (judgement.raw or "")
        assert "no verdict, timed_out" in (judgement.raw or "")


def test_no_verdict_at_all_has_the_reason_of_the_weightiest_member() -> None:
    members = [
        FakeJudge({}, no_verdict={"s0": NoVerdictReason.TIMED_OUT}, judge_id="one"),
        FakeJudge({}, no_verdict={"s0": NoVerdictReason.TOO_LONG}, judge_id="two"),
    ]
    [judgement] = ensemble(members, (0.3, 0.7), "mixture").judge([solution(2)])
    assert (judgement.verdict, judgement.no_verdict) == (None, NoVerdictReason.TOO_LONG)
    assert "no verdict, timed_out" in (judgement.raw or "")


def test_a_member_of_weight_zero_does_not_stand_in() -> None:
    silent = FakeJudge({}, no_verdict={"s0": NoVerdictReason.TIMED_OUT})
    [judgement] = ensemble([silent, FakeJudge({"s0": THREE[0]})], (1, 0)).judge([solution(2)])
    assert judgement.no_verdict is NoVerdictReason.TIMED_OUT


def test_cost_is_the_sum_and_order_is_kept() -> None:
    posteriors = {"s0": (0.5, 0.5), "s1": (0.1, 0.2, 0.7)}
    judge = ensemble([FakeJudge(posteriors), FakeJudge(posteriors)], (1, 1))
    judgements = judge.judge([solution(2, 1), solution(1, 0)])
    assert [item.solution_id for item in judgements] == ["s1", "s0"]
    assert [item.n_tokens for item in judgements] == [40, 20]
    assert [item.seconds for item in judgements] == [1.0, 1.0]
    assert judge.judge([]) == []


# The door


def test_a_directory_opens_with_paths_relative_to_it(tiny_judge: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny").symlink_to(tiny_judge)
    folder = write_ensemble(tmp_path / "both", "../tiny", "builtin:symbolic", weights=(1.0, 0.5), rule="product")
    item = Solution(problem="Start with 1.", steps=("1+1=2", "2+2=5", "5+3=8"))
    tiny, symbolic = (load_judge(name).judge([item])[0].verdict for name in (tiny_judge, "builtin:symbolic"))
    assert tiny is not None
    assert symbolic is not None
    judge = load_judge(folder)
    [judgement] = judge.judge([item])
    assert judgement.verdict is not None
    products = [a * math.sqrt(b) for a, b in zip(tiny.posterior, symbolic.posterior, strict=True)]
    assert judgement.verdict.posterior == pytest.approx([product / sum(products) for product in products], rel=1e-4)
    assert judge.info.judge_id == "both"
    assert "2+2 = 5, but 2+2 is 4" in (judgement.raw or "")


def test_ensembles_may_be_nested(tmp_path: Path) -> None:
    write_ensemble(tmp_path / "inner", "builtin:first-step", "builtin:no-error")
    outer = load_judge(write_ensemble(tmp_path / "outer", "../inner", "builtin:no-error"))
    [judgement] = outer.judge([Solution(problem="?", steps=("a",))])
    assert judgement.verdict is not None
    assert judgement.verdict.posterior == pytest.approx((0.25, 0.75), abs=0.01)


@pytest.mark.parametrize("member", [".", "../other"])
def test_an_ensemble_in_itself_is_refused(member: str, tmp_path: Path) -> None:
    write_ensemble(tmp_path / "other", "builtin:no-error", "../one")
    write_ensemble(tmp_path / "one", "builtin:no-error", member)
    with pytest.raises(CheckpointError, match="is a member of itself"):
        load_judge(tmp_path / "one")


def test_small_cards_that_stand_for_thousands_of_judges_are_refused(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(11):
        write_ensemble(folder, "a", "./a")
        folder = folder / "a"
    write_ensemble(folder, "builtin:random", "builtin:no-error")
    with pytest.raises(CheckpointError, match="more than 100 members, with members of members counted"):
        load_judge(tmp_path)


def test_a_name_that_no_file_can_have_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist and is not a Hub id") as error:
        load_judge(write_ensemble(tmp_path / "one", "builtin:no-error", "x" * 5000))
    assert len(str(error.value)) < 300
    with pytest.raises(CheckpointError, match="does not exist and is not a Hub id"):
        load_judge("x" * 5000)


def test_a_card_by_hand_opens(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "kind: ensemble\n"
        "ensemble: {members: [builtin:first-step, builtin:no-error], rule: mixture, weights: [0.9, 0.1]}\n"
        "decision: {kind: argmax}\n"
    )
    judge = load_judge(path)
    assert (judge.info.judge_id, judge.info.decision) == ("mine", ArgmaxRule())
    assert judge.judge([Solution(problem="?", steps=("a", "b"))])[0].verdict.decide(judge.info.decision) == 0


def test_a_card_survives_writing(tmp_path: Path) -> None:
    fingerprint = Fingerprint(data="d", sha256="0", n_solutions=2, n_problems=1, sources=("s",), generators=("g",))
    section = EnsembleSpec(members=("a", "b"), rule="product", weights=(0.1, 1.7), fingerprint=fingerprint)
    decision = ThresholdRule(threshold=0.3, origin="best ProcessBench F1 on d")
    card = JudgeCard(judge_id="e", spec=section, decision=decision)
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"weights": [1.0]}, "1 weights for 2 members"),
        ({"weights": [0.0, 0.0]}, "all weights are 0"),
        ({"weights": [-0.5, 1.5]}, "weights.0"),
        ({"weights": [0.5, 0.6], "rule": "mixture"}, "sum to 1.1, not 1"),
        ({"rule": "vote"}, "'product' or 'mixture'"),
        ({"members": []}, "members"),
    ],
)
def test_a_section_that_cannot_be_is_refused(fields: dict[str, object], complaint: str, tmp_path: Path) -> None:
    section = {"members": ["builtin:random", "builtin:no-error"], "rule": "product", "weights": [1.0, 1.0]} | fields
    (tmp_path / "judge.json").write_text(json.dumps({"kind": "ensemble", "judge_id": "e", "ensemble": section}))
    with pytest.raises(CheckpointError, match=complaint):
        load_judge(tmp_path)


def test_a_member_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gone"):
        load_judge(write_ensemble(tmp_path, "builtin:random", "../gone"))
