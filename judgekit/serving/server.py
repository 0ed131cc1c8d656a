"""Listens, serves and shuts down cleanly: no accepted request is lost when the service is told to stop."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
from collections.abc import Callable
from math import ceil
from typing import Any

import h11
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from judgekit.errors import ConfigError
from judgekit.judges.base import Judge
from judgekit.serving.app import build_app
from judgekit.serving.config import ServeConfig
from judgekit.serving.refusals import RefusedError, answer_refusal
from judgekit.serving.wire import Trouble


def serve(judge: Judge, config: ServeConfig, *, announce: Callable[[str], None]) -> None:
    """Serve a judge until SIGTERM or SIGINT, then answer what was accepted and return. Main thread only.

    Args:
        judge: The judge, opened.
        config: Where to listen and what to accept.
        announce: Called with the address, `http://HOST:PORT`, when the service is ready.

    Raises:
        ConfigError: see `read_token` and `listen`.
    """
    token = read_token(config)
    with listen(config) as listener:
        server = build_server(judge, config, token=token)

        def stop(*_: object) -> None:
            server.should_exit = True

        # uvicorn sets handlers of its own while it serves and hands what it caught to these afterwards
        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            announce(address_of(listener))
            server.run(sockets=[listener])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _PromptHeads(H11Protocol):
    """Closes a connection on which no request begins in time, so that silent ones cannot keep others out.

    What never reaches the application is answered as the application answers: bytes that are no HTTP, and requests on
    more connections than are allowed.
    """

    head_s = 30.0
    """Longest time for a request's head to come in, seconds."""
    most = 256
    """Connections at once; requests on further ones are told so."""

    def data_received(self, data: bytes) -> None:
        self.app = _answer_crowd if len(self.connections) > self.most else self.config.loaded_app
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        trouble = Trouble(what=msg, way_out="send HTTP/1.1 requests as RFC 9112 has them")
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=trouble.model_dump_json().encode()),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head(None)

    def on_response_complete(self) -> None:
        done = self.cycle
        super().on_response_complete()
        self._expect_head(done)

    def _expect_head(self, done: Any) -> None:
        def close() -> None:
            if self.cycle is done and not self.transport.is_closing():
                self.transport.close()

        self.loop.call_later(self.head_s, close)


async def _answer_crowd(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request on a connection too many."""
    refusal = RefusedError(503, "too many connections", way_out="ask again later", Retry_After="1", Connection="close")
    await (await answer_refusal(None, refusal))(scope, receive, send)


def build_server(judge: Judge, config: ServeConfig, *, token: str | None) -> uvicorn.Server:
    """Build uvicorn's server around the application; it ends when its `should_exit` is set."""
    return uvicorn.Server(
        uvicorn.Config(
            build_app(judge, config, token=token),
            loop="asyncio",
            http=type("_Heads", (_PromptHeads,), {"head_s": config.read_s, "most": config.max_connections}),
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            # whatever was accepted is answered or beyond its deadline by then
            timeout_graceful_shutdown=ceil(config.read_s + config.deadline_s) + 1,
        )
    )


def read_token(config: ServeConfig) -> str | None:
    """Return the token that the environment holds, `None` if none is configured.

    Raises:
        ConfigError: the variable is not set or holds what no header can; or there is no token and the host is not
            loopback.
    """
    if config.token_env is None:
        if not ipaddress.ip_address(_resolve(config)[1][0].partition("%")[0]).is_loopback:
            raise ConfigError(
                f"host={config.host!r} can be reached from other machines, but no token is required: put one into an "
                "environment variable and name it, token_env=JUDGEKIT_TOKEN, or listen on 127.0.0.1"
            )
        return None
    token = os.environ.get(config.token_env, "")
    if not token or not all("!" <= character <= "~" for character in token):
        raise ConfigError(
            f"the environment variable {config.token_env} must hold the token (printable ASCII without spaces), but it "
            f"{'holds other characters' if token else 'is not set'}"
        )
    return token


def listen(config: ServeConfig) -> socket.socket:
    """Open the socket.

    Raises:
        ConfigError: the host is unknown, or the port is taken or not allowed.
    """
    family, address = _resolve(config)
    try:
        return socket.create_server(address[:2], family=family, backlog=config.max_connections)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {config.host} port {config.port}: {error.strerror}. Choose another, or port=0"
        ) from error


def address_of(listener: socket.socket) -> str:
    """Return the address that clients use."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _resolve(config: ServeConfig) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        family, *_, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"host={config.host!r} is not an address of this machine: {error}") from error
    return family, (str(address[0]), int(address[1]))
