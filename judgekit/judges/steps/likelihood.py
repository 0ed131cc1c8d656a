"""A judge from any causal language model: a step is suspect if its tokens surprise the model.

P(step ok | earlier steps ok) is a logistic function of the largest and the mean surprisal of the step's tokens, given
the problem and the earlier steps. Two weights and a bias are fitted on labelled solutions, so it needs few labels; it
knows what the language model knows, and mistakes unusual wording for an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.forward import token_logprobs
from judgekit.engines.scoring.load import load_scorer
from judgekit.judges.card import JudgeCard
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.judges.steps.specs import LikelihoodSpec
from judgekit.types import Precision


class LikelihoodJudge(StepLogitJudge):
    """Maps a causal language model's surprise at a step's tokens to P(step ok)."""

    spec: LikelihoodSpec

    @staticmethod
    def load_model(location: Path, card: JudgeCard, *, dtype: Precision) -> Any:
        """Open the language model; see `load_scorer`."""
        return load_scorer(str(location), dtype=dtype)

    def features(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """Return largest and mean surprisal of each step's tokens, nats; separators are left out, an empty step has 0.

        Shape (n_steps, 2) each.
        """
        logprobs = token_logprobs(self.model, encoded_N, **self.engine_options(len(encoded_N)))
        n_separator = len(self.spec.input.separator_ids)
        return [step_surprisal(encoded, -row, n_separator) for encoded, row in zip(encoded_N, logprobs, strict=True)]

    def step_logits(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """Return the fitted map's logits. Shape (n_steps,) each."""
        fitted = self.spec.fitted
        weights = np.array([fitted.max_weight, fitted.mean_weight])
        return [fitted.bias + features_S @ weights for features_S in self.features(encoded_N)]


def step_surprisal(encoded: Encoded, surprisal_T: np.ndarray, n_separator: int) -> np.ndarray:
    """Return largest and mean surprisal of each step's tokens.

    Args:
        encoded: Token ids with one score position a step.
        surprisal_T: -log p of each token behind the problem, nats. Shape (n_tokens - n_problem_tokens,).
        n_separator: Tokens of the separator behind each step; left out.

    Returns:
        Shape (n_steps, 2). 0 for a step without tokens.
    """
    rows, start = [], 0
    for position in encoded.positions_S:
        end = position + 1 - encoded.n_problem_tokens
        step = surprisal_T[start : end - n_separator]
        rows.append((float(step.max()), float(step.mean())) if len(step) else (0.0, 0.0))
        start = end
    return np.array(rows, dtype=np.float64)
