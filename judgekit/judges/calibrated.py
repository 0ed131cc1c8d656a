"""A calibrator around any judge: the verdict is mapped, everything else stays."""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.calibrators import Calibrator
from judgekit.judges.calibrator_card import ConformalCard, Fingerprint
from judgekit.types import ArgmaxRule, Judge, Judgement, Solution, ThresholdRule


class CalibratedJudge:
    """Applies a fitted calibrator to the verdicts of another judge.

    Args:
        judge: The judge inside.
        calibrator: Fitted to verdicts of this judge.
        fingerprint: What it was fitted on.
        conformal: Conformal thresholds for the calibrated verdicts, where there are some.
    """

    def __init__(
        self,
        judge: Judge,
        calibrator: Calibrator,
        *,
        fingerprint: Fingerprint,
        conformal: ConformalCard | None = None,
    ) -> None:
        self.inner = judge
        self.calibrator = calibrator
        self.fingerprint = fingerprint
        self.conformal = conformal

    @property
    def judge_id(self) -> str:
        """The inner judge's name."""
        return self.inner.judge_id

    @property
    def deterministic(self) -> bool:
        """Whether the inner judge says that it always gives the same verdict."""
        return getattr(self.inner, "deterministic", False)

    @property
    def dtype(self) -> str | None:
        """Precision of the inner judge's weights, where it has some."""
        return getattr(self.inner, "dtype", None)

    @property
    def decision(self) -> ThresholdRule | ArgmaxRule:
        """The inner judge's rule, which is stated for calibrated probabilities."""
        return self.inner.decision

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch with the inner judge and calibrate its verdicts."""
        return [self._calibrated(judgement) for judgement in self.inner.judge(solutions)]

    def _calibrated(self, judgement: Judgement) -> Judgement:
        if judgement.verdict is None:
            return judgement
        return judgement.model_copy(update={"verdict": self.calibrator.calibrate(judgement.verdict)})


__all__ = ["CalibratedJudge"]
