"""Options of `judgekit serve`, and of who asks it."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.engines.http.limits import HttpLimits
from judgekit.engines.precision import AUTO, ChosenPrecision


class ServeConfig(BaseConfig):
    """Options of one service. The token is never among them, only the name of the variable that holds it."""

    judge: str = Field(min_length=1)
    """Anything that `load_judge` opens; `--judge` on the command line."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the judge runs; `auto`: bfloat16 where the hardware computes in it, else float32."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs a token."""
    port: int = Field(default=8571, ge=0, le=65535)
    """TCP port; 0 takes a free one, which is printed."""
    token_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable that holds the bearer token; `null` asks for none."""

    max_batch: int = Field(default=64, ge=1)
    """Most solutions handed to the judge at once, of one request or of many."""
    max_batch_chars: int = Field(default=262_144, ge=1)
    """Most characters of problems and steps handed to the judge at once; a longer solution is judged alone."""
    max_batch_steps: int = Field(default=1024, ge=1)
    """Most steps handed to the judge at once, then others have their turn; a solution with more is judged alone."""
    window_s: float = Field(default=0.005, ge=0)
    """How long a request waits for company while the judge is idle, seconds; 0 judges it at once."""
    max_queue: int = Field(default=1024, ge=1)
    """Solutions that may wait; a request that does not fit is told to come back later (429)."""

    max_solutions: int = Field(default=256, ge=1)
    """Most solutions of one request."""
    max_body_bytes: int = Field(default=16_777_216, ge=1024)
    """Largest body of a request, bytes."""
    max_request_steps: int = Field(default=16_384, ge=1)
    """Most steps of one request, all its solutions together; one with more is refused (413)."""
    max_request_chars: int = Field(default=4_000_000, ge=1)
    """Most characters of one request, all its solutions together; one with more is refused (413)."""
    max_steps: int = Field(default=1024, ge=1)
    """Most steps of a solution; one with more gets no verdict (`too_long`), its neighbours are judged."""
    max_chars: int = Field(default=1_000_000, ge=1)
    """Most characters of a solution with problem and reference; one with more gets no verdict (`too_long`)."""
    max_connections: int = Field(default=256, ge=1)
    """Connections at once; further ones are told that the service is overloaded (503)."""
    read_s: float = Field(default=30.0, gt=0)
    """Longest time for a request's head, and again for its body, to come in, seconds."""
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
