"""Process rewards implied by two language models: one trained on outcomes, and its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from judgekit.engines.checkpoint import locate_model
from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.forward import token_logprobs
from judgekit.engines.scoring.load import check_sizes, load_scorer
from judgekit.errors import CheckpointError
from judgekit.judges.card import JudgeCard, Opening
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.judges.steps.specs import ImplicitSpec
from judgekit.types import Precision


class ImplicitJudge(StepLogitJudge):
    """Reads the cumulated log-ratio of two language models at the end of every step."""

    spec: ImplicitSpec
    reference_model: Any

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Load both language models; see `StepLogitJudge.open`.

        Raises:
            CheckpointError: see `StepLogitJudge.open`; or the two vocabularies differ in size.
        """
        judge = super().open(opening)
        reference = locate_model(opening.directory, judge.spec.reference, hub_only=opening.hub_only)
        judge.reference_model = cls.load_model(reference, opening.card, dtype=opening.dtype)
        check_sizes(judge.reference_model, judge.tokenizer)
        sizes = [model.get_output_embeddings().weight.shape[0] for model in (judge.model, judge.reference_model)]
        if sizes[0] != sizes[1]:
            raise CheckpointError(
                f"{judge.spec.model} has {sizes[0]} tokens, but its reference {judge.spec.reference} {sizes[1]}: "
                "an implicit judge needs the reference that it was trained from"
            )
        return judge

    @staticmethod
    def load_model(location: Path, card: JudgeCard, *, dtype: Precision) -> Any:
        """Open a language model; see `load_scorer`."""
        return load_scorer(str(location), dtype=dtype)

    def step_logits(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """Return the scaled log-ratio up to each step's end. Shape (n_steps,) each."""
        options = self.engine_options(len(encoded_N))
        encoded_N = [counted_from(encoded, self.spec.n_lead_tokens) for encoded in encoded_N]
        own_N = token_logprobs(self.model, encoded_N, **options)
        reference_N = token_logprobs(self.reference_model, encoded_N, **options)
        return [
            self.spec.coefficient * cumulated_at_steps(encoded, own - reference)
            for encoded, own, reference in zip(encoded_N, own_N, reference_N, strict=True)
        ]


def counted_from(encoded: Encoded, n_lead_tokens: int) -> Encoded:
    """Let the last tokens of the problem count among those behind it; the first token never does, nothing precedes it.

    Example:
        >>> counted_from(Encoded([9, 8, 1], [2], n_problem_tokens=2), 1).n_problem_tokens
        1
    """
    return replace(encoded, n_problem_tokens=max(encoded.n_problem_tokens - n_lead_tokens, 1))


def cumulated_at_steps(encoded: Encoded, values_T: np.ndarray) -> np.ndarray:
    """Return the sum of the values of all tokens behind the problem up to each score position.

    Args:
        encoded: Token ids with one score position a step.
        values_T: One value for each token behind the problem. Shape (n_tokens - n_problem_tokens,).

    Returns:
        Shape (n_steps,). 0 for a step that is read before any such token.

    Example:
        >>> cumulated_at_steps(Encoded([9, 1, 2, 3], [2, 3], n_problem_tokens=1), np.array([1.0, 2.0, 4.0])).tolist()
        [3.0, 7.0]
    """
    cumulated = np.concatenate([[0.0], np.cumsum(np.asarray(values_T, dtype=np.float64))])
    return cumulated[np.maximum(np.asarray(encoded.positions_S) - encoded.n_problem_tokens + 1, 0)]
