"""Which problems a judge has seen: those that it and its members were trained and calibrated on.

Problems are compared by the words of their text and by the ids that sources give, see `judgekit.text.identity`. A
paraphrase is not found, and what a base model read before it became a judge is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from judgekit.judges.card import CARDLESS, JudgeCard
from judgekit.judges.problem_lists import (
    CALIBRATION_PROBLEMS,
    ONLY_EXACT,
    TRAIN_PROBLEMS,
    ProblemList,
    calibration_problems,
    join_lists,
    train_problems,
)
from judgekit.judges.recognise import find_card, locate_member, refuse_cycle
from judgekit.judges.trust import Trust
from judgekit.types import ThresholdRule


class Exposure(NamedTuple):
    """What a judge says about the problems it was made with."""

    problems: ProblemList
    """All problems it names: training and calibration, its members' too."""
    unsaid: tuple[str, ...]
    """What it does not say, in words; empty if nothing is left open."""


NOTHING_FITTED = Exposure(ProblemList(), ())
"""Of a judge that is a rule."""
SYMBOLIC = Exposure(
    ProblemList(),
    (
        "the probabilities of its rules are rounded rates measured on PRMBench, MR-GSM8K and GSM8K's training "
        "problems, of which it has no list",
    ),
)
"""Of the symbolic judge, see `judgekit.judges.rules.symbolic.P_WRONG`."""
SAYS_NOTHING = Exposure(ProblemList(), ("the judge says nothing about its training",))
"""Of a judge whose makers left no word."""


def read_exposure(directory: Path, card: JudgeCard, members: Sequence[Exposure] = ()) -> Exposure:
    """Collect what a judge directory says, and what the members of an ensemble say."""
    problems = train_problems(directory) | calibration_problems(directory)
    unsaid = [text for member in members for text in member.unsaid]
    if not card.spec.member_names() and not (directory / TRAIN_PROBLEMS).is_file():
        unsaid.append(f"{card.judge_id} does not list the problems it was trained on ({TRAIN_PROBLEMS})")
    # Something in the card may have been chosen on data that are not its training data.
    threshold_chosen = isinstance(card.decision, ThresholdRule) and card.decision.origin != "default"
    own = card.declare(dtype="float32")  # without its members: what it was fitted on itself
    weights_fitted = bool(card.spec.member_names()) and own.fingerprint is not None
    is_fitted = threshold_chosen or weights_fitted or card.calibrator is not None
    if is_fitted and not (directory / CALIBRATION_PROBLEMS).is_file():
        unsaid.append(f"{card.judge_id} does not list the problems it was calibrated on ({CALIBRATION_PROBLEMS})")
    if problems.old:  # of an ensemble's members, too: it hands their lists on
        unsaid.append(f"{card.judge_id}: {ONLY_EXACT}")
    return Exposure(join_lists([problems, *(member.problems for member in members)]), tuple(dict.fromkeys(unsaid)))


def exposure_without_card(name: str) -> Exposure:
    """Return the exposure of a builtin judge or a service."""
    if name == "builtin:symbolic":
        return SYMBOLIC
    return NOTHING_FITTED if name.startswith("builtin:") else SAYS_NOTHING


def find_exposure(name: str, *, named_by: Trust | None = None) -> Exposure:
    """Return what a judge says, by its name as `load_judge` takes it; nothing is opened but cards and lists.

    Raises:
        CheckpointError: there is no such judge.
    """
    if name.startswith(CARDLESS):
        return exposure_without_card(name)
    found = find_card(name, named_by=named_by)
    refuse_cycle(found)
    members = [locate_member(found.directory, member) for member in found.card.spec.member_names()]
    exposures = [find_exposure(member, named_by=found.trust) for member in members]
    return read_exposure(found.directory, found.card, exposures)
