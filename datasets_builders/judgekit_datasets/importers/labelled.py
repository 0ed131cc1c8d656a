"""Step-labelled rows of your own, in whatever fields: `judgekit build labelled --input rows.jsonl`.

Rows with the fields of `LabelledSolution` (`problem`, `steps`, `labels`, `source`, ...) are used unchanged. For others,
the options name the fields and say how labels are read. Nothing is guessed that could turn correct into wrong: whether
1 means correct or wrong, whether indices start at 0 or 1, and what stands for "no error" must be stated; if it is not,
the error message shows the option to give. Other fields are ignored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from judgekit.config import BaseConfig
from judgekit.errors import ConfigError, shorten
from judgekit.text.segmentation import SegmentationConfig, segment
from judgekit.types import LabelledSolution, LabelMethod, StepLabel
from judgekit_datasets.importers.fields import checked_steps, first_error_labels, text
from judgekit_datasets.source import Row, RowRejected, Source

WORDS: dict[str, StepLabel] = {
    **dict.fromkeys(("ok", "correct", "right", "good", "+"), StepLabel.OK),
    **dict.fromkeys(("error", "incorrect", "wrong", "bad", "-"), StepLabel.ERROR),
    "neutral": StepLabel.NEUTRAL,
    "unlabelled": StepLabel.UNLABELLED,
}
"""Labels that say by themselves what they mean, in any case. `null` is unlabelled."""
TRUE_WORDS = ("true", "yes", "1")
"""Labels that mean correct or wrong depending on the question; `label_form` says which. So do `true` and 1."""
FALSE_WORDS = ("false", "no", "0")
"""Their opposites; so are `false` and 0."""
_NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{1,20})?(e[+-]?\d{1,2})?")
_SIGNS = {ord("\N{MINUS SIGN}"): "-", ord("\N{FULLWIDTH HYPHEN-MINUS}"): "-", ord("\N{FULLWIDTH PLUS SIGN}"): "+"}
_SCALARS = (int, float, Decimal)
_RATINGS = {1: StepLabel.OK, 0: StepLabel.NEUTRAL, -1: StepLabel.ERROR}


class FieldsConfig(BaseConfig):
    """Which field of a row contains what. A dot enters an object: `question.text`, or `steps.rating` in a list."""

    problem: str = "problem"
    """Text of the problem."""
    steps: str = "steps"
    """The steps: a list of texts, or one text that `segmentation` splits."""
    labels: str | None = None
    """One label per step; `null` uses the field `labels` if no field of the first error is given."""
    first_error: str | None = None
    """Index of the first wrong step, instead of labels or in addition to them; both must then agree."""
    final_answer_correct: str | None = None
    """Whether the final answer is correct: true, false, 1, 0 or a word such as correct; `null` uses the field of this
    name if a row has it."""
    reference: str | None = None
    """Reference for judges: the correct answer or solution; `null` uses the field of this name."""
    problem_id: str | None = None
    """Id that all solutions of a problem share; `null` uses the field of this name, else the words of the problem."""
    id: str | None = None
    """The row's id in its source, kept as `source_id`; `null` uses the field `source_id`, else `id`."""
    subset: str | None = None
    """Part of the data set; `null` uses the field of this name."""
    generator: str | None = None
    """Who wrote the solution; `null` uses the field of this name."""
    licence: str | None = None
    """Licence of the row; `null` uses the field of this name."""
    source: str | None = None
    """Name of the data set, per row; `null` uses the field of this name."""


