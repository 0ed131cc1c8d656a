"""What becomes of requests to a real server that answers, delays, refuses, breaks off and talks nonsense."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from judgekit.engines.generation import Completion, OpenAIGeneration, build_generator
from judgekit.errors import ConfigError, JudgeError
from judgekit.prompts import ChatPrompt
from tests.http_server import Act, Server, answer, break_off, drip, hang_up, running_server, say, send, status


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


def complete(server: Server, *prompts: Any, n: int = 1, **options: Any) -> list[list[Completion]]:
    settings: dict[str, Any] = {"base_url": server.url, "model": "m", "backoff_s": 0.01, "max_retries": 2}
    return build_generator(OpenAIGeneration(**settings | options)).generate(prompts, n=n, max_tokens=7, seed=3)


def garble(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    send(handler, 200, "no gzip", content_encoding="gzip")


def test_completions_come_back_in_order(server: Server) -> None:
    found = complete(server, *(f"p{i}" for i in range(20)), n=2, max_concurrency=4)
    assert found == [[Completion(f"after p{i}", "stop", n_tokens=2, n_prompt_tokens=5)] * 2 for i in range(20)]
    bodies = [body for _, body in server.requests]
    assert {path for path, _ in server.requests} == {"/v1/completions"}
    assert {(body["model"], body["max_tokens"], body["temperature"]) for body in bodies} == {("m", 7, 1.0)}
    seeds = {(body["prompt"], body["seed"]) for body in bodies}
    assert len(seeds) == 40, "every sample has its own seed"
    server.requests.clear()
    complete(server, "p3", n=2)
    assert {(body["prompt"], body["seed"]) for _, body in server.requests} < seeds, "whatever else is asked"


@pytest.mark.parametrize(
    "act",
    [
        status(500), status(503), status(429), status(408), hang_up, break_off, say('{"choices": [{"text"'),
        say("[]"), say('{"choices": []}'), say('{"choices": [{"text": 5, "finish_reason": "stop"}]}'),
        say('{"choices": [{"text": "x", "finish_reason": null}]}'), say(""),
    ],
)  # fmt: skip
def test_passing_trouble_is_tried_again(server: Server, act: Act) -> None:
    server.acts = [act, act]
    assert complete(server, "p")[0][0].text == "after p"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (status(500), "HTTP 500: sorry 500 (3 tries)"),
        (say('{"choices": [{"te'), "damaged answer (JSONDecodeError: "),
        (say('{"choices": [{"te'), ': \'{"choices": [{"te\' (3 tries)'),
        (say("[" * 100_000), ": '[[[["),
        (
            say('{"choices": [{"text": "", "finish_reason": "stop"}], "usage": {"prompt_tokens": 1e999}}'),
            "damaged answer",
        ),
        (garble, "the connection broke: DecodingError"),
        (drip, "no answer within 0.2 s (3 tries)"),
        (hang_up, "the connection broke"),
    ],
)
def test_lasting_trouble_is_a_failure_with_its_reason(server: Server, act: Act, reason: str) -> None:
    server.acts = [act] * 3
    (failed,), (fine,) = complete(server, "p", "q", max_concurrency=1, deadline_s=0.2)
    assert (failed.text, failed.finish_reason) == ("", "failed")
    assert reason in str(failed.failure)
    assert fine.text == "after q", "the others are not touched"


def test_a_slow_server_is_waited_for_up_to_the_deadline(server: Server) -> None:
    def slow(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        time.sleep(0.3)
        answer(handler, body)

    server.acts = [slow]
    assert complete(server, "p", deadline_s=20)[0][0].text == "after p"
    assert len(server.requests) == 1


def test_the_server_says_how_long_to_wait(server: Server) -> None:
    server.acts = [status(429, Retry_After="1")]
    begin = time.monotonic()
    assert complete(server, "p")[0][0].finish_reason == "stop"
    assert 1.0 <= time.monotonic() - begin < 5.0


def test_what_the_server_refuses_is_not_tried_again(server: Server) -> None:
    server.acts = [status(400), lambda handler, body: answer(handler, body, reason="content_filter")]
    found = complete(server, "long", "rude", max_concurrency=1)
    assert [completions[0].failure for completions in found] == [
        "HTTP 400: sorry 400",
        "the server ended with 'content_filter'",
    ]
    server.acts = [lambda handler, body: answer(handler, body, reason="length")]
    assert complete(server, "cut")[0][0].finish_reason == "length"
    assert len(server.requests) == 3


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refused_key_or_model_stops_the_run(server: Server, code: int) -> None:
    server.acts = [status(code)] * 50
    with pytest.raises(JudgeError, match=f"refuses model 'm': HTTP {code}"):
        complete(server, *(["p"] * 50), max_concurrency=2)
    assert len(server.requests) < 10


def test_a_dead_server_stops_the_run(server: Server) -> None:
    url = server.url
    with pytest.raises(JudgeError, match=r"no server at .*Start it, then resume"):
        complete(server, "p", base_url=url.replace(str(server.server_port), "9"))
    server.acts = [status(500)] * 100
    with pytest.raises(JudgeError, match=r"5 requests in a row .* HTTP 500.* then resume"):
        complete(server, *(["p"] * 30), max_failures=5, max_retries=0)


def test_the_key_comes_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "secret")
    complete(server, "p", api_key_env="SOME_KEY")
    assert server.headers[0]["Authorization"] == "Bearer secret"
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(ConfigError, match="environment variable SOME_KEY is not set"):
        complete(server, "p", api_key_env="SOME_KEY")


def test_conversations_are_rendered_by_the_server_or_here(server: Server, tiny_base: Path, tmp_path: Path) -> None:
    prompt, begun = ChatPrompt().build("1+1?"), ChatPrompt().build("1+1?", prefix="It is")
    assert complete(server, prompt)[0][0].text == "to 1+1?"
    assert server.requests[0][0] == "/v1/chat/completions"
    with pytest.raises(ConfigError, match=r"Set generation\.tokenizer"):
        complete(server, begun)

    from judgekit.engines.transformers_engine import load_tokenizer

    tokenizer = load_tokenizer(str(tiny_base))
    tokenizer.chat_template = "<|bos|>{% for m in messages %}{{ m.content }}<|eos|>{% endfor %}A:"
    tokenizer.save_pretrained(tmp_path)
    found = complete(server, prompt, begun, tokenizer=str(tmp_path), max_concurrency=1)
    assert [completions[0].text for completions in found] == [
        "after <|bos|>1+1?<|eos|>A:",
        "after <|bos|>1+1?<|eos|>A:It is",
    ]
    assert server.requests[-1][0] == "/v1/completions"


def test_half_a_character_is_replaced(server: Server) -> None:
    server.acts = [say('{"choices": [{"text": "a\\ud800b", "finish_reason": "stop"}]}')]
    assert complete(server, "p")[0][0].text == "a?b"
