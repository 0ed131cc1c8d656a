"""No threshold decides what it was chosen on, unless that was asked for and is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from judgekit.errors import ConfigError
from judgekit.metrics.threshold import choose_threshold
from judgekit.types import ArgmaxRule, Judgement, LabelledSolution, ThresholdRule, Verdict
from judgekit_eval.judges.benchmarks import find_benchmark
from judgekit_eval.judges.config import EvalConfig
from judgekit_eval.judges.thresholds import Decisions, decide_all
from judgekit_eval.report.leaderboard import threshold_origin
from tests.eval.samples import sample

ORCHARD = find_benchmark("orchard")
PROCESSBENCH = find_benchmark("processbench")
"""Its thresholds are those of each subset."""


def said(solutions: Sequence[LabelledSolution], p_ok: Sequence[float]) -> list[Judgement]:
    """Judgements with P(step ok) as given for the first step and 0.99 for the rest."""
    return [
        Judgement(solution_id=s.id, judge_id="j", verdict=Verdict.from_step_probs([p, 0.99, 0.99]))
        for s, p in zip(solutions, p_ok, strict=True)
    ]


def decisions(solutions: Sequence[LabelledSolution], p_ok: Sequence[float], **options: Any) -> Decisions:
    asked: dict[str, Any] = {
        "benchmark": ORCHARD,
        "rule": ThresholdRule(),
        "threshold": "held-out",
        "n_folds": 2,
    } | options
    return decide_all(asked.pop("benchmark"), solutions, said(solutions, p_ok), **asked)


def test_a_threshold_from_other_data_and_argmax_stay() -> None:
    solutions = [sample(0, first_error=0), sample(1, first_error=None)]
    elsewhere = ThresholdRule(threshold=0.7, origin="best F1 on another set")
    found = decisions(solutions, [0.6, 0.8], rule=elsewhere)
    assert found.decision.model_dump(exclude_unset=True) == {
        "kind": "threshold", "threshold": 0.7, "thresholds": None, "n_default": 0, "origin": "best F1 on another set",
    }  # fmt: skip
    assert [row.predicted for row in found.rows] == [0, None]
    assert found.notes == ()
    for asked in ("held-out", "judge", 0.9, "tuned:shop"):
        found = decisions(solutions, [0.6, 0.8], rule=ArgmaxRule(), threshold=asked)
        nothing = {"threshold": None, "thresholds": None, "n_default": 0}
        assert found.decision.model_dump(exclude_unset=True) == nothing | {"kind": "argmax", "origin": "default"}
        assert found.tuned_on is None and found.rows[0].threshold is None


def test_an_untouched_default_is_cross_fitted_over_problems() -> None:
    # two problems a fold: in A (first) the error is separated at 0.2..0.4, in B at 0.6..0.8
    solutions = [sample(i, first_error=0 if i % 2 else None, problem=f"Problem {i // 2}") for i in range(4)]
    p_ok = [0.4, 0.2, 0.8, 0.6]
    found = decisions(solutions, p_ok)
    # each problem is decided by the other's threshold, so the correct one of A falls below 0.7 and B's error passes 0.3
    assert [row.threshold for row in found.rows] == pytest.approx([0.7, 0.7, 0.3, 0.3])
    assert [row.predicted for row in found.rows] == [0, 0, None, None]
    assert found.decision.threshold is None
    assert sorted(found.decision.thresholds or ()) == pytest.approx([0.3, 0.7])
    assert found.decision.origin.startswith("cross-fitted over problems")


def test_no_solution_has_a_say_in_its_own_threshold() -> None:
    solutions = [sample(i, first_error=0 if i % 3 else None, problem=f"Problem {i // 3}") for i in range(30)]
    p_ok = [((7 * i) % 30 + 0.5) / 31 for i in range(30)]
    before = decisions(solutions, p_ok, n_folds=5)
    for index, row in enumerate(before.rows):
        same_fold = [k for k, other in enumerate(before.rows) if other.solution.problem_id == row.solution.problem_id]
        changed = [0.999 if k in same_fold else p for k, p in enumerate(p_ok)]
        assert decisions(solutions, changed, n_folds=5).rows[index].threshold == row.threshold
    everything = choose_threshold([row.p_ok_S for row in before.rows], gold_N=[row.gold for row in before.rows])
    assert any(row.threshold != everything.threshold for row in before.rows)


def test_subsets_of_one_class_take_thresholds_of_the_whole_benchmark() -> None:
    solutions = [sample(i, first_error=0, subset="wrong") for i in range(4)]
    solutions += [sample(i, first_error=None, subset="right") for i in range(4, 8)]
    found = decisions(solutions, [0.2] * 4 + [0.4] * 4, benchmark=PROCESSBENCH)
    assert [row.threshold for row in found.rows] == pytest.approx([0.3] * 8)
    assert found.decision.thresholds == pytest.approx([0.3, 0.3]), "the pooled folds once"
    assert any("alone in wrong, right" in note for note in found.notes)


def test_subsets_of_one_s_own_data_share_their_thresholds() -> None:
    # shop alone would choose 0.3 and mill 0.7; both together are best between 0.4 and 0.6 wherever they lie
    solutions = [sample(i, first_error=0 if i % 2 else None, subset="shop" if i < 4 else "mill") for i in range(8)]
    p_ok = [0.4, 0.2, 0.4, 0.2, 0.8, 0.6, 0.8, 0.6]
    apart = decisions(solutions, p_ok, benchmark=PROCESSBENCH)
    assert [row.threshold for row in apart.rows] == pytest.approx([0.3] * 4 + [0.7] * 4)
    together = decisions(solutions, p_ok)
    assert len(together.decision.thresholds or ()) == 2 and together.notes == ()


def test_folds_without_a_class_keep_the_default_and_say_so() -> None:
    solutions = [sample(0, first_error=0), sample(1, first_error=None)]
    found = decisions(solutions, [0.2, 0.4], benchmark=PROCESSBENCH)
    assert [row.threshold for row in found.rows] == [0.5, 0.5]
    nothing = {"thresholds": None, "n_default": 0, "origin": "default"}
    assert found.decision.model_dump(exclude_unset=True) == nothing | {"kind": "threshold", "threshold": 0.5}, (
        "nothing was cross-fitted"
    )
    assert threshold_origin(found.decision) == "default"
    assert found.notes == (
        "2 of the 2 folds of shop leave too little to choose a threshold on (erroneous and correct solutions are "
        "needed): the default 0.5 decides them.",
    )
    # three problems, one of which has the only errors: the fold that it is in leaves none to choose on
    some = [sample(i, first_error=0 if i == 0 else None) for i in range(3)]
    found = decisions(some, [0.2, 0.4, 0.4], n_folds=3)
    assert found.decision.n_default == 1 and found.decision.origin.endswith("; the default in 1 of 3 folds")
    assert threshold_origin(found.decision) == "cross-fitted, but the default in 1 folds"
    alone = [sample(i, first_error=None, problem="one") for i in range(3)]
    assert any("1 of the 1 folds" in note for note in decisions(alone, [0.2, 0.4, 0.6]).notes)


def test_tuned_on_a_subset_as_published() -> None:
    solutions = [sample(0, first_error=0), sample(1, first_error=None)]
    solutions += [sample(2, first_error=0, subset="mill"), sample(3, first_error=None, subset="mill")]
    found = decisions(solutions, [0.6, 0.8, 0.6, 0.65], threshold="tuned:shop")
    assert found.decision.threshold == pytest.approx(0.7, abs=1e-12)  # the middle of (0.6, 0.8]
    assert found.decision.origin == "best F1 on shop in this evaluation"
    assert found.tuned_on == "shop"
    assert [row.predicted for row in found.rows] == [0, None, 0, 0]
    assert "upper bound" in found.notes[0]
    with pytest.raises(ConfigError, match="no such subset but shop, mill"):
        decisions(solutions, [0.5] * 4, threshold="tuned:gsm8k")
    with pytest.raises(ConfigError, match="with and without an error"):
        decisions(solutions[:1], [0.5], threshold="tuned:shop")


def test_a_number_and_the_judge_s_own() -> None:
    solutions = [sample(0, first_error=0), sample(1, first_error=None)]
    found = decisions(solutions, [0.6, 0.8], threshold=0.65)
    assert (found.decision.threshold, found.decision.origin) == (0.65, "given in the configuration")
    found = decisions(solutions, [0.6, 0.8], threshold="judge")
    assert (found.decision.threshold, found.decision.origin) == (0.5, "default")
    assert "untouched default" in found.notes[0]


@pytest.mark.parametrize("threshold", [0.0, 1.5, -1, "tuned", "tuned:", "heldout"])
def test_other_thresholds_are_refused(threshold: object) -> None:
    with pytest.raises(ValidationError, match="threshold is 'held-out', 'judge', 'tuned:SUBSET' or a number"):
        EvalConfig(judges=["j"], benchmarks={"b": ["f"]}, threshold=threshold)


def test_thresholds_that_are_numbers_and_words_parse() -> None:
    for threshold in (0.5, 1, "held-out", "judge", "tuned:gsm8k"):
        assert EvalConfig(judges=["j"], benchmarks={"b": ["f"]}, threshold=threshold).threshold == threshold
