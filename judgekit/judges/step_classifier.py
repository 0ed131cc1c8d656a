"""The judge we train: a token-classification model read at step ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from judgekit.engines.transformers_engine import load_classifier, score_positions
from judgekit.judges.by_step import StepLogitJudge
from judgekit.judges.encoding import Encoded
from judgekit.types import Precision


class StepClassifierJudge(StepLogitJudge):
    """Reads a token-classification model with two labels at the last token of every step's separator."""

    @staticmethod
    def load_model(location: str, *, dtype: Precision) -> Any:
        """Open the classifier; see `load_classifier`."""
        return load_classifier(location, dtype=dtype)

    def step_logits(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """Return the right label's logit less the wrong one's. Shape (n_steps,) each."""
        ok = self.card.ok_index
        logits = score_positions(self.model, encoded_N, **self.engine_options(len(encoded_N)))
        return [logits_S[:, ok] - logits_S[:, 1 - ok] for logits_S in logits]


__all__ = ["StepClassifierJudge"]
