"""Rules of guards on observations made up by hand, and what guards do about them."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import torch

from judgekit.errors import JudgeError
from judgekit.types import NoVerdictReason
from sgpo.algorithms.base import GroupBatch, Scored
from sgpo.guards import (
    Flawless,
    Guard,
    GuardsConfig,
    JudgeAUC,
    Known,
    LengthDrift,
    Observation,
    OutOfReach,
    RTSAlone,
    StepDrift,
    Unscored,
)
from sgpo.watch import Guards, observe

NAN = float("nan")


def judged(step: int, right: list[float], wrong: list[float], *, flawless: bool = False) -> Observation:
    """One group a response."""
    known = [Known(i, i < len(right), p, flawless) for i, p in enumerate([*right, *wrong])]
    return Observation(step=step, n_judged=len(known), known=tuple(known))


def drawn(step: int, *, knows: bool, seed: int) -> Observation:
    """Six right and forty wrong responses, by a judge that sees five errors of six, and one that draws lots."""
    rng = random.Random(f"{seed}:{step}")
    says = [0.99 if rng.random() < (5 / 6 if right and knows else 1 / 6) else 0.01 for right in [1] * 6 + [0] * 40]
    return judged(step, says[:6], says[6:])


@pytest.mark.parametrize("seed", range(3))
def test_a_judge_that_draws_lots_is_told_from_one_that_knows(seed: int) -> None:
    def fires_at(knows: bool) -> int | None:
        seen = [drawn(step, knows=knows, seed=seed) for step in range(1, 21)]
        readings = {n: JudgeAUC().read(seen[:n]) for n in range(1, 21)}
        return next((n for n, reading in readings.items() if reading and reading.fires), None)

    at = fires_at(knows=False)
    assert at is not None and 5 <= at <= 10, "not before there are 30 right responses"
    assert fires_at(knows=True) is None


def test_auc_by_hand() -> None:
    """Two right ones (0.9, 0.4) and two wrong ones (0.4, 0.1): 1 + 1 + 0.5 + 1 of 4 pairs."""
    seen = [judged(1, [0.9], [0.4]), Observation(step=2), judged(3, [0.4], [0.1])]
    reading = JudgeAUC(min_right=2).read(seen)
    assert reading is not None and "2 correct and 2 wrong responses is 0.88" in reading.what and reading.window == 2
    assert JudgeAUC(min_right=3).read(seen) is None
    assert JudgeAUC(min_right=2, window=1).read(seen) is None, "the window has one right response"
    same = JudgeAUC(min_right=2).read([judged(1, [0.5] * 9, [0.5] * 9)])
    assert same is not None and (same.value, same.fires) == (0.5, True)


def sizes(*values: float, rts: tuple[float, ...] = (), accuracy: float = 0.1) -> list[Observation]:
    return [
        Observation(step=i, n_steps=n, n_tokens=10 * n, rts=rts[i] if rts else None, accuracy=accuracy)
        for i, n in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("guard", "seen", "value", "fires"),
    [
        # score interval of 30 of 30 at z = 2.576: from 30 / (30 + 6.636) = 0.819 on
        (Flawless(), [judged(1, [0.9] * 9, [0.9] * 30, flawless=True)], 1.0, True),
        (Flawless(), [judged(1, [0.9] * 9, [0.9] * 20, flawless=True)], 1.0, False),
        (Flawless(), [judged(1, [0.9] * 9, [0.1] * 30)], 0.0, False),
        # 7 of 7: from 7 / 13.636 = 0.513 on; the fifth batch from the end and those after it count
        (Unscored(), [Observation(step=1, n_judged=7, n_unscored=7)], 1.0, True),
        (Unscored(), [Observation(step=1, n_judged=6, n_unscored=6)], 1.0, False),
        (Unscored(), [Observation(step=i, n_judged=80, n_unscored=80 * (i > 16)) for i in range(20)], 0.6, True),
        (Unscored(bound=1.0), [Observation(step=1, n_judged=99, n_unscored=99)], 1.0, False),
        (OutOfReach(), [Observation(step=1, n_all_negative=40, n_one_step=30, n_cut=10)], 1.0, True),
        (OutOfReach(), [Observation(step=1, n_all_negative=40, n_one_step=20)], 0.5, False),
        # 7.5 = 1.5 * 5, and not more
        (StepDrift(window=2, bound=1.5), sizes(4, 6, 7, 8), 1.5, False),
        (StepDrift(window=2, bound=1.5), sizes(4, 6, 7, 8.5), 1.55, True),
        (StepDrift(window=2, bound=1.5), sizes(4, 6, 3, 3), 5 / 3, True),
        (LengthDrift(window=2, bound=1.5), sizes(4, 6, 1, 2, 2, 2, 5, 5), 1.0, False),
        (RTSAlone(window=2), sizes(1, 1, 1, 1, rts=(0.3, 0.3, 0.4, 0.5)), 0.15, True),
        (RTSAlone(window=2, bound=0.16), sizes(1, 1, 1, 1, rts=(0.3, 0.3, 0.4, 0.5)), 0.15, False),
        (RTSAlone(window=1), [*sizes(1, rts=(0.3,)), *sizes(1, rts=(0.5,), accuracy=0.12)], 0.2, False),
    ],
)
def test_rules_by_hand(guard: Guard, seen: list[Observation], value: float, fires: bool) -> None:
    reading = guard.read(seen)
    assert reading is not None and reading.value == pytest.approx(value) and reading.fires is fires


@pytest.mark.parametrize("guard", [StepDrift(window=2), LengthDrift(window=2), RTSAlone(window=2)])
def test_two_windows_are_needed_to_see_a_change(guard: Guard) -> None:
    assert guard.read(sizes(1, 9, 9, rts=(0.1, 0.9, 0.9))) is None


def guards(*, asks_judge: bool = True, **options: Any) -> Guards:
    return Guards(GuardsConfig.model_validate(options), asks_judge=asks_judge)


def test_a_guard_fires_once_while_its_bound_is_passed() -> None:
    watch, told = guards(step_drift={"window": 1, "bound": 1.5}), []
    watch.listeners.append(told.append)
    for observation in sizes(4, 4, 8, 8, 4, 8):
        watch.look(observation)
    assert [firing.step for firing in told] == [2, 5] and watch.ringing == {"step_drift"} and not watch.judge_off
    assert str(told[0]).startswith("guards.step_drift at step 2: a response has 8 steps, 2.00 times the 4 at the start")
    assert "(last 1 batches; 2 against the bound 1.5): a warning. What to do: read samples.jsonl" in str(told[0])


def test_actions() -> None:
    lots = [drawn(step, knows=False, seed=0) for step in range(1, 15)]
    off, spared = guards(), guards(asks_judge=False)
    fired = {name: [f for seen in lots for f in watch.look(seen)] for name, watch in (("off", off), ("spared", spared))}
    assert off.judge_off and [firing.action for firing in fired["off"]] == ["judge_off"]
    assert not spared.judge_off and [firing.action for firing in fired["spared"]] == ["warn"], "there is none to be off"
    told: list[Any] = []
    stopping = guards(judge_auc={"action": "stop"})
    stopping.listeners.append(told.append)
    with pytest.raises(JudgeError, match=r"guards\.judge_auc at step .*the run stops\. What to do: measure the judge"):
        for seen in lots:
            stopping.look(seen)
    assert [firing.action for firing in told] == ["stop"], "written down before the end"
    assert not guards(judge_auc=None).look(judged(1, [0.5] * 40, [0.5] * 40)) and not guards(judge_auc=None).judge_off


def test_a_judge_that_never_answers_stops_a_run_at_its_end() -> None:
    watch = guards()
    n_by_reason = {NoVerdictReason.TOO_LONG: 1, NoVerdictReason.EMPTY: 2}
    watch.look(Observation(step=1, n_judged=3, n_unscored=3, n_by_reason=n_by_reason))
    with pytest.raises(JudgeError, match=r"no verdict for any of 3 responses \(empty: 2, too_long: 1\)"):
        watch.finish()
    for silent in (guards(unscored=None), guards(unscored={"bound": 1.0}), guards()):
        silent.look(Observation(step=1, n_judged=3, n_unscored=2 if silent.config == GuardsConfig() else 3))
        assert silent.finish() == []


def test_a_restored_state_goes_on_as_if_never_interrupted() -> None:
    lots = [drawn(step, knows=False, seed=1) for step in range(1, 31)]
    options = {"judge_auc": {"window": 4, "min_right": 10, "action": "warn"}, "step_drift": None}
    straight, first = guards(**options), guards(**options)
    fired = [straight.look(seen) for seen in lots]
    early = [first.look(seen) for seen in lots[:13]]
    state = json.loads(json.dumps(first.state()))
    assert sum(bool(item.get("known")) for item in state["seen"]) == 10, "the longest window; older verdicts are gone"
    resumed = guards(**options)
    resumed.restore(state)
    assert early + [resumed.look(seen) for seen in lots[13:]] == fired and any(fired)
    assert resumed.state() == straight.state()


def batch(outcomes: list[float], *, cut: list[bool] | None = None) -> GroupBatch:
    n = len(outcomes)
    return GroupBatch(
        torch.tensor(outcomes),
        group_ids_N=torch.arange(n) // 4,
        truncated_N=torch.tensor(cut or [False] * n),
        n_tokens_N=torch.full((n,), 7),
    )


def test_few_right_responses_are_asked_about_and_drawn_by_seed_and_step() -> None:
    groups = batch([0.0] * 16 + [1.0, 1, 0, 0] * 8)
    rows_M = torch.arange(16)
    asked = [guards().rows_to_ask(groups, rows_M, step=step).tolist() for step in (1, 1, 2)]
    assert asked[0] == asked[1] != asked[2] and [len(rows) for rows in asked] == [4] * 3, "a quarter of 16"
    assert all(groups.outcomes_N[row] == 1 for rows in asked for row in rows)
    assert len(guards(judge_auc={"sample": 1.0}).rows_to_ask(groups, rows_M, step=1)) == 16, "there are no more"
    for watch in (guards(judge_auc=None), guards(asks_judge=False)):
        assert not len(watch.rows_to_ask(groups, rows_M, step=1))
    assert not len(guards().rows_to_ask(groups, rows_M[:0], step=1)), (
        "nothing is asked where the algorithm asks nothing"
    )


def test_observation_by_hand() -> None:
    """An all-negative group (one cut off, one of one step), and a mixed one with an unknown outcome."""
    groups = batch([0.0, 0, 0, 0, 1, 0, NAN, 0], cut=[True] + [False] * 7)
    scored = {
        1: Scored(0.0, p_no_error=0.2, first_error=0),
        2: Scored(0.5, p_no_error=0.9),
        3: Scored(None, no_verdict=NoVerdictReason.TOO_LONG),
        4: Scored(0.9, p_no_error=0.7, first_error=1),
    }
    seen = observe(groups, step=3, rows_M=torch.tensor([1, 2, 3]), scored=scored, n_steps_N=[3, 1, 4, 4, 4, 4, 4, 0])
    assert seen == Observation(
        step=3,
        accuracy=1 / 7,
        rts=0.25,
        n_steps=3.0,
        n_tokens=7.0,
        n_judged=4,
        n_unscored=1,
        n_by_reason={NoVerdictReason.TOO_LONG: 1},
        n_all_negative=4,
        n_one_step=1,
        n_cut=1,
        known=(Known(0, False, 0.2, False), Known(0, False, 0.9, True), Known(1, True, 0.7, False)),
    )
    plain = observe(groups, step=3, rows_M=None, scored={}, n_steps_N=[1] * 8)
    assert (plain.n_all_negative, plain.n_judged, plain.rts) == (0, 0, None)


def test_options_of_earlier_releases_are_read() -> None:
    old = GuardsConfig.model_validate(
        {"max_unscored_frac": 0.2, "alarm_rows": 3, "max_step_factor": 1.5, "max_rts_rise": None}
    )
    assert old.unscored == Unscored(bound=0.2) and old.step_drift == StepDrift(bound=1.5, window=3)
    assert old.rts_alone is None and old.judge_auc == JudgeAUC()
    assert GuardsConfig.model_validate(old.model_dump(mode="json")) == old
