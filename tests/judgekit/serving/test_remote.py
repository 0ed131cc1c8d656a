"""The remote judge beside the local one, and what becomes of it when the service or the network has trouble."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from judgekit.calibration.card import ConformalCard, Fingerprint
from judgekit.calibration.posterior import IdentityCalibrator
from judgekit.errors import ConfigError, JudgeError
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.calibrated import CalibratedJudge
from judgekit.judging.config import JudgingConfig
from judgekit.judging.run import judge_file
from judgekit.serving.config import RemoteConfig
from judgekit.serving.remote import TOKEN_ENV, RemoteJudge
from judgekit.types import Judgement, LabelledSolution, NoVerdictReason, Solution
from tests.http_server import Act, Server, break_off, hang_up, running_server, say, send, status
from tests.judgekit.samples import HOSTILE, addition
from tests.judgekit.serving.service import HTTP, HashJudge, make, running_service


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_ENV, raising=False)


def expected(solutions: Sequence[Solution]) -> list[Judgement]:
    return [HashJudge().judge_one(solution) for solution in solutions]


# As if it were local


def test_a_remote_judge_is_the_local_one(tiny_judge: Path, solutions: list[Solution]) -> None:
    local = load_judge(tiny_judge)
    awkward = [Solution(problem="?", steps=()), make("long", n_steps=100), Solution(problem="?", steps=HOSTILE)]
    with running_service(local) as url:
        remote = load_judge(url)
        assert isinstance(remote, Judge)
        assert (remote.info.judge_id, remote.info.decision) == (local.info.judge_id, local.info.decision)
        assert remote.info.deterministic
        batch = [*solutions, *awkward]
        here, there = local.judge(batch), remote.judge(batch)
    assert {judgement.no_verdict for judgement in here} == {None, NoVerdictReason.EMPTY, NoVerdictReason.TOO_LONG}
    without_time = [[j.model_copy(update={"seconds": 0.0}) for j in judged] for judged in (here, there)]
    assert without_time[0] == without_time[1], "every digit of the posterior"


def test_conformal_thresholds_travel(solutions: list[Solution]) -> None:
    fingerprint = Fingerprint(data="d", sha256="0", n_solutions=9, n_problems=9, sources=("s",), generators=("g",))
    card = ConformalCard(
        alpha=0.1,
        max_mass=0.75,
        min_survival=0.1 + 0.2,
        min_survival_if_wrong=1.0,
        n_problems=9,
        n_problems_if_wrong=3,
        n_no_verdict=0,
        fingerprint=fingerprint,
    )
    local = CalibratedJudge(HashJudge(), IdentityCalibrator(), fingerprint=fingerprint, conformal=card)
    with running_service(local) as url:
        assert load_judge(url).info.conformal == card
    with running_service(HashJudge()) as url:
        assert load_judge(url).info.conformal is None


@pytest.mark.parametrize("name", ["random", "first-step", "no-error", "symbolic"])
def test_builtin_judges_served(name: str, solutions: list[Solution]) -> None:
    local = load_judge(f"builtin:{name}")
    with running_service(local) as url:
        assert load_judge(url).judge(solutions) == local.judge(solutions)


def test_large_batches_are_split_and_come_back_in_order() -> None:
    judge = HashJudge()
    solutions = [make(f"{i}?", n_steps=1 + i % 4) for i in range(100)]
    with running_service(judge, max_solutions=20) as url:
        assert RemoteJudge(url).judge(solutions) == expected(solutions)
        assert RemoteJudge(url, RemoteConfig(max_solutions=7)).judge(solutions) == expected(solutions)
        assert RemoteJudge(url).judge([]) == []
        answered = 'judgekit_requests_total{path="/judge",status="200"} 20.0'
        assert answered in HTTP.get(f"{url}/metrics").text, "5 requests of 20, then 15 of up to 7"


def test_requests_keep_to_the_bytes_of_the_service() -> None:
    solutions = [make("x" * 700), make("y" * 700), make("é" * 5000), make("z")]
    with running_service(HashJudge(), max_body_bytes=2000) as url:
        *found, last = RemoteJudge(url).judge(solutions)
        assert HTTP.get(f"{url}/metrics").text.count('status="413"') == 0
    assert [found[0], found[1], last] == expected([solutions[0], solutions[1], solutions[3]])
    assert (found[2].solution_id, found[2].no_verdict) == (solutions[2].id, NoVerdictReason.TOO_LONG)


def test_only_what_a_judge_may_see_travels() -> None:
    seen: list[Solution] = []

    class Watching(HashJudge):
        def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
            seen.extend(solutions)
            return super().judge(solutions)

    labelled = addition(3, first_error=1)
    assert isinstance(labelled, LabelledSolution)
    with running_service(Watching()) as url:
        load_judge(url).judge([labelled, make("a", reference="42"), make("b")])
    assert [type(solution) for solution in seen] == [Solution] * 3, "the service refuses labels"
    assert [solution.reference for solution in seen] == [None, "42", None]
    assert (seen[0].id, seen[0].problem_id, seen[0].steps) == (labelled.id, labelled.problem_id, labelled.steps)


def test_half_a_character_is_judged_as_it_is_here() -> None:
    damaged = Solution(id="s", problem_id="p", problem="a\ud800b", steps=("\udfff",))
    with running_service(HashJudge()) as url:
        (found,) = load_judge(url).judge([damaged])
    assert found == HashJudge().judge_one(damaged)


def test_a_file_is_judged_by_a_service(tmp_path: Path) -> None:
    data = tmp_path / "in.jsonl"
    data.write_text("".join(make(f"{i}?").model_dump_json() + "\n" for i in range(5)))
    with running_service(HashJudge()) as url:
        config = JudgingConfig(judge=url, data=data, chunk_size=2)
        found = judge_file(load_judge(config.judge), config, tmp_path / "out")
    assert found == expected([make(f"{i}?") for i in range(5)])


def test_it_works_inside_an_event_loop_and_from_many_threads() -> None:
    solutions = [make(f"{i}?") for i in range(40)]
    with running_service(HashJudge()) as url:
        judge = load_judge(url)

        async def inside() -> list[Judgement]:
            return judge.judge(solutions)

        assert asyncio.run(inside()) == expected(solutions)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda solution: judge.judge([solution])[0], solutions))
        assert found == expected(solutions)


def _judge_in_process(url: str, judge: Judge | None, first: int, results: Any) -> None:
    judge = judge or load_judge(url)
    results.put((first, judge.judge([make(f"{i}?") for i in range(first, first + 50)])))


def test_several_processes_ask_at_once() -> None:
    context = multiprocessing.get_context("spawn")
    with running_service(HashJudge(), max_batch=16) as url:
        results = context.Queue()
        opened = [load_judge(url), None]
        processes = [
            context.Process(target=_judge_in_process, args=(url, judge, 100 * n, results))
            for n, judge in enumerate(opened)
        ]
        for process in processes:
            process.start()
        found = dict(results.get(timeout=120) for _ in processes)
        for process in processes:
            process.join()
    assert sorted(found) == [0, 100], "a judge opened before and one opened there"
    for first, judgements in found.items():
        assert judgements == expected([make(f"{i}?") for i in range(first, first + 50)])


# Opening


def test_the_token_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_service(HashJudge(), token="right") as url:
        with pytest.raises(JudgeError, match=r"refuses its judge to a client without JUDGEKIT_TOKEN: HTTP 401"):
            load_judge(url)
        monkeypatch.setenv(TOKEN_ENV, "wrong")
        with pytest.raises(JudgeError, match=r"with this JUDGEKIT_TOKEN: HTTP 401.*the token is wrong"):
            load_judge(url)
        monkeypatch.setenv(TOKEN_ENV, "right")
        judge = load_judge(url)
        monkeypatch.delenv(TOKEN_ENV)
        assert judge.judge([make("a")]) == expected([make("a")])


def test_a_service_judges_as_it_was_started() -> None:
    for options in ({"calibrated": False}, {"neutralise": False}):
        with pytest.raises(ConfigError, match="is a service, whose options are fixed"):
            load_judge("http://127.0.0.1:1", **options)


def test_what_is_no_judge_service_is_refused() -> None:
    for address in ("http://", "http://h:99999", "http://host:x"):
        with pytest.raises(ConfigError, match="is not a URL"):
            load_judge(address)
    with running_server() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        server.acts = [status(404)]
        with pytest.raises(JudgeError, match="HTTP 404"):
            load_judge(url)
        server.acts = [say('{"judge_id": 3}')] * 3
        with pytest.raises(JudgeError, match=r"does not say which judge it serves: damaged answer.*judgekit serve"):
            RemoteJudge(url, RemoteConfig(backoff_s=0.01))
    with pytest.raises(JudgeError, match=r"no server at http://127.0.0.1:\d+.*Start it"):
        RemoteJudge(url, RemoteConfig(backoff_s=0.01))


# Trouble between the two


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def service() -> Iterator[str]:
    with running_service(HashJudge()) as url:
        yield url


def pass_on(service: str, change: Callable[[dict[str, Any]], Any] | None = None, *, delay_s: float = 0.0) -> Act:
    """Hand a request to the real service, and its answer back, changed or not."""

    def act(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        answer = HTTP.post(service + handler.path.removeprefix("/v1"), json=body).json()
        time.sleep(delay_s)
        send(handler, 200, json.dumps(change(answer) if change else answer))

    return act


def half(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    send(handler, 200, '{"judge_id": "hash", "judgements": [{"solution_id": "a')


def change_first(**fields: Any) -> Callable[[dict[str, Any]], Any]:
    """Change fields of the first judgement."""
    return lambda answer: answer | {"judgements": [answer["judgements"][0] | fields, *answer["judgements"][1:]]}


def open_behind(server: Server, service: str, **config: Any) -> RemoteJudge:
    """Open the service through the server that makes trouble."""
    server.acts = [pass_on(service)]
    settings = {"backoff_s": 0.01, "max_retries": 2, "max_concurrency": 1, "max_solutions": 2, "deadline_s": 30}
    return RemoteJudge(server.url, RemoteConfig(**settings | config))


CHAOS: dict[str, Callable[[str], Act]] = {
    "error 500": lambda _: status(500),
    "error 502": lambda _: status(502),
    "overload": lambda _: status(429),
    "overload, come back now": lambda _: status(429, Retry_After="0"),
    "reset": lambda _: hang_up,
    "broken off": lambda _: break_off,
    "half JSON": lambda _: half,
    "nothing": lambda _: say(""),
    "other JSON": lambda _: say("[]"),
    "too few": lambda url: pass_on(url, lambda answer: answer | {"judgements": answer["judgements"][:-1]}),
    "too many": lambda url: pass_on(url, lambda answer: answer | {"judgements": answer["judgements"] * 2}),
    "order": lambda url: pass_on(url, lambda answer: answer | {"judgements": answer["judgements"][::-1]}),
    "other solution": lambda url: pass_on(url, change_first(solution_id="other")),
    "other length": lambda url: pass_on(url, change_first(verdict={"posterior": [0.5, 0.25, 0.125, 0.125]})),
    "no distribution": lambda url: pass_on(url, change_first(verdict={"posterior": [0.5, 0.25, 0.125]})),
    "no number": lambda url: pass_on(url, change_first(verdict={"posterior": [float("nan"), 0.5, 0.5]})),
    "neither verdict nor reason": lambda url: pass_on(url, change_first(verdict=None)),
    "unknown reason": lambda url: pass_on(url, change_first(verdict=None, no_verdict="mood")),
}


@pytest.mark.parametrize("name", CHAOS)
def test_chaos_ends_in_the_right_verdict_or_in_a_counted_reason(name: str, server: Server, service: str) -> None:
    judge, solutions = open_behind(server, service), [make(f"{i}?") for i in range(4)]
    act = CHAOS[name](service)
    server.acts = [act, act, pass_on(service), act, pass_on(service)]
    assert judge.judge(solutions) == expected(solutions), "trouble that passes"
    assert judge.n_unanswered == 0
    assert not server.acts

    server.acts = [act, act, act, pass_on(service)]
    first, second, *others = judge.judge(solutions)
    for judgement, solution in zip((first, second), solutions, strict=False):
        assert judgement.solution_id == solution.id
        assert (judgement.verdict, judgement.no_verdict) == (None, NoVerdictReason.TIMED_OUT)
    assert others == expected(solutions[2:]), "the others are not touched"
    assert judge.n_unanswered == 2


def test_a_slow_answer_is_given_up_after_the_deadline(server: Server, service: str) -> None:
    judge = open_behind(server, service)
    server.acts = [pass_on(service, delay_s=0.5)]
    assert judge.judge([make("a")]) == expected([make("a")]), "within the deadline it is waited for"
    judge = open_behind(server, service, deadline_s=2.0, max_retries=0)
    server.acts = [pass_on(service, delay_s=4.0)]
    (found,) = judge.judge([make("a")])
    assert found.no_verdict is NoVerdictReason.TIMED_OUT
    assert server.requests[-1][1]["timeout_s"] == 2.0, "the service is told that nobody waits longer"


def test_many_unanswered_requests_in_a_row_stop_the_run(server: Server, service: str) -> None:
    judge = open_behind(server, service, max_failures=3, max_retries=0)
    server.acts = [status(500), status(500), pass_on(service), *[status(500)] * 10]
    with pytest.raises(JudgeError, match=r"3 requests in a row .* HTTP 500"):
        judge.judge([make(f"{i}?") for i in range(30)])
    assert len(server.acts) >= 6, "it asks no further"


@pytest.mark.parametrize("change", [lambda answer: answer | {"judge_id": "new"}, change_first(judge_id="new")])
def test_another_judge_behind_the_address_is_an_error(
    change: Callable[[dict[str, Any]], Any], server: Server, service: str
) -> None:
    judge = open_behind(server, service)
    server.acts = [pass_on(service, change), pass_on(service)]
    with pytest.raises(JudgeError, match="served the judge 'hash' when it was opened and now serves 'new'"):
        judge.judge([make("a")])
    assert len(server.requests) == 2, "it is not tried again"


@pytest.mark.parametrize(
    ("act", "complaint"),
    [
        (status(401), "refuses its judge .* HTTP 401"),
        (status(404), "refuses its judge .* HTTP 404"),
        (status(400), "refuses this client's requests: HTTP 400"),
        (status(413), "refuses this client's requests: HTTP 413"),
        (status(302, Location="http://elsewhere/"), "refuses this client's requests: HTTP 302"),
    ],
)
def test_what_cannot_pass_is_an_error(act: Act, complaint: str, server: Server, service: str) -> None:
    judge = open_behind(server, service)
    server.acts = [act]
    with pytest.raises(JudgeError, match=complaint):
        judge.judge([make("a")])
    assert len(server.requests) == 2, "it is not tried again"


def test_a_service_that_is_restarted_is_waited_for(service: str) -> None:
    with running_service(HashJudge()) as url:
        judge = RemoteJudge(url, RemoteConfig(backoff_s=0.05, max_retries=8))
    port = int(url.rsplit(":", 1)[1])
    found: list[Judgement] = []
    thread = threading.Thread(target=lambda: found.extend(judge.judge([make("a")])))
    thread.start()
    time.sleep(0.2)
    with running_service(HashJudge(), port=port):
        thread.join()
    assert found == expected([make("a")])


def test_a_service_that_is_gone_is_an_error() -> None:
    with running_service(HashJudge()) as url:
        judge = RemoteJudge(url, RemoteConfig(backoff_s=0.01, max_retries=2))
    with pytest.raises(JudgeError, match="no server at"):
        judge.judge([make("a")])


def test_a_full_service_serves_all_in_the_end() -> None:
    judge, solutions = HashJudge(), [make(f"{i}?") for i in range(60)]
    with running_service(judge, max_queue=4, max_solutions=4, max_batch=2) as url:
        remote = RemoteJudge(url, RemoteConfig(backoff_s=0.01, max_retries=20, max_solutions=2))
        assert remote.judge(solutions) == expected(solutions)
        assert sum(map(len, judge.batches)) == 60
