"""The relative trajectory score: the valid prefix of a response as a share of the whole, read off a verdict.

Source:
    SGPO (2505.11595), RTS = length of the valid prefix / length of the whole. Its error at the fourth of five equal
    steps gives 3/5; an error at the first step gives 0. `no_error` is ours, because the paper is silent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.ties import first_largest, rounded
from judgekit.types import ArgmaxRule, ThresholdRule, Verdict


class RTS(BaseConfig):
    """What all of them share."""

    no_error: Literal["locate", "full", "unscored"] = "locate"
    """A wrong response in which the judge sees no error, or that is certified to its end. `locate`: the answer is
    known to be wrong, so condition the posterior on an error; `full`: RTS 1 (the paper's reading); `unscored`: no
    verdict."""

    def compute(
        self,
        verdict: Verdict,
        *,
        decision: ThresholdRule | ArgmaxRule,
        lengths_S: Sequence[float],
        min_survival: float = 1.0,
    ) -> float | None:
        """Return the valid prefix as a share of the whole response, or `None` where the verdict gives none.

        Args:
            verdict: First-error posterior over n steps.
            decision: The judge's rule.
            lengths_S: Length of each step in the unit wanted, >= 0, not all 0. Shape (n,).
            min_survival: What certifies a step, in [0, 1]; 1 certifies nothing.
        """
        if len(lengths_S) != verdict.n_steps:
            raise ValueError(f"{len(lengths_S)} lengths for a verdict over {verdict.n_steps} steps")
        first_error = self._first_error(verdict, decision=decision, min_survival=min_survival)
        if first_error is None and self.no_error == "full":
            return 1.0
        if first_error is None and (self.no_error == "unscored" or math.fsum(verdict.posterior[:-1]) == 0):
            return None
        if first_error is None:
            first_error = first_largest(verdict.posterior[:-1])
        return prefix_shares(lengths_S)[first_error]

    def _first_error(
        self, verdict: Verdict, *, decision: ThresholdRule | ArgmaxRule, min_survival: float
    ) -> int | None:
        raise NotImplementedError


class HardRTS(RTS):
    """Valid prefix up to the decided first error."""

    type: Literal["hard"] = "hard"
    """Tells the kinds apart."""

    def _first_error(
        self, verdict: Verdict, *, decision: ThresholdRule | ArgmaxRule, min_survival: float
    ) -> int | None:
        return verdict.decide(decision)


class CertifiedRTS(RTS):
    """Longest prefix that holds an error with probability at most the alpha of the judge's card, in a wrong response.

    The promise is about problems and policies like those the judge was calibrated on. The card needs a `conformal`
    section, which `judgekit calibrate` writes.
    """

    type: Literal["certified"] = "certified"
    """Tells the kinds apart."""

    def _first_error(
        self, verdict: Verdict, *, decision: ThresholdRule | ArgmaxRule, min_survival: float
    ) -> int | None:
        from judgekit.calibration.conformal import certified_steps  # needs numpy

        n_certified = certified_steps(verdict.posterior, min_survival=min_survival)
        return n_certified if n_certified < verdict.n_steps else None


class ExpectedRTS(RTS):
    """Mean of the valid prefix under the posterior."""

    type: Literal["expected"] = "expected"
    """Tells the kinds apart."""

    def compute(
        self,
        verdict: Verdict,
        *,
        decision: ThresholdRule | ArgmaxRule,
        lengths_S: Sequence[float],
        min_survival: float = 1.0,
    ) -> float | None:
        """Return the expected valid prefix as a share of the whole response; see `RTS.compute`."""
        if len(lengths_S) != verdict.n_steps:
            raise ValueError(f"{len(lengths_S)} lengths for a verdict over {verdict.n_steps} steps")
        error_mass = math.fsum(verdict.posterior[:-1])
        shares = zip(verdict.posterior[:-1], prefix_shares(lengths_S), strict=True)
        expected = math.fsum(prob * share for prob, share in shares)
        # Rounded, as equal responses get the same sums in another order and a group of them must be constant.
        if self.no_error == "full":
            return rounded(expected + verdict.p_none)
        return rounded(expected / error_mass) if error_mass > 0 else None


def prefix_shares(lengths_S: Sequence[float]) -> list[float]:
    """Return what share of the whole lies before each step, in [0, 1). Shape (n,).

    Example:
        >>> prefix_shares([1, 1, 2])
        [0.0, 0.25, 0.5]
    """
    total = math.fsum(lengths_S)
    return [math.fsum(lengths_S[:k]) / total for k in range(len(lengths_S))]


AnyRTS = Annotated[HardRTS | ExpectedRTS | CertifiedRTS, Field(discriminator="type")]
"""One of the scores, by `type`."""

__all__ = ["RTS", "AnyRTS", "CertifiedRTS", "ExpectedRTS", "HardRTS", "prefix_shares"]
