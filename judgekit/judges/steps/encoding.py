"""From solutions to token ids with one score position per step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from judgekit.engines.scoring.encoded import Encoded
from judgekit.errors import ConfigError
from judgekit.judges.steps.layout import InputConvention
from judgekit.types import Solution


def make_convention(tokenizer: Any, *, separator: str, problem_separator: str, max_tokens: int) -> InputConvention:
    """Fix the input convention of a tokenizer: encode the separators once, by themselves.

    Raises:
        ConfigError: the separator encodes to nothing.
    """
    separator_ids = _candidate_ids(tokenizer, [separator], neutralise=True)[0]
    if not separator_ids:
        raise ConfigError(f"the separator {separator!r} gives no token with this tokenizer: choose another")
    return InputConvention(
        separator=separator,
        separator_ids=tuple(separator_ids),
        problem_separator_ids=tuple(_candidate_ids(tokenizer, [problem_separator], neutralise=True)[0]),
        bos_id=tokenizer.bos_token_id if getattr(tokenizer, "add_bos_token", False) else None,
        max_tokens=max_tokens,
    )


def encode_solutions(
    tokenizer: Any, solutions: Sequence[Solution], convention: InputConvention, *, neutralise: bool = True
) -> list[Encoded]:
    """Encode solutions by the ids layout; n steps in gives n positions out, whatever the text holds.

    Args:
        tokenizer: A fast tokenizer.
        solutions: Problems and steps.
        convention: The layout.
        neutralise: Encode reserved tokens in candidates as plain text; off only to measure what that prevents.
    """
    texts = [text for solution in solutions for text in (solution.problem, *solution.steps)]
    ids = iter(_candidate_ids(tokenizer, texts, neutralise=neutralise))
    return [_encode(next(ids), [next(ids) for _ in solution.steps], convention) for solution in solutions]


def _encode(problem_ids: list[int], step_ids_S: list[list[int]], convention: InputConvention) -> Encoded:
    input_ids = [] if convention.bos_id is None else [convention.bos_id]
    input_ids += [*problem_ids, *convention.problem_separator_ids]
    n_problem_tokens = len(input_ids)
    positions_S = []
    for step_ids in step_ids_S:
        input_ids += [*step_ids, *convention.separator_ids]
        positions_S.append(len(input_ids) - 1)
    return Encoded(input_ids, positions_S, n_problem_tokens)


def _candidate_ids(tokenizer: Any, texts: Sequence[str], *, neutralise: bool) -> list[list[int]]:
    """Encode texts so that reserved tokens inside them are plain characters."""
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(
        list(texts), add_special_tokens=False, split_special_tokens=neutralise, verbose=False
    ).input_ids
    return ids


def show_encoded(tokenizer: Any, encoded: Encoded) -> str:
    """Decode an example for people, with `⟦k⟧` behind the token at which step k is read."""
    pieces, start = [], 0
    for step, position in enumerate(encoded.positions_S):
        pieces.append(tokenizer.decode(encoded.input_ids[start : position + 1]) + f"⟦{step}⟧")
        start = position + 1
    return "".join(pieces) + tokenizer.decode(encoded.input_ids[start:])
