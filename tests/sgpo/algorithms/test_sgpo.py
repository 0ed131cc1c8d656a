"""Who is judged, what a judgement is worth, and the rules for rows without one."""

from pathlib import Path

import pytest
import torch

from judgekit.calibration.card import ConformalCard, Fingerprint
from judgekit.errors import ConfigError, JudgeError
from judgekit.judges.card import JudgeCard
from judgekit.judges.cascade import CascadeJudge, CascadeSpec, Stage
from judgekit.judges.stored import StoredJudge
from judgekit.types import NoVerdictReason, Solution
from sgpo.algorithms.base import GroupBatch, WindowConfig
from sgpo.algorithms.grpo import GRPO
from sgpo.algorithms.registry import parse_algorithm
from sgpo.algorithms.sgpo import SGPO
from sgpo.credit import mix_advantages
from sgpo.rewards import compute_advantages, shape_rts
from tests.fakes import FakeJudge
from tests.sgpo.samples import Cut, Guided, guide

NAN = float("nan")
PLAIN = SGPO(std="group")


def response(name: str, *, n_steps: int = 5, truncated: bool = False) -> Cut:
    solution = Solution(id=name, problem="p", steps=tuple(f"{name}{k}" for k in range(n_steps)))
    return Cut(solution, lengths_S=(1.0,) * n_steps, truncated=truncated)


def error_at(index: int, *, n_steps: int = 5) -> list[float]:
    return [float(k == index) for k in range(n_steps + 1)]


def guided(outcomes: list[float], errors: list[int | None], *, algorithm: SGPO = PLAIN, size: int = 4) -> Guided:
    """Groups of `size`; `None` in errors is a response that the judge could not parse."""
    responses = [response(f"r{i}") for i in range(len(outcomes))]
    judge = FakeJudge(
        {f"r{i}": error_at(error) for i, error in enumerate(errors) if error is not None},
        no_verdict={f"r{i}": NoVerdictReason.UNPARSABLE for i, error in enumerate(errors) if error is None},
    )
    ids = torch.arange(len(outcomes)) // size
    return guide(
        torch.tensor(outcomes, dtype=torch.float32),
        group_ids_N=ids,
        responses=responses,
        judge=judge,
        algorithm=algorithm,
    )


def test_only_all_negative_groups_are_judged() -> None:
    outcomes = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, NAN])
    ids, truncated = torch.tensor([0, 0, 1, 1, 2, 2]), torch.zeros(6, dtype=torch.bool)
    batch = GroupBatch(outcomes, ids, truncated, torch.ones(6))
    assert PLAIN.rows_to_score(batch).tolist() == [0, 1, 4]
    assert SGPO(scope="every_wrong").rows_to_score(batch).tolist() == [0, 1, 3, 4]


def test_rewards_of_a_revived_group_and_an_untouched_one() -> None:
    result = guided([0, 0, 0, 0, 1, 0, 0, 0], [0, 1, 2, 3, 4, 4, 4, 4])
    expected = [*shape_rts(torch.tensor([0.0, 0.2, 0.4, 0.6])).tolist(), 1.0, 0.0, 0.0, 0.0]
    assert result.rewards_N.tolist() == pytest.approx(expected)
    assert result.stats["judge_calls"] == 4
    assert result.stats["frac_all_negative"] == 0.5
    assert result.stats["frac_zero_advantage_before"] == 0.5
    assert result.stats["frac_zero_advantage_after"] == 0.0
    assert result.stats["frac_revived"] == 0.5
    assert result.stats["accuracy"] == pytest.approx(1 / 8)
    assert result.stats["rts_mean"] == pytest.approx(0.3)
    assert result.stats["rts_spread"] == pytest.approx(0.6)


