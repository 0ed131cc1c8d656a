"""Wraps any judge with a calibrator: the verdict is mapped, everything else is unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from judgekit.calibration.calibrators import Calibrator
from judgekit.calibration.card import ConformalCard, Fingerprint
from judgekit.judges.base import Judge, WrappedJudge
from judgekit.types import Judgement, Solution


class CalibratedJudge(WrappedJudge):
    """Applies a fitted calibrator to the verdicts of another judge, whose rule is stated for calibrated probabilities.

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
        super().__init__(judge, replace(judge.info, fingerprint=fingerprint, conformal=conformal))
        self.uncalibrated = judge
        self.calibrator = calibrator

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch with the inner judge and calibrate its verdicts."""
        return [self.calibrate(judgement) for judgement in self.uncalibrated.judge(solutions)]

    def calibrate(self, judgement: Judgement) -> Judgement:
        """Return a judgement of the inner judge with its verdict calibrated."""
        if judgement.verdict is None:
            return judgement
        return judgement.model_copy(update={"verdict": self.calibrator.calibrate(judgement.verdict)})
