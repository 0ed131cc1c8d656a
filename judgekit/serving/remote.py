"""A judge that calls `judgekit serve` on another machine or in another process, used as if it were local.

Temporary trouble is retried (see `judgekit.engines.http.client`). Solutions that stay unanswered get a reason instead
of a verdict and are counted. A service that is missing, refuses the token or serves another judge than when it was
opened stops the run.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from judgekit.engines.http.client import HttpClient, Reply, Request
from judgekit.engines.http.limits import HttpLimits
from judgekit.errors import JudgeError, describe_validation_error
from judgekit.judges.base import WrappedJudge
from judgekit.judging.run import as_seen
from judgekit.serving.config import RemoteConfig
from judgekit.serving.wire import DESCRIBE, JUDGE, WITH_DETAILS, Description, JudgeAnswer, count_chars
from judgekit.types import Judgement, NoVerdictReason, Solution

TOKEN_ENV = "JUDGEKIT_TOKEN"
"""Environment variable of the client's bearer token; without it none is sent."""
OPENING_RETRIES = 2
"""Further tries when a service is opened: a wrong address is noticed soon."""
_ENVELOPE_BYTES = 200
"""More than a request needs besides its solutions."""

MessageT = TypeVar("MessageT", bound=BaseModel)

log = logging.getLogger(__name__)


class RemoteJudge(WrappedJudge):
    """The judge behind a service; the bearer token is that of the environment variable `TOKEN_ENV`.

    Args:
        url: Address of the service, `http://HOST:PORT`.
        config: How it is asked.

    Raises:
        ConfigError: the address is none, or the token holds what no header can.
        JudgeError: no judge service answers there, or it refuses the token.
    """

    def __init__(self, url: str, config: RemoteConfig | None = None) -> None:
        self.url = url.rstrip("/")
        self.config = config or RemoteConfig()
        token = f", with the value of {TOKEN_ENV} as the token" if os.environ.get(TOKEN_ENV) else ""
        log.info("problems, solutions and references go to %s%s", self.url, token)
        opened = self._describe()
        super().__init__(None, opened.info)
        self._client = self._build_client(self.config)
        self._limits = opened.limits
        self._max_solutions = min(self.config.max_solutions, opened.limits.max_solutions)
        self._max_bytes = opened.limits.max_body_bytes - _ENVELOPE_BYTES
        self.n_unanswered = 0
        """Solutions without a verdict so far because the service did not answer."""

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch, several requests at once. The reference travels where a solution has one, labels never.

        Raises:
            JudgeError: the service is gone, refuses the token or this client's requests, serves another judge than when
                it was opened, or left too many requests in a row unanswered.
        """
        parts = list(self._split(solutions))
        requests = [
            Request(f"{JUDGE}?{WITH_DETAILS}", {"solutions": rows, "timeout_s": self.config.deadline_s})
            for _, rows in parts
            if rows
        ]
        replies = iter(self._client.post(requests, self._read) if requests else ())
        return [
            judgement
            for part, rows in parts
            for judgement in (
                self._judgements(part, next(replies)) if rows else self._without(part, NoVerdictReason.TOO_LONG)
            )
        ]

    def _read(self, answer: Any, request: Request) -> tuple[Judgement, ...]:
        """Read an answer and check that it belongs to the request and comes from the judge that was opened.

        Raises:
            JudgeError: another judge answered.
            ValueError: the answer is damaged or is about other solutions.
        """
        found = _validate(JudgeAnswer, answer)
        others = {found.judge_id, *(judgement.judge_id for judgement in found.judgements)} - {self.info.judge_id}
        if others:
            raise JudgeError(
                f"{self.url} served the judge {self.info.judge_id!r} when it was opened and now serves "
                f"{others.pop()!r}: serve the former again, or start a new run with the latter"
            )
        for row, judgement in zip(request.body["solutions"], found.judgements, strict=True):
            if judgement.solution_id != row["id"]:
                raise ValueError(f"solution {judgement.solution_id!r} judged instead of {row['id']!r}")
            if judgement.verdict is not None and judgement.verdict.n_steps != len(row["steps"]):
                raise ValueError(f"{judgement.verdict.n_steps} steps judged of {len(row['steps'])}")
        return found.judgements

    def _split(self, solutions: Sequence[Solution]) -> Iterator[tuple[list[Solution], list[dict[str, Any]]]]:
        """Yield what goes into one request, solutions and rows; no rows where a solution is larger than any request."""
        part: list[Solution] = []
        rows: list[dict[str, Any]] = []
        limits = self._limits
        most = (self._max_bytes, limits.max_request_steps or math.inf, limits.max_request_chars or math.inf)
        sums = (0, 0, 0)
        for solution in solutions:
            row = as_seen(solution, show_reference=True).model_dump(mode="json")  # labels stay here
            size = (len(json.dumps(row)) + 2, len(solution.steps), count_chars(solution))
            is_full = any(total + own > limit for total, own, limit in zip(sums, size, most, strict=True))
            if part and (len(part) == self._max_solutions or is_full):
                yield part, rows
                part, rows, sums = [], [], (0, 0, 0)
            if any(own > limit for own, limit in zip(size, most, strict=True)):
                yield [solution], []
                continue
            part.append(solution)
            rows.append(row)
            sums = (sums[0] + size[0], sums[1] + size[1], sums[2] + size[2])
        if part:
            yield part, rows

    def _judgements(self, part: Sequence[Solution], reply: Reply[tuple[Judgement, ...]]) -> Sequence[Judgement]:
        if reply.value is not None:
            return reply.value
        # A failure of the service or the network may not meet a later run, and costs this one some verdicts. One of
        # the request, as a status of 300 or 400 says, would meet every run: it must not be taken for missing verdicts.
        kind = reply.kind or ""
        if kind.startswith(("http_3", "http_4")) and kind not in ("http_408", "http_409", "http_425", "http_429"):
            raise JudgeError(f"{self.url} refuses this client's requests: {reply.failure}")
        log.warning("%s left %d solutions unanswered: %s", self.url, len(part), reply.failure)
        self.n_unanswered += len(part)
        return self._without(part, NoVerdictReason.TIMED_OUT)

    def _without(self, part: Sequence[Solution], reason: NoVerdictReason) -> list[Judgement]:
        return [Judgement(solution_id=item.id, judge_id=self.info.judge_id, no_verdict=reason) for item in part]

    def _describe(self) -> Description:
        opening = self.config.model_copy(update={"max_retries": min(self.config.max_retries, OPENING_RETRIES)})
        client = self._build_client(opening)
        asked = [Request(DESCRIBE, {"details": True})]
        (reply,) = client.post(asked, lambda answer, _: _validate(Description, answer))
        if reply.value is None:
            raise JudgeError(f"{self.url} does not say which judge it serves: {reply.failure}. Is it `judgekit serve`?")
        return reply.value

    def _build_client(self, limits: HttpLimits) -> HttpClient:
        has_token = bool(os.environ.get(TOKEN_ENV))
        return HttpClient(
            self.url,
            limits,
            asked_for=f"its judge to a client {'with this' if has_token else 'without'} {TOKEN_ENV}",
            api_key_env=TOKEN_ENV if has_token else None,
        )


def _validate(message_type: type[MessageT], answer: Any) -> MessageT:
    try:
        return message_type.model_validate(answer)
    except ValidationError as error:
        raise ValueError(describe_validation_error(error)) from error
