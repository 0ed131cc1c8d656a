"""What becomes of requests to a real server that answers, delays, refuses, breaks off and talks nonsense."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from judgekit.engines.generation.base import ChoiceScores, Completion
from judgekit.engines.generation.config import OpenAIGeneration, SamplingConfig
from judgekit.engines.generation.door import build_generator
from judgekit.engines.generation.openai import HttpGenerator
from judgekit.errors import ConfigError, JudgeError
from judgekit.text.prompts import ChatPrompt
from judgekit.types import NoVerdictReason
from tests.http_server import (
    Act,
    Server,
    altered,
    answer,
    break_off,
    choice,
    drip,
    hang_up,
    running_server,
    say,
    send,
    status,
)
from tests.judgekit.engines.http.test_client import Clock

SAMPLING = SamplingConfig(max_tokens=7, temperature=1.0)


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


def generation(server: Server, **options: Any) -> OpenAIGeneration:
    settings: dict[str, Any] = {"base_url": server.url, "model": "m", "backoff_s": 0.01, "max_retries": 2}
    return OpenAIGeneration(**settings | options)


def complete(server: Server, *prompts: Any, n: int = 1, **options: Any) -> list[list[Completion]]:
    return build_generator(generation(server, **options)).generate(prompts, SAMPLING, n=n, seed=3)


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

    from judgekit.engines.scoring.load import load_tokenizer

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
    assert complete(server, "half \ud800")[0][0].text == "after half ?", "nor does a prompt's break the request"


def test_an_empty_text_is_believed_where_a_token_was_sampled(server: Server) -> None:
    server.acts = [choice(text=""), *[altered(choices=[{"text": "", "finish_reason": "stop"}], usage=None)] * 3]
    (ended,), (silent,) = complete(server, "p", "q", max_concurrency=1)
    assert ended == Completion("", "stop", n_tokens=2, n_prompt_tokens=5)
    assert silent.finish_reason == "failed" and "no token was sampled" in str(silent.failure)
    server.acts = [choice(message={"content": None}, finish_reason="length")]
    (thought,) = complete(server, ChatPrompt().build("1+1?"))[0]
    assert (thought.text, thought.finish_reason) == ("", "length"), "a model that thought until its limit"
    server.acts = [choice(message={"content": None, "refusal": "I had rather not"})]
    assert complete(server, ChatPrompt().build("1+1?"))[0][0].failure == "the model refused: I had rather not"


def test_another_models_answer_is_a_failure_unless_names_are_not_checked(server: Server) -> None:
    server.acts = [altered(model="m-instruct")] * 4
    (failed,) = complete(server, "p")[0]
    assert failed.failure == "model 'm-instruct' answered instead of 'm' (3 tries)"
    assert failed.failure_reason is NoVerdictReason.UNPARSABLE
    assert complete(server, "p", check_model=False)[0][0].text == "after p"
    assert not server.acts


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (status(500), NoVerdictReason.TIMED_OUT), (status(429), NoVerdictReason.TIMED_OUT),
        (hang_up, NoVerdictReason.TIMED_OUT), (status(400), NoVerdictReason.REFUSED),
        (choice(finish_reason="content_filter"), NoVerdictReason.REFUSED), (say("{"), NoVerdictReason.UNPARSABLE),
        (
            lambda handler, _: send(handler, 400, "This model's maximum context length is 8 tokens"),
            NoVerdictReason.TOO_LONG,
        ),
    ],
)  # fmt: skip
def test_a_judge_can_tell_why_there_is_no_completion(server: Server, act: Act, reason: NoVerdictReason) -> None:
    server.acts = [act] * 3
    assert complete(server, "p")[0][0].failure_reason is reason


def test_completions_are_held_to_choices(server: Server) -> None:
    def pick(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        choice(text=body["structured_outputs"]["choice"][-1])(handler, body)

    server.acts = [pick, pick]
    generator = build_generator(generation(server, dialect="vllm", max_concurrency=1))
    found = generator.generate(["p", "q"], SAMPLING, seed=3, choices_P=[["0", "1"], ["yes"]])
    assert [completions[0].text for completions in found] == ["1", "yes"]
    generator.generate(["p"], SAMPLING, seed=3)
    bodies = [body for _, body in server.requests]
    assert bodies[0]["structured_outputs"] == {"choice": ["0", "1"]}
    assert "structured_outputs" not in bodies[2] and bodies[0]["seed"] == bodies[2]["seed"]


def test_a_completion_that_is_no_choice_is_a_failure(server: Server) -> None:
    generator = build_generator(generation(server, dialect="vllm", max_concurrency=1))
    server.acts = [answer] * 3 + [choice(text="y", finish_reason="length")]
    (failed,), (cut,) = generator.generate(
        ["p", "q"], SamplingConfig(max_tokens=1, temperature=1.0), choices_P=[["yes", "no"]] * 2
    )
    assert "the text is not one of the 2 choices" in str(failed.failure)
    assert (cut.text, cut.finish_reason) == ("y", "length")


def test_choices_are_refused_where_they_cannot_be_kept(server: Server) -> None:
    with pytest.raises(
        ConfigError, match=r"dialect 'openai' cannot constrain completions to choices\. Set generation\.dialect=vllm"
    ):
        build_generator(generation(server)).generate(["p"], SAMPLING, choices_P=[["a"]])
    vllm = build_generator(generation(server, dialect="vllm"))
    with pytest.raises(ConfigError, match="has an empty list of choices"):
        vllm.generate(["p"], SAMPLING, choices_P=[[]])
    with pytest.raises(ConfigError, match="cannot be distinguished"):
        vllm.choice_logprobs(["p"], choices=["Yes", "Yes"])
    assert not server.requests


def listed(**logprobs: Any) -> Act:
    """Answer with the most probable first tokens, in the way of the route that is asked."""

    def act(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        if "messages" in body:
            entries = [{"token": token, "logprob": logprob} for token, logprob in logprobs.items()]
            choice(logprobs={"content": [{"top_logprobs": entries}]})(handler, body)
        else:
            choice(logprobs={"top_logprobs": [logprobs]})(handler, body)

    return act


@pytest.mark.parametrize("prompt", ["Right? ", ChatPrompt().build("Right?")])
def test_log_probabilities_of_choices(server: Server, prompt: Any) -> None:
    server.acts = [listed(No=-2.0, Yes=-0.25, Maybe=-4.0)]
    generator = build_generator(generation(server, top_logprobs=5, prompt_usd_per_mtok=1, completion_usd_per_mtok=0))
    (scores,) = generator.choice_logprobs([prompt], choices=["Yes", "No"])
    assert scores == ChoiceScores((-0.25, -2.0), n_prompt_tokens=5, cost_usd=5e-6)
    ((path, body),) = server.requests
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (1, 1.0, 1.0)
    if path == "/v1/completions":
        assert body["logprobs"] == 5
    else:
        assert (path, body["logprobs"], body["top_logprobs"]) == ("/v1/chat/completions", True, 5)


@pytest.mark.parametrize(
    ("act", "failure"),
    [
        (listed(Yes=-0.25, Maybe=-3.0), "the 2 most probable tokens that the server lists do not include 'No'"),
        (answer, "the server returns no log-probabilities"),
        (listed(Yes=0.5, No=-1.0), "damaged answer (ValueError: 0.5 is not a log-probability)"),
        (listed(Yes=-0.1, No=-0.1), "damaged answer (ValueError: the probabilities of the choices exceed 1)"),
        (listed(Yes="high", No=-1.0), "damaged answer (ValueError: high is not a log-probability)"),
        (listed(Yes=math.nan, No=-1.0), "damaged answer (ValueError: nan is not a log-probability)"),
        (listed(Yes=False, No=-1.0), "damaged answer (ValueError: False is not a log-probability)"),
        (choice(logprobs={"top_logprobs": []}), "damaged answer (IndexError"),
        (choice(logprobs={"top_logprobs": [["Yes"]]}), "damaged answer (ValueError"),
    ],
)
def test_a_probability_that_the_server_does_not_tell_is_never_guessed(server: Server, act: Act, failure: str) -> None:
    server.acts = [act] * 3
    (scores,) = build_generator(generation(server)).choice_logprobs(["p"], choices=["Yes", "No"])
    assert scores.logprobs is None
    assert str(scores.failure).startswith(failure)
    assert scores.failure_reason is NoVerdictReason.UNPARSABLE


def test_a_vllm_server_names_first_tokens_by_their_ids(server: Server, tiny_base: Path) -> None:
    from judgekit.engines.scoring.load import load_tokenizer

    generator = build_generator(generation(server, dialect="vllm", tokenizer=str(tiny_base)))
    tokenizer = load_tokenizer(str(tiny_base))
    ids = [tokenizer(text, add_special_tokens=False).input_ids[0] for text in ("+", "so")]
    server.acts = [listed(**{f"token_id:{ids[1]}": -0.5, f"token_id:{ids[0]}": -1.5, "+": -9.0})]
    (scores,) = generator.choice_logprobs(["p"], choices=["+", "so"])
    assert scores.logprobs == (-1.5, -0.5)
    assert server.requests[0][1]["return_tokens_as_token_ids"] is True
    assert server.requests[0][1]["logprob_token_ids"] == ids


def test_calls_are_billed_line_by_line(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "new" / "costs.jsonl"
    prices = {"prompt_usd_per_mtok": 2.0, "completion_usd_per_mtok": 8.0}
    generator = build_generator(generation(server, cost_log=log, max_concurrency=1, **prices))
    server.acts = [status(500), altered(model="other"), altered(usage=None), status(400)]
    (uncounted,), (refused,), (fine,), _ = generator.generate(["p", "q", "r", "s"], SAMPLING)
    assert (uncounted.text, uncounted.cost_usd) == ("after p", None)
    assert (refused.failure, refused.cost_usd) == ("HTTP 400: sorry 400", None)
    assert fine.cost_usd == pytest.approx(26e-6)
    server.acts = [listed(Yes=-1.0)]
    generator.choice_logprobs(["p"], choices=["Yes"])
    first, second = map(json.loads, log.read_text().splitlines())
    assert first.pop("time") <= second.pop("time")
    assert first == {
        "call": "generate",
        "server": server.url,
        "model": "m",
        "n_requests": 4,
        "n_retries": 2,
        "n_failures": 1,
        "troubles": {"http_400": 1, "http_500": 1, "wrong_model": 1},
        "n_prompt_tokens": 15,
        "n_completion_tokens": 6,
        "n_uncounted": 1,
        "cost_usd": pytest.approx(15 * 2e-6 + 6 * 8e-6),
        "error": None,
    }
    assert (second["call"], second["n_requests"], second["n_prompt_tokens"]) == ("choice_logprobs", 1, 5)
    with pytest.raises(ConfigError, match="cannot write cost_log"):
        build_generator(generation(server, cost_log=log / "below"))


def test_without_prices_there_is_no_cost(server: Server) -> None:
    assert complete(server, "p", prompt_usd_per_mtok=2.0)[0][0].cost_usd is None


def test_tokens_a_minute_hold_for_completions(server: Server) -> None:
    clock = Clock()
    config = generation(server, tokens_per_minute=60, max_concurrency=1)
    generator = HttpGenerator(config, clock=clock, sleep=clock.sleep)
    generator.generate(["p" * 40] * 3, SamplingConfig(max_tokens=20, temperature=1.0))
    assert clock.now == pytest.approx(14.0), "31 tokens are set aside, 5 + 2 are counted: two gaps of 7 s"
