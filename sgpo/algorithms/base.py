"""What an algorithm is: whole groups of responses in, rewards and advantages out, by pure functions on tensors.

An algorithm is a configuration: `algorithm: {type: sgpo, beta: 10}`. It has four parts, each with a default that is
GRPO's: `transform` (rewards before credit, of responses that are scored first where it asks for that), `keep` (which
groups train at all), `credit` (one number a response, or one a token, given once or anew at every optimiser step, see
`when`) and `loss_rule` (how tokens add up and clip). Online and offline training call the same ones; what they need
beyond outcomes is declared in `needs`, and refused at the start by a trainer that cannot give it. To add one, write a
module beside this one and a line in `registry`, or an entry point `sgpo.algorithms` in a package of your own.

Axes: `_N` responses, `_M` those of them that are scored, `_S` steps of a response, `_T` its tokens. NaN means "not
known" in outcomes and "outside the baseline" in rewards, never zero. Imports no torch: tensors bring their operations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from judgekit.answers.checks import CORRECT_ABOVE
from judgekit.config import BaseConfig

if TYPE_CHECKING:
    import torch

    from judgekit.judges.base import Judge
    from judgekit.types import Solution

Need = Literal[
    "judge",
    "objectives",
    "spans",
    "old_logprobs",
    "seq_logps",
    "entropy",
    "divergence",
    "influence",
    "domain",
    "history",
    "drafts",
]
"""What an algorithm may need beside outcomes and numbers of tokens. Trainers compute only what is asked for, and refuse
at the start what they cannot give: see `sgpo.config.GIVEN`."""
Moment = Literal["rollout", "step"]
"""When credit is given: once for a batch of rollouts, or anew at every optimiser step from what the policy gives the
responses by then. No algorithm needs the whole group in its loss: a loss of pairs or of a softmax over a group has the
gradient of a policy gradient whose coefficients are computed from detached log-probabilities."""
Scale = Literal["group", "batch", "none"]
"""What advantages are divided by: the standard deviation of the group, of all rewards at hand, or nothing."""
Unit = Literal["step", "char", "token"]
"""Unit in which steps are measured."""
TokenSum = Literal["seq_token_mean", "token_mean", "fixed", "seq_sum"]
"""How the losses of tokens add up. `seq_token_mean`: mean over responses of each one's token mean; `token_mean`: mean
over all tokens; `fixed`: as the first, with one fixed length in place of each response's own; `seq_sum`: mean over
responses of each one's sum."""


class LossRule(NamedTuple):
    """How the losses of tokens add up and clip."""

    tokens: TokenSum
    """How they add up."""
    clip: tuple[float, float] | None
    """How far the ratio to the old policy may fall below 1 and rise above it; `None` takes no ratio at all, which is
    the plain policy gradient."""


class WindowConfig(BaseConfig):
    """When an algorithm is in force; outside the window training is plain GRPO.

    Source:
        SGPO (2505.11595) guides the first 3 of 12 epochs: `unit: fraction, stop: 0.25`.
    """

    unit: Literal["fraction", "steps", "epochs"] = "fraction"
    """What `start` and `stop` count: share of the run's optimiser steps, optimiser steps, or epochs."""
    start: float = Field(default=0.0, ge=0)
    """It is on from here, inclusive."""
    stop: float | None = Field(default=None, gt=0)
    """It is off from here; `null` keeps it on to the end."""
    fade: Literal["none", "linear", "cosine"] = "none"
    """How it gives way to plain GRPO within the window: not at all, or from all to nothing along a line or half a
    cosine. Advantages are w times the algorithm's plus 1 - w times GRPO's, as rewards would lose their scale when they
    are divided by their standard deviation; `loss_rule` stays the algorithm's."""

    @model_validator(mode="after")
    def _ordered(self) -> WindowConfig:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"the window stops at {self.stop}, not after its start {self.start}")
        if self.fade != "none" and self.stop is None and self.unit != "fraction":
            raise ValueError(f"fade={self.fade} needs to know where the window ends: give stop, in {self.unit}")
        return self

    def weight(self, *, step: int, n_steps: int, epoch: float) -> float:
        """Return how much it counts at this optimiser step, in [0, 1], see `fade`; 0 where it is off."""
        if not self.is_open(step=step, n_steps=n_steps, epoch=epoch):
            return 0.0
        if self.fade == "none":
            return 1.0
        now = {"fraction": step / max(n_steps, 1), "steps": float(step), "epochs": epoch}[self.unit]
        gone = (now - self.start) / ((1.0 if self.stop is None else self.stop) - self.start)
        return 1 - gone if self.fade == "linear" else (1 + math.cos(math.pi * gone)) / 2

    def is_open(self, *, step: int, n_steps: int, epoch: float) -> bool:
        """Whether it is on at this optimiser step (0-based) of `n_steps`, in this epoch."""
        now = {"fraction": step / max(n_steps, 1), "steps": float(step), "epochs": epoch}[self.unit]
        return now >= self.start and (self.stop is None or now < self.stop)


