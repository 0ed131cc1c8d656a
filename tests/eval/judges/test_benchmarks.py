import dataclasses
import random
import re
from itertools import compress

import numpy as np
import pytest

from judgekit.errors import DataError
from judgekit.metrics.prmbench import PRMBENCH_CLASSES, PRMBENCH_DIMENSIONS
from judgekit.types import (
    ArgmaxRule,
    Judgement,
    LabelledSolution,
    LabelMethod,
    NoVerdictReason,
    StepLabel,
    ThresholdRule,
    Verdict,
)
from judgekit_eval.judges.benchmarks import (
    BENCHMARKS,
    by_subset,
    clusters,
    comparability,
    find_benchmark,
    score_overall,
    score_subset,
    why_undefined,
)
from judgekit_eval.judges.counting import called_ok, labelled_ok
from judgekit_eval.judges.intervals import LOCALIZATION_RATES, average
from judgekit_eval.judges.judged_solution import decide
from judgekit_eval.judges.published import PUBLISHED, quoted
from judgekit_eval.results import Metric

HALF = ThresholdRule(threshold=0.5)


def row(index, labels, p_ok_S, *, subset="shop", rule=HALF, problem=None):
    """One judged solution; labels as a string of `o` and `x`, with `?` behind a first error where nobody looked."""
    kinds = {"o": StepLabel.OK, "x": StepLabel.ERROR, "?": StepLabel.UNLABELLED}
    solution = LabelledSolution(
        problem=f"Problem {problem or index}",
        steps=tuple(f"Sentence {k} of solution {index}." for k in range(len(labels))),
        labels=tuple(kinds[label] for label in labels),
        source="orchard",
        subset=subset,
        source_id=f"problem-{problem or index}",
        label_method=LabelMethod.HUMAN,
    )
    judgement = Judgement(
        solution_id=solution.id,
        judge_id="scripted",
        verdict=Verdict.from_step_probs(p_ok_S) if p_ok_S else None,
        no_verdict=None if p_ok_S else NoVerdictReason.UNPARSABLE,
    )
    return decide(solution, judgement, rule)


def score(name, rows, **options):
    return score_overall(find_benchmark(name), rows, n_resamples=200, seed=1, **options)


def test_decided_solutions_keep_their_threshold():
    assert row(0, "ox", [0.9, 0.4]).threshold == 0.5
    assert row(0, "ox", [0.9, 0.4], rule=ThresholdRule(threshold=0.3)).threshold == 0.3
    assert row(0, "ox", [0.9, 0.4], rule=ArgmaxRule()).threshold is None
    assert called_ok(row(0, "ox", [0.9, 0.4])) == (True, False)
    assert called_ok(row(0, "ox", [0.9, 0.4], rule=ThresholdRule(threshold=0.3))) == (True, True)
    assert called_ok(row(0, "ox", None)) is None


def test_the_average_is_over_subsets_and_not_over_solutions():
    big = [row(i, "ox", [0.9, 0.1], subset="big") for i in range(6)] + [row(6, "oo", [0.9, 0.9], subset="big")]
    small = [row(7, "ox", [0.1, 0.9], subset="small"), row(8, "oo", [0.9, 0.9], subset="small")]
    scores = score("processbench", big + small)
    # error accuracy 1 and 0, correct accuracy 1 and 1, so F1 is 1 and 0
    assert (scores["error_accuracy"].value, scores["correct_accuracy"].value, scores["f1"].value) == (0.5, 1.0, 0.5)
    assert scores["accuracy"].value == (1 + 0.5) / 2
    assert find_benchmark("processbench").headline_score == "f1"
    assert scores["f1"].metric(scale=100).value == 50.0


def test_averages_resample_the_subsets_as_they_are_resampled_alone():
    rng = random.Random(5)
    rows = [
        row(i, rng.choice(["oxo", "ooo"]), [rng.random() for _ in range(3)], subset=f"part-{i % 3}") for i in range(60)
    ]
    benchmark = find_benchmark("processbench")
    whole = score_overall(benchmark, rows, n_resamples=50, seed=4)
    for name in LOCALIZATION_RATES:
        parts = [
            score_subset(benchmark, group, n_resamples=50, seed=4 + index)[name]
            for index, group in enumerate(by_subset(rows).values())
        ]
        assert whole[name].value == average(parts).value
        assert np.array_equal(whole[name].resampled_R, average(parts).resampled_R, equal_nan=True)


