"""Groups of sampled responses: the unit of credit, as a groups data set stores them, one row a response."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from judgekit.errors import DataError
from judgekit.io import read_records
from judgekit.types import Rollout

CORRECT_ABOVE = 0.5
"""Outcome rewards above this count as a right answer, as in `sgpo.rewards.is_correct`."""


@dataclass(frozen=True)
class RolloutGroup:
    """The responses that were sampled from one prompt, in the order of their `sample` index."""

    group_id: str
    """Id shared by the responses."""
    rollouts: tuple[Rollout, ...]
    """The responses; at least two, of one problem and one prompt, no two with one `sample`."""

    @property
    def n_correct(self) -> int:
        """Responses whose answer is right."""
        return sum(rollout.outcome > CORRECT_ABOVE for rollout in self.rollouts)

    @property
    def all_negative(self) -> bool:
        """Whether no response is right: GRPO learns nothing from such a group."""
        return self.n_correct == 0

    @property
    def all_positive(self) -> bool:
        """Whether every response is right."""
        return self.n_correct == len(self.rollouts)


class GroupCounts(NamedTuple):
    """How the groups of a data set are made up."""

    groups: int
    """Groups."""
    responses: int
    """Responses in all groups."""
    all_negative: int
    """Groups without a right answer."""
    all_positive: int
    """Groups without a wrong answer."""
    mixed: int
    """The remaining groups."""


def load_groups(path: Path) -> list[RolloutGroup]:
    """Read a groups data set and check that every group can give credit. Groups keep the order of their first row.

    Args:
        path: Folder, parquet file or JSON-lines file of `Rollout` rows; a group's rows need not be neighbours.

    Raises:
        DataError: a row is not valid (an unknown outcome is not), a group has one response, two rows are one sample of
            one group, or the rows of a group differ in problem or prompt; names the group.
    """
    return build_groups(read_records(path, Rollout), where=str(path))


def build_groups(rollouts: Iterable[Rollout], *, where: str) -> list[RolloutGroup]:
    """Gather rollouts into groups, see `load_groups`. `where` names the data in complaints."""
    by_group: dict[str, dict[int, Rollout]] = {}
    for rollout in rollouts:
        members = by_group.setdefault(rollout.group_id, {})
        if rollout.sample in members:
            raise DataError(
                f"{where}: group {rollout.group_id!r} has sample {rollout.sample} twice. Remove one of the rows, or "
                "give the groups of several sampling runs different ids"
            )
        members[rollout.sample] = rollout
    groups = [RolloutGroup(key, tuple(rows[i] for i in sorted(rows))) for key, rows in by_group.items()]
    _check_sizes(groups, where)
    for group in groups:
        _check_prompts(group, where)
    return groups


def _check_sizes(groups: list[RolloutGroup], where: str) -> None:
    single = [group.group_id for group in groups if len(group.rollouts) == 1]
    if single:
        raise DataError(
            f"{where}: group {single[0]!r} has one response ({len(single)} of {len(groups)} groups do), so there is "
            "nothing to compare it with. Sample at least two responses a prompt and give them one group_id"
        )


def _check_prompts(group: RolloutGroup, where: str) -> None:
    for field in ("problem", "prompt"):
        values = {getattr(rollout, field) for rollout in group.rollouts}
        if len(values) > 1:
            first, second = sorted(values)[:2]
            raise DataError(
                f"{where}: group {group.group_id!r} has responses to {len(values)} values of {field!r}, for example "
                f"{first[:80]!r} and {second[:80]!r}. A group is sampled from one prompt: give each its own group_id"
            )


def count_groups(groups: Iterable[RolloutGroup]) -> GroupCounts:
    """Count all-negative, all-positive and mixed groups."""
    groups = list(groups)
    negative, positive = sum(group.all_negative for group in groups), sum(group.all_positive for group in groups)
    return GroupCounts(
        groups=len(groups),
        responses=sum(len(group.rollouts) for group in groups),
        all_negative=negative,
        all_positive=positive,
        mixed=len(groups) - negative - positive,
    )


__all__ = ["CORRECT_ABOVE", "GroupCounts", "RolloutGroup", "build_groups", "count_groups", "load_groups"]
