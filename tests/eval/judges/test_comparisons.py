from __future__ import annotations

import numpy as np
import pytest

from judgekit.types import LabelledSolution
from judgekit_eval.judges.comparisons import Pair, compare_judges
from judgekit_eval.judges.intervals import Estimate
from tests.eval.samples import evaluate_all, pointing_at, sample
from tests.fakes import FakeJudge


def estimate(value: float | None, *resampled: float) -> Estimate:
    return Estimate(value, np.array(resampled, dtype=float))


def test_pairs_by_hand() -> None:
    found = compare_judges(
        {"a": estimate(0.5, 0.4, 0.5, 0.6), "b": estimate(0.3, 0.3, 0.3, 0.3), "c": estimate(0.5, 0.4, 0.5, 0.6)},
        name="average F1",
    )
    assert (found.headline_name, found.n_comparisons) == ("average F1", 3)
    a_b, a_c, b_c = found.pairs
    assert (a_b.a, a_b.b, a_b.difference) == ("a", "b", pytest.approx(20.0))
    assert (a_b.lo, a_b.hi) == (pytest.approx(10.0), pytest.approx(30.0))
    # no resample at or below 0 of three: p = 2 (0 + 1) / (3 + 1)
    assert (a_b.p_value, a_c.p_value, b_c.p_value) == (0.5, 1.0, 0.5)
    assert (a_b.p_holm, a_c.p_holm, b_c.p_holm) == (1.0, 1.0, 1.0)
    assert a_c.difference == 0.0
    assert "3 pairs are compared" in found.note and "p after Holm allows for all" in found.note


def test_a_figure_that_does_not_exist_is_compared_with_nothing() -> None:
    found = compare_judges({"a": estimate(None, np.nan), "b": estimate(0.3, 0.3), "c": estimate(0.2, 0.2)}, name="F1")
    nothing = dict.fromkeys(("difference", "lo", "hi", "p_value", "p_holm"))
    assert found.pairs[0] == Pair(a="a", b="b", **nothing)
    assert found.pairs[2].p_holm == found.pairs[2].p_value == 1.0, "one comparison is corrected for one"


@pytest.mark.parametrize(("n_resamples", "told"), [(99, True), (119, False)])
def test_too_few_resamples_to_correct_for_so_many_pairs_are_told(n_resamples: int, told: bool) -> None:
    far_apart = {name: estimate(k / 4, *[k / 4] * n_resamples) for k, name in enumerate("abc")}
    found = compare_judges(far_apart, name="F1")
    # 3 pairs, smallest p = 2 / (R + 1): corrected 0.06 and 0.05
    assert min(pair.p_holm for pair in found.pairs) == pytest.approx(6 / (n_resamples + 1))
    assert ("n_resamples=120 or more" in found.note) == told


def test_one_judge_has_no_pairs() -> None:
    assert compare_judges({"a": estimate(0.5, 0.5)}, name="F1").pairs == []


def test_judges_are_compared_on_the_same_draws(tmp_path) -> None:
    # both are right on the same problems but for one, so the difference is sure although each figure is not
    solutions = [sample(i, first_error=None if i % 2 else 1, problem=f"Problem {i // 2}") for i in range(40)]

    def judge(name: str, *, wrong: set[int]) -> FakeJudge:
        places = {s.id: 2 if i in wrong else s.first_error for i, s in enumerate(solutions)}
        return FakeJudge({id_: pointing_at(place) for id_, place in places.items()}, judge_id=name)

    def width(low: float, high: float) -> float:
        return high - low

    wrong = set(range(0, 40, 3))
    judges = [judge("better", wrong=wrong), judge("worse", wrong=wrong | {1}), judge("same", wrong=wrong)]
    evaluation = evaluate_all(judges, solutions, output=tmp_path / "run", n_resamples=500)
    pairs = {(pair.a, pair.b): pair for pair in evaluation.comparisons.benchmarks["orchard"].pairs}
    headline = evaluation.runs[0].results.headline
    close = pairs["better", "worse"]
    assert 0 <= close.lo <= close.difference <= close.hi
    assert width(close.lo, close.hi) < width(headline.lo, headline.hi) / 2
    same = pairs["better", "same"]
    assert (same.difference, same.lo, same.hi, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_the_order_of_judges_is_that_of_the_configuration(tmp_path) -> None:
    solutions: list[LabelledSolution] = [sample(i, first_error=None if i % 2 else 1) for i in range(4)]
    judges = [FakeJudge({s.id: pointing_at(1) for s in solutions}, judge_id=name) for name in ("z", "a")]
    evaluation = evaluate_all(judges, solutions, output=tmp_path / "run")
    assert [run.results.judge.judge_id for run in evaluation.runs] == ["z", "a"]
