"""What algorithms with a judge share: which responses the judge sees, and what happens to those without a verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from judgekit.errors import ConfigError
from sgpo.algorithms.base import Algorithm, GroupBatch, Need, Response, Scored
from sgpo.algorithms.rts import AnyRTS, HardRTS

if TYPE_CHECKING:
    import torch

    from judgekit.judges.base import Judge


class Prefixes(NamedTuple):
    """What the judge said about the responses of a batch. Each of shape (N,)."""

    baseline_N: torch.Tensor
    """Outcomes, NaN for responses that must stay outside their group's baseline."""
    rts_N: torch.Tensor
    """Valid prefix as a fraction of the response, in [0, 1]; 0 if there is none."""
    scored_N: torch.Tensor
    """Responses that have a valid prefix, bool."""


class Judged(Algorithm):
    """An algorithm that uses a judge's verdicts on wrong responses to find their valid prefixes."""

    rts: AnyRTS = HardRTS()
    """How the valid prefix is computed from a verdict."""
    on_unscored: Literal["drop", "outcome"] = "drop"
    """What to do with a response without a verdict. `drop`: no advantage, and outside the group's baseline; `outcome`:
    it keeps its outcome reward. It is counted either way."""
    truncated: Literal["outcome", "judge", "drop"] = "outcome"
    """What to do with a response truncated at the length limit. `outcome`: it keeps its outcome reward, because a
    correct but truncated prefix would earn an RTS near 1; `judge`: judge it like any other; `drop`: no advantage, and
    outside the baseline."""

    needs: ClassVar[frozenset[Need]] = frozenset({"judge"})

    def in_scope(self, batch: GroupBatch) -> torch.Tensor:
        """Return the responses that the judge should see: the wrong ones. Shape (N,), bool."""
        return ~batch.outcomes_N.isnan() & ~batch.right_N

    def rows_to_score(self, batch: GroupBatch) -> torch.Tensor:
        """Return the responses in scope, with truncated ones only if configured. Shape (M,)."""
        rows_N = self.in_scope(batch)
        if self.truncated != "judge":
            rows_N = rows_N & ~batch.truncated_N
        return rows_N.nonzero().flatten()

    def score(self, responses: Sequence[Response], *, judge: Judge | None) -> list[Scored]:
        """Judge responses and turn the verdicts into RTS. Responses without steps are not sent and have RTS 0.

        Raises:
            ConfigError: certified prefixes are requested, and the judge certifies none.
            JudgeError: the judge did not return one judgement per solution, in order, about its steps.
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
        scored = [Scored(rts=0.0, judged=False, n_valid=0.0)] * len(responses)
        decision, n_members = judge.info.decision, len(judge.info.members)
        for i, judgement in zip(asked, judgements, strict=True):
            n_asked, verdict = len(judgement.asked), judgement.verdict
            deferred = tuple(n_asked > k for k in range(1, n_members)) if n_asked else ()
            scored[i] = Scored(
                None,
                seconds,
                deferred=deferred,
                cost_usd=judgement.cost_usd,
                text=judgement.raw,
                no_verdict=judgement.no_verdict,
            )
            if verdict is None:
                continue
            first_error = verdict.decide(decision)
            scored[i] = replace(scored[i], p_no_error=verdict.p_none, first_error=first_error)
            read = partial(self.rts.compute, verdict, decision=decision, min_survival=min_survival)
            rts, share = read(lengths_S=responses[i].lengths_S), read(lengths_S=[1.0] * verdict.n_steps)
            if rts is not None and share is not None:  # neither or both
                noise = self.rts.noise(verdict, rts=rts, lengths_S=responses[i].lengths_S)
                scored[i] = replace(scored[i], rts=rts, n_valid=share * verdict.n_steps, rts_noise=noise)
        return scored

    def read_prefixes(self, batch: GroupBatch) -> Prefixes:
        """Return each response's valid prefix, and the outcomes with NaN for the rows to leave out."""
        assert batch.rts_N is not None
        scored_N = ~batch.rts_N.isnan()
        baseline_N = batch.outcomes_N.clone()
        if self.on_unscored == "drop":
            rows_M = self.rows_to_score(batch)
            baseline_N[rows_M[~scored_N[rows_M]]] = float("nan")
        if self.truncated == "drop":
            baseline_N[self.in_scope(batch) & batch.truncated_N] = float("nan")
        return Prefixes(baseline_N, batch.rts_N.nan_to_num(nan=0.0), scored_N)


def certified_survival(judge: Judge) -> float:
    """Return the survival probability above which a judge certifies steps of a response that is known to be wrong.

    Raises:
        ConfigError: the judge's card has no conformal section, or one that certifies no step at all, so that every RTS
            would be 0.
    """
    info = judge.info
    if info.conformal is None:
        raise ConfigError(
            f"rts.type=certified needs a judge whose card has a 'conformal' section, and {info.judge_id} has none: "
            "write one with `judgekit calibrate`, or use rts.type=expected"
        )
    if info.conformal.min_survival_if_wrong >= 1:
        raise ConfigError(
            f"rts.type=certified: {info.judge_id} certifies no step at alpha {info.conformal.alpha:g} (calibrated on "
            f"{info.conformal.n_problems_if_wrong} problems with a wrong solution), so every RTS would be 0: "
            "calibrate with more problems or a larger conformal_alpha, or use rts.type=expected"
        )
    return info.conformal.min_survival_if_wrong
