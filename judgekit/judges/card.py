"""The card of a judge: everything that `judge.json` says about it, and all that `load_judge` needs to open it.

A card has a head that is the same for all kinds, and a `spec` for its `kind`. Each spec is defined next to its judge
and opens it; `KINDS` knows where. Another package adds a kind with a subclass of `JudgeSpec` and an entry point of the
group `judgekit.judges`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, SerializeAsAny, ValidationError, model_validator

from judgekit.calibration.card import CalibrationReport, CalibratorCard, ConformalCard
from judgekit.engines.scoring.encoded import Encoded
from judgekit.errors import CheckpointError, ConfigError, DataError, describe_validation_error, shorten
from judgekit.extensions import Registry, resolve
from judgekit.io import read_json, write_json
from judgekit.judges.base import Judge, JudgeInfo
from judgekit.judges.reading import ReadingScore
from judgekit.types import DecisionRule, Precision, ThresholdRule

if TYPE_CHECKING:
    from judgekit.engines.scoring.token_statistics import TokenStatistics  # brings torch, which no card needs

CARD = "judge.json"
"""File of a judge directory that says what the judge is."""
SERVED = ("http://", "https://")
"""Beginnings of the name of a judge behind a service, which only `judgekit serve` knows all about."""
CARDLESS = ("builtin:", *SERVED)
"""Beginnings of names that stand for a judge without a card here."""


class JudgeSpec(BaseModel, ABC):
    """What a kind of judge needs to be opened, and what it can tell before that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """Name of the kind; each class fixes it."""

    opened_by: ClassVar[str]
    """`module:Class` of the judge, whose class method `open` takes an `Opening`; imported when a judge is opened, so
    that a card is read without torch."""

    def open(self, opening: Opening) -> Judge:
        """Open the judge, without its calibrator.

        Raises:
            CheckpointError: what it needs is missing, damaged or does not fit.
        """
        judge_type: Any = resolve(self.opened_by)
        judge: Judge = judge_type.open(opening)
        return judge

    @abstractmethod
    def with_places(self, place: Callable[[str, str], str]) -> Self:
        """Return the spec with every path or Hub id replaced by `place(what, name)`.

        `what` is `model`, `tokenizer`, `reference`, `prompt`, `engine` or `member`; anything else must be a path. What
        is left out here is not checked: a card of somebody else could lead anywhere by it.
        """

    def places(self) -> list[tuple[str, str]]:
        """Return every path or Hub id that it names, and what each is for."""
        found: list[tuple[str, str]] = []

        def note(what: str, name: str) -> str:
            found.append((what, name))
            return name

        self.with_places(note)
        return found

    def powers(self) -> Iterator[str]:
        """Say what it names that only the user's own card may: servers, environment variables, files to write."""
        return iter(())

    def declare(self, info: JudgeInfo, *, dtype: Precision, members: Sequence[JudgeInfo]) -> JudgeInfo:
        """Return what the opened judge will say of itself, as far as it can be known before.

        Args:
            info: What the card's head says.
            dtype: Precision for judges with weights.
            members: What its members say, where it has some.
        """
        return info

    def member_names(self) -> tuple[str, ...]:
        """Return the judges that it asks, as the card names them; none for most kinds."""
        return ()

    asks_all: ClassVar[bool] = True
    """Whether every solution goes to all its members."""

    def checkpoint(self) -> tuple[str, str | None] | None:
        """Return place and revision of weights that run in this process; `None` if there are none."""
        return None

    def pinned(self, model: str, revision: str | None) -> Self:
        """Return it with its model named by a Hub id and a revision; as it is, where it has no model."""
        return self

    def n_votes(self) -> int | None:
        """Return how many answers are requested; `None` if nothing is sampled."""
        return None

    def with_votes(self, votes: int) -> Self:
        """Return it with so many answers asked for.

        Raises:
            ConfigError: nothing is sampled, so that all of them would be one.
        """
        raise ConfigError(
            f"votes={votes} is for judges that sample answers, but this one is of kind {self.kind}: leave votes out, "
            "or set them in the cards of its members"
        )

    def prompt_sha256_of(self, directory: Path) -> str | None:
        """Return the hash of its prompt file, `None` if it has none. Relative paths begin at `directory`."""
        return None


KINDS: Registry[type[JudgeSpec]] = Registry(
    "judgekit.judges",
    noun="judge kind",
    of=JudgeSpec,
    own={
        "step_classifier": "judgekit.judges.steps.specs:StepClassifierSpec",
        "likelihood": "judgekit.judges.steps.specs:LikelihoodSpec",
        "label_token": "judgekit.judges.steps.specs:LabelTokenSpec",
        "implicit": "judgekit.judges.steps.specs:ImplicitSpec",
        "critic": "judgekit.judges.critics.card:CriticSpec",
        "ensemble": "judgekit.judges.ensemble:EnsembleSpec",
        "cascade": "judgekit.judges.cascade:CascadeSpec",
        "mistaken": "judgekit.judges.mistaken:MistakenSpec",
        "position_prior": "judgekit.judges.position_prior:PositionPriorSpec",
        "probe": "judgekit.judges.probe.spec:ProbeSpec",
    },
)
"""Kinds of judges: the class of each one's `spec`. An installed package adds to the entry points `judgekit.judges`."""

