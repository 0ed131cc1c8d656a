"""Language models that rate every step by one of two next tokens, such as `+` and `-`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.forward import token_choice_logits
from judgekit.engines.scoring.load import load_scorer
from judgekit.errors import CheckpointError
from judgekit.judges.card import JudgeCard
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.judges.steps.specs import LabelTokenSpec
from judgekit.types import Precision


class LabelTokenJudge(StepLogitJudge):
    """Compares the logits of two next tokens at the score position of every step, all steps in one forward pass."""

    spec: LabelTokenSpec

    @staticmethod
    def load_model(location: Path, card: JudgeCard, *, dtype: Precision) -> Any:
        """Open the language model; see `load_scorer`."""
        return load_scorer(str(location), dtype=dtype)

    def step_logits(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """Return the ok token's logit less the error token's. Shape (n_steps,) each."""
        options = self.engine_options(len(encoded_N))
        labels = self.spec.label_tokens
        ok, error = label_token_id(self.tokenizer, labels.ok), label_token_id(self.tokenizer, labels.error)
        if ok == error:
            raise CheckpointError(
                f"both labels of {self.card.judge_id}, {labels.ok!r} and {labels.error!r}, are token {ok}"
            )
        logits_N = token_choice_logits(self.model, encoded_N, token_ids=(ok, error), **options)
        return [logits_S[:, 0] - logits_S[:, 1] for logits_S in logits_N]


def label_token_id(tokenizer: Any, label: int | str) -> int:
    """Return the token id of a label: the id itself, or the last token of a text.

    Raises:
        CheckpointError: the id is outside the vocabulary, or the text gives no token.
    """
    if isinstance(label, int):
        if not 0 <= label < len(tokenizer):
            raise CheckpointError(f"label token {label} lies outside the {len(tokenizer)} tokens of the tokenizer")
        return label
    ids = tokenizer(label, add_special_tokens=False).input_ids
    if not ids:
        raise CheckpointError(f"the label {label!r} gives no token with this tokenizer")
    return int(ids[-1])
