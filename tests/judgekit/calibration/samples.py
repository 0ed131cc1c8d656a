"""Made-up judges of which the truth is known: solutions whose steps go wrong with known probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judgekit.calibration.split import CalibrationSplit
from judgekit.types import Verdict

Floats = NDArray[np.float64]


class MadeUp(NamedTuple):
    """Verdicts with their true first errors."""

    verdicts: list[Verdict]
    gold: list[int | None]
    problems: list[str]

    @property
    def split(self) -> CalibrationSplit:
        return CalibrationSplit.of(self.verdicts, gold_N=self.gold, problem_ids_N=self.problems)


def make_up(stated: Callable[[Floats], Floats], *, n: int, seed: int = 0, copies: int = 2) -> MadeUp:
    """Return n solutions of 2 to 9 steps; the judge, who knows the true logits of the steps, says `stated` of them."""
    rng = np.random.default_rng(seed)
    made = MadeUp([], [], [])
    for row in range(n):
        true_logits_S = rng.normal(2.0, 1.5, rng.integers(2, 10))
        wrong_S = rng.random(len(true_logits_S)) > sigmoid(true_logits_S)
        made.verdicts.append(Verdict.from_step_probs(sigmoid(stated(true_logits_S)).tolist()))
        made.gold.append(int(np.argmax(wrong_S)) if wrong_S.any() else None)
        made.problems.append(f"p{row // copies}")
    return made


def sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)))


def log_loss(probs: Floats, y: Floats) -> float:
    return float(-np.mean(y * np.log(probs) + (1 - y) * np.log(1 - probs)))
