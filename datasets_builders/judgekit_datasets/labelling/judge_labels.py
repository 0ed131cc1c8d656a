"""Labels solutions with a judge: every judge that `load_judge` opens is an annotator.

A judge that samples its answers is called several times, and the first error that more than half of its votes name is
the label. A deterministic judge is called once.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from judgekit.errors import ConfigError
from judgekit.io import checkpoint_files
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.stored import judge_batch
from judgekit.judges.unfamiliar import warn_unfamiliar
from judgekit.judging.run import as_seen, read_solutions
from judgekit.types import (
    Judgement,
    LabelledSolution,
    LabelMethod,
    Solution,
    labels_from_first_error,
)
from judgekit_datasets.build_report import BuildReport
from judgekit_datasets.labelling.chunks import Label
from judgekit_datasets.labelling.config import JudgeLabelsConfig
from judgekit_datasets.labelling.run import Engine, run_labelling
from judgekit_datasets.source import RowRejected


class JudgeLabeller:
    """Labels solutions with the votes of a judge.

    Args:
        judge: The judge.
        votes: Times it is asked about each solution.
        show_reference: Whether it may see the reference.
        source: Source of the records of solutions that name none.

    Raises:
        ConfigError: several votes are wanted of a judge that always answers alike.
    """

    def __init__(self, judge: Judge, *, votes: int, show_reference: bool, source: str) -> None:
        if votes > 1 and judge.info.deterministic:
            raise ConfigError(
                f"judge {judge.info.judge_id} is deterministic, so {votes} votes would be identical: set votes=1"
            )
        self._judge = judge
        self._votes = votes
        self._show_reference = show_reference
        self._source = source

    def label(self, items: Sequence[Solution]) -> list[Label]:
        """Return one record per solution, or why there is none: no verdict, or no majority."""
        warn_unfamiliar(self._judge, items)
        # Asked round by round, not solution by solution: a judge works best on whole batches.
        seen = [as_seen(item, self._show_reference) for item in items]
        rounds = [judge_batch(self._judge, seen) for _ in range(self._votes)]
        return [
            self._label(item, judgements) for item, judgements in zip(items, zip(*rounds, strict=True), strict=True)
        ]

    def _label(self, item: Solution, judgements: Sequence[Judgement]) -> Label:
        rule = self._judge.info.decision
        votes = [judgement.verdict.decide(rule) for judgement in judgements if judgement.verdict is not None]
        if not votes:  # no answer is not a vote for "no error"
            return RowRejected(f"no verdict: {judgements[0].no_verdict}", f"of {len(judgements)} votes")
        try:
            first_error = majority(votes, n_asked=len(judgements))
        except RowRejected as rejection:
            return rejection
        values = {"source": self._source} | item.model_dump(exclude={"known"})
        n_success, n_rollouts = count_votes(votes, n_steps=len(item.steps)) if self._votes > 1 else (None, None)
        labels = labels_from_first_error(first_error, n_steps=len(item.steps))
        return [
            LabelledSolution.model_validate(
                values
                | {"id": "", "labels": labels, "label_method": LabelMethod.LLM}
                | {"n_success": n_success, "n_rollouts": n_rollouts}
            )
        ]


def majority(votes: Sequence[int | None], *, n_asked: int) -> int | None:
    """Return the first error, 0-based or `None` for "no error", that more than half of all votes name.

    Args:
        votes: The votes that gave a verdict.
        n_asked: All votes; those without a verdict count against every answer.

    Raises:
        RowRejected: there is none.

    Example:
        >>> majority([2, None, 2], n_asked=3)
        2
    """
    answer, count = Counter(votes).most_common(1)[0]
    if 2 * count <= n_asked:
        raise RowRejected("no majority", f"votes {list(votes)}, {n_asked - len(votes)} without a verdict")
    return answer


def count_votes(votes: Sequence[int | None], *, n_steps: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return how many votes pass each step, and how many come to it without an error before. Shape (n_steps,) each.

    Their ratio estimates P(step ok | earlier steps ok).

    Example:
        >>> count_votes([0, 1, None], n_steps=2)
        ((2, 1), (3, 2))
    """
    ends = [n_steps if vote is None else vote for vote in votes]
    n_pass = tuple(sum(end > step for end in ends) for step in range(n_steps))
    return n_pass, (len(votes), *n_pass[:-1])


def label_with_judge(
    config: JudgeLabelsConfig, output: Path, *, workers: int = 1, engine: Engine = "local", resume: bool = False
) -> BuildReport:
    """Label the solutions of a file with a judge and write the data set folder `output`.

    Raises:
        CheckpointError: there is no such judge.
        ConfigError: the votes do not fit the judge, or a resumed run has other settings.
        DataError: the data are missing or damaged, the folder is in use or the disk is full.
        JudgeError: the judge failed.
    """
    return run_labelling(
        read_solutions(config.data),
        functools.partial(_open, config),
        output,
        name="judge-labels",
        config=config,
        record_type=LabelledSolution,
        inputs=[config.data, *checkpoint_files(config.judge)],
        chunk_size=config.chunk_size,
        workers=workers,
        engine=engine,
        resume=resume,
    )


def _open(config: JudgeLabelsConfig) -> JudgeLabeller:
    judge = load_judge(config.judge, dtype=config.dtype)
    return JudgeLabeller(judge, votes=config.votes, show_reference=config.show_reference, source=config.data.stem)
