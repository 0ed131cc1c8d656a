"""The latest batch of rollouts of one process, and its rows in `samples.jsonl`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from judgekit.training.loop import finite
from sgpo.algorithms.base import Scored


@dataclass(frozen=True)
class Sampled:
    """The latest batch of one process, kept for the log. Axis `_N` runs over this process's rows."""

    prompts_N: Sequence[Any]
    """Prompts as TRL has them: texts or conversations."""
    texts_N: Sequence[str]
    """Response texts."""
    outcomes_N: Sequence[float]
    """Raw outcome rewards, NaN if unknown."""
    rewards_N: Sequence[float]
    """Outcome rewards after guidance, NaN outside the baseline."""
    rts_N: Sequence[float | None]
    """RTS of the judged responses that got a verdict."""
    scored_N: Sequence[Scored | None]
    """What the judge said, also about responses that were judged for the guards; `None` for all others."""

    def rows(self, *, step: int) -> Iterator[dict[str, Any]]:
        """Return the rows of `samples.jsonl` for the responses, in an order drawn by the step, those with an RTS first.

        `first_error` is 0-based. If it is null, `p_no_error` distinguishes "the judge sees no error" from "no verdict":
        in the latter case it is null, too. `judge_text` is the text of a critic.
        """
        rows = list(range(len(self.texts_N)))
        random.Random(step).shuffle(rows)  # not always the first of the first group
        for row in sorted(rows, key=lambda row: self.rts_N[row] is None):
            scored = self.scored_N[row] or Scored(None)
            yield {
                "step": step,
                "prompt": self.prompts_N[row],
                "response": self.texts_N[row],
                "outcome": finite(self.outcomes_N[row]),
                "reward": finite(self.rewards_N[row]),
                "rts": self.rts_N[row],
                "first_error": scored.first_error,
                "p_no_error": scored.p_no_error,
                "judge_text": scored.text,
            }
