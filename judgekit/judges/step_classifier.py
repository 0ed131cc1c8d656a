"""The judge we train: a token-classification model read at step ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from judgekit.engines.transformers_engine import (
    Precision,
    load_classifier,
    load_tokenizer,
    model_location,
    score_positions,
)
from judgekit.judges.by_step import PROGRESS_FROM, judge_by_step
from judgekit.judges.card import JudgeCard
from judgekit.judges.encoding import Encoded
from judgekit.types import ArgmaxRule, Judgement, Solution, ThresholdRule


class StepClassifierJudge:
    """Scores every step of a solution in one forward pass.

    Args:
        card: The judge's description.
        model: Token-classification model with two labels.
        tokenizer: Its fast tokenizer.
        token_budget: Most tokens of one padded batch.
        progress: Show a progress bar on batches of at least 100 solutions.
    """

    def __init__(
        self, card: JudgeCard, model: Any, tokenizer: Any, *, token_budget: int = 8192, progress: bool = True
    ) -> None:
        self.card = card
        self.model = model
        self.tokenizer = tokenizer
        self.token_budget = token_budget
        self.progress = progress

    @classmethod
    def open(cls, directory: Path, card: JudgeCard, *, dtype: Precision = "float32") -> Self:
        """Load weights and tokenizer of a judge directory.

        Raises:
            CheckpointError: see `load_classifier` and `model_location`.
        """
        location = model_location(directory, card.model)
        return cls(card, load_classifier(location, dtype=dtype), load_tokenizer(location))

    @property
    def judge_id(self) -> str:
        """Name in results."""
        return self.card.judge_id

    @property
    def decision(self) -> ThresholdRule | ArgmaxRule:
        """Rule stored in the card."""
        return self.card.decision

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch; solutions without steps or beyond the context get a reason instead of a verdict."""
        return judge_by_step(solutions, card=self.card, tokenizer=self.tokenizer, step_logits=self._step_logits)

    def _step_logits(self, encoded_N: list[Encoded]) -> list[np.ndarray]:
        logits = score_positions(
            self.model,
            encoded_N,
            token_budget=self.token_budget,
            pad_id=self.tokenizer.pad_token_id or 0,
            progress=self.progress and len(encoded_N) >= PROGRESS_FROM,
        )
        ok = self.card.ok_index
        return [logits_S[:, ok] - logits_S[:, 1 - ok] for logits_S in logits]


__all__ = ["StepClassifierJudge"]
