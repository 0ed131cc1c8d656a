"""A judge that failed where others did not: what is said of it, so that their work is not lost with it."""

from __future__ import annotations

from typing import NamedTuple


class Failure(NamedTuple):
    """A judge that failed, while it was opened or while it judged."""

    judge: str
    """The judge, as the run names it."""
    benchmark: str | None
    """What it was judging; `None` where it could not be opened, or where there is but one thing to judge."""
    reason: str
    """Why, in one line."""

    @property
    def line(self) -> str:
        """All of it in one line.

        Example:
            >>> Failure("prm", "processbench", "server gone").line
            'prm failed on processbench: server gone'
        """
        return f"{self.judge} failed{f' on {self.benchmark}' if self.benchmark else ''}: {self.reason}"


__all__ = ["Failure"]
