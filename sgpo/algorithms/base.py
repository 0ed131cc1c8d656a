"""The interface of an algorithm: groups of responses in, rewards and advantages out, by pure functions on tensors.

An algorithm is a configuration: `algorithm: {type: sgpo, beta: 10}`. It has four parts, each of which defaults to
GRPO's: `transform` (rewards before credit; responses are scored first if it asks for that), `keep` (which groups
train), `credit` (one number per response or per token, computed once or at every optimiser step, see `when`) and
`loss_rule` (how the losses of tokens are averaged and clipped). Online and offline training call the same functions.
What an algorithm needs besides outcomes is declared in `needs`; a trainer that cannot provide it refuses at the start.
To add an algorithm, write a module next to this one and add a line to `registry`, or give your own package an entry
point `sgpo.algorithms`.

Axes: `_N` responses, `_M` scored responses, `_S` steps of a response, `_T` its tokens. NaN means "unknown" in outcomes
and "outside the baseline" in rewards, never zero. Imports no torch: the tensors bring their own operations.
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
    from judgekit.types import NoVerdictReason, Solution

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
"""What an algorithm may need besides outcomes and token counts. Trainers compute only what is requested, and refuse at
the start what they cannot provide: see `sgpo.config.GIVEN`."""
Moment = Literal["rollout", "step"]
"""When credit is computed: once for a batch of rollouts, or again at every optimiser step, from the current
log-probabilities. No algorithm needs the whole group in its loss: a loss over pairs, or over a softmax of a group, has
the gradient of a policy gradient whose coefficients are computed from detached log-probabilities."""
Scale = Literal["group", "batch", "none"]
"""What advantages are divided by: the standard deviation of the group, that of all rewards in the batch, or nothing."""
Unit = Literal["step", "char", "token"]
"""Unit in which the length of a step is measured."""
TokenSum = Literal["seq_token_mean", "token_mean", "fixed", "seq_sum"]
"""How the losses of tokens are averaged. `seq_token_mean`: mean over responses of each response's token mean;
`token_mean`: mean over all tokens; `fixed`: as the first, with one fixed length instead of each response's own;
`seq_sum`: mean over responses of each response's sum."""


class LossRule(NamedTuple):
    """How the losses of tokens are averaged and clipped."""

    tokens: TokenSum
    """How they are averaged."""
    clip: tuple[float, float] | None
    """How far the ratio to the old policy may fall below 1 and rise above it; `None` uses no ratio: the plain policy
    gradient."""


class WindowConfig(BaseConfig):
    """When an algorithm is active; outside the window training is plain GRPO.

    Source:
        SGPO (2505.11595) uses guidance in the first 3 of 12 epochs: `unit: fraction, stop: 0.25`.
    """

    unit: Literal["fraction", "steps", "epochs"] = "fraction"
    """Unit of `start` and `stop`: fraction of the run's optimiser steps, optimiser steps, or epochs."""
    start: float = Field(default=0.0, ge=0)
    """Active from here on, inclusive."""
    stop: float | None = Field(default=None, gt=0)
    """Inactive from here on; `null` keeps it active to the end."""
    fade: Literal["none", "linear", "cosine"] = "none"
    """How it fades into plain GRPO within the window: not at all, linearly, or along half a cosine. Advantages are then
    w times the algorithm's plus 1 - w times GRPO's; mixing rewards would lose their scale when they are divided by
    their standard deviation. `loss_rule` stays the algorithm's."""

    @model_validator(mode="after")
    def _ordered(self) -> WindowConfig:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"the window stops at {self.stop}, not after its start {self.start}")
        if self.fade != "none" and self.stop is None and self.unit != "fraction":
            raise ValueError(f"fade={self.fade} needs to know where the window ends: give stop, in {self.unit}")
        return self

    def weight(self, *, step: int, n_steps: int, epoch: float) -> float:
        """Return its weight at this optimiser step, in [0, 1], see `fade`; 0 while it is inactive."""
        if not self.is_open(step=step, n_steps=n_steps, epoch=epoch):
            return 0.0
        if self.fade == "none":
            return 1.0
        now = {"fraction": step / max(n_steps, 1), "steps": float(step), "epochs": epoch}[self.unit]
        gone = (now - self.start) / ((1.0 if self.stop is None else self.stop) - self.start)
        return 1 - gone if self.fade == "linear" else (1 + math.cos(math.pi * gone)) / 2

    def is_open(self, *, step: int, n_steps: int, epoch: float) -> bool:
        """Whether it is active at this optimiser step (0-based) of `n_steps`, in this epoch."""
        now = {"fraction": step / max(n_steps, 1), "steps": float(step), "epochs": epoch}[self.unit]
        return now >= self.start and (self.stop is None or now < self.stop)


