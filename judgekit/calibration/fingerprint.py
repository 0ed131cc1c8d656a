"""Describes the data that something was fitted on, and detects that a judge is used on data unlike these.

Only what is visible without labels is compared: source, subset, generator, length. Calibrated probabilities hold for
data like those of the calibration. Elsewhere they are a guess, which matters if they reward a policy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from judgekit.calibration.card import Fingerprint
from judgekit.text.identity import group_problems
from judgekit.types import LabelledSolution, Rollout, Solution, WeaklyLabelledSolution

UNKNOWN = "unknown"
"""Generator of solutions that do not say who wrote them, in fingerprints."""
N_NAMED = 5
"""Unfamiliar names that a sentence lists at most."""


def fingerprint_of(data: Path, solutions: Sequence[LabelledSolution]) -> Fingerprint:
    """Describe the data something is fitted on."""
    ids = "\n".join(solution.id for solution in solutions)
    return Fingerprint(
        data=data.name,
        sha256=hashlib.sha256(ids.encode()).hexdigest(),
        n_solutions=len(solutions),
        n_problems=len(set(group_problems(solutions))),
        sources=tuple(sorted({solution.source for solution in solutions})),
        generators=tuple(sorted({solution.generator or UNKNOWN for solution in solutions})),
        subsets=tuple(sorted({name for solution in solutions if (name := subset_name(solution))})),
        min_steps=min(len(solution.steps) for solution in solutions),
        max_steps=max(len(solution.steps) for solution in solutions),
    )


def subset_name(solution: LabelledSolution | WeaklyLabelledSolution) -> str | None:
    """Return SOURCE/SUBSET; `None` if the source has no subsets."""
    return f"{solution.source}/{solution.subset}" if solution.subset else None


class Origin(NamedTuple):
    """Where a solution comes from, as far as it is known."""

    source: str | None = None
    """Its data set; `None` if it does not say."""
    subset: str | None = None
    """Its part of the data set as in fingerprints; `None` for none."""
    generator: str | None = None
    """Who wrote it; `None` if it does not say."""
    n_steps: int | None = None
    """Its number of steps; `None` if it is not written yet."""

    @classmethod
    def of(cls, solution: Solution | Rollout) -> Origin:
        """Read off what a solution says; a plain one has only its length to tell."""
        n_steps = len(solution.steps)
        if isinstance(solution, Rollout):
            return cls(solution.source, None, solution.generator or UNKNOWN, n_steps)
        if isinstance(solution, LabelledSolution | WeaklyLabelledSolution):
            return cls(solution.source, subset_name(solution), solution.generator or UNKNOWN, n_steps)
        return cls(n_steps=n_steps)


def unfamiliar(fingerprint: Fingerprint, solutions: Sequence[Solution | Rollout | Origin]) -> list[str]:
    """Say in sentences how solutions differ from the data that a judge was calibrated on; nothing if they do not.

    Names are compared as they stand. What neither a solution nor an older fingerprint says is not held against it.

    Args:
        fingerprint: Of the calibration data.
        solutions: What the judge is used on.

    Example:
        >>> fingerprint = Fingerprint(
        ...     data="d", sha256="0", n_solutions=9, n_problems=3, sources=("gsm8k",), generators=("a",), max_steps=6
        ... )
        >>> unfamiliar(fingerprint, [Origin(source="prm800k", generator="a"), Origin(source="gsm8k", generator="a")])
        ['1 of 2 solutions come from sources that the calibration data d lack: prm800k.']
    """
    origins = [item if isinstance(item, Origin) else Origin.of(item) for item in solutions]
    sentences = []
    for what, name_of, known in (
        ("come from sources", lambda origin: origin.source, fingerprint.sources),
        ("come from subsets", lambda origin: origin.subset, fingerprint.subsets),
        ("are by generators", lambda origin: origin.generator, fingerprint.generators),
    ):
        names = [name for origin in origins if (name := name_of(origin)) is not None and name not in known]
        if names and known:
            listed = _listed(sorted(set(names)))
            sentences.append(
                f"{len(names)} of {len(origins)} solutions {what} that the calibration data {fingerprint.data} lack: "
                f"{listed}."
            )
    # Cards older than the lengths say nothing of them, and a solution that is not written yet has none.
    lowest, highest = fingerprint.min_steps or 0, fingerprint.max_steps
    lengths = [origin.n_steps for origin in origins if origin.n_steps is not None]
    outside = [n for n in lengths if n < lowest or (highest is not None and n > highest)]
    if outside:
        sentences.append(
            f"{len(outside)} of {len(origins)} solutions have numbers of steps ({min(outside)} to {max(outside)}) "
            f"outside those of the calibration data {fingerprint.data} ({lowest} to {highest})."
        )
    return sentences


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(names[:N_NAMED]) + more
