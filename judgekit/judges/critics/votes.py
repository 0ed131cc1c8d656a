"""Votes of a critic: what one answer says, and when more answers cannot change the majority.

Outcomes are counted in the order of the posterior: first error at step 0, ..., n-1, or none. If outcomes have equally
many votes, the earlier one wins, as in `ArgmaxRule`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from judgekit.types import NoVerdictReason

Vote = int | None | NoVerdictReason
"""First error, 0-based, `None` for "no error", or why nothing could be read."""


def parsed_votes(votes: Sequence[Vote]) -> list[int | None]:
    """Return the votes that name an outcome."""
    return [vote for vote in votes if not isinstance(vote, NoVerdictReason)]


def most_common_reason(votes: Sequence[Vote]) -> NoVerdictReason:
    """Return why most of the votes without an outcome have none; the first such reason among equals."""
    return Counter(vote for vote in votes if isinstance(vote, NoVerdictReason)).most_common(1)[0][0]


def count_outcomes(votes: Sequence[Vote], *, n_steps: int) -> list[int]:
    """Count the votes for each outcome; votes without one do not count. Shape (n_steps + 1,).

    Example:
        >>> count_outcomes([1, None, 1, NoVerdictReason.TRUNCATED], n_steps=2)
        [0, 2, 1]
    """
    counts = Counter(n_steps if vote is None else vote for vote in parsed_votes(votes))
    return [counts[outcome] for outcome in range(n_steps + 1)]


def is_decided(counts: Sequence[int], *, n_left: int) -> bool:
    """Tell whether the outcome with the most votes stays that, whatever the votes that are left say.

    The worst case is that all of them go to one other outcome; a vote that cannot be read changes nothing.

    Args:
        counts: Votes for each outcome. Shape (n_steps + 1,).
        n_left: Votes still to be asked for.

    Example:
        >>> is_decided([0, 2, 1], n_left=1), is_decided([0, 1, 2], n_left=1)
        (True, False)
    """
    best = max(range(len(counts)), key=counts.__getitem__)
    wins_tie = [best < outcome for outcome in range(len(counts))]
    return n_left == 0 or all(
        counts[best] > count + n_left or (counts[best] == count + n_left and wins_tie[outcome])
        for outcome, count in enumerate(counts)
        if outcome != best
    )


def n_next_votes(counts: Sequence[int], *, n_left: int) -> int:
    """Return how many votes to ask for next: as many as would decide if all of them agreed with the leading outcome.

    Args:
        counts: Votes for each outcome. Shape (n_steps + 1,).
        n_left: Votes still to be asked for, at least 1.

    Example:
        >>> n_next_votes([0, 0, 0], n_left=8), n_next_votes([0, 4, 1], n_left=3)
        (5, 1)
    """
    second, best = sorted(counts)[-2:]
    return min(max((n_left + second - best) // 2 + 1, 1), n_left)