@dataclass(frozen=True)
class Response:
    """One sampled response to be scored."""

    solution: Solution
    """Problem and steps, as the judge sees them."""
    lengths_S: tuple[float, ...]
    """Length of each step in the algorithm's unit. Shape (n_steps,)."""
    key: str = ""
    """Distinguishes responses with the same text: group and position in it, or optimiser step and position in the
    batch."""


@dataclass(frozen=True)
class Scored:
    """Result of scoring one response: its RTS, or `None` if there is no verdict."""

    rts: float | None
    """Valid prefix as a fraction of the response, in [0, 1]."""
    seconds: float = 0.0
    """Time the judge took for this response, seconds."""
    judged: bool = True
    """Whether a judge was called; a response without steps has RTS 0 by definition."""
    deferred: tuple[bool, ...] = ()
    """For each member of a cascade but the last: whether it passed the response on. Empty for other judges."""
    cost_usd: float | None = None
    """Cost of this judgement on the judge's servers, US dollars; `None` if no price is known."""
    p_no_error: float | None = None
    """The judge's probability that the response has no error, for the guards; `None` without a verdict."""
    first_error: int | None = None
    """First wrong step by the judge's decision, 0-based; `None` if it sees no error or gave no verdict."""
    n_valid: float | None = None
    """Number of steps in the valid prefix, by the same rule as the RTS; fractional for an expected RTS. `None` without
    one."""
    rts_noise: float = 0.0
    """Spread of the judge's posterior around the RTS, see `RTS.noise`; 0 without a verdict."""
    text: str | None = None
    """The text that the judge wrote, if it writes."""
    no_verdict: NoVerdictReason | None = None
    """Why the judge gave no verdict; `None` if it gave one, or was not called."""

    @property
    def flawless(self) -> bool:
        """Whether the judge decided that there is no error."""
        return self.p_no_error is not None and self.first_error is None


_NOT_BY_ROW = {"reward_weights_F", "memory", "correct_above"}


class GroupMasks(NamedTuple):
    """Rows by the type of their group, decided on raw outcomes. Each of shape (N,), bool."""

    all_negative_N: torch.Tensor
    """Rows of groups with a known outcome and no correct response."""
    all_positive_N: torch.Tensor
    """Rows of groups in which every known outcome is correct."""


