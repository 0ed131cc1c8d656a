"""One annotator's session: what is shown next, and what was decided about it.

Solutions come in the random order of the pool, or alternate between that and those where a judge is least sure. The
random ones are kept apart, because metrics over solutions that a judge was unsure of would only describe hard cases.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from judgekit.errors import DataError
from judgekit_datasets.by_hand.annotations import Annotations, Decision, History
from judgekit_datasets.by_hand.pool import Item, Pool


class Shown(NamedTuple):
    """What an annotator sees."""

    item: Item
    """The solution."""
    drawn: bool
    """Whether it comes next in the random order."""
    before: Decision | None
    """What was decided about it and taken back."""


class Session:
    """Shows solutions to one annotator and writes down what is decided.

    Args:
        pool: All solutions.
        annotations: Where decisions are kept; only this session may add to those of its annotator.
        annotator: Who labels.
        entropies: How unsure the judge is, by solution, nats; empty if there is none. See `posterior_entropy`.
        random_share: How often the next one is drawn at random although there is a judge, in [0, 1].
        only: Solutions that are shown, in their order; `None` for all. Then nothing counts as drawn at random.
    """

    def __init__(
        self,
        pool: Pool,
        annotations: Annotations,
        *,
        annotator: str,
        entropies: Mapping[str, float],
        random_share: float,
        only: Collection[str] | None = None,
    ) -> None:
        self.pool = pool
        self.annotator = annotator
        self._annotations = annotations
        self._entropies = entropies
        self._random_share = random_share
        self._only = only
        self._since = time.monotonic()

    @property
    def history(self) -> History:
        """What the annotator did so far."""
        return self._annotations.histories[self.annotator]

    def shown(self) -> Shown | None:
        """Return what is to be labelled now; `None` if everything is. The same until something is decided."""
        history = self.history
        if history.reopened is not None:
            again = {item.solution.id: item for item in self.pool.items}[history.reopened.solution_id]
            return Shown(again, history.reopened.drawn, history.reopened)
        done = {decision.solution_id for decision in history.holding}
        left = [item for item in self.pool.items if item.solution.id not in done]
        if self._only is not None:
            left = [item for item in left if item.solution.id in self._only]
        if not left:
            return None
        if self._only is not None:
            return Shown(left[0], False, None)
        # Random turns are spread evenly, by the number of decisions that hold: a killed session continues alike.
        turn, share = len(history.holding), self._random_share
        is_drawn = math.floor((turn + 1) * share) > math.floor(turn * share)
        unsure = [item for item in left if item.solution.id in self._entropies]
        if is_drawn or not unsure:
            return Shown(left[0], True, None)
        return Shown(max(unsure, key=lambda item: self._entropies[item.solution.id]), False, None)

    def decide(self, action: Literal["label", "skip"], *, first_error: int | None = None, note: str = "") -> None:
        """Label what is shown, or leave it out.

        Raises:
            DataError: nothing is shown, there is no such step, or it cannot be written down.
        """
        shown = self.shown()
        if shown is None:
            raise DataError("everything is labelled, so there is nothing to decide")
        solution = shown.item.solution
        if first_error is not None and not 0 <= first_error < len(solution.steps):
            raise DataError(f"there is no step {first_error}: choose one of 0..{len(solution.steps) - 1}")
        self._write(action, solution.id, drawn=shown.drawn, first_error=first_error, note=note)

    def undo(self) -> None:
        """Take back the last label or skip; its solution is shown again.

        Raises:
            DataError: there is none, or it cannot be written down.
        """
        if not self.history.holding:
            raise DataError("there is nothing to undo")
        last = self.history.holding[-1]
        self._write("undo", last.solution_id, drawn=last.drawn)

    def _write(
        self,
        action: Literal["label", "skip", "undo"],
        solution_id: str,
        *,
        drawn: bool,
        first_error: int | None = None,
        note: str = "",
    ) -> None:
        now = time.monotonic()
        self._annotations.add(
            Decision(
                annotator=self.annotator,
                number=self.history.n_decisions,
                action=action,
                solution_id=solution_id,
                first_error=first_error,
                note=note,
                drawn=drawn,
                seconds=now - self._since,
            )
        )
        self._since = now


def random_sample(pool: Pool, histories: Sequence[History]) -> list[Item]:
    """Return the solutions that were drawn at random, labelled or skipped: a beginning of the random order.

    It ends with the last one that somebody was shown because it came next, whatever a judge chose next to it.
    """
    drawn = {decision.solution_id for history in histories for decision in history.holding if decision.drawn}
    last = max((place for place, item in enumerate(pool.items) if item.solution.id in drawn), default=-1)
    return list(pool.items[: last + 1])


def posterior_entropy(posterior: Sequence[float]) -> float:
    """Return the entropy of a first-error posterior, nats: 0 where one outcome is sure, log(n + 1) at most.

    Example:
        >>> posterior_entropy((1.0, 0.0)), round(posterior_entropy((0.5, 0.5)), 3)
        (0.0, 0.693)
    """
    return -math.fsum(prob * math.log(prob) for prob in posterior if prob > 0) + 0.0