def test_what_a_cascade_deferred_is_told() -> None:
    sure, unsure, names = (0.8, 0.1, 0.1), (0.4, 0.2, 0.4), [f"r{i}" for i in range(4)]
    cheap, costly = FakeJudge(dict.fromkeys(names, unsure) | {"r0": sure}), FakeJudge(dict.fromkeys(names, sure))
    spec = CascadeSpec(members=("a", "b"), stages=(Stage(hi=0.9, lo=0.25),))
    result = guide(
        torch.zeros(4),
        group_ids_N=torch.zeros(4, dtype=torch.long),
        responses=[response(name, n_steps=2) for name in names],
        judge=CascadeJudge(JudgeCard(judge_id="c", spec=spec), [cheap, costly]),
        algorithm=PLAIN,
    )
    assert result.stats["judge_deferred_1"] == 0.75
    assert not any(name.startswith(("judge_deferred", "judge_usd")) for name in guided([0] * 4, [0] * 4).stats)


def test_a_group_failing_at_one_place_keeps_its_outcomes() -> None:
    """3/7 repeated has a float mean that differs from it; the rule must not leave that noise."""
    responses = [response(f"r{i}", n_steps=7) for i in range(7)]
    judge = FakeJudge({f"r{i}": error_at(3, n_steps=7) for i in range(7)})
    ids = torch.zeros(7, dtype=torch.long)
    result = guide(torch.zeros(7), group_ids_N=ids, responses=responses, judge=judge, algorithm=PLAIN)
    assert result.rewards_N.tolist() == [0.0] * 7 and result.stats["frac_revived"] == 0


def test_every_wrong_colours_mixed_groups_and_keeps_wrong_below_right() -> None:
    result = guided([1, 0, 0, 0], [4, 4, 0, 0], algorithm=SGPO(scope="every_wrong", std="group"))
    assert result.rewards_N.tolist() == pytest.approx([1.0, 0.9526, 0.0067, 0.0067], abs=1e-4)
    assert result.stats["judge_calls"] == 3


def test_uninformative_judge_is_the_baseline_to_the_bit() -> None:
    outcomes = [0.0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0]
    result = guided(outcomes, [3] * 12, algorithm=SGPO())
    ids = torch.arange(12) // 4
    baseline = compute_advantages(torch.tensor(outcomes), group_ids_N=ids)
    same = compute_advantages(result.rewards_N, group_ids_N=ids, std_floor_N=result.std_floor_N)
    assert same.tolist() == baseline.tolist()
    assert result.stats["frac_revived"] == 0


def test_unscored_rows_are_dropped_not_zero() -> None:
    result = guided([0, 0, 0, 0], [0, 2, 4, None])
    assert result.rewards_N[3].isnan()
    advantages = compute_advantages(result.rewards_N, group_ids_N=torch.zeros(4))
    three = compute_advantages(result.rewards_N[:3], group_ids_N=torch.zeros(3))
    assert advantages.tolist() == [*three.tolist(), 0.0]
    assert result.stats["unscored"] == 1


def test_unscored_rows_can_keep_their_outcome() -> None:
    algorithm = SGPO(on_unscored="outcome", std="group")
    assert guided([0, 0, 0, 0], [0, 2, 4, None], algorithm=algorithm).rewards_N[3] == 0


@pytest.mark.parametrize(
    ("rule", "judged", "last"), [("outcome", [0, 1, 2], 0.0), ("judge", [0, 1, 2, 3], 0.9526), ("drop", [0, 1, 2], NAN)]
)
def test_truncated_responses_follow_the_rule(rule: str, judged: list[int], last: float) -> None:
    algorithm = SGPO(truncated=rule, std="group")  # type: ignore[arg-type]
    judge = FakeJudge({f"r{i}": error_at(i + 1) for i in range(4)})
    responses = [response(f"r{i}", truncated=i == 3) for i in range(4)]
    result = guide(torch.zeros(4), group_ids_N=torch.zeros(4), responses=responses, judge=judge, algorithm=algorithm)
    assert judge.judged == [f"r{i}" for i in judged]
    assert result.rewards_N[3].item() == pytest.approx(last, abs=1e-4, nan_ok=True)
    assert result.stats["truncated"] == 1