def spoilt():
    """Two solutions a class, made from the same two problems; every right step but one is called right."""
    rows = []
    for index, name in enumerate(PRMBENCH_CLASSES):
        labels = "ooo" if name == "multi_solutions" else "oxx"
        rows.append(row(index, labels, [0.9, 0.2, 0.7], subset=name, problem="a"))
        rows.append(row(index + 20, labels, [0.9, 0.9, 0.1], subset=name, problem="b"))
    return rows


def test_prmbench_by_hand():
    scores = score("prmbench", spoilt())
    # a class with errors: right 2 passed; wrong 2 found, 2 passed. F1 = 4/6, of the wrong 4/6
    assert scores["simplicity"].value == scores["soundness"].value == pytest.approx(2 / 3)
    # multi_solutions: right 4 passed, 2 flagged: F1 = 8/10, and no wrong step
    assert scores["sensitivity"].value == pytest.approx((2 / 3 + 2 / 3 + 4 / 5) / 3)
    # micro: right 20 passed, 2 flagged; wrong 16 found, 16 passed
    assert scores["f1_positive"].value == pytest.approx(40 / 58)
    assert scores["f1_negative"].value == pytest.approx(32 / 50)
    assert scores[find_benchmark("prmbench").headline_score].value == pytest.approx((40 / 58 + 32 / 50) / 2)
    for name, group in by_subset(spoilt()).items():
        alone = score_subset(find_benchmark("prmbench"), group, n_resamples=100, seed=0)
        assert alone["prm_score"].value == pytest.approx(4 / 5 if name == "multi_solutions" else 2 / 3)
        assert (alone["f1_negative"].value is None) == (name == "multi_solutions")
        assert alone["error_accuracy"].value == (None if name == "multi_solutions" else 0.5)


def test_prmbench_resamples_problems_with_all_their_classes():
    scores = score("prmbench", spoilt())
    # problem a alone, b alone or both: whatever is drawn holds every class, so no dimension is ever undefined
    assert not np.isnan(scores["sensitivity"].resampled_R).any()
    assert len(np.unique(scores["prm_score"].resampled_R.round(12))) <= 3
    alone = score("prmbench", [r for r in spoilt() if r.solution.source_id == "problem-a"])
    assert any(np.isclose(scores["prm_score"].resampled_R, alone["prm_score"].value))
    of_a = [r.solution.source_id == "problem-a" for r in spoilt()]
    found = clusters(find_benchmark("prmbench"), [row.solution for row in spoilt()])
    assert len(set(compress(found, of_a))) == 1 and len(set(found)) == 2


def test_prmbench_solutions_of_one_text_are_resampled_together_whatever_their_ids():
    rows = [row(i, "ox", [0.9, 0.1], subset="circular", problem=name) for i, name in enumerate("abcd", start=1)]
    same_text = {"problem": rows[0].solution.problem, "problem_id": rows[0].solution.problem_id}
    rows[2] = dataclasses.replace(
        rows[2], solution=rows[2].solution.model_copy(update=same_text)
    )  # problem-c asks what a asks
    same_id = {"source_id": "problem-c"}
    rows[3] = dataclasses.replace(
        rows[3], solution=rows[3].solution.model_copy(update=same_id)
    )  # another wording of c, so of a
    a, b, c, d = clusters(find_benchmark("prmbench"), [row.solution for row in rows])
    assert a == c == d != b
    assert len(set(clusters(find_benchmark("processbench"), [row.solution for row in rows]))) == 3


def test_prmbench_without_all_classes_has_no_dimension_of_them():
    rows = [r for r in spoilt() if r.subset != "circular"]
    scores = score("prmbench", rows)
    assert scores["simplicity"].value is None
    assert scores["simplicity"].metric(scale=100) == Metric(value=None, lo=None, hi=None)
    assert scores["soundness"].value == pytest.approx(2 / 3)
    assert "circular 0 of 758" in comparability(find_benchmark("prmbench"), rows)[0]


def test_prmbench_needs_all_labels_and_its_own_classes():
    with pytest.raises(DataError, match=r"step 2 is unlabelled"):
        score("prmbench", [row(0, "ox?", [0.9, 0.1, 0.9], subset="circular")])
    with pytest.raises(DataError, match="redundancy: not a class of PRMBench"):
        score("prmbench", [row(0, "ox", [0.9, 0.1], subset="redundancy")])


def test_steps_that_are_neither_right_nor_wrong_count_as_right():
    labelled = row(0, "oox", [0.9, 0.9, 0.9]).solution.model_copy(
        update={"labels": (StepLabel.NEUTRAL, StepLabel.OK, StepLabel.ERROR)}
    )
    assert labelled_ok(labelled) == (True, True, False)


