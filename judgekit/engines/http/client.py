"""Posts JSON to a server: many requests at once, each of which is answered or fails with a reason.

Temporary trouble (time-outs, overload, a broken connection, half an answer) is retried with growing, jittered waits. A
request without an answer is a failure with its reason. Permanent trouble (no server, a refused key, an unknown route or
model, failure after failure) stops the run, which can be resumed.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import os
import random
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx2

from judgekit.engines.http.limits import HttpLimits, TokenBucket
from judgekit.errors import ConfigError, JudgeError

T = TypeVar("T")

_PASSING = frozenset({408, 409, 425, 429, *range(500, 600)})
"""Statuses that are tried again."""
_FINAL = frozenset({401, 403, 404, 405})
"""Statuses that no other request would escape."""
_DAMAGED = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading an answer raises that does not hold what it must."""
_SHOWN_CHARS = 300
_LONGEST_NAP_S = 1.0
"""How long a request waits for its turn before it looks again: an answer may have cost less than was set aside."""


@dataclass(frozen=True)
class Request:
    """One thing to ask."""

    path: str
    """Route below the base address, without a slash in front."""
    body: dict[str, Any]
    """What is sent, as JSON."""
    n_tokens: int = 0
    """Tokens that it is expected to cost, as far as there is a limit for them."""


@dataclass(frozen=True)
class Reply(Generic[T]):
    """What became of a request: a value, or the reason why there is none."""

    value: T | None = None
    """What `parse` read in the answer; `None` if it failed."""
    failure: str | None = None
    """Why there is no value, in words; `None` unless it failed."""
    kind: str | None = None
    """Class of the failure; see `TryError`. `None` unless it failed."""


@dataclass
class Tally:
    """Counts of what was asked; it grows while requests are under way."""

    n_requests: int = 0
    """Requests begun."""
    n_retries: int = 0
    """Further tries of them."""
    n_failures: int = 0
    """Requests that ended without a value."""
    troubles: Counter[str] = field(default_factory=Counter)
    """Tries that gave nothing, by kind (see `TryError`), whether or not a later try succeeded."""


