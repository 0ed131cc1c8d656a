"""Samples solutions from a policy: a groups data set with checked answers and steps, which `sgpo offline` reads.

Every response is kept with its outcome, including empty and truncated ones, and with its tokens and their
log-probabilities if the engine returns them (used by `ratio: behaviour`). A response whose answer cannot be checked has
no outcome, so it is not a row: it goes to the folder `tally`, and a group with fewer than two rows left goes to
`rejected.jsonl`.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from judgekit.answers import OutcomeCheck, build_outcome
from judgekit.answers.sample_and_check import Asked, CheckedSample, sample_and_check
from judgekit.engines.generation.base import Generator
from judgekit.engines.generation.door import build_generator
from judgekit.groups import is_right
from judgekit.io import checkpoint_files, read_records
from judgekit.text.identity import content_id
from judgekit.text.segmentation import segment
from judgekit.types import Record, Rollout
from judgekit_datasets.build_report import BuildReport
from judgekit_datasets.labelling.chunks import Label
from judgekit_datasets.labelling.config import RolloutsConfig
from judgekit_datasets.labelling.run import Engine, run_labelling
from judgekit_datasets.labelling.tally import read_tally, write_tally
from judgekit_datasets.source import RowRejected


class Question(Record):
    """A problem as it is read: the answer may be missing, which is found out problem by problem."""

    problem_id: str = Field(min_length=1)
    """Id of the problem."""
    problem: str = Field(min_length=1)
    """Text shown to the policy."""
    answer: str | None = None
    """The right final answer, as text."""
    source: str = Field(min_length=1)
    """Data set it comes from."""


class RolloutCounts(NamedTuple):
    """What became of all responses that were asked for."""

    right: int
    """Rows with the correct answer."""
    wrong: int
    """Rows with another answer or none."""
    empty: int
    """Rows without any text; they count as wrong, too."""
    truncated: int
    """Rows that were cut off by the length limit; they count as correct or wrong, too."""
    uncheckable: int
    """Responses without a row, because their answer could not be told."""
    failed: int
    """Responses that the engine did not give."""
    n_tokens: int
    """Tokens sampled."""


@dataclass(frozen=True)
class RolloutLabeller:
    """Samples and checks the solutions of problems."""

    generator: Generator
    """The policy."""
    check: OutcomeCheck
    """Compares answers."""
    config: RolloutsConfig
    """Options."""
    output: Path
    """Folder of the run, for the tally."""

    def label(self, items: Sequence[Question]) -> list[Label]:
        """Return one rollout a response, or why a problem gives no group."""
        config = self.config
        asked = [Asked(item.problem, (item.answer or "").strip()) for item in items if _is_answerable(item)]
        samples_P = iter(
            sample_and_check(
                asked,
                generator=self.generator,
                check=self.check,
                prompt=config.prompt,
                sampling=config.sampling,
                n=config.n_samples,
                seed=config.seed,
            )
        )
        groups = [self._group(item, next(samples_P) if _is_answerable(item) else []) for item in items]
        write_tally(self.output, items, [row for _, row in groups])
        return [label for label, _ in groups]

    def _group(self, item: Question, samples: Sequence[CheckedSample]) -> tuple[Label, dict[str, Any]]:
        """Return a problem's rollouts, or why there are none, and its row in the tally."""
        if not _is_answerable(item):
            return RowRejected("no answer", "a problem without an answer cannot be checked"), {}
        rollouts, dropped = [], []
        counts: Counter[str] = Counter(n_tokens=sum(completion.n_tokens for completion, _ in samples))
        for sample, (response, outcome) in enumerate(samples):
            if outcome is not None:
                prompt = self.config.prompt.build(item.problem)
                generator = self.generator.generator_id
                spans = segment(response.text, self.config.segmentation)
                rollout = Rollout(
                    group_id=content_id(problem_id=item.problem_id, generator=generator, seed=self.config.seed),
                    sample=sample,
                    problem=item.problem,
                    prompt=self.generator.render(prompt) or item.problem,
                    response=response.text,
                    steps=tuple(span.text for span in spans),
                    step_start=tuple(span.start for span in spans),
                    step_end=tuple(span.end for span in spans),
                    outcome=outcome,
                    answer=item.answer,
                    truncated=response.finish_reason == "length",
                    behaviour_token_ids=None if response.logprobs is None else response.token_ids,
                    behaviour_logprobs=response.logprobs,
                    generator=generator,
                    source=item.source,
                )
                rollouts.append(rollout)
                counts["right" if is_right(outcome) else "wrong"] += 1
                counts["empty"] += not response.text.strip()
                counts["truncated"] += response.finish_reason == "length"
                continue
            fate = "failed" if response.finish_reason == "failed" else "uncheckable"
            counts[fate] += 1
            dropped.append({"sample": sample, "fate": fate, "text": response.text, "detail": response.failure})
        row = {"counts": counts, "dropped": dropped}
        # One response tells nothing next to no other: an advantage needs two, unless one is all that was asked for.
        if len(rollouts) < min(2, self.config.n_samples):
            detail = f"{len(rollouts)} of {len(samples)} have a known outcome: {dropped[0]['fate']}"
            return RowRejected("too few checked responses", f"{detail} {dropped[0]['detail'] or ''}".rstrip()), row
        return rollouts, row


def _is_answerable(item: Question) -> bool:
    return bool((item.answer or "").strip())


def sample_rollouts(
    config: RolloutsConfig, output: Path, *, workers: int = 1, engine: Engine = "local", resume: bool = False
) -> BuildReport:
    """Sample solutions of problems and write the groups data set `output`.

    Raises:
        CheckpointError: the policy cannot be opened.
        ConfigError: a resumed run has other settings.
        DataError: the problems are missing or damaged, the folder is in use or the disk is full.
        JudgeError: the engine or server failed; finished chunks are kept.
    """
    return run_labelling(
        list(islice(read_records(config.problems, Question), config.n_problems)),
        functools.partial(_open, config, output.absolute()),
        output,
        name="rollouts",
        config=config,
        record_type=Rollout,
        inputs=[config.problems, *checkpoint_files(config.generation.model)],
        chunk_size=config.chunk_size,
        workers=workers,
        engine=engine,
        resume=resume,
    )


def count_rollouts(output: Path) -> RolloutCounts:
    """Return what became of the responses of a run, from its tally.

    Raises:
        DataError: the tally cannot be read.
    """
    counts: Counter[str] = Counter()
    for row in read_tally(output):
        counts.update(row.get("counts", {}))
    return RolloutCounts(**{name: counts[name] for name in RolloutCounts._fields})


def _open(config: RolloutsConfig, output: Path) -> RolloutLabeller:
    return RolloutLabeller(build_generator(config.generation), build_outcome(config.outcome), config, output)
