"""Groups of sampled responses: the unit of credit, as a groups data set stores them, one row per response."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from judgekit.answers.checks import CORRECT_ABOVE
from judgekit.errors import DataError
from judgekit.io import read_records
from judgekit.types import Rollout


def is_right(outcome: float, *, above: float = CORRECT_ABOVE) -> bool:
    """Whether an outcome reward in [0, 1] counts as a correct answer. NaN, an unknown outcome, does not.

    Example:
        >>> is_right(1.0), is_right(0.5), is_right(float("nan"))
        (True, False, False)
    """
    return outcome > above


@dataclass(frozen=True)
class RolloutGroup:
    """The responses that were sampled from one prompt, in the order of their `sample` index. Axis `_G`: responses."""

    group_id: str
    """Id shared by the responses."""
    rollouts: tuple[Rollout, ...]
    """The responses; at least one, of one problem and one prompt, no two with one `sample`. Shape (G,)."""
    correct_above: float = CORRECT_ABOVE
    """Outcomes above this are correct."""

    def __len__(self) -> int:
        """Return G, the number of responses."""
        return len(self.rollouts)

    @property
    def problem(self) -> str:
        """Text of the problem that all responses answer."""
        return self.rollouts[0].problem

    @property
    def outcome_G(self) -> list[float]:
        """Outcome rewards in [0, 1]. Shape (G,)."""
        return [rollout.outcome for rollout in self.rollouts]

    @property
    def n_correct(self) -> int:
        """Responses whose answer is correct."""
        return sum(is_right(outcome, above=self.correct_above) for outcome in self.outcome_G)

    @property
    def all_negative(self) -> bool:
        """Whether no response is correct: GRPO learns nothing from such a group."""
        return self.n_correct == 0

    @property
    def all_positive(self) -> bool:
        """Whether every response is correct."""
        return self.n_correct == len(self)


class GroupCounts(NamedTuple):
    """How the groups of a data set are made up."""

    groups: int
    """Groups."""
    responses: int
    """Responses in all groups."""
    all_negative: int
    """Groups without a correct answer."""
    all_positive: int
    """Groups without a wrong answer."""
    mixed: int
    """The remaining groups."""


def load_groups(path: Path, *, min_size: int = 2) -> list[RolloutGroup]:
    """Read a groups data set and check that its groups are whole. Groups keep the order of their first row.

    Args:
        path: Folder, parquet file or JSON-lines file of `Rollout` rows; a group's rows need not be neighbours.
        min_size: Responses that a group has at least. Credit needs 2, as one response has nothing to be compared with.

    Raises:
        DataError: a row is not valid (an unknown outcome is not), a group has too few responses, two rows are one
            sample of one group, or the rows of a group differ in problem or prompt; names the group.
    """
    return build_groups(read_records(path, Rollout), where=str(path), min_size=min_size)


def build_groups(
    rollouts: Iterable[Rollout], *, where: str, min_size: int = 2, correct_above: float = CORRECT_ABOVE
) -> list[RolloutGroup]:
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
    groups = [RolloutGroup(key, tuple(rows[i] for i in sorted(rows)), correct_above) for key, rows in by_group.items()]
    small = [group for group in groups if len(group) < min_size]
    if small:
        found = "one response" if len(small[0]) == 1 else f"{len(small[0])} responses"
        raise DataError(
            f"{where}: group {small[0].group_id!r} has {found} ({len(small)} of {len(groups)} groups have fewer than "
            f"{min_size}), too few to compare. Sample at least {min_size} responses per prompt and give them one "
            "group_id"
        )
    for group in groups:
        # Ids that repeat over prompts are the usual mistake of data sets merged by hand; their "groups" mean nothing.
        for name, values in (
            ("problem", {rollout.problem for rollout in group.rollouts}),
            ("prompt", {rollout.prompt for rollout in group.rollouts}),
        ):
            if len(values) > 1:
                first, second = sorted(values)[:2]
                raise DataError(
                    f"{where}: group {group.group_id!r} has responses to {len(values)} different values of {name!r}, "
                    f"for example {first[:80]!r} and {second[:80]!r}. A group must come from one prompt: give each "
                    "prompt its own group_id"
                )
    return groups


def count_groups(groups: Iterable[RolloutGroup]) -> GroupCounts:
    """Count all-negative, all-positive and mixed groups."""
    groups = list(groups)
    negative, positive = sum(group.all_negative for group in groups), sum(group.all_positive for group in groups)
    return GroupCounts(
        groups=len(groups),
        responses=sum(map(len, groups)),
        all_negative=negative,
        all_positive=positive,
        mixed=len(groups) - negative - positive,
    )
