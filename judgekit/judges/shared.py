"""One judge on several processes: the first runs the program, the others judge a part of its requests.

Under `torchrun` or `accelerate launch` every process holds the whole judge, on its own GPU if there are any. Only the
first one reads and writes files, so a program need not know that it runs on several, and nodes need no shared file
system.
"""

from __future__ import annotations

import atexit
import os
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import accumulate, pairwise
from typing import Any

from judgekit.errors import JudgeError, JudgekitError, boundary
from judgekit.judges.base import Judge, WrappedJudge
from judgekit.types import Judgement, Solution

WAIT = timedelta(days=1)
"""How long a process waits for the others, which may judge long solutions or write a report meanwhile."""


@contextmanager
def share_judge(load: Callable[[], Judge]) -> Iterator[Judge | None]:
    """Open a judge on all processes of this run, for the `with` block of the first.

    Args:
        load: Opens the judge; called once in each process, with its GPU as the current one.

    Yields:
        The judge to use; `None` in the other processes, once the first has left its block: they are done.

    Example:
        >>> from judgekit.judges import load_judge
        >>> with share_judge(lambda: load_judge("builtin:random")) as judge:
        ...     judge.info.judge_id
        'builtin:random'
    """
    n_processes = int(os.environ.get("WORLD_SIZE", "1"))
    if n_processes == 1:
        yield load()
        return
    if _join() == 0:
        shared = SharedJudge(load(), n_processes)
        try:
            yield shared
        finally:
            shared.close()
    else:
        os.environ["TQDM_DISABLE"] = "1"
        judge = load()
        while (share := _scatter(None)) is not None:  # until the first process has nothing more to ask
            _answer(judge, share)
        yield None


@contextmanager
def share_in_turn(loads: Sequence[Callable[[], Judge]]) -> Iterator[Iterator[Judge] | None]:
    """Share several judges one after another, for the `with` block of the first process.

    However the block ends, the other processes are released.

    Args:
        loads: Each opens a judge, see `share_judge`.

    Yields:
        An iterator over the judges, of which each is shared until the next one is requested; `None` in the other
        processes, once the first has left its block: they are done.

    Example:
        >>> from judgekit.judges import load_judge
        >>> names = ["builtin:random", "builtin:no-error"]
        >>> with share_in_turn([lambda name=name: load_judge(name) for name in names]) as judges:
        ...     [judge.info.judge_id for judge in judges]
        ['builtin:random', 'builtin:no-error']
    """
    left = list(loads)
    if int(os.environ.get("RANK", "0")):
        _pass_over(left)
        yield None
        return
    turns = _turns(left)
    try:
        yield turns
    finally:
        turns.close()
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # the others wait for every judge
            _pass_over(left)


def _turns(left: list[Callable[[], Judge]]) -> Generator[Judge, None, None]:
    while left:
        with share_judge(left.pop(0)) as judge:
            assert judge is not None
            yield judge


def _pass_over(left: list[Callable[[], Judge]]) -> None:
    """Take part in the turns that are left without asking for anything."""
    while left:
        with share_judge(left.pop(0)):
            pass


def _join() -> int:
    """Meet the other processes, once for as long as this one lives, and return its number."""
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("gloo", timeout=WAIT)
        atexit.register(distributed.destroy_process_group)
    return distributed.get_rank()


class SharedJudge(WrappedJudge):
    """Asks all processes for the judgements of a batch; lives in the first one.

    Args:
        judge: The judge of this process.
        n_processes: How many there are, this one included.
    """

    def __init__(self, judge: Judge, n_processes: int) -> None:
        super().__init__(judge, judge.info)
        self._judge = judge
        self.n_processes = n_processes

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch, each process a part of it; the answer is in the batch's order.

        Raises:
            JudgekitError: the first error of any process.
        """
        shares = split_evenly([1 + sum(map(len, item.steps)) for item in solutions], n_parts=self.n_processes)
        answers = _answer(self._judge, _scatter([list(solutions[share]) for share in shares]))
        assert answers is not None
        for answer in answers:
            if isinstance(answer, JudgekitError):
                raise answer
        return [judgement for answer in answers for judgement in answer]

    def close(self) -> None:
        """Tell the other processes that nothing more will come."""
        _scatter([None] * self.n_processes)


def _answer(judge: Judge, share: list[Solution]) -> list[Any] | None:
    """Judge a share and gather all answers in the first process: judgements, or the error that was raised."""
    from torch import distributed

    answer: list[Judgement] | JudgekitError
    try:
        with boundary(JudgeError, f"judge {judge.info.judge_id} failed"):  # without an answer all others would wait
            answer = judge.judge(share) if share else []
    except JudgekitError as error:
        answer = error
    answers: list[Any] | None = [None] * distributed.get_world_size() if distributed.get_rank() == 0 else None
    distributed.gather_object(answer, answers)
    return answers


def _scatter(shares: list[Any] | None) -> Any:
    """Give each process its share; the first one holds them all."""
    from torch import distributed

    found = [None]
    distributed.scatter_object_list(found, shares)
    return found[0]


def split_evenly(weights_N: Sequence[int], *, n_parts: int) -> list[slice]:
    """Cut a sequence into runs of about the same weight: neighbours, such as a group's responses, stay together.

    Example:
        >>> [str(part.stop) for part in split_evenly([5, 1, 1, 1, 2], n_parts=2)]
        ['1', '5']
    """
    passed = list(accumulate(weights_N, initial=0))
    ends = [bisect_right(passed, passed[-1] * part // n_parts) - 1 for part in range(n_parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]