class TryError(Exception):
    """One try gave nothing that can be used. Raised by `parse` for an answer that says so.

    Args:
        reason: What happened, in words.
        kind: Class of trouble: `timed_out`, `unreachable`, `broken_connection`, `http_<status>`, `damaged`; from
            `parse` also others.
        again: Whether another try might succeed.
        wait_s: Seconds that the server asks to wait before it.
    """

    def __init__(self, reason: str, *, kind: str, again: bool = True, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.kind = kind
        self.again = again
        self.wait_s = wait_s


class HttpClient:
    """Asks one server.

    Args:
        base_url: Address that the routes follow on.
        limits: How hard it is asked.
        asked_for: What is requested, as errors name it: `model 'm'`.
        api_key_env: Environment variable that holds the key, sent as a bearer token; `None` sends none.
        tokens_per_minute: Tokens a minute that requests may cost; `None` sets no rate.
        clock: Seconds, never falling.
        sleep: Waits so many seconds.

    Raises:
        ConfigError: the address is none, or the environment variable of the key is not set or holds no key.
    """

    def __init__(
        self,
        base_url: str,
        limits: HttpLimits,
        *,
        asked_for: str,
        api_key_env: str | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        try:
            url = httpx2.URL(self.base_url)
        except httpx2.InvalidURL as error:
            raise ConfigError(f"{self.base_url!r} is not a URL: {error}") from error
        if url.scheme not in ("http", "https") or not url.host or not (url.port is None or url.port < 2**16):
            raise ConfigError(f"{self.base_url!r} is not a URL: write for example http://localhost:8000/v1")
        self.limits = limits
        self.asked_for = asked_for
        self._headers = {"Content-Type": "application/json"} | _authorization(api_key_env)
        # A connection for each try: what a server sends too much of must not be read as the next answer.
        self._headers["Connection"] = "close"
        rates = (limits.requests_per_minute, tokens_per_minute)
        self._requests_bucket, self._tokens_bucket = (
            None if rate is None else TokenBucket(rate, clock=clock) for rate in rates
        )
        self._sleep = sleep
        self._n_failures_in_a_row = 0

    def post(
        self,
        requests: Sequence[Request],
        parse: Callable[[Any, Request], T],
        *,
        count_tokens: Callable[[T], int] | None = None,
        tally: Tally | None = None,
    ) -> list[Reply[T]]:
        """Ask everything and wait for all answers. May be called where an event loop runs; it blocks there, too.

        Args:
            requests: What to ask.
            parse: Reads the decoded JSON of an answer to a request. It raises a `TryError` for an answer that says that
                it is none, and `ValueError`, `KeyError`, `TypeError` and the like for one that does not hold what it
                must: such an answer is damaged, and the request is tried again.
            count_tokens: Tokens that an answer cost, 0 if the server does not tell; corrects the expected ones.
            tally: Counts are added here while requests are under way, so they are correct when an error is raised, too.

        Returns:
            One reply per request, in the order of the requests.

        Raises:
            JudgeError: nothing answers at the address, what is requested is refused, or too many requests in a row
                failed.
        """
        tally = Tally() if tally is None else tally

        async def post_all() -> list[Reply[T]]:
            connections = httpx2.Limits(max_connections=self.limits.max_concurrency)
            slots, turn = asyncio.Semaphore(self.limits.max_concurrency), asyncio.Lock()
            verify = _tls_context() if self.base_url.startswith("https://") else False
            async with httpx2.AsyncClient(
                headers=self._headers, limits=connections, timeout=None, verify=verify
            ) as connection:

                async def ask(request: Request) -> Reply[T]:
                    async with slots:
                        return await self._ask(connection, turn, request, parse, count_tokens, tally)

                return await _gather([ask(request) for request in requests])

        return _run(post_all())

    async def _ask(
        self,
        connection: httpx2.AsyncClient,
        turn: asyncio.Lock,
        request: Request,
        parse: Callable[[Any, Request], T],
        count_tokens: Callable[[T], int] | None,
        tally: Tally,
    ) -> Reply[T]:
        """Try until there is an answer, trouble that lasts, or no try left."""
        reply: Reply[T] | None = None
        n_tries = 0
        tally.n_requests += 1
        while reply is None:
            await self._await_turn(turn, request)
            tally.n_retries += n_tries > 0
            n_tries += 1
            try:
                value = parse_answer(await self._try(connection, request), request, parse)
            except TryError as trouble:
                tally.troubles[trouble.kind] += 1
                if trouble.again and n_tries <= self.limits.max_retries:
                    await self._sleep(self._wait_s(n_tries, trouble))
                elif trouble.kind == "unreachable":
                    raise JudgeError(f"no server at {self.base_url}: {trouble}. Start it, then resume") from trouble
                else:
                    tries = f" ({n_tries} tries)" if trouble.again else ""
                    reply = Reply(failure=f"{trouble}{tries}", kind=trouble.kind)
            else:
                reply = Reply(value)
                n_tokens = count_tokens(value) if count_tokens else 0
                if self._tokens_bucket is not None and n_tokens > 0:  # 0 where the server does not tell
                    self._tokens_bucket.correct(n_tokens - request.n_tokens)
        self._count(reply, tally)
        return reply

    async def _await_turn(self, turn: asyncio.Lock, request: Request) -> None:
        """Wait until the rates let this request pass; first come, first served."""
        async with turn:
            for bucket, amount in ((self._requests_bucket, 1), (self._tokens_bucket, request.n_tokens)):
                while bucket is not None and (wait_s := bucket.take(amount)) > 0:
                    await self._sleep(min(wait_s, _LONGEST_NAP_S))

    def _wait_s(self, n_tries: int, trouble: TryError) -> float:
        """Seconds before the next try: doubling, half of it at random, and no shorter than the server asks for."""
        longest = min(self.limits.backoff_s * 2.0 ** min(n_tries - 1, 64), self.limits.deadline_s)
        return max(random.uniform(longest / 2, longest), min(trouble.wait_s, self.limits.deadline_s))

    def _count(self, reply: Reply[Any], tally: Tally) -> None:
        if reply.failure is None:
            self._n_failures_in_a_row = 0
            return
        tally.n_failures += 1
        self._n_failures_in_a_row += 1
        if self._n_failures_in_a_row >= self.limits.max_failures:
            raise JudgeError(
                f"{self._n_failures_in_a_row} requests in a row to {self.base_url} failed, the last one: "
                f"{reply.failure}. Check the server, then resume"
            )

    async def _try(self, connection: httpx2.AsyncClient, request: Request) -> httpx2.Response:
        """Send once and return an answer of status 200.

        Raises:
            TryError: there is none.
            JudgeError: no other request would fare better.
        """
        content = json.dumps(request.body).encode()  # half a character in a text is escaped, not an error
        try:
            async with asyncio.timeout(self.limits.deadline_s):
                response = await connection.post(f"{self.base_url}/{request.path}", content=content)
        except TimeoutError as error:
            raise TryError(f"no answer within {self.limits.deadline_s:g} s", kind="timed_out") from error
        except httpx2.ConnectError as error:
            raise TryError(f"cannot connect: {error}", kind="unreachable") from error
        except httpx2.RequestError as error:
            reason = f"the connection broke: {type(error).__name__} {error}".rstrip()
            raise TryError(reason, kind="broken_connection") from error
        status = f"HTTP {response.status_code}: {response.text[:_SHOWN_CHARS]}"
        if response.status_code in _FINAL:
            raise JudgeError(f"{self.base_url} refuses {self.asked_for}: {status}")
        if response.status_code != 200:
            raise TryError(
                status,
                kind=f"http_{response.status_code}",
                again=response.status_code in _PASSING,
                wait_s=parse_retry_after(response.headers.get("retry-after", ""), now=datetime.now(UTC)),
            )
        return response


def parse_answer(response: httpx2.Response, request: Request, parse: Callable[[Any, Request], T]) -> T:
    """Read an answer's JSON with `parse`; whatever it does not hold makes it damaged.

    Raises:
        TryError: the answer is damaged, or `parse` says that it is none.
    """
    try:
        return parse(response.json(), request)
    except _DAMAGED as error:
        what = f"{type(error).__name__}: {error}"[:_SHOWN_CHARS]
        raise TryError(f"damaged answer ({what}): {response.text[:_SHOWN_CHARS]!r}", kind="damaged") from error


def parse_retry_after(given: str, *, now: datetime) -> float:
    """Return the seconds that a `Retry-After` header asks to wait; 0.0 where it is missing, past or unreadable.

    Example:
        >>> now = datetime(2015, 10, 21, 7, 27, 30, tzinfo=UTC)
        >>> parse_retry_after("7", now=now), parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now=now)
        (7.0, 30.0)
    """
    try:
        wait_s = float(given)
    except ValueError:
        try:
            wait_s = (parsedate_to_datetime(given) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return wait_s if math.isfinite(wait_s) and wait_s > 0 else 0.0


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Read the certificates once per process: that takes 30 ms, which every call would pay."""
    return httpx2.create_ssl_context()


def _authorization(api_key_env: str | None) -> dict[str, str]:
    if api_key_env is None:
        return {}
    key = os.environ.get(api_key_env, "").strip()
    if not key:
        raise ConfigError(f"the environment variable {api_key_env} is not set: it must hold the server's key")
    if not key.isascii() or not key.isprintable():
        raise ConfigError(
            f"the environment variable {api_key_env} holds no valid key: an HTTP header cannot carry its characters"
        )
    return {"Authorization": f"Bearer {key}"}


async def _gather(asking: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all; the first `JudgeError` ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in asking]
    except* JudgeError as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; where this thread's event loop is busy (a notebook), in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()
