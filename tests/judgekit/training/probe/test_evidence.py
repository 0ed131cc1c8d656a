"""Weak labels in the fit of a head: evidence by hand, EM that never falls and ends where the gradient does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import logit

from judgekit.judges.probe.heads import DomainHead, LinearHead
from judgekit.training.probe.evidence import (
    LEFT_OUT,
    Reading,
    Weak,
    expected_steps,
    log_evidence,
    log_likelihoods,
    outcome_logprobs,
)
from judgekit.training.probe.heads import Labelled, cross_fit, fit_heads, fit_probe, log_losses, verdicts_of
from judgekit.types import WeaklyLabelledSolution

NOT_NONE, NONE = [0.0, 0.0, -np.inf], [-np.inf, -np.inf, 0.0]


def solution(known: str, **fields: Any) -> WeaklyLabelledSolution:
    return WeaklyLabelledSolution.model_validate(
        {"problem": "P", "steps": ("a", "b"), "known": known, "source": "own"} | fields
    )


def test_evidence_by_hand() -> None:
    assert log_evidence(solution("unlabelled")).tolist() == [0, 0, 0]
    assert log_evidence(solution("some_error")).tolist() == NOT_NONE
    assert log_evidence(solution("no_error")).tolist() == NONE
    # 2 of 2 from step 0, nothing tried from step 1. Right: 1/3. Wrong, density 9 (1 - x)^8: 9 B(3, 9) = 2/110.
    counted = log_evidence(solution("unlabelled", n_success=(2, 0), n_rollouts=(2, 0)))
    np.testing.assert_allclose(np.exp(counted), [1, (1 / 3) / (2 / 110), (1 / 3) / (2 / 110)])
    # A final answer that is wrong is one rollout of the last step: right 1/2, wrong 9/10.
    last = log_evidence(solution("some_error", n_success=(0, 0), n_rollouts=(0, 1)))
    np.testing.assert_allclose(np.exp(last), [1, 1, 0])


def test_a_right_answer_counts_once() -> None:
    """Either by the rate of right answers with an error, or as one of the rollouts from the last step."""
    rows = [
        solution("unlabelled", final_answer_correct=True),
        solution("unlabelled", final_answer_correct=True, n_success=(0, 1), n_rollouts=(0, 1)),
        solution("no_error", final_answer_correct=True),
        solution("some_error", final_answer_correct=False),
    ]
    weak = Weak.of(rows, features_N=[np.zeros((2, 1))] * 4, group_N=[0] * 4, source_N=[0] * 4, n_sources=1)
    evidence_N = weak.read_as([Reading(0.5, 0.25)]).log_evidence_N
    np.testing.assert_allclose(np.exp(evidence_N[:2]), [[0.25, 0.25, 1], [1, 1, (1 / 2) / (1 / 10)]])
    assert [evidence.tolist() for evidence in evidence_N[2:]] == [NONE, NOT_NONE]
    assert weak.log_evidence_N[0].tolist() == [0, 0, 0]  # another reading begins anew


def test_likelihoods_and_expected_steps_by_hand() -> None:
    logits_N = [logit([0.8, 0.5]), logit([0.9])]
    np.testing.assert_allclose(np.exp(outcome_logprobs(logits_N)), [[0.2, 0.4, 0.4], [0.1, 0, 0.9]])
    evidence = [np.array(NOT_NONE), np.array([0.0, -np.inf])]
    np.testing.assert_allclose(np.exp(log_likelihoods(logits_N, evidence)), [0.6, 0.1])
    ok_K, error_K = expected_steps(logits_N, evidence)
    np.testing.assert_allclose(ok_K, [2 / 3, 0, 0], atol=1e-12)  # the second step was reached and right: then no error
    np.testing.assert_allclose(error_K, [1 / 3, 2 / 3, 1])
    sure = [np.array([800.0, 700.0])]  # P(none) is 1 to the last bit: 1 - P(none) by subtraction would be 0
    np.testing.assert_allclose(log_likelihoods(sure, [np.array(NOT_NONE)]), [-700])


def planted(n: int, *, seed: int, sign: float = 1.0) -> Labelled:
    """Solutions of four steps, two a problem; a step is wrong as the first of three features says."""
    rng = np.random.default_rng(seed)
    features_N = [rng.normal(size=(4, 3)) for _ in range(n)]
    wrong_N = [np.flatnonzero(rng.random(4) < 1 / (1 + np.exp(2.0 + sign * 3 * x[:, 0]))) for x in features_N]
    gold_N = [int(wrong[0]) if len(wrong) else None for wrong in wrong_N]
    return Labelled(features_N, gold_N, [i // 2 for i in range(n)], signs_F=(0, 0, 0))


def weakened(data: Labelled, *, weight: float = 1.0, from_group: int = 10_000) -> Weak:
    """Forget where the errors are."""
    rows = [row for row, gold in enumerate(data.gold_N) if gold is not None]
    n = len(rows)
    evidence = np.array([0.0, 0, 0, 0, -np.inf])
    groups = [from_group + data.group_N[row] for row in rows]
    return Weak([data.features_N[row] for row in rows], [evidence] * n, [False] * n, groups, [0] * n, 1, [weight] * n)


def linear_part(head: Any) -> LinearHead:
    assert isinstance(head, DomainHead) and isinstance(head.head, LinearHead)
    return head.head


def penalised(data: Labelled, weak: Weak, head: Any) -> float:
    """What EM climbs: log-likelihood of exact and weak rows less the penalty of the logistic regression."""
    exact = -log_losses(verdicts_of(head, data.features_N), data.gold_N).sum()
    found = log_likelihoods([head.logits(x) for x in weak.features_N], weak.log_evidence_N)
    return float(exact + np.dot(weak.weight_N, found) - (linear_part(head).weight_F ** 2).sum() / (2 * 0.05))


def test_em_never_falls_and_ends_where_direct_optimisation_does() -> None:
    data, weak = planted(20, seed=0), weakened(planted(120, seed=1), weight=0.5)
    heads = [fit_heads(data, ["linear"], weak, n_rounds=n)["linear"] for n in (1, 2, 3, 4, 5, 40)]
    values = [penalised(data, weak, head) for head in heads]
    assert (np.diff(values) > -1e-3).all() and values[-1] > values[0] + 0.05
    ended = linear_part(heads[-1])

    def loss(parameters: np.ndarray) -> float:
        tried = replace(ended, weight_F=parameters[:-1], bias=parameters[-1])
        return -penalised(data, weak, replace(heads[-1], head=tried))

    direct = minimize(loss, np.zeros(4))
    np.testing.assert_allclose(values[-1], -direct.fun, atol=1e-2)
    np.testing.assert_allclose([*ended.weight_F, float(ended.bias)], direct.x, atol=0.02)


def outcomes(data: Labelled, *, source: int = 0, flipped: bool = False) -> Weak:
    """Forget all but whether there is an error; `flipped` tells the opposite."""
    n, wrong = len(data.gold_N), [(gold is not None) != flipped for gold in data.gold_N]
    evidence = [np.array([0.0, 0, 0, 0, -np.inf if is_wrong else 0.0]) for is_wrong in wrong]
    groups = [1000 * (source + 1) + group for group in data.group_N]
    return Weak(data.features_N, evidence, [not is_wrong for is_wrong in wrong], groups, [source] * n, n_sources=2)


def test_a_source_counts_where_it_is_true_and_is_left_out_where_it_misleads() -> None:
    data, fresh = planted(30, seed=0), planted(1000, seed=9)
    good, bad = outcomes(planted(200, seed=1)), outcomes(planted(200, seed=2), source=1, flipped=True)
    names = ("features_N", "log_evidence_N", "right_N", "group_N", "source_N")
    both = replace(good, **{name: [*getattr(good, name), *getattr(bad, name)] for name in names})
    readings = (Reading(0.3, 0.05),)
    alone = fit_probe(data, kinds=("linear",), n_folds=3)
    fitted = fit_probe(data, both, kinds=("linear",), n_folds=3, readings=readings)
    assert (alone.readings, fitted.readings) == ((), (*readings, LEFT_OUT))
    without, with_weak = (
        log_losses(verdicts_of(each.head, fresh.features_N), fresh.gold_N).mean() for each in (alone, fitted)
    )
    assert with_weak < without - 0.02
    misled = fit_probe(data, bad, kinds=("linear",), n_folds=3, readings=readings)
    assert misled.readings == (LEFT_OUT, LEFT_OUT)
    assert log_losses(verdicts_of(misled.head, fresh.features_N), fresh.gold_N).mean() == without


def test_trees_learn_from_the_weights_of_the_linear_head() -> None:
    data, fresh, weak = planted(30, seed=0), planted(1000, seed=9), outcomes(planted(200, seed=1))
    without, with_weak = (
        log_losses(verdicts_of(fit_heads(data, ["trees"], read)["trees"], fresh.features_N), fresh.gold_N).mean()
        for read in (None, weak.read_as([Reading(0.3, 0.05)] * 2))
    )
    assert with_weak < without - 0.01


def test_wrong_answers_alone_teach_that_everything_is_wrong() -> None:
    """Why right answers must not be passed over."""
    data, weak = planted(30, seed=0), outcomes(planted(400, seed=1))
    fresh = planted(500, seed=9)

    def p_none(weak: Weak | None) -> float:
        head = fit_heads(data, ["linear"], weak)["linear"]
        return float(np.mean([verdict.p_none for verdict in verdicts_of(head, fresh.features_N)]))

    true = np.mean([gold is None for gold in fresh.gold_N])
    passed_over, read = (p_none(weak.read_as([Reading(1.0, rate)] * 2)) for rate in (1.0, 0.0))
    assert passed_over < true - 0.1 and abs(read - true) < 0.05


def test_weak_rows_of_held_out_problems_are_left_out_of_the_fit() -> None:
    data = planted(40, seed=0)
    twins = weakened(data, from_group=0)
    of_one = twins.take(i for i, group in enumerate(twins.group_N) if group == twins.group_N[0])
    rows = [i for i, group in enumerate(data.group_N) if group == of_one.group_N[0]]
    plain, kept = (cross_fit(data, ["linear"], weak, n_folds=20, seed=0)["linear"] for weak in (None, of_one))
    assert [kept[i] for i in rows] == [plain[i] for i in rows] and kept != plain
