"""What is shown next, and which solutions count as drawn at random."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from judgekit_datasets.by_hand.annotations import Annotations
from judgekit_datasets.by_hand.pool import read_pool
from judgekit_datasets.by_hand.session import Session, posterior_entropy, random_sample
from tests.datasets_builders.by_hand.work import write_solutions


def session(folder: Path, *, share: float, unsure: dict[int, float]) -> Session:
    """Return a session in which solutions have entropies by their place in the random order."""
    pool = read_pool(write_solutions(folder / "rows.jsonl", 12), seed=0)
    entropies = {pool.items[place].solution.id: value for place, value in unsure.items()}
    return Session(
        pool, Annotations(folder / "labels"), annotator="ann", entropies=entropies, random_share=share
    )  # fmt: skip


def places(work: Session, n: int) -> list[int]:
    """Skip the next n and return their places in the random order."""
    index = {item.solution.id: place for place, item in enumerate(work.pool.items)}
    found = []
    for _ in range(n):
        shown = work.shown()
        assert shown is not None and shown == work.shown()
        found.append(index[shown.item.solution.id])
        work.decide("skip")
    return found


def test_random_and_unsure_turns_alternate(tmp_path: Path) -> None:
    unsure = {11: 0.9, 1: 0.8, 7: 0.7, 0: 0.1}
    work = session(tmp_path, share=0.5, unsure=unsure)
    # Even turns go to where the judge is least sure, odd ones on in the random order.
    assert places(work, 6) == [11, 0, 1, 2, 7, 3]
    sample = random_sample(work.pool, [work.history])
    assert sample == list(work.pool.items[:4]), "place 1 was chosen by the judge and is of the random beginning too"
    assert places(work, 6) == [4, 5, 6, 8, 9, 10], "without a verdict anywhere the random order goes on"
    assert work.shown() is None


@pytest.mark.parametrize(("share", "drawn"), [(1.0, [0, 1, 2, 3]), (0.0, [3, 2, 1, 0])])
def test_shares_at_both_ends(share: float, drawn: list[int], tmp_path: Path) -> None:
    work = session(tmp_path, share=share, unsure={place: float(place) for place in range(4)})
    assert places(work, 4) == drawn
    assert len(random_sample(work.pool, [work.history])) == (4 if share else 0)


def test_a_session_goes_on_as_if_it_had_not_ended(tmp_path: Path) -> None:
    unsure = {place: math.sin(place) for place in range(12)}
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    straight = places(session(tmp_path / "a", share=0.4, unsure=unsure), 12)
    broken = [place for _ in range(12) for place in places(session(tmp_path / "b", share=0.4, unsure=unsure), 1)]
    assert broken == straight


def test_entropy() -> None:
    assert posterior_entropy((0.25, 0.25, 0.25, 0.25)) == pytest.approx(math.log(4))
    assert posterior_entropy((0.0, 1.0)) == 0.0
