"""Answers to refused requests: a status and JSON that says what is wrong, the value and what to do."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from judgekit.serving.wire import DESCRIBE, JUDGE, Trouble

HEALTH, METRICS = "/health", "/metrics"
"""Paths next to those of `judgekit.serving.wire`."""


class RefusedError(Exception):
    """A request is answered with a status other than 200.

    Args:
        status: HTTP status.
        what: What is wrong.
        value: The value that is wrong.
        way_out: What to do instead.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, what: str, *, way_out: str, value: str | int | None = None, **headers: str) -> None:
        super().__init__(what)
        self.status = status
        self.trouble = Trouble(what=what, value=value, way_out=way_out)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def json_response(message: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a message as JSON."""
    return Response(message.model_dump_json(), status, headers, media_type="application/json")


async def answer_refusal(_: Request | None, error: Exception) -> Response:
    """Answer with what a `RefusedError` says."""
    assert isinstance(error, RefusedError)
    return json_response(error.trouble, error.status, error.headers)


async def answer_no_route(request: Request, error: Exception) -> Response:
    """Answer for a route or method that there is none of."""
    assert isinstance(error, HTTPException)
    trouble = Trouble(
        what=error.detail,
        value=f"{request.method} {request.url.path}"[:200],
        way_out=f"use GET {HEALTH}, GET {METRICS}, POST /{DESCRIBE} and POST /{JUDGE}",
    )
    return json_response(trouble, error.status_code, dict(error.headers or {}))


async def answer_nobody(_: Request, __: Exception) -> Response:
    """Answer a client that hung up: nobody reads it, but it is counted."""
    return Response(status_code=499)


async def answer_fault(_: Request, error: Exception) -> Response:
    """Answer for a fault of our code or the judge's; the traceback goes to the service's log."""
    return json_response(
        Trouble(
            what="the service has a fault", value=type(error).__name__, way_out="see the traceback in the service's log"
        ),
        500,
    )
