"""SRPO's history resampling: a problem that was solved every time is not sampled in the next pass.

Source:
    SRPO (2504.14286), history resampling: at the end of an epoch, problems whose responses were all correct are
    dropped; mixed and all-wrong ones stay. GRPO otherwise. Left out: the paper's two stages of data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from sgpo.algorithms.base import Algorithm, GroupBatch, Need


class SRPO(Algorithm):
    """GRPO on problems that are not yet solved; once all are solved, it starts again with all of them."""

    type: Literal["srpo"] = "srpo"
    """Name of the algorithm."""

    needs: ClassVar[frozenset[Need]] = frozenset({"history"})

    def remember(self, memory: Mapping[str, float], batch: GroupBatch) -> dict[str, float]:
        """Return the fraction of correct responses when each problem was last sampled."""
        from sgpo.rewards import group_rows  # needs torch

        assert batch.problem_ids_N is not None
        shares = dict(memory)
        for rows in group_rows(batch.group_ids_N):
            known = rows[~batch.outcomes_N[rows].isnan()]
            if len(known):
                shares[batch.problem_ids_N[int(rows[0])]] = batch.right_N[known].double().mean().item()
        return shares

    def wants(self, memory: Mapping[str, float], problem_id: str) -> bool:
        """Return whether a problem was not solved every time when it was last sampled."""
        return memory.get(problem_id, 0.0) < 1
