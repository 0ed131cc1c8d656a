"""SGPO: where no response of a group is right, the judge says how far each one is, and GRPO runs on that.

Source:
    SGPO (2505.11595), sections on the reward and on RTS. Additions of ours, because the paper is silent: `unit`,
    `rts.no_error`, `on_unscored`, `truncated`, `std_floor` and `min_spread`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from sgpo.algorithms.base import GroupBatch, Scored, Shaped, Unit
from sgpo.algorithms.judged import Judged

if TYPE_CHECKING:
    import torch


class SGPO(Judged):
    """SGPO: wrong responses of groups without a right one earn sigmoid(beta * (RTS - gamma)); then GRPO."""

    type: Literal["sgpo"] = "sgpo"
    """Name of the algorithm."""
    beta: float = Field(default=10.0, gt=0)
    """Steepness of the reward in RTS."""
    gamma: float = Field(default=0.5, ge=0, le=1)
    """RTS at which a wrong response earns 0.5."""
    scope: Literal["all_negative", "every_wrong"] = "all_negative"
    """Which wrong responses the judge sees: those of all-negative groups (the paper), or every wrong one."""
    unit: Unit = "step"
    """Unit in which the valid prefix and the whole response are measured."""
    std_floor: float | None = Field(default=0.05, ge=0)
    """Lowest standard deviation by which a guided group is divided, so that a hair's breadth of RTS is no full-size
    advantage; `null` divides by the group's own (the paper)."""
    min_spread: float = Field(default=0.0, ge=0, le=1)
    """A guided group whose RTS values lie within this range counts as constant: no advantage."""

    @model_validator(mode="before")
    @classmethod
    def _rts_of_earlier_releases(cls, data: Any) -> Any:
        """Read `rts: expected, no_error: full`, which was the spelling before there were kinds of RTS."""
        if not isinstance(data, dict) or not (isinstance(data.get("rts"), str) or "no_error" in data):
            return data
        data = dict(data)
        rts, no_error = data.pop("rts", "hard"), data.pop("no_error", None)
        nested = {"type": rts} if isinstance(rts, str) else dict(rts) if isinstance(rts, dict) else rts
        return data | {"rts": nested if no_error is None else nested | {"no_error": no_error}}

    def in_scope(self, batch: GroupBatch) -> torch.Tensor:
        """Return the wrong responses, of all-negative groups alone unless `scope` says otherwise. Shape (N,), bool."""
        wrong_N = super().in_scope(batch)
        if self.scope == "every_wrong":
            return wrong_N
        return wrong_N & batch.classify().all_negative_N

    def transform(self, batch: GroupBatch, rows_M: torch.Tensor, scored_M: Sequence[Scored]) -> Shaped:
        """Put the shaped RTS in place of the outcome of scored rows; rows without a verdict follow `on_unscored`."""
        import torch  # lazily, as this is a configuration too

        from sgpo.rewards import guided_rewards

        prefixes = self.read_prefixes(batch, rows_M, scored_M)
        rewards_N = guided_rewards(
            prefixes.baseline_N,
            rts_N=prefixes.rts_N,
            guided_N=prefixes.scored_N,
            right_N=batch.right_N,
            group_ids_N=batch.group_ids_N,
            beta=self.beta,
            gamma=self.gamma,
            min_spread=self.min_spread,
        )
        all_negative_N = batch.classify().all_negative_N
        # In float32 first, whatever the outcomes are in: stored runs were made with this floor.
        floor_N = torch.where(all_negative_N, self.std_floor or 0.0, 0.0).to(batch.outcomes_N.dtype)
        return Shaped(rewards_N, floor_N)
