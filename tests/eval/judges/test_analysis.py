import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from judgekit.errors import DataError
from judgekit.metrics.selective import NO_VERDICT_CONFIDENCE, decision_confidence, weighted_aurc
from judgekit.metrics.steps import compute_bins, compute_ece
from judgekit.types import ArgmaxRule, Judgement, NoVerdictReason, ThresholdRule, Verdict
from judgekit_eval.judges.analysis import analyse_subset
from judgekit_eval.judges.benchmarks import find_benchmark, resample, score
from judgekit_eval.judges.counting import FIRST_ERROR
from judgekit_eval.judges.intervals import Estimate, average, paired_difference
from judgekit_eval.judges.judged_solution import JudgedSolution, decide
from tests.eval.samples import sample

OPTIONS = {"n_resamples": 200, "seed": 0, "n_bins": 5}
PLAIN = find_benchmark("orchard")
SCORES = FIRST_ERROR.names


def measured(rows, **options) -> dict[str, Any]:
    """Return what results hold of rows of a source that is no benchmark."""
    return analyse_subset(PLAIN, rows, **OPTIONS | options).model_dump(mode="json")


def estimates_of(rows, *, seed=0) -> dict[str, Estimate]:
    """Return the scores of the rows with their resamples."""
    return score(PLAIN.subset_metrics, rows, resample(PLAIN, rows, n_resamples=200, seed=seed))


def row(index, posterior, *, gold, n_steps=None, problem=None, rule=None, generator="hand") -> JudgedSolution:
    """Return a solution judged with a posterior, or without a verdict for a reason."""
    n_steps = n_steps or len(posterior) - 1
    solution = sample(index, first_error=gold, n_steps=n_steps, problem=problem).model_copy(
        update={"generator": generator}
    )
    judged = not isinstance(posterior, NoVerdictReason)
    judgement = Judgement(
        solution_id=solution.id,
        judge_id="scripted",
        verdict=Verdict(posterior=tuple(posterior)) if judged else None,
        no_verdict=None if judged else posterior,
        n_tokens=10,
        seconds=0.5,
    )
    return decide(solution, judgement, rule or ArgmaxRule())


def shop() -> list[JudgedSolution]:
    return [
        row(0, (0.7, 0.2, 0.1), gold=0),  # exact
        row(1, (0.6, 0.3, 0.1), gold=1),  # early
        row(2, (0.2, 0.3, 0.5), gold=1),  # missed
        row(3, NoVerdictReason.TRUNCATED, gold=0, n_steps=2, generator=None),
        row(4, (0.1, 0.1, 0.8), gold=None),  # clear
        row(5, (0.1, 0.6, 0.3), gold=None),  # false alarm
    ]


def random_rows(n, *, seed, n_problems=None, no_verdict=0.1) -> list[JudgedSolution]:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        n_steps = int(rng.integers(1, 14))
        gold = None if rng.random() < 0.4 else int(rng.integers(n_steps))
        p_ok = np.round(rng.beta(6, 1, size=n_steps), 2)
        if gold is not None:
            p_ok[gold] = np.round(rng.random(), 2)
        posterior = Verdict.from_step_probs(p_ok.tolist()).posterior
        silent = rng.random() < no_verdict
        problem = None if n_problems is None else f"problem {i % n_problems}"
        given = NoVerdictReason.UNPARSABLE if silent else posterior
        rows.append(row(i, given, gold=gold, n_steps=n_steps, problem=problem, rule=ThresholdRule(threshold=0.6)))
    return rows


def reached_steps(judged) -> tuple[np.ndarray, np.ndarray]:
    """Return probability and label of the steps up to and including the first error."""
    pairs = [
        (p_ok, k != one.gold)
        for one in judged
        for k, p_ok in enumerate(one.p_ok_S)
        if one.gold is None or k <= one.gold
    ]
    p_ok, ok = zip(*pairs, strict=True)
    return np.array(p_ok), np.array(ok, dtype=float)


def value_of(figures, *names):
    return [figures[name]["value"] for name in names]


