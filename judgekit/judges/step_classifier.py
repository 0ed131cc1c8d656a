"""The judge we train: a token-classification model read at step ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from judgekit.engines.transformers_engine import (
    Precision,
    load_classifier,
    load_tokenizer,
    model_location,
    score_positions,
)
from judgekit.judges.by_step import StepLogitJudge
from judgekit.judges.card import JudgeCard
from judgekit.judges.encoding import Encoded


class StepClassifierJudge(StepLogitJudge):
    """Reads a token-classification model with two labels at the last token of every step's separator."""

    @classmethod
    def open(cls, directory: Path, card: JudgeCard, *, dtype: Precision = "float32") -> Self:
        """Load weights and tokenizer of a judge directory.

        Raises:
            CheckpointError: see `load_classifier` and `model_location`.
        """
        location = model_location(directory, card.model)
        return cls(card, load_classifier(location, dtype=dtype), load_tokenizer(location))

    def step_logits(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """Return the right label's logit less the wrong one's. Shape (n_steps,) each."""
        ok = self.card.ok_index
        logits = score_positions(self.model, encoded_N, **self.engine_options(len(encoded_N)))
        return [logits_S[:, ok] - logits_S[:, 1 - ok] for logits_S in logits]


__all__ = ["StepClassifierJudge"]
