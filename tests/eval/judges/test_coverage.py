"""Coverage of index sets and risk of certified prefixes: by hand, against plain loops, and on real data."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from judgekit.calibration.conformal import CertifiedPrefixes, IndexSets
from judgekit.io import read_records
from judgekit.judges import load_judge
from judgekit.judging.run import as_seen
from judgekit.types import Judgement, LabelledSolution, NoVerdictReason, ThresholdRule, Verdict
from judgekit_datasets.build import build
from judgekit_eval.judges.coverage import measure_coverage
from judgekit_eval.judges.judged_solution import JudgedSolution, decide
from tests.eval.samples import sample


def row(
    index: int,
    posterior: Sequence[float] | None,
    first_error: int | None,
    *,
    problem: str | None = None,
    subset: str = "shop",
    generator: str | None = "hand",
    n_steps: int = 2,
) -> JudgedSolution:
    """Join a solution with a scripted verdict, or none."""
    n_steps = len(posterior) - 1 if posterior else n_steps
    solution = sample(index, first_error=first_error, n_steps=n_steps, subset=subset, problem=problem)
    solution = solution.model_copy(update={"generator": generator})
    judgement = Judgement(
        solution_id=solution.id,
        judge_id="scripted",
        verdict=None if posterior is None else Verdict(posterior=tuple(posterior)),
        no_verdict=NoVerdictReason.TOO_LONG if posterior is None else None,
    )
    return decide(solution, judgement, ThresholdRule())


def random_rows(
    n_problems: int, *, seed: int, subset: str = "shop", generators: Sequence[str | None] = ("hand",)
) -> list[JudgedSolution]:
    """Draw one to three solutions a problem, every seventh without a verdict; the truth has little to do with it."""
    rng = np.random.default_rng(seed)
    rows: list[JudgedSolution] = []
    for problem in range(n_problems):
        for _ in range(int(rng.integers(1, 4))):
            n_steps = int(rng.integers(1, 7))
            posterior = rng.dirichlet(np.full(n_steps + 1, 0.6))
            outcome = int(rng.choice(n_steps + 1, p=0.5 * posterior + 0.5 / (n_steps + 1)))
            rows.append(
                row(
                    len(rows),
                    None if len(rows) % 7 == 6 else posterior.tolist(),
                    None if outcome == n_steps else outcome,
                    problem=f"{subset} {problem}",
                    subset=subset,
                    generator=generators[len(rows) % len(generators)],
                    n_steps=n_steps,
                )
            )
    return rows


def measured(rows: Sequence[JudgedSolution], **options: Any) -> dict[str, Any]:
    settings = {"alphas": (0.2,), "n_splits": 5, "n_resamples": 200, "seed": 0} | options
    result = measure_coverage(rows, **settings)
    assert result is not None
    return result.model_dump(mode="json")


def test_figures_under_shift_by_hand() -> None:
    """Calibrated on five problems, of which alpha 0.4 leaves 0.4 * 6 - 1 = 1.4 to lose."""
    calibration = [row(i, (0.5, 0.25, 0.25), gold) for i, gold in enumerate([0, 0, 0, 1, None])]
    # Scores of the truth are 0, 0, 0, 0.5, 0.75: one may exceed the threshold, so it is 0.5. Survival at the error is
    # 0.5 three times, 0.25, and 0 without one: 0.5 again, as it is for the erroneous four, with 1 of 4 to lose.
    tested = [
        row(10, (0.25, 0.25, 0.5), None, subset="new", problem="a"),  # set: none, and step 0 with 0.5 above it
        row(11, (0.25, 0.25, 0.5), 1, subset="new", problem="a"),  # 0.75 above step 1: missed; prefix of one step
        row(
            12, (0.125, 0.875), 0, subset="new", problem="b"
        ),  # set {None}, missed; the one step is certified and wrong
        row(13, None, 0, subset="new", problem="b"),
        row(14, None, None, subset="new", problem="c"),
    ]
    result = measured([*calibration, *tested], alphas=(0.4,))
    (shift,) = result["shift"]
    assert (shift["kind"], shift["calibrated_on"], shift["tested_on"], shift["subset"]) == (
        "subset", "shop", "new", "new"
    )  # fmt: skip
    (figures,) = shift["figures"]
    counts = {name: figures[name] for name in ("n_problems_calibration", "n_problems", "n", "n_no_verdict")}
    assert counts == {"n_problems_calibration": 5, "n_problems": 2, "n": 5, "n_no_verdict": 2}
    values = {
        part: {name: value["value"] if isinstance(value, dict) else value for name, value in figures[part].items()}
        for part in ("index_set", "prefix", "prefix_if_wrong")
    }
    # Problem a: one of two covered, sets of 2 of 3 outcomes. Problem b: missed, 1 of 2 outcomes.
    assert values["index_set"] == {
        "max_mass": 0.5,
        "coverage": 0.25,
        "mean_size": 1.5,
        "mean_share": pytest.approx((2 / 3 + 1 / 2) / 2),
        "full_share": 0.0,
    }
    # Problem a: survival 0.75, 0.5, so one of two steps and no error in it. Problem b: its step is the error.
    assert values["prefix"] == {"min_survival": 0.5, "risk": 0.5, "mean_share": 0.75, "empty_share": 0.0}
    assert values["prefix_if_wrong"] == {"min_survival": 0.5, "risk": 0.5, "mean_share": 0.75, "empty_share": 0.0}
    assert figures["splits"] is None
    assert figures["index_set"]["coverage"]["lo"] == 0.0 and figures["index_set"]["coverage"]["hi"] == 0.5


def naive(calibration: Sequence[JudgedSolution], tested: Sequence[JudgedSolution], alpha: float) -> dict[str, float]:
    """Count with the classes of judgekit and plain loops, problem by problem."""

    def columns(rows: Sequence[JudgedSolution]) -> tuple[list[Any], dict[str, list[Any]]]:
        posterior_N = [row.judgement.verdict.posterior if row.judgement.verdict else None for row in rows]
        others = {"gold_N": [row.gold for row in rows], "problem_N": [row.solution.problem_id for row in rows]}
        return posterior_N, others

    posterior_N, others = columns(calibration)
    sets = IndexSets(alpha=alpha).fit(posterior_N, **others)
    prefixes = {
        name: CertifiedPrefixes(alpha=alpha, if_wrong=name == "prefix_if_wrong").fit(posterior_N, **others)
        for name in ("prefix", "prefix_if_wrong")
    }
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for item in tested:
        if item.judgement.verdict is None:
            continue
        n_steps, problem = len(item.solution.steps), item.solution.problem_id
        (outcomes,) = sets.predict([item.judgement.verdict.posterior], n_steps_N=[n_steps])
        found["coverage"][problem].append(item.gold in outcomes)
        found["mean_size"][problem].append(len(outcomes))
        found["full_share"][problem].append(len(outcomes) == n_steps + 1)
        for name, fitted in prefixes.items():
            (kept,) = fitted.predict([item.judgement.verdict.posterior])
            if name == "prefix" or item.gold is not None:
                found[f"{name}.risk"][problem].append(item.gold is not None and kept > item.gold)
                found[f"{name}.mean_share"][problem].append(kept / n_steps)
                found[f"{name}.empty_share"][problem].append(kept == 0)
    return {
        name: float(np.mean([np.mean(values) for values in by_problem.values()])) for name, by_problem in found.items()
    }


def flat(figures: dict[str, Any]) -> dict[str, float]:
    names = ("coverage", "mean_size", "full_share")
    values = {name: figures["index_set"][name]["value"] for name in names}
    for part in ("prefix", "prefix_if_wrong"):
        values |= {f"{part}.{name}": figures[part][name]["value"] for name in ("risk", "mean_share", "empty_share")}
    return values


def test_a_naive_implementation_agrees() -> None:
    rows = random_rows(60, seed=1) + random_rows(50, seed=2, subset="new", generators=("a", "b", None))
    result = measured(rows, alphas=(0.1, 0.3))
    by_subset = {name: [item for item in rows if item.subset == name] for name in ("shop", "new")}
    kinds = [(shift["kind"], shift["calibrated_on"], shift["tested_on"]) for shift in result["shift"]]
    assert kinds == [("subset", "shop", "new"), ("generator", "not a", "a"), ("generator", "not b", "b")]
    for shift in result["shift"]:
        if shift["kind"] == "subset":
            calibration, tested = by_subset["shop"], by_subset["new"]
        else:
            tested = [item for item in by_subset["new"] if item.solution.generator == shift["tested_on"]]
            seen = {item.solution.problem_id for item in tested}
            others = [item for item in by_subset["new"] if item.solution.generator not in (None, shift["tested_on"])]
            calibration = [item for item in others if item.solution.problem_id not in seen]
            assert 0 < len(calibration) < len(others), "problems of the test have solutions by others"
        for figures in shift["figures"]:
            assert flat(figures) == pytest.approx(naive(calibration, tested, figures["alpha"]))


def test_held_out_halves_do_not_share_a_problem_and_all_of_it_repeats() -> None:
    rows = random_rows(61, seed=3)
    result = measured(rows, n_splits=20)
    (figures,) = result["subsets"]["shop"]["held_out"]
    n_problems = len({item.solution.problem_id for item in rows if item.judged})
    assert figures["n_problems_calibration"] + figures["n_problems"] == n_problems
    assert abs(figures["n_problems_calibration"] - figures["n_problems"]) <= 4  # some problems have no verdict
    assert measured(rows, n_splits=20) == result
    assert measured(rows, n_splits=20, seed=1) != result
    spread = figures["splits"]["index_set"]["coverage"]
    assert spread["lo"] <= spread["mean"] <= spread["hi"] and spread["sd"] > 0
    json.dumps(result, allow_nan=False)


def test_promises_hold_over_splits_of_exchangeable_problems() -> None:
    result = measured(random_rows(400, seed=5), alphas=(0.1, 0.2), n_splits=100)
    for figures in result["subsets"]["shop"]["held_out"]:
        splits, alpha = figures["splits"], figures["alpha"]
        assert splits["index_set"]["coverage"]["mean"] == pytest.approx(1 - alpha, abs=0.015)
        assert splits["prefix"]["risk"]["mean"] == pytest.approx(alpha, abs=0.015)
        assert splits["prefix_if_wrong"]["risk"]["mean"] == pytest.approx(alpha, abs=0.02)
        interval = figures["index_set"]["coverage"]
        assert interval["lo"] < 1 - alpha < interval["hi"]


def test_number_of_outcomes_is_weighted_as_the_sizes_of_sets() -> None:
    """Where every outcome is in every set, the mean size is the mean number of outcomes."""
    pair = [row(i, (0.5, 0.5), None, problem="short") for i in range(3)] + [
        row(3, (0.25, 0.25, 0.25, 0.25), None, problem="long"),
        row(4, None, None, problem="silent", n_steps=9),
    ]
    assert measured(pair)["subsets"]["shop"]["mean_outcomes"] == (2 + 4) / 2
    silent = [row(i, None, None, subset="mute") for i in range(10, 12)]
    assert measured([*pair, *silent])["subsets"]["mute"]["mean_outcomes"] is None


def test_what_cannot_be_measured_is_none_and_not_zero() -> None:
    silent = [row(i, None, 0) for i in range(4)]
    assert measure_coverage(silent, alphas=(0.1,), n_splits=3, n_resamples=100, seed=0) is None
    assert measure_coverage([], alphas=(0.1,), n_splits=3, n_resamples=100, seed=0) is None
    one = [row(i, (0.5, 0.5), None, problem="only") for i in range(3)]
    assert measured(one)["subsets"]["shop"]["held_out"] is None
    correct = [row(i, (0.5, 0.5), None) for i in range(6)]
    (figures,) = measured(correct)["subsets"]["shop"]["held_out"]
    nothing = {"value": None, "lo": None, "hi": None}
    assert figures["prefix_if_wrong"] == {
        "min_survival": 1.0, "risk": nothing, "mean_share": nothing, "empty_share": nothing
    }  # fmt: skip
    assert figures["splits"]["prefix_if_wrong"]["risk"] == dict.fromkeys(("mean", "sd", "lo", "hi"))
    # Three problems for alpha 0.2, which needs four: an empty promise.
    assert figures["index_set"]["max_mass"] == figures["prefix"]["min_survival"] == 1.0
    assert figures["index_set"]["full_share"]["value"] == figures["prefix"]["empty_share"]["value"] == 1.0


@pytest.mark.skipif("JUDGEKIT_REAL_DATA" not in os.environ, reason="needs JUDGEKIT_REAL_DATA, the folder of real data")
def test_the_symbolic_judge_on_processbench_gsm8k(tmp_path: Path) -> None:
    path = Path(os.environ["JUDGEKIT_REAL_DATA"]) / "processbench" / "gsm8k.jsonl"
    build("processbench", input=path, output=tmp_path / "gsm8k")
    solutions = list(read_records(tmp_path / "gsm8k", LabelledSolution))
    judge = load_judge("builtin:symbolic")
    judgements = judge.judge([as_seen(solution, show_reference=False) for solution in solutions])
    rows = [
        decide(solution, judgement, judge.info.decision)
        for solution, judgement in zip(solutions, judgements, strict=True)
    ]
    result = measured(rows, alphas=(0.1,), n_splits=100, n_resamples=1000)
    subset = result["subsets"]["gsm8k"]
    assert (subset["n"], subset["n_no_verdict"], subset["n_problems"]) == (400, 5, 371)
    (figures,) = subset["held_out"]
    assert figures["index_set"]["coverage"]["lo"] <= 0.9 <= figures["index_set"]["coverage"]["hi"]
    # 0.909 over 2,000 splits: many posteriors are alike, and ties make sets larger than they need to be
    assert figures["splits"]["index_set"]["coverage"]["mean"] == pytest.approx(0.909, abs=0.01)
    assert figures["splits"]["index_set"]["mean_size"]["mean"] < subset["mean_outcomes"] - 1
    assert figures["splits"]["prefix"]["risk"]["mean"] <= 0.1
    assert {shift["kind"] for shift in result["shift"]} == {"generator"} and len(result["shift"]) == 12
