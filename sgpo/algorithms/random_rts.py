"""A control for SGPO: the same rewards from random scores, so that any gain is not due to the judge."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from sgpo.algorithms.base import Need, Response, Scored
from sgpo.algorithms.sgpo import SGPO

if TYPE_CHECKING:
    from judgekit.judges.base import Judge


class RandomRTS(SGPO):
    """SGPO with an RTS drawn uniformly from [0, 1] instead of a judge's."""

    type: Literal["random_rts"] = "random_rts"  # type: ignore[assignment]  # the name of this one
    """Name of the algorithm."""
    seed: int = 0
    """Seed of the scores. A response keeps its score whenever and wherever it is scored, also after a resume. Responses
    with the same text have different scores."""

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        """What SGPO needs, except the judge."""
        return super().needs - {"judge"}

    def score(self, responses: Sequence[Response], *, judge: Judge | None) -> list[Scored]:
        """Draw a score for each response."""
        draws = [random.Random(f"{self.seed}:{response.key}:{response.solution.id}").random() for response in responses]
        return [
            Scored(rts, judged=False, n_valid=rts * len(response.solution.steps))
            for rts, response in zip(draws, responses, strict=True)
        ]
