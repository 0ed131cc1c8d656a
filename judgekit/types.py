"""The basic types: solutions, labels, verdicts, judgements and rollouts.

Nothing here imports torch or polars. Stored types are frozen pydantic models; they hold facts, and everything derivable
is a property. `first_error` is 0-based everywhere, and `None` means that every step is correct. Axis suffixes: `_S`
step, `_T` token, `_G` group member, `_N` samples.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from judgekit.text.identity import content_id, current_problem_id, problem_id
from judgekit.ties import first_largest, is_below, rounded

SUM_TOLERANCE = 1e-6
"""How far the sum of a posterior may lie from 1, and an outcome from what the step probabilities give, before a verdict
is refused."""


_SURROGATE = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """Return the text with U+FFFD instead of lone surrogates, which damaged JSON can hold and no encoding can.

    The length stays, so that positions in the text stay, too.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def _set_id(data: dict[str, Any], name: str, make: Callable[[], str]) -> None:
    """Set an id that is not given.

    It is hashed before the fields are checked, and left empty if they hold what cannot be hashed. Their own checks
    come next and name the field.
    """
    if not data.get(name):
        data[name] = ""
        with contextlib.suppress(TypeError, ValueError, LookupError, AttributeError, RecursionError):
            data[name] = make()


_MOST_LOGPROB = 1e-4
"""Rounding in float32 may lift the log-probability of a sure token this far above 0."""

Flag = Annotated[bool, Field(strict=True)]
"""A truth value: no number and no word is one."""
Count = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
"""A count, index or token id, as 64 bits hold it."""
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
"""A number in [0, 1]."""
Logprob = Annotated[float, Field(strict=True, le=_MOST_LOGPROB, allow_inf_nan=False)]
"""A log-probability, nats: finite and not above 0."""

Precision = Literal["float32", "bfloat16"]
"""Number format in which a judge's weights run."""


class StepLabel(StrEnum):
    """What is known about one step."""

    OK = "ok"
    """The step is correct."""
    NEUTRAL = "neutral"
    """Neither correct nor wrong (PRM800K rating 0); counts as no error."""
    ERROR = "error"
    """The step is an error of reasoning."""
    UNLABELLED = "unlabelled"
    """Nobody looked, as is usual after the first error."""


class WeakLabel(StrEnum):
    """What is known about a solution whose steps nobody has labelled."""

    SOME_ERROR = "some_error"
    """At least one step is an error; which one is not known."""
    NO_ERROR = "no_error"
    """No step is an error."""
    UNLABELLED = "unlabelled"
    """Neither is known."""


class LabelMethod(StrEnum):
    """How the step labels came about."""

    HUMAN = "human"
    """Annotators read the steps."""
    MONTE_CARLO = "monte_carlo"
    """Rollouts from each prefix reached the correct answer, or did not."""
    LLM = "llm"
    """A language model judged the steps."""
    CONSENSUS = "consensus"
    """Several methods agreed."""
    INJECTED = "injected"
    """An error was put into a correct solution at a known step."""
    PROCEDURAL = "procedural"
    """Problem, solution and error come from one generator, so labels are exact."""


class NoVerdictReason(StrEnum):
    """Why a judge gave no verdict."""

    UNPARSABLE = "unparsable"
    """The judge answered, and no verdict could be read from it."""
    TRUNCATED = "truncated"
    """The judge's answer was cut off by its length limit."""
    TIMED_OUT = "timed_out"
    """No answer within the deadline."""
    REFUSED = "refused"
    """The judge declined to answer."""
    TOO_LONG = "too_long"
    """The solution does not fit the judge's context."""
    EMPTY = "empty"
    """The solution has no steps, or none but blank ones, so there is nothing to judge."""
    NO_REFERENCE = "no_reference"
    """The judge compares with a reference, and it was shown none."""
    NON_FINITE = "non_finite"
    """The judge's model gave a score that is not a number, or an infinite one."""
    NOTHING_TO_CHECK = "nothing_to_check"
    """The judge checks only certain statements, and the solution makes none of them."""


