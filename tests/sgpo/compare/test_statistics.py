"""What runs come to against the reference arm: every figure by hand, and against scipy where it has it."""

import json
import math
from pathlib import Path

import pytest
import scipy.stats

from judgekit.errors import JudgekitError
from judgekit.judges.card import JudgeCard, write_card
from judgekit.judges.ensemble import EnsembleSpec
from judgekit.judges.mistaken import MistakenSpec
from judgekit.types import ArgmaxRule
from sgpo.compare.curves import arm_facts, read_curve, read_record
from sgpo.compare.report import read_runs
from sgpo.compare.results import ArmFacts, Comparison, Curve, Difference
from sgpo.compare.runs import ArmRun
from sgpo.compare.statistics import compare_arms, correct_for_arms, describe_difference, mean_curve, paired_difference
from tests.sgpo.compare.samples import ACCURACIES, PER_BATCH, write_run, write_runs


def compared(runs: list[ArmRun]) -> Comparison:
    return compare_arms(read_runs(runs), reference="grpo", n_steps=40)


def test_updates_to_the_reference_by_hand(tmp_path: Path) -> None:
    comparison = compared(write_runs(tmp_path))
    # mean of grpo: 0, .1, .2, .3, .35; final accuracy (.2 + .3 + .35) / 3 = .2833, reached at step 30
    assert comparison.level == pytest.approx(0.85 / 3)
    grpo, sgpo, chance = (comparison.arms[arm] for arm in ("grpo", "sgpo", "random"))
    assert (grpo.updates_to_reach, grpo.ratio, grpo.ratio_of_all) == (30, 1.0, 0.75)
    # mean of sgpo: 0, .25, .4, .5, .6: reached at step 20
    assert (sgpo.updates_to_reach, sgpo.ratio, sgpo.ratio_of_all) == (20, pytest.approx(2 / 3), 0.5)
    assert sgpo.final_accuracy == pytest.approx(0.5)
    assert [seed.updates_to_reach for seed in sgpo.seeds.values()] == [10, 20]
    assert (chance.updates_to_reach, chance.ratio, chance.ratio_of_all) == (None, None, None)
    assert [seed.updates_to_reach for seed in chance.seeds.values()] == [None, 30]
    assert sgpo.first_frac_all_negative == 0.75
    assert sgpo.seeds["0"].seconds_per_step == 2.0
    assert sgpo.seeds["0"].training["frac_all_negative"].values == (0.8,) * 4


def test_what_a_run_has_used_up_to_each_step(tmp_path: Path) -> None:
    record = read_record(write_run(ArmRun("dapo", 0, tmp_path / "dapo-seed0"), [0.1, 0.2, 0.3], n_batches=3))
    assert record.facts == ArmFacts("dapo", None)
    # 10 steps a row, 3 batches of 32 a step, 6 s a step; the mean of 3 judged responses is of a batch
    assert record.rollouts == Curve(steps=(0, 10, 20), values=(0.0, 30.0 * PER_BATCH, 60.0 * PER_BATCH))
    assert record.seconds == Curve(steps=(0, 10, 20), values=(0.0, 60.0, 120.0))
    assert record.training["judge_calls"].values == (0.0, 90.0, 180.0)


def test_an_offline_run_has_used_its_rollouts_by_the_first_update(tmp_path: Path) -> None:
    run = write_run(ArmRun("offline", 0, tmp_path / "offline-seed0"), [])
    rows = [{"step": 0, "prepare/responses": 640}, {"step": 0, "eval/accuracy": 0.1}]
    rows += [{"step": step, "offline/seconds": 3.0, "eval/accuracy": 0.05 * step} for step in (2, 4)]
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = {"all_negative": 30, "groups": 40, "judge_calls": 5, "judge_seconds": 0.1}
    (run.folder / "manifest.json").write_text(json.dumps({"finished": "now", "results": results}))
    run.config_file.write_text(json.dumps({"judge": None, "algorithm": None}))
    record = read_record(run)
    assert record.rollouts == Curve(steps=(0, 1, 4), values=(0.0, 640.0, 640.0))
    assert record.seconds == Curve(steps=(0, 2, 4), values=(0.0, 3.0, 6.0))
    assert (record.first_frac_all_negative, record.seconds_per_step) == (0.75, 1.5)
    arms = {"grpo": {0: record}, "same": {0: record}}
    assert compare_arms(arms, reference="grpo", n_steps=4).arms["same"].matched_rollouts.budget == 640


