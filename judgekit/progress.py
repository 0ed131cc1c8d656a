"""How far work is, one way for all commands: a bar on a terminal, elsewhere a line in the log every ten seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import ExitStack
from typing import Any, ClassVar, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

T = TypeVar("T")
EVERY_S = 10.0
"""Seconds between two lines of the log."""

logger = logging.getLogger(__name__)


class Progress:
    """Shows how much of some work is done, between `with` and its end. Work inside of other shown work shows nothing.

    Args:
        what: The work, in a word or two.
        total: How much there is; `None` where nobody knows.
        done: How much was done before.
        disable: Show nothing: another process does.

    Example:
        >>> with Progress("judging", 3) as progress:
        ...     progress.advance(2)
        ...     progress.line
        'judging: 2 of 3 (67 %), 0:00:00 so far, about 0:00:00 left'
    """

    _shown: ClassVar[bool] = False
    """Whether one of this process is shown."""

    def __init__(self, what: str, total: int | None, *, done: int = 0, disable: bool = False) -> None:
        self.what = what
        self.total = total
        self.done = self._before = done
        self.note = ""
        """What is said beside the numbers."""
        self._disable = disable
        self._bar: Any = None
        self._end = ExitStack()

    def __enter__(self) -> Progress:
        """Begin to show it."""
        self._began = self._last = time.monotonic()
        self._is_shown = not (self._disable or Progress._shown)
        if self._is_shown:
            Progress._shown = True
            console = Console(stderr=True)
            # Not in Jupyter: rich's stand-in for stdout there has the kernel show a line, which flushes stdout first,
            # and that is the stand-in again, without end.
            if console.is_terminal:
                columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
                text = TextColumn("{task.description}", markup=False)
                self._bar = self._end.enter_context(Bars(text, *columns, console=console))
                self._task = self._bar.add_task(self.what, total=self.total, completed=self.done)
        return self

    def __exit__(self, *_: object) -> None:
        """End with what was done."""
        self._end.close()
        if self._is_shown:
            Progress._shown = False
            if self._bar is None and self.done > self._before:
                logger.info(self.line)

    def advance(self, n: int = 1, *, note: str | None = None) -> None:
        """Count work that is done, and say something beside it."""
        self.update(self.done + n, note=note)

    def update(self, done: int, *, note: str | None = None) -> None:
        """Say how much is done in all."""
        self.done, self.note = done, self.note if note is None else note
        if self._bar is not None:
            name = f"{self.what} ({self.note})" if self.note else self.what
            self._bar.update(self._task, completed=done, description=name)
        elif self._is_shown and time.monotonic() - self._last >= EVERY_S and done != self.total:
            self._last = time.monotonic()
            logger.info(self.line)

    @property
    def line(self) -> str:
        """What the log says now."""
        took = time.monotonic() - self._began
        parts = [f"{self.done:,}"]
        if self.total:
            parts = [f"{self.done:,} of {self.total:,} ({self.done / self.total:.0%})".replace("%", " %")]
        parts += [self.note] if self.note else []
        if self.total is not None and self.done >= self.total:
            parts.append(f"{_clock(took)} in all")
        else:
            parts.append(f"{_clock(took)} so far")
            if self.total is not None and self.done > self._before:
                left = took / (self.done - self._before) * (self.total - self.done)
                parts.append(f"about {_clock(left)} left")
        return f"{self.what}: {', '.join(parts)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def track(items: Iterable[T], what: str, *, total: int | None = None, disable: bool = False) -> Iterator[T]:
    """Yield items, and show how many are done; `total` is wanted where they have no length."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(what, total, disable=disable) as progress:
        for item in items:
            yield item
            progress.advance()
