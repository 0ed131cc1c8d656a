"""Fits heads of probe judges and measures them without bias: nested cross-validation with problems kept together.

A head sees the steps of each solution up to its first error and learns whether they are correct. Candidates are
compared by the log loss of the true first error on problems that they were not fitted on. The reported metrics come
from an outer round in which that choice, the head and the decision are all made without the evaluated problems. Axes:
`_N` solutions, `_S` steps of one, `_K` steps of many solutions in one row, `_F` features.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from judgekit.calibration.decision import fit_decision
from judgekit.judges.probe.heads import (
    DomainHead,
    Floats,
    Head,
    LinearHead,
    MeanHead,
    ProjectedHead,
    TreesHead,
    domain_of,
)
from judgekit.judges.steps.by_step import probs_from_logits
from judgekit.metrics.first_error import score_first_errors
from judgekit.training.config import HeadKind
from judgekit.training.probe.evidence import LEFT_OUT, Reading, Weak, expected_steps
from judgekit.types import ArgmaxRule, DecisionKind, ThresholdRule, Verdict


@dataclass(frozen=True)
class Labelled:
    """Labelled solutions as a head sees them."""

    features_N: Sequence[Floats]
    """Features of each solution's steps, hidden states last. Shape (S, F) each."""
    gold_N: Sequence[int | None]
    """First errors, 0-based, `None` if there is none."""
    group_N: Sequence[int]
    """Which problem each belongs to; problems are never parted."""
    signs_F: Sequence[int]
    """Of features that are not hidden states: 1 where more can only speak for a step, -1 against it, 0 either way."""

    @property
    def n_plain(self) -> int:
        """Features that are not hidden states."""
        return len(self.signs_F)

    def take(self, rows: Iterable[int]) -> Labelled:
        """Return some of them."""
        picked = list(rows)
        features_N, gold_N, group_N = self.features_N, self.gold_N, self.group_N
        picked_features_N = [features_N[i] for i in picked]
        return Labelled(picked_features_N, [gold_N[i] for i in picked], [group_N[i] for i in picked], self.signs_F)

    def without(self, columns_F: Container[int]) -> Labelled:
        """Return them without some features; hidden states go together."""
        n_features = self.features_N[0].shape[1]
        kept = [f for f in range(n_features) if f not in columns_F]
        features_N = [features[:, kept] for features in self.features_N]
        return Labelled(features_N, self.gold_N, self.group_N, [self.signs_F[f] for f in kept if f < self.n_plain])

    def reached(self) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
        """Return features, rightness and problem of every step up to the first error. Shapes (K, F), (K,) and (K,)."""
        n_N = [len(x) if gold is None else gold + 1 for x, gold in zip(self.features_N, self.gold_N, strict=True)]
        ok = [np.arange(n) != gold for n, gold in zip(n_N, self.gold_N, strict=True)]
        features_K_F = np.concatenate([x[:n] for x, n in zip(self.features_N, n_N, strict=True)])
        return features_K_F, np.concatenate(ok), np.repeat(np.asarray(self.group_N), n_N)


STRENGTH_OF_PRIOR = 5000.0
"""Ridge of the map from standardised hidden states to "the step is ok": there are more of them than labelled steps."""
DEPTH, N_TREES, RATE, LEAF = 3, 80, 0.06, 15
"""Shape of the gradient-boosted trees: small ones, as a few thousand steps allow."""


N_ROUNDS = 4
"""Rounds of EM; later ones move little."""
READINGS = (Reading(0.1, 0.1), Reading(0.3, 0.1))
"""What sources of weak labels are tried as; leaving them out is always tried, too."""


def fit_heads(
    data: Labelled, kinds: Sequence[HeadKind], weak: Weak | None = None, *, n_rounds: int = N_ROUNDS
) -> dict[HeadKind, Head]:
    """Fit kinds of head on all of the data; hidden states enter as one number that a ridge regression makes of them.

    What the head is fitted on is that number as it is on problems that the ridge regression was not fitted on: on its
    own ones it is too good to be true, and the head would listen to nothing else.

    Weakly labelled solutions enter by EM: beginning with the linear head of the exact labels, each of their steps
    counts as right and as wrong by the probability that the last linear head gives to that, knowing what is known.
    Every round after the first raises its penalised likelihood. Trees are grown once, on the last of these weights.
    """
    mean_F, scale_F = domain_of(data.features_N)
    features_K_F, ok_K, group_K = data.reached()
    features_K_F = (features_K_F - mean_F) / scale_F
    plain_K_F, hidden_K_F = features_K_F[:, : data.n_plain], features_K_F[:, data.n_plain :]
    signs_F, projection = list(data.signs_F), None
    if hidden_K_F.shape[1]:
        projection, projected_K = project(hidden_K_F, ok_K.astype(np.float64), group_K)
        plain_K_F, signs_F = np.column_stack([plain_K_F, projected_K]), [*signs_F, 1]
    exact_alone = weak is None or not len(weak)
    heads = fit_steps(plain_K_F, ok_K, kinds=kinds if exact_alone else ["linear"], signs_F=signs_F)
    if weak is not None and not exact_alone:
        weak_K_F, ends = np.concatenate(weak.features_N), np.cumsum([len(x) for x in weak.features_N])[:-1]
        weak_K_F = (weak_K_F - mean_F) / scale_F
        if projection is not None:
            projected_K = projection.logits(weak_K_F[:, data.n_plain :])
            weak_K_F = np.column_stack([weak_K_F[:, : data.n_plain], projected_K])
        every_K_F = np.concatenate([plain_K_F, weak_K_F, weak_K_F])
        every_ok_K = np.concatenate([ok_K, np.ones(len(weak_K_F), dtype=bool), np.zeros(len(weak_K_F), dtype=bool)])
        weight_K = np.repeat(weak.weight_N, [len(x) for x in weak.features_N])
        for n_left in reversed(range(n_rounds)):
            expected = expected_steps(np.split(heads["linear"].logits(weak_K_F), ends), weak.log_evidence_N)
            weights_K = np.concatenate([np.ones(len(ok_K)), *(weight_K * steps_K for steps_K in expected)])
            heads = fit_steps(every_K_F, every_ok_K, weights_K, kinds=["linear"] if n_left else kinds, signs_F=signs_F)
    return {
        kind: DomainHead(mean_F, scale_F, head if projection is None else ProjectedHead(projection, head))
        for kind, head in heads.items()
    }


