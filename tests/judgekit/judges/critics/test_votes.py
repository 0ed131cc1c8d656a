"""Votes: counting, and the rule that stops asking, against every way in which the remaining votes could fall."""

from __future__ import annotations

from itertools import product

import pytest

from judgekit.judges.critics.votes import count_outcomes, is_decided, most_common_reason, n_next_votes, parsed_votes
from judgekit.types import ArgmaxRule, NoVerdictReason, Verdict

TRUNCATED, UNPARSABLE = NoVerdictReason.TRUNCATED, NoVerdictReason.UNPARSABLE


def decision(counts: list[int], *, n_steps: int) -> int | None:
    votes = [None if outcome == n_steps else outcome for outcome, n in enumerate(counts) for _ in range(n)]
    return Verdict.from_votes(votes, n_steps=n_steps).decide(ArgmaxRule()) if votes else -1


@pytest.mark.parametrize(("n_steps", "n_votes"), [(1, 5), (2, 5), (3, 4)])
def test_decided_is_when_no_outcome_of_the_remaining_votes_changes_the_decision(n_steps: int, n_votes: int) -> None:
    outcomes = range(n_steps + 1)
    n_decided = 0
    for n_made in range(n_votes + 1):
        for votes in product(outcomes, repeat=n_made):
            counts = [votes.count(outcome) for outcome in outcomes]
            n_left = n_votes - n_made
            # a remaining vote names an outcome, or cannot be read
            ends = {
                decision([count + more.count(o) for o, count in enumerate(counts)], n_steps=n_steps)
                for more in product([*outcomes, None], repeat=n_left)
            }
            assert is_decided(counts, n_left=n_left) == (len(ends) == 1), (counts, n_left)
            n_decided += n_left > 0 and len(ends) == 1
    assert n_decided > 0


@pytest.mark.parametrize("n_votes", [1, 2, 3, 5, 8])
def test_a_round_is_as_large_as_unanimous_votes_need(n_votes: int) -> None:
    for counts in product(range(n_votes + 1), repeat=3):
        n_left = n_votes - sum(counts)
        if n_left <= 0 or is_decided(counts, n_left=n_left):
            continue
        n_next = n_next_votes(counts, n_left=n_left)
        assert 1 <= n_next <= n_left
        best = max(range(3), key=counts.__getitem__)
        agreeing = list(counts)
        agreeing[best] += n_next
        assert is_decided(agreeing, n_left=n_left - n_next)
        agreeing[best] -= 2
        assert n_next == 1 or not is_decided(agreeing, n_left=n_left - n_next + 2), "two fewer would not do"


def test_votes_without_an_outcome_do_not_count() -> None:
    votes = [1, TRUNCATED, None, 1, UNPARSABLE, TRUNCATED]
    assert parsed_votes(votes) == [1, None, 1]
    assert count_outcomes(votes, n_steps=3) == [0, 2, 0, 1]
    assert most_common_reason(votes) is TRUNCATED
    assert most_common_reason([UNPARSABLE, TRUNCATED]) is UNPARSABLE
