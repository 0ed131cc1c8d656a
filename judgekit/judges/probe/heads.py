"""The heads of probe judges: from the features of a step to logit P(step ok), as plain arrays that only need numpy.

Heads are fitted with scikit-learn and stored without it: opening a file of tensors cannot run code, and a head gives
the same logits under any later release. Axes: `_K` steps of many solutions in one row, `_F` features, `_N` nodes of all
trees.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from judgekit.errors import CheckpointError

Floats = NDArray[np.float64]


class Head(Protocol):
    """Anything that maps features to logits."""

    @abstractmethod
    def logits(self, features_K_F: Floats) -> Floats:
        """Return logit P(step ok | earlier steps ok). Shape (K,)."""

    @abstractmethod
    def arrays(self) -> dict[str, Floats]:
        """Return what it is stored as: float64 arrays by name."""


@dataclass(frozen=True)
class LinearHead:
    """A logistic regression on standardised features: logit = bias + sum_f weight_f (x_f - mean_f) / scale_f."""

    mean_F: Floats
    """Shape (F,)."""
    scale_F: Floats
    """Standard deviations, 1 for a feature that never varied. Shape (F,)."""
    weight_F: Floats
    """Shape (F,)."""
    bias: Floats
    """Shape ()."""

    def logits(self, features_K_F: Floats) -> Floats:
        """Return logit P(step ok | earlier steps ok). Shape (K,)."""
        # The sum of products over one axis, row by row: a matrix product may round by how many rows it is given.
        standardised_K_F = (features_K_F - self.mean_F) / self.scale_F
        logits: Floats = self.bias + np.einsum("kf,f->k", standardised_K_F, self.weight_F)
        return logits

    def arrays(self) -> dict[str, Floats]:
        """Return its arrays by name."""
        return {name: np.asarray(value, dtype=np.float64) for name, value in asdict(self).items()}

    @classmethod
    def of(cls, pipeline: Any) -> Self:
        """Read a fitted scikit-learn pipeline of a StandardScaler and a linear model of "the step is ok"."""
        scaler, regression = pipeline[0], pipeline[-1]
        intercept = np.asarray(regression.intercept_, dtype=np.float64).reshape(())
        return cls(scaler.mean_, scaler.scale_, np.ravel(regression.coef_), intercept)


@dataclass(frozen=True)
class TreesHead:
    """Gradient-boosted trees: logit = baseline + the value of one leaf of each tree.

    Nodes of all trees lie in one row; at an inner node a step goes left where its feature is at most the threshold.
    """

    root_T: Floats
    """Where each tree begins. Shape (n_trees,)."""
    feature_N: Floats
    """Which feature an inner node asks; -1 at a leaf. Shape (N,)."""
    threshold_N: Floats
    """Shape (N,)."""
    left_N: Floats
    """Index of the left child. Shape (N,)."""
    right_N: Floats
    """Index of the right child. Shape (N,)."""
    value_N: Floats
    """What a leaf adds to the logit. Shape (N,)."""
    baseline: Floats
    """Shape ()."""

    def __post_init__(self) -> None:
        n = len(self.feature_N)
        lengths = {len(values) for values in (self.threshold_N, self.left_N, self.right_N, self.value_N)}
        inner = self.feature_N >= 0
        children = np.concatenate([self.left_N[inner], self.right_N[inner]]) if lengths == {n} else np.array([n])
        parents = np.tile(np.flatnonzero(inner), 2)
        # Children lie behind their parents, so that walking down ends whatever a file says.
        if lengths != {n} or (children >= n).any() or (children <= parents).any() or (self.root_T >= n).any():
            raise CheckpointError(
                "the trees of a probe head point to missing nodes, or back to themselves: the file is damaged"
            )

    def logits(self, features_K_F: Floats) -> Floats:
        """Return logit P(step ok | earlier steps ok). Shape (K,)."""
        rows = np.arange(len(features_K_F))
        total_K = np.full(len(features_K_F), float(self.baseline))
        feature_N, left_N, right_N = (x.astype(np.int64) for x in (self.feature_N, self.left_N, self.right_N))
        for root in self.root_T.astype(np.int64):
            node_K = np.full(len(features_K_F), root)
            while (inner_K := feature_N[node_K] >= 0).any():
                goes_left_K = features_K_F[rows, np.maximum(feature_N[node_K], 0)] <= self.threshold_N[node_K]
                node_K = np.where(inner_K, np.where(goes_left_K, left_N[node_K], right_N[node_K]), node_K)
            total_K += self.value_N[node_K]
        return total_K

    def arrays(self) -> dict[str, Floats]:
        """Return its arrays by name."""
        return {name: np.asarray(value, dtype=np.float64) for name, value in asdict(self).items()}

    @classmethod
    def of(cls, fitted: Any) -> Self:
        """Read a fitted scikit-learn HistGradientBoostingClassifier of "the step is ok" on features without NaN."""
        nodes = [tree.nodes for (tree,) in fitted._predictors]  # the only place where scikit-learn keeps its trees
        root_T = np.cumsum([0, *map(len, nodes[:-1])])
        node_N = np.concatenate(nodes)
        offset_N = np.repeat(root_T, [len(tree) for tree in nodes])
        leaf_N = node_N["is_leaf"].astype(bool)
        return cls(
            root_T=root_T.astype(np.float64),
            feature_N=np.where(leaf_N, -1.0, node_N["feature_idx"]),
            threshold_N=np.where(leaf_N, 0.0, node_N["num_threshold"]),
            left_N=np.where(leaf_N, 0.0, node_N["left"] + offset_N),
            right_N=np.where(leaf_N, 0.0, node_N["right"] + offset_N),
            value_N=np.where(leaf_N, node_N["value"], 0.0),
            baseline=np.array(float(np.asarray(fitted._baseline_prediction).reshape(()))),
        )


@dataclass(frozen=True)
class MeanHead:
    """The mean of several heads' logits."""

    members: tuple[Head, ...]
    """At least one."""

    def logits(self, features_K_F: Floats) -> Floats:
        """Return logit P(step ok | earlier steps ok). Shape (K,)."""
        return np.mean([member.logits(features_K_F) for member in self.members], axis=0)

    def arrays(self) -> dict[str, Floats]:
        """Return the members' arrays, the member's number before each name."""
        return {f"{i}.{name}": x for i, member in enumerate(self.members) for name, x in member.arrays().items()}


