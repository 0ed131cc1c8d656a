"""Several judges as one: their first-error posteriors are pooled, each with the weight that its card gives it.

`product` multiplies powers of the posteriors (log-linear pool), so that each member can veto; `mixture` averages them
(linear pool). Shapes: M members, S + 1 outcomes of a solution with S steps.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from judgekit.errors import CheckpointError
from judgekit.judges.base import Judge, JudgeInfo
from judgekit.judges.card import EnsembleCard, JudgeCard
from judgekit.judges.recognise import FoundCard, find_card
from judgekit.types import Judgement, NoVerdictReason, Precision, Solution, Verdict

Floats = NDArray[np.float64]

PROB_FLOOR = 1e-9
"""Least probability of an outcome in a product: no member can rule an outcome out for good."""
MAX_MEMBERS = 100
"""Judges that one ensemble may ask, members of members too."""
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
        assert card.ensemble is not None
        self.card = card
        self.section: EnsembleCard = card.ensemble
        self.members = tuple(members)
        said_M = [member.info for member in self.members]
        # What was fitted last counts: the weights, else the first member that says what it was fitted on.
        fitted_on = [self.section.fingerprint, *(said.fingerprint for said in said_M)]
        self.info = JudgeInfo(
            card.judge_id,
            card.decision,
            kind=card.kind,
            deterministic=all(said.deterministic for said in said_M),
            dtype=", ".join(dict.fromkeys(said.dtype for said in said_M if said.dtype is not None)) or None,
            fingerprint=next((item for item in fitted_on if item is not None), None),
            reserved=tuple(dict.fromkeys(text for said in said_M for text in said.reserved or ())),
        )

    @classmethod
    def open(
        cls,
        found: FoundCard,
        *,
        dtype: Precision = "float32",
        neutralise: bool = True,
        open_member: Callable[[str], Judge] | None = None,
    ) -> Self:
        """Open all members, each with its own calibrator and none with more trust than the ensemble has.

        Args:
            found: The card, where it lies, and whose word it is.
            dtype: Precision of members with weights.
            neutralise: Keep candidates from acting as markup.
            open_member: Opens a member by the name that `locate_member` gives; `None` for `load_judge`.

        Raises:
            CheckpointError: a member cannot be opened, or the ensemble is a member of itself.
        """
        from judgekit.judges import load_judge

        card = found.card
        assert card.ensemble is not None
        refuse_cycle(found)
        open_one = open_member or functools.partial(
            load_judge, dtype=dtype, neutralise=neutralise, named_by=found.trust
        )
        return cls(card, [open_one(locate_member(found.directory, member)) for member in card.ensemble.members])

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch with every member in turn and pool their verdicts; `raw` says what each member found."""
        judgements_N_M = zip(*(member.judge(solutions) for member in self.members), strict=True)
        return [self._pooled(solution, row) for solution, row in zip(solutions, judgements_N_M, strict=True)]

    def _pooled(self, solution: Solution, judgements_M: Sequence[Judgement]) -> Judgement:
        verdict = pool_verdicts([item.verdict for item in judgements_M], self.section)
        costs = [item.cost_usd for item in judgements_M if item.cost_usd is not None]
        return Judgement(
            solution_id=solution.id,
            judge_id=self.info.judge_id,
            verdict=verdict,
            no_verdict=None if verdict else self._reason(judgements_M),
            raw="\n".join(map(self._line, self.members, judgements_M, self.section.weights)),
            n_tokens=sum(item.n_tokens for item in judgements_M),
            seconds=sum(item.seconds for item in judgements_M),
            cost_usd=sum(costs) if costs else None,
        )

    def _reason(self, judgements_M: Sequence[Judgement]) -> NoVerdictReason:
        by_weight = sorted(zip(self.section.weights, judgements_M, strict=True), key=lambda pair: -pair[0])
        return next(item.no_verdict for _, item in by_weight if item.no_verdict is not None)

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


def pool_verdicts(verdicts_M: Sequence[Verdict | None], section: EnsembleCard) -> Verdict | None:
    """Pool the members' verdicts on one solution; `None` where no member of a weight above 0 has one."""
    given = [
        (verdict.posterior, weight)
        for verdict, weight in zip(verdicts_M, section.weights, strict=True)
        if verdict is not None and weight > 0
    ]
    if not given:
        return None
    posteriors, weights = zip(*given, strict=True)
    return Verdict(posterior=tuple(POOLS[section.rule](posteriors, weights_M=weights).tolist()))


def locate_member(directory: Path, member: str) -> str:
    """Return the name to open a member by: a path relative to the card where there is one, else the name itself."""
    path = directory / member
    return str(path) if os.path.exists(path) else member


def refuse_cycle(ensemble: FoundCard, above: frozenset[Path] = frozenset(), *, n_before: int = 0) -> int:
    """Refuse an ensemble that is a member of itself, directly or through another one, or that has too many members.

    A member that is an ensemble counts with its own members, as often as it is named: a dozen small cards that name
    each other twice stand for thousands of judges.

    Args:
        ensemble: The ensemble's card.
        above: Ensembles that it is a member of.
        n_before: Members that were counted already.

    Returns:
        Members so far.

    Raises:
        CheckpointError: it is; or a member's card is not valid, or names what it may not.
    """
    section = ensemble.card.ensemble
    assert section is not None
    n = n_before
    for member in section.members:
        path = ensemble.directory / member
        n += 1
        if n > MAX_MEMBERS:
            raise CheckpointError(
                f"the ensemble {ensemble.directory} has more than {MAX_MEMBERS} members, those of its members counted "
                "as often as they are named: take some out"
            )
        is_here = os.path.exists(path)
        # What somebody else's ensemble names on the Hub may be an ensemble, too; of the user's own, they are as many
        # as he has written down, and each is looked at when it is opened.
        if not is_here and (ensemble.trust.is_own or member.startswith(("builtin:", "http://", "https://"))):
            continue
        if is_here and path.resolve() in above:
            raise CheckpointError(f"the ensemble {path.resolve()} is a member of itself: take it out of its members")
        found = find_card(locate_member(ensemble.directory, member), named_by=ensemble.trust)
        if found.card.ensemble is not None:
            n = refuse_cycle(found, above | {path.resolve()}, n_before=n)
    return n


__all__ = [
    "POOLS", "PROB_FLOOR", "EnsembleJudge", "floored_logs", "locate_member", "pool_mixture", "pool_product",
    "pool_verdicts", "refuse_cycle",
]  # fmt: skip