SpecT = TypeVar("SpecT", bound=JudgeSpec)


class Golden(BaseModel):
    """A solution with the scores that the judge gave it when it was made, for `judgekit doctor` to compare."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str
    """Text of the problem."""
    steps: tuple[str, ...] = Field(min_length=1)
    """The solution's steps."""
    p_ok_S: tuple[float, ...]
    """P(step ok | earlier steps ok) without calibrator, in float32. Shape (n_steps,)."""

    @model_validator(mode="after")
    def _one_a_step(self) -> Self:
        if len(self.p_ok_S) != len(self.steps):
            raise ValueError(f"{len(self.p_ok_S)} golden scores for {len(self.steps)} steps")
        return self


class JudgeCard(BaseModel):
    """Content of `judge.json`, or of a card in YAML. Read with `parse_card`, which also knows how older ones look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[2] = 2
    """Version of this file; those of version 1 had the fields of `spec` next to the others, see `upgrade`."""
    judge_id: str = Field(min_length=1)
    """Name in results."""
    spec: SerializeAsAny[InstanceOf[JudgeSpec]]
    """What its kind needs."""
    family: str | None = None
    """Family whose convention this is; `null` for judges of our own."""
    assumes: str | None = None
    """What no checkpoint of the family states and this card takes for granted; logged when the judge is opened."""
    base_model: str | None = None
    """What the weights were trained from; `null` if unknown."""
    base_revision: str | None = None
    """Hub revision of the base model; `null` for a local directory."""
    decision: DecisionRule = ThresholdRule()
    """How the posterior becomes one index."""
    calibrator: CalibratorCard | None = None
    """Applied to every verdict; `null` for none."""
    calibration: CalibrationReport | None = None
    """What it changed."""
    conformal: ConformalCard | None = None
    """Thresholds with a guarantee, for verdicts after the calibrator; `null` for none."""
    reading: ReadingScore | None = None
    """Whether it reads the problem, as `judgekit attack --store` measured it; `null` for unknown."""
    golden: tuple[Golden, ...] = ()
    """Solutions with the scores they must get."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Data hashes, counts and configuration of the training run."""
    metrics: dict[str, float | int | None] = Field(default_factory=dict)
    """Figures on the training run's evaluation split."""

    @property
    def kind(self) -> str:
        """Which kind of judge it is."""
        return self.spec.kind

    def spec_as(self, spec_type: type[SpecT]) -> SpecT:
        """Return the spec as that of one kind.

        Raises:
            CheckpointError: the card is of another kind.
        """
        if not isinstance(self.spec, spec_type):
            raise CheckpointError(f"{self.judge_id} is a judge of kind {self.kind!r}, not a {spec_type.__name__}")
        return self.spec

    def declare(self, *, dtype: Precision, members: Sequence[JudgeInfo] = (), calibrated: bool = False) -> JudgeInfo:
        """Return what the judge will say of itself once it is open; see `JudgeSpec.declare`.

        Args:
            dtype: Precision for judges with weights.
            members: What its members say, where it has some.
            calibrated: Whether it is opened with its calibrator.
        """
        info = JudgeInfo(self.judge_id, self.decision, kind=self.kind, reading=self.reading, training=self.training)
        info = self.spec.declare(info, dtype=dtype, members=members)
        if not calibrated or self.calibrator is None:
            return info
        return replace(info, fingerprint=self.calibrator.fingerprint, conformal=self.conformal)

    @model_validator(mode="after")
    def _conformal_is_calibrated(self) -> Self:
        if self.conformal is not None and self.calibrator is None:
            raise ValueError(
                "the section 'conformal' is about calibrated verdicts, but there is no section 'calibrator'"
            )
        return self


@dataclass
class LentModel:
    """A causal language model of the caller's, for judges whose frozen model it is, instead of a copy of their own."""

    model: Any
    """The model. When a judge is opened it must be what the judge's card names, weight by weight."""
    at_work: Callable[[], AbstractContextManager[Any]] | None = None
    """Yields what is to be run, ready to be run, and puts everything back; `None`: the model as it is."""
    taken_by: list[str] = field(default_factory=list)
    """Ids of the judges that use it."""
    layers: tuple[float, ...] = ()
    """Layers whose hidden states the judge reads that took it last."""
    seen: Callable[[Encoded], TokenStatistics | None] | None = None
    """Returns what a pass of the caller's over the same tokens shows, with these layers; `None` if there was none,
    and then the model runs."""


