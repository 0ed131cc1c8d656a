"""SGPO: where no response of a group is right, the judge says how far each one is, and GRPO runs on that.

Source:
    SGPO (2505.11595), sections on the reward and on RTS. Additions of ours, because the paper is silent: `unit`,
    `rts.no_error`, `on_unscored`, `truncated`, `std_floor` and `min_spread`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from judgekit.errors import ConfigError
from sgpo.algorithms.base import Algorithm, GroupBatch, Need, Response, Scored, Shaped, Unit
from sgpo.algorithms.rts import AnyRTS, HardRTS

if TYPE_CHECKING:
    import torch

    from judgekit.judges.base import Judge


class SGPO(Algorithm):
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
    rts: AnyRTS = HardRTS()
    """How the valid prefix is read off a verdict."""
    on_unscored: Literal["drop", "outcome"] = "drop"
    """A response without verdict. `drop`: no advantage and outside the group's baseline; `outcome`: keeps its outcome
    reward. It is counted either way."""
    truncated: Literal["outcome", "judge", "drop"] = "outcome"
    """A response cut off by its length limit. `outcome`: keeps its outcome reward, since a cut-off yet right prefix
    would earn RTS near 1; `judge`: like any other; `drop`: no advantage and outside the baseline."""
    std_floor: float | None = Field(default=0.05, ge=0)
    """Lowest standard deviation by which a guided group is divided, so that a hair's breadth of RTS is no full-size
    advantage; `null` divides by the group's own (the paper)."""
    min_spread: float = Field(default=0.0, ge=0, le=1)
    """A guided group whose RTS values lie within this range counts as constant: no advantage."""

    needs: ClassVar[frozenset[Need]] = frozenset({"judge"})

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

    def rows_to_score(self, batch: GroupBatch) -> torch.Tensor:
        """Return the wrong responses in scope, cut-off ones only if configured. Shape (M,)."""
        rows_N = self._in_scope(batch)
        if self.truncated != "judge":
            rows_N = rows_N & ~batch.truncated_N
        return rows_N.nonzero().flatten()

    def _in_scope(self, batch: GroupBatch) -> torch.Tensor:
        from sgpo.rewards import classify_groups, is_correct  # they need torch

        wrong_N = ~batch.outcomes_N.isnan() & ~is_correct(batch.outcomes_N)
        if self.scope == "every_wrong":
            return wrong_N
        return wrong_N & classify_groups(batch.outcomes_N, group_ids_N=batch.group_ids_N).all_negative_N

    def score(self, responses: Sequence[Response], *, judge: Judge | None) -> list[Scored]:
        """Judge responses and turn the verdicts into RTS. Responses without steps are not sent: RTS 0 by rule.

        Raises:
            ConfigError: certified prefixes are asked for, and the judge certifies none.
            JudgeError: the judge did not answer one judgement a solution, in order, about its steps.
        """
        from judgekit.judges.stored import check_answers  # lazily, as this is a configuration too

        assert judge is not None, "the trainers refuse sgpo without a judge"
        min_survival = certified_survival(judge) if self.rts.type == "certified" else 1.0
        asked = [i for i, response in enumerate(responses) if response.solution.steps]
        start = time.perf_counter()
        solutions = [responses[i].solution for i in asked]
        judgements = judge.judge(solutions) if asked else []
        seconds = (time.perf_counter() - start) / max(len(asked), 1)
        check_answers(judge, solutions, judgements)
        scored = [Scored(rts=0.0, judged=False)] * len(responses)
        decision = judge.info.decision
        for i, judgement in zip(asked, judgements, strict=True):
            rts = None
            if judgement.verdict is not None:
                rts = self.rts.compute(
                    judgement.verdict, decision=decision, lengths_S=responses[i].lengths_S, min_survival=min_survival
                )
            scored[i] = Scored(rts, seconds)
        return scored

    def transform(self, batch: GroupBatch, rows_M: torch.Tensor, scored_M: Sequence[Scored]) -> Shaped:
        """Put the shaped RTS in place of the outcome of scored rows; rows without a verdict follow `on_unscored`."""
        import torch  # lazily, as this is a configuration too

        from sgpo.rewards import classify_groups, guided_rewards

        outcomes_N = batch.outcomes_N
        rts_N, guided_N = outcomes_N.new_zeros(len(outcomes_N)), batch.truncated_N.new_zeros(len(outcomes_N))
        baseline_N = outcomes_N.clone()
        for row, scored in zip(rows_M.tolist(), scored_M, strict=True):
            if scored.rts is not None:
                rts_N[row], guided_N[row] = scored.rts, True
            elif self.on_unscored == "drop":
                baseline_N[row] = torch.nan
        if self.truncated == "drop":
            baseline_N[self._in_scope(batch) & batch.truncated_N] = torch.nan
        rewards_N = guided_rewards(
            baseline_N,
            rts_N=rts_N,
            guided_N=guided_N,
            group_ids_N=batch.group_ids_N,
            beta=self.beta,
            gamma=self.gamma,
            min_spread=self.min_spread,
        )
        all_negative_N = classify_groups(outcomes_N, group_ids_N=batch.group_ids_N).all_negative_N
        # In float32 first, whatever the outcomes are in: stored runs were made with this floor.
        floor_N = torch.where(all_negative_N, self.std_floor or 0.0, 0.0).to(outcomes_N.dtype)
        return Shaped(rewards_N, floor_N)


def certified_survival(judge: Judge) -> float:
    """Return the survival above which a judge certifies steps of a response that is known to be wrong.

    Raises:
        ConfigError: the judge's card has no conformal section, or one that certifies no step at all, with which every
            RTS would be 0.
    """
    info = judge.info
    if info.conformal is None:
        raise ConfigError(
            f"rts.type=certified needs a judge whose card has a 'conformal' section, and {info.judge_id} has none: "
            "write one with `judgekit calibrate`, or use rts.type=expected"
        )
    if info.conformal.min_survival_if_wrong >= 1:
        raise ConfigError(
            f"rts.type=certified: {info.judge_id} certifies no step at alpha {info.conformal.alpha:g}, learned from "
            f"{info.conformal.n_problems_if_wrong} problems with an erroneous solution, so every RTS would be 0: "
            "calibrate with more problems or a larger conformal_alpha, or use rts.type=expected"
        )
    return info.conformal.min_survival_if_wrong
