"""The probe that is fitted while labels come in."""

from __future__ import annotations

import pytest

from judgekit.errors import DataError
from judgekit.types import LabelledSolution, labels_from_first_error
from judgekit_datasets.by_hand.figures import compute_learning_curve, cross_fit, fit_prior
from judgekit_datasets.by_hand.text_probe import TextProbe, fit_lengths


def solution(index: int) -> LabelledSolution:
    """Return a sum of three steps; of every second one the step 0, 1 or 2 is wrong, and seen to be."""
    wrong = index // 2 % 3 if index % 2 else None
    steps = [f"{index + k} + 1 = {index + k + 1 + (k == wrong)}" for k in range(3)]
    labels = labels_from_first_error(wrong, n_steps=3)
    return LabelledSolution(problem=f"{index}?", steps=tuple(steps), labels=labels, source="own", label_method=None)


SUMS = [solution(index) for index in range(60)]


def test_it_learns_what_floors_cannot() -> None:
    gold = [item.first_error for item in SUMS]
    _, predicted = cross_fit(SUMS, TextProbe().fit)
    assert sum(found == true for found, true in zip(predicted, gold, strict=True)) > 54
    losses = [
        compute_learning_curve(SUMS, fit, measured_N=[True] * 60, n_repeats=1).points[-1].log_loss.value
        for fit in (TextProbe().fit, fit_prior, fit_lengths)
    ]
    assert None not in losses and losses[0] < min(losses[1:]) - 0.5


def test_too_few_labels_are_refused() -> None:
    for labels in (SUMS[0:20:2], SUMS[:2], [*SUMS[0:20:2], SUMS[1]]):
        with pytest.raises(DataError, match="do not make a probe"):
            TextProbe().fit(labels)