def test_two_seeds_do_not_tell_arms_apart(tmp_path: Path) -> None:
    """By seed: grpo .3 and .26667, sgpo .46667 and .53333. Half a width is t(1) = 12.7062 times sd / sqrt(2)."""
    arms = compared(write_runs(tmp_path)).arms
    assert arms["sgpo"].final_interval.model_dump() == pytest.approx(
        {"lo": 0.5 - 0.42354, "hi": 0.5 + 0.42354}, abs=1e-5
    )
    difference = arms["sgpo"].difference  # .16667 and .26667, paired by seed
    assert (difference.value, difference.lo, difference.hi) == pytest.approx((0.21667, -0.41864, 0.85198), abs=1e-5)
    # t = .21667 / (.07071 / sqrt(2)) = 4.3333 with one degree of freedom: p = 2 (1/2 - atan(t) / pi)
    assert difference.p_value == pytest.approx(1 - 2 * math.atan(13 / 3) / math.pi)
    assert difference.p_holm == pytest.approx(2 * difference.p_value), "two arms are tested, and it has the smaller p"
    assert arms["sgpo"].finding == (
        "+0.217 [-0.419, +0.852] compared with grpo over 2 seeds: "
        "the interval includes 0, so the difference is not significant"
    )
    assert arms["grpo"].finding is None and arms["grpo"].difference.lo is None
    assert arms["random"].final_interval.lo == 0.0, "an accuracy is not below 0"


def test_paired_tests_and_their_correction_agree_with_scipy() -> None:
    reference = {0: 0.30, 1: 0.41, 2: 0.25, 3: 0.33, 4: 0.36}
    arms = {
        "a": {0: 0.42, 1: 0.50, 2: 0.40, 3: 0.41, 4: 0.49},
        "b": {0: 0.35, 1: 0.40, 2: 0.29, 3: 0.39, 4: 0.37},
        "c": {0: 0.20, 1: None, 2: 0.21, 3: 0.22, 9: 0.9},
    }
    found = correct_for_arms({arm: paired_difference(of, reference) for arm, of in arms.items()})
    others = {}
    for arm, of in arms.items():
        pairs = [(of[seed], reference[seed]) for seed in of if of[seed] is not None and seed in reference]
        others[arm] = scipy.stats.ttest_rel(*zip(*pairs, strict=True))
        assert found[arm].p_value == pytest.approx(others[arm].pvalue)
        assert (found[arm].lo, found[arm].hi) == pytest.approx(tuple(others[arm].confidence_interval()))
        assert found[arm].n_seeds == len(pairs)
    assert others["a"].pvalue < others["c"].pvalue < others["b"].pvalue
    assert found["a"].p_holm == pytest.approx(3 * others["a"].pvalue)
    assert found["c"].p_holm == pytest.approx(2 * others["c"].pvalue)
    assert found["b"].p_holm == pytest.approx(max(others["b"].pvalue, 2 * others["c"].pvalue))


def test_equal_rollouts_count_what_dapo_samples_again(tmp_path: Path) -> None:
    """Two batches a step: at grpo's 1,280 rollouts dapo is at step 20, its mean of three (.1 + .3 + .5) / 3 = .3."""
    runs = write_runs(tmp_path, {key: of for key, of in ACCURACIES.items() if key[0] == "grpo"})
    runs += [
        write_run(
            ArmRun("dapo", seed, tmp_path / f"dapo-seed{seed}"), [0.1, 0.3, 0.5, 0.7 + 0.1 * seed, 0.9], n_batches=2
        )
        for seed in (0, 1)
    ]
    dapo = compared(runs).arms["dapo"]
    assert dapo.final_accuracy == pytest.approx((0.5 + 0.75 + 0.9) / 3)
    for at in (dapo.matched_rollouts, dapo.matched_seconds):  # twice the seconds a step, too
        assert (at.accuracy, at.reference) == pytest.approx((0.3, 0.85 / 3))
        assert at.difference.value == pytest.approx(0.3 - 0.85 / 3)
        assert at.difference.n_seeds == 2
    assert (dapo.matched_rollouts.budget, dapo.matched_seconds.budget) == (40 * PER_BATCH, 80.0)
    assert compared(runs).arms["grpo"].matched_rollouts.accuracy == pytest.approx(0.85 / 3)


