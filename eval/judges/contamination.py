"""Whether a judge has met the problems of a benchmark before: what it was trained and calibrated on, as it says itself.

Problems are compared by the words of their text and by the ids that sources give, see `judgekit.text.identity`: a
paraphrase is not found, and what a base model read before it became a judge is known to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from eval.judges.schema import Contamination
from judgekit.judges.card import JudgeCard
from judgekit.judges.problem_lists import (
    CALIBRATION_PROBLEMS,
    ONLY_EXACT,
    TRAIN_PROBLEMS,
    ProblemList,
    calibration_problems,
    join_lists,
    train_problems,
)
from judgekit.text.identity import group_problems
from judgekit.types import LabelledSolution, ThresholdRule

N_EXAMPLES = 5
"""Ids of problems that are named where problems of a benchmark were seen before."""


class Exposure(NamedTuple):
    """What a judge says about the problems it was made with."""

    problems: ProblemList
    """All problems it names: training and calibration, its members' too."""
    unsaid: tuple[str, ...]
    """What it does not say, in words; empty where nothing is left open."""


NOTHING_FITTED = Exposure(ProblemList(), ())
"""Of a judge that is a rule."""
SYMBOLIC = Exposure(
    ProblemList(),
    (
        "the probabilities of its rules are rounded shares measured on PRMBench, MR-GSM8K and GSM8K's training "
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


def check_contamination(exposure: Exposure, solutions: Sequence[LabelledSolution]) -> Contamination:
    """Compare what a judge has seen with the problems of a benchmark.

    The status is `overlap` where problems were seen, else `unknown` where the judge leaves something unsaid, else
    `none`.
    """
    seen = list(compress(solutions, exposure.problems.seen(solutions)))
    problems = sorted(set(group_problems(seen)))
    if seen:
        text = f"{len(seen)} of {len(solutions)} solutions are to problems that the judge was trained or calibrated on"
    elif exposure.problems:
        text = f"None of the {len(exposure.problems)} problems that the judge names is in the benchmark"
    else:
        text = "Unknown" if exposure.unsaid else "Nothing about the judge was fitted to problems"
    return Contamination(
        status="overlap" if problems else "unknown" if exposure.unsaid else "none",
        n_solutions=len(seen),
        n_problems=len(problems),
        examples=problems[:N_EXAMPLES],
        # "Unknown: ..." is the start of a sentence that says what is not known.
        note=": ".join([text, "; ".join(exposure.unsaid)] if exposure.unsaid else [text]) + ".",
    )