def fit_steps(
    features_K_F: Floats,
    ok_K: NDArray[np.bool_],
    weight_K: Floats | None = None,
    *,
    kinds: Sequence[HeadKind],
    signs_F: Sequence[int],
) -> dict[HeadKind, Head]:
    """Fit kinds of head on steps, each counted by its weight; `None` counts all equal."""
    heads: dict[HeadKind, Head] = {}
    if {"linear", "mean"} & set(kinds):
        linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=3000))
        heads["linear"] = LinearHead.of(linear.fit(features_K_F, ok_K, logisticregression__sample_weight=weight_K))
    if {"trees", "mean"} & set(kinds):
        trees = HistGradientBoostingClassifier(
            max_depth=DEPTH,
            max_iter=N_TREES,
            learning_rate=RATE,
            min_samples_leaf=LEAF,
            l2_regularization=1.0,
            monotonic_cst=signs_F,
            early_stopping=False,
            random_state=0,
        )
        heads["trees"] = TreesHead.of(trees.fit(features_K_F, ok_K, sample_weight=weight_K))
    if "mean" in kinds:
        heads["mean"] = MeanHead((heads["linear"], heads["trees"]))
    return {kind: heads[kind] for kind in kinds}


def project(hidden_K_F: Floats, ok_K: Floats, group_K: NDArray[np.int64]) -> tuple[LinearHead, Floats]:
    """Fit a ridge regression from standardised hidden states to rightness, and say what it makes of unseen problems.

    Leaving a fold g of problems out of a ridge regression needs no second fit: with the hat matrix H the residuals of
    the fold become (I - H_gg)^-1 (y_g - fitted_g).

    Returns:
        The map, and its value on each step with the step's fold of problems left out, exact but for mean and scale,
        which are of all steps and know no label. Shape (K,).

    Source:
        Leave-one-out of linear smoothers, Hastie, Tibshirani and Friedman (The Elements of Statistical Learning,
        section 7.10), for a fold instead of one row.
    """
    n_steps, n_hidden = hidden_K_F.shape
    scaler = StandardScaler().fit(hidden_K_F)
    standard_K_F = scaler.transform(hidden_K_F)
    gram_F_F = standard_K_F.T @ standard_K_F
    gram_F_F[np.diag_indices(n_hidden)] += STRENGTH_OF_PRIOR
    solved_F_K = cho_solve(cho_factor(gram_F_F, lower=True), standard_K_F.T)
    mean = ok_K.mean()
    weight_F = solved_F_K @ (ok_K - mean)
    left_out_K = np.empty(n_steps)
    for _, fold in GroupKFold(min(5, len(set(group_K)))).split(group_K, groups=group_K):
        hat = standard_K_F[fold] @ solved_F_K[:, fold] + 1 / n_steps  # the unpenalised mean's part is 1 / n everywhere
        residuals = ok_K[fold] - mean - standard_K_F[fold] @ weight_F
        left_out_K[fold] = ok_K[fold] - np.linalg.solve(np.eye(len(fold)) - hat, residuals)
    return LinearHead(scaler.mean_, scaler.scale_, weight_F, np.asarray(mean)), left_out_K


def verdicts_of(head: Head, features_N: Sequence[Floats]) -> list[Verdict]:
    """Return the verdict of a head on each solution, as the judge will give it."""
    logits_K = head.logits(np.concatenate(features_N))
    ends = np.cumsum([len(features) for features in features_N])[:-1]
    return [Verdict.from_step_probs(probs_from_logits(logits_S)) for logits_S in np.split(logits_K, ends)]


