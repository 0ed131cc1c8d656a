"""The worker processes of answer checking: order, deadlines, deaths."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from judgekit.answers.pool import AnswerPool, Unchecked

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


def test_a_comparison_that_needs_too_much_memory_is_unchecked() -> None:
    with closing(AnswerPool(timeout_s=60.0, memory_mb=64)) as pool:
        assert pool.compare_many([("5", "2^{4000000000}"), ("2x", "x"), ("2x", "x+x")]) == [
            (None, Unchecked.OUT_OF_MEMORY),
            WRONG,
            RIGHT,
        ]


def test_what_endless_comparisons_cost_is_bounded_for_the_batch() -> None:
    with closing(AnswerPool(timeout_s=0.3, budget_s=0.5)) as pool:
        results = pool.compare_many([ENDLESS] * 20)
        assert results[:2] == [(None, Unchecked.TIMEOUT)] * 2
        assert results[2:] == [(None, Unchecked.OVER_BUDGET)] * 18
        assert pool.compare_many([ENDLESS]) == [(None, Unchecked.TIMEOUT)], "every batch has its own budget"


@pytest.mark.parametrize(
    ("answer", "stated", "in_part", "whole"),
    [
        ("2:41 am", "\\frac{2}{41}", 1.0, None),
        ("5", "\\neg 5", 1.0, None),
        ("10", "\\sum_{i=1}^{4} i", 1.0, 1.0),
        ("11", "\\sum_{i=1}^{4} i", 0.0, 0.0),
        ("\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}", "-2", 1.0, 1.0),
    ],
)
def test_equal_counts_only_for_texts_that_are_read_whole(
    pool: AnswerPool, answer: str, stated: str, in_part: float, whole: float | None
) -> None:
    with closing(AnswerPool(timeout_s=60.0, must_cover=True)) as careful:
        assert careful.compare_many([(answer, stated)])[0].outcome == whole
    assert pool.compare_many([(answer, stated)])[0].outcome == in_part


SCRIPT = """from judgekit.answers import MathVerifyCheck
{}print(MathVerifyCheck().check('\\\\boxed{{\\\\sum_1^2 x}}', answer='3x'))
"""


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    bare, guarded = tmp_path / "bare.py", tmp_path / "guarded.py"
    bare.write_text(SCRIPT.format(""))
    guarded.write_text(SCRIPT.format('if __name__ == "__main__":\n    '))
    ran = {
        path: subprocess.run([sys.executable, str(path)], capture_output=True, text=True) for path in (bare, guarded)
    }
    assert ran[guarded].returncode == 0, ran[guarded].stderr
    assert ran[bare].returncode != 0
    message = ran[bare].stderr.splitlines()[-1]
    assert 'under `if __name__ == "__main__":`' in message and str(bare) in message
    assert "freeze_support" not in ran[bare].stderr
