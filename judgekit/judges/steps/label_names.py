"""What the labels of a classification head mean, from their names in a checkpoint's configuration.

A head does not say which of its labels means "no error", and one that is read the wrong way round fails silently. Names
are used if all of them say correct or wrong; otherwise the card must decide.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from judgekit.errors import CheckpointError
from judgekit.judges.card import JudgeCard
from judgekit.judges.steps.specs import DEFAULT_OK_LABELS, StepClassifierSpec

logger = logging.getLogger(__name__)

OK_WORDS = frozenset({
    "accept", "accepted", "correct", "fine", "good", "great", "neutral", "ok", "okay", "pass", "passed", "pos",
    "positive", "right", "sound", "true", "valid", "yes",
})  # fmt: skip
"""Words for a step without error. `neutral` is one: such a step is no error, as everywhere in this project."""
ERROR_WORDS = frozenset({
    "bad", "erroneous", "error", "errors", "fail", "failed", "faulty", "false", "flawed", "incorrect", "invalid",
    "mistake", "mistaken", "neg", "negative", "no", "reject", "rejected", "unsound", "wrong",
})  # fmt: skip
"""Words for a wrong step."""
_SIGNS = {"+": True, "-": False, "\u2212": False, "\u2713": True, "\u2714": True, "\u2717": False, "\u2718": False}
"""Signs that are the whole name of a label: plus, hyphen, minus, ticks and crosses."""
_FILLERS = frozenset({
    "a", "an", "answer", "class", "contains", "has", "is", "label", "reasoning", "response", "solution", "step", "the",
})  # fmt: skip
"""Words that say nothing about correct or wrong."""
_NEGATIONS = frozenset({"no", "non", "not", "without"})


def is_ok_name(name: str) -> bool | None:
    """Tell whether a label's name means "no error"; `None` if it says neither.

    Upper and lower case, `_`, `-`, spaces and camel case count for nothing, and words such as "step" neither; a
    negation turns the word behind it round.

    Example:
        >>> [is_ok_name(name) for name in ("Step_Correct", "INCORRECT", "not correct", "noError", "+", "LABEL_1")]
        [True, False, False, True, True, None]
    """
    if name.strip() in _SIGNS:
        return _SIGNS[name.strip()]
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    words = [word for word in words if word not in _FILLERS]
    turned = len(words) > 1 and words[0] in _NEGATIONS
    rest = words[1:] if turned else words
    if len(rest) != 1 or re.search(r"\d", name):
        return None
    if rest[0] in OK_WORDS:
        return not turned
    return turned if rest[0] in ERROR_WORDS else None


def read_label_names(config: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of a head's labels by their index; empty if the configuration gives none but `LABEL_n`.

    Args:
        config: A checkpoint's configuration; its fields `id2label` and `label2id` are read.

    Raises:
        CheckpointError: the two fields name the labels differently, or their numbers do not go from 0 up.
    """
    by_id, by_label = config.get("id2label") or {}, config.get("label2id") or {}
    if not isinstance(by_id, Mapping) or not isinstance(by_label, Mapping):
        raise CheckpointError("id2label and label2id of config.json must be mappings: set ok_labels in the card")
    try:
        names = {int(index): str(name) for index, name in by_id.items()}
        other = {int(index): str(name) for name, index in by_label.items()}
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"id2label or label2id of config.json has no numbers ({error})") from error
    for found in (names, other):
        if sorted(found) != list(range(len(found))) and not _is_numbered(found):
            raise CheckpointError(
                f"the labels of config.json, {_shown(found)}, are not numbered from 0 up, as the outputs of the head "
                "are: state in the card which outputs mean that a step is correct, for example `ok_labels: [1]`"
            )
    names, other = ({} if _is_numbered(found) else found for found in (names, other))
    if names and other and {k: is_ok_name(v) for k, v in names.items()} != {k: is_ok_name(v) for k, v in other.items()}:
        raise CheckpointError(
            f"config.json contradicts itself: id2label says {_shown(names)}, label2id {_shown(other)}. State in the "
            "card which labels mean that a step is correct, for example `ok_labels: [1]`"
        )
    return names or other


def _is_numbered(names: Mapping[int, str]) -> bool:
    """Whether names only repeat the index: `LABEL_0`, `0`."""
    return all(re.fullmatch(rf"(label[_\- ]?)?{index}", name.strip(), re.IGNORECASE) for index, name in names.items())


def settle_ok_labels(card: JudgeCard, config: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the labels that mean "no error": those of the card, else those named so, else label 1.

    A card of the user's own wins over the names, with a warning; a family's does not.

    Raises:
        CheckpointError: names contradict each other or the card of a family, or say neither correct nor wrong.
    """
    spec = card.spec_as(StepClassifierSpec)
    own = spec.ok_labels is not None and spec.ok_labels_by == "card"
    try:
        names = read_label_names(config)
    except CheckpointError:
        if not own:
            raise
        names = {}
    if len(names) == 1 and not own and not spec.head_mean and is_ok_name(names[0]) is False:
        # One output is read as the logit of a correct step, whatever `ok_labels` says.
        raise CheckpointError(
            f"{card.judge_id}: the one output of the head is called {_shown(names)} in config.json, but a single "
            "output is read as the logit of a correct step: change the sign of the head in a copy of the checkpoint "
            "or, if only the name is wrong, set `ok_labels: [0]` in the card"
        )
    if not names or spec.head_mean or len(names) == 1:
        return spec.ok_labels or DEFAULT_OK_LABELS
    meaning = {index: is_ok_name(name) for index, name in names.items()}
    named = tuple(sorted(index for index, is_ok in meaning.items() if is_ok))
    is_clear = None not in meaning.values() and 0 < len(named) < len(meaning)
    if spec.ok_labels is not None and (not is_clear or set(named) == set(spec.ok_labels)):
        return spec.ok_labels
    if not is_clear:
        raise CheckpointError(
            f"{card.judge_id}: the labels of config.json, {_shown(names)}, do not say which means that a step is "
            "correct: set it in the card, for example `ok_labels: [1]`"
        )
    if spec.ok_labels is None:
        return named
    said = f"ok_labels {list(spec.ok_labels)}, but config.json calls its labels {_shown(names)}"
    if own:
        logger.warning("%s: the card says %s: the card counts", card.judge_id, said)
        return spec.ok_labels
    raise CheckpointError(
        f"{card.judge_id}: the family {card.family} says {said}. State ok_labels in a card of your own, which counts: "
        f"{{family: {card.family}, model: ..., ok_labels: {list(named)}}}"
    )


def _shown(names: Mapping[int, str]) -> str:
    return ", ".join(f"{index} {name[:40]!r}" for index, name in sorted(names.items())[:8])
