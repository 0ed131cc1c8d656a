"""The relative trajectory score (RTS): the valid prefix as a fraction of the whole response, from a verdict.

Source:
    SGPO (2505.11595), RTS = length of the valid prefix / length of the whole. An error at the fourth of five equal
    steps gives 3/5; an error at the first step gives 0. `no_error` is ours, because the paper does not say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.ties import first_largest, rounded
from judgekit.types import ArgmaxRule, ThresholdRule, Verdict

Rule = ThresholdRule | ArgmaxRule


class RTS(BaseConfig):
    """Options that all kinds of RTS share."""

    no_error: Literal["locate", "full", "unscored"] = "locate"
    """What to do with a wrong response in which the judge sees no error, or that is certified to its end. `locate`: the
    answer is known to be wrong, so condition the posterior on an error; `full`: RTS 1 (the paper's reading);
    `unscored`: no verdict."""

    def compute(
        self,
        verdict: Verdict,
        *,
        decision: Rule,
        lengths_S: Sequence[float],
        min_survival: float = 1.0,
    ) -> float | None:
        """Return the valid prefix as a fraction of the whole response, or `None` if the verdict gives none.

        Args:
            verdict: First-error posterior over n steps.
            decision: The judge's decision rule.
            lengths_S: Length of each step in the chosen unit, >= 0, not all 0. Shape (n,).
            min_survival: Survival probability that certifies a step, in [0, 1]; 1 certifies nothing.
        """
        if len(lengths_S) != verdict.n_steps:
            raise ValueError(f"{len(lengths_S)} lengths for a verdict over {verdict.n_steps} steps")
        return self._read(verdict, prefix_shares(lengths_S), decision=decision, min_survival=min_survival)

    def noise(self, verdict: Verdict, *, rts: float, lengths_S: Sequence[float]) -> float:
        """Return the mean of (prefix - rts)^2 under the posterior, in [0, 1]; for the expected RTS, its variance.

        The posterior is conditioned on an error, because the answer is known to be wrong; with `no_error="full"`, no
        error counts as a prefix of 1.

        Args:
            verdict: First-error posterior over n steps.
            rts: What `compute` returned.
            lengths_S: As for `compute`. Shape (n,).
        """
        outcomes = list(zip(verdict.posterior[:-1], prefix_shares(lengths_S), strict=True))
        if self.no_error == "full":
            outcomes.append((verdict.p_none, 1.0))
        mass = math.fsum(prob for prob, _ in outcomes)
        return rounded(math.fsum(prob * (share - rts) ** 2 for prob, share in outcomes) / mass) if mass > 0 else 0.0

    def _read(self, verdict: Verdict, share_S: Sequence[float], *, decision: Rule, min_survival: float) -> float | None:
        """Return the score, given the fraction of the response before each step."""
        raise NotImplementedError

    def _before(self, first_error: int | None, verdict: Verdict, share_S: Sequence[float]) -> float | None:
        """Return the fraction before one step; without a step, what `no_error` says."""
        if first_error is not None:
            return share_S[first_error]
        if self.no_error == "full":
            return 1.0
        if self.no_error == "unscored" or math.fsum(verdict.posterior[:-1]) == 0:
            return None
        return share_S[first_largest(verdict.posterior[:-1])]


class HardRTS(RTS):
    """Valid prefix up to the first error that the judge decided on."""

    type: Literal["hard"] = "hard"
    """Selects this kind."""

    def _read(self, verdict: Verdict, share_S: Sequence[float], *, decision: Rule, min_survival: float) -> float | None:
        return self._before(verdict.decide(decision), verdict, share_S)


class CertifiedRTS(RTS):
    """Longest prefix that contains an error with probability at most the alpha of the judge's card.

    This is for wrong responses. The guarantee holds for problems and policies like those the judge was calibrated on.
    The card needs a `conformal` section, which `judgekit calibrate` writes.
    """

    type: Literal["certified"] = "certified"
    """Selects this kind."""

    def _read(self, verdict: Verdict, share_S: Sequence[float], *, decision: Rule, min_survival: float) -> float | None:
        from judgekit.calibration.conformal import certified_steps  # needs numpy

        n_certified = certified_steps(verdict.posterior, min_survival=min_survival)
        return self._before(n_certified if n_certified < verdict.n_steps else None, verdict, share_S)


class ExpectedRTS(RTS):
    """Mean of the valid prefix under the posterior."""

    type: Literal["expected"] = "expected"
    """Selects this kind."""

    def _read(self, verdict: Verdict, share_S: Sequence[float], *, decision: Rule, min_survival: float) -> float | None:
        if self.no_error == "unscored" and verdict.decide(decision) is None:
            return None
        error_mass = math.fsum(verdict.posterior[:-1])
        expected = math.fsum(prob * share for prob, share in zip(verdict.posterior[:-1], share_S, strict=True))
        # Rounded: equal responses get the same sums in another order, and a group of them must be constant.
        if self.no_error == "full":
            return rounded(expected + verdict.p_none)
        return rounded(expected / error_mass) if error_mass > 0 else None


def prefix_shares(lengths_S: Sequence[float]) -> list[float]:
    """Return the fraction of the whole before each step, in [0, 1). Shape (n,).

    Example:
        >>> prefix_shares([1, 1, 2])
        [0.0, 0.25, 0.5]
    """
    total = math.fsum(lengths_S)
    return [math.fsum(lengths_S[:k]) / total for k in range(len(lengths_S))]


AnyRTS = Annotated[HardRTS | ExpectedRTS | CertifiedRTS, Field(discriminator="type")]
"""One of the scores, selected by `type`."""
