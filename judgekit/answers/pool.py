"""Mathematical comparison of answers by math-verify, in worker processes with hard deadlines.

A power tower or a large factorial keeps the interpreter in C code, where neither signals nor threads reach it: the only
remedy is to kill the process. math-verify's own timeouts, which use signals, are therefore off. Only the workers import
sympy, and their memory is bounded.

math-verify reads what it can and skips the rest: of `2:41 am` it reads 2/41. So its "equal" can be required to hold for
the whole of both texts (`must_cover`): every number, letter, operator and command is changed in turn, and if
math-verify sees no difference, it has not read that part.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, NamedTuple

from judgekit.errors import JudgeError

MAX_EXPRESSION_CHARS = 500
"""Longest expression handed to the symbolic comparison; longer ones stay unchecked."""
START_TIMEOUT_S = 120.0
"""Longest wait for a worker to start, seconds."""
MAX_CHANGES = 80
"""Maximum parts of a text that are changed to see whether math-verify reads them; longer texts count as not covered."""
_GRACE_S = 1.0
"""Time after its deadline at which a worker whose parent was killed ends by itself, seconds."""
_NO_GUARD = 87
"""Exit status of a worker in which the main script, imported there, started to compare answers."""


class Unchecked(StrEnum):
    """Why an answer could not be checked; it is then neither correct nor wrong."""

    TIMEOUT = "timeout"
    """The comparison passed its deadline and was killed."""
    CRASHED = "crashed"
    """The worker died during the comparison, for example for lack of memory."""
    TOO_LONG = "too_long"
    """The correct answer or the stated one is longer than `MAX_EXPRESSION_CHARS`."""
    UNREADABLE_ANSWER = "unreadable_answer"
    """math-verify cannot read the correct answer as mathematics, and the stated one does not equal it letter by
    letter."""
    NOT_COVERED = "not_covered"
    """The texts agree as far as they can be read, but one of them can only be read in part."""
    AMBIGUOUS = "ambiguous"
    """Both are read, but whether they mean the same is a matter of convention (`6m` and 6, `1:58` and `1:58 am`)."""
    HUGE = "huge"
    """A power or factorial in one of them is too large to compute."""
    OUT_OF_MEMORY = "out_of_memory"
    """The comparison needed more memory than a worker may have."""
    OVER_BUDGET = "over_budget"
    """The time for all comparisons of the batch was used up before this one started."""


class Comparison(NamedTuple):
    """The result of comparing one answer."""

    outcome: float | None
    """1.0 for correct, 0.0 for wrong, `None` if it could not be checked."""
    unchecked: Unchecked | None = None
    """Why it could not be checked; `None` if it could."""

    @property
    def verdict(self) -> Literal["right", "wrong", "unchecked"]:
        """The outcome as one word."""
        return "unchecked" if self.outcome is None else "right" if self.outcome else "wrong"


class AnswerPool:
    """Worker processes that compare expressions; one that misses its deadline is killed and replaced.

    Workers start when first needed and stay until `close`; each imports the main module, as always with
    `multiprocessing`.

    Args:
        workers: Parallel comparisons, at least 1.
        timeout_s: Longest time for one comparison, seconds.
        budget_s: Longest time for all comparisons of one call together, summed over the workers, seconds; `None` is no
            limit. The rest is unchecked.
        memory_mb: Memory that a worker may use beyond its memory at the start, MiB (Linux; elsewhere the operating
            system may not enforce it); `None` is no limit.
        must_cover: Whether "equal" must hold for the whole of both texts; see the module.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        timeout_s: float = 5.0,
        budget_s: float | None = None,
        memory_mb: int | None = 1024,
        must_cover: bool = False,
    ) -> None:
        self.n_workers = workers
        self.timeout_s = timeout_s
        self.budget_s = budget_s
        self.memory_mb = memory_mb
        self.must_cover = must_cover
        self._workers: list[_Worker] = []
        self._spent_s = 0.0

    def compare_many(self, pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
        """Compare pairs of a correct answer and a stated one; one result per pair, in order.

        Raises:
            JudgeError: a worker does not start.
        """
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            # This process is a worker that is still importing the main script: it has no `__main__` guard. Without this
            # its traceback would be all that anyone sees.
            os._exit(_NO_GUARD)
        self._spent_s = 0.0
        results = [Comparison(None, Unchecked.TOO_LONG)] * len(pairs)
        waiting = deque(i for i, pair in enumerate(pairs) if max(map(len, pair)) <= MAX_EXPRESSION_CHARS)
        try:
            while waiting or any(worker.task is not None for worker in self._workers):
                if self.budget_s is not None and self._spent_s >= self.budget_s:
                    for task in waiting:
                        results[task] = Comparison(None, Unchecked.OVER_BUDGET)
                    waiting.clear()
                while len(self._workers) < min(self.n_workers, len(waiting)):
                    self._workers.append(_Worker(memory_mb=self.memory_mb, must_cover=self.must_cover))
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
        """End the workers; the next comparison starts new ones."""
        for worker in self._workers:
            worker.kill()
        self._workers = []

    def _collect(self) -> Iterator[tuple[int, Comparison]]:
        """Wait for the next reply or deadline and yield what is decided."""
        pending = [worker for worker in self._workers if worker.task is not None or not worker.ready]
        if not pending:
            return  # the budget left nothing to wait for
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
                    raise JudgeError(_why_not_up(lost)) from lost
                result = Comparison(None, lost.reason)
            if result is not None and task is not None:
                if result.unchecked is Unchecked.OUT_OF_MEMORY:
                    worker.kill()
                    self._workers.remove(worker)
                self._spent_s += time.monotonic() - worker.began
                yield task, result


class _WorkerLostError(Exception):
    def __init__(self, reason: Unchecked, exit_status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_status = exit_status


def _why_not_up(lost: _WorkerLostError) -> str:
    """Return the message for a worker that did not start."""
    failed = "a process of the math_verify check did not start"
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if lost.exit_status == _NO_GUARD:
        return (
            f"{failed}: it imports the main script ({script}), which compares answers as soon as it is imported. "
            'Put the body of the script under `if __name__ == "__main__":`'
        )
    if lost.reason is Unchecked.CRASHED and script is not None:
        return (
            f"{failed}: {lost.reason} (exit status {lost.exit_status}). Each process imports the main script "
            f"({script}): see its error above, or put its body under `if __name__ == '__main__':`"
        )
    return f"{failed}: {lost.reason}"


class _Worker:
    """One process and the number of its task."""

    def __init__(self, *, memory_mb: int | None, must_cover: bool) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "math_verify"])  # so that the place of a killed one is soon filled
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve_comparisons, args=(theirs, memory_mb, must_cover), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = False
        self.task: int | None = None
        self.began = 0.0
        self.deadline = time.monotonic() + START_TIMEOUT_S

    def submit(self, task: int, pair: tuple[str, str], *, timeout_s: float) -> None:
        """Begin a comparison."""
        self.task, self.began = task, time.monotonic()
        self.deadline = self.began + timeout_s
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
            self.process.join(_GRACE_S)
            raise _WorkerLostError(Unchecked.CRASHED, self.process.exitcode) from None
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


