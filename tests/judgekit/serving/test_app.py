"""What a real service answers to requests good and bad: statuses, JSON with a way out, metrics."""

from __future__ import annotations

import asyncio
import copy
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from judgekit.calibration.card import Fingerprint
from judgekit.errors import JudgeError
from judgekit.judges import load_judge
from judgekit.serving.app import build_app
from judgekit.serving.config import ServeConfig
from judgekit.serving.remote import RemoteJudge
from judgekit.serving.wire import WITH_DETAILS, Description, JudgeAnswer, Trouble
from judgekit.types import Judgement, NoVerdictReason, Solution
from tests.judgekit.samples import HOSTILE
from tests.judgekit.serving.service import HTTP, HashJudge, make, running_service


@pytest.fixture
def judge() -> HashJudge:
    return HashJudge()


@pytest.fixture
def url(judge: HashJudge) -> Iterator[str]:
    with running_service(judge) as url:
        yield url


def post(url: str, *solutions: Solution, **fields: Any) -> httpx2.Response:
    body = {"solutions": [solution.model_dump(mode="json") for solution in solutions]} | fields
    return HTTP.post(f"{url}/judge?{WITH_DETAILS}", json=body)


def trouble(response: httpx2.Response, status: int) -> Trouble:
    assert response.status_code == status, response.text
    found = Trouble.model_validate_json(response.content)
    assert found.what and found.way_out
    return found


def metric(url: str, line: str) -> float:
    text = HTTP.get(f"{url}/metrics").text
    return next((float(row.rsplit(" ", 1)[1]) for row in text.splitlines() if row.startswith(line + " ")), 0.0)


