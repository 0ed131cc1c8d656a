"""Groups of sampled responses, each split into steps, with the correctness of every final answer.

Source:
    The layout of the groups published with R-PRM (NJUNLP/R-PRM): `id`, `question`, `steps` (a list of steps for each
    response) and `labels` (true where that response's final answer is correct). Token ids and log-probabilities of the
    sampling policy are not part of it.
"""

from __future__ import annotations

from itertools import accumulate

from judgekit.config import BaseConfig
from judgekit.errors import shorten
from judgekit.text.segmentation import SegmentationConfig, segment
from judgekit.types import Rollout
from judgekit_datasets.importers.fields import checked_steps, items, missing, optional_text, text
from judgekit_datasets.source import Row, RowRejected, Source

SEPARATOR = "\n\n"
"""Stands between two steps of a response. The whole response is the steps joined by it, so that the spans are exact."""


class GroupsConfig(BaseConfig):
    """What the files do not say about themselves."""

    source: str | None = None
    """Name of the data set; `null` uses the file's name without its suffix, or the Hub split."""
    generator: str | None = None
    """The policy that sampled the responses; `null` if unknown."""
    segmentation: SegmentationConfig | None = None
    """Splits each response again, with the stored steps joined by blank lines; `null` keeps the stored steps."""


def convert(row: Row, config: GroupsConfig, part: str) -> list[Rollout]:
    """Convert one group into one rollout a response; the prompt is the bare question."""
    question, responses, outcomes = text(row, "question"), items(row, "steps"), items(row, "labels")
    if len(responses) != len(outcomes):
        raise RowRejected("responses and labels differ in number", f"{len(responses)} and {len(outcomes)}")
    if len(responses) < 2:
        raise RowRejected("group of fewer than two responses", f"{len(responses)}: nothing to compare a response with")
    if not all(isinstance(outcome, bool) for outcome in outcomes):
        raise RowRejected("field 'labels' is not a list of true and false", shorten(outcomes, most=200))
    if (group_id := optional_text(row, "id")) is None:
        raise missing("id", row)
    rollouts = []
    for sample, (response, outcome) in enumerate(zip(responses, outcomes, strict=True)):
        # One response's steps; a response without any is kept, for a policy may answer nothing.
        if not isinstance(response, list):
            raise RowRejected("field 'steps' is not a list of lists", shorten(response, most=200))
        steps_S = checked_steps("steps", response) if response else ()
        whole = SEPARATOR.join(steps_S)
        if config.segmentation is None:
            ends = tuple(accumulate(map(len, steps_S), lambda end, n: end + len(SEPARATOR) + n))
            starts = tuple(end - len(step) for end, step in zip(ends, steps_S, strict=True))
        else:
            spans = segment(whole, config.segmentation)
            steps_S = tuple(span.text for span in spans)
            starts, ends = tuple(span.start for span in spans), tuple(span.end for span in spans)
        rollout = Rollout(
            group_id=group_id,
            sample=sample,
            problem=question,
            prompt=question,
            response=whole,
            steps=steps_S,
            step_start=starts,
            step_end=ends,
            outcome=float(outcome),
            generator=config.generator,
            source=config.source or part,
        )
        rollouts.append(rollout)
    return rollouts


SOURCE = Source("groups", Rollout, GroupsConfig, convert, key=lambda rollout: rollout.group_id)