@dataclass(frozen=True)
class Response:
    """One sampled response as it is scored."""

    solution: Solution
    """Problem and steps, as the judge will see them."""
    lengths_S: tuple[float, ...]
    """Length of each step in the algorithm's unit. Shape (n_steps,)."""
    key: str = ""
    """Tells it from others of the same text: its group and place there, or optimiser step and place in the batch."""


@dataclass(frozen=True)
class Scored:
    """What became of one response that was to be scored: its RTS, or `None` where there is no verdict."""

    rts: float | None
    """Valid prefix share in [0, 1]."""
    seconds: float = 0.0
    """Judge's time on this response."""
    judged: bool = True
    """Whether a judge was asked; a response without steps has RTS 0 by rule."""
    deferred: tuple[bool, ...] = ()
    """For each member of a cascade but the last, whether the response went on behind it; empty of other judges."""
    cost_usd: float | None = None
    """What the judge's servers asked for it, US dollars; `None` where no price is known."""
    p_no_error: float | None = None
    """The judge's probability that the response holds no error, for the guards; `None` without a verdict."""
    first_error: int | None = None
    """Step that the judge decided is the first wrong one, 0-based; `None` where it sees none, or gave no verdict."""
    n_valid: float | None = None
    """Steps of the valid prefix, by the same rule as the RTS; whole ones but for an expected RTS. `None` without."""
    rts_noise: float = 0.0
    """How far the judge's posterior lies from the RTS, see `RTS.noise`; 0 where no verdict stands behind it."""
    text: str | None = None
    """What the judge wrote, where it writes."""

    @property
    def flawless(self) -> bool:
        """Whether the judge decided that it holds no error."""
        return self.p_no_error is not None and self.first_error is None


_NOT_BY_ROW = {"reward_weights_F", "memory", "correct_above"}


class GroupMasks(NamedTuple):
    """Which rows belong to which sort of group, decided on raw outcomes. Each of shape (N,), bool."""

    all_negative_N: torch.Tensor
    """Rows of groups with a known outcome and no right response."""
    all_positive_N: torch.Tensor
    """Rows of groups in which every known outcome is right."""