def test_between_two_evaluations_accuracy_lies_on_a_straight_line() -> None:
    curve = Curve(steps=(0, 10, 20, 30), values=(0.0, 0.3, 0.6, 0.9))
    assert curve.smoothed.values == pytest.approx((0.0, 0.15, 0.3, 0.6))
    assert curve.smoothed.at(25) == pytest.approx(0.45)
    cost = Curve(steps=(0, 10, 20), values=(0.0, 100.0, 100.0))
    assert (cost.step_at(50), cost.step_at(100), cost.step_at(1e9)) == (5, 20, 20)


def test_a_level_that_is_not_reached_counts_as_the_length_of_a_run(tmp_path: Path) -> None:
    """Level .2833. Rollouts by seed: grpo 960 and 1,280; random not within 1,280, and 960."""
    arms = compared(write_runs(tmp_path)).arms
    needed = arms["random"].rollouts_to_reach
    assert [seed.rollouts_to_reach for seed in arms["random"].seeds.values()] == [None, 30 * PER_BATCH]
    assert (needed.horizon, needed.mean) == (40 * PER_BATCH, (40 + 30) / 2 * PER_BATCH)
    assert (needed.n_reached, needed.n_at_start, needed.n_not_reached) == (1, 0, 1)
    assert (needed.lo, needed.hi) == (0.0, 40 * PER_BATCH), "its interval is wider than a run is long"
    assert needed.difference.value == pytest.approx((10 - 10) / 2 * PER_BATCH)
    assert arms["sgpo"].rollouts_to_reach.mean == 15 * PER_BATCH


def test_a_run_that_ends_too_early_says_nothing_of_a_level_it_did_not_reach(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, ACCURACIES | {("short", 0): [0.0, 0.1], ("short", 1): [0.0, 0.5]})
    needed = compared(runs).arms["short"].rollouts_to_reach
    assert (needed.mean, needed.lo, needed.n_reached, needed.n_not_reached) == (None, None, 1, 1)
    assert needed.difference.n_seeds == 1


def test_reached_at_the_start_is_not_never(tmp_path: Path) -> None:
    ends = {("grpo", 0): [0.4, 0.3, 0.3, 0.3], ("sgpo", 0): [0.4, 0.5, 0.5, 0.5], ("worse", 0): [0.0, 0.1, 0.1, 0.1]}
    arms = compared(write_runs(tmp_path, ends)).arms
    assert [arms[arm].updates_to_reach for arm in ends_of(ends)] == [0, 0, None]
    reaching = {arm: arms[arm].rollouts_to_reach for arm in ends_of(ends)}
    assert [(of.mean, of.n_at_start, of.n_not_reached) for of in reaching.values()] == [
        (0.0, 1, 0),
        (0.0, 1, 0),
        (30 * PER_BATCH, 0, 1),
    ]
    assert arms["sgpo"].ratio is None


def ends_of(ends: dict[tuple[str, int], list[float]]) -> list[str]:
    return [arm for arm, _ in ends]


def test_seeds_that_end_alike_have_no_interval(tmp_path: Path) -> None:
    """Two equal differences are no certainty: 0.1 twice would be an interval of no width, "above" the reference."""
    ends = {
        ("grpo", 0): 0.2,
        ("grpo", 1): 0.3,
        ("sgpo", 0): 0.3,
        ("sgpo", 1): 0.4,
        ("worse", 0): 0.0,
        ("worse", 1): 0.0,
    }
    arms = compared(write_runs(tmp_path, {key: [end] * 3 for key, end in ends.items()})).arms
    assert (arms["sgpo"].difference.lo, arms["sgpo"].difference.p_value) == (None, None)
    assert arms["sgpo"].finding == (
        "2 seeds with the same difference of +0.100: no interval, so the difference to grpo is not established"
    )
    assert arms["worse"].final_interval.lo is None


