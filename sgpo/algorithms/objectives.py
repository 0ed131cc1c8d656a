"""Several reward functions: GRPO on their weighted sum, and GDPO, which normalises each of them first.

Source:
    GRPO (2402.03300) on a weighted sum; GDPO (2601.05242), TRL's `normalize_then_sum`, which is called online.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from sgpo.algorithms.base import Algorithm, GroupBatch, Need, Scale

if TYPE_CHECKING:
    import torch


class MultiObjective(Algorithm):
    """GRPO on the weighted sum of the outcome and the `objectives`; each of them is logged under its name."""

    type: Literal["multi_objective"] = "multi_objective"
    """Name of the algorithm."""

    needs: ClassVar[frozenset[Need]] = frozenset({"objectives"})


class GDPO(Algorithm):
    """Each reward function is normalised within its group, and their weighted sum over the batch."""

    type: Literal["gdpo"] = "gdpo"
    """Name of the algorithm."""

    needs: ClassVar[frozenset[Need]] = frozenset({"objectives"})
    aggregation: ClassVar[Literal["sum_then_normalize", "normalize_then_sum"]] = "normalize_then_sum"

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return what TRL computes, for training without TRL; always divided by standard deviations. Shape (N,)."""
        from sgpo.rewards import normalize_then_sum  # needs torch

        assert batch.rewards_NF is not None
        return normalize_then_sum(batch.rewards_NF, weights_F=batch.reward_weights_F, group_ids_N=batch.group_ids_N)
