"""Annotators' decisions on disk: one file per decision, never changed, so that a killed session loses none.

An undo is a decision, too. The current state follows from an annotator's decisions in order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from judgekit.errors import DataError
from judgekit.metrics.bootstrap import Interval, wilson_interval
from judgekit.store import Store
from judgekit.types import Count, without_surrogates
from judgekit_datasets.labelling.agreement import Labelled, compute_kappa

MAX_NOTE = 10_000
"""Characters of a note at most."""


class Decision(BaseModel):
    """One thing that an annotator did, as it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    annotator: str
    """Who."""
    number: Count
    """The how manieth thing that the annotator did, from 0."""
    action: Literal["label", "skip", "undo"]
    """`undo` takes back the annotator's last label or skip that holds."""
    solution_id: str
    """The solution labelled, skipped or taken back."""
    first_error: Count | None = None
    """First wrong step, 0-based; `None` for no error. Of labels alone."""
    note: Annotated[str, AfterValidator(without_surrogates)] = Field(default="", max_length=MAX_NOTE)
    """What the annotator remarked."""
    drawn: bool = False
    """Whether the solution was shown because it came next in the random order, and not because a judge was unsure."""
    seconds: float = Field(ge=0)
    """How long it was shown."""

    @model_validator(mode="after")
    def _only_labels_have_an_error(self) -> Self:
        if self.first_error is not None and self.action != "label":
            raise ValueError(f"first_error {self.first_error} of a decision to {self.action}")
        return self


@dataclass
class History:
    """What one annotator did."""

    n_decisions: int = 0
    """All decisions, those taken back and those that took back included."""
    holding: list[Decision] = field(default_factory=list)
    """Labels and skips that hold, oldest first."""
    reopened: Decision | None = None
    """What the last decision took back: shown again at once."""

    def add(self, decision: Decision) -> None:
        """Go one decision on."""
        self.n_decisions += 1
        if decision.action == "undo":
            self.reopened = self.holding.pop()
        else:
            self.holding.append(decision)
            self.reopened = None

    @property
    def labels(self) -> dict[str, int | None]:
        """First error by solution."""
        return {item.solution_id: item.first_error for item in self.holding if item.action == "label"}


class Annotations:
    """All annotators' decisions in a folder.

    Raises:
        DataError: a file is damaged, or a decision is missing between others.
    """

    def __init__(self, folder: Path) -> None:
        self._store = Store(folder, Decision, key=lambda decision: f"{decision.number}/{decision.annotator}")
        self.histories: dict[str, History] = defaultdict(History)
        """By annotator."""
        for decision in sorted(self._store.items.values(), key=lambda item: (item.annotator, item.number)):
            history = self.histories[decision.annotator]
            if decision.number != history.n_decisions or (decision.action == "undo" and not history.holding):
                raise DataError(
                    f"{folder} lacks decision {history.n_decisions} of {decision.annotator!r}, although later ones "
                    "exist: put the file back, or label into another folder"
                )
            history.add(decision)

    def add(self, decision: Decision) -> None:
        """Write one decision down; it is on disk when this returns.

        Raises:
            DataError: the disk is full or the folder cannot be written; nothing was decided then.
        """
        self._store.add([decision])
        self.histories[decision.annotator].add(decision)

    def by_solution(self) -> dict[str, dict[str, int | None]]:
        """Return solution -> annotator -> first error, for all labels that hold."""
        found: dict[str, dict[str, int | None]] = defaultdict(dict)
        for annotator, history in self.histories.items():
            for solution_id, first_error in history.labels.items():
                found[solution_id][annotator] = first_error
        return dict(found)

    def agreed(self) -> dict[str, int | None]:
        """Return the first error of each solution that more than half of those who labelled it name."""
        found = {}
        for solution_id, labels in self.by_solution().items():
            first_error, count = Counter(labels.values()).most_common(1)[0]
            if 2 * count > len(labels):
                found[solution_id] = first_error
        return found


@dataclass(frozen=True)
class Agreement:
    """How two annotators agree on the solutions that both labelled."""

    annotators: tuple[str, str]
    """Who."""
    n: int
    """Solutions that both labelled."""
    share: Interval
    """Those of them with the same first error, or none, by both; interval of 95 %."""
    kappa: float | None
    """Cohen's kappa of the two first errors; `None` if both always say the same one thing, or nothing in common."""


def find_agreements(by_annotator: Mapping[str, Mapping[str, int | None]]) -> list[Agreement]:
    """Compare every two annotators; those that share no solution are left out.

    Args:
        by_annotator: Annotator -> solution -> first error.
    """
    found = []
    for (one, labels), (other, others) in combinations(sorted(by_annotator.items()), 2):
        pairs = [Labelled(labels[key], others[key]) for key in labels if key in others]
        if pairs:
            same = sum(first == second for first, second in pairs)
            found.append(Agreement((one, other), len(pairs), wilson_interval(same, len(pairs)), compute_kappa(pairs)))
    return found