@dataclass(frozen=True)
class GroupBatch:
    """Whole groups of responses. They need not be contiguous or of equal size."""

    outcomes_N: torch.Tensor
    """Raw outcome rewards in [0, 1], NaN if unknown. Shape (N,)."""
    group_ids_N: torch.Tensor
    """Integer group id of each response. Shape (N,)."""
    truncated_N: torch.Tensor
    """Responses truncated at the length limit. Shape (N,), bool."""
    n_tokens_N: torch.Tensor
    """Number of trained tokens of each response, end token included; 0 if it is not trained. Shape (N,), int64."""
    correct_above: float = CORRECT_ABOVE
    """Outcomes above this are correct."""
    rts_N: torch.Tensor | None = None
    """Fraction of each scored response that is valid, NaN for the others; set from `transform` on. Shape (N,)."""
    rts_noise_N: torch.Tensor | None = None
    """See `Scored.rts_noise`; set with `rts_N`, 0 for responses without an RTS. Shape (N,)."""
    valid_steps_N: torch.Tensor | None = None
    """See `Scored.n_valid`; set with `rts_N`, NaN for responses without an RTS. Shape (N,)."""
    rewards_NF: torch.Tensor | None = None
    """With objectives besides the outcome: the value of every reward function, the raw outcome first, NaN if a
    function gives none. Shape (N, F)."""
    reward_weights_F: tuple[float, ...] = ()
    """Weight of each reward function in their sum. Shape (F,)."""
    spans_N: tuple[tuple[tuple[int, int], ...], ...] | None = None
    """For `spans`: first trained token of each step and one past its last; empty for a response that is not trained.
    Shape (N, n_steps, 2)."""
    n_prompt_tokens_N: torch.Tensor | None = None
    """For `spans`: number of prompt tokens before each response, 0 if it is not trained. Shape (N,), int64."""
    entropies_N: tuple[torch.Tensor, ...] | None = None
    """For `entropy`: entropy of the old policy over the whole vocabulary at each trained token, nats. One tensor of
    shape (T,) per response."""
    divergences_N: tuple[torch.Tensor, ...] | None = None
    """For `divergence`: how far the old policy's distributions differ within the group at each position up to the end
    of its longest response, nats, see `sgpo.divergence`. One tensor of shape (T,) per response, the same for the whole
    group; empty for a response that is not trained."""
    influences_N: tuple[torch.Tensor, ...] | None = None
    """For `influence`: how much each trained token moves the correct responses of its group, under the old policy, see
    `sgpo.influence`. One tensor of shape (T,) per response; empty in groups without a correct or without a wrong
    one."""
    problem_ids_N: tuple[str, ...] | None = None
    """For `history`: id of each response's problem. Shape (N,)."""
    memory: Mapping[str, float] = field(default_factory=dict)
    """For `history`: the algorithm's memory, including this batch."""
    domains_N: tuple[str, ...] | None = None
    """For `domain`: the `source` of each response's problem. Shape (N,)."""
    domain_shares_N: torch.Tensor | None = None
    """For `domain`: fraction of the run's problems that are in that domain, in (0, 1]. Shape (N,)."""
    seq_logprobs_N: torch.Tensor | None = None
    """For `seq_logps`: summed log-probability of a response's trained tokens under the current policy, detached, nats;
    NaN if it is not trained. Shape (N,)."""
    old_seq_logprobs_N: torch.Tensor | None = None
    """For `old_logprobs`: the same under the old policy, before it was trained on these responses. Shape (N,)."""

    @property
    def right_N(self) -> torch.Tensor:
        """Responses with a correct answer; False for an unknown outcome. Shape (N,), bool."""
        return self.outcomes_N > self.correct_above

    def classify(self) -> GroupMasks:
        """Find all-negative and all-positive groups; unknown outcomes are ignored, and a group of them is neither."""
        ids, index_N = self.group_ids_N.unique(return_inverse=True)
        zeros = self.right_N.new_zeros(len(ids)).float()
        n_known = zeros.index_add(0, index_N, (~self.outcomes_N.isnan()).float())
        n_right = zeros.index_add(0, index_N, self.right_N.float())
        negative, positive = (n_known > 0) & (n_right == 0), (n_known > 0) & (n_right == n_known)
        return GroupMasks(negative[index_N], positive[index_N])

    def take(self, rows_M: torch.Tensor) -> GroupBatch:
        """Return the batch restricted to some responses. Shape (M,)."""
        columns: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_BY_ROW}
        rows = rows_M.tolist()
        taken: dict[str, Any] = {
            name: tuple(column[row] for row in rows) if isinstance(column, tuple) else column[rows_M]
            for name, column in columns.items()
            if column is not None
        }
        return replace(self, **taken)


class Shaped(NamedTuple):
    """Rewards that credit is computed from. Each of shape (N,)."""

    rewards_N: torch.Tensor
    """Reward of each response, NaN if it is outside the baseline."""
    std_floor_N: torch.Tensor
    """Lowest standard deviation to divide by; 0 for no floor."""