def folds(data: Labelled, *, n_folds: int, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield rows to fit on and rows to hold out, problems together."""
    splitter = GroupKFold(min(n_folds, len(set(data.group_N))), shuffle=True, random_state=seed)
    for rest, held_out in splitter.split(data.group_N, groups=data.group_N):
        yield rest.tolist(), held_out.tolist()


def cross_fit(
    data: Labelled, kinds: Sequence[HeadKind], weak: Weak | None = None, *, n_folds: int, seed: int
) -> dict[HeadKind, list[Verdict]]:
    """Return, by kind, a verdict on each solution by a head that was fitted on other problems, of weak labels too."""
    verdicts: dict[HeadKind, dict[int, Verdict]] = {kind: {} for kind in kinds}
    for rest, held_out in folds(data, n_folds=n_folds, seed=seed):
        features_N = [data.features_N[i] for i in held_out]
        rest_weak = None if weak is None else weak.apart_from({data.group_N[i] for i in held_out})
        for kind, head in fit_heads(data.take(rest), kinds, rest_weak).items():
            verdicts[kind] |= zip(held_out, verdicts_of(head, features_N), strict=True)
    return {kind: [found[i] for i in range(len(data.gold_N))] for kind, found in verdicts.items()}


def log_losses(verdicts_N: Sequence[Verdict], gold_N: Sequence[int | None]) -> Floats:
    """Return -log P(true first error) of each verdict, nats. Shape (N,)."""
    return score_first_errors([verdict.posterior for verdict in verdicts_N], gold_N=gold_N).log_loss_N


class Fitted(NamedTuple):
    """A head with what was decided by cross-fitting it."""

    head: Head
    """Fitted on all of the data."""
    kind: HeadKind
    """The kind with the lowest log loss."""
    rule: ThresholdRule | ArgmaxRule
    """With the best ProcessBench F1 of cross-fitted verdicts."""
    readings: tuple[Reading, ...] = ()
    """What each source of weak labels is taken for."""


def fit_probe(
    data: Labelled,
    weak: Weak | None = None,
    *,
    kinds: Sequence[HeadKind],
    decision: DecisionKind = "argmax",
    n_folds: int = 5,
    seed: int = 0,
    origin: str = "cross-fitted verdicts",
    readings: Sequence[Reading] = READINGS,
) -> Fitted:
    """Choose the kind of head, the reading of weak labels and the decision by cross-validation, and fit on everything.

    The kind has the lowest log loss of the true first error without weak labels. Then each source of these in turn gets
    the reading with the lowest next to the sources before it. The decision has the best ProcessBench F1. Both figures
    are of exactly labelled solutions alone.

    Raises:
        DataError: there are only right or only wrong solutions.
    """
    options = cross_fit(data, kinds, n_folds=n_folds, seed=seed)
    losses = {kind: log_losses(verdicts, data.gold_N).mean() for kind, verdicts in options.items()}
    kind = min(kinds, key=losses.__getitem__)
    verdicts, loss = options[kind], losses[kind]
    chosen = (LEFT_OUT,) * (0 if weak is None else weak.n_sources)
    for source, reading in product(() if weak is None else sorted(set(weak.source_N)), readings):
        assert weak is not None
        tried = (*chosen[:source], reading, *chosen[source + 1 :])
        found = cross_fit(data, [kind], weak.read_as(tried), n_folds=n_folds, seed=seed)[kind]
        if (found_loss := log_losses(found, data.gold_N).mean()) < loss:
            chosen, verdicts, loss = tried, found, found_loss
    rule = fit_decision(decision, verdicts, gold_N=data.gold_N, origin=origin)
    head = fit_heads(data, [kind], None if weak is None else weak.read_as(chosen))[kind]
    return Fitted(head, kind, rule, chosen)


class Honest(NamedTuple):
    """What a probe judge promises on problems like those that it was fitted on."""

    verdicts_N: list[Verdict]
    """Of each solution, by a head whose kind, fit and decision know nothing of its problem."""
    predicted_N: list[int | None]
    """The first error that is decided for."""


def nested(
    data: Labelled,
    weak: Weak | None = None,
    *,
    kinds: Sequence[HeadKind],
    decision: DecisionKind = "argmax",
    n_folds: int = 5,
    seed: int = 0,
    readings: Sequence[Reading] = READINGS,
) -> Honest:
    """Cross-fit the whole procedure of `fit_probe`: all choices and the fit are of the other problems alone."""
    found: dict[int, tuple[Verdict, int | None]] = {}
    for rest, held_out in folds(data, n_folds=n_folds, seed=seed):
        fitted = fit_probe(
            data.take(rest),
            None if weak is None else weak.apart_from({data.group_N[i] for i in held_out}),
            kinds=kinds,
            decision=decision,
            n_folds=n_folds,
            seed=seed + 1,
            readings=readings,
        )
        verdicts = verdicts_of(fitted.head, [data.features_N[i] for i in held_out])
        found |= {row: (verdict, verdict.decide(fitted.rule)) for row, verdict in zip(held_out, verdicts, strict=True)}
    in_order = [found[i] for i in range(len(data.gold_N))]
    return Honest([verdict for verdict, _ in in_order], [predicted for _, predicted in in_order])
