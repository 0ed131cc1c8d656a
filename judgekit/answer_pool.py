"""Mathematical comparison of answers by math-verify, in worker processes with hard deadlines.

A power tower or a large factorial keeps the interpreter in C code, where neither signals nor threads reach it: the only
way out is to kill the process. So math-verify's own timeouts, which use signals, are off. sympy is imported by the
workers alone.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from judgekit.errors import JudgeError

MAX_EXPRESSION_CHARS = 500
"""Longest expression handed to the symbolic comparison; longer ones cannot be told."""
START_TIMEOUT_S = 120.0
"""Longest wait for a worker to come up, seconds."""
_GRACE_S = 1.0
"""Time past its deadline after which a worker whose parent was killed ends by itself, seconds."""


class Unchecked(StrEnum):
    """Why an answer could not be checked. It is neither right nor wrong then."""

    TIMEOUT = "timeout"
    """The comparison passed its deadline and was killed."""
    CRASHED = "crashed"
    """The worker died on the comparison, for example for want of memory."""
    TOO_LONG = "too_long"
    """The right answer or the stated one is longer than `MAX_EXPRESSION_CHARS`."""
    UNREADABLE_ANSWER = "unreadable_answer"
    """The right answer is no mathematics that math-verify can read, and nothing equals it letter by letter."""


class Comparison(NamedTuple):
    """What came of comparing one answer."""

    outcome: float | None
    """1.0 for right, 0.0 for wrong, `None` where it could not be checked."""
    unchecked: Unchecked | None = None
    """Why not; `None` where it could."""


class AnswerPool:
    """Worker processes that compare expressions; one that misses its deadline is killed and replaced.

    Workers start when they are first needed and stay until `close`; the main module is imported in each of them, as
    always with `multiprocessing`.

    Args:
        workers: Comparisons at a time, at least 1.
        timeout_s: Longest time for one comparison, seconds.
    """

    def __init__(self, *, workers: int = 1, timeout_s: float = 5.0) -> None:
        self.n_workers = workers
        self.timeout_s = timeout_s
        self._workers: list[_Worker] = []

    def compare_many(self, pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
        """Compare pairs of a right answer and a stated one; one result a pair, in order.

        Raises:
            JudgeError: a worker does not come up.
        """
        results = [Comparison(None, Unchecked.TOO_LONG)] * len(pairs)
        waiting = deque(i for i, pair in enumerate(pairs) if max(map(len, pair)) <= MAX_EXPRESSION_CHARS)
        try:
            while waiting or any(worker.task is not None for worker in self._workers):
                while len(self._workers) < min(self.n_workers, len(waiting)):
                    self._workers.append(_Worker())
                for worker in self._workers:
                    if waiting and worker.ready and worker.task is None:
                        task = waiting.popleft()
                        worker.submit(task, pairs[task], timeout_s=self.timeout_s)
                for task, result in self._collect():
                    results[task] = result
        except BaseException:
            self.close()  # no worker may be left with a reply that nobody waits for
            raise
        return results

    def close(self) -> None:
        """End the workers; the next comparison starts others."""
        for worker in self._workers:
            worker.kill()
        self._workers = []

    def _collect(self) -> Iterator[tuple[int, Comparison]]:
        """Wait for the next reply or deadline and yield what is decided."""
        pending = [worker for worker in self._workers if worker.task is not None or not worker.ready]
        nearest = min(worker.deadline for worker in pending)
        answered = wait([worker.connection for worker in pending], timeout=max(0.0, nearest - time.monotonic()))
        for worker in pending:
            task = worker.task
            try:
                result = worker.receive(answered=worker.connection in answered)
            except _WorkerLostError as lost:
                worker.kill()
                self._workers.remove(worker)
                if task is None:
                    raise JudgeError(f"a process of the math_verify check did not come up: {lost.reason}") from lost
                result = Comparison(None, lost.reason)
            if result is not None and task is not None:
                yield task, result


class _WorkerLostError(Exception):
    def __init__(self, reason: Unchecked) -> None:
        super().__init__(reason)
        self.reason = reason


class _Worker:
    """One process and the number of its task."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "math_verify"])  # so that the place of a killed one is soon filled
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve_comparisons, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = False
        self.task: int | None = None
        self.deadline = time.monotonic() + START_TIMEOUT_S

    def submit(self, task: int, pair: tuple[str, str], *, timeout_s: float) -> None:
        """Begin a comparison."""
        self.task, self.deadline = task, time.monotonic() + timeout_s
        with suppress(ConnectionError):  # a dead process shows in `receive`
            self.connection.send((*pair, timeout_s))

    def receive(self, *, answered: bool) -> Comparison | None:
        """Return the result if there is one; the first message only says that the process is up.

        Raises:
            _WorkerLostError: the process is past its deadline or dead.
        """
        if not answered:
            if time.monotonic() < self.deadline:
                return None
            raise _WorkerLostError(Unchecked.TIMEOUT)
        try:
            message = self.connection.recv()
        except (EOFError, ConnectionError):
            raise _WorkerLostError(Unchecked.CRASHED) from None
        if not self.ready:
            self.ready = True
            return None
        self.task = None
        return Comparison(*message)

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()


def _serve_comparisons(connection: Connection) -> None:
    """Answer comparisons until the other end is gone; runs in the process that may be killed."""
    from math_verify import verify

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    _parse("x + 1")  # builds the parser's tables before the clock runs
    connection.send("ready")
    with suppress(EOFError, ConnectionError):
        while True:
            answer, stated, timeout_s = connection.recv()
            signal.setitimer(signal.ITIMER_REAL, timeout_s + _GRACE_S)  # the kernel ends what nobody else can end
            gold = _parse(answer)
            if gold:
                right = verify(gold, _parse(stated), timeout_seconds=None)
                connection.send((float(right), None))
            else:
                connection.send((None, Unchecked.UNREADABLE_ANSWER))
            signal.setitimer(signal.ITIMER_REAL, 0)


@lru_cache(maxsize=64)
def _parse(expression: str) -> list[Any]:
    """Read an expression as the content of a box; the right answer comes once for every response to its problem."""
    from math_verify import parse

    parsed: list[Any] = parse(f"\\boxed{{{expression}}}", parsing_timeout=None)
    return parsed


__all__ = ["MAX_EXPRESSION_CHARS", "AnswerPool", "Comparison", "Unchecked"]