class Record(BaseModel):
    """A stored row: frozen, no unknown fields, with the version of its schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False, allow_inf_nan=False)
    SCHEMA_VERSION: ClassVar[int] = 1

    schema_version: int = 1
    """Version of the row's schema; a reader refuses versions it does not know."""

    @model_validator(mode="before")
    @classmethod
    def _current_problem_id(cls, data: Any) -> Any:
        """Replace the id of a problem's exact text, which earlier releases stored, by that of its words."""
        if isinstance(data, dict) and isinstance(data.get("problem"), str) and isinstance(data.get("problem_id"), str):
            return data | {"problem_id": current_problem_id(data["problem_id"], data["problem"])}
        return data

    @model_validator(mode="after")
    def _known_version(self) -> Self:
        if self.schema_version != self.SCHEMA_VERSION:
            raise ValueError(
                f"schema_version {self.schema_version} of {type(self).__name__} is not {self.SCHEMA_VERSION}: "
                "rebuild the file with this release of judgekit"
            )
        return self

    @model_validator(mode="after")
    def _storable(self) -> Self:
        """Refuse texts that no file can hold, and a record without an id, which every store goes by."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str) and text != without_surrogates(text):
                    raise ValueError(
                        f"{name} {text[:80]!r} contains half a character (a lone surrogate), which no file can store"
                    )
        for name in ("id", "problem_id"):
            if getattr(self, name, None) == "":
                raise ValueError(f"no {name} can be computed for this record: one of its texts is not a text")
        return self


class Problem(Record):
    """A problem with its checkable answer: what reinforcement learning samples from."""

    problem_id: str = Field(min_length=1)
    """Id of the problem, shared by all its solutions."""
    problem: str = Field(min_length=1)
    """Text shown to the policy."""
    answer: str = Field(min_length=1)
    """The right final answer, as text."""
    source: str = Field(min_length=1)
    """Data set it comes from."""


class Solution(Record):
    """What a judge reads: a problem and a solution in steps. The reference is shown only to judges that ask for it.

    Lone surrogates in its texts become U+FFFD, so that whatever a candidate holds can be hashed, stored and tokenised.
    """

    id: str = ""
    """Content id; computed where it is left empty."""
    problem_id: str = ""
    """Id of the problem; where it is left empty, that of the words of its text, see `judgekit.text.identity`."""
    problem: str
    """Text of the problem."""
    steps: tuple[str, ...]
    """The solution's steps in order; may be empty for a policy's response."""
    reference: str | None = None
    """Final answer, outline or full solution that a judge may be shown."""

    @model_validator(mode="before")
    @classmethod
    def _fill_ids(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data = cls._readable(data)
            # An id is hashed before the fields are checked, and left empty if they hold what cannot be hashed: their
            # own checks come next and name the field.
            _set_id(data, "problem_id", lambda: problem_id(data["problem"]))
            _set_id(data, "id", lambda: content_id(**cls._identity(data)))
        return data

    @classmethod
    def _readable(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Copy the values, texts without lone surrogates; what is not a text is left for the fields' own checks."""
        clean = {name: without_surrogates(value) if isinstance(value, str) else value for name, value in data.items()}
        if isinstance(steps := data.get("steps"), list | tuple):
            clean["steps"] = [without_surrogates(step) if isinstance(step, str) else step for step in steps]
        return clean

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to judge: no steps, or none but blank ones."""
        return not any(step.strip() for step in self.steps)

    @property
    def has_computed_id(self) -> bool:
        """Whether the id is that of the content, so that no other solution can have it."""
        return self.id == content_id(**self._identity(self.__dict__))

    @classmethod
    def _identity(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        identity = {"problem": data.get("problem"), "steps": list(data.get("steps") or ())}
        return identity | {"reference": data.get("reference")}


class LabelledSolution(Solution):
    """A solution with one label a step and where both come from.

    A labelled solution is decidable: no step before the first error is unlabelled, and none at all where there is no
    error.
    """

    labels: tuple[StepLabel, ...]
    """One label per step."""
    final_answer_correct: Flag | None = None
    """Whether the final answer is correct; `None` if unknown. Independent of the labels: real data disagree."""
    source: str = Field(min_length=1)
    """Data set, for example `processbench`."""
    subset: str | None = None
    """Part of the data set in its own terms: split, task or error class."""
    source_id: str | None = None
    """The row's id in its source."""
    generator: str | None = None
    """Who wrote the solution: a model's name, or `human`; `None` if unknown."""
    label_method: LabelMethod | None
    """How the labels came about; `None` if the source does not say."""
    n_success: tuple[Count, ...] | None = None
    """Counts behind soft labels: rollouts from each step that reached the answer, or a judge's votes that pass it."""
    n_rollouts: tuple[Count, ...] | None = None
    """Counts behind soft labels: rollouts tried from each step, or a judge's votes that found no error before it."""
    licence: str | None = None
    """Licence of the source, as an SPDX id where one exists."""

    @classmethod
    def _identity(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        keys = ("source", "subset", "source_id", "generator")
        identity = super()._identity(data) | {key: data.get(key) for key in keys}
        return identity | {"labels": [str(label) for label in data.get("labels") or ()]}

    @model_validator(mode="after")
    def _decidable(self) -> Self:
        if not self.steps:
            raise ValueError("a labelled solution needs at least one step")
        if len(self.labels) != len(self.steps):
            raise ValueError(f"{len(self.labels)} labels for {len(self.steps)} steps")
        end = len(self.steps) if self.first_error is None else self.first_error
        for index, label in enumerate(self.labels[:end]):
            if label is StepLabel.UNLABELLED:
                raise ValueError(f"step {index} is unlabelled although no error comes before it")
        _check_counts(self.n_success, self.n_rollouts, n_steps=len(self.steps))
        return self

    @property
    def first_error(self) -> int | None:
        """0-based index of the first wrong step, `None` if every step is fine."""
        return next((i for i, label in enumerate(self.labels) if label is StepLabel.ERROR), None)


class WeaklyLabelledSolution(Solution):
    """A solution of which less is known than where its first error is, such as a response with a wrong final answer.

    A type of its own, so that nobody who reads `LabelledSolution.first_error` can take it for one without an error.
    """

    known: WeakLabel
    """What is known of the solution as a whole."""
    n_success: tuple[Count, ...] | None = None
    """Rollouts from each step that reached the correct answer; `None` if none were tried."""
    n_rollouts: tuple[Count, ...] | None = None
    """Rollouts tried from each step, 0 at steps that were passed over; `None` if none were tried."""
    final_answer_correct: Flag | None = None
    """Whether the final answer is correct; `None` if unknown."""
    source: str = Field(min_length=1)
    """Data set or run it comes from."""
    subset: str | None = None
    """Part of the data set in its own terms."""
    source_id: str | None = None
    """The row's id in its source."""
    generator: str | None = None
    """Who wrote the solution; `None` if unknown."""
    licence: str | None = None
    """Licence of the source, as an SPDX id where one exists."""

    @classmethod
    def _identity(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        keys = ("source", "subset", "source_id", "generator")
        return super()._identity(data) | {key: data.get(key) for key in keys} | {"known": str(data.get("known"))}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.is_blank:
            raise ValueError("a weakly labelled solution needs at least one non-blank step")
        if (self.n_success is None) != (self.n_rollouts is None):
            raise ValueError("n_success and n_rollouts must be given together")
        _check_counts(self.n_success, self.n_rollouts, n_steps=len(self.steps))
        return self


def _check_counts(n_success_S: tuple[int, ...] | None, n_rollouts_S: tuple[int, ...] | None, *, n_steps: int) -> None:
    """Refuse counts that are not one per step, and more successes than rollouts."""
    for name, counts in (("n_success", n_success_S), ("n_rollouts", n_rollouts_S)):
        if counts is not None and len(counts) != n_steps:
            raise ValueError(f"{len(counts)} values in {name} for {n_steps} steps")
    for index, (n_success, n_all) in enumerate(zip(n_success_S or (), n_rollouts_S or (), strict=False)):
        if n_success > n_all:
            raise ValueError(f"n_success {n_success} is above n_rollouts {n_all} at step {index}")


def labels_from_first_error(first_error: int | None, *, n_steps: int) -> tuple[StepLabel, ...]:
    """Return the labels that a bare first-error index stands for: ok before it, unlabelled after it.

    Raises:
        ValueError: the index is not within 0..n_steps-1.

    Example:
        >>> [str(label) for label in labels_from_first_error(1, n_steps=3)]
        ['ok', 'error', 'unlabelled']
    """
    if first_error is None:
        return (StepLabel.OK,) * n_steps
    if not 0 <= first_error < n_steps:
        raise ValueError(f"first error {first_error} is outside 0..{n_steps - 1}")
    n_after = n_steps - first_error - 1
    return (StepLabel.OK,) * first_error + (StepLabel.ERROR,) + (StepLabel.UNLABELLED,) * n_after


FeatureGroup = Literal["position", "length", "wording", "numbers", "symbolic", "surprisal", "contrast", "hidden"]
"""Evidence on a step: place, length, words, numbers, checked arithmetic, the model's surprise, what reading the problem
changes of that, and the model's hidden states."""


DecisionKind = Literal["threshold", "argmax"]
"""Kinds of rule by which a verdict becomes one predicted index: `ThresholdRule` and `ArgmaxRule`."""


class ThresholdRule(BaseModel):
    """Decide on the first step whose probability of being right lies below a threshold.

    Source:
        ProcessBench (2412.06559), decision of scalar process reward models.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["threshold"] = "threshold"
    """Selects this kind."""
    threshold: float = Field(default=0.5, gt=0, le=1)
    """Lowest P(step ok | earlier steps ok) that passes as right."""
    origin: str = "default"
    """Where the threshold comes from: `default`, or the split it was chosen on."""

    def __str__(self) -> str:
        """What it does, for people."""
        return f"P(ok) below {self.threshold:.4g}, {self.origin}"


class ArgmaxRule(BaseModel):
    """Decide on the most probable outcome of the first-error posterior.

    Of equally probable ones the earliest step wins, and any step over "no error"; probabilities that differ by rounding
    alone (`judgekit.ties`) are equal. The exact step counts in F1 of ProcessBench, so with a posterior that can be
    believed the best decision is the most probable outcome under a weight for "no error": the mean of two accuracies
    weighs errors and correct solutions by how rare they are, not by how often they come.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["argmax"] = "argmax"
    """Selects this kind."""
    no_error_weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """What P(no error) is multiplied by before outcomes are compared; above 1 it takes more to accuse."""
    origin: str = "default"
    """Where the weight comes from: `default`, or the split it was chosen on."""

    def __str__(self) -> str:
        """What it does, for people."""
        weight = "" if self.no_error_weight == 1 else f", no error x {self.no_error_weight:.3g}"
        return f"most probable outcome{weight}, {self.origin}"


DecisionRule = Annotated[ThresholdRule | ArgmaxRule, Field(discriminator="kind")]
"""How a verdict becomes one predicted index."""


class Verdict(BaseModel):
    """The first-error posterior: the one currency of all judges.

    For n steps a distribution over n + 1 outcomes: the first error is step 0, ..., step n-1, or there is none.
    Decision, survival, valid prefix and calibration all follow from it. A judge that gave step probabilities has them
    kept next to it: worked out of the posterior again they would differ in their last bits, and steps that the judge
    gave the same probability would be ranked, binned and decided by rounding.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    posterior: tuple[float, ...] = Field(min_length=2)
    """P(first error = 0), ..., P(first error = n-1), P(none). Shape (n + 1,), sums to 1."""
    step_probs_S: tuple[float, ...] | None = None
    """P(step k is correct | earlier steps are correct) as the judge gave them, bit for bit, and the posterior is made
    of them. Shape (n,). `None` if the judge gave a posterior alone, as votes, pools and releases before this field do:
    then `p_ok_S` works them out."""

    @model_validator(mode="after")
    def _is_distribution(self) -> Self:
        if not all(math.isfinite(prob) and prob >= 0 for prob in self.posterior):
            raise ValueError(f"posterior has a value that is negative or not finite: {self.posterior}")
        if abs(math.fsum(self.posterior) - 1) > SUM_TOLERANCE:
            raise ValueError(f"posterior sums to {math.fsum(self.posterior)}, not 1")
        return self

    @model_validator(mode="after")
    def _agrees_with_steps(self) -> Self:
        if self.step_probs_S is None:
            return self
        if len(self.step_probs_S) != self.n_steps:
            raise ValueError(f"{len(self.step_probs_S)} step probabilities for a posterior over {self.n_steps} steps")
        for outcome, (given, prob) in enumerate(zip(_outcomes(self.step_probs_S), self.posterior, strict=True)):
            if abs(given - prob) > SUM_TOLERANCE:
                raise ValueError(f"outcome {outcome} has {prob} in the posterior but {given} by the step probabilities")
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy, as pydantic does; step probabilities that belong to another posterior are not carried along."""
        if update and "posterior" in update:
            update = {"step_probs_S": None} | dict(update)
        return super().model_copy(update=update, deep=deep)

    @classmethod
    def from_step_probs(cls, p_ok_S: Sequence[float]) -> Self:
        """Build the posterior from P(step k ok | earlier steps ok), which are kept as they are.

        P(first error = k) = (1 - p_k) * prod_{j<k} p_j, and P(none) = prod_j p_j.

        Args:
            p_ok_S: Probabilities in [0, 1]. Shape (n,), n >= 1.

        Example:
            >>> Verdict.from_step_probs([0.75, 0.5]).posterior
            (0.25, 0.375, 0.375)
            >>> Verdict.from_step_probs([0.9] * 8).p_ok_S == (0.9,) * 8
            True
        """
        given = tuple(float(p_ok) for p_ok in p_ok_S)
        return cls(posterior=_outcomes(given), step_probs_S=given)

    @classmethod
    def from_votes(cls, votes: Sequence[int | None], *, n_steps: int, smoothing: float = 0.5) -> Self:
        """Build the posterior from sampled answers of a critic, with additive smoothing.

        Args:
            votes: Predicted first errors, 0-based, `None` for "no error". Unparsed answers are left out beforehand.
            n_steps: Steps of the judged solution.
            smoothing: Pseudo-votes given to each of the n_steps + 1 outcomes; above 0.

        Raises:
            ValueError: no votes, or a vote outside 0..n_steps-1.
        """
        if not votes:
            raise ValueError("no votes: give a judgement with a reason instead of a verdict")
        counts = [smoothing] * (n_steps + 1)
        for vote in votes:
            if vote is not None and not 0 <= vote < n_steps:
                raise ValueError(f"vote {vote} is outside 0..{n_steps - 1}")
            counts[n_steps if vote is None else vote] += 1
        total = math.fsum(counts)
        return cls(posterior=tuple(count / total for count in counts))

    @property
    def n_steps(self) -> int:
        """Number of steps judged."""
        return len(self.posterior) - 1

    @property
    def p_none(self) -> float:
        """P(no step is wrong)."""
        return self.posterior[-1]

    @property
    def survival_S(self) -> tuple[float, ...]:
        """P(steps 0..k are all correct). Shape (n,), never rising."""
        return tuple(self._tails()[1:])

    @property
    def p_ok_S(self) -> tuple[float, ...]:
        """P(step k is correct | earlier steps are correct). Shape (n,).

        What the judge gave, where it gave step probabilities. Else worked out of the posterior, with 13 significant
        digits, as quotients of sums have no more that mean something; there 1.0 where the posterior leaves no mass for
        step k to be reached: a threshold rule has decided before.
        """
        if self.step_probs_S is not None:
            return self.step_probs_S
        pairs = pairwise(self._tails())
        return tuple(rounded(min(after / before, 1.0)) if before > 0 else 1.0 for before, after in pairs)

    @property
    def expected_valid_steps(self) -> float:
        """Expected number of steps before the first error, in [0, n]; n where there is none."""
        return math.fsum(self.survival_S)

    def decide(self, rule: ThresholdRule | ArgmaxRule) -> int | None:
        """Return the predicted first error, 0-based, or `None` for "no error".

        Example:
            >>> Verdict(posterior=(0.1, 0.7, 0.2)).decide(ThresholdRule(threshold=0.5))
            1
        """
        if isinstance(rule, ArgmaxRule):
            best = first_largest((*self.posterior[:-1], self.posterior[-1] * rule.no_error_weight))
            return None if best == self.n_steps else best
        return next((k for k, p_ok in enumerate(self.p_ok_S) if is_below(p_ok, rule.threshold)), None)

    def _tails(self) -> list[float]:
        """P(first error is at k or later, or none) for k = 0..n."""
        tails, tail = [], 0.0
        for prob in reversed(self.posterior):
            tail += prob
            tails.append(tail)
        return tails[::-1]


def _outcomes(p_ok_S: Sequence[float]) -> tuple[float, ...]:
    """Return P(first error = 0), ..., P(none) of step probabilities. Shape (n + 1,)."""
    posterior, survival = [], 1.0
    for p_ok in p_ok_S:
        if not 0.0 <= p_ok <= 1.0:
            raise ValueError(f"probability {p_ok} is outside [0, 1]")
        posterior.append(survival * (1.0 - p_ok))
        survival *= p_ok
    return (*posterior, survival)


class Asked(BaseModel):
    """A judge that a cascade asked about a solution, and what that took."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    judge_id: str
    """The judge."""
    n_tokens: Count = 0
    """Tokens that it read and wrote."""
    seconds: float = Field(default=0.0, ge=0)
    """Share of its engine's time, seconds."""
    cost_usd: float | None = Field(default=None, ge=0)
    """What a paid server asked, US dollars; `None` if no price is known."""


class Judgement(BaseModel):
    """A verdict, or the reason why there is none. Never both, never neither."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    solution_id: str
    """The solution judged."""
    judge_id: str
    """The judge that judged it."""
    verdict: Verdict | None = None
    """The first-error posterior, where the judge gave one."""
    no_verdict: NoVerdictReason | None = None
    """Why there is no verdict."""
    raw: Annotated[str, AfterValidator(without_surrogates)] | None = None
    """The judge's text, where it wrote any; half characters in it become U+FFFD."""
    n_tokens: Count = 0
    """Tokens read and written for this judgement."""
    seconds: float = Field(default=0.0, ge=0)
    """Share of the engine's time spent on this judgement, seconds."""
    cost_usd: float | None = Field(default=None, ge=0)
    """What a paid server asked for this judgement, US dollars; `None` if no price is known."""
    asked: tuple[Asked, ...] = ()
    """The judges that a cascade asked one after another; the last of them answered, and what they took is counted
    above. Empty of every other judge."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.verdict is None) == (self.no_verdict is None):
            raise ValueError("a judgement needs either a verdict or a reason for having none")
        return self


class Rollout(Record):
    """One sampled response to a prompt, as a groups file stores it: one row per response."""

    id: str = ""
    """Content id; computed where it is left empty."""
    group_id: str = Field(min_length=1)
    """The responses with one id were sampled from the same prompt and form the unit of credit."""
    sample: Count
    """Index of the response within its group."""
    problem: str = Field(min_length=1)
    """Text of the problem that the judge is shown."""
    prompt: str = Field(min_length=1)
    """The text the response follows on; rendered as the policy saw it where that is known, else the bare problem."""
    response: str
    """The whole sampled text."""
    steps: tuple[str, ...]
    """The response's steps, without the white space between them."""
    step_start: tuple[Count, ...]
    """Where each step begins in `response`, in characters."""
    step_end: tuple[Count, ...]
    """Where each step ends in `response`, in characters, exclusive."""
    outcome: Share
    """Outcome reward: 1.0 where the final answer is correct, else 0.0."""
    answer: str | None = None
    """The problem's correct answer, where known."""
    truncated: Flag | None = None
    """Whether the response was cut off by its length limit; `None` if unknown."""
    behaviour_logprobs: tuple[Logprob, ...] | None = None
    """Log-probabilities of the response's tokens under the policy that sampled it, nats; `None` if unknown."""
    behaviour_token_ids: tuple[Count, ...] | None = None
    """Token ids that the log-probabilities belong to."""
    generator: str | None = None
    """The policy that sampled the response."""
    source: str = Field(min_length=1)
    """Data set or run it comes from."""

    @property
    def solution(self) -> Solution:
        """What a judge reads of it."""
        return Solution(problem=self.problem, steps=self.steps, reference=self.answer)

    @model_validator(mode="before")
    @classmethod
    def _fill_id(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("id"):
            keys, data = ("group_id", "sample", "response", "source", "generator"), dict(data)
            _set_id(data, "id", lambda: content_id(**{key: data.get(key) for key in keys}))
        return data

    @model_validator(mode="after")
    def _spans_match(self) -> Self:
        if not len(self.steps) == len(self.step_start) == len(self.step_end):
            raise ValueError(
                f"{len(self.steps)} steps, {len(self.step_start)} starts, {len(self.step_end)} ends: give one of each "
                "per step"
            )
        for index, (step, start, end) in enumerate(zip(self.steps, self.step_start, self.step_end, strict=True)):
            if self.response[start:end] != step:
                raise ValueError(f"step {index} is not the text at {start}..{end} of the response")
        if (self.behaviour_logprobs is None) != (self.behaviour_token_ids is None) or (
            self.behaviour_logprobs is not None
            and self.behaviour_token_ids is not None
            and len(self.behaviour_logprobs) != len(self.behaviour_token_ids)
        ):
            raise ValueError("behaviour_logprobs and behaviour_token_ids must have the same length")
        return self
