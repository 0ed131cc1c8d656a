"""SGPO: where no response of a group is correct, the judge scores how far each one gets, and GRPO runs on that.

Source:
    SGPO (2505.11595), sections on the reward and on RTS. Our additions, because the paper does not say: `unit`,
    `rts.no_error`, `on_unscored`, `truncated`, `std`, `min_spread`, `min_certainty` and `shrink`. `credited=prefix` is
    VPPO's credit (2601.18984) with SGPO's reward instead of its constant alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from sgpo.algorithms.base import GroupBatch, Need, Scale, Scored, Shaped, Unit
from sgpo.algorithms.judged import Judged
from sgpo.algorithms.prefix import Buffer, prefix_shares, spread_over_prefix

if TYPE_CHECKING:
    import torch


class Guidance(NamedTuple):
    """A batch after guidance. Each of shape (N,)."""

    rewards_N: torch.Tensor
    """Shaped RTS of guided responses, the outcome of others, NaN outside the baseline."""
    guided_N: torch.Tensor
    """Responses whose reward is a shaped RTS, bool."""


class SGPO(Judged):
    """SGPO: in groups without a correct response, wrong responses earn sigmoid(beta * (RTS - gamma)); then GRPO."""

    type: Literal["sgpo"] = "sgpo"
    """Name of the algorithm."""
    beta: float = Field(default=10.0, gt=0)
    """Steepness of the reward as a function of RTS."""
    gamma: float = Field(default=0.5, ge=0, le=1)
    """RTS at which a wrong response earns 0.5."""
    scope: Literal["all_negative", "every_wrong"] = "all_negative"
    """Which wrong responses the judge sees: those of all-negative groups (the paper), or all of them."""
    unit: Unit = "step"
    """Unit in which the valid prefix and the whole response are measured."""
    std: Literal["group", "floor", "none"] = "floor"
    """What the advantages of an all-negative group are divided by, if `scale_rewards` is `group`. `group`: its own
    standard deviation (the paper); `floor`: the same, but at least `std_floor`; `none`: nothing."""
    std_floor: float = Field(default=0.05, ge=0)
    """Lowest standard deviation with `std=floor`, so that a tiny spread of RTS does not become a full-size advantage;
    `null` is an earlier spelling of `std=group`."""
    min_spread: float = Field(default=0.0, ge=0, le=1)
    """A guided group whose RTS values lie within this range counts as constant: no advantage."""
    min_certainty: float = Field(default=0.0, ge=0)
    """A guided group counts as constant if its largest and smallest RTS differ by less than this many standard errors
    of their difference, under the judge's own posteriors; 0 turns this off."""
    shrink: bool = False
    """Shrink each RTS towards its group's mean by the judge's uncertainty, see `sgpo.rewards.shrink_rts`."""
    credited: Literal["response", "prefix"] = "response"
    """Which tokens the reward of a guided response applies to. `response`: all its tokens equally (the paper);
    `prefix`: those of its valid steps minus `buffer`, while the others earn 0, all minus the group's mean and divided
    by nothing."""
    buffer: Buffer = "prompt"
    """With `credited=prefix`, tokens at the end of a valid prefix that earn nothing: as many as the prompt has, or a
    fixed number."""

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_releases(cls, data: Any) -> Any:
        """Read `rts: expected, no_error: full`, from before there were kinds of RTS, and `std_floor: null`."""
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if data.get("std_floor", 0) is None:
            del data["std_floor"]
            data["std"] = "none" if data.get("std") == "none" else "group"
        if data.get("credited") == "prefix":
            data.setdefault("std", "none")
        if not (isinstance(data.get("rts"), str) or "no_error" in data):
            return data
        rts, no_error = data.pop("rts", "hard"), data.pop("no_error", None)
        nested = {"type": rts} if isinstance(rts, str) else dict(rts) if isinstance(rts, dict) else rts
        return data | {"rts": nested if no_error is None else nested | {"no_error": no_error}}

    @model_validator(mode="after")
    def _prefixes_are_not_divided(self) -> SGPO:
        if self.credited == "prefix" and self.std != "none":
            raise ValueError(
                f"credited=prefix divides guided groups by nothing, and std is {self.std!r}: set std=none, or "
                "credited=response"
            )
        return self

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]   # for most algorithms it is the same for all options
        """A judge, and the positions of the steps if tokens are credited."""
        return frozenset({"judge", "spans"} if self.credited == "prefix" else {"judge"})

    @property
    def has_own_credit(self) -> bool:
        """Those of `Algorithm`, plus the options that GRPO does not have."""
        return self.credited == "prefix" or self.std == "none"

    def in_scope(self, batch: GroupBatch) -> torch.Tensor:
        """Return the wrong responses, of all-negative groups only unless `scope` says otherwise. Shape (N,), bool."""
        wrong_N = super().in_scope(batch)
        return wrong_N if self.scope == "every_wrong" else wrong_N & batch.classify().all_negative_N

    def guide(self, batch: GroupBatch) -> Guidance:
        """Replace the outcome of scored rows by the shaped RTS; rows without a verdict follow `on_unscored`.

        An all-negative group whose RTS values do not distinguish its responses keeps its outcomes, so that it gets
        exactly no advantage; rows that were not scored count there as RTS 0.
        """
        from sgpo.rewards import flat_groups, shape_rts, shrink_rts  # need torch

        assert batch.rts_noise_N is not None
        prefixes = self.read_prefixes(batch)
        flat_N = flat_groups(
            prefixes.rts_N,
            noise_N=batch.rts_noise_N,
            counted_N=~prefixes.baseline_N.isnan(),
            group_ids_N=batch.group_ids_N,
            min_spread=self.min_spread,
            min_certainty=self.min_certainty,
        )
        guided_N, rts_N = prefixes.scored_N & ~(flat_N & batch.classify().all_negative_N), prefixes.rts_N
        if self.shrink:
            rts_N = shrink_rts(rts_N, noise_N=batch.rts_noise_N, guided_N=guided_N, group_ids_N=batch.group_ids_N)
        shaped_N = shape_rts(rts_N, beta=self.beta, gamma=self.gamma)
        return Guidance(shaped_N.where(guided_N, prefixes.baseline_N), guided_N)

    def transform(self, batch: GroupBatch, rows_M: torch.Tensor, scored_M: Sequence[Scored]) -> Shaped:
        """Replace the outcome of guided responses by what they earn on average over their tokens."""
        import torch  # lazily, as this is a configuration too

        rewards_N, guided_N = self.guide(batch)
        if self.credited == "prefix":
            rewards_N = torch.where(guided_N, rewards_N * prefix_shares(batch, buffer=self.buffer), rewards_N)
        # In float32 first, whatever the dtype of the outcomes: stored runs were made with this floor.
        floor = self.std_floor if self.std == "floor" else 0.0
        floor_N = torch.where(batch.classify().all_negative_N, floor, 0.0).to(batch.outcomes_N.dtype)
        return Shaped(rewards_N, floor_N)

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor | list[torch.Tensor]:
        """Return GRPO's advantages, shape (N,), undivided for guided groups if configured; or per token, (T,)."""
        import torch  # lazily, as this is a configuration too

        from sgpo.rewards import compute_advantages

        undivided_N = batch.classify().all_negative_N & (self.std == "none")
        bonus_N = torch.zeros_like(rewards_N)
        if self.credited == "prefix":
            guidance = self.guide(batch)
            bonus_N = torch.where(guidance.guided_N, guidance.rewards_N.to(bonus_N), bonus_N)
            # with `every_wrong` also groups that have correct responses
            undivided_N = undivided_N | torch.isin(batch.group_ids_N, batch.group_ids_N[guidance.guided_N])
        advantages_N = compute_advantages(
            rewards_N, group_ids_N=batch.group_ids_N, scale=scale, std_floor_N=std_floor_N, undivided_N=undivided_N
        )
        if self.credited == "response":
            return advantages_N
        return spread_over_prefix(advantages_N, bonus_N=bonus_N, batch=batch, buffer=self.buffer)
