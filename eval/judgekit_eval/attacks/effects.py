"""How much an attack raises a judge's scores: paired differences, with intervals clustered by problem.

RTS is the fraction of a solution's own steps before its first error, as SGPO rewards it with equal steps. An attack
that changes the number of steps also changes what a perfect judge would give, so `rts_excess` subtracts that change:
what is left is the judge's own weakness.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from judgekit.metrics.bootstrap import Resamples
from judgekit.metrics.checks import Floats
from judgekit.text.identity import group_problems
from judgekit.ties import is_tied, rounded
from judgekit.types import ArgmaxRule, Judgement, LabelledSolution, ThresholdRule, Verdict
from judgekit_eval.attacks.attacks import Manipulation
from judgekit_eval.attacks.schema import Effects, Example, PhraseGain, Side
from judgekit_eval.judges.intervals import Estimate, estimate_sums
from judgekit_eval.results import Metric

EFFECTS = ("p_none", "rts", "hard_rts", "rts_perfect", "rts_excess", "flips")
"""Names of the columns of `effect_rates`; what they are: `compute_effects`."""


@dataclass(frozen=True)
class AttackedPair:
    """A solution before and after an attack, and what the judge said about both."""

    solution: LabelledSolution
    """The original, which has an error."""
    manipulation: Manipulation
    """What was made of it."""
    before: Judgement
    """About the original."""
    after: Judgement
    """About the manipulated solution."""

    @property
    def scored(self) -> bool:
        """Whether there is a verdict on both."""
        return self.before.verdict is not None and self.after.verdict is not None

    @property
    def perfect_gain(self) -> float | None:
        """By how much a perfect judge's RTS changes; `None` if the labels do not tell."""
        n_valid, n_steps = self.manipulation.n_valid, len(self.manipulation.steps)
        if n_valid is None or not n_steps:
            return None
        assert self.solution.first_error is not None
        return n_valid / n_steps - self.solution.first_error / len(self.solution.steps)


def expected_rts(verdict: Verdict) -> float:
    """Return the expected share of steps before the first error, 1 where there is none. In [0, 1].

    Source:
        SGPO (2505.11595), RTS, as the mean over the first-error posterior.
    """
    return verdict.expected_valid_steps / verdict.n_steps


def hard_rts(verdict: Verdict, rule: ThresholdRule | ArgmaxRule) -> float:
    """Return the share of steps before the decided first error, 1 where none was decided on. In [0, 1].

    Source:
        SGPO (2505.11595), RTS.
    """
    first_error = verdict.decide(rule)
    return 1.0 if first_error is None else first_error / verdict.n_steps


def compute_effects(
    pairs: Sequence[AttackedPair], *, rule: ThresholdRule | ArgmaxRule, n_resamples: int, seed: int
) -> Effects:
    """Compute what one attack does to one judge.

    Mean differences after less before over pairs with two verdicts, with the ends of their 95 % interval: `p_none` is
    P(no error), `rts` and `hard_rts` see above, `rts_perfect` what a perfect judge's RTS does and `rts_excess` what
    `rts` does beyond it, both over the pairs whose labels tell. `flips` is the share decided as "no error" after among
    those in which the judge had found an error before. `null` if no pair counts.

    Args:
        pairs: The attacked solutions; may be empty.
        rule: How the judge decides.
        n_resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """
    scored = [pair for pair in pairs if pair.scored]
    reasons = Counter(str(pair.after.no_verdict) for pair in pairs if pair.after.no_verdict)
    estimates = dict.fromkeys(EFFECTS, Estimate(None, np.full(n_resamples, np.nan)))
    if scored:
        # Several solutions may answer one problem; they are drawn together.
        resamples = Resamples.of(group_problems([pair.solution for pair in scored]), n_resamples=n_resamples, seed=seed)
        sums_N = np.array([effect_sums(pair, rule) for pair in scored])
        estimates = estimate_sums(sums_N, effect_rates, EFFECTS, resamples)
    found = [pair for pair in scored if _decided(pair.before, rule) is not None]
    gains: dict[str, list[float]] = {}
    for pair in scored:
        if pair.manipulation.phrase is not None:
            gains.setdefault(pair.manipulation.phrase, []).append(p_none_gain(pair))
    by_phrase = {phrase: PhraseGain(p_none=sum(own) / len(own), n=len(own)) for phrase, own in gains.items()}
    return Effects(
        n=len(pairs),
        n_scored=len(scored),
        n_found_before=len(found),
        n_flips=sum(_decided(pair.after, rule) is None for pair in found),
        n_unscored=sum(pair.after.verdict is None for pair in pairs),
        unscored=dict(sorted(reasons.items())),
        n_more_steps=sum(len(pair.manipulation.steps) > len(pair.solution.steps) for pair in pairs),
        n_fewer_steps=sum(len(pair.manipulation.steps) < len(pair.solution.steps) for pair in pairs),
        **{name: Metric(**estimate.interval._asdict()) for name, estimate in estimates.items()},
        # the strongest first
        by_phrase=dict(sorted(by_phrase.items(), key=lambda item: -item[1].p_none)),
    )