def test_findings_count_the_seeds_that_both_arms_have(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, ACCURACIES | {("sgpo", 2): []})
    assert "over 2 seeds" in str(compared(runs).arms["sgpo"].finding)
    one = compared([run for run in runs if run.seed == 0]).arms["sgpo"]
    assert one.final_interval.lo is None and "1 seed: no interval" in str(one.finding)
    with pytest.raises(JudgekitError, match="arm grpo has no evaluation"):
        compared([run for run in runs if run.arm != "grpo"])


@pytest.mark.parametrize(
    ("p_holm", "n_tested", "said"),
    [
        (0.01, 1, "-0.200 [-0.300, -0.100] compared with grpo over 6 seeds: significantly below it"),
        (
            0.01,
            4,
            "-0.200 [-0.300, -0.100] compared with grpo over 6 seeds, p 0.01 corrected for 4 arms: significantly below",
        ),
        (
            0.08,
            4,
            "-0.200 [-0.300, -0.100] compared with grpo over 6 seeds, p 0.08 corrected for 4 arms: not significant",
        ),
    ],
)
def test_a_difference_counts_after_correction(p_holm: float, n_tested: int, said: str) -> None:
    difference = Difference(value=-0.2, lo=-0.3, hi=-0.1, p_value=0.01, p_holm=p_holm, n_seeds=6)
    assert describe_difference(difference, reference="grpo", n_tested=n_tested).startswith(said)


def test_curves_keep_to_the_steps_that_all_seeds_have() -> None:
    mean = mean_curve([Curve(steps=(0, 10, 20), values=(0.0, 0.2, 0.4)), Curve(steps=(0, 20), values=(0.1, 0.5))])
    assert mean.steps == (0, 20) and mean.values == pytest.approx((0.05, 0.45))
    rows = [{"step": 0, "a": 1.0}, {"step": 5, "b": 2.0}, {"step": 10, "a": None}, {"step": 15, "a": 3.0}]
    assert read_curve(rows, "a") == Curve(steps=(0, 15), values=(1.0, 3.0))
    assert Curve().final is None
    assert Curve(steps=(0, 1), values=(0.2, 0.4)).final == pytest.approx(0.3)
    assert Curve(steps=(0, 1), values=(0.2, 0.4)).first_at_least(0.5) is None


def test_an_arm_is_known_by_its_judges_errors(tmp_path: Path) -> None:
    """The judge itself and the one that asks it have one id, whatever path leads there."""
    base = JudgeCard(
        judge_id="base",
        spec=EnsembleSpec(members=("builtin:random",), rule="product", weights=(1.0,)),
        decision=ArgmaxRule(),
    )
    write_card(tmp_path / "somewhere", base)
    spec = MistakenSpec(members=("../somewhere",), errors="late", rate=0.3)
    write_card(tmp_path / "late", JudgeCard(judge_id="late", spec=spec, decision=ArgmaxRule()))
    vppo = {"algorithm": {"type": "vppo"}}
    assert arm_facts(vppo | {"judge": str(tmp_path / "somewhere")}) == ArmFacts("vppo", "base")
    assert arm_facts(vppo | {"judge": str(tmp_path / "late")}) == ArmFacts("vppo", "base", "late", 0.3)
    gone = MistakenSpec(members=("builtin:random",), errors="late", rate=0.3)
    write_card(tmp_path / "late", JudgeCard(judge_id="late", spec=gone, decision=ArgmaxRule()))
    assert arm_facts(vppo | {"judge": str(tmp_path / "late")}) == ArmFacts("vppo", "builtin:random", "late", 0.3)
    assert arm_facts({"algorithm": None, "judge": "builtin:random"}) == ArmFacts("sgpo", "builtin:random")
    assert arm_facts({"algorithm": None, "judge": None}) == ArmFacts("grpo", None)