@dataclass(frozen=True)
class GroupBatch:
    """Whole groups of responses; they need not be contiguous or of one size."""

    outcomes_N: torch.Tensor
    """Raw outcome rewards in [0, 1], NaN where unknown. Shape (N,)."""
    group_ids_N: torch.Tensor
    """Integer group of each response. Shape (N,)."""
    truncated_N: torch.Tensor
    """Responses cut off by their length limit. Shape (N,), bool."""
    n_tokens_N: torch.Tensor
    """Trained tokens of each response, what ends it included; 0 where it is not trained. Shape (N,), int64."""
    correct_above: float = CORRECT_ABOVE
    """Outcomes above this are right."""
    rts_N: torch.Tensor | None = None
    """Valid prefix share of each scored response, NaN for the others; there from `transform` on. Shape (N,)."""
    rts_noise_N: torch.Tensor | None = None
    """See `Scored.rts_noise`; there with `rts_N`, 0 of responses without. Shape (N,)."""
    valid_steps_N: torch.Tensor | None = None
    """See `Scored.n_valid`; there with `rts_N`, NaN of responses without. Shape (N,)."""
    rewards_NF: torch.Tensor | None = None
    """Where there are objectives beside the outcome: value of every reward function, the raw outcome first, NaN where
    one gives none. Shape (N, F)."""
    reward_weights_F: tuple[float, ...] = ()
    """Weight of each reward function in their sum. Shape (F,)."""
    spans_N: tuple[tuple[tuple[int, int], ...], ...] | None = None
    """For `spans`: first trained token of each step and one past its last; none of a response that is not trained.
    Shape (N, n_steps, 2)."""
    n_prompt_tokens_N: torch.Tensor | None = None
    """For `spans`: tokens of the prompt that each response follows on, 0 where it is not trained. Shape (N,), int64."""
    entropies_N: tuple[torch.Tensor, ...] | None = None
    """For `entropy`: entropy of the old policy at each trained token, nats; of all tokens it could have sampled. A
    tensor of shape (T,) a response."""
    divergences_N: tuple[torch.Tensor, ...] | None = None
    """For `divergence`: how far the old policy's distributions over the group lie apart at each position up to the end
    of its longest response, nats, see `sgpo.divergence`. A tensor of shape (T,) a response, the same for all of a
    group; empty where it is not trained."""
    influences_N: tuple[torch.Tensor, ...] | None = None
    """For `influence`: how much each trained token moves the right responses of its group, under the old policy, see
    `sgpo.influence`. A tensor of shape (T,) a response; empty in groups without a right response or a wrong one."""
    problem_ids_N: tuple[str, ...] | None = None
    """For `history`: id of each response's problem. Shape (N,)."""
    memory: Mapping[str, float] = field(default_factory=dict)
    """For `history`: what the algorithm remembers, this batch included."""
    domains_N: tuple[str, ...] | None = None
    """For `domain`: the `source` of each response's problem. Shape (N,)."""
    domain_shares_N: torch.Tensor | None = None
    """For `domain`: share of that domain among the problems of the whole run, in (0, 1]. Shape (N,)."""
    seq_logprobs_N: torch.Tensor | None = None
    """For `seq_logps`: summed log-probabilities of a response's trained tokens under the policy as it is now, detached,
    nats, NaN where it is not trained. Shape (N,)."""
    old_seq_logprobs_N: torch.Tensor | None = None
    """For `old_logprobs`: the same under the old policy, as it was before it trained on them. Shape (N,)."""

    @property
    def right_N(self) -> torch.Tensor:
        """Responses whose answer is right; one with an unknown outcome is not. Shape (N,), bool."""
        return self.outcomes_N > self.correct_above

    def classify(self) -> GroupMasks:
        """Find all-negative and all-positive groups; unknown outcomes are looked past, a group of them is neither."""
        ids, index_N = self.group_ids_N.unique(return_inverse=True)
        zeros = self.right_N.new_zeros(len(ids)).float()
        n_known = zeros.index_add(0, index_N, (~self.outcomes_N.isnan()).float())
        n_right = zeros.index_add(0, index_N, self.right_N.float())
        negative, positive = (n_known > 0) & (n_right == 0), (n_known > 0) & (n_right == n_known)
        return GroupMasks(negative[index_N], positive[index_N])

    def take(self, rows_M: torch.Tensor) -> GroupBatch:
        """Return the batch of some responses. Shape (M,)."""
        columns: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_BY_ROW}
        rows = rows_M.tolist()
        taken: dict[str, Any] = {
            name: tuple(column[row] for row in rows) if isinstance(column, tuple) else column[rows_M]
            for name, column in columns.items()
            if column is not None
        }
        return replace(self, **taken)


class Shaped(NamedTuple):
    """Rewards as credit is given on them. Each of shape (N,)."""

    rewards_N: torch.Tensor
    """Reward of each response, NaN outside the baseline."""
    std_floor_N: torch.Tensor
    """Lowest standard deviation to divide by; 0 where the group's own stands."""


