"""The interface of every judge: its description and `judge`; and the base class of judges that wrap another one.

Everything about a judge besides its verdicts is a field of `JudgeInfo`. A judge that wraps another one (a calibrator, a
store, a service, other processes) passes the whole of it on, or changes fields by name with `dataclasses.replace`, so
nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from judgekit.calibration.card import ConformalCard, Fingerprint
from judgekit.judges.reading import ReadingScore
from judgekit.types import ArgmaxRule, Judgement, Solution, ThresholdRule


@dataclass(frozen=True)
class JudgeInfo:
    """What a judge says of itself."""

    judge_id: str
    """Name that tells it from others in results."""
    decision: ThresholdRule | ArgmaxRule
    """The rule that turns its posterior into one index."""
    kind: str | None = None
    """Kind of its card; `None` of judges that have no card, or none here."""
    deterministic: bool = False
    """Whether the same solution always gets the same verdict."""
    dtype: str | None = None
    """Precision of its weights; `None` if it has none here."""
    fingerprint: Fingerprint | None = None
    """The data that its probabilities were fitted on; `None` if nothing was fitted, or it is unsaid."""
    conformal: ConformalCard | None = None
    """Conformal thresholds for its verdicts; `None` if it has none."""
    reading: ReadingScore | None = None
    """How far its verdicts depend on the problem; `None` if nobody has stored that, or it is unsaid."""
    needs_reference: bool | None = None
    """Whether it has no verdict on a solution without a reference; `None` if only the opened judge knows, or it is
    unsaid."""
    reserved: tuple[str, ...] | None = ()
    """What it keeps for itself in candidates' texts: reserved tokens, tags, verdicts. `None` if only the opened
    judge knows."""
    usd_per_mtok: tuple[float, float] | None = None
    """What a million tokens of prompt and of answer cost, in US dollars; `None` if it is unsaid or runs here."""
    members: tuple[str, ...] = ()
    """Ids of the judges that it asks, in this order; empty if it asks none, or does not say."""
    relative_cost: float | None = None
    """What a solution costs on average, as a share of asking the last member about all of them, as calibration has
    found; `None` of a judge that asks all its members, and where it is unsaid."""
    training: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What it was trained on and how, as its card says; empty if nothing was trained, or it is unsaid."""
    verdict_key: str | None = None
    """Id of all that its verdicts depend on, as a service says it of the judge behind it, see
    `judgekit.judges.stored.verdict_key`; `None` of a judge that is opened here, or where the service does not say."""


@runtime_checkable
class Judge(Protocol):
    """Anything that reads solutions and returns one judgement for each."""

    @property
    def info(self) -> JudgeInfo:
        """What it says of itself."""

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch. The answer has the same length and order."""


class WrappedJudge:
    """A judge that speaks for another one; by itself it changes what that one says of itself, and no verdict.

    Args:
        inner: The judge that it asks; `None` if that one is elsewhere or not open yet.
        info: What it says of itself: the `info` of that judge, but for what it changes.
    """

    def __init__(self, inner: Judge | None, info: JudgeInfo) -> None:
        self.inner = inner
        self.info = info

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch. The answer has the same length and order."""
        if self.inner is None:
            raise NotImplementedError(f"{type(self).__name__} wraps no judge, so it must implement `judge`")
        return self.inner.judge(solutions)


class LazyJudge(WrappedJudge):
    """A judge that is opened when it is first asked: one that nobody asks never is.

    Args:
        info: What is known of it before.
        load: Opens it.
    """

    def __init__(self, info: JudgeInfo, load: Callable[[], Judge]) -> None:
        super().__init__(None, info)
        self._load = load

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch; opens the judge, where it is not open yet."""
        if self.inner is None:
            self.inner = self._load()
            self.info = self.inner.info
        return self.inner.judge(solutions)
