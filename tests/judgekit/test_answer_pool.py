"""The worker processes of answer checking: order, deadlines, deaths."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import wait

import pytest

from judgekit.answer_pool import AnswerPool, Unchecked

RIGHT, WRONG = (1.0, None), (0.0, None)
ENDLESS = ("5", "9^{9^{9^9}}")


@pytest.fixture(scope="module")
def pool() -> Iterator[AnswerPool]:
    with closing(AnswerPool(workers=2, timeout_s=4.0)) as pool:
        yield pool


def test_results_are_in_order(pool: AnswerPool) -> None:
    pairs = [(f"{n}x", "+".join(["x"] * n if n % 3 else "x")) for n in range(2, 16)]
    assert pool.compare_many(pairs) == [RIGHT if n % 3 else WRONG for n in range(2, 16)]
    assert pool.compare_many([]) == []


def test_only_the_endless_comparisons_are_lost(pool: AnswerPool) -> None:
    start = time.monotonic()
    results = pool.compare_many([("2x", "x+x"), ENDLESS, ENDLESS, ("2x", "x"), ("x" * 501, "x"), ("2x", "x+x")])
    lost = (None, Unchecked.TIMEOUT)
    assert results == [RIGHT, lost, lost, WRONG, (None, Unchecked.TOO_LONG), RIGHT]
    assert time.monotonic() - start < 30


def test_an_answer_that_cannot_be_read_is_unchecked(pool: AnswerPool) -> None:
    assert pool.compare_many([("", "5")]) == [(None, Unchecked.UNREADABLE_ANSWER)]


def test_a_worker_that_dies_is_replaced() -> None:
    with closing(AnswerPool(timeout_s=60.0)) as pool:
        assert pool.compare_many([("2x", "x+x")]) == [RIGHT]
        (worker,) = pool._workers
        assert worker.process.pid is not None
        os.kill(worker.process.pid, signal.SIGKILL)
        assert pool.compare_many([("2x", "x+x")] * 2) == [(None, Unchecked.CRASHED), RIGHT]


def test_a_worker_whose_parent_is_gone_ends_by_itself() -> None:
    with closing(AnswerPool(timeout_s=0.5)) as pool:
        assert pool.compare_many([("2x", "x+x")]) == [RIGHT]
        (worker,) = pool._workers
        worker.connection.send((*ENDLESS, 0.5))  # and nobody waits for the reply, nor watches the clock
        assert wait([worker.process.sentinel], timeout=30.0), "it would compute for ever"
        assert worker.process.exitcode == -signal.SIGALRM
