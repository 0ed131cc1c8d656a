"""A server that does everything wrong at once, by a seeded plan; and one that dies and comes back, or does not."""

from __future__ import annotations

import asyncio
import collections
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from judgekit.engines.generation.base import Completion
from judgekit.engines.generation.config import OpenAIGeneration, SamplingConfig
from judgekit.engines.generation.openai import HttpGenerator
from judgekit.errors import JudgeError
from tests import http_server as does

SAMPLING = SamplingConfig(max_tokens=7, temperature=1.0)
N_PROMPTS = 400
MAX_RETRIES = 2

# What the server does, how often, and the failure that it makes; None: that is an answer.
PLAN: list[tuple[does.Act, int, str | None]] = [
    (does.answer, 20, None),
    (does.late, 10, None),
    (does.plain, 4, None),
    (does.doubled, 6, None),
    (lambda handler, body: does.answer(handler, body, reason="length"), 2, None),
    (does.reset, 6, "the connection broke"),
    (does.hang_up, 6, "the connection broke"),
    (does.break_off, 6, "the connection broke"),
    (does.say("no gzip", Content_Encoding="gzip"), 4, "the connection broke: DecodingError"),
    (does.drip, 1, "no answer within 5 s"),
    (does.status(500), 6, "HTTP 500"),
    (does.status(429, Retry_After="0.01"), 6, "HTTP 429"),
    (does.half, 6, "damaged answer (JSONDecodeError"),
    (does.say(""), 4, "damaged answer (JSONDecodeError"),
    (does.say("<html><h1>502</h1></html>", Content_Type="text/html"), 4, "damaged answer (JSONDecodeError"),
    (does.say("[[" * 50_000), 2, "damaged answer ("),
    (does.altered(model="other"), 6, "model 'other' answered instead of 'm'"),
    (does.altered(model=["m"]), 2, "model ['m'] answered instead of 'm'"),
    (does.altered(choices=[]), 4, "damaged answer (ValueError: one choice was requested"),
    (does.altered(choices=[{"text": "neighbour", "finish_reason": "stop"}] * 3), 4, "damaged answer (ValueError: one"),
    (does.altered(usage={"prompt_tokens": -1}), 2, "damaged answer (ValueError: prompt_tokens is -1)"),
    (does.altered(usage={"completion_tokens": 10**30}), 2, "damaged answer (ValueError: completion_tokens is 1000"),
    (does.altered(usage={"completion_tokens": True}), 2, "damaged answer (ValueError: completion_tokens is True)"),
    (does.altered(usage="many"), 2, "damaged answer (AttributeError"),
    (does.choice(text=7), 2, "damaged answer (ValueError: text or finish_reason has a wrong type)"),
    (does.choice(finish_reason=None), 2, "damaged answer (ValueError: text or finish_reason has a wrong type)"),
    (
        does.altered(choices=[{"text": "", "finish_reason": "stop"}], usage={"prompt_tokens": 5}),
        4,
        "damaged answer (ValueError: the text is empty and no token was sampled)",
    ),
    (does.choice(text=None), 2, "the answer has no text"),
    (does.choice(finish_reason="content_filter"), 2, "the server ended with 'content_filter'"),
    (does.status(400), 2, "HTTP 400: sorry 400"),
    (does.status(302, Location="/elsewhere"), 2, "HTTP 302"),
]  # fmt: skip
LASTING = ("the answer has no text", "the server ended with", "HTTP 400", "HTTP 302")


def by_plan(prompt: str, n_tries: int) -> int:
    """Return what happens to a try, as an index of the plan: the same whatever else is asked. None drips twice."""
    weights = [0 if act is does.drip and n_tries else often for act, often, _ in PLAN]
    return random.Random(f"{prompt} {n_tries}").choices(range(len(PLAN)), weights=weights)[0]


def fate(prompt: str) -> tuple[list[int], str | None]:
    """Return what happens to the tries of a prompt, and the failure that it ends in."""
    acts: list[int] = []
    for n_tries in range(MAX_RETRIES + 1):
        acts.append(by_plan(prompt, n_tries))
        failure = PLAN[acts[-1]][2]
        if failure is None or failure.startswith(LASTING):
            break
    return acts, failure


