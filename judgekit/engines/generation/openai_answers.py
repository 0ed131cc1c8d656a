"""Reads the answers of OpenAI-compatible servers, and trusts nothing that they do not show.

A reader raises `ValueError`, `KeyError`, `TypeError` and similar for an answer with missing or wrong content, which the
HTTP client counts as damaged and requests again, and `TryError` for an answer that reports a failure.

Source:
    OpenAI's API reference, `/completions` and `/chat/completions`; vLLM's request classes of the same routes for
    `structured_outputs` (instead of `guided_choice` since 0.12) and `return_tokens_as_token_ids`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from judgekit.engines.generation.base import Completion
from judgekit.engines.http.client import Request, TryError

CHAT = "chat/completions"
"""Route of conversations."""
TEXT = "completions"
"""Route of texts that are continued."""
_MOST_TOKENS = 10**9
_SUM_TOLERANCE = 1e-2
"""How far listed probabilities may exceed a sum of 1: servers round."""


class Usage(NamedTuple):
    """Tokens that an answer says it cost."""

    n_prompt_tokens: int
    """Tokens read; 0 if the server does not tell."""
    n_tokens: int
    """Tokens sampled; 0 if the server does not tell."""


def parse_usage(answer: Any) -> Usage:
    """Read the token counts, which a server may leave out.

    Raises:
        ValueError: a count is not an integer, negative or absurd.
    """
    usage = answer.get("usage") or {}
    return Usage(_parse_count(usage, "prompt_tokens"), _parse_count(usage, "completion_tokens"))


def check_model(answer: Any, *, model: str) -> None:
    """Refuse an answer that another model gave; one that names no model passes.

    Raises:
        TryError: the answer names another model.
    """
    answered = answer.get("model")
    if answered not in (None, model):
        raise TryError(f"model {answered!r} answered instead of {model!r}"[:300], kind="wrong_model")


def parse_completion(answer: Any, request: Request, usage: Usage, cost_usd: float | None) -> Completion:
    """Read the one completion of an answer.

    An empty text is believed where the server counts a token for it: the model may end at once.

    Raises:
        TryError: the server ended the completion in another way than the model or its limit, or the model refused.
    """
    choice = _one_choice(answer)
    text, reason = _text(choice, request), choice["finish_reason"]
    if not isinstance(text, str | None) or not isinstance(reason, str):
        raise ValueError("text or finish_reason has a wrong type")
    if reason not in ("stop", "length"):
        raise TryError(f"the server ended with {reason!r}"[:300], kind="refused", again=False)
    if text is None and reason == "stop":
        raise TryError("the answer has no text", kind="refused", again=False)
    if not text and not usage.n_tokens:
        raise ValueError("the text is empty and no token was sampled")
    choices = request.body.get("structured_outputs", {}).get("choice")
    if choices is not None and reason == "stop" and text not in choices:
        raise ValueError(f"the text is not one of the {len(choices)} choices")
    return Completion(
        (text or "").encode("utf-8", "replace").decode(),  # JSON can spell half a character, which no file can hold
        "stop" if reason == "stop" else "length",
        n_tokens=usage.n_tokens,
        n_prompt_tokens=usage.n_prompt_tokens,
        cost_usd=cost_usd,
    )


def parse_choice_logprobs(answer: Any, request: Request, *, labels: Sequence[str]) -> tuple[float, ...]:
    """Read the log-probability of each label among the most probable first tokens.

    Args:
        answer: Decoded JSON.
        request: What was asked; its route says how probabilities are spelled.
        labels: First tokens as the server spells them: text, or `token_id:<id>`.

    Returns:
        Log-probabilities, nats, at most 0. Shape (labels,).

    Raises:
        TryError: the server lists no probabilities, or not that of a label.
    """
    logprobs = _one_choice(answer).get("logprobs")
    if logprobs is None:
        raise TryError("the server returns no log-probabilities", kind="no_logprobs", again=False)
    if request.path == CHAT:
        listed = {entry["token"]: entry["logprob"] for entry in logprobs["content"][0]["top_logprobs"]}
    else:
        listed = dict(logprobs["top_logprobs"][0])
    found = {label: _parse_logprob(listed[label]) for label in labels if label in listed}
    if math.fsum(map(math.exp, found.values())) > 1 + _SUM_TOLERANCE:
        raise ValueError("the probabilities of the choices exceed 1")
    missing = [label for label in labels if label not in found]
    if missing:
        reason = f"the {len(listed)} most probable tokens that the server lists do not include {missing[0]!r}"
        raise TryError(reason, kind="unlisted_choice", again=False)
    return tuple(found[label] for label in labels)


def _one_choice(answer: Any) -> Any:
    choices = answer["choices"]
    if not isinstance(choices, list) or len(choices) != 1:
        raise ValueError("one choice was requested, but the answer does not have exactly one")
    return choices[0]


def _text(choice: Any, request: Request) -> Any:
    if request.path != CHAT:
        return choice["text"]
    message = choice["message"]
    if message.get("refusal"):
        raise TryError(f"the model refused: {message['refusal']}"[:300], kind="refused", again=False)
    return message["content"]


def _parse_count(usage: Any, name: str) -> int:
    count = usage.get(name)
    if count is None:
        return 0
    if type(count) is not int or not 0 <= count < _MOST_TOKENS:  # a bool is an int
        raise ValueError(f"{name} is {str(count)[:40]}")
    return count


def _parse_logprob(logprob: Any) -> float:
    if type(logprob) not in (int, float) or not math.isfinite(logprob) or logprob > _SUM_TOLERANCE:
        raise ValueError(f"{str(logprob)[:40]} is not a log-probability")
    return min(float(logprob), 0.0)