def raw_answer(url: str, *pieces: bytes, close: bool = False) -> bytes:
    """Send bytes and return what comes back before the service closes the connection."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if close:
            return b""
        received = b""
        while block := connection.recv(65536):
            received += block
        return received


def test_it_says_what_it_is(url: str, judge: HashJudge) -> None:
    health = HTTP.get(f"{url}/health")
    assert health.status_code == 200
    assert health.json() | {"version": ""} == {
        "ready": True,
        "judge_id": "hash",
        "version": "",
        "busy_s": 0.0,
        "last_failure": None,
    }
    said = Description.model_validate_json(HTTP.post(f"{url}/describe", json={}).content)
    assert (said.judge_id, said.decision, said.deterministic) == ("hash", judge.info.decision, False)
    assert (said.limits.max_solutions, said.limits.max_body_bytes) == (256, 2**24)


def test_it_judges_in_order_and_counts(url: str, judge: HashJudge) -> None:
    solutions = [make(f"{i}?", n_steps=1 + i % 3, reference="r" if i == 1 else None) for i in range(5)]
    answer = JudgeAnswer.model_validate_json(post(url, *solutions).content)
    assert answer.judge_id == "hash"
    assert list(answer.judgements) == [judge.judge_one(solution) for solution in solutions]
    assert [judgement.raw for judgement in answer.judgements] == [None, "r", None, None, None]
    assert metric(url, 'judgekit_requests_total{path="/judge",status="200"}') == 1
    assert metric(url, "judgekit_solutions_total") == 5
    assert metric(url, "judgekit_request_seconds_count") == 1
    assert metric(url, "judgekit_wait_seconds_count") == 5
    assert metric(url, "judgekit_judge_seconds_count") == 1
    assert metric(url, 'judgekit_batch_solutions_bucket{le="4.0"}') == 0
    assert metric(url, 'judgekit_batch_solutions_bucket{le="8.0"}') == 1


def test_content_without_a_verdict_is_an_answer() -> None:
    with running_service(load_judge("builtin:first-step"), max_steps=3, max_chars=50) as url:
        solutions = [make("none", n_steps=0), make("ok"), make("many", n_steps=4), make("x" * 40), make("fits")]
        answer = JudgeAnswer.model_validate_json(post(url, *solutions).content)
        reasons = [judgement.no_verdict for judgement in answer.judgements]
        assert reasons == [NoVerdictReason.EMPTY, None, NoVerdictReason.TOO_LONG, NoVerdictReason.TOO_LONG, None]
        assert [judgement.solution_id for judgement in answer.judgements] == [solution.id for solution in solutions]
        assert metric(url, 'judgekit_no_verdict_total{reason="too_long"}') == 2
        assert metric(url, 'judgekit_no_verdict_total{reason="empty"}') == 1


def test_concurrent_requests_are_judged_together(url: str, judge: HashJudge) -> None:
    judge.gate.clear()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(post, url, make("first"))
        assert judge.begun.wait(30)
        others = [pool.submit(post, url, make(f"{i}?")) for i in range(8)]
        while metric(url, "judgekit_queue_solutions") < 8:
            time.sleep(0.005)
        judge.gate.set()
        answers = [JudgeAnswer.model_validate_json(future.result().content) for future in [first, *others]]
    assert [len(batch) for batch in judge.batches] == [1, 8]
    expected = [judge.judge_one(make(problem)) for problem in ["first", *(f"{i}?" for i in range(8))]]
    assert [answer.judgements for answer in answers] == [(judgement,) for judgement in expected]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ('{"solutions": [', "Invalid JSON"),
        ("[]", "object"),
        ("{}", "field 'solutions' is missing"),
        ('{"solutions": []}', "at least 1 item"),
        ('{"solutions": [{"steps": []}]}', "field 'solutions.0.problem' is missing"),
        ('{"solutions": [{"problem": "?", "steps": "a"}]}', "solutions.0.steps"),
        ('{"solutions": [{"problem": "?", "steps": 5}]}', "solutions.0.steps"),
        ('{"solutions": [{"problem": "?", "steps": true}]}', "solutions.0.steps"),
        ('{"solutions": [{"problem": "?", "steps": {"0": "a"}}]}', "solutions.0.steps"),
        ('{"solutions": [{"problem": 5, "steps": ["a"]}]}', "solutions.0.problem"),
        ('{"solutions": [{"problem": "?", "steps": ["a"], "reference": 1e999}]}', "solutions.0.reference"),
        ('{"solutions": [{"problem": "?", "steps": ["a"], "schema_version": true}]}', "solutions.0.schema_version"),
        ('{"solutions": [{"problem": "?", "steps": ["a"], "schema_version": "1"}]}', "solutions.0.schema_version"),
        ('{"solutions": [{"problem": "?", "steps": ["a"], "id": %s}]}' % (10**400), "solutions.0.id"),
        ('{"solutions": [{"problem": "?", "steps": ["a"]}], "timeout_s": true}', "timeout_s"),
        ('{"solutions": [{"problem": "?", "steps": ["a"]}], "timeout_s": "5"}', "timeout_s"),
        ('{"solutions": 5}', "solutions"),
        ('{"solutions": [{"problem": "?", "steps": [1]}]}', "solutions.0.steps.0"),
        ('{"solutions": [{"problem": "?", "steps": ["a"], "labels": ["ok"]}]}', "solutions.0.labels"),
        ('{"solutions": [{"problem": "?", "steps": ["a"], "schema_version": 9}]}', "schema_version 9"),
        ('{"solutions": [{"problem": "?", "steps": ["a"]}], "timeout_s": 0}', "timeout_s"),
        ('{"solutions": [{"problem": "?", "steps": ["a"]}], "timeout_s": NaN}', "timeout_s"),
        ('{"solutions": [{"problem": "\\ud800", "steps": ["a"]}]}', "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("\x00", "Invalid JSON"),
    ],
)
def test_malformed_requests_are_refused_with_a_way_out(body: str, what: str, url: str, judge: HashJudge) -> None:
    response = HTTP.post(f"{url}/judge", content=body, headers={"Content-Type": "application/json"})
    found = trouble(response, 400 if what == "Invalid JSON" else 422)
    assert what in found.what
    assert '"solutions"' in found.way_out
    assert not judge.batches
    assert post(url, make("next")).status_code == 200


def test_hostile_text_travels_as_it_is(url: str, judge: HashJudge) -> None:
    solution = Solution(problem="".join(HOSTILE), steps=HOSTILE)
    answer = JudgeAnswer.model_validate_json(post(url, solution).content)
    assert answer.judgements == (judge.judge_one(solution),)


def test_limits_of_a_request() -> None:
    with running_service(HashJudge(), max_solutions=2, max_body_bytes=2000) as url:
        assert post(url, make("a"), make("b")).status_code == 200
        found = trouble(post(url, make("a"), make("b"), make("c")), 413)
        assert found.value == 3 and "more than 2 solutions" in found.what
        assert "larger than 2000 bytes" in trouble(post(url, make("a" * 2000)), 413).what

        def chunked() -> Iterator[bytes]:
            for _ in range(3000):
                yield b" " * 1000

        headers = {"Content-Type": "application/json"}
        found = trouble(HTTP.post(f"{url}/judge", content=chunked(), headers=headers), 413)
        assert isinstance(found.value, int) and found.value < 200_000, "it stops reading soon"
        assert trouble(HTTP.post(f"{url}/judge", content="solutions=1"), 415).way_out
        assert post(url, make("a")).status_code == 200


def test_routes_there_are_and_are_not(url: str) -> None:
    found = trouble(HTTP.get(f"{url}/nowhere"), 404)
    assert (found.value, "POST /judge" in found.way_out) == ("GET /nowhere", True)
    assert trouble(HTTP.get(f"{url}/judge"), 405).value == "GET /judge"
    assert metric(url, 'judgekit_requests_total{path="other",status="404"}') == 1


@pytest.mark.parametrize("path", ["judge/", "describe/", "health/", "metrics/", "/judge", "judge//", "JUDGE"])
def test_no_path_leads_to_where_the_client_says(path: str, url: str) -> None:
    for method in ("GET", "POST"):
        response = HTTP.request(method, f"{url}/{path}", headers={"Host": "evil.example"}, follow_redirects=False)
        trouble(response, 404)
        assert "location" not in response.headers and "evil.example" not in response.text


def test_a_length_that_is_stated_twice_is_refused(url: str, judge: HashJudge) -> None:
    body = b'{"solutions": [{"problem": "?", "steps": ["a"]}]}'
    for coding in (b"chunked", b"Chunked"):
        head = HEAD.replace(b"Connection", b"X") % len(body)
        answer = raw_answer(
            url,
            # At once: a body that comes when the connection is being closed is answered by a reset.
            head.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: " + coding + b"\r\n\r\n")
            + b"%x\r\n" % len(body)
            + body
            + b"\r\n0\r\n\r\n",
        )
        assert answer.startswith(b"HTTP/1.1 400")
        assert "Content-Length" in Trouble.model_validate_json(answer.partition(b"\r\n\r\n")[2]).what
    assert not judge.batches


def test_what_is_no_http_is_answered_in_json(url: str) -> None:
    for nonsense in (
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ):
        answer = raw_answer(url, nonsense)
        assert answer.startswith(b"HTTP/1.1 400")
        assert Trouble.model_validate_json(answer.partition(b"\r\n\r\n")[2]).way_out


def test_a_request_asks_for_bounded_work(judge: HashJudge) -> None:
    with running_service(judge, max_request_steps=10, max_request_chars=500, max_steps=8, max_chars=400) as url:
        assert post(url, *[make(f"{i}?", n_steps=5) for i in range(2)]).status_code == 200
        found = trouble(post(url, *[make(f"{i}?", n_steps=4) for i in range(3)]), 413)
        assert (found.what, found.value) == ("more than max_request_steps=10 in one request", 12)
        assert "several requests" in found.way_out
        assert "max_request_chars=500" in trouble(post(url, make("a" * 300), make("b" * 300)), 413).what
        answer = JudgeAnswer.model_validate_json(post(url, make("long", n_steps=9), make("short", n_steps=8)).content)
        reasons = [judgement.no_verdict for judgement in answer.judgements]
        assert reasons == [NoVerdictReason.TOO_LONG, None], "what is not judged is no work"
    assert sum(map(len, judge.batches)) == 3


def test_older_clients_are_told_what_they_know_and_newer_ones_everything(judge: HashJudge) -> None:
    fingerprint = Fingerprint(data="d", sha256="0", n_solutions=1, n_problems=1, sources=("s",), generators=("g",))
    judge.info = replace(judge.info, fingerprint=fingerprint, dtype="bfloat16", reserved=("<|x|>",))
    with running_service(judge) as url:
        for body in ({}, [], "text", {"details": 5}, {"details": "true"}, {"other": 1}):
            said = HTTP.post(f"{url}/describe", json=body).json()
            assert set(said) == {"judge_id", "decision", "deterministic", "conformal", "version", "limits"}
            assert set(said["limits"]) == {"max_solutions", "max_body_bytes"}
        full = Description.model_validate_json(HTTP.post(f"{url}/describe", json={"details": True}).content)
        assert (full.fingerprint, full.dtype, full.reserved) == (fingerprint, "bfloat16", ("<|x|>",))
        assert full.limits.max_request_steps == 16_384
    assert Description.model_validate(said).fingerprint is None
    assert Description.model_validate(said | {"what later releases say": 1}).judge_id == "hash"


class NoNumberJudge(HashJudge):
    def judge_one(self, solution: Solution) -> Judgement:
        judged = super().judge_one(solution)
        if solution.problem != "no number":
            return judged
        return judged.model_copy(update={"verdict": None, "no_verdict": NoVerdictReason.NON_FINITE})


def test_older_clients_get_answers_that_they_can_read_and_newer_ones_every_digit() -> None:
    solutions = [make("fine"), make("no number")]
    with running_service(NoNumberJudge()) as url:
        body = {"solutions": [solution.model_dump(mode="json") for solution in solutions]}
        fine, none = HTTP.post(f"{url}/judge", json=body).json()["judgements"]
        assert set(fine["verdict"]) == {"posterior"}
        assert (none["verdict"], none["no_verdict"]) == (None, "unparsable")
        remote = RemoteJudge(url)
        with_details = remote.judge(solutions)
    expected = [NoNumberJudge().judge_one(solution) for solution in solutions]
    assert [j.no_verdict for j in with_details] == [None, NoVerdictReason.NON_FINITE]
    assert [j.verdict for j in with_details] == [j.verdict for j in expected]
    assert expected[0].verdict is not None
    assert expected[0].verdict.step_probs_S is not None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_name_of_the_scheme_has_no_case_and_the_token_has(scheme: str) -> None:
    with running_service(HashJudge(), token="s3cret") as url:
        for token, status in (("s3cret", 200), ("S3CRET", 401), ("s3cret,", 401)):
            headers = {"Authorization": f"{scheme} {token}"}
            assert HTTP.post(f"{url}/describe", json={}, headers=headers).status_code == status


def test_mutated_requests_are_never_a_fault_of_the_service() -> None:
    """Thousands of them, straight into the application: each is answered, and each refusal says the way out."""
    rng = random.Random(0)
    good = {"solutions": [{"problem": "1+1?", "steps": ["1+1=2", "so 2"], "reference": "2"}], "timeout_s": 5}
    odd: list[Any] = [None, True, 0, -1, 10**400, 1e308, float("nan"), float("inf"), "", "x", "\ud800", [], {}, [[]]]
    odd += [{"problem": "x"}, ["a", 5], {"a": {"b": [1]}}, "\x00", "a" * 5000, [None], -0.0]

    def places(value: Any) -> list[tuple[Any, Any]]:
        found = [(value, key) for key in (value if isinstance(value, dict) else range(len(value)))]
        nested = [value[key] for _, key in found if isinstance(value[key], dict | list)]
        return found + [place for item in nested for place in places(item)]

    def mutated() -> bytes:
        body = json.loads(json.dumps(good))
        for _ in range(rng.randint(1, 3)):
            holder, key = rng.choice(places(body) or [(body, "x")])
            kind = rng.random()
            if kind < 0.6:
                holder[key] = copy.deepcopy(rng.choice(odd))
            elif kind < 0.8 and isinstance(holder, dict):
                holder[rng.choice(["id", "labels", "schema_version", "problem_id", "details", ""])] = copy.deepcopy(
                    rng.choice(odd)
                )
            elif isinstance(holder, list) or key in holder:
                holder.pop(key)
        text = json.dumps(body).encode()
        if rng.random() < 0.4:
            at = rng.randrange(len(text) + 1)
            noise = rng.choice(
                [b"[" * 3000, b'{"a":' * 500, b"\xff", b"\x00", b"1e999", b",", b"}", b"9" * 5000, b"NaN"]
            )
            text = text[:at] + noise + text[at + rng.randrange(3) :]
        return text

    async def ask(app: Any, body: bytes, path: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
        sent: list[Any] = []
        pieces = [body[i : i + 700] for i in range(0, len(body), 700)] or [b""]
        waiting = [{"type": "http.request", "body": p, "more_body": i + 1 < len(pieces)} for i, p in enumerate(pieces)]

        async def receive() -> Any:
            if waiting:
                return waiting.pop(0)
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": headers}
        scope |= {"query_string": b"", "root_path": "", "scheme": "http", "server": ("x", 1), "http_version": "1.1"}
        await app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    async def main() -> Counter[int]:
        app = build_app(
            load_judge("builtin:first-step"),
            ServeConfig(judge="given", window_s=0.0, max_body_bytes=4000),
            token=None,
        )
        seen: Counter[int] = Counter()
        async with app.router.lifespan_context(app):
            for _ in range(2000):
                path = rng.choice(["/judge"] * 8 + ["/describe", "/judge/"])
                kinds = [b"application/json"] * 9 + [b"text/plain; \xe9"]
                status, answer = await ask(app, mutated(), path, [(b"content-type", rng.choice(kinds))])
                seen[status] += 1
                if status == 200:
                    (Description if path == "/describe" else JudgeAnswer).model_validate_json(answer)
                else:
                    assert Trouble.model_validate_json(answer).way_out
        return seen

    seen = asyncio.run(main())
    assert set(seen) == {200, 400, 404, 413, 415, 422}
    assert min(seen.values()) > 5


def test_the_token_is_demanded_of_everything_but_health() -> None:
    with running_service(HashJudge(), token="s3cret") as url:
        assert HTTP.get(f"{url}/health").status_code == 200
        for given in (None, "Bearer wrong", "Bearer s3cre", "Bearer s3crets", "s3cret", "Bearer é", "Basic s3cret"):
            headers = {} if given is None else {"Authorization": given.encode()}
            for method, path in (("POST", "judge"), ("POST", "describe"), ("GET", "metrics"), ("GET", "nowhere")):
                response = HTTP.request(method, f"{url}/{path}", headers=headers)
                assert "s3cret" not in trouble(response, 401).model_dump_json()
                assert response.headers["WWW-Authenticate"] == "Bearer"
        right = {"Authorization": "Bearer s3cret"}
        assert HTTP.post(f"{url}/describe", json={}, headers=right).status_code == 200
        assert 'path="/judge",status="401"} 7.0' in HTTP.get(f"{url}/metrics", headers=right).text


def test_a_full_queue_is_429_with_retry_after(judge: HashJudge) -> None:
    judge.gate.clear()
    with running_service(judge, max_queue=2, max_solutions=2) as url, ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, url, make("first"))
        assert judge.begun.wait(30)
        second = pool.submit(post, url, make("a"), make("b"))
        while metric(url, "judgekit_queue_solutions") < 2:
            time.sleep(0.005)
        refused = post(url, make("c"))
        assert "no room for 1 more" in trouble(refused, 429).what
        assert refused.headers["Retry-After"] == "1"
        judge.gate.set()
        assert (first.result().status_code, second.result().status_code) == (200, 200)


def test_a_deadline_is_504(url: str, judge: HashJudge) -> None:
    judge.gate.clear()
    assert "not judged within 0.05 s" in trouble(post(url, make("a"), timeout_s=0.05), 504).what
    assert "not judged within 0.1 s" in trouble(post(url, make("b"), timeout_s=0.1), 504).what
    judge.gate.set()
    assert post(url, make("c"), timeout_s=1e9).status_code == 200
    assert "b" not in [problem for batch in judge.batches for problem in batch], "it was given up before its turn"


def test_a_judge_that_hangs_is_not_ready(judge: HashJudge) -> None:
    judge.gate.clear()
    with running_service(judge, deadline_s=0.1) as url:
        assert "not judged within 0.1 s" in trouble(post(url, make("a"), timeout_s=9), 504).what
        while (health := HTTP.get(f"{url}/health")).status_code == 200:
            time.sleep(0.01)
        assert (health.status_code, health.json()["ready"]) == (503, False)
        judge.gate.set()
        while HTTP.get(f"{url}/health").status_code != 200:
            time.sleep(0.01)


def test_a_judge_that_fails_is_503_and_the_service_goes_on() -> None:
    with running_service(HashJudge(fault=JudgeError("the engine is out of memory"))) as url:
        assert trouble(post(url, make("fault")), 503).what == "the judge failed: the engine is out of memory"
        assert "out of memory" in HTTP.get(f"{url}/health").json()["last_failure"]
        assert metric(url, "judgekit_judge_failures_total") == 1
        assert post(url, make("fine")).status_code == 200
        assert HTTP.get(f"{url}/health").json()["last_failure"] is None


def test_a_fault_of_the_judge_is_500_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    with running_service(HashJudge(fault=ZeroDivisionError("in /secret/path"))) as url:
        response = post(url, make("fault"))
        assert trouble(response, 500).value == "ZeroDivisionError"
        assert "secret" not in response.text
        assert metric(url, 'judgekit_requests_total{path="/judge",status="500"}') == 1
        assert post(url, make("fine")).status_code == 200
    assert "in /secret/path" in caplog.text, "the traceback is in the log"


def test_a_judge_that_answers_other_solutions_is_503() -> None:
    class Confused(HashJudge):
        def judge_one(self, solution: Solution) -> Any:
            return super().judge_one(solution).model_copy(update={"solution_id": "other"})

    with running_service(Confused()) as url:
        assert "not theirs in the same order" in trouble(post(url, make("a")), 503).what


HEAD = b"POST /judge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def test_what_a_client_asked_that_hung_up_is_not_judged(url: str, judge: HashJudge) -> None:
    judge.gate.clear()
    body = b'{"solutions": [{"problem": "gone", "steps": ["a"]}]}'
    address = urlsplit(url)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, url, make("first"))
        assert judge.begun.wait(30)
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(HEAD % len(body) + body)
            while metric(url, "judgekit_queue_solutions") != 1:
                time.sleep(0.01)
        while metric(url, "judgekit_queue_solutions") != 0:
            time.sleep(0.01)
        judge.gate.set()
        assert first.result().status_code == 200
    assert judge.batches == [["first"]]
    assert metric(url, 'judgekit_requests_total{path="/judge",status="499"}') == 1


def test_half_a_body_is_408_and_a_client_that_hangs_up_is_nobodys_trouble(
    judge: HashJudge, caplog: pytest.LogCaptureFixture
) -> None:
    with running_service(judge, read_s=1.0) as url:
        answer = raw_answer(url, HEAD % 1000, b'{"solutions"')
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"within 1 s" in answer
        raw_answer(url, HEAD % 1000, b'{"solutions"', close=True)
        raw_answer(url, b"nonsense\r\n\r\n")
        assert post(url, make("next")).status_code == 200
    assert "Traceback" not in caplog.text


def test_more_connections_than_allowed_are_turned_away(judge: HashJudge) -> None:
    with running_service(judge, max_connections=3) as url:
        address = urlsplit(url)
        idle = [socket.create_connection((address.hostname, address.port)) for _ in range(3)]
        while (crowded := HTTP.get(f"{url}/health")).status_code != 503:
            time.sleep(0.01)
        assert trouble(crowded, 503).what == "too many connections"
        for connection in idle:
            connection.close()
        while HTTP.get(f"{url}/health").status_code != 200:
            time.sleep(0.01)


def test_hundreds_of_small_requests_lose_nothing(url: str, judge: HashJudge) -> None:
    answers: dict[str, Any] = {}

    def client(number: int) -> None:
        with httpx2.Client(timeout=30) as connection:
            for k in range(25):
                solution = make(f"{number}-{k}", n_steps=1 + k % 4)
                body = {"solutions": [solution.model_dump(mode="json")]}
                answers[solution.id] = connection.post(f"{url}/judge?{WITH_DETAILS}", json=body).json()["judgements"]

    threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 400
    expected = [make(f"{n}-{k}", n_steps=1 + k % 4) for n in range(16) for k in range(25)]
    assert [answers[s.id] for s in expected] == [[json.loads(judge.judge_one(s).model_dump_json())] for s in expected]
    assert sum(map(len, judge.batches)) == 400 > len(judge.batches)


def test_another_solution_under_an_id_is_refused_with_both_places() -> None:
    with running_service(HashJudge()) as url:
        first = make("one", id="a")
        assert post(url, first, make("two", id="b"), first).status_code == 200
        found = trouble(post(url, first, make("two", id="b"), make("three", id="a")), 422)
    assert found.what == "solutions.2: the id 'a' belongs to another solution, that of solutions.0"
    assert found.way_out == "give each its own id, or leave `id` out"
