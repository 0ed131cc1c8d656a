"""What judges that give every step a logit share: encoding, refusals, and the posterior."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from judgekit.judges.card import JudgeCard
from judgekit.judges.encoding import Encoded, encode_solutions
from judgekit.types import Judgement, NoVerdictReason, Solution, Verdict

PROGRESS_FROM = 100
"""Solutions in a batch from which a progress bar is shown."""


def judge_by_step(
    solutions: Sequence[Solution],
    *,
    card: JudgeCard,
    tokenizer: Any,
    step_logits: Callable[[list[Encoded]], list[np.ndarray]],
) -> list[Judgement]:
    """Judge a batch; solutions without steps or beyond the context get a reason instead of a verdict.

    Args:
        solutions: What to judge.
        card: Name, input convention and longest input of the judge.
        tokenizer: Its fast tokenizer.
        step_logits: From encoded solutions to logit P(step ok | earlier steps ok), one array of shape (n_steps,) each.
    """
    start = time.perf_counter()
    encoded_N = encode_solutions(tokenizer, solutions, card.input)
    reasons = [_refusal(solution, item, card) for solution, item in zip(solutions, encoded_N, strict=True)]
    scorable = [row for row, reason in enumerate(reasons) if reason is None]
    logits = step_logits([encoded_N[row] for row in scorable])
    verdicts = {
        row: Verdict.from_step_probs(probs_from_logits(logits_S))
        for row, logits_S in zip(scorable, logits, strict=True)
    }
    seconds = (time.perf_counter() - start) / max(len(solutions), 1)
    return [
        Judgement(
            solution_id=solution.id,
            judge_id=card.judge_id,
            verdict=verdicts.get(row),
            no_verdict=reasons[row],
            n_tokens=len(encoded_N[row].input_ids),
            seconds=seconds,
        )
        for row, solution in enumerate(solutions)
    ]


def _refusal(solution: Solution, encoded: Encoded, card: JudgeCard) -> NoVerdictReason | None:
    if not solution.steps:
        return NoVerdictReason.EMPTY
    return NoVerdictReason.TOO_LONG if len(encoded.input_ids) > card.input.max_tokens else None


def probs_from_logits(logits_S: np.ndarray) -> list[float]:
    """Return sigmoid(logits) in float64, without overflow. Shape (n,)."""
    wide = np.asarray(logits_S, dtype=np.float64)
    return [float(prob) for prob in np.exp(-np.logaddexp(0.0, -wide))]


__all__ = ["PROGRESS_FROM", "judge_by_step", "probs_from_logits"]
