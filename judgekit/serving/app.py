"""The service as an ASGI application: its routes, and which requests it refuses: size, fields, too many at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from judgekit.errors import DataError, JudgekitError, describe_validation_error
from judgekit.judges.base import Judge
from judgekit.serving.batching import Batcher, QueueFullError
from judgekit.serving.config import ServeConfig
from judgekit.serving.gates import CountedRequests, TokenDemanded, UnambiguousLength
from judgekit.serving.metrics import Metrics
from judgekit.serving.refusals import (
    HEALTH,
    METRICS,
    RefusedError,
    answer_fault,
    answer_no_route,
    answer_nobody,
    answer_refusal,
    json_response,
)
from judgekit.serving.wire import (
    DESCRIBE,
    DETAILS,
    INFO_FIELDS,
    JUDGE,
    JUDGEMENT_DETAILS,
    LIMIT_DETAILS,
    OLDER_REASONS,
    WITH_DETAILS,
    DescribeRequest,
    Description,
    JudgeAnswer,
    JudgeRequest,
    Limits,
    count_chars,
)
from judgekit.solution_ids import SolutionIds
from judgekit.types import Judgement, NoVerdictReason, Solution
from judgekit.version import VERSION

T = TypeVar("T")


class JudgeService:
    """What the routes do.

    Args:
        judge: The judge served.
        config: Limits and batching.
    """

    def __init__(self, judge: Judge, config: ServeConfig) -> None:
        self.config = config
        info = judge.info
        self.description = Description(
            **{name: vars(info)[name] for name in INFO_FIELDS - {"reserved"}},
            version=VERSION,
            limits=Limits(
                max_solutions=config.max_solutions,
                max_body_bytes=config.max_body_bytes,
                max_request_steps=config.max_request_steps,
                max_request_chars=config.max_request_chars,
            ),
            reserved=info.reserved or (),
        )
        self.metrics = Metrics(judge_id=info.judge_id, version=self.description.version)
        self.batcher = Batcher(judge, config, self.metrics)

    async def health(self, _: Request) -> Response:
        """Answer 200 while the judge works, 503 when one call of it has taken longer than any request may."""
        busy_since = self.batcher.busy_since
        busy_s = 0.0 if busy_since is None else time.monotonic() - busy_since
        ready = busy_s <= self.config.deadline_s
        state = {
            "ready": ready,
            "judge_id": self.description.judge_id,
            "version": self.description.version,
            "busy_s": busy_s,
            "last_failure": self.batcher.trouble,
        }
        return JSONResponse(state, 200 if ready else 503)

    async def describe(self, request: Request) -> Response:
        """Say which judge this is; what older clients do not know only to those that ask for it."""
        try:
            asked = DescribeRequest.model_validate_json(await self._read_body(request))
        except ValidationError:  # any JSON will do, and always has
            asked = DescribeRequest()
        if asked.details:
            return json_response(self.description)
        said = self.description.model_dump_json(exclude={**dict.fromkeys(DETAILS, True), "limits": LIMIT_DETAILS})
        return Response(said, media_type="application/json")

    async def show_metrics(self, _: Request) -> Response:
        """Answer in Prometheus' text format."""
        return Response(self.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def judge(self, request: Request) -> Response:
        """Judge the solutions of one request together with those of others."""
        with self.metrics.request_s.time():
            solutions, timeout_s = _parse(await self._read_body(request), max_solutions=self.config.max_solutions)
            fits = [
                len(item.steps) <= self.config.max_steps and count_chars(item) <= self.config.max_chars
                for item in solutions
            ]
            waiting = [solution for solution, fit in zip(solutions, fits, strict=True) if fit]
            # Bounds what one request can ask of the judge, whatever it is divided into: others wait for their turn.
            for name, amount, most in (
                ("steps", sum(len(solution.steps) for solution in waiting), self.config.max_request_steps),
                ("chars", sum(map(count_chars, waiting)), self.config.max_request_chars),
            ):
                if amount > most:
                    raise RefusedError(
                        413,
                        f"more than max_request_{name}={most} in one request",
                        value=amount,
                        way_out="send the solutions in several requests",
                    )
            judged = iter(await self._wait_for(request, waiting, timeout_s=timeout_s) if waiting else ())
            judgements = []
            for solution, fit in zip(solutions, fits, strict=True):
                unread = {"solution_id": solution.id, "no_verdict": NoVerdictReason.TOO_LONG}
                judgements.append(next(judged) if fit else Judgement(judge_id=self.description.judge_id, **unread))
                if not fit:
                    self.metrics.count(judgements[-1])
            if request.url.query == WITH_DETAILS:
                return json_response(JudgeAnswer(judge_id=self.description.judge_id, judgements=tuple(judgements)))
            # Older clients refuse what they do not know, and would lose the whole answer.
            judgements = [
                judgement.model_copy(update={"no_verdict": OLDER_REASONS[judgement.no_verdict]})
                if judgement.no_verdict in OLDER_REASONS
                else judgement
                for judgement in judgements
            ]
            answer = JudgeAnswer(judge_id=self.description.judge_id, judgements=tuple(judgements))
            said = answer.model_dump_json(exclude={"judgements": {"__all__": JUDGEMENT_DETAILS}})
            return Response(said, media_type="application/json")

    async def _wait_for(
        self, request: Request, solutions: list[Solution], *, timeout_s: float | None
    ) -> list[Judgement]:
        longest_s = min(timeout_s or self.config.deadline_s, self.config.deadline_s)
        try:
            return await _while_connected(request, self.batcher.judge(solutions, timeout_s=longest_s))
        except QueueFullError as full:
            raise RefusedError(
                429,
                f"the queue of {self.config.max_queue} solutions has no room for {len(solutions)} more",
                value=len(solutions),
                way_out=f"ask again in {full.retry_after_s} s",
                Retry_After=str(full.retry_after_s),
            ) from full
        except TimeoutError as error:
            raise RefusedError(
                504,
                f"not judged within {longest_s:g} s",
                value=len(solutions),
                way_out="ask for fewer solutions at once or allow more time",
            ) from error
        except JudgekitError as error:
            raise RefusedError(503, f"the judge failed: {error}", way_out="check the judge, then ask again") from error

    async def _read_body(self, request: Request) -> bytes:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(
                415,
                "the body must be JSON",
                value=request.headers.get("content-type", "")[:100],
                way_out="send Content-Type: application/json",
                Connection="close",
            )
        body = bytearray()  # counted as it comes in: a client may state no length, or a wrong one
        try:
            async with asyncio.timeout(self.config.read_s):
                async for piece in request.stream():
                    body += piece
                    if len(body) > self.config.max_body_bytes:
                        raise RefusedError(
                            413,
                            f"the body is larger than {self.config.max_body_bytes} bytes",
                            value=len(body),
                            way_out="send fewer solutions at once, or raise max_body_bytes of the service",
                            Connection="close",
                        )
        except TimeoutError as error:
            raise RefusedError(
                408,
                f"the body did not arrive within {self.config.read_s:g} s",
                value=len(body),
                way_out="send it faster or send less at once",
                Connection="close",
            ) from error
        return bytes(body)


def build_app(judge: Judge, config: ServeConfig, *, token: str | None) -> Starlette:
    """Build the application around a judge.

    Args:
        judge: The judge; only one thread calls it, one call at a time.
        config: Limits and batching.
        token: Bearer token that everything but `/health` demands; `None` demands none.
    """
    service = JudgeService(judge, config)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        worker = asyncio.create_task(service.batcher.run())
        yield
        worker.cancel()

    app = Starlette(
        routes=[
            Route(HEALTH, service.health, methods=["GET"]),
            Route(METRICS, service.show_metrics, methods=["GET"]),
            Route(f"/{DESCRIBE}", service.describe, methods=["POST"]),
            Route(f"/{JUDGE}", service.judge, methods=["POST"]),
        ],
        middleware=[
            Middleware(CountedRequests, metrics=service.metrics),
            Middleware(UnambiguousLength),
            Middleware(TokenDemanded, token=token),
        ],
        exception_handlers={
            RefusedError: answer_refusal,
            HTTPException: answer_no_route,
            ClientDisconnect: answer_nobody,
            Exception: answer_fault,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would lead to whatever host the request names
    return app


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await work for as long as the client does; what nobody waits for is cancelled.

    Raises:
        ClientDisconnect: the client hung up.
    """

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.create_task(work), asyncio.create_task(watch())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        watching.cancel()


def _parse(body: bytes, *, max_solutions: int) -> tuple[list[Solution], float | None]:
    """Read solutions and the time that the client waits.

    Raises:
        RefusedError: the body is no JSON (400), does not hold what it must (422), or too many solutions (413).
    """
    try:
        asked = JudgeRequest.model_validate_json(body)
        solutions = [Solution.model_validate(row.model_dump()) for row in asked.solutions[: max_solutions + 1]]
        ids = SolutionIds()
        for number, solution in enumerate(solutions):
            ids.check(solution, place="solutions.", row=number)
    except ValidationError as error:
        raise RefusedError(
            400 if error.errors()[0]["type"] == "json_invalid" else 422,
            describe_validation_error(error),
            way_out='send {"solutions": [{"problem": TEXT, "steps": [TEXT, ...]}]}',
        ) from error
    except DataError as error:
        what, _, way_out = str(error).rpartition(": ")
        raise RefusedError(422, what, way_out=way_out) from error
    if len(asked.solutions) > max_solutions:
        raise RefusedError(
            413,
            f"more than {max_solutions} solutions in one request",
            value=len(asked.solutions),
            way_out="send them in several requests",
        )
    return solutions, asked.timeout_s
