"""Chooses the thresholds of a cascade: proposals from one part of the problems, guarantees tested on the other.

The cheap members' claims (the most probable outcome of each verdict) are ordered by how often such claims are correct
on the choosing problems: separately for each member, and for "no error" and located errors, by isotonic regression on
the claim's probability. Cuts through this order are the proposals, nested from "nobody is sure" to "everybody is". Of
the other problems one solution each is tested, so that the draws are independent and the binomial bounds exact:

- a guaranteed *error*: with probability 1 - delta over the draw of these problems, a solution of a problem drawn like
  them that a member before the last answers is decided wrongly with probability at most the bound. Proposals are
  tested in the order of their p-values on the choosing problems; of those that hold, the one that answers most is
  taken.
- a guaranteed *cost*: with the same probability, the mean cost of a solution is at most the bound, where calling a
  member costs its mean cost. Proposals are tested from the one that calls least; the last one that holds is taken.

Neither says anything about other problems, generators or lengths than these were drawn from, nor about the last
member's own errors. Axes: `_M` members, `_N` solutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from judgekit.calibration.risk import fixed_sequence, share_p_value, share_upper_bound
from judgekit.judges.cascade import Stage
from judgekit.types import SUM_TOLERANCE, ArgmaxRule, ThresholdRule, Verdict

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAX_CUTS = 50
"""Proposals besides the one in which no member is sure."""
UNSURE = Stage(hi=None, lo=None)
"""Of a member that never answers."""
MARGIN = 10 * SUM_TOLERANCE
"""How far a decision rule keeps from the thresholds of the members: step probabilities may differ from those that
the posterior gives by a part of it."""


class Claims(NamedTuple):
    """What one member says of each solution; no number where it has no verdict. Shape (N,) each."""

    p_none_N: Floats
    """P(none)."""
    beside_N: Floats
    """1 - P of the most probable first error."""
    right_N: Flags
    """Whether its most probable outcome is the true one."""

    @classmethod
    def of(cls, verdicts_N: Sequence[Verdict | None], *, gold_N: Sequence[int | None]) -> Self:
        """Read them off verdicts.

        Args:
            verdicts_N: The member's verdicts, `None` if it has none.
            gold_N: True first errors, 0-based, `None` = no error.
        """
        p_none_N, beside_N = np.full((2, len(gold_N)), np.nan)
        right_N = np.zeros(len(gold_N), dtype=bool)
        for i, (verdict, gold) in enumerate(zip(verdicts_N, gold_N, strict=True)):
            if verdict is not None:
                steps = verdict.posterior[:-1]
                p_none_N[i], beside_N[i] = verdict.p_none, 1 - max(steps)
                right_N[i] = (None if verdict.p_none > max(steps) else steps.index(max(steps))) == gold
        return cls(p_none_N, beside_N, right_N)

    @property
    def score_N(self) -> Floats:
        """Probability of the most probable outcome."""
        return np.fmax(self.p_none_N, 1 - self.beside_N)

    @property
    def is_none_N(self) -> Flags:
        """Whether the most probable outcome is "no error"."""
        return np.asarray(self.p_none_N > 1 - self.beside_N)

    def sure_N(self, stage: Stage) -> Flags:
        """Return where the member answers, as `Stage.answers` has it."""
        hi, lo = np.inf if stage.hi is None else stage.hi, -np.inf if stage.lo is None else stage.lo
        return np.asarray((self.p_none_N >= hi) | (self.beside_N <= lo))


Stages = tuple[Stage, ...]


class Chosen(NamedTuple):
    """The thresholds that were chosen, and what the tested problems show of them."""

    stages: Stages
    """Thresholds of each member but the last; nobody is ever sure where no proposal held."""
    shown: float | None
    """Upper bound of the error or the cost that holds with probability 1 - delta; `None` if no proposal held."""
    n_sure: int
    """Tested solutions that a member before the last answers."""
    n_wrong: int | None = None
    """Of these, wrong claims; `None` if a cost is promised."""


def answering_N(claims_M: Sequence[Claims], stages: Stages) -> NDArray[np.int64]:
    """Return which member answers each solution; the last one where no other is sure. Shape (N,)."""
    answering = np.full(len(claims_M[0].p_none_N), len(stages))
    for member in reversed(range(len(stages))):
        answering[claims_M[member].sure_N(stages[member])] = member
    return answering


def propose_stages(claims_M: Sequence[Claims], *, choosing_N: Flags, least_sure: float = 0.0) -> list[Stages]:
    """Return nested thresholds, from those of which nobody is sure to those of which everybody is.

    Args:
        claims_M: Of each member but the last.
        choosing_N: Solutions of the problems that may be looked at. Shape (N,).
        least_sure: Claims of a probability up to here are never sure.
    """
    rows = []
    for member, claims in enumerate(claims_M):
        score_N = claims.score_N
        for is_none in (True, False):
            of_kind = np.flatnonzero(choosing_N & (claims.is_none_N == is_none) & np.isfinite(score_N))
            if not len(of_kind):
                continue
            score, right = score_N[of_kind], claims.right_N[of_kind].astype(float)
            # A made-up right claim below all and a wrong one above: m correct
            # ones at the top show no more than m/(m+1).
            curve = IsotonicRegression().fit([*score, score.min(), score.max()], [*right, 1.0, 0.0])
            rows += [(p, s, member, is_none, i) for p, s, i in zip(curve.predict(score), score, of_kind, strict=True)]
    rows = sorted((row for row in rows if row[1] > least_sure), key=lambda row: (-row[0], -row[1]))
    hi_M, lo_M = np.full(len(claims_M), np.inf), np.full(len(claims_M), -np.inf)
    proposals = [(UNSURE,) * len(claims_M)]
    ends = set(np.linspace(0, len(rows), MAX_CUTS + 1).round().astype(int).tolist())
    for n_sure, (_, _, member, is_none, i) in enumerate(rows, start=1):
        claims = claims_M[member]
        if is_none:
            hi_M[member] = min(hi_M[member], claims.p_none_N[i])
        else:
            lo_M[member] = max(lo_M[member], claims.beside_N[i])
        if n_sure in ends:
            pairs = zip(hi_M.tolist(), lo_M.tolist(), strict=True)
            proposals.append(tuple(Stage(hi=hi if hi <= 1 else None, lo=lo if lo >= 0 else None) for hi, lo in pairs))
    return proposals


def choose_for_error(
    claims_M: Sequence[Claims], *, choosing_N: Flags, tested_N: Flags, at_most: float, delta: float
) -> Chosen:
    """Choose thresholds under which the sure members' claims are wrong in a share of at most `at_most`.

    A claim is sure only where it is more probable than all else together, so that decisions can
    follow it, see `keep_claims`.

    Args:
        claims_M: Of each member but the last.
        choosing_N: Solutions of the problems that propose and order. Shape (N,).
        tested_N: One solution of each problem that the promise is tested on. Shape (N,).
        at_most: Bound on the share, in (0, 1).
        delta: Probability with which it may be broken, over the draw of the tested problems.
    """
    found, nobody = [], (UNSURE,) * len(claims_M)
    right_M_N = np.array([*(claims.right_N for claims in claims_M), np.ones_like(tested_N)])
    for stages in propose_stages(claims_M, choosing_N=choosing_N, least_sure=0.5 + MARGIN)[1:]:
        answering = answering_N(claims_M, stages)
        sure_N, wrong_N = answering < len(stages), ~right_M_N[answering, np.arange(len(answering))]
        counts = [(int((sure_N & part).sum()), int((wrong_N & part).sum())) for part in (choosing_N, tested_N)]
        p_chosen, p_tested = (share_p_value(n_wrong, n_sure, at_most=at_most) for n_sure, n_wrong in counts)
        found.append((p_chosen, -counts[0][0], p_tested, stages, *counts[1]))
    found.sort(key=lambda item: item[:2])
    held = found[: fixed_sequence([item[2] for item in found], delta=delta)]
    if not held:
        return Chosen(nobody, None, 0)
    *_, stages, n_sure, n_wrong = min(held, key=lambda item: item[1])
    return Chosen(stages, share_upper_bound(n_wrong, n_sure, delta=delta), n_sure, n_wrong)


def choose_for_cost(
    claims_M: Sequence[Claims],
    *,
    costs_M: Sequence[float],
    choosing_N: Flags,
    tested_N: Flags,
    at_most: float,
    delta: float,
) -> tuple[Chosen, float]:
    """Choose the thresholds that ask most and still cost at most `at_most` on average.

    Args:
        claims_M: Of each member but the last.
        costs_M: Mean cost of asking each member, the last one's above 0. Shape (M + 1,).
        choosing_N: Solutions of the problems that propose thresholds. Shape (N,).
        tested_N: One solution of each problem that the promise is tested on. Shape (N,).
        at_most: Bound on the mean cost, as a share of asking the last member about all.
        delta: Probability with which it may be broken, over the draw of the tested problems.

    Returns:
        What was chosen, and the lowest bound that could have been promised.
    """
    n, chosen, least = int(tested_N.sum()), Chosen((UNSURE,) * len(claims_M), None, 0), np.inf
    for stages in reversed(propose_stages(claims_M, choosing_N=choosing_N)):
        answering = answering_N(claims_M, stages)[tested_N]
        # Each member behind the first is asked by a share of the solutions; the bounds hold together.
        asked = [
            share_upper_bound(int((answering >= m).sum()), n, delta=delta / len(stages))
            for m in range(1, len(stages) + 1)
        ]
        shown = (costs_M[0] + float(np.dot(asked, costs_M[1:]))) / costs_M[-1]
        least = min(least, shown)
        if shown > at_most:
            break
        chosen = Chosen(stages, shown, int((answering < len(stages)).sum()))
    return chosen, float(least)


def keep_claims(rule: ThresholdRule | ArgmaxRule, stages: Stages) -> ThresholdRule | ArgmaxRule:
    """Return the rule, moved as little as it takes to decide as a sure member claims.

    See `judgekit.judges.cascade` for why; the thresholds are those of claims more probable than all else together.

    Example:
        >>> keep_claims(ThresholdRule(threshold=0.9), (Stage(hi=0.8, lo=0.1), Stage(hi=None, lo=0.3))).threshold
        0.69999
    """
    lo = max((stage.lo for stage in stages if stage.lo is not None), default=0.0)
    hi = min((stage.hi for stage in stages if stage.hi is not None), default=1.0)
    if isinstance(rule, ArgmaxRule):
        least, most = (1 - hi) / hi * (1 + MARGIN), (1 - lo) / lo * (1 - MARGIN) if lo else np.inf
        return rule.model_copy(update={"no_error_weight": min(max(rule.no_error_weight, least), most)})
    least, most = lo + MARGIN, min(hi, 1 - lo) - MARGIN
    return rule.model_copy(update={"threshold": min(max(rule.threshold, least), most)})
