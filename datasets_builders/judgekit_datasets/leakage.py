"""Shortcut leakage: how well a bag of words separates erroneous from correct solutions.

A judge must read the reasoning. If words alone give the label away, by typical phrases or by the look of wrong numbers,
a judge would learn those instead. The probe is a logistic regression on word 1- and 2-grams of the steps (never of the
problem), cross-validated with all solutions of a problem in one fold; its area under the ROC curve is 0.5 if words say
nothing.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from judgekit.config import BaseConfig
from judgekit.errors import DataError
from judgekit.text.identity import RANGES_WITHOUT_SPACES, group_problems
from judgekit.types import LabelledSolution, StepLabel

if TYPE_CHECKING:
    import numpy as np

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")
_UNSPACED = "".join(f"{chr(begin)}-{chr(end)}" for begin, end in RANGES_WITHOUT_SPACES)
_TOKEN = rf"\d[\d,]*(?:\.\d+)?|\.\d+|[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]"
"""A number, a word, a character of a script without spaces between words, or a sign."""


class LeakageConfig(BaseConfig):
    """How to probe."""

    unit: Literal["solution", "step"] = "solution"
    """`solution`: erroneous or correct solutions; `step`: the first error among the steps up to it."""
    numbers: Literal["as_is", "masked"] = "as_is"
    """Whether the probe sees the numbers, or one sign instead of each."""
    n_folds: int = Field(default=5, ge=2)
    """Folds of the cross-validation; a problem is in one of them."""
    max_solutions: int = Field(default=20_000, ge=100)
    """Most solutions probed; of more, whole problems are sampled."""
    seed: int = 0
    """Another seed samples other problems."""


class LeakageReport(BaseModel):
    """What the probe found. All areas under the ROC curve are in [0, 1]; 0.5 is chance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auroc: float
    """Of erroneous against right texts."""
    by_subset: dict[str, float]
    """Of the erroneous texts of one subset, such as a type of error, against all correct ones."""
    n_wrong: int
    """Erroneous texts probed."""
    n_right: int
    """Right texts probed."""


class LeakageSample:
    """A sample of whole problems from a stream of solutions: the same whatever their order, in bounded memory."""

    def __init__(self, config: LeakageConfig | None = None) -> None:
        self.config = LeakageConfig() if config is None else config
        self._by_problem: dict[str, list[LabelledSolution]] = defaultdict(list)
        self._heap: list[tuple[int, str]] = []
        self._n_solutions = 0
        self._bound: int | None = None

    def add(self, solution: LabelledSolution) -> None:
        """Take a solution in, unless its problem is not in the sample; a full sample gives up problems."""
        digest = hashlib.sha256(f"{self.config.seed}:{solution.problem_id}".encode()).digest()
        rank = int.from_bytes(digest[:8], "big")
        if self._bound is not None and rank >= self._bound:
            return
        if solution.problem_id not in self._by_problem:
            heapq.heappush(self._heap, (-rank, solution.problem_id))  # the largest rank is the first to go
        self._by_problem[solution.problem_id].append(solution)
        self._n_solutions += 1
        while self._n_solutions > self.config.max_solutions and len(self._heap) > 1:
            negative_rank, dropped = heapq.heappop(self._heap)
            self._bound = -negative_rank  # what was given up once never comes back: its other rows are gone
            self._n_solutions -= len(self._by_problem.pop(dropped))

    @property
    def solutions(self) -> list[LabelledSolution]:
        """The sampled solutions, ordered by their ids."""
        return sorted(itertools.chain.from_iterable(self._by_problem.values()), key=lambda solution: solution.id)

    @property
    def can_be_probed(self) -> bool:
        """Whether erroneous and correct solutions both come from as many problems as there are folds."""
        pairs = list(zip(self.solutions, group_problems(self.solutions), strict=True))
        wrong = {problem for solution, problem in pairs if solution.first_error is not None}
        right = {problem for solution, problem in pairs if solution.first_error is None}
        return min(len(wrong), len(right)) >= self.config.n_folds


def measure_leakage(solutions: Sequence[LabelledSolution], config: LeakageConfig | None = None) -> LeakageReport:
    """Probe solutions for shortcut leakage.

    Args:
        solutions: Erroneous and correct ones; more than `max_solutions` are sampled by problem.
        config: How to probe; `None` takes the defaults.

    Raises:
        DataError: erroneous or correct solutions come from fewer problems than there are folds.
    """
    sample = LeakageSample(config)
    for solution in solutions:
        sample.add(solution)
    if not sample.can_be_probed:
        raise DataError(
            f"leakage cannot be measured on {len(solutions)} solutions: erroneous and correct ones are both needed "
            f"from at least {sample.config.n_folds} problems"
        )
    # These take seconds to import, and a build that probes nothing does without.
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    texts, is_wrong, groups, subsets = _examples(sample.solutions, sample.config)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=_TOKEN, min_df=2, sublinear_tf=True)
    features = vectorizer.fit_transform(texts)  # document frequencies know no labels
    # Each text's log-odds of being wrong, by a model that saw no text of its problem.
    wrongness = np.zeros(len(texts))
    for train, test in GroupKFold(sample.config.n_folds).split(features, is_wrong, groups):
        model = LogisticRegression(solver="liblinear", random_state=0).fit(features[train], is_wrong[train])
        wrongness[test] = model.decision_function(features[test])
    return LeakageReport(
        auroc=float(roc_auc_score(is_wrong, wrongness)),
        by_subset={
            subset: float(roc_auc_score(is_wrong[chosen], wrongness[chosen]))
            for subset in sorted(set(subsets[is_wrong]))
            for chosen in [~is_wrong | (subsets == subset)]
        },
        n_wrong=int(is_wrong.sum()),
        n_right=int((~is_wrong).sum()),
    )


def _examples(
    solutions: Sequence[LabelledSolution], config: LeakageConfig
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return texts, whether each is wrong, its problem and its subset. All of one length."""
    import numpy as np

    rows: list[tuple[str, bool, str, str]] = []
    for solution, problem in zip(solutions, group_problems(solutions), strict=True):
        subset = solution.subset or ""
        if config.unit == "solution":
            is_wrong = solution.first_error is not None
            rows.append(("\n".join(solution.steps), is_wrong, problem, subset))
            continue
        for step, label in zip(solution.steps, solution.labels, strict=True):
            rows.append((step, label is StepLabel.ERROR, problem, subset))
            # What comes behind the first error is unlabelled in most sets.
            if label is StepLabel.ERROR:
                break
    texts = [_NUMBER.sub("0", row[0]) if config.numbers == "masked" else row[0] for row in rows]
    return texts, np.array([r[1] for r in rows]), np.array([r[2] for r in rows]), np.array([r[3] for r in rows])
