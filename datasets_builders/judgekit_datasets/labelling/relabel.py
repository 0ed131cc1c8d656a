"""What outcomes say about steps: solutions with checked final answers become weakly labelled solutions.

A wrong final answer means that some step is an error, but not which one. A correct one means little: the solution may
have erred on the way, so it counts as unlabelled unless configured otherwise. So does a response that was truncated
before its answer. Monte-Carlo counts are kept, and the hard labels made from them are dropped.

Source:
    Counted in ProcessBench (2412.06559): every one of 700 solutions with a wrong answer has a wrong step, and so do 3.5
    % of 200 with a correct answer on GSM8K and 32 % of 500 on OlympiadBench.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from judgekit.config import BaseConfig
from judgekit.types import LabelledSolution, LabelMethod, Rollout, WeakLabel, WeaklyLabelledSolution
from judgekit_datasets.importers.groups import GroupsConfig
from judgekit_datasets.importers.groups import convert as convert_group
from judgekit_datasets.source import Row, RowRejected, Source


class RelabelConfig(BaseConfig):
    """What a correct answer means, and what raw groups do not say about themselves."""

    right: Literal["unlabelled", "no_error"] = "unlabelled"
    """What to assume about a solution with a correct answer. `no_error` is a guess that is often false on hard
    problems."""
    groups: GroupsConfig = GroupsConfig()
    """How raw rows of groups (`question`, `steps`, `labels`) are read; rollouts and solutions do not need it."""


def convert(row: Row, config: RelabelConfig, part: str) -> Sequence[WeaklyLabelledSolution]:
    """Convert a rollout, a group of raw responses, or a solution of which outcome or Monte-Carlo counts are known."""
    if "question" in row:
        rollouts = [item for item in convert_group(row, config.groups, part) if not item.solution.is_blank]
        if not rollouts:
            raise RowRejected("no steps", "every response of the group is empty")
        return [_from_rollout(rollout, config) for rollout in rollouts]
    if "response" in row:
        return [_from_rollout(Rollout.model_validate(row), config)]
    solution = LabelledSolution.model_validate({"label_method": None} | dict(row))
    counted = solution.label_method is LabelMethod.MONTE_CARLO and solution.n_rollouts is not None
    if solution.final_answer_correct is None and not counted:
        raise RowRejected("neither outcome nor counts", "final_answer_correct is not known, nor are there rollouts")
    values = solution.model_dump(exclude={"id", "labels", "label_method", "n_success", "n_rollouts"})
    if counted:
        values |= {"n_success": solution.n_success, "n_rollouts": solution.n_rollouts}
    return [WeaklyLabelledSolution(**values, known=_known(solution.final_answer_correct, config))]


def _known(is_correct: bool | None, config: RelabelConfig) -> WeakLabel:
    if is_correct is None:
        return WeakLabel.UNLABELLED
    return WeakLabel(config.right) if is_correct else WeakLabel.SOME_ERROR


def _from_rollout(rollout: Rollout, config: RelabelConfig) -> WeaklyLabelledSolution:
    if rollout.outcome not in (0.0, 1.0):
        raise RowRejected(
            "outcome is neither 0 nor 1", f"{rollout.outcome}: it does not say whether the answer is correct"
        )
    correct = rollout.outcome == 1.0
    return WeaklyLabelledSolution(
        **rollout.solution.model_dump(exclude={"id"}),
        # What was cut off had no time to answer: that it is wrong says nothing about its steps.
        known=_known(None if rollout.truncated and not correct else correct, config),
        final_answer_correct=correct,
        source=rollout.source,
        source_id=rollout.id,
        generator=rollout.generator,
    )


SOURCE = Source("relabel", WeaklyLabelledSolution, RelabelConfig, convert)