class Algorithm(BaseConfig):
    """Base class of all algorithms. Without overrides it is GRPO."""

    type: str
    """Name of the algorithm."""
    window: WindowConfig = WindowConfig()
    """When it is active; outside the window training is plain GRPO."""

    needs: ClassVar[frozenset[Need]] = frozenset()
    """What it needs besides outcomes."""
    when: ClassVar[Moment] = "rollout"
    """When `credit` is called; scoring, `transform` and `keep` always run once per batch of rollouts."""
    aggregation: ClassVar[Literal["sum_then_normalize", "normalize_then_sum"]] = "sum_then_normalize"
    """How several reward functions become one advantage, in TRL's terms. With `normalize_then_sum`, online training
    uses TRL's computation, whatever `credit` returns."""
    unit: Unit = "step"
    """Unit in which the length of a step is measured."""

    @model_validator(mode="after")
    def _can_fade(self) -> Self:
        if self.window.fade != "none" and (self.when == "step" or self.aggregation == "normalize_then_sum"):
            raise ValueError(
                f"the algorithm {self.type} cannot fade, because its advantages are not known before training: set "
                "window.fade=none"
            )
        if self.window.fade != "none" and "drafts" in self.needs:
            raise ValueError(
                f"the algorithm {self.type} cannot fade, because it changes the prompts: set window.fade=none"
            )
        return self

    @property
    def loss_rule(self) -> LossRule | None:
        """How tokens are averaged and clipped while it is active; `None` leaves it to the trainer's options."""
        return None

    @property
    def has_own_credit(self) -> bool:
        """Whether `credit` differs from GRPO's, which TRL computes by itself online."""
        return type(self).credit is not Algorithm.credit

    @property
    def n_refills(self) -> int:
        """How often a batch may be sampled again to replace groups without an advantage; 0 by default. Online only."""
        return 0

    def behind(self, prompt: str, draft: str) -> str:
        """Return the prompt that the policy reads after it has drafted, for `drafts`; by default one text."""
        return prompt + draft

    def remember(self, memory: Mapping[str, float], batch: GroupBatch) -> dict[str, float]:
        """Return the memory after this batch; called before `transform`, for `history`."""
        return dict(memory)

    def wants(self, memory: Mapping[str, float], problem_id: str) -> bool:
        """Return whether a problem is sampled in the next pass over the data, for `history`."""
        return True

    def rows_to_score(self, batch: GroupBatch) -> torch.Tensor:
        """Return the indices of the responses to score, ascending; by default none. Shape (M,), int64."""
        return batch.truncated_N.new_zeros(0).long()

    def score(self, responses: Sequence[Response], *, judge: Judge | None) -> list[Scored]:
        """Score the responses of `rows_to_score`, or any part of them, in order; by default there are none."""
        return []

    def transform(self, batch: GroupBatch, rows_M: torch.Tensor, scored_M: Sequence[Scored]) -> Shaped:
        """Return the rewards that credit is computed from; by default the outcomes.

        Args:
            batch: The groups.
            rows_M: From `rows_to_score`. Shape (M,).
            scored_M: One score per row, in the same order.
        """
        return Shaped(batch.outcomes_N, batch.outcomes_N.new_zeros(len(batch.outcomes_N)))

    def keep(self, batch: GroupBatch, rewards_N: torch.Tensor) -> torch.Tensor:
        """Return the responses that train, the same for all of a group; by default all. Shape (N,), bool."""
        return rewards_N.new_ones(len(rewards_N)).bool()

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor | list[torch.Tensor]:
        """Return one advantage per response, shape (N,), or per token: one tensor of shape (T,) for each response.

        An algorithm with `when = "step"` returns one per response: its coefficient in the policy gradient of this step.
        Where it is not overridden, online training uses TRL's own computation, which gives the same result.

        Args:
            rewards_N: From `transform`, plus the other reward functions. Shape (N,).
            batch: The groups.
            std_floor_N: From `transform`. Shape (N,).
            scale: What the trainer's configuration divides advantages by.
        """
        from sgpo.rewards import compute_advantages  # needs torch

        return compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale=scale, std_floor_N=std_floor_N)