def _serve_comparisons(connection: Connection, memory_mb: int | None, must_cover: bool) -> None:
    """Answer comparisons until the other end is gone; runs in the process that may be killed."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    _parse("x + 1")  # builds the parser's tables before the clock runs
    limit, at_start = _bound_memory(memory_mb), _peak_bytes()
    connection.send("ready")
    with suppress(EOFError, ConnectionError):
        while True:
            answer, stated, timeout_s = connection.recv()
            signal.setitimer(signal.ITIMER_REAL, timeout_s + _GRACE_S)  # the kernel ends what nobody else can end
            try:
                result = _compare(answer, stated, must_cover=must_cover)
            except MemoryError:
                result = Comparison(None, Unchecked.OUT_OF_MEMORY)
            # math-verify takes a lack of memory, like any exception, for "different": a process that has been anywhere
            # near the bound is not believed, and its parent starts another.
            if result.outcome == 0.0 and limit is not None and _peak_bytes() - at_start > limit / 3:
                result = Comparison(None, Unchecked.OUT_OF_MEMORY)
            connection.send(tuple(result))
            signal.setitimer(signal.ITIMER_REAL, 0)


def _bound_memory(memory_mb: int | None) -> int | None:
    """Bound the address space of this process; returns the bound above what it has now, in bytes."""
    if memory_mb is None:
        return None
    import resource

    limit = memory_mb * 2**20
    with suppress(OSError, ValueError):  # no such file system, or a stricter bound already
        with open("/proc/self/statm", encoding="ascii") as file:
            size = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = size + limit if hard == resource.RLIM_INFINITY else min(size + limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return limit


def _peak_bytes() -> int:
    """Largest memory that this process has had so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _compare(answer: str, stated: str, *, must_cover: bool) -> Comparison:
    from math_verify import verify

    gold = _parse(answer)
    if not gold:
        return Comparison(None, Unchecked.UNREADABLE_ANSWER)
    right = verify(gold, _parse(stated), timeout_seconds=None)
    if right and must_cover and not (_covers(answer) and _covers(stated)):
        return Comparison(None, Unchecked.NOT_COVERED)
    return Comparison(float(right))


