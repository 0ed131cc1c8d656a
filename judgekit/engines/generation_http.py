"""Completes prompts on an OpenAI-compatible server: one request a completion, many under way at once.

A request that stays without an answer is a failed completion with its reason, never an empty text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from judgekit.engines.generation import Completion, OpenAIGeneration, prompt_seed
from judgekit.engines.http_client import HttpClient, Request, TryError
from judgekit.errors import ConfigError
from judgekit.prompts import Prompt, render_text


class HttpGenerator:
    """See `judgekit.engines.generation.Generator`.

    Raises:
        CheckpointError: the tokenizer cannot be opened.
        ConfigError: the address is none, or the environment variable of the key is not set.
    """

    def __init__(self, config: OpenAIGeneration) -> None:
        self.config = config
        self._client = HttpClient(
            config.base_url, config, asked_for=f"model {config.model!r}", api_key_env=config.api_key_env
        )
        self._tokenizer: Any = None
        self._begin = ""
        if config.tokenizer is not None:
            from judgekit.engines.transformers_engine import load_tokenizer  # needs torch, which a server does not

            self._tokenizer = load_tokenizer(config.tokenizer)
            if self._tokenizer("").input_ids == [self._tokenizer.bos_token_id]:
                self._begin = self._tokenizer.bos_token  # a server that tokenizes with it adds one, too

    @property
    def generator_id(self) -> str:
        """Name of the model on the server."""
        return self.config.model

    def render(self, prompt: Prompt) -> str | None:
        """Return the text that the model reads, `None` where the server renders it."""
        if self._tokenizer is not None:
            return render_text(self._tokenizer, prompt)
        return prompt if isinstance(prompt, str) else None

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        n: int = 1,
        max_tokens: int,
        temperature: float | None = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> list[list[Completion]]:
        """See `Generator.generate`.

        Raises:
            ConfigError: a partial solution is to be continued and no tokenizer is configured.
            JudgeError: nothing answers at the address, key or model are refused, or too many requests in a row failed.
        """
        options = {
            "model": self.config.model,
            "max_tokens": max_tokens,
            "temperature": 0.0 if temperature is None else temperature,
            "top_p": top_p,
        }
        requests = []
        for prompt in prompts:
            path, body = self._request(prompt)
            base = prompt_seed(str(body), seed=seed)
            requests += [Request(path, options | body | {"seed": (base + sample) % 2**31}) for sample in range(n)]
        replies = self._client.post(requests, _parse_answer)
        answers = [reply.value or Completion("", "failed", failure=reply.failure) for reply in replies]
        return [answers[start : start + n] for start in range(0, len(answers), n)]

    def _request(self, prompt: Prompt) -> tuple[str, dict[str, Any]]:
        """Return route and prompt."""
        text = self.render(prompt)
        if text is not None:
            return "completions", {"prompt": text.removeprefix(self._begin)}
        assert not isinstance(prompt, str)
        if prompt[-1]["role"] == "assistant":
            raise ConfigError(
                f"{self.config.base_url}: a server cannot be relied upon to continue a partial solution in a "
                "conversation. Set generation.tokenizer to the model's tokenizer, and the text is rendered here"
            )
        return "chat/completions", {"messages": prompt}


def _parse_answer(answer: Any, _: Request) -> Completion:
    """Read the one choice of an answer.

    Raises:
        ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError: it does not hold what it must.
        TryError: the server ended the completion in another way than the model or its limit.
    """
    choice, usage = answer["choices"][0], answer.get("usage") or {}
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    reason = choice["finish_reason"]
    if not isinstance(text, str | None) or not isinstance(reason, str):
        raise ValueError("text or finish_reason is missing")
    if reason not in ("stop", "length"):
        raise TryError(f"the server ended with {reason!r}", kind="refused", again=False)
    return Completion(
        (text or "").encode("utf-8", "replace").decode(),  # JSON can spell half a character, which no file can hold
        "stop" if reason == "stop" else "length",
        n_tokens=int(usage.get("completion_tokens") or 0),
        n_prompt_tokens=int(usage.get("prompt_tokens") or 0),
    )


__all__ = ["HttpGenerator"]