@dataclass(frozen=True)
class ProjectedHead:
    """A head that sees many features, the last ones, through one number that a linear map makes of them."""

    projection: LinearHead
    """From the last features to one."""
    head: Head
    """Of all others and, last, that one."""

    def logits(self, features_K_F: Floats) -> Floats:
        """Return logit P(step ok | earlier steps ok). Shape (K,)."""
        n_plain = features_K_F.shape[1] - len(self.projection.weight_F)
        projected_K = self.projection.logits(features_K_F[:, n_plain:])
        return self.head.logits(np.column_stack([features_K_F[:, :n_plain], projected_K]))

    def arrays(self) -> dict[str, Floats]:
        """Return the arrays of both, `projection.` and `head.` before each name."""
        parts = (("projection", self.projection), ("head", self.head))
        return {f"{part}.{name}": x for part, own in parts for name, x in own.arrays().items()}


def domain_of(features_N: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return mean and scale of a domain for `DomainHead`, from features of its solutions, of shape (S, F) each."""
    features_K_F = np.concatenate(features_N)
    scale_F = features_K_F.std(axis=0)
    constant_F = scale_F <= 1e-9 * np.maximum(1.0, np.abs(features_K_F).max(axis=0))  # but for rounding
    return features_K_F.mean(axis=0), np.where(constant_F, 1.0, scale_F)


@dataclass(frozen=True)
class DomainHead:
    """A head on features as they stand out among others of their domain: (x - mean_f) / scale_f.

    Levels differ between domains, longer solutions above all, where what stands out means the same. So a head goes to
    another domain by changing these two, which takes solutions and no labels.
    """

    mean_F: Floats
    """Mean over all steps of the domain's solutions. Shape (F,)."""
    scale_F: Floats
    """Standard deviation over them, 1 for a feature that never varied. Shape (F,)."""
    head: Head
    """Fitted on such features."""

    def logits(self, features_K_F: Floats) -> Floats:
        """Return logit P(step ok | earlier steps ok). Shape (K,)."""
        return self.head.logits((features_K_F - self.mean_F) / self.scale_F)

    def arrays(self) -> dict[str, Floats]:
        """Return the arrays of both, `domain.` and `head.` before each name."""
        own = {f"domain.{name}": np.asarray(getattr(self, name), dtype=np.float64) for name in ("mean_F", "scale_F")}
        return own | {f"head.{name}": values for name, values in self.head.arrays().items()}


def head_from_arrays(arrays: Mapping[str, Floats], *, n_features: int) -> Head:
    """Return the head that was stored as these arrays.

    Raises:
        CheckpointError: arrays are missing, of other shapes or not finite, or meant for other features.
    """
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise CheckpointError(f"array {name!r} of the probe head holds values that are not finite")
    parts: dict[str, dict[str, Floats]] = {}
    for name, values in arrays.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part if rest else "", {})[rest or part] = values
    if set(parts) == {"domain", "head"}:
        domain = parts["domain"]
        if {name: x.shape for name, x in domain.items()} != dict.fromkeys(("mean_F", "scale_F"), (n_features,)):
            raise CheckpointError(
                f"the probe head's domain is not made for the {n_features} features that its card names"
            )
        if (domain["scale_F"] <= 0).any():
            raise CheckpointError("the probe head's domain has a scale that is not above 0")
        return DomainHead(**domain, head=head_from_arrays(parts["head"], n_features=n_features))
    if set(parts) == {"projection", "head"}:
        n_hidden = len(parts["projection"].get("weight_F", ()))
        projection = head_from_arrays(parts["projection"], n_features=n_hidden)
        head = head_from_arrays(parts["head"], n_features=n_features - n_hidden + 1)
        if isinstance(projection, LinearHead):
            return ProjectedHead(projection, head)
    elif "" not in parts and all(part.isdecimal() for part in parts):
        return MeanHead(tuple(head_from_arrays(parts[i], n_features=n_features) for i in sorted(parts, key=int)))
    try:
        plain: Head = LinearHead(**arrays) if "weight_F" in arrays else TreesHead(**arrays)
    except TypeError as error:
        raise CheckpointError(f"the probe head holds other arrays than a head has: {sorted(arrays)}") from error
    if isinstance(plain, LinearHead):
        fits = {x.shape for x in (plain.mean_F, plain.scale_F, plain.weight_F)} == {
            (n_features,)
        } and plain.bias.ndim == 0
    else:
        assert isinstance(plain, TreesHead)
        fits = bool((plain.feature_N < n_features).all())
    if not fits:
        raise CheckpointError(f"the probe head is not made for the {n_features} features that its card names")
    return plain
