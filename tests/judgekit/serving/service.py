"""A real service in a thread of this process, on a free port of loopback, and judges that do as tests tell them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2

from judgekit.judges.base import Judge, JudgeInfo
from judgekit.serving.config import ServeConfig
from judgekit.serving.server import address_of, build_server, listen
from judgekit.text.identity import content_id
from judgekit.types import Judgement, Solution, ThresholdRule, Verdict


@contextlib.contextmanager
def running_service(judge: Judge, *, token: str | None = None, **config: Any) -> Iterator[str]:
    """Serve a judge until the block ends; yields the address."""
    settings = ServeConfig(**{"judge": "given", "port": 0} | config)
    with listen(settings) as listener:
        server = build_server(judge, settings, token=token)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            yield address_of(listener)
        finally:
            server.should_exit = True
            thread.join()


HTTP = httpx2.Client(timeout=30, headers={"Connection": "close"})
"""One for all tests: to make one takes long."""


class HashJudge:
    """Step probabilities are a function of the text; keeps the sizes of its batches. Waits for `gate` in each call.

    It raises `fault` where a problem says "fault".
    """

    info = JudgeInfo("hash", ThresholdRule(threshold=0.4))

    def __init__(self, *, fault: Exception | None = None) -> None:
        self.fault = fault
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.batches: list[list[str]] = []

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        self.batches.append([solution.problem for solution in solutions])
        self.begun.set()
        assert self.gate.wait(30)
        if self.fault is not None and any("fault" in solution.problem for solution in solutions):
            raise self.fault
        return [self.judge_one(solution) for solution in solutions]

    def judge_one(self, solution: Solution) -> Judgement:
        p_ok_S = [int(content_id(p=solution.problem, s=step), 16) / 16**20 for step in solution.steps]
        verdict = Verdict.from_step_probs(p_ok_S)
        return Judgement(solution_id=solution.id, judge_id="hash", verdict=verdict, raw=solution.reference)


def make(problem: str, *, n_steps: int = 2, **fields: Any) -> Solution:
    return Solution(problem=problem, steps=tuple(f"step {k}" for k in range(n_steps)), **fields)
