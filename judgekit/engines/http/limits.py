"""Limits on requests to a server: options, and the token bucket that enforces a rate. Imports nothing heavy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pydantic import Field

from judgekit.config import BaseConfig


class HttpLimits(BaseConfig):
    """Concurrency, tries, deadlines and rate of the requests to one server."""

    max_concurrency: int = Field(default=16, ge=1)
    """Requests under way at once."""
    max_retries: int = Field(default=5, ge=0)
    """Further tries of a request that timed out, was refused for load (408, 409, 429, 5xx) or came back damaged."""
    backoff_s: float = Field(default=1.0, ge=0)
    """Longest wait before the first further try, seconds; it doubles with each up to `deadline_s`, and a random half of
    it is used. A server that asks for a longer wait (`Retry-After`) gets it, up to `deadline_s`."""
    deadline_s: float = Field(default=300.0, gt=0)
    """Longest time for one try, seconds, from connecting to the last byte."""
    max_failures: int = Field(default=64, ge=1)
    """So many requests in a row without an answer stop the run: the server is taken to be down."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Tries a minute, spread evenly; `null` sets no rate."""


class TokenBucket:
    """Lets a given amount a minute pass, spread evenly: what one takes is owed, and debt melts away with time.

    Nobody takes while anything is owed. So in any span of t minutes at most `per_minute` * t pass, and one take more.

    Args:
        per_minute: Amount that passes in a minute; above 0.
        clock: Seconds, never falling.

    Example:
        >>> now = [0.0]
        >>> bucket = TokenBucket(60.0, clock=lambda: now[0])
        >>> bucket.take(2.0), bucket.take(1.0)
        (0.0, 2.0)
        >>> now[0] = 2.0
        >>> bucket.take(1.0)
        0.0
    """

    def __init__(self, per_minute: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_minute / 60
        self._clock = clock
        self._settled_at = clock()
        self._lock = threading.Lock()

    def take(self, amount: float) -> float:
        """Take `amount` and return 0.0, or take nothing and return the seconds until it is worth asking again."""
        with self._lock:
            now = self._clock()
            if now < self._settled_at:
                return self._settled_at - now
            self._settled_at = now + amount / self._per_s
            return 0.0

    def correct(self, amount: float) -> None:
        """Owe so much more, or less where it is negative, than was taken: the estimate was wrong."""
        with self._lock:
            self._settled_at = max(self._settled_at, self._clock()) + amount / self._per_s
