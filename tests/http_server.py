"""An OpenAI-compatible server in a thread that answers, delays, refuses, breaks off and talks nonsense, as told.

`python -m tests.http_server --port PORT` runs one in a process of its own, which can die.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


class Server(ThreadingHTTPServer):
    """Does what `acts` say, one a request; then what `plan` says of the request's body."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.acts: list[Act] = []
        self.plan: Callable[[dict[str, Any]], Act] = lambda _: answer
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()

    def handle_error(self, *_: Any) -> None:
        """Keep broken connections, which tests cause on purpose, out of the output."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append((self.path, body))
            self.server.headers.append(dict(self.headers))
            act = self.server.acts.pop(0) if self.server.acts else self.server.plan(body)
        act(self, body)

    def log_message(self, *_: Any) -> None:
        pass


def send(handler: BaseHTTPRequestHandler, status: int, text: str, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(text.encode())))
    handler.end_headers()
    handler.wfile.write(text.encode())


def reply(body: dict[str, Any], *, reason: str | None = "stop") -> dict[str, Any]:
    """Return a right answer: the prompt, echoed."""
    if "messages" in body:
        said: dict[str, Any] = {"message": {"content": f"to {body['messages'][-1]['content']}"}}
    else:
        said = {"text": f"after {body['prompt']}"}
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    return {"model": body["model"], "choices": [said | {"finish_reason": reason}], "usage": usage}


def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any], *, reason: str | None = "stop") -> None:
    send(handler, 200, json.dumps(reply(body, reason=reason)), Content_Type="application/json")


def late(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    time.sleep(0.05)
    answer(handler, body)


def plain(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    """Answer rightly under a wrong content type."""
    send(handler, 200, json.dumps(reply(body)), Content_Type="text/html; charset=utf-9")


def altered(**changes: Any) -> Act:
    """Answer with other values than the right ones."""
    return lambda handler, body: send(handler, 200, json.dumps(reply(body) | changes))


def choice(**changes: Any) -> Act:
    """Answer with other values in the one choice."""

    def act(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        answered = reply(body)
        answered["choices"][0] |= changes
        send(handler, 200, json.dumps(answered))

    return act


def status(code: int, **headers: str) -> Act:
    return lambda handler, _: send(handler, code, f"sorry {code}", **headers)


def say(text: str, **headers: str) -> Act:
    return lambda handler, _: send(handler, 200, text, **headers)


def half(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    """Send half the JSON as if it were all."""
    text = json.dumps(reply(body))
    send(handler, 200, text[: len(text) // 2])


def doubled(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    """Answer, and send a neighbour's answer right behind it."""
    neighbour = json.dumps(reply(body | {"prompt": "a neighbour's prompt"}))
    text = json.dumps(reply(body))
    head = "HTTP/1.1 200 OK\r\nContent-Length: "
    handler.wfile.write(f"{head}{len(text)}\r\n\r\n{text}{head}{len(neighbour)}\r\n\r\n{neighbour}".encode())


def hang_up(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    handler.close_connection = True
    handler.connection.close()


def reset(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """Close with a reset, as a killed process does with what it has not read."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def break_off(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """Promise more than is sent."""
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.connection.close()


def drip(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """Send a byte now and then until the other side has enough, so that no single read waits long."""
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(1000):
        time.sleep(0.05)
        handler.wfile.write(b" ")
        handler.wfile.flush()


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Run a server on a free port of this machine."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def start_process(*, port: int = 0, die_after: int | None = None) -> tuple[subprocess.Popen[str], int]:
    """Run a server in a process of its own; return it and its port when it listens.

    Args:
        port: 0 takes a free one.
        die_after: Answers after which the process dies, with whatever is under way.
    """
    command = [sys.executable, "-m", "tests.http_server", "--port", str(port)]
    command += [] if die_after is None else ["--die-after", str(die_after)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--die-after", type=int)
    args = parser.parse_args()
    server = Server(args.port)

    def plan(_: dict[str, Any]) -> Act:
        if args.die_after is not None and len(server.requests) > args.die_after:
            os._exit(1)
        return late

    server.plan = plan
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