@pytest.mark.parametrize(("scope", "dropped"), [("all_negative", False), ("every_wrong", True)])
def test_truncated_drop_reaches_as_far_as_the_scope(scope: str, dropped: bool) -> None:
    algorithm = SGPO(truncated="drop", scope=scope)  # type: ignore[arg-type]
    judge = FakeJudge({"r1": error_at(1)})
    responses = [response("r0"), response("r1"), response("r2", truncated=True)]
    outcomes = torch.tensor([1.0, 0.0, 0.0])
    result = guide(outcomes, group_ids_N=torch.zeros(3), responses=responses, judge=judge, algorithm=algorithm)
    assert bool(result.rewards_N[2].isnan()) is dropped


def test_responses_without_steps_earn_rts_zero_unasked() -> None:
    judge = FakeJudge({"r1": error_at(2)})
    responses = [response("r0", n_steps=0), response("r1")]
    result = guide(torch.zeros(2), group_ids_N=torch.zeros(2), responses=responses, judge=judge, algorithm=PLAIN)
    assert result.rewards_N.tolist() == pytest.approx(shape_rts(torch.tensor([0.0, 0.4])).tolist())
    assert judge.judged == ["r1"]
    assert result.stats["judge_calls"] == 1


def test_floor_holds_in_all_negative_groups_only() -> None:
    result = guided([0, 0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0], algorithm=SGPO(std_floor=0.2))
    assert result.std_floor_N.tolist() == pytest.approx([0.2] * 4 + [0.0] * 4)


def test_the_earlier_spelling_of_the_paper_s_division() -> None:
    assert SGPO.model_validate({"std_floor": None}) == SGPO(std="group")
    assert SGPO.model_validate({"std_floor": 0.2}).std == "floor"
    later = SGPO.model_validate(SGPO(std="none").model_dump() | {"std_floor": None})
    assert (later.std, later.std_floor) == ("none", 0.05)
    assert SGPO(credited="prefix").std == "none"
    with pytest.raises(ValueError, match="divides guided groups by nothing, and std is 'group': set std=none"):
        SGPO(credited="prefix", std="group")


def test_permuting_a_group_permutes_its_rewards() -> None:
    errors: list[int | None] = [3, 0, None, 1]
    straight = guided([0, 0, 0, 0], errors).rewards_N
    backward = guided([0, 0, 0, 0], errors[::-1]).rewards_N
    torch.testing.assert_close(backward.flip(0), straight, equal_nan=True)


def test_judge_answering_too_little_is_an_error() -> None:
    class Short(FakeJudge):
        def judge(self, solutions):  # type: ignore[no-untyped-def]
            return super().judge(solutions)[:-1]

    judge = Short({f"r{i}": error_at(0) for i in range(2)})
    with pytest.raises(JudgeError, match="was given 2 solutions and answered 1 judgements"):
        guide(
            torch.zeros(2),
            group_ids_N=torch.zeros(2),
            responses=[response("r0"), response("r1")],
            judge=judge,
            algorithm=PLAIN,
        )


def test_judge_answering_in_another_order_is_an_error() -> None:
    class Turned(FakeJudge):
        def judge(self, solutions):  # type: ignore[no-untyped-def]
            return super().judge(solutions)[::-1]

    judge = Turned({f"r{i}": error_at(i) for i in range(2)})
    with pytest.raises(JudgeError, match="not theirs in the same order"):
        PLAIN.score([response("r0"), response("r1")], judge=judge)


def conformal(**fields: float) -> ConformalCard:
    fingerprint = Fingerprint(data="d", sha256="0", n_solutions=9, n_problems=9, sources=("s",), generators=("g",))
    learned = {"max_mass": 0.5, "min_survival": 0.3, "min_survival_if_wrong": 0.55, "n_problems": 9}
    counts = {"n_problems_if_wrong": 9, "n_no_verdict": 0}
    return ConformalCard(alpha=0.1, fingerprint=fingerprint, **(learned | counts | fields))  # type: ignore[arg-type]


