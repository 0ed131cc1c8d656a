"""Completes prompts on an OpenAI-compatible server: one request per completion, many running at once.

A request that gets no answer is a failed completion with its reason, never an empty text.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Any, TypeVar

from judgekit.engines.generation.base import ChoiceScores, Completion, first_token_ids, prompt_seed
from judgekit.engines.generation.config import OpenAIGeneration, SamplingConfig
from judgekit.engines.generation.cost_log import Bill, cost_logged, open_cost_log
from judgekit.engines.generation.openai_answers import (
    CHAT,
    TEXT,
    Usage,
    check_model,
    parse_choice_logprobs,
    parse_completion,
    parse_usage,
)
from judgekit.engines.http.client import HttpClient, Reply, Request, Tally
from judgekit.errors import ConfigError
from judgekit.text.prompts import CHAT_DATE, Prompt, render_text
from judgekit.types import NoVerdictReason

log = logging.getLogger(__name__)

T = TypeVar("T", Completion, ChoiceScores)
_CHARS_PER_TOKEN = 4
_TOO_LONG = ("maximum context length", "context_length_exceeded")
"""How vLLM and OpenAI say that a prompt does not fit."""
_NO_ANSWER = ("timed_out", "broken_connection", "http_408", "http_409", "http_425", "http_429")
"""Trouble that might have passed, had there been more time."""


class HttpGenerator:
    """See `judgekit.engines.generation.base.Generator`.

    Args:
        config: Server, model and limits.
        clock: Seconds, never falling; the rates go by it.
        sleep: Waits so many seconds.

    Raises:
        CheckpointError: the tokenizer cannot be opened.
        ConfigError: the address is none, the environment variable of the key is not set, or the cost log cannot be
            written.
    """

    def __init__(
        self,
        config: OpenAIGeneration,
        *,
        chat_date: date = CHAT_DATE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.config = config
        self.chat_date = chat_date
        self.generator_id = config.model
        self.tokenizer: Any = None
        self.revision: str | None = None
        self.device: str | None = None
        self._client = HttpClient(
            config.base_url,
            config,
            asked_for=f"model {config.model!r}",
            api_key_env=config.api_key_env,
            tokens_per_minute=config.tokens_per_minute,
            clock=clock,
            sleep=sleep,
        )
        key = "" if config.api_key_env is None else f", with the value of {config.api_key_env} as the key"
        log.info("requests go to %s, model %s%s", config.base_url, config.model, key)
        if config.cost_log is not None:
            open_cost_log(config.cost_log)
        self._begin = ""
        if config.tokenizer is not None:
            from judgekit.engines.scoring.load import load_tokenizer  # needs torch, which a server does not

            self.tokenizer = load_tokenizer(config.tokenizer)
            if self.tokenizer("").input_ids == [self.tokenizer.bos_token_id]:
                self._begin = self.tokenizer.bos_token  # a server that tokenizes with it adds one, too

    def render(self, prompt: Prompt) -> str | None:
        """Return the text that the model reads, `None` if the server renders it."""
        if self.tokenizer is not None:
            return render_text(self.tokenizer, prompt, chat_date=self.chat_date)
        return prompt if isinstance(prompt, str) else None

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: SamplingConfig,
        *,
        n: int = 1,
        seed: int = 0,
        choices_P: Sequence[Sequence[str]] | None = None,
    ) -> list[list[Completion]]:
        """See `Generator.generate`.

        Raises:
            ConfigError: a partial solution is to be continued and no tokenizer is configured; choices are given and
                the server's dialect has no word for them, or a prompt has none.
            JudgeError: nothing answers at the address, key or model are refused, or too many requests in a row failed.
        """
        options = {
            "model": self.config.model,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature or 0.0,  # servers decode greedily at 0
            "top_p": sampling.top_p,
        }
        constraints_P: list[dict[str, Any]] = [{}] * len(prompts)
        if choices_P is not None:
            if self.config.dialect != "vllm":
                raise ConfigError(
                    f"{self.config.base_url}: the dialect {self.config.dialect!r} cannot constrain completions to "
                    "choices. Set generation.dialect=vllm if it is a vLLM server, or do without choices"
                )
            if not all(choices_P):
                raise ConfigError("a prompt has an empty list of choices: give at least one")
            constraints_P = [{"structured_outputs": {"choice": list(choices)}} for choices in choices_P]
        requests = []
        for prompt, constraint in zip(prompts, constraints_P, strict=True):
            path, asked = self._request(prompt)
            base = prompt_seed(str(asked), seed=seed)
            body = options | asked | constraint
            requests += [self._costed(path, body | {"seed": (base + sample) % 2**31}) for sample in range(n)]
        replies = self._ask("generate", requests, parse_completion)
        found = [
            reply.value or Completion("", "failed", failure=reply.failure, failure_reason=_failure_reason(reply))
            for reply in replies
        ]
        return [found[start : start + n] for start in range(0, len(found), n)]

    def choice_logprobs(self, prompts: Sequence[Prompt], *, choices: Sequence[str]) -> list[ChoiceScores]:
        """See `Generator.choice_logprobs`. One token is sampled, and the server lists the most probable ones.

        A tokenizer and `dialect: vllm` ask for the tokens by their ids, probable or not. Without them a choice must be
        one token, spelled as the server spells it, and among the most probable ones.

        Raises:
            ConfigError: a partial solution is to be continued and no tokenizer is configured; two choices begin with
                the same token.
            JudgeError: see `generate`.
        """
        labels, options = self._labels(choices)
        # At temperature 1 the probabilities are the model's own, whether a server reads them before or after it.
        options |= {"model": self.config.model, "max_tokens": 1, "temperature": 1.0, "top_p": 1.0, "seed": 0}
        requests = []
        for prompt in prompts:
            path, asked = self._request(prompt)
            most = self.config.top_logprobs
            wanted = {"logprobs": True, "top_logprobs": most} if path == CHAT else {"logprobs": most}
            requests.append(self._costed(path, options | asked | wanted))

        def read(answer: Any, request: Request, usage: Usage, cost_usd: float | None) -> ChoiceScores:
            logprobs = parse_choice_logprobs(answer, request, labels=labels)
            return ChoiceScores(logprobs, n_prompt_tokens=usage.n_prompt_tokens, cost_usd=cost_usd)

        replies = self._ask("choice_logprobs", requests, read)
        return [
            reply.value or ChoiceScores(None, failure=reply.failure, failure_reason=_failure_reason(reply))
            for reply in replies
        ]

    def _request(self, prompt: Prompt) -> tuple[str, dict[str, Any]]:
        """Return route and prompt."""
        text = self.render(prompt)
        if text is not None:
            return TEXT, {"prompt": text.removeprefix(self._begin)}
        assert not isinstance(prompt, str)
        if prompt[-1]["role"] == "assistant":
            raise ConfigError(
                f"{self.config.base_url}: a server cannot be relied on to continue a partial solution in a "
                "conversation. Set generation.tokenizer to the model's tokenizer, so that the text is rendered here"
            )
        return CHAT, {"messages": prompt}

    def _costed(self, path: str, body: dict[str, Any]) -> Request:
        """Return the request with the tokens that it is expected to cost."""
        read = body["prompt"] if path == TEXT else "".join(message["content"] for message in body["messages"])
        return Request(path, body, n_tokens=len(read) // _CHARS_PER_TOKEN + 1 + body["max_tokens"])

    def _labels(self, choices: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        """Return the choices' first tokens as the server will spell them, and what makes it list them."""
        if self.tokenizer is not None and self.config.dialect == "vllm":
            ids = first_token_ids(self.tokenizer, choices)
            options = {"logprob_token_ids": ids, "return_tokens_as_token_ids": True}
            return [f"token_id:{token}" for token in ids], options
        if not all(choices) or len(set(choices)) < len(choices):
            raise ConfigError(
                f"the choices {list(choices)} cannot be distinguished by their first tokens: choose others"
            )
        return list(choices), {}

    def _ask(
        self, call: str, requests: Sequence[Request], read: Callable[[Any, Request, Usage, float | None], T]
    ) -> list[Reply[T]]:
        """Post requests and keep the books."""
        config = self.config
        bill, tally = Bill(config.prompt_usd_per_mtok, config.completion_usd_per_mtok), Tally()

        def parse(answer: Any, request: Request) -> T:
            usage = parse_usage(answer)
            bill.add(usage)  # an answer that cannot be used is paid for, too
            if config.check_model:
                check_model(answer, model=config.model)
            return read(answer, request, usage, bill.price(usage))

        def count_tokens(value: T) -> int:
            # Of a choice's probability one token is sampled; 0 if the server does not tell.
            n_sampled = value.n_tokens if isinstance(value, Completion) else 1
            return value.n_prompt_tokens + n_sampled if value.n_prompt_tokens else 0

        with cost_logged(
            config.cost_log, call=call, server=config.base_url, model=config.model, bill=bill, tally=tally
        ):
            return self._client.post(requests, parse, count_tokens=count_tokens, tally=tally)


def _failure_reason(reply: Reply[Any]) -> NoVerdictReason:
    """Say of a failure what a judge says."""
    kind, failure = str(reply.kind), str(reply.failure)
    if kind.startswith("http_4") and any(words in failure for words in _TOO_LONG):
        return NoVerdictReason.TOO_LONG
    if kind in _NO_ANSWER or kind.startswith("http_5"):
        return NoVerdictReason.TIMED_OUT
    if kind.startswith("http_") or kind == "refused":
        return NoVerdictReason.REFUSED
    return NoVerdictReason.UNPARSABLE
