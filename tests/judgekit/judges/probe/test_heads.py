"""Heads of probe judges against scikit-learn, and against files that want to be something else."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from judgekit.errors import CheckpointError
from judgekit.judges.probe.heads import LinearHead, MeanHead, TreesHead, head_from_arrays


@pytest.fixture(scope="module")
def fitted() -> tuple[np.ndarray, LinearHead, TreesHead, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6))
    x[:, 3] = 0.0  # never varies
    x[:, 4] = rng.integers(0, 2, 400)
    ok = x[:, 0] + x[:, 4] * x[:, 1] + rng.normal(size=400) > 0
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(x, ok)
    trees = HistGradientBoostingClassifier(max_depth=3, max_iter=30, monotonic_cst=[1, 0, 0, 0, 0, 0]).fit(x, ok)
    return x, LinearHead.of(linear), TreesHead.of(trees), linear.decision_function(x), trees.decision_function(x)


def test_logits_are_those_of_scikit_learn(fitted: tuple) -> None:
    x, linear, trees, linear_logits, trees_logits = fitted
    np.testing.assert_allclose(linear.logits(x), linear_logits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(trees.logits(x), trees_logits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(MeanHead((linear, trees)).logits(x), (linear_logits + trees_logits) / 2, atol=1e-12)
    assert linear.logits(x[:1]) == linear.logits(x)[:1], "one row alone has the logit that it has among others"


def test_a_head_is_its_arrays(fitted: tuple) -> None:
    x, linear, trees, *_ = fitted
    for head in (linear, trees, MeanHead((linear, trees)), MeanHead((trees, MeanHead((trees, linear))))):
        again = head_from_arrays(head.arrays(), n_features=6)
        assert type(again) is type(head)
        np.testing.assert_array_equal(again.logits(x), head.logits(x))


def test_other_arrays_are_refused(fitted: tuple) -> None:
    _, linear, trees, *_ = fitted
    loop = trees.arrays() | {"left_N": np.zeros_like(trees.left_N)}
    beyond = trees.arrays() | {"right_N": trees.right_N + 10_000}
    for arrays, complaint in (
        (linear.arrays(), "not made for the 7 features"),
        (loop, "back to themselves"),
        (beyond, "missing nodes"),
        ({"weight_F": np.ones(7)}, "other arrays"),
        (linear.arrays() | {"bias": np.array(np.nan)}, "not finite"),
    ):
        with pytest.raises(CheckpointError, match=complaint):
            head_from_arrays(arrays, n_features=7)
