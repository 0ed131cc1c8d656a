"""Several judges as one: pools their first-error posteriors, each with the weight that its card gives it.

`product` multiplies powers of the posteriors (log-linear pool), so each member can veto; `mixture` averages them
(linear pool). Shapes: M members, S + 1 outcomes of a solution with S steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from judgekit.judges.base import Judge
from judgekit.judges.card import JudgeCard, Opening
from judgekit.judges.members import MembersSpec, member_line, what_it_took
from judgekit.types import Judgement, Solution, Verdict

Floats = NDArray[np.float64]

PROB_FLOOR = 1e-9
"""Least probability of an outcome in a product: no member can rule an outcome out for good."""


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


class EnsembleSpec(MembersSpec):
    """How several judges become one: whose posteriors are pooled, and with what weights."""

    kind: Literal["ensemble"] = "ensemble"
    rule: Literal["product", "mixture"]
    """`product`: p is proportional to the product of p_i ** weight_i; `mixture`: p is the sum of weight_i * p_i."""
    weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]
    """One weight per member, not negative and not all 0; those of a mixture sum to 1."""

    def open(self, opening: Opening) -> Judge:
        """Open all members, each with its own calibrator and none with more trust than the ensemble has."""
        return EnsembleJudge(opening.card, [opening.open_member(member) for member in self.members])

    @model_validator(mode="after")
    def _fits_the_rule(self) -> Self:
        if len(self.weights) != len(self.members):
            raise ValueError(f"{len(self.weights)} weights for {len(self.members)} members")
        if not any(self.weights):
            raise ValueError("all weights are 0, so no member counts: make at least one positive")
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
        return Judgement(
            solution_id=solution.id,
            judge_id=self.info.judge_id,
            verdict=verdict,
            no_verdict=reason,
            raw="\n".join(
                member_line(f"{member.info.judge_id}, weight {weight:.3g}", member.info, item)
                for member, item, weight in zip(self.members, judgements_M, self.spec.weights, strict=True)
            ),
            **what_it_took(judgements_M),
        )


def pool_verdicts(verdicts_M: Sequence[Verdict | None], spec: EnsembleSpec) -> Verdict | None:
    """Pool the members' verdicts on one solution; `None` if no member of a weight above 0 has one."""
    given = [
        (verdict.posterior, weight)
        for verdict, weight in zip(verdicts_M, spec.weights, strict=True)
        if verdict is not None and weight > 0
    ]
    if not given:
        return None
    posteriors, weights = zip(*given, strict=True)
    return Verdict(posterior=tuple(POOLS[spec.rule](posteriors, weights_M=weights).tolist()))
