"""Labels chunks as tasks of Ray Data, on this machine or on a cluster; needs the extra `ray`.

A cluster is used if `RAY_ADDRESS` names one; its machines must share the output folder, with working POSIX locks, and
have this package and everything that the labeller opens. Otherwise Ray is started here with one CPU per worker.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from judgekit import errors
from judgekit.errors import ConfigError, JudgeError, JudgekitError
from judgekit_datasets.labelling.chunks import Chunk
from judgekit_datasets.labelling.workers import PAUSE_S, MakeLabeller

_MAX_BLOCKS = 1000


def label_with_ray(chunks: Sequence[Chunk], make_labeller: MakeLabeller, *, workers: int) -> Iterator[int | None]:
    """Label on actors of Ray Data; they share the GPUs evenly where there are any.

    Raises:
        ConfigError: Ray is not installed, or the cluster cannot be reached.
        JudgekitError: what the labeller of a worker raised.
        JudgeError: Ray itself failed.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ConfigError(f"the engine 'ray' needs Ray ({error}): pip install 'sgpo[ray]'") from error
    ours = not ray.is_initialized()  # one that the caller has started goes on afterwards
    if ours:
        # A run must not depend on a network: Ray would report how it is used.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        here: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False}
        here = {} if "RAY_ADDRESS" in os.environ else here
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False, **here)
        except (ConnectionError, ValueError) as error:
            raise ConfigError(f"no Ray cluster at RAY_ADDRESS={os.environ.get('RAY_ADDRESS')!r}: {error}") from error
    try:
        while chunks := [chunk for chunk in chunks if not chunk.finished]:
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            ray.data.DataContext.get_current().enable_progress_bars = False
            rows = [{"chunk": chunk} for chunk in chunks]
            tasks = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MAX_BLOCKS)).map(
                _Worker,
                fn_constructor_args=(make_labeller,),
                compute=ray.data.ActorPoolStrategy(size=min(workers, len(rows))),
                num_cpus=1,
                num_gpus=min(1.0, ray.cluster_resources().get("GPU", 0) / workers),
            )
            for row in tasks.iter_rows():
                if row["error"]:
                    raise getattr(errors, row["error"])(row["message"])
                yield row["index"] if row["finished"] else None
            time.sleep(PAUSE_S)
    except ray.exceptions.RayError as error:
        raise JudgeError(f"Ray failed: {error}. Finished chunks are kept; continue with --resume") from error
    finally:
        if ours:
            ray.shutdown()


class _Worker:
    """An actor: opens its labeller at its first chunk and keeps it."""

    def __init__(self, make_labeller: MakeLabeller) -> None:
        self._get_labeller = functools.cache(make_labeller)

    def __call__(self, row: dict[str, Chunk]) -> dict[str, Any]:
        chunk = row["chunk"]
        answer = {"index": chunk.index, "finished": False, "error": "", "message": ""}
        try:
            return answer | {"finished": chunk.label(self._get_labeller) is not None}
        except JudgekitError as error:  # Ray would wrap it and drop what it is
            kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
            return answer | {"error": kind, "message": str(error)}
