"""PRM800K: step ratings by annotators, where every step may have alternatives that were rated too.

A row is a trunk with branches. At each step the annotator rated one or more completions and one was chosen; the chosen
ones are the trunk. A completion rated -1 that was not chosen is a branch: the trunk up to that step and then the wrong
completion, whose first error is therefore exactly there. One row gives the trunk and every such branch. The trunk is
left out if a branch continues from its end (as in every phase-2 row that stops at its first error), because the branch
says everything that the trunk says. Alternatives rated 1 or 0 that were not chosen add no error and no end, and give no
solution.

Source:
    Lightman et al., Let's Verify Step by Step (2305.20050); openai/prm800k, MIT. Ratings are -1, 0 (neutral), 1 or
    null; `chosen_completion` is 0-based. In phase 1 it is null where the annotator wrote the step (`human_completion`,
    which has no rating and counts as correct, because annotators wrote it as the correct continuation). `finish_reason`
    `solution` means that the trunk reached the correct answer. Rows that end in `give_up` or `bad_problem` are rejected
    by that reason. A flagged completion is one that the annotator could not rate, and counts as unrated. Rows have no
    id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from judgekit.config import BaseConfig
from judgekit.errors import shorten
from judgekit.types import LabelledSolution, LabelMethod, StepLabel
from judgekit_datasets.importers.fields import items, mapping, optional_text, text
from judgekit_datasets.source import Row, RowRejected, Source

_FILES = re.compile(r"phase[12]_(train|test)")
_FINISHED = ("solution", "found_error")
_UNFINISHED = ("give_up", "bad_problem")


class PRM800KConfig(BaseConfig):
    """How ratings are read."""

    neutral: Literal["correct", "error"] = "correct"
    """What rating 0 counts as: `correct` keeps the label neutral, which is no error; `error` makes it one."""


class RatedStep(NamedTuple):
    """One completion and what its rating says."""

    text: str
    label: StepLabel


Path: TypeAlias = tuple[RatedStep, ...]
"""A way through the tree from its root."""


def convert(row: Row, config: PRM800KConfig, part: str) -> list[LabelledSolution]:
    """Convert one row into its trunk and its wrong branches, the trunk first."""
    question, label = mapping(row, "question"), mapping(row, "label")
    finish_reason = text(label, "finish_reason")
    if finish_reason not in _FINISHED:
        known = f"finish_reason {finish_reason}" if finish_reason in _UNFINISHED else "unknown finish_reason"
        raise RowRejected(known, f"{shorten(finish_reason)}: only {' and '.join(_FINISHED)} rows are used")
    raw_steps = items(label, "steps")
    trunk, branches = walk(raw_steps, neutral=config.neutral)
    is_whole = not any(branch[: len(trunk)] == trunk for branch in branches)
    paths = [trunk, *branches] if trunk and is_whole else branches
    if not paths:
        raise RowRejected("no rated step", f"{len(raw_steps)} steps")
    # A last step that nobody rated is not in the trunk, and the final answer stands there.
    is_finished = finish_reason == "solution" and len(trunk) == len(raw_steps)
    reference = optional_text(question, "ground_truth_solution") or optional_text(question, "ground_truth_answer")
    return [
        LabelledSolution(
            problem=text(question, "problem"),
            steps=tuple(step.text for step in path),
            labels=tuple(step.label for step in path),
            reference=reference,
            final_answer_correct=True if path is trunk and is_finished else None,
            source=SOURCE.name,
            subset=part if _FILES.fullmatch(part) else None,
            label_method=LabelMethod.HUMAN,
            licence="MIT",
        )
        for path in dict.fromkeys(paths)  # two completions may say the same
    ]


def walk(raw_steps: list[Any], *, neutral: Literal["correct", "error"]) -> tuple[Path, list[Path]]:
    """Return the trunk, and the branches that leave it at a step before which nothing is wrong.

    Raises:
        RowRejected: a step in the middle has no chosen completion, or the chosen one is missing or unrated.
    """
    trunk: list[RatedStep] = []
    branches: list[Path] = []
    for index, raw in enumerate(raw_steps):
        if not isinstance(raw, Mapping):
            raise RowRejected("a step is not an object", f"step {index} (0-based): {shorten(raw)}")
        given = [] if raw.get("completions") is None else items(raw, "completions")
        rated = [_rated(completion, index, neutral) for completion in given]
        # The step that the trunk goes on with; `None` if it ends here.
        choice, chosen = raw.get("chosen_completion"), None
        if choice is None:
            if raw.get("human_completion") is not None:
                chosen = RatedStep(text(mapping(raw, "human_completion"), "text"), StepLabel.OK)
        elif type(choice) is not int or not 0 <= choice < len(rated):
            detail = f"{shorten(choice)} of {len(rated)} at step {index} (0-based)"
            raise RowRejected("chosen_completion outside the completions", detail)
        elif (chosen := rated[choice]) is None:
            raise RowRejected("chosen completion is unrated", f"completion {choice} at step {index} (0-based)")
        # Behind an error of the trunk a branch would have its first error there, not in its own step.
        if all(step.label is not StepLabel.ERROR for step in trunk):
            branches += [(*trunk, step) for step in rated if step and step.label is StepLabel.ERROR and step != chosen]
        if chosen is not None:
            trunk.append(chosen)
        elif index < len(raw_steps) - 1:
            raise RowRejected(
                "no chosen completion before the last step", f"step {index} of {len(raw_steps)} (0-based)"
            )
    return tuple(trunk), branches


def _rated(completion: Any, index: int, neutral: str) -> RatedStep | None:
    """Return a completion with its label; `None` if it has no rating or is flagged."""
    if not isinstance(completion, Mapping):
        raise RowRejected("a completion is not an object", f"step {index} (0-based): {shorten(completion)}")
    rating, flagged = completion.get("rating"), completion.get("flagged")
    if not isinstance(flagged, bool | None):
        raise RowRejected("field 'flagged' is not true or false", f"{shorten(flagged)} at step {index} (0-based)")
    if rating is None or flagged:
        return None
    labels = {1: StepLabel.OK, 0: StepLabel.ERROR if neutral == "error" else StepLabel.NEUTRAL, -1: StepLabel.ERROR}
    if type(rating) is not int or rating not in labels:
        raise RowRejected("unknown rating", f"{shorten(rating)} at step {index} (0-based)")
    return RatedStep(text(completion, "text"), labels[rating])


SOURCE = Source("prm800k", LabelledSolution, PRM800KConfig, convert)
