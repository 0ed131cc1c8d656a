"""What a judge says of itself beside its verdicts, and the one base of judges that stand in front of another one.

A judge needs a name, a rule and `judge`; everything else that it may declare is a field of `JudgeTraits`, an attribute
of the same name. What asks for any of it calls `traits_of`, so that whatever stands around a judge (a calibrator, a
store, a service, other processes) passes on all of it or changes it by name: nothing is lost on the way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from judgekit.calibration.card import ConformalCard, Fingerprint
from judgekit.types import ArgmaxRule, Judge, Judgement, Solution, ThresholdRule


@dataclass(frozen=True)
class JudgeTraits:
    """What a judge says of itself."""

    judge_id: str
    """Name that tells it from others in results."""
    decision: ThresholdRule | ArgmaxRule
    """The rule that turns its posterior into one index."""
    deterministic: bool = False
    """Whether the same solution always gets the same verdict."""
    dtype: str | None = None
    """Precision of its weights; `None` where it has none here."""
    fingerprint: Fingerprint | None = None
    """The data that its probabilities were fitted on; `None` where nothing was fitted, or it is unsaid."""
    conformal: ConformalCard | None = None
    """Conformal thresholds for its verdicts; `None` where it has none."""


def traits_of(judge: Judge) -> JudgeTraits:
    """Return what a judge says of itself; where it says nothing, what the judge that it holds as `inner` says.

    Example:
        >>> from judgekit.judges import load_judge
        >>> traits_of(load_judge("builtin:random")).deterministic
        True
    """
    inner: Judge | None = getattr(judge, "inner", None)
    under = JudgeTraits(judge.judge_id, judge.decision) if inner is None else traits_of(inner)
    own: dict[str, Any] = {field.name: getattr(judge, field.name, None) for field in fields(JudgeTraits)}
    return JudgeTraits(**{name: getattr(under, name) if value is None else value for name, value in own.items()})


def reserved_of(judge: Judge) -> tuple[str, ...]:
    """Return what a judge keeps for itself in candidates' texts: reserved tokens, tags, verdicts; often nothing."""
    found: Sequence[str] | None = getattr(judge, "reserved", None)
    inner: Judge | None = getattr(judge, "inner", None)
    if found is None:
        found = () if inner is None else reserved_of(inner)
    return tuple(dict.fromkeys(found))


class WrappedJudge(ABC):
    """A judge that speaks for another one: declares what that one declares, but for what it changes.

    Args:
        traits: What it says of itself.
        inner: The judge that it asks; `None` where that one is elsewhere or not open yet.
    """

    def __init__(self, traits: JudgeTraits, inner: Judge | None = None) -> None:
        self.traits = traits
        self.inner = inner

    @property
    def judge_id(self) -> str:
        """Name in results."""
        return self.traits.judge_id

    @property
    def decision(self) -> ThresholdRule | ArgmaxRule:
        """The rule that turns a posterior into one index."""
        return self.traits.decision

    @property
    def deterministic(self) -> bool:
        """Whether the same solution always gets the same verdict."""
        return self.traits.deterministic

    @property
    def dtype(self) -> str | None:
        """Precision of the weights; `None` where there are none here."""
        return self.traits.dtype

    @property
    def fingerprint(self) -> Fingerprint | None:
        """The data that the probabilities were fitted on; `None` where nothing was fitted, or it is unsaid."""
        return self.traits.fingerprint

    @property
    def conformal(self) -> ConformalCard | None:
        """Conformal thresholds for the verdicts; `None` where there are none."""
        return self.traits.conformal

    @property
    def reserved(self) -> tuple[str, ...]:
        """What the judge keeps for itself in candidates' texts."""
        return () if self.inner is None else reserved_of(self.inner)

    @abstractmethod
    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch. The answer has the same length and order."""


__all__ = ["JudgeTraits", "WrappedJudge", "reserved_of", "traits_of"]
