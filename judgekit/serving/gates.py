"""Checks that every request passes before its route: it is counted, and refused without the token."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from judgekit.serving.metrics import Metrics
from judgekit.serving.refusals import HEALTH, METRICS, RefusedError, answer_refusal
from judgekit.serving.wire import DESCRIBE, JUDGE

_PATHS = frozenset({HEALTH, METRICS, f"/{DESCRIBE}", f"/{JUDGE}"})


class CountedRequests:
    """Counts requests by path and status."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count what it is answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500  # what the outermost layer answers where an exception comes through

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            path = scope["path"] if scope["path"] in _PATHS else "other"
            self.metrics.requests.labels(path, status).inc()


class UnambiguousLength:
    """Refuses a body whose length is stated twice, which somebody on the way may read otherwise than the service."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 400."""
        names = {name.lower() for name, _ in scope.get("headers", ())}
        if scope["type"] != "http" or not {b"transfer-encoding", b"content-length"} <= names:
            await self.app(scope, receive, send)
            return
        refusal = RefusedError(
            400,
            "the body's length is given by both Transfer-Encoding and Content-Length",
            way_out="send only one of the two",
            Connection="close",
        )
        await (await answer_refusal(None, refusal))(scope, receive, send)


class TokenDemanded:
    """Lets nobody without the token beyond `/health`."""

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self.app = app
        self.expected = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if scope["type"] != "http" or scope["path"] == HEALTH or self.expected is None:
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("authorization", "").encode("latin-1")
        scheme, _, token = given.partition(b" ")
        # names of schemes have no case (RFC 9110, 11.1); tokens do
        if scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(b" "), self.expected):
            await self.app(scope, receive, send)
            return
        refusal = RefusedError(
            401,
            "the token is wrong" if given else "a token is needed",
            way_out="send the service's token as Authorization: Bearer TOKEN",
            WWW_Authenticate="Bearer",
            Connection="close",
        )
        await (await answer_refusal(None, refusal))(scope, receive, send)
