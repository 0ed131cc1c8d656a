"""Requests to a server and their cost: summed while requests are running, one JSON line per call."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from judgekit.engines.generation.openai_answers import Usage
from judgekit.engines.http.client import Tally
from judgekit.errors import ConfigError, DataError


@dataclass
class Bill:
    """Tokens of the answers of one call, unusable ones included, as far as the server counts them."""

    prompt_usd_per_mtok: float | None
    """Price of a million prompt tokens, US dollars; `None` if unknown."""
    completion_usd_per_mtok: float | None
    """Price of a million sampled tokens, US dollars; `None` if unknown."""
    n_prompt_tokens: int = 0
    """Tokens read."""
    n_completion_tokens: int = 0
    """Tokens sampled."""
    n_uncounted: int = 0
    """Answers without a count of their prompt's tokens; they are in no sum."""

    def add(self, usage: Usage) -> None:
        """Count one answer."""
        self.n_prompt_tokens += usage.n_prompt_tokens
        self.n_completion_tokens += usage.n_tokens
        self.n_uncounted += not usage.n_prompt_tokens

    def price(self, usage: Usage) -> float | None:
        """Return what tokens cost, US dollars; `None` if a price or the count is unknown.

        Example:
            >>> Bill(0.5, 2.0).price(Usage(n_prompt_tokens=1_000_000, n_tokens=500_000))
            1.5
        """
        if self.prompt_usd_per_mtok is None or self.completion_usd_per_mtok is None or not usage.n_prompt_tokens:
            return None
        return (usage.n_prompt_tokens * self.prompt_usd_per_mtok + usage.n_tokens * self.completion_usd_per_mtok) / 1e6

    @property
    def cost_usd(self) -> float | None:
        """What the counted answers cost together, US dollars; `None` if a price is unknown or nothing counted."""
        return self.price(Usage(self.n_prompt_tokens, self.n_completion_tokens))


def open_cost_log(path: Path) -> None:
    """Make sure that lines can be written, before anything is paid for.

    Raises:
        ConfigError: they cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise ConfigError(f"cannot write cost_log {path}: {error.strerror}. Choose another path") from error


@contextlib.contextmanager
def cost_logged(path: Path | None, *, call: str, server: str, model: str, bill: Bill, tally: Tally) -> Iterator[None]:
    """Append one line when the block ends, also where an error ends it: what was answered until then is paid for.

    Args:
        path: JSON lines file; `None` keeps none.
        call: `generate` or `choice_logprobs`.
        server: Address.
        model: Name of the model.
        bill: What was answered.
        tally: What was asked, and what trouble it met.

    Raises:
        DataError: the disk is full or the file cannot be written.
    """
    error: str | None = None
    try:
        yield
    except BaseException as trouble:
        error = f"{type(trouble).__name__}: {trouble}"
        raise
    finally:
        if path is not None:
            told = {"call": call, "server": server, "model": model} | _describe(bill, tally) | {"error": error}
            line = {"time": datetime.now(UTC).isoformat(timespec="seconds")} | told
            try:
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            except OSError as trouble:
                raise DataError(
                    f"cannot write cost_log {path}: {trouble.strerror}. Free the space, then resume"
                ) from trouble


def _describe(bill: Bill, tally: Tally) -> dict[str, Any]:
    return {
        "n_requests": tally.n_requests,
        "n_retries": tally.n_retries,
        "n_failures": tally.n_failures,
        "troubles": dict(sorted(tally.troubles.items())),
        "n_prompt_tokens": bill.n_prompt_tokens,
        "n_completion_tokens": bill.n_completion_tokens,
        "n_uncounted": bill.n_uncounted,
        "cost_usd": bill.cost_usd,
    }