class LabelledConfig(BaseConfig):
    """What the rows do not say about themselves."""

    fields: FieldsConfig = FieldsConfig()
    """Which field contains what, for example `fields.problem=question`."""
    label_form: Literal["words", "one_is_ok", "one_is_error", "ratings"] = "words"
    """How labels are read. `words`: those of `WORDS`. `one_is_ok`: 1, true, yes mean correct, 0, false, no mean wrong.
    `one_is_error`: the reverse. `ratings`: 1 correct, 0 neutral, -1 wrong, as in PRM800K."""
    label_values: dict[str, StepLabel] = Field(default_factory=dict)
    """Meaning of single labels, as text: `label_values.GOOD=ok`. It takes precedence over `label_form`."""
    ok_from: float | None = None
    """Labels are numbers, such as probabilities: correct from this value on, wrong below it; `null` for other
    labels."""
    index_base: Literal[0, 1] | None = None
    """Whether the first step has index 0 or 1; required if a field of the first error is read."""
    no_error: tuple[int | str | None, ...] | None = None
    """What the field of the first error contains if there is none: `no_error=[-1]`, `[null]`, `[N/A]`, or several; also
    required then."""
    segmentation: SegmentationConfig | None = None
    """Splits a solution that is one text (`segmentation.mode=lines`); `null` for lists of steps."""
    source: str | None = Field(default=None, min_length=1)
    """Name of the data set, stored with every solution; `null` if each row states it."""
    label_method: LabelMethod | None = None
    """How the labels were made; `null` if the rows say it, or if it is unknown."""
    subset: str | None = None
    """Part of the data set, for all rows that do not state it."""
    generator: str | None = None
    """Who wrote the solutions, for all rows that do not state it."""
    licence: str | None = None
    """Licence of all rows that do not state it."""

    @field_validator("label_values", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return {str(key): label for key, label in value.items()} if isinstance(value, Mapping) else value

    @field_validator("no_error", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return value if value is None or isinstance(value, list | tuple) else (value,)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.ok_from is not None and self.label_form != "words":
            raise ValueError(
                f"ok_from reads labels as numbers, but label_form={self.label_form} does not: give only one of them"
            )
        if self.ok_from is not None and not math.isfinite(self.ok_from):
            raise ValueError("ok_from must be a number")
        return self


def convert(row: Row, config: LabelledConfig, part: str) -> list[LabelledSolution]:
    """Convert one row.

    Raises:
        RowRejected: the row does not hold what the others do.
        ConfigError: an option is missing without which no such row can be read; shows it.
    """
    # Whether a row is a stored `LabelledSolution`, and no option asks for anything else. Labels must be our own
    # words: `correct` needs reading, though its meaning is plain. So do ids that are numbers, and a correct answer that
    # is called 1 or yes.
    labels, words = row.get("labels"), {str(label) for label in StepLabel}
    optional = ("problem_id", "id", "source_id", "subset", "generator", "licence", "reference")
    is_ours = (
        config == LabelledConfig()
        and row.keys() <= LabelledSolution.model_fields.keys()
        and isinstance(row.get("source"), str)
        and isinstance(row.get("problem"), str)
        and isinstance(row.get("steps"), list)
        and all(row.get(name) is None or isinstance(row[name], str) for name in optional)
        and isinstance(row.get("final_answer_correct"), bool | None)
        and isinstance(labels, list)
        and all(isinstance(label, str) and label in words for label in labels)
    )
    if is_ours:
        return [LabelledSolution.model_validate({"label_method": None} | dict(row))]
    names = config.fields
    problem = text({names.problem: _find(row, names.problem, option="fields.problem")}, names.problem)
    given = _steps(_find(row, names.steps, option="fields.steps"), config)
    labels_S = _labels(row, config, n_steps=len(given))
    source = config.source or _text_of(row, names.source, "source")
    if source is None:
        raise ConfigError("the data set has no name: give source=NAME, for example source=mine")
    solution = LabelledSolution(
        problem_id=_text_of(row, names.problem_id, "problem_id") or "",
        problem=problem,
        steps=checked_steps(names.steps, given, first_error=_first(labels_S)),
        labels=labels_S,
        reference=_text_of(row, names.reference, "reference"),
        final_answer_correct=_correctness(row, names.final_answer_correct),
        source=source,
        subset=_text_of(row, names.subset, "subset") or config.subset,
        source_id=_text_of(row, names.id, "source_id", "id"),
        generator=_text_of(row, names.generator, "generator") or config.generator,
        label_method=config.label_method or _method(row),
        n_success=row.get("n_success"),
        n_rollouts=row.get("n_rollouts"),
        licence=_text_of(row, names.licence, "licence") or config.licence,
    )
    return [solution]


_NOWHERE = object()


def _look(value: Any, name: str) -> Any:
    """Return what a row holds under a name, which may go down by dots; `_NOWHERE` where there is no such field."""
    if isinstance(value, Mapping) and name in value:  # before its dots are read: names may hold some
        return value[name]
    first, dot, rest = name.partition(".")
    if dot and isinstance(value, Mapping) and first in value:
        return _look(value[first], rest)
    if isinstance(value, list) and value:
        found = [_look(item, name) for item in value]
        return _NOWHERE if any(item is _NOWHERE for item in found) else found
    return _NOWHERE


def _find(row: Row, name: str, *, option: str) -> Any:
    """Return the value of a field that must be there.

    Raises:
        RowRejected: it is absent or null; the reason names the option that may be missing.
    """
    value = _look(row, name)
    if value is _NOWHERE or value is None:
        raise RowRejected(
            f"no field {name!r} (give another with {option}=NAME)", f"the row has {shorten(list(row), most=200)}"
        )
    return value


def _text_of(row: Row, name: str | None, *defaults: str) -> str | None:
    """Return a text or a number as text; `None` if the field is absent, null or blank.

    Raises:
        RowRejected: it is something else, or a field that was named is in no row.
    """
    for field in (name,) if name is not None else defaults:
        value = _look(row, field)
        if value is _NOWHERE and name is not None:
            raise RowRejected(f"no field {name!r}", f"the row has {shorten(list(row), most=200)}")
        if value is _NOWHERE or value is None or (isinstance(value, str) and not value.strip()):
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise RowRejected(f"field {field!r} is not a text", shorten(value))
        return str(value)
    return None


def _method(row: Row) -> LabelMethod | None:
    value = _text_of(row, None, "label_method")
    known = {str(method) for method in LabelMethod}
    if value is not None and value not in known:
        raise RowRejected("unknown label_method", f"{shorten(value)} is not one of {', '.join(sorted(known))}")
    return None if value is None else LabelMethod(value)


def _correctness(row: Row, name: str | None) -> bool | None:
    # Right and wrong are taken at their word here, 1 and 0 among them: the question leaves no other reading.
    value = _look(row, name or "final_answer_correct")
    word = None if value is _NOWHERE else _word(value)
    if word is None:
        return None
    if word in TRUE_WORDS or WORDS.get(word) is StepLabel.OK:
        return True
    if word in FALSE_WORDS or WORDS.get(word) is StepLabel.ERROR:
        return False
    raise RowRejected("field of the final answer is neither correct nor wrong", shorten(value))


def _steps(value: Any, config: LabelledConfig) -> Sequence[Any]:
    if isinstance(value, str):
        if config.segmentation is None:
            raise ConfigError(
                f"the steps are one text, {shorten(value, most=60)}: say how it is split, for example "
                "segmentation.mode=lines (or paragraphs, numbered, sentences)"
            )
        return [span.text for span in segment(value, config.segmentation)]
    if not isinstance(value, list):
        raise RowRejected(f"field {config.fields.steps!r} is not a list of texts", shorten(value))
    if config.segmentation is not None:
        raise RowRejected("steps are a list already", "segmentation splits solutions that are one text")
    return value


def _labels(row: Row, config: LabelledConfig, *, n_steps: int) -> tuple[StepLabel, ...]:
    """Return one label per step, from labels, from the index of the first error, or from both where they agree."""
    if not n_steps:
        raise RowRejected("no steps", f"{config.fields.steps!r} is empty")
    name, index_name = config.fields.labels or "labels", config.fields.first_error
    has_labels = config.fields.labels is not None or "labels" in row
    # An index that nobody asked for counts only where nothing else labels the steps, or its base was said.
    if index_name is None and "first_error" in row and not (has_labels and config.index_base is None):
        index_name = "first_error"
    by_index = None
    if index_name is not None:
        index = _look(row, index_name)
        if index is _NOWHERE:
            raise RowRejected(f"no field {index_name!r}", f"the row has {shorten(list(row), most=200)}")
        first_error = _first_error(index, config, name=index_name, n_steps=n_steps)
        by_index = first_error_labels(first_error, n_steps=n_steps, shown=index)
        if not has_labels:
            return by_index
    values = _find(row, name, option="fields.labels=NAME or fields.first_error")
    if not isinstance(values, list):
        raise RowRejected(f"field {name!r} is not a list", shorten(values))
    if len(values) != n_steps:
        which = "fewer labels than steps" if len(values) < n_steps else "label beyond the last step"
        raise RowRejected(which, f"{len(values)} labels for {n_steps} steps")
    labels_S = tuple(_label(value, config) for value in values)
    if by_index is not None and _first(labels_S) != _first(by_index):
        raise RowRejected("labels contradict the first error", f"{_first(labels_S)} and {_first(by_index)} (0-based)")
    return labels_S


def _first(labels_S: Sequence[StepLabel]) -> int | None:
    return next((index for index, label in enumerate(labels_S) if label is StepLabel.ERROR), None)


def _label(value: Any, config: LabelledConfig) -> StepLabel:
    """Return what one label means.

    Raises:
        RowRejected: it means nothing.
        ConfigError: it may mean correct or wrong, and no option says which.
    """
    word, number = _word(value), _number(value)
    if word is None:
        return StepLabel.UNLABELLED
    if word in (spelled := {_word(key): label for key, label in config.label_values.items()}):
        return spelled[word]
    if config.ok_from is not None:
        if number is None:
            raise RowRejected("label is not a number", shorten(value))
        return StepLabel.OK if number >= config.ok_from else StepLabel.ERROR
    if word in WORDS:
        return WORDS[word]
    if config.label_form == "ratings":
        if number in _RATINGS:
            return _RATINGS[int(number)]
        raise RowRejected("unknown rating", f"{shorten(value)} is not one of -1, 0, 1")
    if word in (*TRUE_WORDS, *FALSE_WORDS):
        if config.label_form == "words":
            raise ConfigError(
                f"a label is {shorten(value)}, and nothing says whether that is correct or wrong: give "
                "label_form=one_is_ok (1, true, yes are correct), label_form=one_is_error (they are wrong), or "
                "label_form=ratings (1 correct, 0 neutral, -1 wrong)"
            )
        return StepLabel.OK if (word in TRUE_WORDS) == (config.label_form == "one_is_ok") else StepLabel.ERROR
    if word == "-1" and config.label_form == "words":
        raise ConfigError(
            "a label is -1, and its meaning is not given: give label_form=ratings (1 correct, 0 neutral, -1 wrong) "
            "or label_values.-1=error"
        )
    if number is not None and number % 1 and config.label_form == "words":
        raise ConfigError(
            f"a label is {shorten(value)}: give the smallest number that is correct, for example ok_from=0.5"
        )
    raise RowRejected(
        "unknown label", f"{shorten(value)}: label_values.LABEL=ok, error, neutral or unlabelled adds one"
    )


def _first_error(value: Any, config: LabelledConfig, *, name: str, n_steps: int) -> int | None:
    """Return the 0-based index of the first error; `None` if there is none.

    Of a list of indices of wrong steps the smallest counts, and an empty one says that there is none.

    Raises:
        RowRejected: the value is not an index.
        ConfigError: it is not said where indices begin, or what stands for no error, or both readings fit.
    """
    missing = [] if config.index_base is not None else ["index_base=0 or index_base=1 (the index of the first step)"]
    if config.no_error is None and not isinstance(value, list):
        missing.append("no_error=[-1], [null] or [N/A] (what stands for no error)")
    if config.index_base is None or missing:
        raise ConfigError(
            f"the first error is read from {name!r}, which has {shorten(value)}: give {' and '.join(missing)}"
        )
    if isinstance(value, list):
        indices = [_index(item, config.index_base) for item in value]
        if None in indices:
            raise RowRejected("first error is not an index", shorten(value))
        return min((index for index in indices if index is not None), default=None)
    index = _index(value, config.index_base)
    if _word(value) in [_word(item) for item in config.no_error or ()]:
        if index is not None and 0 <= index < n_steps:
            raise ConfigError(
                f"the first error is read from {name!r}, which has {shorten(value)}: no_error says that there is none, "
                f"index_base={config.index_base} that it is step {index} (0-based); change one of them"
            )
        return None
    if index is None:
        said = ", ".join("null" if item is None else str(item) for item in config.no_error or ())
        raise RowRejected("first error is not an index", f"{shorten(value)}, but no error is spelled {said}")
    return index


def _index(value: Any, index_base: int) -> int | None:
    """Return a 0-based index, which may are outside the steps; `None` if the value is not an integer."""
    number = _number(value)
    return None if number is None or number % 1 or abs(number) > 10**9 else int(number) - index_base


def _word(value: Any) -> str | None:
    """Return a value as it is compared: lower case, plain characters, integers alike; `None` for null and NaN.

    A column of numbers with gaps is one of floats, and its gaps are NaN.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    number = _number(value)
    return _plain_text(value if number is None or number % 1 else int(number))


def _number(value: Any) -> float | None:
    """Return a number, also one that is written as text; `None` for anything else, a truth value among it."""
    if isinstance(value, str) and _NUMBER.fullmatch(_plain_text(value)):
        return float(_plain_text(value))
    is_number = isinstance(value, _SCALARS) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e15 else None


def _plain_text(value: Any) -> str:
    text = value if isinstance(value, str) else str(value) if isinstance(value, _SCALARS) else shorten(value)
    return text.translate(_SIGNS).strip().lower()


SOURCE = Source("labelled", LabelledSolution, LabelledConfig, convert)
