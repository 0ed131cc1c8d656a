"""Who labels the chunks of a run: this process, several processes on this machine, or tasks of Ray Data.

Each of them takes chunks and yields the index of every finished chunk, or `None` for one that another invocation holds.
A chunk is stored by the process that labels it; only chunks and indices travel between processes.
"""

from __future__ import annotations

import functools
import multiprocessing
import multiprocessing.connection
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool

from judgekit.errors import JudgeError
from judgekit_datasets.labelling.chunks import Chunk, Labeller

PAUSE_S = 0.2
"""Pause before chunks that other processes hold are tried again: their process may have died."""

MakeLabeller = Callable[[], Labeller]

_get_labeller: MakeLabeller
"""The labeller of a worker process, opened at its first chunk."""


def label_here(chunks: Sequence[Chunk], make_labeller: MakeLabeller) -> Iterator[int | None]:
    """Label in this process."""
    get_labeller = functools.cache(make_labeller)
    for chunk in _until_finished(chunks):
        yield chunk.label(get_labeller)


def label_in_processes(chunks: Sequence[Chunk], make_labeller: MakeLabeller, *, workers: int) -> Iterator[int | None]:
    """Label in fresh processes, which end with this one, however it ends.

    Raises:
        JudgekitError: what the labeller of a worker raised; the others finish the chunk they are at.
        JudgeError: a worker was killed.
    """
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(make_labeller,)
    )
    try:
        running: set[Future[int | None]] = set()
        for chunk in _until_finished(chunks):
            if len(running) == workers:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
            running.add(pool.submit(_label_in_worker, chunk))
        yield from (future.result() for future in as_completed(running))
    except BrokenProcessPool as error:
        raise JudgeError(
            "a labelling worker was killed, perhaps for lack of memory: finished chunks are kept; "
            "continue with --resume, and fewer workers if it happens again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _until_finished(chunks: Sequence[Chunk]) -> Iterator[Chunk]:
    """Yield every chunk, and after a pause those that are not finished yet, until all are."""
    yield from chunks
    while chunks := [chunk for chunk in chunks if not chunk.finished]:
        time.sleep(PAUSE_S)
        yield from chunks


def _start_worker(make_labeller: MakeLabeller) -> None:
    global _get_labeller
    _get_labeller = functools.cache(make_labeller)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when its parent is gone: killed, it could not say so, and the worker would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _label_in_worker(chunk: Chunk) -> int | None:
    return chunk.label(_get_labeller)
