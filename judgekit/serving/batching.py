"""Dynamic batching: solutions of requests that arrive close together are judged together, in one thread.

The next batch is everything that waits when the judge becomes free, up to a number of solutions, steps and characters.
Requests take turns, one solution each, so that a large request is spread over several batches that also serve others.
An answer goes to the request that asked for it, and trouble with one request does not affect others in its batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from judgekit.judges.base import Judge
from judgekit.judges.stored import check_answers
from judgekit.serving.config import ServeConfig
from judgekit.serving.metrics import Metrics
from judgekit.serving.wire import count_chars
from judgekit.types import Judgement, Solution

LONGEST_RETRY_S = 60
"""Longest wait that a full queue asks for, seconds."""


class QueueFullError(Exception):
    """The queue has no room for a request.

    Args:
        retry_after_s: Whole seconds after which there will probably be room.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"the queue is full for about {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(eq=False)
class _Waiting:
    """One solution on its way through the queue."""

    solution: Solution
    request: int
    answer: asyncio.Future[Judgement]
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """The queue in front of a judge. All methods belong to one event loop; only the judge runs in another thread.

    Args:
        judge: The judge.
        config: Limits of a batch and of the queue.
        metrics: What is counted.
    """

    def __init__(self, judge: Judge, config: ServeConfig, metrics: Metrics) -> None:
        self._judge = judge
        self._config = config
        self._metrics = metrics
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._requests = itertools.count()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judge")
        self._seconds_each = 0.0
        self.busy_since: float | None = None
        """When the call of the judge under way began, on the monotonic clock; `None` while it is idle."""
        self.trouble: str | None = None
        """What the last call of the judge raised; `None` if it answered."""

    async def judge(self, solutions: Sequence[Solution], *, timeout_s: float) -> list[Judgement]:
        """Wait for the judgements of one request, in order. What is cancelled or too late is not judged any more.

        Raises:
            QueueFullError: the solutions do not fit into the queue.
            TimeoutError: not all were judged in time.
            JudgeError: the judge failed on this request; any other exception is a fault of the judge's code.
        """
        if len(self._queue) + len(solutions) > self._config.max_queue:
            # As long as the queue takes at the pace of the last batch, which a single slow one must not make for ever.
            wait_s = math.ceil(len(self._queue) * self._seconds_each)
            raise QueueFullError(min(max(1, wait_s), LONGEST_RETRY_S))
        loop, request = asyncio.get_running_loop(), next(self._requests)
        waiting = [_Waiting(solution, request, loop.create_future()) for solution in solutions]
        self._queue.extend(waiting)
        self._arrived.set()
        self._metrics.queue.set(len(self._queue))
        try:
            async with asyncio.timeout(timeout_s):
                return list(await asyncio.gather(*(item.answer for item in waiting)))
        except BaseException:
            # Nobody waits for the rest: what the judge has not begun yet makes room for others.
            for item in waiting:
                item.answer.cancel()
            self._queue = deque(item for item in self._queue if not item.answer.done())
            self._metrics.queue.set(len(self._queue))
            raise

    async def run(self) -> None:
        """Judge what comes in, batch by batch, until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                await self._wait_for_company()
                await self._answer(self._take_batch())
        finally:
            self._thread.shutdown(wait=False)

    async def _wait_for_company(self) -> None:
        """Wait until a batch is full or the oldest solution's window is over, as it is where the judge was busy."""
        if not 0 < len(self._queue) < self._config.max_batch:
            return
        left_s = self._queue[0].since + self._config.window_s - time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, left_s)):
                while len(self._queue) < self._config.max_batch:
                    self._arrived.clear()
                    await self._arrived.wait()

    def _take_batch(self) -> list[_Waiting]:
        # The request that has waited longest begins, then each of the others has a turn, and so on round.
        by_request: dict[int, deque[_Waiting]] = {}
        for item in self._queue:
            by_request.setdefault(item.request, deque()).append(item)
        turns = deque(by_request.values())
        chosen: set[_Waiting] = set()
        n_chars = n_steps = 0
        while turns and len(chosen) < self._config.max_batch:
            own = turns.popleft()
            n_chars += count_chars(own[0].solution)
            n_steps += len(own[0].solution.steps)
            if chosen and (n_chars > self._config.max_batch_chars or n_steps > self._config.max_batch_steps):
                break
            chosen.add(own.popleft())
            if own:
                turns.append(own)
        batch = [item for item in self._queue if item in chosen]  # as they came: a group's responses stay together
        self._queue = deque(item for item in self._queue if item not in chosen)
        if self._queue:
            self._arrived.set()
        else:
            self._arrived.clear()
        self._metrics.queue.set(len(self._queue))
        now = time.monotonic()
        for item in batch:
            self._metrics.wait_s.observe(now - item.since)
        return batch

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        """Judge a batch; where that fails, judge what each request has in it apart, to find out whose trouble it is."""
        if not batch:
            return
        try:
            judgements = await self._call_judge([item.solution for item in batch])
        except Exception as error:  # the judge's code is not ours: whatever it raises, the service goes on
            parts = [list(part) for _, part in itertools.groupby(batch, key=lambda item: item.request)]
            if len(parts) > 1:
                for part in parts:
                    await self._answer([item for item in part if not item.answer.done()])
                return
            for item in batch:
                if not item.answer.done():
                    item.answer.set_exception(error)
            return
        for item, judgement in zip(batch, judgements, strict=True):
            self._metrics.count(judgement)
            if not item.answer.done():
                item.answer.set_result(judgement)

    async def _call_judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        self._metrics.batch.observe(len(solutions))
        self.busy_since = begin = time.monotonic()
        try:
            loop = asyncio.get_running_loop()
            judgements = await loop.run_in_executor(self._thread, _judge, self._judge, solutions)
        except Exception as error:
            self._metrics.failures.inc()
            self.trouble = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.busy_since = None
            self._metrics.judge_s.observe(time.monotonic() - begin)
        self.trouble = None
        self._seconds_each = (time.monotonic() - begin) / len(solutions)
        return judgements


def _judge(judge: Judge, solutions: Sequence[Solution]) -> list[Judgement]:
    try:  # what the judge's code raises keeps its type: a fault goes to the log, and none of it to clients
        judgements = judge.judge(solutions)
        check_answers(judge, solutions, judgements)
        return judgements
    except StopIteration as error:  # no future can hold one: whoever waits for it would wait for ever
        raise RuntimeError("the judge raised StopIteration") from error
