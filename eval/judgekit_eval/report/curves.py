"""What other thresholds would give, and how well P(step ok) ranks steps: curves of all judges on one subset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from judgekit.metrics.localization import harmonic_mean
from judgekit.metrics.steps import collect_reached_steps
from judgekit.report.page import Series, figures, line_plot, paragraph
from judgekit_eval.report.benchmark import JudgedBenchmark

THRESHOLDS = np.arange(1, 101) / 100
"""Where F1 is drawn."""
N_POINTS = 200
"""Points of a curve that are drawn at most."""


def curves_html(benchmark: JudgedBenchmark, subset: str) -> str:
    """Return F1 over the threshold, and the ROC and precision-recall curves of wrong steps."""
    f1, roc, precision = list[Series](), list[Series](), list[Series]()
    for judge, run in benchmark.runs.items():
        rows = [row for row in run.rows if row.subset == subset]
        p_ok_N_S, gold_N = [row.p_ok_S for row in rows], [row.gold for row in rows]
        values = f1_over_thresholds(p_ok_N_S, gold_N=gold_N, thresholds=THRESHOLDS.tolist())
        f1.append(Series(judge, THRESHOLDS.tolist(), [None if value is None else 100 * value for value in values]))
        steps = collect_reached_steps(p_ok_N_S, gold_N=gold_N)
        if 0 < steps.ok_K.sum() < len(steps.ok_K):
            wrong_K, score_K = 1 - steps.ok_K, 1 - steps.p_ok_K
            false_rate, true_rate, _ = roc_curve(wrong_K, score_K)
            roc.append(_thinned(judge, false_rate, true_rate))
            precisions, recall, _ = precision_recall_curve(wrong_K, score_K)
            # In steps: a straight line between two points of the curve would promise precision that no threshold has.
            recall, precisions = np.repeat(recall[::-1], 2)[:-1], np.repeat(precisions[::-1], 2)[1:]
            precision.append(_thinned(judge, recall, precisions))
    plots = [
        line_plot(
            f1, title="F1 at every threshold", x_label="threshold on P(step ok)", y_label="F1, %", y_range=(0, 100)
        ),
        line_plot(
            roc, title="ROC of wrong steps", x_label="right steps accused", y_label="wrong steps found", y_range=(0, 1)
        ),
        line_plot(
            precision, title="Precision and recall of wrong steps", x_label="recall: wrong steps found",
            y_label="precision: share of the accused that are wrong", y_range=(0, 1),
        ),
    ]  # fmt: skip
    return figures(*plots) + paragraph(
        "F1 counts the first step below the threshold as the prediction, and solutions without a verdict as missed: "
        "its top was chosen on these very solutions. Judges that decide for the most probable outcome use no threshold."
    )


def f1_over_thresholds(
    p_ok_N_S: Sequence[Sequence[float] | None], *, gold_N: Sequence[int | None], thresholds: Sequence[float]
) -> list[float | None]:
    """Return ProcessBench's F1 at each threshold, in [0, 1]; `None` where there are only right or only wrong solutions.

    A solution with first error g is hit for p_g < t <= min(p_0..p_{g-1}), a right one for t <= min(p).

    Args:
        p_ok_N_S: P(step ok | earlier steps ok) of each solution, ragged; `None` = no verdict, a miss everywhere.
        gold_N: True first errors, 0-based, `None` = no error.
        thresholds: On P(step ok).
    """
    t_T = np.asarray(thresholds)
    hits: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for p_ok_S, gold in zip(p_ok_N_S, gold_N, strict=True):
        if p_ok_S is None:
            hit_T = np.zeros(len(t_T), dtype=bool)
        elif gold is None:
            hit_T = t_T <= min(p_ok_S, default=1.0)
        else:
            hit_T = (p_ok_S[gold] < t_T) & (t_T <= min(p_ok_S[:gold], default=1.0))
        hits[gold is None].append(hit_T)
    if not hits[True] or not hits[False]:
        return [None] * len(t_T)
    return [float(value) for value in harmonic_mean(np.mean(hits[True], axis=0), np.mean(hits[False], axis=0))]


def _thinned(name: str, x: np.ndarray, y: np.ndarray) -> Series:
    """Return a curve with no more points than draw the same line."""
    drawn = np.unique(np.linspace(0, len(x) - 1, N_POINTS).round().astype(int))
    return Series(name, x[drawn].tolist(), y[drawn].tolist())