def test_cross_fitted_thresholds_count_each_step_by_its_own():
    strict, lax = ThresholdRule(threshold=0.8), ThresholdRule(threshold=0.2)
    rows = [row(0, "ooxo", [0.9, 0.7, 0.3, 0.9], subset="circular", rule=strict)]
    rows += [row(1, "ooxo", [0.9, 0.7, 0.3, 0.9], subset="circular", rule=lax)]
    scores = score_subset(find_benchmark("prmbench"), rows, n_resamples=100, seed=0)
    # strict: right 2 passed, 1 flagged, wrong 1 found; lax: right 3 passed, wrong 1 passed
    assert scores["f1_positive"].value == pytest.approx(10 / 12)
    assert scores["f1_negative"].value == pytest.approx(2 / 4)


def test_mr_gsm8k_by_hand():
    rows = [row(0, "ox", [0.9, 0.1]), row(1, "ox", [0.1, 0.9]), row(2, "ox", [0.9, 0.9])]
    rows += [row(3, "oo", [0.9, 0.9]), row(4, "oo", [0.9, 0.9]), row(5, "oo", [0.9, 0.2]), row(6, "oo", None)]
    scores = score("mr-gsm8k", rows)
    # tp 2, fn 2 (one of them unjudged), tn 2, fp 1: (2*2 - 1*2) / sqrt(3 * 4 * 3 * 4) = 1/6; one of three located
    assert scores["mcc"].value == pytest.approx(1 / 6)
    assert scores["step_accuracy"].value == scores["error_accuracy"].value == pytest.approx(1 / 3)
    assert scores[find_benchmark("mr-gsm8k").headline_score].value == pytest.approx(0.2 / 6 + 0.3 / 3)
    # without the unjudged one: tp 2, fn 1, tn 2, fp 1: (4 - 1) / sqrt(3 * 3 * 3 * 3) = 1/3
    assert scores["mcc_scored"].value == pytest.approx(1 / 3)


def test_two_judges_are_resampled_alike():
    rng = random.Random(2)
    labels = [rng.choice(["oxo", "ooo"]) for _ in range(40)]
    first = [row(i, label, [rng.random() for _ in range(3)]) for i, label in enumerate(labels)]
    for name in ("processbench", "bigbench-mistake", "mr-gsm8k", "procedural"):
        benchmark = find_benchmark(name)
        scores = [score_overall(benchmark, first, n_resamples=50, seed=3)[benchmark.headline_score] for _ in range(2)]
        assert np.array_equal(scores[0].resampled_R, scores[1].resampled_R)
    # a judge that answers one solution more rightly is never worse on a resample, and better on some
    better = list(first)
    missed = next(i for i, r in enumerate(first) if r.gold == 1 and r.predicted != 1)
    better[missed] = row(missed, labels[missed], [0.9, 0.1, 0.9])
    difference_R = score("bigbench-mistake", better)["accuracy"].resampled_R
    difference_R = difference_R - score("bigbench-mistake", first)["accuracy"].resampled_R
    assert (difference_R >= 0).all() and (difference_R > 0).any()


def test_a_source_without_a_protocol_is_plain_localization():
    benchmark = find_benchmark("procedural")
    assert (benchmark.name, benchmark.headline, benchmark.derived_from) == ("procedural", "pooled F1", {})
    scores = score("procedural", [row(0, "ox?", [0.9, 0.1, 0.5]), row(1, "ooo", [0.9, 0.9, 0.9])])
    assert scores["f1"].value == 1.0
    assert comparability(benchmark, [row(0, "ox", [0.9, 0.1]), row(1, "oo", [0.9, 0.9])]) == []


def test_benchmarks_are_found_as_sources_are():
    from judgekit_datasets.registry import source_names

    assert set(BENCHMARKS.names()) <= set(source_names())
    assert find_benchmark("BIGBENCH_MISTAKE") is BENCHMARKS.load("bigbench-mistake")


@pytest.mark.parametrize("benchmark", [*map(BENCHMARKS.load, BENCHMARKS.names())], ids=BENCHMARKS.names())
def test_descriptions_agree_with_themselves(benchmark):
    rows = [row(i, label, [0.9, 0.1], subset="circular") for i, label in enumerate(["ox", "oo"])]
    scores = score_overall(benchmark, rows, n_resamples=100, seed=0)
    assert benchmark.headline_score in scores
    assert {f"{benchmark.headline_score}_scored"} <= set(scores)
    if benchmark.published_subsets:
        assert sum(benchmark.published_subsets.values()) == benchmark.n_published
    assert all(text.endswith(".") for text in benchmark.caveats)


def test_prmbench_describes_the_nine_classes():
    assert set(find_benchmark("prmbench").published_subsets) == set(PRMBENCH_CLASSES)
    assert {name for names in PRMBENCH_DIMENSIONS.values() for name in names} == set(PRMBENCH_CLASSES)


