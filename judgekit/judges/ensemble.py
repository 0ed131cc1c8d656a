"""Several judges as one: their first-error posteriors are pooled, each with the weight that its card gives it.

`product` multiplies powers of the posteriors (log-linear pool), so that each member can veto; `mixture` averages them
(linear pool). Shapes: M members, S + 1 outcomes of a solution with S steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from judgekit.calibration.card import Fingerprint
from judgekit.errors import shorten
from judgekit.judges.base import Judge, JudgeInfo
from judgekit.judges.card import SERVED, JudgeCard, JudgeSpec, Opening
from judgekit.types import Judgement, Precision, Solution, Verdict

Floats = NDArray[np.float64]

PROB_FLOOR = 1e-9
"""Least probability of an outcome in a product: no member can rule an outcome out for good."""
_MAX_RAW = 4000


def pool_product(posteriors_M: ArrayLike, *, weights_M: ArrayLike) -> Floats:
    """Return the log-linear pool: proportional to the product of p ** weight, summing to 1.

    Args:
        posteriors_M: First-error posterior of each member. Shape (M, S + 1).
        weights_M: Exponents, not negative. Shape (M,).

    Returns:
        Shape (S + 1,); uniform where all weights are 0.

    Example:
        >>> pool_product([[0.8, 0.2], [0.5, 0.5]], weights_M=[1, 1]).round(3).tolist()
        [0.8, 0.2]

    Source:
        Genest and Zidek 1986, Combining probability distributions, logarithmic opinion pool.
    """
    logs = np.asarray(weights_M, dtype=np.float64) @ floored_logs(posteriors_M)
    shares = np.exp(logs - logs.max())
    return np.asarray(shares / shares.sum())


def pool_mixture(posteriors_M: ArrayLike, *, weights_M: ArrayLike) -> Floats:
    """Return the linear pool: the mean of the posteriors under weights that are scaled to sum to 1.

    Args:
        posteriors_M: First-error posterior of each member. Shape (M, S + 1).
        weights_M: Weights, not negative, not all 0. Shape (M,).

    Returns:
        Shape (S + 1,).

    Example:
        >>> pool_mixture([[0.8, 0.2], [0.4, 0.6]], weights_M=[3, 1]).round(3).tolist()
        [0.7, 0.3]

    Source:
        Genest and Zidek 1986, Combining probability distributions, linear opinion pool.
    """
    weights = np.asarray(weights_M, dtype=np.float64)
    mean = weights @ np.asarray(posteriors_M, dtype=np.float64) / weights.sum()
    return np.asarray(mean / mean.sum())


def floored_logs(posteriors_M: ArrayLike) -> Floats:
    """Return log p, nats, of probabilities that are at least `PROB_FLOOR`."""
    return np.asarray(np.log(np.maximum(np.asarray(posteriors_M, dtype=np.float64), PROB_FLOOR)))


POOLS = {"product": pool_product, "mixture": pool_mixture}
"""Pools by the name of their rule."""


class EnsembleSpec(JudgeSpec):
    """How several judges become one: whose posteriors are pooled, and with what weights."""

    kind: Literal["ensemble"] = "ensemble"
    members: tuple[str, ...] = Field(min_length=1)
    """Judges as `load_judge` opens them: a path relative to the card, a hub id, `builtin:NAME`, an address."""
    rule: Literal["product", "mixture"]
    """`product`: p is proportional to the product of p_i ** weight_i; `mixture`: p is the sum of weight_i * p_i."""
    weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]
    """One weight a member, not negative and not all 0; those of a mixture sum to 1."""
    fingerprint: Fingerprint | None = None
    """What the weights were fitted on; `null` where they were set by hand."""

    def open(self, opening: Opening) -> Judge:
        """Open all members, each with its own calibrator and none with more trust than the ensemble has."""
        return EnsembleJudge(opening.card, [opening.open_member(member) for member in self.members])

    def with_places(self, place: Callable[[str, str], str]) -> Self:
        """Return the spec with the members elsewhere."""
        return self.model_copy(update={"members": tuple(place("member", member) for member in self.members)})

    def powers(self) -> Iterator[str]:
        """Say which servers are members."""
        for member in self.members:
            if member.lower().startswith(SERVED):
                yield f"the server {shorten(member)}"

    def member_names(self) -> tuple[str, ...]:
        """Return the members."""
        return self.members

    def declare(self, info: JudgeInfo, *, dtype: Precision, members: Sequence[JudgeInfo]) -> JudgeInfo:
        """Where members differ, each precision is named. What was fitted last counts: the weights, else a member."""
        fitted_on = [self.fingerprint, *(said.fingerprint for said in members)]
        reserved_M = [said.reserved for said in members]
        known = dict.fromkeys(text for reserved in reserved_M for text in reserved or ())
        return replace(
            info,
            deterministic=all(said.deterministic for said in members),
            dtype=", ".join(dict.fromkeys(said.dtype for said in members if said.dtype is not None)) or None,
            fingerprint=next((item for item in fitted_on if item is not None), None),
            reserved=None if None in reserved_M else tuple(known),
        )

    @model_validator(mode="after")
    def _fits_the_rule(self) -> Self:
        if len(self.weights) != len(self.members):
            raise ValueError(f"{len(self.weights)} weights for {len(self.members)} members")
        if not any(self.weights):
            raise ValueError("all weights are 0, so that no member counts")
        if self.rule == "mixture" and abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError(f"the weights of a mixture sum to {sum(self.weights)}, not 1")
        return self


class EnsembleJudge:
    """Pools the verdicts of other judges.

    A member without a verdict on a solution is left out there: a mixture's other weights are scaled up, a product loses
    a factor. The ensemble has no verdict only where no member of a weight above 0 has one; its reason is then that of
    the one with the highest weight.

    Args:
        card: The ensemble's description.
        members: The judges, in the order of the card's weights.
    """

    def __init__(self, card: JudgeCard, members: Sequence[Judge]) -> None:
        self.card = card
        self.spec = card.spec_as(EnsembleSpec)
        self.members = tuple(members)
        self.info = card.declare(dtype="float32", members=[member.info for member in self.members])

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch with every member in turn and pool their verdicts; `raw` says what each member found."""
        judgements_N_M = zip(*(member.judge(solutions) for member in self.members), strict=True)
        return [self._pooled(solution, row) for solution, row in zip(solutions, judgements_N_M, strict=True)]

    def _pooled(self, solution: Solution, judgements_M: Sequence[Judgement]) -> Judgement:
        verdict = pool_verdicts([item.verdict for item in judgements_M], self.spec)
        reason = None
        if verdict is None:  # the members without one say why; the one that counts most is believed
            by_weight = sorted(zip(self.spec.weights, judgements_M, strict=True), key=lambda pair: -pair[0])
            reason = next(item.no_verdict for _, item in by_weight if item.no_verdict is not None)
        costs = [item.cost_usd for item in judgements_M if item.cost_usd is not None]
        return Judgement(
            solution_id=solution.id,
            judge_id=self.info.judge_id,
            verdict=verdict,
            no_verdict=reason,
            raw="\n".join(map(self._line, self.members, judgements_M, self.spec.weights)),
            n_tokens=sum(item.n_tokens for item in judgements_M),
            seconds=sum(item.seconds for item in judgements_M),
            cost_usd=sum(costs) if costs else None,
        )

    def _line(self, member: Judge, judgement: Judgement, weight: float) -> str:
        verdict = judgement.verdict
        if verdict is None:
            said = f"no verdict, {judgement.no_verdict}"
        else:
            first_error = verdict.decide(member.info.decision)
            said = "no error" if first_error is None else f"first error at step {first_error}"
            said += f", P(no error) {verdict.p_none:.3f}"
        head = f"{member.info.judge_id}, weight {weight:.3g}: {said}"
        return head if judgement.raw is None else f"{head}\n{judgement.raw[:_MAX_RAW]}"


def pool_verdicts(verdicts_M: Sequence[Verdict | None], spec: EnsembleSpec) -> Verdict | None:
    """Pool the members' verdicts on one solution; `None` where no member of a weight above 0 has one."""
    given = [
        (verdict.posterior, weight)
        for verdict, weight in zip(verdicts_M, spec.weights, strict=True)
        if verdict is not None and weight > 0
    ]
    if not given:
        return None
    posteriors, weights = zip(*given, strict=True)
    return Verdict(posterior=tuple(POOLS[spec.rule](posteriors, weights_M=weights).tolist()))
