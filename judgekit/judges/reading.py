"""The reading score of a judge: how much its trust in correct solutions depends on the problem that they answer.

`judgekit attack` measures it and, on request, stores it in the judge's card. Imports nothing heavy.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from judgekit.calibration.card import Fingerprint

STYLE_BOUND = 0.6
"""A judge whose interval ends below this AUC does not react to a changed problem: next to two solutions, one of them to
another problem, it prefers the correct one in fewer than 6 of 10 cases, where a coin does in 5."""


class ReadingScore(BaseModel):
    """How well P(no error) separates correct solutions with their own problem from the same with a changed one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auc: float = Field(ge=0, le=1)
    """Area under the ROC curve, the mean over `tests`: 0.5 for a judge that does not look at the problem."""
    lo: float | None
    """Lower end of the 95 % interval over problems; `null` if all solutions are of one problem."""
    hi: float | None
    """Upper end."""
    tests: dict[str, float]
    """What was changed, and the AUC of it alone."""
    fingerprint: Fingerprint
    """The correct solutions that it was measured on."""

    @property
    def value(self) -> float:
        """The AUC, by the name that figures with an interval have."""
        return self.auc

    @property
    def words(self) -> str:
        """What the figure says, in a sentence without its full stop."""
        if self.lo is None or self.hi is None:
            return "not measured: all solutions belong to one problem"
        if self.hi < 1 - STYLE_BOUND:
            return "trusts correct solutions more with a changed problem: it is reversed"
        if self.hi < STYLE_BOUND:
            return f"does not react to a changed problem (AUC below {STYLE_BOUND}): a style detector"
        if self.lo > 0.5:
            return "reacts to a changed problem"
        return "no evidence that it reacts to a changed problem: measure it on more correct solutions"