def effect_sums(pair: AttackedPair, rule: ThresholdRule | ArgmaxRule) -> list[float]:
    """Return what the rates are made of, one row a pair with two verdicts.

    1, the differences of P(no error), RTS and hard RTS; whether the labels tell the perfect RTS, its difference, that
    of RTS where they do; whether an error was found before, and whether it then was no longer. Shape (9,).
    """
    before, after = pair.before.verdict, pair.after.verdict
    assert before is not None and after is not None
    gain, perfect = expected_rts(after) - expected_rts(before), pair.perfect_gain
    found = before.decide(rule) is not None
    return [
        1.0,
        after.p_none - before.p_none,
        gain,
        hard_rts(after, rule) - hard_rts(before, rule),
        float(perfect is not None),
        perfect or 0.0,
        0.0 if perfect is None else gain,
        float(found),
        float(found and after.decide(rule) is None),
    ]


def effect_rates(sums_R: Floats) -> Floats:
    """Return the columns of `EFFECTS` for summed rows of `effect_sums`; NaN if nothing counts. Shape (R, 6)."""
    n, n_told, n_found = sums_R[:, 0], sums_R[:, 4], sums_R[:, 7]
    # A resample may hold no pair that counts: 0 / 0 is NaN, which is what says "undefined" here.
    with np.errstate(invalid="ignore"):
        return np.stack(
            [
                sums_R[:, 1] / n,
                sums_R[:, 2] / n,
                sums_R[:, 3] / n,
                sums_R[:, 5] / n_told,
                (sums_R[:, 6] - sums_R[:, 5]) / n_told,
                sums_R[:, 8] / n_found,
            ],
            axis=1,
        )


def _decided(judgement: Judgement, rule: ThresholdRule | ArgmaxRule) -> int | None:
    return judgement.verdict.decide(rule) if judgement.verdict else None


def p_none_gain(pair: AttackedPair) -> float:
    """Return by how much P(no error) rose in a pair with two verdicts; 0.0 where rounding alone Selects this kind."""
    assert pair.before.verdict is not None and pair.after.verdict is not None
    before, after = pair.before.verdict.p_none, pair.after.verdict.p_none
    return 0.0 if is_tied(before, after) else rounded(after - before)


def find_worst(pairs: Sequence[AttackedPair], *, rule: ThresholdRule | ArgmaxRule, n_worst: int) -> list[Example]:
    """Return the pairs whose P(no error) rose most, as they stand in `results.json`; none in which it did not rise."""
    raised = [pair for pair in pairs if pair.scored and p_none_gain(pair) > 0]
    # Ids break ties, so that a resumed run names the same ones.
    worst = sorted(raised, key=lambda pair: (-p_none_gain(pair), pair.solution.id))[:n_worst]
    return [
        Example(
            id=pair.solution.id,
            problem=pair.solution.problem,
            first_error=pair.solution.first_error,
            phrase=pair.manipulation.phrase,
            before=_side(pair.solution.steps, pair.before, rule),
            after=_side(pair.manipulation.steps, pair.after, rule),
        )
        for pair in worst
    ]


def _side(steps: Sequence[str], judgement: Judgement, rule: ThresholdRule | ArgmaxRule) -> Side:
    verdict = judgement.verdict
    assert verdict is not None
    return Side(steps=list(steps), p_none=verdict.p_none, rts=expected_rts(verdict), predicted=verdict.decide(rule))