def test_figures_by_hand():
    values, estimates = measured(shop()), estimates_of(shop())
    assert [values[name] for name in ("n", "n_error", "n_correct", "n_no_verdict", "n_problems")] == [6, 4, 2, 1, 6]
    assert values["no_verdict"] == {"truncated": 1}
    # error 1 of 4 (1 of 3 judged), correct 1 of 2
    expected = [25.0, 50.0, 100 * 2 * 0.25 * 0.5 / 0.75, 100 * 2 * (1 / 3) * 0.5 / (5 / 6), 100 * 2 / 6, 40.0]
    assert value_of(values["scores"], *SCORES) == pytest.approx(expected)
    assert [100 * estimates[name].value for name in SCORES] == pytest.approx(expected)
    offsets = ("exact", "early", "late", "missed", "no_verdict_error", "clear", "false_alarm", "no_verdict_correct")
    assert value_of(values["offsets"], *offsets) == [0.25, 0.25, 0.0, 0.25, 0.25, 0.5, 0.5, 0.0]
    assert values["cost"] == {"n_tokens": 60, "seconds": 3.0, "cost_usd": None, "asked": None}


def test_posterior_figures_by_hand():
    values = measured(shop())
    # true outcomes have 0.7, 0.3, 0.3, 0.8, 0.3 and ranks 1, 2, 2, 1, 2
    assert values["first_error"]["log_loss"]["value"] == pytest.approx(-np.log([0.7, 0.3, 0.3, 0.8, 0.3]).mean())
    assert value_of(values["first_error"], "mean_rank", "top_1", "top_2", "top_3") == pytest.approx([1.6, 0.4, 1, 1])
    # predicted 0 for 0 and 0 for 1; expected 0.2 + 0.2, 0.6 + 0.1, 0.2 + 0.5
    distances = value_of(values["distance"], "mean_steps", "signed_mean_steps", "expected_steps")
    assert distances == pytest.approx([0.5, -0.5, (0.4 + 0.7 + 0.7) / 3])
    # expected RTS 0.2, 0.25, 0.65 against 0, 0.5, 0.5
    assert value_of(values["rts"], "mae", "bias") == pytest.approx([(0.2 + 0.25 + 0.15) / 3, (0.2 - 0.25 + 0.15) / 3])


def test_step_figures_agree_with_independent_code():
    rows = random_rows(150, seed=1)
    steps = measured(rows)["steps"]
    p_ok, ok = reached_steps([one for one in rows if one.judged])
    assert steps["n_steps"] == len(p_ok)
    assert steps["auroc"]["value"] == pytest.approx(roc_auc_score(ok, p_ok))
    within, n_pairs = naive_auroc_within_position(rows)
    assert steps["auroc_within_position"]["value"] == pytest.approx(within)
    assert steps["n_pairs_within_position"] == n_pairs
    assert steps["auprc_error"]["value"] == pytest.approx(average_precision_score(1 - ok, -p_ok))
    assert steps["brier"]["value"] == pytest.approx(np.mean((p_ok - ok) ** 2))
    assert steps["sharpness"]["value"] == pytest.approx(np.var(p_ok))
    assert steps["nll"]["value"] == pytest.approx(-np.mean(np.log(np.clip(np.where(ok > 0, p_ok, 1 - p_ok), 1e-7, 1))))
    for name, bins in (("ece", steps["bins"]), ("ece_equal_mass", steps["bins_equal_mass"])):
        held = [b for b in bins if b["count"]]
        gaps = sum(b["count"] * abs(b["mean_prob"] - b["frac_ok"]) for b in held) / len(p_ok)
        assert steps[name]["value"] == pytest.approx(gaps)
    parts = value_of(steps, "brier_reliability", "brier_resolution", "brier_uncertainty", "brier_within")
    assert parts[0] - parts[1] + parts[2] + parts[3] == pytest.approx(steps["brier"]["value"])


def test_selection_by_hand():
    selective = measured(shop())["selective"]
    # surest first: 0.8 right, 0.7 right, 0.6 and 0.6 wrong, 0.5 wrong, no verdict wrong
    risks = [0, 0, 1 / 3, 2 / 4, 3 / 5, 4 / 6]
    assert value_of(selective, "aurc", "aurc_random", "aurc_perfect") == pytest.approx(
        [np.mean(risks), 4 / 6, np.mean(risks)]
    )
    at = dict(zip(selective["coverage"], selective["risk"], strict=True))
    assert (at[0.5], at[1.0]) == (pytest.approx(1 / 3), pytest.approx(4 / 6))
    curves = zip(selective["risk_lo"], selective["risk"], selective["risk_hi"], strict=True)
    assert all(lo <= risk <= hi for lo, risk, hi in curves)


