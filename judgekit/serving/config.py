"""Options of `judgekit serve`, and of its clients."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.engines.http.limits import HttpLimits
from judgekit.engines.precision import AUTO, ChosenPrecision


class ServeConfig(BaseConfig):
    """Options of one service. The token itself is never an option, only the name of the variable that holds it."""

    judge: str = Field(min_length=1)
    """Anything that `load_judge` opens; `--judge` on the command line."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the judge runs; `auto`: bfloat16 if the hardware supports it, else float32."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs a token."""
    port: int = Field(default=8571, ge=0, le=65535)
    """TCP port; 0 picks a free one and prints it."""
    token_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable that holds the bearer token; `null` requires no token."""

    max_batch: int = Field(default=64, ge=1)
    """Maximum solutions per call of the judge, from one request or many."""
    max_batch_chars: int = Field(default=262_144, ge=1)
    """Maximum characters of problems and steps per call of the judge; a longer solution is judged alone."""
    max_batch_steps: int = Field(default=1024, ge=1)
    """Maximum steps per call of the judge, after which other requests take their turn; a longer solution is judged
    alone."""
    window_s: float = Field(default=0.005, ge=0)
    """How long a request waits for others to join its batch while the judge is idle, seconds; 0 judges it at once."""
    max_queue: int = Field(default=1024, ge=1)
    """Solutions that may wait; a request that does not fit is refused for now (429)."""

    max_solutions: int = Field(default=256, ge=1)
    """Maximum solutions per request."""
    max_body_bytes: int = Field(default=16_777_216, ge=1024)
    """Maximum body size of a request, bytes."""
    max_request_steps: int = Field(default=16_384, ge=1)
    """Maximum steps per request, over all its solutions; beyond it the request is refused (413)."""
    max_request_chars: int = Field(default=4_000_000, ge=1)
    """Maximum characters per request, over all its solutions; beyond it the request is refused (413)."""
    max_steps: int = Field(default=1024, ge=1)
    """Maximum steps per solution; a longer one gets no verdict (`too_long`), the others are judged."""
    max_chars: int = Field(default=1_000_000, ge=1)
    """Maximum characters of a solution with problem and reference; a longer one gets no verdict (`too_long`)."""
    max_connections: int = Field(default=256, ge=1)
    """Maximum simultaneous connections; further ones are refused as overload (503)."""
    read_s: float = Field(default=30.0, gt=0)
    """Longest time to receive a request's head, and again its body, seconds."""
    deadline_s: float = Field(default=600.0, gt=0)
    """Longest time from a request's body to its answer, seconds; a request may ask for less."""

    @model_validator(mode="after")
    def _a_request_fits(self) -> Self:
        if self.max_solutions > self.max_queue:
            raise ValueError(
                f"max_solutions={self.max_solutions} is more than max_queue={self.max_queue}: such a request could "
                "never be accepted. Raise max_queue or lower max_solutions"
            )
        return self


class RemoteConfig(HttpLimits):
    """How a service is asked."""

    max_concurrency: int = Field(default=8, ge=1)
    """Requests under way at once."""
    max_retries: int = Field(default=8, ge=0)
    """Further tries of a request that timed out, was refused for load or came back damaged; with the default waits they
    outlast a restart of the service."""
    deadline_s: float = Field(default=600.0, gt=0)
    """Longest time for one try, seconds, the time in the service's queue included."""
    max_failures: int = Field(default=8, ge=1)
    """So many requests in a row without an answer stop the run: the service is taken to be down."""
    max_solutions: int = Field(default=32, ge=1)
    """Most solutions of one request; the service's own limit holds, too."""
