"""Lists of problems in judge directories: the problems that a judge was trained or calibrated on.

A list has the id of every problem's words and the id that its source gave it, if that differs (see
`judgekit.text.identity`), so that a repeat is found under either. Lists of earlier releases have one id per line,
mostly that of the exact text: they find a problem again only if it is identical to the letter, and say so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import compress
from operator import or_
from pathlib import Path

from judgekit.errors import DataError
from judgekit.io import write_text
from judgekit.reading.texts import read_text
from judgekit.text.identity import HasProblem, exact_problem_id, group_problems, problem_id

_log = logging.getLogger(__name__)

TRAIN_PROBLEMS = "train_problem_ids.txt"
"""File of a judge directory that lists the problems it was trained on."""
CALIBRATION_PROBLEMS = "calibration_problem_ids.txt"
"""File of a judge directory that lists the problems its calibrator, weights or thresholds were fitted on."""
_HEADER = "# judgekit problems, version 2: the id of a problem's words, then the id its source gave it, if another"

ONLY_EXACT = (
    "its list of problems was written by an earlier release and only finds exact repeats: a problem that differs by a "
    "space is not recognised; train or calibrate again for a list that finds it"
)
"""What an old list cannot tell."""


@dataclass(frozen=True)
class ProblemList:
    """Problems that a judge has seen."""

    pairs: frozenset[tuple[str, str]] = frozenset()
    """Id of the words and id of the problem, which mostly is the same."""
    old: frozenset[str] = frozenset()
    """Ids from lists of earlier releases: of exact texts, or given by a source."""

    @classmethod
    def of(cls, items: Iterable[HasProblem]) -> ProblemList:
        """Return the problems of solutions."""
        return cls(frozenset(names_of(item) for item in items))

    def seen(self, items: Sequence[HasProblem]) -> list[bool]:
        """Return whether the problem of each solution is listed, under any of its names. Shape (N,).

        Of solutions to one problem, see `group_problems`, all are seen or none.
        """
        problem_N = group_problems(items)
        names = self.old.union(*self.pairs)
        found = {
            problem
            for problem, item in zip(problem_N, items, strict=True)
            # Old lists alone hold ids of exact texts.
            if not names.isdisjoint(names_of(item)) or (self.old and exact_problem_id(item.problem) in self.old)
        }
        return [problem in found for problem in problem_N]

    def __or__(self, other: ProblemList) -> ProblemList:
        """Return the problems of both."""
        return ProblemList(self.pairs | other.pairs, self.old | other.old)

    def __len__(self) -> int:
        """Number of problems; wordings under one id count once each."""
        return len(self.pairs) + len(self.old)


def names_of(item: HasProblem) -> tuple[str, str]:
    """Return the id of the words of a solution's problem, and the id that the problem has."""
    return problem_id(item.problem), item.problem_id


def read_problems(path: Path) -> ProblemList:
    """Read a list of problems; an empty one where there is no file. Lists of earlier releases are read, too.

    Raises:
        DataError: the file cannot be read, or a line is not one of such a list.
    """
    if not path.is_file():
        return ProblemList()
    try:
        lines = [line.rstrip("\r") for line in read_text(path).split("\n")]
    except DataError as error:
        raise DataError(f"cannot read the list of problems {path}: {error}") from error
    if not lines[0].startswith("# judgekit problems"):
        return ProblemList(old=frozenset(lines) - {""})
    if lines[0] != _HEADER:
        raise DataError(
            f"{path} starts with {lines[0]!r}, an unknown version of such lists: use the release that wrote it"
        )
    pairs, old = set(), set()
    for row, line in enumerate(lines[1:], start=2):
        words, tab, given = line.partition("\t")
        try:
            name = json.loads(given) if tab else words
        except ValueError as error:
            raise DataError(f"{path}, row {row}: {line[:80]!r} is not a line of a list of problems") from error
        if words:
            pairs.add((words, name))
        elif tab:
            old.add(name)
    return ProblemList(frozenset(pairs), frozenset(old))


def write_problems(path: Path, problems: ProblemList) -> None:
    """Write a list of problems, sorted, one per line."""
    lines = [words if words == name else f"{words}\t{json.dumps(name)}" for words, name in sorted(problems.pairs)]
    lines += [f"\t{json.dumps(name)}" for name in sorted(problems.old)]
    write_text(path, "".join(f"{line}\n" for line in [_HEADER, *lines]))


def join_lists(lists: Iterable[ProblemList]) -> ProblemList:
    """Return the problems of all lists."""
    return reduce(or_, lists, ProblemList())


def train_problems(directory: Path) -> ProblemList:
    """Return the problems that a judge directory says it was trained on; none if it does not say."""
    return read_problems(directory / TRAIN_PROBLEMS)


def calibration_problems(directory: Path) -> ProblemList:
    """Return the problems that a judge says its calibrator, weights or threshold were fitted on; none if unsaid."""
    return read_problems(directory / CALIBRATION_PROBLEMS)


def refuse_trained_problems(problems: ProblemList, solutions: Sequence[HasProblem], *, judge: str) -> None:
    """Refuse solutions to problems that a judge was trained on.

    Raises:
        DataError: there are some.
    """
    seen = list(compress(solutions, problems.seen(solutions)))
    if seen:
        raise DataError(
            f"{len(seen)} of {len(solutions)} solutions belong to problems the judge {judge} was trained on, for "
            f"example problem {seen[0].problem_id}: use other problems (`judgekit split` keeps problems together)"
        )
    if problems.old:
        _log.warning("judge %s: %s", judge, ONLY_EXACT)