def test_certified_prefixes_use_the_threshold_for_erroneous_solutions() -> None:
    """Survival 0.9, 0.6, 0.5, 0.4: two steps lie above 0.55, all four above the threshold for any solution, 0.3."""
    posterior = (0.1, 0.3, 0.1, 0.1, 0.4)
    judge = FakeJudge({"r0": posterior, "r1": (1.0, 0.0, 0.0, 0.0, 0.0)}, conformal=conformal())
    scored = SGPO(rts="certified").score([response(f"r{i}", n_steps=4) for i in range(2)], judge=judge)
    assert [item.rts for item in scored] == [0.5, 0.0]
    stored = StoredJudge(judge, Path())
    assert stored.info.conformal == judge.info.conformal


def test_certified_prefixes_of_a_judge_without_them_are_refused() -> None:
    algorithm = SGPO(rts="certified")
    with pytest.raises(ConfigError, match=r"fake has none: write one with `judgekit calibrate`, or use rts.type"):
        algorithm.score([], judge=FakeJudge({}))
    empty = conformal(min_survival_if_wrong=1.0, n_problems_if_wrong=3)
    with pytest.raises(ConfigError, match=r"certifies no step at alpha 0\.1 .calibrated on 3 problems .* larger conf"):
        algorithm.score([], judge=FakeJudge({}, conformal=empty))
    assert SGPO().score([], judge=FakeJudge({})) == []


def test_grpo_changes_nothing() -> None:
    responses = [response("r0"), response("r1")]
    result = guide(
        torch.tensor([1.0, 0.0]), group_ids_N=torch.zeros(2), responses=responses, judge=None, algorithm=GRPO()
    )
    assert result.rewards_N.tolist() == [1.0, 0.0]
    assert "rts_mean" not in result.stats


def test_window_of_the_paper_is_the_first_quarter() -> None:
    window = WindowConfig(unit="fraction", stop=0.25)
    assert [window.is_open(step=step, n_steps=12, epoch=0) for step in (0, 2, 3, 11)] == [True, True, False, False]
    steps = WindowConfig(unit="steps", start=2, stop=4)
    assert [steps.is_open(step=step, n_steps=12, epoch=0) for step in (1, 2, 3, 4)] == [False, True, True, False]
    epochs = WindowConfig(unit="epochs", stop=3)
    assert [epochs.is_open(step=0, n_steps=1, epoch=epoch) for epoch in (0.0, 2.99, 3.0)] == [True, True, False]
    assert WindowConfig().is_open(step=10**6, n_steps=1, epoch=9)
    with pytest.raises(ValueError, match="not after its start"):
        WindowConfig(start=0.5, stop=0.5)


def test_an_algorithm_fades_within_its_window() -> None:
    """From 1 at the start to 0 at the stop: a quarter of the way 3/4, or (1 + cos 45 degrees) / 2."""
    line = WindowConfig(unit="epochs", start=1, stop=5, fade="linear")
    assert [line.weight(step=0, n_steps=1, epoch=epoch) for epoch in (0, 1, 2, 4, 5)] == [0, 1, 0.75, 0.25, 0]
    cosine = WindowConfig(fade="cosine")
    found = [cosine.weight(step=step, n_steps=8, epoch=0) for step in (0, 2, 4, 8)]
    assert found == pytest.approx([1, (1 + 2**-0.5) / 2, 0.5, 0], abs=1e-12)
    assert WindowConfig(unit="steps", stop=3).weight(step=2, n_steps=9, epoch=0) == 1
    with pytest.raises(ValueError, match="fade=linear needs to know where the window ends: give stop, in steps"):
        WindowConfig(unit="steps", fade="linear")
    for name in ("gdpo", "rebel"):
        with pytest.raises(ConfigError, match=f"the algorithm {name} cannot fade"):
            parse_algorithm({"type": name, "window": {"fade": "linear"}})


def test_fading_mixes_advantages_and_is_exact_at_its_ends() -> None:
    own, plain = torch.tensor([0.3, -1 / 3]), torch.tensor([0.1, 0.7])
    assert mix_advantages(own, plain, weight=0.0).tolist() == plain.tolist()
    assert mix_advantages(own, plain, weight=1.0).tolist() == own.tolist()
    torch.testing.assert_close(mix_advantages(own, plain, weight=0.25), torch.tensor([0.15, -1 / 12 + 0.525]))