_PART = re.compile(
    r"\\[a-zA-Z]+|\d+(?:\.\d+)?|(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])|[a-zA-Z]{2,}|[-+*/<>=!:]|[^\x00-\x7f]"
)
_LAYOUT = re.compile(
    r"\\(?:left|right|big|Big|bigg|Bigg|displaystyle|quad|qquad|cdot|times|frac|dfrac|tfrac|sqrt|text|mathrm|mathbf|boxed)"
    r"(?![a-zA-Z])"
)
_SWAPPED = {
    "+": "-", "-": "+", "*": "+", "/": "+", "<": ">", ">": "<", "=": "<", "!": "", ":": "+", "\\sin": "\\cos",
    "\\cos": "\\sin", "\\le": ">", "\\ge": "<", "\\leq": ">", "\\geq": "<", "\\cup": "\\cap", "\\cap": "\\cup",
    "\\pi": "3", "\\ln": "\\sin",
}  # fmt: skip


@lru_cache(maxsize=256)
def _covers(text: str) -> bool:
    """Whether math-verify reads every part of a text: each, when it is changed, makes the text another one."""
    from math_verify import verify

    parts = [part for part in _PART.finditer(text) if not _LAYOUT.fullmatch(part.group())]
    if len(parts) > MAX_CHANGES:
        return False
    parsed = _parse(text)
    return all(
        not verify(
            parsed, _parse(text[: part.start()] + _changed(part.group()) + text[part.end() :]), timeout_seconds=None
        )
        for part in parts
    )


def _changed(part: str) -> str:
    """Another digit, letter or operator; commands and words are left out, since what is not known is passed over."""
    if part in _SWAPPED:
        return _SWAPPED[part]
    if part[0].isdigit():
        return part[:-1] + str((int(part[-1]) + 3) % 10)
    if part[0] == "\\" or len(part) > 1:
        return " "
    return "q" if part != "q" else "w"


@lru_cache(maxsize=64)
def _parse(expression: str) -> list[Any]:
    """Read an expression as the content of a box; the correct answer comes once for every response to its problem."""
    from math_verify import parse

    parsed: list[Any] = parse(f"\\boxed{{{expression}}}", parsing_timeout=None)
    return parsed
