"""The judge we train: a token-classification model read at step ends."""

from __future__ import annotations

import time
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
from judgekit.judges.card import JudgeCard
from judgekit.judges.encoding import Encoded, encode_solutions
from judgekit.types import ArgmaxRule, Judgement, NoVerdictReason, Solution, ThresholdRule, Verdict


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
        start = time.perf_counter()
        encoded_N = encode_solutions(self.tokenizer, solutions, self.card.input)
        reasons = [self._refusal(solution, item) for solution, item in zip(solutions, encoded_N, strict=True)]
        scorable = [row for row, reason in enumerate(reasons) if reason is None]
        logits = score_positions(
            self.model,
            [encoded_N[row] for row in scorable],
            token_budget=self.token_budget,
            pad_id=self.tokenizer.pad_token_id or 0,
            progress=self.progress and len(scorable) >= 100,
        )
        verdicts = {row: self._verdict(item) for row, item in zip(scorable, logits, strict=True)}
        seconds = (time.perf_counter() - start) / max(len(solutions), 1)
        return [
            Judgement(
                solution_id=solution.id,
                judge_id=self.judge_id,
                verdict=verdicts.get(row),
                no_verdict=reasons[row],
                n_tokens=len(encoded_N[row].input_ids),
                seconds=seconds,
            )
            for row, solution in enumerate(solutions)
        ]

    def _refusal(self, solution: Solution, encoded: Encoded) -> NoVerdictReason | None:
        if not solution.steps:
            return NoVerdictReason.EMPTY
        return NoVerdictReason.TOO_LONG if len(encoded.input_ids) > self.card.input.max_tokens else None

    def _verdict(self, logits_S: np.ndarray) -> Verdict:
        ok = self.card.ok_index
        return Verdict.from_step_probs(probs_from_logits(logits_S[:, ok] - logits_S[:, 1 - ok]))


def probs_from_logits(logits_S: np.ndarray) -> list[float]:
    """Return sigmoid(logits) in float64, without overflow. Shape (n,)."""
    wide = np.asarray(logits_S, dtype=np.float64)
    return [float(prob) for prob in np.exp(-np.logaddexp(0.0, -wide))]


__all__ = ["StepClassifierJudge", "probs_from_logits"]
