"""Completes prompts on an OpenAI-compatible server: one request a completion, many under way at once.

What may pass (time-outs, overload, a connection that breaks, half an answer) is tried again with growing, jittered
waits. A request that stays without an answer is a failed completion with its reason, never an empty text. What cannot
pass (no server, a refused key, an unknown model, failure after failure) stops the run, which can be resumed.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from typing import Any

import httpx2

from judgekit.engines.generation import Completion, OpenAIGeneration, prompt_seed
from judgekit.errors import ConfigError, JudgeError
from judgekit.prompts import Prompt, render_text

_PASSING = frozenset({408, 409, 425, 429, *range(500, 600)})
"""Statuses that are tried again."""
_FINAL = frozenset({401, 403, 404, 405})
"""Statuses that no other request would escape."""
_DAMAGED = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading an answer raises that does not hold what it must."""
_SHOWN_CHARS = 300


class HttpGenerator:
    """See `judgekit.engines.generation.Generator`.

    Raises:
        CheckpointError: the tokenizer cannot be opened.
        ConfigError: the environment variable of the key is not set.
    """

    def __init__(self, config: OpenAIGeneration) -> None:
        self.config = config
        self._headers = _authorization(config.api_key_env)
        self._tokenizer: Any = None
        self._begin = ""
        if config.tokenizer is not None:
            from judgekit.engines.transformers_engine import load_tokenizer  # needs torch, which a server does not

            self._tokenizer = load_tokenizer(config.tokenizer)
            if self._tokenizer("").input_ids == [self._tokenizer.bos_token_id]:
                self._begin = self._tokenizer.bos_token  # a server that tokenizes with it adds one, too
        self._n_failures = 0

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
            requests += [(path, options | body | {"seed": (base + sample) % 2**31}) for sample in range(n)]
        answers = asyncio.run(self._ask_all(requests))
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

    async def _ask_all(self, requests: Sequence[tuple[str, dict[str, Any]]]) -> list[Completion]:
        limits = httpx2.Limits(max_connections=self.config.max_concurrency)
        slots = asyncio.Semaphore(self.config.max_concurrency)
        async with httpx2.AsyncClient(headers=self._headers, limits=limits, timeout=None) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._ask(client, slots, *request)) for request in requests]
            except* JudgeError as errors:
                raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _ask(
        self, client: httpx2.AsyncClient, slots: asyncio.Semaphore, path: str, body: dict[str, Any]
    ) -> Completion:
        async with slots:
            for attempt in range(self.config.max_retries + 1):
                try:
                    completion = await self._try(client, path, body)
                    break
                except _PassingError as trouble:
                    last = trouble
                if attempt < self.config.max_retries:
                    longest = self.config.backoff_s * 2**attempt
                    await asyncio.sleep(max(random.uniform(longest / 2, longest), last.wait_s))
            else:
                if last.unreachable:
                    raise JudgeError(f"no server at {self.config.base_url}: {last}. Start it, then resume")
                tries = self.config.max_retries + 1
                completion = Completion("", "failed", failure=f"{last} ({tries} tries)")
        self._count(completion)
        return completion

    def _count(self, completion: Completion) -> None:
        self._n_failures = self._n_failures + 1 if completion.finish_reason == "failed" else 0
        if self._n_failures >= self.config.max_failures:
            raise JudgeError(
                f"{self._n_failures} requests in a row to {self.config.base_url} gave nothing, the last for: "
                f"{completion.failure}. Look after the server, then resume"
            )

    async def _try(self, client: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> Completion:
        try:
            async with asyncio.timeout(self.config.deadline_s):
                response = await client.post(f"{self.config.base_url.rstrip('/')}/{path}", json=body)
        except TimeoutError as error:
            raise _PassingError(f"no answer within {self.config.deadline_s:g} s") from error
        except httpx2.ConnectError as error:
            raise _PassingError(f"cannot connect: {error}", unreachable=True) from error
        except httpx2.RequestError as error:
            raise _PassingError(f"the connection broke: {type(error).__name__} {error}".rstrip()) from error
        return self._read(response)

    def _read(self, response: httpx2.Response) -> Completion:
        status = f"HTTP {response.status_code}: {response.text[:_SHOWN_CHARS]}"
        if response.status_code in _PASSING:
            raise _PassingError(status, wait_s=_retry_after(response, longest=self.config.deadline_s))
        if response.status_code in _FINAL:
            raise JudgeError(f"{self.config.base_url} refuses model {self.config.model!r}: {status}")
        if response.status_code != 200:
            return Completion("", "failed", failure=status)
        try:
            return _parse_answer(response.json())
        except _DAMAGED as error:
            raise _PassingError(f"damaged answer: {response.text[:_SHOWN_CHARS]!r}") from error


class _PassingError(Exception):
    """A request got no usable answer, and might get one if it is tried again."""

    def __init__(self, reason: str, *, unreachable: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.unreachable = unreachable
        self.wait_s = wait_s


def _authorization(api_key_env: str | None) -> dict[str, str]:
    if api_key_env is None:
        return {}
    if not os.environ.get(api_key_env):
        raise ConfigError(f"the environment variable {api_key_env} is not set: it must hold the server's key")
    return {"Authorization": f"Bearer {os.environ[api_key_env]}"}


def _retry_after(response: httpx2.Response, *, longest: float) -> float:
    """Seconds that the server asks to wait; 0 where it does not say, or says a date."""
    given = response.headers.get("retry-after", "")
    return min(float(given), longest) if given.isdecimal() else 0.0


def _parse_answer(answer: Any) -> Completion:
    """Read the one choice of an answer.

    Raises:
        ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError: it does not hold what it must.
    """
    choice, usage = answer["choices"][0], answer.get("usage") or {}
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    reason = choice["finish_reason"]
    if not isinstance(text, str | None) or not isinstance(reason, str):
        raise ValueError("text or finish_reason is missing")
    if reason not in ("stop", "length"):
        return Completion("", "failed", failure=f"the server ended with {reason!r}")
    return Completion(
        (text or "").encode("utf-8", "replace").decode(),  # JSON can spell half a character, which no file can hold
        "stop" if reason == "stop" else "length",
        n_tokens=int(usage.get("completion_tokens") or 0),
        n_prompt_tokens=int(usage.get("prompt_tokens") or 0),
    )


__all__ = ["HttpGenerator"]