@dataclass(frozen=True)
class Opening:
    """What a judge is opened with."""

    card: JudgeCard
    """Its card."""
    directory: Path
    """Where relative paths of the card begin."""
    hub_only: bool
    """Whether what the card names lies in its repository or on the Hub, and nowhere else on this disk."""
    dtype: Precision
    """Precision of weights."""
    neutralise: bool
    """Whether candidates are kept from acting as markup; off only to measure what that prevents."""
    open_member: Callable[[str], Judge]
    """Opens a member by the name that the card gives, with no more trust than the card has."""
    lazy_member: Callable[[str], Judge]
    """The same, but opens it when it is first asked; what it needs is looked for at once."""
    lent: LentModel | None = None
    """A model for judges whose frozen model it is; others load their own."""


_SECTIONS = ("implicit", "critic", "ensemble", "position_prior")
"""Kinds whose fields stood in a section named after them."""
_CARRIED = ("model", "revision", "tokenizer", "chat_date", "head", "head_mean", "ok_labels", "ok_labels_by")
"""Fields that version 1 wrote for every kind, though only some ever read them."""
_ALIASES: Mapping[str, str] = {"ok_index": "ok_labels", "likelihood": "fitted"}


def upgrade(values: Mapping[str, Any], *, kind: str | None = None) -> dict[str, Any]:
    """Return the values of a card as version 2 has them: the fields of its kind in `spec`.

    Version 1, and who writes a card by hand, puts all fields side by side, some of them in a section named after the
    kind. What version 1 wrote for every kind and only some read is left out of the others.

    Args:
        values: All or some fields of a card, of either version.
        kind: The kind where the values do not say it, as those that stand on a family or a checkpoint do not.

    Example:
        >>> upgrade({"schema_version": 1, "kind": "ensemble", "judge_id": "e", "ensemble": {"rule": "product"}})
        {'judge_id': 'e', 'spec': {'kind': 'ensemble', 'rule': 'product'}}
    """
    if "spec" in values or values.get("schema_version") == 2:
        return dict(values)
    kind = values.get("kind", kind)
    known = KINDS.load(kind).model_fields if isinstance(kind, str) and kind in KINDS else {}
    head: dict[str, Any] = {}
    spec: dict[str, Any] = {}
    for name, value in values.items():
        name = _ALIASES.get(name, name)
        if name in JudgeCard.model_fields:
            if name != "schema_version" or value != 1:
                head[name] = value
        elif name == kind and name in _SECTIONS and isinstance(value, Mapping):
            spec |= value
        elif name == "engine" and value == "transformers" and kind != "step_classifier":
            continue
        elif name == "kind" or name in known:
            spec[name] = value
        elif value is not None and name not in _CARRIED:
            spec[name] = value  # what no kind knows, or another one does: refused by name when the spec is checked
    return head | {"spec": spec}


def parse_card(values: object, *, where: str) -> JudgeCard:
    """Check the values of a card of either version.

    Args:
        values: What JSON or YAML holds.
        where: How the user knows the card.

    Raises:
        CheckpointError: a field is missing, unknown or refused; names it. Or there is no such kind.
    """
    if not isinstance(values, Mapping):
        raise CheckpointError(f"{where} must hold keys and values, not {shorten(values)}")
    fields = upgrade(values)
    spec = fields.get("spec")
    kind = spec.get("kind") if isinstance(spec, Mapping) else None
    if not isinstance(spec, Mapping) or not isinstance(kind, str):
        raise CheckpointError(f"{where}: field 'kind' is missing or not a text (known: {', '.join(KINDS.names())})")
    try:
        return JudgeCard.model_validate(fields | {"spec": KINDS.load(kind).model_validate(spec)})
    except ConfigError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except ValidationError as error:
        raise CheckpointError(f"{where}: {describe_validation_error(error)}") from error


def refuse_run_folder(directory: Path) -> None:
    """Refuse the folder of a run that was given for the judge in it.

    Raises:
        CheckpointError: it is one; says where the judge is.
    """
    if not (directory / CARD).is_file() and (directory / "judge" / CARD).is_file():
        raise CheckpointError(f"{directory} is the folder of a run: its judge is {directory / 'judge'}")


def read_card(directory: Path) -> JudgeCard:
    """Read and check a directory's `judge.json`.

    Raises:
        CheckpointError: the directory or the file is missing, or the file is not valid; says which field.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory} is not a directory: give a judge directory, a Hub id or a builtin judge")
    path = directory / CARD
    refuse_run_folder(directory)
    if not path.is_file():
        raise CheckpointError(f"{directory} has no {CARD}, so it is not a judge directory: `judgekit train` writes one")
    try:
        values = read_json(path)
    except DataError as error:
        raise CheckpointError(str(error)) from error
    return parse_card(values, where=str(path))


def write_card(directory: Path, card: JudgeCard) -> None:
    """Write `judge.json` atomically."""
    write_json(directory / CARD, card.model_dump(mode="json"))
