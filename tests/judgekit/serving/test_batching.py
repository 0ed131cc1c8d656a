"""Which solutions are judged together, and whose trouble is whose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from judgekit.errors import JudgeError
from judgekit.serving.batching import Batcher, QueueFullError
from judgekit.serving.config import ServeConfig
from judgekit.serving.metrics import Metrics
from judgekit.types import Judgement
from tests.judgekit.serving.service import HashJudge, make


def run(
    judge: HashJudge, scenario: Callable[[Batcher], Coroutine[Any, Any, Any]], **config: Any
) -> tuple[Any, dict[str, float]]:
    """Run a scenario on a batcher; returns its result and the metrics."""
    metrics = Metrics(judge_id="hash", version="0")

    async def main() -> Any:
        batcher = Batcher(judge, ServeConfig(judge="given", **config), metrics)
        worker = asyncio.create_task(batcher.run())
        try:
            return await scenario(batcher)
        finally:
            judge.gate.set()
            worker.cancel()

    result = asyncio.run(main())
    samples = {sample.name: sample.value for metric in metrics.registry.collect() for sample in metric.samples}
    return result, samples


async def ask(batcher: Batcher, *problems: str, timeout_s: float = 30.0) -> list[Judgement]:
    return await batcher.judge([make(problem) for problem in problems], timeout_s=timeout_s)


async def busy(batcher: Batcher, judge: HashJudge) -> asyncio.Task[list[Judgement]]:
    """Occupy the judge until its gate is opened."""
    judge.gate.clear()
    first = asyncio.create_task(ask(batcher, "first"))
    while not judge.begun.is_set():
        await asyncio.sleep(0.001)
    return first


def test_what_arrives_while_the_judge_works_is_judged_together() -> None:
    judge = HashJudge()

    async def scenario(batcher: Batcher) -> list[list[Judgement]]:
        first = await busy(batcher, judge)
        others = [asyncio.create_task(ask(batcher, f"{i}a", f"{i}b")) for i in range(5)]
        await asyncio.sleep(0)
        judge.gate.set()
        return [await first, *[await other for other in others]]

    answers, samples = run(judge, scenario)
    assert judge.batches == [["first"], [f"{i}{side}" for i in range(5) for side in "ab"]]
    asked = [["first"], *([f"{i}a", f"{i}b"] for i in range(5))]
    assert answers == [[judge.judge_one(make(problem)) for problem in problems] for problems in asked]
    assert samples["judgekit_batch_solutions_count"] == 2
    assert samples["judgekit_batch_solutions_sum"] == samples["judgekit_solutions_total"] == 11
    assert samples["judgekit_queue_solutions"] == 0


def test_what_arrives_within_the_window_is_judged_together_and_a_full_batch_at_once() -> None:
    judge = HashJudge()

    async def scenario(batcher: Batcher) -> None:
        async with asyncio.TaskGroup() as group:
            for i in range(4):
                group.create_task(ask(batcher, str(i)))
                await asyncio.sleep(0.01)

    run(judge, scenario, window_s=60, max_batch=4)
    assert judge.batches == [["0", "1", "2", "3"]]
    judge.batches.clear()

    async def one_after_the_other(batcher: Batcher) -> None:
        for i in range(3):
            await ask(batcher, str(i))

    run(judge, one_after_the_other, window_s=0.0)
    assert judge.batches == [["0"], ["1"], ["2"]]


def test_a_large_request_is_spread_over_batches_and_comes_back_in_order() -> None:
    judge = HashJudge()
    problems = [str(i) for i in range(10)]
    answers, _ = run(judge, lambda batcher: ask(batcher, *problems), max_batch=4)
    assert [len(batch) for batch in judge.batches] == [4, 4, 2]
    assert answers == [judge.judge_one(make(problem)) for problem in problems]


def test_a_large_request_leaves_others_their_turn() -> None:
    judge = HashJudge()

    async def scenario(batcher: Batcher) -> None:
        first = await busy(batcher, judge)
        large = asyncio.create_task(ask(batcher, *(f"l{i}" for i in range(9))))
        await asyncio.sleep(0)
        small = [asyncio.create_task(ask(batcher, name)) for name in ("s", "t")]
        await asyncio.sleep(0)
        judge.gate.set()
        assert [item.solution_id for item in await large] == [make(f"l{i}").id for i in range(9)]
        await asyncio.gather(first, *small)

    run(judge, scenario, max_batch=4)
    assert judge.batches == [["first"], ["l0", "l1", "s", "t"], ["l2", "l3", "l4", "l5"], ["l6", "l7", "l8"]]


def test_a_batch_has_so_many_steps() -> None:
    judge = HashJudge()
    run(judge, lambda batcher: ask(batcher, *"abcde"), max_batch_steps=5)  # two steps each
    assert judge.batches == [["a", "b"], ["c", "d"], ["e"]]


def test_a_batch_has_so_many_characters() -> None:
    judge = HashJudge()
    # "step 0" and "step 1" are 12 characters; problems have 8, 8, 8 and 100
    run(judge, lambda batcher: ask(batcher, "a" * 8, "b" * 8, "c" * 8, "d" * 100, "e" * 8), max_batch_chars=40)
    assert [[problem[0] for problem in batch] for batch in judge.batches] == [["a", "b"], ["c"], ["d"], ["e"]]


@pytest.mark.parametrize("fault", [JudgeError("engine gone"), ZeroDivisionError("a bug"), StopIteration()])
def test_trouble_with_one_request_is_not_its_neighbours(fault: Exception) -> None:
    judge = HashJudge(fault=fault)

    async def scenario(batcher: Batcher) -> list[Any]:
        first = await busy(batcher, judge)
        asking = [ask(batcher, "a"), ask(batcher, "b", "fault"), ask(batcher, "c", "d")]
        others = asyncio.gather(*asking, return_exceptions=True)
        await asyncio.sleep(0)
        judge.gate.set()
        await first
        found = await others
        assert batcher.trouble is None, "the last call of the judge went well"
        return [*found, await ask(batcher, "later")]

    (a, b, c, later), samples = run(judge, scenario)
    assert [len(found) for found in (a, c, later)] == [1, 2, 1]
    assert isinstance(b, RuntimeError if isinstance(fault, StopIteration) else type(fault))
    assert samples["judgekit_judge_failures_total"] == 2, "once with its neighbours and once alone"


def test_a_lone_request_in_trouble_is_not_judged_twice() -> None:
    judge = HashJudge(fault=JudgeError("engine gone"))

    async def scenario(batcher: Batcher) -> str | None:
        with pytest.raises(JudgeError, match="engine gone"):
            await ask(batcher, "a", "fault")
        return batcher.trouble

    trouble, _ = run(judge, scenario)
    assert judge.batches == [["a", "fault"]]
    assert trouble == "JudgeError: engine gone"


def test_what_nobody_waits_for_is_not_judged() -> None:
    judge = HashJudge()

    async def scenario(batcher: Batcher) -> None:
        first = await busy(batcher, judge)
        with pytest.raises(TimeoutError):
            await ask(batcher, "late", timeout_s=0.01)
        gone = asyncio.create_task(ask(batcher, "gone"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        for i in range(2):  # what was withdrawn takes no room
            asyncio.create_task(ask(batcher, f"kept {i}"))  # noqa: RUF006
        await asyncio.sleep(0)
        judge.gate.set()
        await first
        await ask(batcher, "last")

    run(judge, scenario, max_queue=3, max_solutions=3)
    assert sorted(problem for batch in judge.batches for problem in batch) == ["first", "kept 0", "kept 1", "last"]


def test_a_full_queue_says_when_to_come_back() -> None:
    judge = HashJudge()

    async def scenario(batcher: Batcher) -> int:
        first = await busy(batcher, judge)
        waiting = asyncio.create_task(ask(batcher, "a", "b", "c"))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError) as full:
            await ask(batcher, "d", "e")
        room = asyncio.create_task(ask(batcher, "d"))
        await asyncio.sleep(0)
        judge.gate.set()
        await asyncio.gather(first, waiting, room)
        return full.value.retry_after_s

    retry_after_s, _ = run(judge, scenario, max_queue=4, max_solutions=4)
    assert retry_after_s == 1, "at least a second"
    assert judge.batches == [["first"], ["a", "b", "c", "d"]]
