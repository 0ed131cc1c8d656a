"""F1 at every threshold: against the definition, and against the threshold that is found exactly."""

from __future__ import annotations

import random

import pytest

from judgekit.metrics.localization import compute_localization
from judgekit.metrics.threshold import choose_threshold
from judgekit_eval.report.curves import f1_over_thresholds


def test_f1_is_that_of_deciding_by_each_threshold() -> None:
    draw = random.Random(0)
    gold_N: list[int | None] = [draw.choice([None, 0, 1, 2]) for _ in range(60)]
    p_ok_N_S = [None if n % 9 == 0 else [draw.random() for _ in range(3)] for n in range(60)]
    thresholds = [0.0, 0.1, 0.35, 0.6, 1.0]
    for t, f1 in zip(thresholds, f1_over_thresholds(p_ok_N_S, gold_N=gold_N, thresholds=thresholds), strict=True):
        predicted_N = [next((i for i, p in enumerate(p_S or ()) if p < t), None) for p_S in p_ok_N_S]
        direct = compute_localization(gold_N, predicted_N, judged_N=[p_S is not None for p_S in p_ok_N_S])
        assert f1 == pytest.approx(direct.f1)
    best = choose_threshold(p_ok_N_S, gold_N=gold_N)
    assert f1_over_thresholds(p_ok_N_S, gold_N=gold_N, thresholds=[best.threshold]) == [pytest.approx(best.f1)]


def test_one_class_alone_has_no_f1() -> None:
    assert f1_over_thresholds([[0.5], None], gold_N=[None, None], thresholds=[0.4]) == [None]
