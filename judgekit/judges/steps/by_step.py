"""What judges with a logit for every step have in common: encoding, refusals, and the posterior."""

from __future__ import annotations

import functools
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from judgekit.engines.checkpoint import locate_model
from judgekit.engines.scoring.encoded import Encoded, PassOptions
from judgekit.engines.scoring.load import check_sizes, load_tokenizer
from judgekit.errors import CheckpointError
from judgekit.judges.base import JudgeInfo
from judgekit.judges.card import JudgeCard, Opening
from judgekit.judges.steps.encoding import encode_solutions
from judgekit.judges.steps.layout import InputConvention, TemplateInput
from judgekit.judges.steps.specs import StepSpec
from judgekit.judges.steps.template import TemplateEncoder
from judgekit.text.neutralise import reserved_tokens
from judgekit.types import Judgement, NoVerdictReason, Precision, Solution, Verdict

logger = logging.getLogger(__name__)

CHARS_AT_ONCE = 1_000_000
"""Characters that are tokenised at once: what is too long for the judge then never adds up in memory."""
CPU_TOKENS = 2048
"""Most tokens of a forward pass on a CPU: larger ones are not faster there, and blocks of tens of MB, each of another
size, leave gaps in memory that nothing fills."""
PROGRESS_FROM = 100
"""Solutions in a batch from which a progress bar is shown."""


