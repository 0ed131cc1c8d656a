"""Fits heads of probe judges and says honestly how good they are: nested cross-validation with problems together.

A head sees the steps of each solution up to its first error and learns whether they are right. Candidates are compared
by the log loss of the true first error on problems that they were not fitted on, and the figures that are reported come
from an outer round in which that choice, the head and the threshold are all made without the problems reported on.
Axes: `_N` solutions, `_S` steps of one, `_K` steps of many solutions in one row, `_F` features.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from judgekit.judges.probe.heads import Floats, Head, LinearHead, MeanHead, ProjectedHead, TreesHead
from judgekit.judges.steps.by_step import probs_from_logits
from judgekit.metrics.first_error import score_first_errors
from judgekit.metrics.threshold import choose_threshold
from judgekit.training.config import HeadKind
from judgekit.types import ThresholdRule, Verdict


@dataclass(frozen=True)
class Labelled:
    """Labelled solutions as a head sees them."""

    features_N: Sequence[Floats]
    """Features of each solution's steps, hidden states last. Shape (S, F) each."""
    gold_N: Sequence[int | None]
    """First errors, 0-based, `None` where there is none."""
    group_N: Sequence[int]
    """Which problem each belongs to; problems are never parted."""
    signs_F: Sequence[int]
    """Of features that are no hidden states: 1 where more can only speak for a step, -1 against it, 0 either way."""

    @property
    def n_plain(self) -> int:
        """Features that are no hidden states."""
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


def fit_head(data: Labelled, kind: HeadKind) -> Head:
    """Fit one kind of head on all of the data; hidden states enter as one number that a ridge regression makes of them.

    What the head is fitted on is that number as it is on problems that the ridge regression was not fitted on: on its
    own ones it is too good to be true, and the head would listen to nothing else.
    """
    features_K_F, ok_K, group_K = data.reached()
    plain_K_F, hidden_K_F = features_K_F[:, : data.n_plain], features_K_F[:, data.n_plain :]
    signs_F, projection = list(data.signs_F), None
    if hidden_K_F.shape[1]:
        ridge = make_pipeline(StandardScaler(), Ridge(alpha=STRENGTH_OF_PRIOR))
        splitter = GroupKFold(min(5, len(set(data.group_N))))
        projected_K = cross_val_predict(ridge, hidden_K_F, ok_K.astype(float), groups=group_K, cv=splitter)
        projection = LinearHead.of(ridge.fit(hidden_K_F, ok_K.astype(float)))
        plain_K_F, signs_F = np.column_stack([plain_K_F, projected_K]), [*signs_F, 1]
    heads: list[Head] = []
    if kind in ("linear", "mean"):
        linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=3000))
        heads.append(LinearHead.of(linear.fit(plain_K_F, ok_K)))
    if kind in ("trees", "mean"):
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
        heads.append(TreesHead.of(trees.fit(plain_K_F, ok_K)))
    head = heads[0] if len(heads) == 1 else MeanHead(tuple(heads))
    return head if projection is None else ProjectedHead(projection, head)


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


def cross_fit(data: Labelled, kind: HeadKind, *, n_folds: int, seed: int) -> list[Verdict]:
    """Return a verdict on each solution by a head that was fitted on other problems."""
    verdicts: dict[int, Verdict] = {}
    for rest, held_out in folds(data, n_folds=n_folds, seed=seed):
        head = fit_head(data.take(rest), kind)
        verdicts |= zip(held_out, verdicts_of(head, [data.features_N[i] for i in held_out]), strict=True)
    return [verdicts[i] for i in range(len(data.gold_N))]


def log_losses(verdicts_N: Sequence[Verdict], gold_N: Sequence[int | None]) -> Floats:
    """Return -log P(true first error) of each verdict, nats. Shape (N,)."""
    return score_first_errors([verdict.posterior for verdict in verdicts_N], gold_N=gold_N).log_loss_N


class Fitted(NamedTuple):
    """A head with what was decided by cross-fitting it."""

    head: Head
    """Fitted on all of the data."""
    kind: HeadKind
    """The kind with the lowest log loss."""
    rule: ThresholdRule
    """With the best ProcessBench F1 of cross-fitted verdicts."""


def fit_probe(
    data: Labelled, *, kinds: Sequence[HeadKind], n_folds: int = 5, seed: int = 0, origin: str = "cross-fitted"
) -> Fitted:
    """Choose the kind of head and the threshold by cross-validation, and fit it on everything.

    The kind has the lowest log loss of the true first error, the threshold the best ProcessBench F1.

    Raises:
        DataError: there are only right or only wrong solutions.
    """
    verdicts = {kind: cross_fit(data, kind, n_folds=n_folds, seed=seed) for kind in kinds}
    kind = min(kinds, key=lambda kind: log_losses(verdicts[kind], data.gold_N).mean())
    choice = choose_threshold([verdict.p_ok_S for verdict in verdicts[kind]], gold_N=data.gold_N)
    return Fitted(fit_head(data, kind), kind, ThresholdRule(threshold=choice.threshold, origin=origin))


class Honest(NamedTuple):
    """What a probe judge promises on problems like those that it was fitted on."""

    verdicts_N: list[Verdict]
    """Of each solution, by a head whose kind, fit and threshold know nothing of its problem."""
    predicted_N: list[int | None]
    """The first error that is decided for by that head's threshold."""


def nested(data: Labelled, *, kinds: Sequence[HeadKind], n_folds: int = 5, seed: int = 0) -> Honest:
    """Cross-fit the whole procedure of `fit_probe`: kind, fit and threshold are of the other problems alone."""
    found: dict[int, tuple[Verdict, int | None]] = {}
    for rest, held_out in folds(data, n_folds=n_folds, seed=seed):
        fitted = fit_probe(data.take(rest), kinds=kinds, n_folds=n_folds, seed=seed + 1)
        verdicts = verdicts_of(fitted.head, [data.features_N[i] for i in held_out])
        found |= {row: (verdict, verdict.decide(fitted.rule)) for row, verdict in zip(held_out, verdicts, strict=True)}
    in_order = [found[i] for i in range(len(data.gold_N))]
    return Honest([verdict for verdict, _ in in_order], [predicted for _, predicted in in_order])
