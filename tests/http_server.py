"""An OpenAI-compatible server in a thread that answers, delays, refuses, breaks off and talks nonsense, as told."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


class Server(ThreadingHTTPServer):
    """Does what `acts` say, one a request; then answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.acts: list[Act] = []
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

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append((self.path, body))
            self.server.headers.append(dict(self.headers))
            act = self.server.acts.pop(0) if self.server.acts else answer
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


def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any], *, reason: str | None = "stop") -> None:
    """Echo the prompt and the seed."""
    if "messages" in body:
        said: dict[str, Any] = {"message": {"content": f"to {body['messages'][-1]['content']}"}}
    else:
        said = {"text": f"after {body['prompt']}"}
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    send(handler, 200, json.dumps({"choices": [said | {"finish_reason": reason}], "usage": usage}))


def status(code: int, **headers: str) -> Act:
    return lambda handler, _: send(handler, code, f"sorry {code}", **headers)


def say(text: str) -> Act:
    return lambda handler, _: send(handler, 200, text)


def hang_up(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    handler.connection.close()


def break_off(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.connection.close()


def drip(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """Send a byte now and then, so that no single read waits long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(20):
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