def test_extent_is_said_where_it_differs():
    benchmark = find_benchmark("processbench")
    whole = [row(i, "ox", [0.9, 0.1], subset=name) for name in benchmark.published_subsets for i in range(2)]
    notes = comparability(benchmark, whole)
    assert notes[0].startswith("Published ProcessBench figures are over 3,400 solutions, these over 8 (gsm8k 2 of 400")
    assert len(notes) == 1
    small = dataclasses.replace(benchmark, n_published=8, published_subsets=dict.fromkeys(by_subset(whole), 2))
    assert not any("Published" in note for note in comparability(small, whole))


def test_subsets_that_a_benchmark_does_not_have_are_named():
    """Rows of one's own that call themselves a benchmark's must not stand beside quoted figures without a word."""
    rows = [row(i, "ox", [0.9, 0.1], subset=name) for name in ("gsm8k", "mine", "") for i in range(2)]
    notes = comparability(find_benchmark("processbench"), rows)
    assert any(note.startswith("4 of them are of no subset that ProcessBench has (mine, ") for note in notes)
    assert comparability(find_benchmark("mine"), rows) == []


def test_quoted_averages_are_those_of_their_subsets():
    processbench = [figure for figure in PUBLISHED if figure.benchmark == "processbench"]
    assert len(processbench) == 16
    for figure in processbench:
        assert tuple(figure.subsets) == tuple(find_benchmark("processbench").published_subsets)
        # both were rounded to a tenth
        assert np.mean(list(figure.subsets.values())) == pytest.approx(figure.headline, abs=0.1), figure.judge


def test_figures_that_cannot_exist_are_explained():
    processbench, own = find_benchmark("processbench"), find_benchmark("mine")
    both = [row(i, label, [0.9, 0.1], subset="a") for i, label in enumerate(["ox", "oo"])]
    assert why_undefined(processbench, both) == why_undefined(own, both) == []
    more = [*both, row(2, "ox", [0.9, 0.1], subset="b"), row(3, "oo", [0.9, 0.1], subset="c")]
    assert why_undefined(processbench, more) == [
        "No F1 for b, c: 2 of 3 subsets, erroneous or correct solutions alone, and so no average; pooled figures exist."
    ]
    assert why_undefined(own, more) == ["No F1 for b, c: 2 of 3 subsets, erroneous or correct solutions alone."]
    many = both + [row(i, "ox", [0.9, 0.1], subset=f"s{i}") for i in range(2, 10)]
    assert "s2, s3, s4, s5, s6 and 3 more: 8 of 9 subsets" in why_undefined(own, many)[0]
    assert why_undefined(own, [more[2]])[0].startswith("All 1 solutions are erroneous")


def test_averages_are_quoted_over_the_subsets_at_hand():
    whole = quoted("processbench", ["omnimath", "olympiadbench", "math", "gsm8k"])
    assert whole == quoted("processbench")
    two = {figure.judge: figure for figure in quoted("processbench", ["gsm8k", "olympiadbench"])}
    # Skywork-PRM-7B: 70.8 and 22.9; 42.1 over all four
    assert two["Skywork-PRM-7B"].headline == pytest.approx((70.8 + 22.9) / 2)
    assert two["Skywork-PRM-7B"].note == "average of the 2 subsets here; 42.1 over all 4"
    assert list(two)[:2] == ["o1-mini", "Qwen2.5-Math-PRM-72B"], "ranked by what is shown"
    assert len(two) == 16
    classes = quoted("prmbench", ["circular", "deception"])
    assert {figure.headline for figure in classes} == {figure.headline for figure in quoted("prmbench")}
    assert all(figure.note.endswith("over all 9 subsets") for figure in classes), "no figures of classes are published"
    assert quoted("PRMBench") == quoted("prmbench")


def test_quoted_figures_name_their_source_and_the_best_comes_first():
    assert {figure.benchmark for figure in PUBLISHED} == {"processbench", "prmbench", "bigbench-mistake"}
    assert all(re.search(r"\d{4}\.\d{5}", figure.source) and 0 < figure.headline < 100 for figure in PUBLISHED)
    assert [figure.judge for figure in quoted("prmbench")][:2] == ["o1-mini", "R-PRM-7B-DPO"]
    assert [(figure.judge, figure.headline) for figure in quoted("bigbench-mistake")] == [("GPT-4", 52.87)]
    assert quoted("procedural") == []
    assert len({(figure.benchmark, figure.judge) for figure in PUBLISHED}) == len(PUBLISHED)
