"""Judges with a classification head read at step ends: ours, and public ones with their own heads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.forward import score_positions
from judgekit.engines.scoring.load import load_classifier, load_headed_model
from judgekit.engines.scoring.vllm import VllmClassifier
from judgekit.errors import CheckpointError
from judgekit.judges.card import JudgeCard
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.judges.steps.label_names import settle_ok_labels
from judgekit.judges.steps.specs import DEFAULT_OK_LABELS, StepClassifierSpec
from judgekit.types import Precision


class StepClassifierJudge(StepLogitJudge):
    """Reads the head's outputs at the score position of every step."""

    spec: StepClassifierSpec

    def __init__(self, card: JudgeCard, model: Any, tokenizer: Any, **options: Any) -> None:
        names = {name: getattr(model.config, name, None) for name in ("id2label", "label2id")}
        spec = card.spec_as(StepClassifierSpec)
        spec = spec.model_copy(update={"ok_labels": settle_ok_labels(card, names)})
        card = card.model_copy(update={"spec": spec})
        super().__init__(card, model, tokenizer, **options)

    @staticmethod
    def load_model(location: Path, card: JudgeCard, *, dtype: Precision) -> Any:
        """Open the classifier; see `VllmClassifier`, `load_classifier` and `load_headed_model`."""
        spec = card.spec_as(StepClassifierSpec)
        if spec.engine == "vllm":
            return VllmClassifier(str(location), dtype=dtype, max_tokens=spec.input.max_tokens)
        if spec.head is None:
            return load_classifier(str(location), dtype=dtype)
        return load_headed_model(location, head=spec.head, mean=spec.head_mean, dtype=dtype)

    def step_logits(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """Return log P(ok labels) - log P(other labels), or the one output of a head that has no labels."""
        options = self.engine_options(len(encoded_N))
        if isinstance(self.model, VllmClassifier):
            logits_N = self.model.score_positions(encoded_N, progress=options["progress"])
        else:
            logits_N = score_positions(self.model, encoded_N, **options)
        ok_labels = self.spec.ok_labels or DEFAULT_OK_LABELS  # settled when it was opened
        return [label_logits(logits_S, ok_labels) for logits_S in logits_N]


def label_logits(logits_S: np.ndarray, ok_labels: Sequence[int]) -> np.ndarray:
    """Return the logit of the ok labels' share of the softmax. Shape (n_steps,).

    Args:
        logits_S: The head's outputs. Shape (n_steps, n_labels); with one label it is a logit already.
        ok_labels: Labels that mean "no error".

    Raises:
        CheckpointError: an ok label is not one of the head's, or all of them are.

    Example:
        >>> label_logits(np.log([[1.0, 1.0, 2.0]]), (1, 2)).round(4).tolist()  # log(3 / 1)
        [1.0986]
    """
    if logits_S.shape[1] == 1:
        return logits_S[:, 0]
    is_ok = np.isin(np.arange(logits_S.shape[1]), ok_labels)
    if is_ok.all() or is_ok.sum() != len(set(ok_labels)):
        raise CheckpointError(f"ok_labels {list(ok_labels)} do not fit a head with {len(is_ok)} labels: fix the card")
    wide = logits_S.astype(np.float64)
    return np.logaddexp.reduce(wide[:, is_ok], axis=1) - np.logaddexp.reduce(wide[:, ~is_ok], axis=1)