def test_every_request_ends_in_its_own_answer_or_a_counted_reason(tmp_path: Path) -> None:
    prompts = [f"prompt {number}" for number in range(N_PROMPTS)]
    prompts.sort(key=lambda prompt: PLAN[by_plan(prompt, 0)][0] is not does.drip)  # those that take longest begin first
    n_tries: collections.Counter[str] = collections.Counter()

    def plan(body: dict[str, Any]) -> does.Act:
        n_tries[body["prompt"]] += 1
        return PLAN[by_plan(body["prompt"], n_tries[body["prompt"]] - 1)][0]

    with does.running_server() as server:
        server.plan = plan
        config = OpenAIGeneration(
            base_url=server.url,
            model="m",
            max_concurrency=24,
            max_retries=MAX_RETRIES,
            backoff_s=0.01,
            deadline_s=5.0,
            cost_log=tmp_path / "costs" / "log.jsonl",
            prompt_usd_per_mtok=1.0,
            completion_usd_per_mtok=2.5,
        )
        found = [completion for (completion,) in HttpGenerator(config).generate(prompts, SAMPLING)]

    fates = [fate(prompt) for prompt in prompts]
    assert {act for acts, _ in fates for act in acts} == set(range(len(PLAN))), "everything happens"
    for prompt, completion, (acts, failure) in zip(prompts, found, fates, strict=True):
        if failure is None:
            reason = "length" if acts[-1] == 4 else "stop"
            expected = Completion(f"after {prompt}", reason, n_tokens=2, n_prompt_tokens=5, cost_usd=1e-5)
            assert completion == expected, acts
        else:
            assert (completion.text, completion.finish_reason) == ("", "failed"), acts
            assert str(completion.failure).startswith(failure), acts
            assert completion.failure_reason is not None
    assert {prompt: len(acts) for prompt, (acts, _) in zip(prompts, fates, strict=True)} == n_tries

    line = json.loads(config.cost_log.read_text()) if config.cost_log else {}
    n_failures = sum(failure is not None for _, failure in fates)
    assert 20 < n_failures < N_PROMPTS / 2
    assert (line["n_requests"], line["n_failures"], line["error"]) == (N_PROMPTS, n_failures, None)
    assert line["n_retries"] == sum(n_tries.values()) - N_PROMPTS
    assert line["troubles"] == expected_troubles(fates)
    assert line["cost_usd"] == pytest.approx((line["n_prompt_tokens"] + 2.5 * line["n_completion_tokens"]) / 1e6)
    assert line["n_prompt_tokens"] >= 5 * (N_PROMPTS - n_failures)


def expected_troubles(fates: list[tuple[list[int], str | None]]) -> dict[str, int]:
    """Count the tries that gave nothing, by the class that their failure names."""
    names = {"the connection": "broken_connection", "no answer": "timed_out", "damaged": "damaged"}
    names |= {"model": "wrong_model", "the answer": "refused", "the server": "refused"}
    names |= {f"HTTP {code}": f"http_{code}" for code in (500, 429, 400, 302)}
    failures = [PLAN[act][2] for acts, _ in fates for act in acts]
    return dict(
        collections.Counter(
            next(name for start, name in names.items() if failure.startswith(start))
            for failure in failures
            if failure is not None
        )
    )


class Mortal:
    """A server in a process of its own that dies after some answers; `sleep` brings it back at its so-manieth call."""

    def __init__(self, *, die_after: int, back_after: int | None) -> None:
        self.processes = [does.start_process(die_after=die_after)]
        self.port = self.processes[0][1]
        self.back_after = back_after
        self.n_sleeps = 0

    async def sleep(self, _: float) -> None:
        self.n_sleeps += 1
        if self.n_sleeps == self.back_after:
            assert self.processes[0][0].wait() == 1, "it has died"
            self.processes.append(does.start_process(port=self.port))
        await asyncio.sleep(0)

    def generator(self, **options: Any) -> HttpGenerator:
        url = f"http://127.0.0.1:{self.port}/v1"
        return HttpGenerator(OpenAIGeneration(base_url=url, model="m", **options), sleep=self.sleep)

    def stop(self) -> None:
        for process, _ in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def mortal(request: pytest.FixtureRequest) -> Iterator[Mortal]:
    mortal = Mortal(die_after=10, back_after=request.param)
    yield mortal
    mortal.stop()


@pytest.mark.parametrize("mortal", [20], indirect=True)
def test_a_server_that_comes_back_within_the_tries_is_survived(mortal: Mortal) -> None:
    prompts = [f"prompt {number}" for number in range(60)]
    found = mortal.generator(max_concurrency=8, max_retries=20).generate(prompts, SAMPLING)
    assert [completions[0].text for completions in found] == [f"after {prompt}" for prompt in prompts]
    assert mortal.n_sleeps >= 20
    assert len(mortal.processes) == 2


@pytest.mark.parametrize("mortal", [None], indirect=True)
def test_a_server_that_stays_away_stops_the_run_with_the_way_out(mortal: Mortal, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    generator = mortal.generator(max_concurrency=8, max_retries=3, cost_log=log)
    with pytest.raises(JudgeError, match=r"no server at http.* cannot connect.* Start it, then resume"):
        generator.generate([f"prompt {number}" for number in range(60)], SAMPLING)
    line = json.loads(log.read_text())
    assert line["error"].startswith("JudgeError: no server at")
    assert 15 <= line["n_prompt_tokens"] <= 50, "3 to 10 answers came before it died, and they are paid for"
