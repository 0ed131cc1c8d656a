"""The client under the generator, and later under others: waits, rates, its place in a program, its addresses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from judgekit.engines.http.client import HttpClient, Reply, Request, Tally, TryError
from judgekit.engines.http.limits import HttpLimits, TokenBucket
from judgekit.errors import ConfigError, JudgeError
from tests.http_server import Server, hang_up, running_server, say, send, status


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as server:
        server.plan = lambda _: lambda handler, body: send(handler, 200, f'{{"got": {body["number"]}}}')
        yield server


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def read(answer: Any, request: Request) -> int:
    if answer["got"] != request.body["number"]:
        raise TryError("another's answer", kind="mixed_up")
    return int(answer["got"])


def post(server: Server, n: int = 1, *, clock: Clock | None = None, **options: Any) -> list[Reply[int]]:
    clock = clock or Clock()
    return client(server.url, clock, **options).post(
        [Request("judge", {"number": number}) for number in range(n)], read
    )


def client(url: str, clock: Clock, **options: Any) -> HttpClient:
    rate = options.pop("tokens_per_minute", None)
    return HttpClient(
        url, HttpLimits(**options), asked_for="judge 'j'", tokens_per_minute=rate, clock=clock, sleep=clock.sleep
    )


def test_replies_come_in_the_order_of_the_requests(server: Server) -> None:
    assert post(server, 50, max_concurrency=7) == [Reply(number) for number in range(50)]
    assert {path for path, _ in server.requests} == {"/v1/judge"}
    assert server.headers[0]["Content-Type"] == "application/json"


def test_waits_double_and_end_at_the_deadline(server: Server) -> None:
    clock = Clock()
    server.acts = [status(503)] * 6
    (reply,) = post(server, clock=clock, backoff_s=2.0, deadline_s=20.0, max_retries=6)
    assert reply == Reply(0)
    for nap, longest in zip(clock.naps, [2, 4, 8, 16, 20, 20], strict=True):
        assert longest / 2 <= nap <= longest


def test_waits_are_jittered(server: Server) -> None:
    clock = Clock()
    server.acts = [hang_up] * 20
    post(server, 20, clock=clock, backoff_s=1.0)
    assert len(set(clock.naps)) == 20


@pytest.mark.parametrize(
    ("given", "nap"), [("7", 7.0), ("1.5", 1.5), ("1e9", 20.0), ("soon", 0.0), ("-3", 0.0), ("nan", 0.0)]
)
def test_the_server_says_how_long_to_wait(server: Server, given: str, nap: float) -> None:
    clock = Clock()
    server.acts = [status(429, Retry_After=given)]
    assert post(server, clock=clock, backoff_s=0.0, deadline_s=20.0) == [Reply(0)]
    assert clock.naps == [nap]


def test_troubles_are_counted_by_kind_and_failures_say_theirs(server: Server) -> None:
    server.acts = [status(500), say("{"), status(400), hang_up, hang_up, say('{"got": 7}'), say('{"got": 7}')]
    tally = Tally()
    requests = [Request("judge", {"number": number}) for number in range(4)]
    asking = client(server.url, Clock(), max_concurrency=1, max_retries=1)
    replies = asking.post(requests, read, tally=tally)
    assert [reply.kind for reply in replies] == ["damaged", "http_400", "broken_connection", "mixed_up"]
    assert replies[0].failure == (
        "damaged answer (JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"
        ": '{' (2 tries)"
    )
    assert replies[1].failure == "HTTP 400: sorry 400"
    assert replies[3].failure == "another's answer (2 tries)"
    assert (tally.n_requests, tally.n_retries, tally.n_failures) == (4, 3, 4)
    assert tally.troubles == {
        "http_500": 1, "damaged": 1, "http_400": 1, "broken_connection": 2, "mixed_up": 2
    }  # fmt: skip


def test_an_answer_between_failures_lets_the_run_go_on(server: Server) -> None:
    server.acts = [status(400), status(400), *[server.plan({})], status(400), status(400), status(400)]
    tally = Tally()
    requests = [Request("judge", {"number": number}) for number in range(9)]
    asking = client(server.url, Clock(), max_concurrency=1, max_failures=3)
    with pytest.raises(JudgeError, match=r"3 requests in a row .* HTTP 400"):
        asking.post(requests, read, tally=tally)
    assert len(server.requests) == 6
    assert tally.n_failures == 5


def test_requests_a_minute_are_spread_evenly(server: Server) -> None:
    clock = Clock()
    server.acts = [status(500)]
    assert len(post(server, 5, clock=clock, requests_per_minute=30, backoff_s=0.0, max_concurrency=2)) == 5
    assert clock.now == pytest.approx(10.0), "six tries, the further one among them: five gaps of 2 s"


def test_tokens_a_minute_are_set_aside_and_corrected_by_what_was_used(server: Server) -> None:
    def spend(estimate: int, used: int) -> float:
        clock = Clock()
        asking = client(server.url, clock, tokens_per_minute=600, max_concurrency=1)
        requests = [Request("judge", {"number": number}, n_tokens=estimate) for number in range(4)]
        asking.post(requests, read, count_tokens=lambda _: used)
        return clock.now

    assert spend(50, 50) == pytest.approx(15.0), "three gaps of 5 s"
    assert spend(50, 10) == pytest.approx(3.0), "three gaps of 1 s"
    assert spend(50, 100) == pytest.approx(30.0)
    assert spend(50, 0) == pytest.approx(15.0), "a server that does not count is believed to have used them"


def test_a_bucket_lets_no_more_pass_than_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(60.0, clock=clock)
    clock.now = 1000.0
    assert bucket.take(3.0) == 0.0
    assert bucket.take(1.0) == 3.0, "idle time is not saved up"
    clock.now += 2.0
    assert bucket.take(1.0) == 1.0
    bucket.correct(-1.0)
    assert bucket.take(5.0) == 0.0
    bucket.correct(2.0)
    assert bucket.take(1.0) == 7.0


def test_it_works_where_an_event_loop_runs(server: Server) -> None:
    async def notebook() -> list[Reply[int]]:
        return post(server, 3)

    assert asyncio.run(notebook()) == [Reply(0), Reply(1), Reply(2)]

    async def stopped() -> None:
        server.acts = [status(401)]
        post(server)

    with pytest.raises(JudgeError, match="refuses judge 'j': HTTP 401"):
        asyncio.run(stopped())


def test_threads_share_one_client(server: Server) -> None:
    asking = client(server.url, Clock(), requests_per_minute=6000)
    found: list[list[Reply[int]]] = []
    requests = [Request("judge", {"number": number}) for number in range(20)]
    threads = [threading.Thread(target=lambda: found.append(asking.post(requests, read))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[Reply(number) for number in range(20)]] * 3


@pytest.mark.parametrize("url", ["http://", "ftp://host/v1", "http://host:99999/v1", "http://[::1/v1", "http://☃/v1"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match="is not a URL"):
        client(url, Clock())


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines", " "])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", key)
    with pytest.raises(ConfigError, match="SOME_KEY") as caught:
        HttpClient("http://host", HttpLimits(), asked_for="x", api_key_env="SOME_KEY")
    assert key.strip() == "" or key not in str(caught.value)