def test_breakdown_by_hand():
    values = measured(shop())
    hits = {name: [(r["name"], r["n"], r["hit"]["value"]) for r in table] for name, table in values["by"].items()}
    assert hits["position"] == [("0", 2, 0.5), ("1", 2, 0.0)]
    assert hits["length"] == [("1-3", 6, pytest.approx(2 / 6))]
    assert hits["generator"] == [("hand", 5, 0.4), ("unknown", 1, 0.0)]
    assert values["confusion"] == {
        "rows": ["0", "1", "none"],
        "columns": ["0", "1", "none", "no verdict"],
        "counts": [[1, 0, 0, 1], [1, 0, 1, 0], [0, 1, 1, 0]],
    }


def test_small_groups_do_not_look_certain():
    by = measured(shop())["by"]
    # the one solution of "unknown" is wrong: the score interval of 0 in 1 is [0, z^2 / (1 + z^2)]
    (unknown,) = [r["hit"] for r in by["generator"] if r["name"] == "unknown"]
    z2 = 1.959964**2
    assert (unknown["value"], unknown["lo"], unknown["hi"]) == (0.0, 0.0, pytest.approx(z2 / (1 + z2)))
    # both with an error at step 1 are wrong, of two problems
    assert by["position"][1]["hit"]["hi"] == pytest.approx(z2 / (2 + z2))
    # half of one problem's solutions are right: nothing is known about others
    one = [row(i, (0.2 + 0.5 * i, 0.6 - 0.5 * i, 0.2), gold=1, problem="How many?") for i in range(2)]
    (hit,) = [r["hit"] for r in measured([*shop()[4:], *one])["by"]["position"]]
    assert hit == {"value": 0.5, "lo": None, "hi": None}


def test_figures_of_one_problem_among_several_have_no_interval():
    silent = [row(i, NoVerdictReason.TRUNCATED, gold=0, n_steps=2) for i in range(4)]
    one = [row(i, (0.6 - 0.1 * (i - 10), 0.2, 0.2 + 0.1 * (i - 10)), gold=i - 10, problem="x?") for i in (10, 11)]
    clear = [row(20, (0.1, 0.1, 0.8), gold=None)]
    values = measured([*silent, *one])  # judged solutions of a single problem
    for figure in (values["steps"]["brier"], values["first_error"]["log_loss"], values["rts"]["mae"]):
        assert figure["value"] is not None and figure["lo"] is figure["hi"] is None
    values = measured([*silent, *one, *clear])  # erroneous ones of a single problem
    assert values["first_error"]["log_loss"]["lo"] is not None
    assert values["rts"]["mae"]["value"] is not None and values["rts"]["mae"]["lo"] is None


def test_late_steps_and_long_solutions_are_pooled():
    posterior = Verdict.from_step_probs([1.0] * 12 + [0.0] + [1.0] * 12).posterior
    values = measured([row(0, posterior, gold=11), row(1, posterior, gold=12)])
    assert values["confusion"]["rows"] == [*map(str, range(10)), "10+", "none"]
    assert values["confusion"]["counts"][10][10] == 2
    assert [(r["name"], r["n"], r["hit"]["value"]) for r in values["by"]["position"]] == [("10+", 2, 0.5)]
    assert [r["name"] for r in values["by"]["length"]] == ["20+"]
    assert value_of(values["distance"], "mean_steps", "signed_mean_steps") == [0.5, 0.5]


def test_every_interval_holds_its_value_and_has_a_width():
    values = measured(random_rows(200, seed=2, n_problems=60), n_resamples=400)
    figures = {
        f"{part}/{name}": figure
        for part in ("scores", "offsets", "distance", "steps", "first_error", "rts", "selective")
        for name, figure in values[part].items()
        if isinstance(figure, dict)
    }
    assert len(figures) == 6 + 8 + 3 + 13 + 5 + 2 + 3
    for name, figure in figures.items():
        if name != "offsets/no_verdict_correct":
            assert figure["lo"] < figure["hi"], name
            assert figure["lo"] <= figure["value"] <= figure["hi"], name


def naive_auroc_within_position(rows) -> tuple[float, int]:
    """Compare every wrong step with the right ones of the same index in solutions of the same length."""
    points, n_pairs = 0.0, 0
    for one in rows:
        if one.judged and one.gold is not None:
            p_wrong, n_steps = one.p_ok_S[one.gold], len(one.p_ok_S)
            reached = [other for other in rows if other.judged and len(other.p_ok_S) == n_steps]
            right = [other.p_ok_S[one.gold] for other in reached if other.gold is None or other.gold > one.gold]
            points += sum(1.0 if p > p_wrong else 0.5 if p == p_wrong else 0.0 for p in right)
            n_pairs += len(right)
    return points / n_pairs, n_pairs


