"""The service as a process: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from judgekit.cli import main
from judgekit.errors import ConfigError
from judgekit.judges import load_judge
from judgekit.judges.stored import verdict_key
from judgekit.serving.config import RemoteConfig, ServeConfig
from judgekit.serving.remote import TOKEN_ENV, RemoteJudge
from judgekit.serving.server import listen, read_token
from judgekit.types import Judgement
from tests.judgekit.serving.service import HTTP, HashJudge, make

ROOT = Path(__file__).parents[3]
HELD = """
import pathlib, sys, time
from judgekit.serving.config import ServeConfig
from judgekit.serving.server import serve
from tests.judgekit.serving.service import HashJudge

class Held(HashJudge):
    def judge(self, solutions):
        while not pathlib.Path(sys.argv[1]).exists():
            time.sleep(0.01)
        return super().judge(solutions)

serve(Held(), ServeConfig(judge="given", port=0, max_batch=2), announce=lambda url: print("at", url, flush=True))
print("done", flush=True)
"""
"""A service whose judge does not answer before a file is there."""


@contextlib.contextmanager
def process(*command: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a service and wait until it prints its address."""
    env = os.environ | environment
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT
    ) as started:
        assert started.stdout and started.stderr
        line = started.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + started.stderr.read()
        try:
            yield started, found[0]
        finally:
            started.kill()


CLI = ("-m", "judgekit.cli", "serve")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_with_work_in_flight_loses_nothing(number: signal.Signals, tmp_path: Path) -> None:
    solutions = [make(f"{i}?") for i in range(12)]
    with process("-c", HELD, str(tmp_path / "go")) as (service, url):
        judge = RemoteJudge(url, RemoteConfig(max_solutions=2, max_concurrency=6, max_retries=0))
        found: list[Judgement] = []
        thread = threading.Thread(target=lambda: found.extend(judge.judge(solutions)))
        thread.start()
        while "judgekit_queue_solutions 10.0" not in HTTP.get(f"{url}/metrics").text:
            time.sleep(0.01)
        service.send_signal(number)
        with contextlib.suppress(httpx2.TransportError):  # also where it takes the connection and is gone
            while HTTP.get(f"{url}/health"):  # until it accepts no more
                time.sleep(0.01)
        (tmp_path / "go").touch()
        thread.join()
        out, err = service.communicate(timeout=60)
        assert (service.returncode, out, err) == (0, "done\n", "")
    assert found == [HashJudge().judge_one(solution) for solution in solutions]
    assert judge.n_unanswered == 0


def test_the_command_serves_and_ends() -> None:
    command = (*CLI, "--judge", "builtin:first-step", "--port", "0", "max_solutions=3", f"token_env={TOKEN_ENV}")
    with process(*command, **{TOKEN_ENV: "from the environment".replace(" ", "-")}) as (service, url):
        assert HTTP.get(f"{url}/health").json()["judge_id"] == "builtin:first-step"
        assert HTTP.post(f"{url}/describe", json={}).status_code == 401
        headers = {"Authorization": "Bearer from-the-environment"}
        said = HTTP.post(f"{url}/describe", json={}, headers=headers).json()
        assert (said["limits"]["max_solutions"], said["deterministic"]) == (3, True)
        said = HTTP.post(f"{url}/describe", json={"details": True}, headers=headers).json()
        assert said["verdict_key"] == verdict_key("builtin:first-step", dtype=None), "what clients may reuse"
        service.send_signal(signal.SIGTERM)
        out, _ = service.communicate(timeout=30)
        assert (service.returncode, out) == (0, "stopped; everything accepted was answered\n")


def test_a_host_beyond_loopback_needs_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7"):
        assert main(["serve", "--judge", "gone", "--host", host, "--port", "0"]) == 2
        complaint = capsys.readouterr().err
        assert f"host='{host}' can be reached from other machines" in complaint and "token_env=" in complaint
    for host in ("127.0.0.1", "localhost", "::1", "127.8.9.10"):
        assert read_token(ServeConfig(judge="j", host=host)) is None


@pytest.mark.parametrize(("token", "complaint"), [("", "is not set"), ("a b", "holds other"), ("é", "holds other")])
def test_a_token_must_be_one(token: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", token)
    with pytest.raises(ConfigError, match=f"SOME_TOKEN must hold the token.*{complaint}"):
        read_token(ServeConfig(judge="j", token_env="SOME_TOKEN"))


def test_bad_settings_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*argv: str) -> str:
        assert main(["serve", *argv]) == 2
        return capsys.readouterr().err

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        complaint = refused("--judge", "builtin:random", "--port", port)
        assert f"cannot listen on 127.0.0.1 port {port}" in complaint
    assert "is not an address of this machine" in refused("--judge", "builtin:random", "--host", "no.such.host.invalid")
    assert "field 'judge' is missing" in refused("--port", "0")
    assert "unknown builtin judge 'best'" in refused("--judge", "builtin:best", "--port", "0")
    assert "max_solutions=256 is more than max_queue=8" in refused("--judge", "builtin:random", "max_queue=8")
    assert "did you mean 'token_env'" in refused("--judge", "builtin:random", "token=secret")


def test_addresses_of_both_kinds() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        try:
            listener = listen(ServeConfig(judge="j", host=host, port=0))
        except ConfigError:
            assert host == "::1", "only IPv6 may be missing"
            continue
        listener.close()


def test_a_judge_on_ipv6_is_reached() -> None:
    try:
        listen(ServeConfig(judge="j", host="::1", port=0)).close()
    except ConfigError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with process(*CLI, "--judge", "builtin:no-error", "--host", "::1", "--port", "0") as (_, url):
        assert url.startswith("http://[::1]:")
        assert load_judge(url).judge([make("a")]) == load_judge("builtin:no-error").judge([make("a")])


def test_the_extra_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("uvicorn", "judgekit.serving.server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    missing: Any = None
    monkeypatch.setitem(sys.modules, "uvicorn", missing)
    assert main(["serve", "--judge", "builtin:random"]) == 2
    assert "pip install 'sgpo[serve]'" in capsys.readouterr().err