class StepLogitJudge(ABC):
    """A judge whose model gives every step a logit in one forward pass.

    Args:
        card: The judge's description.
        model: Its model.
        tokenizer: Its fast tokenizer.
        token_budget: Most tokens of one forward pass; on a CPU `CPU_TOKENS` where that is less.
        progress: Show a progress bar on batches of at least 100 solutions.
        neutralise: Keep candidates from acting as markup; off only to measure what that prevents.
    """

    spec: StepSpec
    """What the card says of its kind."""

    def __init__(
        self,
        card: JudgeCard,
        model: Any,
        tokenizer: Any,
        *,
        token_budget: int = 8192,
        progress: bool = True,
        neutralise: bool = True,
    ) -> None:
        self.card = card
        self.spec = card.spec_as(StepSpec)
        self.model = model
        self.tokenizer = tokenizer
        self.token_budget = token_budget
        self.progress = progress
        self.neutralise = neutralise
        self._template: TemplateEncoder | None = None
        layout = self.spec.input
        if not isinstance(layout, InputConvention):
            # Of another tokenizer the mark may be another token, which would be read without an error.
            self._template = TemplateEncoder(tokenizer, layout, neutralise=neutralise, chat_date=self.spec.chat_date)
            self._template.check_mark()

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Load weights and tokenizer of a judge.

        Raises:
            CheckpointError: the model or its tokenizer is missing, cannot be opened, or does not fit the card.
        """
        directory, card, of_hub = opening.directory, opening.card, opening.hub_only
        spec = card.spec_as(StepSpec)
        location = locate_model(directory, spec.model, revision=spec.revision, hub_only=of_hub)
        beside = spec.tokenizer is None
        tokenizer_at = location if beside else locate_model(directory, spec.tokenizer or ".", hub_only=of_hub)
        tokenizer = load_tokenizer(str(tokenizer_at))
        if card.assumes:
            logger.warning("%s: %s", card.judge_id, card.assumes)
        model = cls.borrow(opening) or cls.load_model(location, card, dtype=opening.dtype)
        layout, ids = spec.input, list[int]()
        if isinstance(layout, InputConvention):  # a layout of ids puts them in whatever the vocabulary is
            begin = [] if layout.bos_id is None else [layout.bos_id]
            ids = [*begin, *layout.problem_separator_ids, *layout.separator_ids]
        check_sizes(model, tokenizer, ids=ids)
        return cls(card, model, tokenizer, neutralise=opening.neutralise)

    @classmethod
    def borrow(cls, opening: Opening) -> Any | None:
        """Return the model that is lent for the opening where it is this judge's; `None` for most kinds."""
        return None

    @staticmethod
    @abstractmethod
    def load_model(location: Path, card: JudgeCard, *, dtype: Precision) -> Any:
        """Open the model in a checkpoint directory."""

    @functools.cached_property
    def info(self) -> JudgeInfo:
        """What it says of itself; `reserved` holds the tokenizer's reserved tokens and its template's own."""
        layout = self.spec.input
        own = (*layout.reserved, layout.mark.strip()) if isinstance(layout, TemplateInput) else ()
        return replace(
            self.card.declare(dtype="float32"),
            dtype=str(self.model.dtype).removeprefix("torch."),
            reserved=tuple(dict.fromkeys((*reserved_tokens(self.tokenizer), *own))),
        )

    @abstractmethod
    def step_logits(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """Return logit P(step ok | earlier steps ok) of each solution's steps. Shape (n_steps,) each."""

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch; what is blank or beyond the context, and what has no finite score, gets a reason."""
        start = time.perf_counter()
        reasons = [self._refusal(solution) for solution in solutions]
        read = [row for row, reason in enumerate(reasons) if reason is None]
        encoded, n_tokens = dict[int, Encoded](), [0] * len(solutions)
        for rows in _batches_of_text(solutions, read):
            for row, item in zip(rows, self.encode([solutions[row] for row in rows]), strict=True):
                n_tokens[row] = len(item.input_ids)
                if n_tokens[row] > self.max_tokens:
                    reasons[row] = NoVerdictReason.TOO_LONG
                elif item.positions_S[0] < 0:  # a step read before its mark, and nothing stands there
                    reasons[row] = NoVerdictReason.EMPTY
                else:
                    encoded[row] = item
        scorable = [row for row, reason in enumerate(reasons) if reason is None]
        verdicts = dict[int, Verdict]()
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are distinguished just below
            logits_N = self.step_logits([encoded[row] for row in scorable])
        for row, logits_S in zip(scorable, logits_N, strict=True):
            if np.isfinite(logits_S).all():
                verdicts[row] = Verdict.from_step_probs(probs_from_logits(logits_S))
            else:
                reasons[row] = NoVerdictReason.NON_FINITE
        seconds = (time.perf_counter() - start) / max(len(solutions), 1)
        return [
            Judgement(
                solution_id=solution.id,
                judge_id=self.card.judge_id,
                verdict=verdicts.get(row),
                no_verdict=reasons[row],
                n_tokens=n_tokens[row],
                seconds=seconds,
            )
            for row, solution in enumerate(solutions)
        ]

    def _refusal(self, solution: Solution) -> NoVerdictReason | None:
        """Refuse what need not be encoded to be refused: every step takes a token at least."""
        if solution.is_blank:
            return NoVerdictReason.EMPTY
        return NoVerdictReason.TOO_LONG if len(solution.steps) > self.max_tokens else None

    def encode(self, solutions: Sequence[Solution]) -> list[Encoded]:
        """Return token ids and score positions, one position a step, by the card's input convention."""
        if self._template is not None:
            return self._template.encode(solutions)
        assert isinstance(self.spec.input, InputConvention)
        return encode_solutions(self.tokenizer, solutions, self.spec.input, neutralise=self.neutralise)

    @functools.cached_property
    def max_tokens(self) -> int:
        """Longest input, in tokens: the card's, else the model's context."""
        longest = self.spec.input.max_tokens or getattr(self.model.config, "max_position_embeddings", None)
        if longest is None:
            raise CheckpointError(f"{self.spec.model} does not state its context: set input.max_tokens in the card")
        return int(longest)

    def engine_options(self, n_solutions: int) -> PassOptions:
        """Return what the engine is told about a batch of that many solutions."""
        on_cpu = getattr(self.model, "device", None) == torch.device("cpu")
        return {
            "token_budget": min(self.token_budget, CPU_TOKENS) if on_cpu else self.token_budget,
            "pad_id": self.tokenizer.pad_token_id or 0,
            "progress": self.progress and n_solutions >= PROGRESS_FROM,
        }


def _batches_of_text(solutions: Sequence[Solution], rows: Sequence[int]) -> Iterator[list[int]]:
    """Cut row indices into batches of at most `CHARS_AT_ONCE` characters; a longer solution stands alone."""
    batch, n_chars = list[int](), 0
    for row in rows:
        length = len(solutions[row].problem) + sum(map(len, solutions[row].steps))
        if batch and n_chars + length > CHARS_AT_ONCE:
            yield batch
            batch, n_chars = [], 0
        batch.append(row)
        n_chars += length
    if batch:
        yield batch


def probs_from_logits(logits_S: np.ndarray) -> list[float]:
    """Return sigmoid(logits) in float64, without overflow. Shape (n,)."""
    wide = np.asarray(logits_S, dtype=np.float64)
    return [float(prob) for prob in np.exp(-np.logaddexp(0.0, -wide))]