def measure_naively(rows) -> dict[str, float]:
    """Measure some figures from scratch, with other code where there is some."""
    judged = [one for one in rows if one.judged]
    p_ok, ok = reached_steps(judged)
    true = [one.judgement.verdict.posterior[-1 if one.gold is None else one.gold] for one in judged]
    sure = [(decision_confidence(one.judgement.verdict.posterior, one.predicted), one) for one in judged]
    confidence = [c for c, _ in sure] + [NO_VERDICT_CONFIDENCE] * (len(rows) - len(judged))
    wrong = [one.predicted != one.gold for _, one in sure] + [True] * (len(rows) - len(judged))
    return {
        "auroc": roc_auc_score(ok, p_ok),
        "auroc_within_position": naive_auroc_within_position(rows)[0],
        "auprc_error": average_precision_score(1 - ok, -p_ok),
        "log_loss": -np.log(np.clip(true, 1e-7, 1)).mean(),
        "aurc": float(weighted_aurc(np.array(confidence), np.array(wrong, dtype=float), np.ones((1, len(wrong))))[0]),
        "ece": compute_ece(compute_bins(p_ok, ok, n_bins=5)),
    }


def test_intervals_agree_with_resampling_from_scratch():
    rows = random_rows(60, seed=3, n_problems=20)
    groups: dict[str, list[JudgedSolution]] = {}
    for one in rows:
        groups.setdefault(one.solution.problem_id, []).append(one)
    clusters, rng = list(groups.values()), np.random.default_rng(99)
    draws = [[one for i in rng.integers(20, size=20) for one in clusters[i]] for _ in range(400)]
    found = [measure_naively(drawn) for drawn in draws]
    values = measured(rows, n_resamples=2000)
    figures = values["steps"] | values["first_error"] | values["selective"]
    for name, value in measure_naively(rows).items():
        lo, hi = np.quantile([measured[name] for measured in found], [0.025, 0.975])
        assert figures[name]["value"] == pytest.approx(value, abs=1e-9), name
        assert figures[name]["lo"] == pytest.approx(lo, abs=0.2 * (hi - lo)), name
        assert figures[name]["hi"] == pytest.approx(hi, abs=0.2 * (hi - lo)), name


def test_silence_of_a_judge_leaves_the_figures_of_the_others_alone():
    rows = random_rows(80, seed=4, no_verdict=0.0)
    silent = [
        row(i, NoVerdictReason.TIMED_OUT, gold=r.gold, n_steps=len(r.solution.steps)) if i % 10 == 0 else r
        for i, r in enumerate(rows)
    ]
    rest = [r for i, r in enumerate(rows) if i % 10]
    with_silence, without = measured(silent), measured(rest)
    assert (with_silence["n_no_verdict"], without["n_no_verdict"]) == (8, 0)
    for name in ("f1_scored", "accuracy_scored"):
        assert with_silence["scores"][name]["value"] == pytest.approx(without["scores"][name]["value"])
    for part in ("steps", "first_error", "rts", "distance"):
        for name, figure in without[part].items():
            if isinstance(figure, dict):
                assert with_silence[part][name]["value"] == pytest.approx(figure["value"])
    assert with_silence["scores"]["accuracy"]["value"] == pytest.approx(
        without["scores"]["accuracy"]["value"] * 72 / 80
    )


def assert_is_json(values):
    json.dumps(values, allow_nan=False)


def test_a_judge_without_any_verdict_is_measured():
    rows = [row(i, NoVerdictReason.REFUSED, gold=None if i % 2 else 0, n_steps=2) for i in range(4)]
    values = measured(rows)
    assert_is_json(values)
    assert value_of(values["scores"], *SCORES) == [0.0, 0.0, 0.0, None, 0.0, None]
    for part in ("steps", "first_error", "rts", "distance", "selective", "best_threshold"):
        assert values[part] is None
    assert values["no_verdict"] == {"refused": 4}
    assert values["confusion"]["counts"] == [[0, 0, 0, 2], [0, 0, 0, 0], [0, 0, 0, 2]]