class Algorithm(BaseConfig):
    """Base of all algorithms; as it stands it is GRPO."""

    type: str
    """Name of the algorithm."""
    window: WindowConfig = WindowConfig()
    """When it is in force; outside the window training is plain GRPO."""

    needs: ClassVar[frozenset[Need]] = frozenset()
    """What it needs beside outcomes."""
    when: ClassVar[Moment] = "rollout"
    """When `credit` is asked; scoring, `transform` and `keep` are always of the rollout."""
    aggregation: ClassVar[Literal["sum_then_normalize", "normalize_then_sum"]] = "sum_then_normalize"
    """How several reward functions become one advantage, in TRL's words. With `normalize_then_sum` TRL's computation
    stands online, whatever `credit` says."""
    unit: Unit = "step"
    """Unit in which the steps of a response are measured."""

    @model_validator(mode="after")
    def _can_fade(self) -> Self:
        if self.window.fade != "none" and (self.when == "step" or self.aggregation == "normalize_then_sum"):
            raise ValueError(
                f"the algorithm {self.type} cannot fade, as its advantages are not at hand before training: set "
                "window.fade=none"
            )
        if self.window.fade != "none" and "drafts" in self.needs:
            raise ValueError(
                f"the algorithm {self.type} cannot fade, as it differs in its prompts: set window.fade=none"
            )
        return self

    @property
    def loss_rule(self) -> LossRule | None:
        """How tokens add up and clip while it is in force; `None`, as here: as the trainer is configured."""
        return None

    @property
    def has_own_credit(self) -> bool:
        """Whether `credit` is another than GRPO's, which TRL computes online by itself."""
        return type(self).credit is not Algorithm.credit

    @property
    def n_refills(self) -> int:
        """How often a batch may be sampled again in place of groups without an advantage; 0 here. Online alone."""
        return 0

    def behind(self, prompt: str, draft: str) -> str:
        """Return what the policy reads in place of a prompt when it has drafted, for `drafts`; here one text."""
        return prompt + draft

    def remember(self, memory: Mapping[str, float], batch: GroupBatch) -> dict[str, float]:
        """Return what is to be known of this batch and all before it; asked before `transform`, for `history`."""
        return dict(memory)

    def wants(self, memory: Mapping[str, float], problem_id: str) -> bool:
        """Whether a problem is sampled in the next pass over all of them, for `history`."""
        return True

    def rows_to_score(self, batch: GroupBatch) -> torch.Tensor:
        """Return the indices of the responses to score, rising; none here. Shape (M,), int64."""
        return batch.truncated_N.new_zeros(0).long()

    def score(self, responses: Sequence[Response], *, judge: Judge | None) -> list[Scored]:
        """Score the responses of `rows_to_score`, or any share of them, in order; here there are none."""
        return []

    def transform(self, batch: GroupBatch, rows_M: torch.Tensor, scored_M: Sequence[Scored]) -> Shaped:
        """Return the rewards that credit is given on; here the outcomes as they are.

        Args:
            batch: The groups.
            rows_M: From `rows_to_score`. Shape (M,).
            scored_M: One score a row, in that order.
        """
        return Shaped(batch.outcomes_N, batch.outcomes_N.new_zeros(len(batch.outcomes_N)))

    def keep(self, batch: GroupBatch, rewards_N: torch.Tensor) -> torch.Tensor:
        """Return the responses that train at all, the same for all of a group; here everyone. Shape (N,), bool."""
        return rewards_N.new_ones(len(rewards_N)).bool()

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor | list[torch.Tensor]:
        """Return one advantage a response, shape (N,), or a tensor of one a token for each, shapes (T,).

        An algorithm with `when = "step"` returns one a response: its coefficient in the policy gradient of this step.
        Where it is left as it is, TRL's own computation stands in for it online, which gives the same.

        Args:
            rewards_N: From `transform`, with whatever other reward functions add. Shape (N,).
            batch: The groups.
            std_floor_N: From `transform`. Shape (N,).
            scale: What the trainer's configuration divides by.
        """
        from sgpo.rewards import compute_advantages  # needs torch

        return compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale=scale, std_floor_N=std_floor_N)
