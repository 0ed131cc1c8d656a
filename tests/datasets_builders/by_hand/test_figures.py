"""Figures on labels: equal to those worked out otherwise, and never from what was fitted on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from judgekit.errors import DataError
from judgekit.judges.base import Judge
from judgekit.judges.exposure import Exposure
from judgekit.judges.problem_lists import TRAIN_PROBLEMS, ProblemList, write_problems
from judgekit.metrics.bootstrap import Interval, PairedDifference
from judgekit.types import ArgmaxRule, LabelledSolution, NoVerdictReason, labels_from_first_error
from judgekit_datasets.by_hand.figures import (
    CurvePoint,
    LearningCurve,
    compute_judge_figures,
    compute_learning_curve,
    cross_fit,
    fit_prior,
    unseen_by,
)
from tests.datasets_builders.by_hand.work import label_all, opened, write_solutions
from tests.fakes import FakeJudge


def solution(index: int, first_error: int | None, *, n_steps: int = 3) -> LabelledSolution:
    return LabelledSolution(
        problem=f"Problem {index}?", steps=tuple(f"step {k} of {index}" for k in range(n_steps)), source="own",
        labels=labels_from_first_error(first_error, n_steps=n_steps), label_method=None,
    )  # fmt: skip


MIXED = [solution(i, (0, 1, None, 1, None)[i % 5]) for i in range(60)]


def test_figures_by_hand() -> None:
    """Two hits of three errors, one of two right ones, one of them without a verdict."""
    golds = [0, 1, 2, None, None]
    solutions = [solution(i, gold) for i, gold in enumerate(golds)]
    posteriors = [(0.7, 0.1, 0.1, 0.1), (0.1, 0.7, 0.1, 0.1), (0.1, 0.7, 0.1, 0.1), (0.1, 0.1, 0.1, 0.7)]
    judge = FakeJudge(
        {item.id: posterior for item, posterior in zip(solutions, posteriors, strict=False)},
        no_verdict={solutions[4].id: NoVerdictReason.TOO_LONG},
        decision=ArgmaxRule(),
    )
    found = compute_judge_figures(solutions, judge.judge(solutions), [0, 1, 1, None, None])
    assert (found.n, found.n_no_verdict) == (5, 1)
    assert found.f1.value == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    assert found.log_loss.value == pytest.approx(-(3 * math.log(0.7) + math.log(0.1)) / 4)
    # Reached steps: P(ok) 0.3 wrong | 0.9, 0.222 wrong | 0.9, 0.222, 0.5 wrong | 0.9, 0.889, 0.875. Of the 6 right ones
    # five lie above all three wrong ones, and 0.222 above none (equal to one).
    assert found.auroc.value == pytest.approx((5 * 3 + 0.5) / 18)
    assert all(part.lo is not None and part.lo <= part.value <= part.hi for part in (found.f1, found.log_loss))


def test_nothing_is_judged_by_what_saw_its_problem() -> None:
    twins = [*MIXED, *(item.model_copy(update={"id": f"twin-{item.id}"}) for item in MIXED)]
    fitted: list[set[str]] = []

    class Spy:
        def __init__(self, problems: set[str], judge: Judge) -> None:
            self.problems, self.info, self.judge_inside = problems, judge.info, judge

        def judge(self, solutions: Sequence[LabelledSolution]) -> object:
            assert not self.problems & {item.problem for item in solutions}
            assert not any(hasattr(item, "labels") for item in solutions)
            fitted.append(self.problems)
            return self.judge_inside.judge(solutions)

    def fit(solutions: Sequence[LabelledSolution]) -> Judge:
        return Spy({item.problem for item in solutions}, fit_prior(solutions))  # type: ignore[return-value]

    judgements, predicted = cross_fit(twins, fit)
    assert [judgement.solution_id for judgement in judgements] == [item.id for item in twins]
    assert len(predicted) == len(twins) and len(fitted) == 5
    with pytest.raises(DataError, match="a single problem"):
        cross_fit(twins[:1] * 3, fit_prior)


def test_a_learning_curve_tells_help_from_no_help() -> None:
    """Of a fit that gets better with labels more help; of the prior, which has learnt all there is, hardly any."""

    def better(solutions: Sequence[LabelledSolution]) -> Judge:
        sure = 1 - 1 / (2 + len(solutions))
        rest = (1 - sure) / 3
        gold = {item.problem: item.first_error for item in MIXED}

        class Better:
            info = FakeJudge({}).info

            def judge(self, asked: Sequence[LabelledSolution]) -> object:
                posteriors = {}
                for item in asked:
                    true = 3 if gold[item.problem] is None else gold[item.problem]
                    posteriors[item.id] = [sure if place == true else rest for place in range(4)]
                return FakeJudge(posteriors).judge(asked)

        return Better()  # type: ignore[return-value]

    curve = compute_learning_curve(MIXED, better, measured_N=[True] * 60)
    assert [point.n_labels for point in curve.points] == [12, 24, 48]
    assert curve.points[0].log_loss.value == pytest.approx(-math.log(1 - 1 / 14))
    assert curve.gain and curve.gain.difference == pytest.approx(math.log((1 - 1 / 50) / (1 - 1 / 26)))
    assert curve.advice.startswith("more labels help (from 24 to 48: +0.019")
    prior = compute_learning_curve(MIXED * 1, fit_prior, measured_N=[i % 2 == 0 for i in range(60)])
    assert "help" in prior.advice and prior.gain and prior.gain.difference < 0.1


@pytest.mark.parametrize(
    ("gain", "advice"),
    [
        (PairedDifference(0.1, 0.05, 0.2, 0.01), "more labels help (from 10 to 20: +0.100 [+0.050, +0.200] nats)"),
        (PairedDifference(0.0, -0.01, 0.01, 1.0), "twice as many labels would hardly help"),
        (PairedDifference(0.1, -0.05, 0.3, 0.3), "not clear yet whether more labels help"),
        (None, "too few labels"),
    ],
)
def test_advice(gain: PairedDifference | None, advice: str) -> None:
    points = tuple(CurvePoint(n, Interval(1.0, 0.9, 1.1)) for n in (10, 20))
    assert advice in LearningCurve(points, gain).advice


def test_sizes_that_cannot_be_fitted_are_left_out_and_the_last_one_raises() -> None:
    seldom = [solution(i, 1 if i < 3 else None) for i in range(60)]
    assert [point.n_labels for point in compute_learning_curve(seldom, fit_prior, measured_N=[True] * 60).points][
        -1
    ] == 48
    with pytest.raises(DataError, match="correct and wrong steps are needed"):
        compute_learning_curve([solution(i, None) for i in range(20)], fit_prior, measured_N=[True] * 20)


def test_a_judge_is_not_measured_on_its_own_problems(tmp_path: Path) -> None:
    exposure = Exposure(ProblemList.of(MIXED[:59]), ())
    assert unseen_by(exposure, MIXED) == MIXED[59:]

    data = write_solutions(tmp_path / "rows.jsonl", 40)
    truth: dict[str, int | None] = {f"Problem {i}?": (0, 1, None)[i % 3] for i in range(40)}
    judge = tmp_path / "judge"
    fit_prior_to(judge)
    with opened(tmp_path, data=data, judge=str(judge), fits={"position prior": fit_prior}) as work:
        assert [row.value for row in work.figures()] == [
            "after 10 labels of solutions drawn at random (now 0)",
            "after 10 labels of solutions drawn at random (now 0)",
        ]
        label_all(work, truth)
        rows = dict(work.figures())
    assert rows["judge prior"].startswith("F1 ") and "on 20 solutions drawn at random" in rows["judge prior"]
    assert rows["left out"] == "20 solutions to problems that the judge was made with"
    assert rows["position prior, cross-fitted"].startswith("F1 ")
    assert rows["position prior, log loss by labels"].startswith("16: ") and "position prior, more labels" in rows

    # Trained on all of it, as after a day of labelling: nothing is left that it can be measured on.
    write_problems(judge / TRAIN_PROBLEMS, ProblemList.of([solution(i, None) for i in range(38)]))
    with opened(tmp_path, data=data, judge=str(judge), resume=True) as work:
        rows = dict(work.figures())
    assert rows["judge prior"].startswith("not measured: it was made with the problems of 38 of 40")


def fit_prior_to(folder: Path) -> None:
    """Write a position prior that was made with problems 0 to 19."""
    from judgekit.training.config import PriorConfig
    from judgekit.training.prior import build_prior

    data = folder.parent / "train.jsonl"
    data.write_text("".join(item.model_dump_json() + "\n" for item in MIXED[:20]))
    build_prior(data, folder, PriorConfig(judge_id="prior"))