@pytest.mark.parametrize("gold", [None, 1])
def test_one_class_alone_is_measured(gold):
    rows = [row(i, (0.1, 0.2 + 0.1 * i, 0.7 - 0.1 * i), gold=gold) for i in range(4)]
    values = measured(rows)
    assert_is_json(values)
    missing = "error_accuracy" if gold is None else "correct_accuracy"
    assert value_of(values["scores"], missing, "f1", "f1_scored") == [None] * 3
    assert values["scores"]["accuracy"]["value"] == (75.0 if gold is None else 25.0)
    assert (values["rts"] is None, values["distance"] is None) == (gold is None, gold is None)
    assert (values["steps"]["auroc"]["value"] is None) == (gold is None)
    assert values["best_threshold"] is None
    assert values["selective"]["aurc"]["value"] is not None


def test_one_problem_alone_has_values_and_no_intervals():
    rows = [row(i, (0.6, 0.1 * i, 0.4 - 0.1 * i), gold=i % 2 or None, problem="How many?") for i in range(4)]
    values, estimates = measured(rows), estimates_of(rows)
    assert_is_json(values)
    assert values["n_problems"] == 1
    assert values["scores"]["accuracy"]["value"] is not None
    assert all((figure["lo"], figure["hi"]) == (None, None) for figure in values["scores"].values())
    assert values["selective"]["risk_lo"] == [None] * len(values["selective"]["coverage"])
    assert paired_difference(estimates["f1"], estimates["f1"]).p_value is None


def test_posteriors_with_zeros_and_solutions_of_one_step_are_measured():
    rows = [row(0, (1.0, 0.0), gold=0), row(1, (0.0, 1.0), gold=0), row(2, (0.0, 1.0), gold=None)]
    values = measured(rows)
    assert_is_json(values)
    assert values["first_error"]["log_loss"]["value"] == pytest.approx(-np.log(1e-7) / 3, rel=1e-6)
    assert value_of(values["rts"], "mae", "bias") == [0.5, 0.5]
    assert value_of(values["steps"], "auroc", "brier") == pytest.approx([0.75, 1 / 3])
    assert values["distance"]["mean_steps"]["value"] == 0.0


def test_errors_that_are_all_missed_have_no_decided_distance():
    values = measured([row(i, (0.1, 0.2, 0.7), gold=i % 2) for i in range(4)])
    assert values["distance"]["mean_steps"] == {"value": None, "lo": None, "hi": None}
    assert values["distance"]["expected_steps"]["value"] == pytest.approx((0.2 + 1.4 + 0.1 + 0.7) / 2)


def test_best_threshold_is_an_upper_bound_on_these_rows():
    values = measured(random_rows(100, seed=5))
    assert values["best_threshold"]["f1"] >= values["scores"]["f1"]["value"]


def test_no_solutions_are_refused():
    with pytest.raises(DataError, match="nothing to measure"):
        measured([])


def test_judges_on_the_same_solutions_are_paired():
    rows = random_rows(120, seed=6, n_problems=40)
    better = [
        JudgedSolution(one.solution, one.judgement, one.gold if one.judged and i % 3 == 0 else one.predicted)
        for i, one in enumerate(rows)
    ]
    first, second = (estimates_of(judged)["accuracy"] for judged in (better, rows))
    found = paired_difference(first, second)
    assert found.difference == pytest.approx(first.value - second.value)
    assert 0 < found.lo <= found.difference <= found.hi
    assert np.all(first.resampled_R >= second.resampled_R)
    assert paired_difference(second, second) == (0.0, 0.0, 0.0, 1.0)


def test_what_is_resampled_together_can_be_said():
    rows = random_rows(60, seed=9)
    solutions = measured(rows)
    halves = [
        dataclasses.replace(one, solution=one.solution.model_copy(update={"source_id": f"half {i // 30}"}))
        for i, one in enumerate(rows)
    ]
    by_source = dataclasses.replace(PLAIN, clustered_by="source_id")
    pairs = analyse_subset(by_source, halves, **OPTIONS).model_dump(mode="json")
    assert (solutions["n_problems"], pairs["n_problems"]) == (60, 60)
    assert pairs["steps"]["auroc"]["value"] == solutions["steps"]["auroc"]["value"]
    assert pairs["steps"]["auroc"]["lo"] > solutions["steps"]["auroc"]["lo"]  # of two clusters: one, the other, both


def test_average_of_subsets_keeps_its_resamples():
    estimates = [estimates_of(random_rows(50, seed=s), seed=s)["f1"] for s in (7, 8)]
    mean = average(estimates)
    assert mean.value == pytest.approx((estimates[0].value + estimates[1].value) / 2)
    assert mean.resampled_R == pytest.approx((estimates[0].resampled_R + estimates[1].resampled_R) / 2)
