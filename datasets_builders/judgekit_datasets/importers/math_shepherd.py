"""Math-Shepherd: solutions of GSM8K and MATH problems whose steps were labelled by rollouts.

Source:
    Wang et al., Math-Shepherd (2312.08935); `peiyi9979/Math-Shepherd` on the Hub, which states no licence. `input`
    contains the problem and `Step 1: ...` to the last step, each step closed by the tag `ки`; `label` is the same text
    with `+` or `-` in place of each tag. `+` is the hard estimate: some rollout from that step reached the answer. Plus
    and minus signs also occur in the arithmetic, so both texts are read in parallel. After the first `-` a `+` may
    follow; both are kept. At the last step nothing is left to roll out: its label says whether the final answer is
    correct.
"""

from __future__ import annotations

import re

from judgekit.types import LabelledSolution, LabelMethod, StepLabel
from judgekit_datasets.importers.fields import checked_steps, text
from judgekit_datasets.source import NoOptions, Row, RowRejected, Source

STEP_TAG = "ки"
"""Closes every step of `input`."""
FIRST_STEP = "Step 1:"
"""Where the problem ends and the solution begins."""
_BARE_NUMBER = re.compile(r"Step \d+:\s*")
_LABELS = {"+": StepLabel.OK, "-": StepLabel.ERROR}


def convert(row: Row, config: NoOptions, part: str) -> list[LabelledSolution]:
    """Convert one row. Steps keep their `Step 1:`, and lose the white space around them."""
    tagged = text(row, "input")
    *segments, rest = tagged.split(STEP_TAG)  # what stands before each tag
    if not segments:
        raise RowRejected("no step tag", f"no {STEP_TAG!r} in {tagged[:80]!r}")
    if rest.strip():
        raise RowRejected("text after the last step tag", repr(rest[:80]))
    labels_S = _labels(segments, text(row, "label"))
    wrong = [index for index, label in enumerate(labels_S) if label is StepLabel.ERROR]
    problem, *starts = segments[0].split(FIRST_STEP)
    if len(starts) != 1:
        raise RowRejected("the solution's beginning is not clear", f"{FIRST_STEP!r} occurs {len(starts)} times")
    if not problem.strip():
        raise RowRejected("no problem before the first step", repr(segments[0][:80]))
    steps_S = [step.strip() for step in (FIRST_STEP + starts[0], *segments[1:])]
    # A step of which there is nothing but its number is an empty one.
    steps_S = ["" if _BARE_NUMBER.fullmatch(step + " ") else step for step in steps_S]
    solution = LabelledSolution(
        problem=problem.strip(),
        steps=checked_steps("input", steps_S, first_error=min(wrong, default=None)),
        labels=labels_S,
        final_answer_correct=labels_S[-1] is StepLabel.OK,
        source=SOURCE.name,
        subset=text(row, "task"),
        label_method=LabelMethod.MONTE_CARLO,
    )
    return [solution]


def _labels(segments: list[str], labelled: str) -> tuple[StepLabel, ...]:
    """Read the sign that stands in `label` where each tag stands in `input`."""
    labels, position = [], 0
    for index, segment in enumerate(segments):
        if not labelled.startswith(segment, position):
            raise RowRejected("label does not follow the input", f"they part in step {index} (0-based)")
        position += len(segment)
        sign = labelled[position : position + 1]
        if sign not in _LABELS:
            raise RowRejected("label is neither + nor -", f"{sign!r} after step {index} (0-based)")
        labels.append(_LABELS[sign])
        position += 1
    if labelled[position:].strip():
        raise RowRejected("label does not follow the input", f"it goes on with {labelled[position:][:80]!r}")
    return tuple(labels)


SOURCE = Source("math-shepherd", LabelledSolution, NoOptions, convert)
